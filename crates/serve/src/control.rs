//! What the control side may ask of the running server.

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use crate::config::Config;
use crate::io::recorder::Recorded;
use crate::status::Status;
use crate::trace::{TraceError, Wanted};

/// A trace that is on its way.
pub type Traced = oneshot::Receiver<Result<Recorded, TraceError>>;

/// The running server, as the API, the signals and the watchdog see it.
///
/// Calls come from the control thread's helpers, several at a time, and may take a while; none is
/// made from a thread that does I/O.
pub trait Control: Send + Sync {
    /// What is going on.
    fn status(&self) -> Status;

    /// Makes the server what the configuration says, without a break for what stays as it is.
    ///
    /// # Errors
    /// What cannot be changed while the server runs, or failed. The server goes on as before.
    fn reload(&self, config: Config) -> Result<ReloadReport, ReloadError>;

    /// Looks again which versions of extensions are active, and has their targets served by these.
    ///
    /// # Errors
    /// A version does not serve: all targets go on as before.
    fn reload_extensions(&self) -> Result<ExtensionReport, ReloadError> {
        Ok(ExtensionReport::default())
    }

    /// Records the life of single tasks of a target. Returns at once; the trace comes when it is over.
    ///
    /// # Errors
    /// There is no such target, or nobody to record it.
    fn trace(&self, target: &str, _wanted: Wanted) -> Result<Traced, TraceError> {
        Err(TraceError::NoTarget(target.to_owned()))
    }

    /// Asks for the end: log-ins are refused, tasks drain, drivers end. Returns at once.
    fn stop(&self);

    /// Whether all of the server's threads make progress; the reason if not. The service manager's
    /// watchdog is fed only while this is `Ok`.
    ///
    /// # Errors
    /// What hangs, in a sentence.
    fn health(&self) -> Result<(), String> {
        Ok(())
    }
}

/// What a reload changed, each in words: `target iqn.…: LUN 2 added (array "c")`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct ReloadReport {
    /// the changes that were made, in order
    pub changes: Vec<String>,
    /// what differs and takes effect at the next start only
    pub at_next_start: Vec<String>,
}

/// What became of the targets with extensions.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct ExtensionReport {
    /// each of them
    pub targets: Vec<TargetOutcome>,
    /// the changes that were made, in words
    pub changes: Vec<String>,
}

/// A target with an extension.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct TargetOutcome {
    /// iSCSI name
    pub target: String,
    /// the extension
    pub identifier: String,
    /// the version that serves it
    pub version: String,
    /// the version that did, if it has been replaced
    pub replaced: Option<String>,
}

/// Why a reload changed nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// A change that a running server cannot make.
    #[error("{what}; {mend}")]
    Refused {
        /// the thing and the rule
        what: String,
        /// what to do instead
        mend: String,
    },
    /// It was tried and did not work; what was begun has been undone.
    #[error("{0}")]
    Failed(String),
    /// Another reload, or the end of the server, is under way.
    #[error("{0} is under way; try again when it has ended")]
    Busy(&'static str),
}
