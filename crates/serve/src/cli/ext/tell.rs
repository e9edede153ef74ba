//! The servers that run on a state directory, and what they say.

use std::path::Path;
use std::time::{Duration, Instant};

use outboard_ext::{ServerEntry, Store, servers};
use serde::Serialize;

use crate::cli::client::{self, ClientError};
use crate::control::ExtensionReport;
use crate::status::ExtensionInUse;

/// What each server has, however little is left.
const LEAST: Duration = Duration::from_millis(100);

/// What a server made of a change.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    /// its process
    pub(super) pid: u32,
    /// how it went
    #[serde(flatten)]
    pub(super) answer: Answer,
}

/// Its answer.
#[derive(Debug, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(super) enum Answer {
    /// all its targets follow
    Follows(ExtensionReport),
    /// a version does not serve: all of its targets go on as before
    Refuses { reason: String },
    /// not known yet
    Open { reason: String },
}

/// Tells all servers to look again; waits at most `within`.
pub(super) fn all(store: &Store, within: Duration) -> Vec<Told> {
    let until = Instant::now() + within;
    let tell = |server: ServerEntry| {
        let left = until.saturating_duration_since(Instant::now()).max(LEAST);
        Told { pid: server.pid, answer: one(&server, left) }
    };
    servers::running(store).into_iter().map(tell).collect()
}

fn one(server: &ServerEntry, within: Duration) -> Answer {
    let Some(socket) = &server.socket else {
        return Answer::Open { reason: "it has no control socket; restart it".to_owned() };
    };
    match client::post(socket, "/v1/extensions/reload", within) {
        Ok(report) => Answer::Follows(report),
        Err(ClientError::Refused(problem)) => Answer::Refuses { reason: problem.detail },
        Err(error) => Answer::Open { reason: error.to_string() },
    }
}

/// What servers say of what they use; each by its process.
#[derive(Debug, Default)]
pub(super) struct InUse {
    pub(super) used: Vec<(u32, ExtensionInUse)>,
    /// those that do not answer, and why
    pub(super) silent: Vec<(u32, String)>,
}

/// Asks all servers what they use.
pub(super) fn in_use(store: &Store) -> InUse {
    let mut all = InUse::default();
    for server in servers::running(store) {
        match ask(server.socket.as_deref()) {
            Ok(extensions) => all.used.extend(extensions.into_iter().map(|it| (server.pid, it))),
            Err(reason) => all.silent.push((server.pid, reason)),
        }
    }
    all
}

fn ask(socket: Option<&Path>) -> Result<Vec<ExtensionInUse>, String> {
    let socket = socket.ok_or_else(|| "it has no control socket".to_owned())?;
    client::get(socket, "/v1/extensions").map_err(|error| error.to_string())
}
