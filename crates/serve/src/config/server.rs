//! What is not an array or a target: `[iscsi]`, `[driver]`, `[api]`, `[log]`, `[state]`, `[io]`.

mod driver;
mod io;
mod iscsi;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::array::absolute;
use super::machine::Machine;
use outboard_settings::{Fault, Section, Value};

pub use self::driver::{Driver, Sandbox};
pub(super) use self::io::cpus;
pub use self::io::{Io, MAX_THREADS};
pub(super) use self::iscsi::portal;
pub use self::iscsi::{Congestion, ISCSI_PORT, Iscsi, Limits, MAX_PORTALS};

/// `[api]`: control socket and metrics.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Api {
    /// the control socket; none: no API
    pub socket: Option<PathBuf>,
    /// an address for `/metrics` and `/healthz` alone
    pub metrics_tcp: Option<SocketAddr>,
}

/// `[log]`: the log, on standard error.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Log {
    /// for people or for programs
    pub format: LogFormat,
    /// what is logged: `info`, or by part as `info,outboard_iscsi=debug`
    pub level: String,
}

/// How the log looks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// lines for people
    #[default]
    Text,
    /// a JSON object a line
    Json,
}

/// `[state]`: what outlives the server.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct State {
    /// folder of persistent reservations; none: they do not outlive the server, and initiators are
    /// told so
    pub directory: Option<PathBuf>,
}

impl Api {
    pub(super) fn default_of(machine: &Machine) -> Self {
        Self { socket: Some(machine.runtime_folder.join("api.sock")), metrics_tcp: None }
    }

    pub(super) fn read(&mut self, mut section: Section<'_, '_>, folder: &Path) {
        section.set(&mut self.socket, "socket", |value| value.parse(|text| socket(text, folder)));
        self.metrics_tcp = section.get("metrics_tcp", |value| value.parse(metrics_address));
        section.finish();
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

impl Log {
    pub(super) fn read(&mut self, mut section: Section<'_, '_>) {
        section.set(&mut self.format, "format", |value| {
            value.parse(|text| match text {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                _ => {
                    Err(Fault::new(format!("{text:?} is no format"), "write \"text\" or \"json\""))
                }
            })
        });
        section.set(&mut self.level, "level", |value| value.parse(level));
        section.finish();
    }
}

impl State {
    pub(super) fn default_of(machine: &Machine) -> Self {
        Self { directory: Some(machine.state_folder.clone()) }
    }

    pub(super) fn read(&mut self, mut section: Section<'_, '_>, folder: &Path) {
        section.set(&mut self.directory, "directory", |value| {
            value.parse(|text| match text {
                "none" => Ok(None),
                _ => path(value, folder).map(Some),
            })
        });
        section.finish();
    }
}

fn metrics_address(text: &str) -> Result<SocketAddr, Fault> {
    text.parse::<SocketAddr>().map_err(|_| {
        let rule = format!("{text:?} is no IP address with a port");
        Fault::new(rule, "write for example \"127.0.0.1:9260\"")
    })
}

/// The path of the control socket, or `none`.
pub(super) fn socket(text: &str, folder: &Path) -> Result<Option<PathBuf>, Fault> {
    // sun_path has 108 bytes, the last one zero
    const MOST: usize = 107;
    let path = absolute(folder, Path::new(text));
    match text {
        "none" => Ok(None),
        "" => Err(Fault::new("a socket needs a path", "write for example /run/outboard/api.sock")),
        _ if path.as_os_str().len() > MOST => Err(Fault::new(
            format!("the path of a socket has at most {MOST} bytes"),
            "put it in a folder with a shorter name",
        )),
        _ => Ok(Some(path)),
    }
}

/// What to log.
pub(super) fn level(text: &str) -> Result<String, Fault> {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    // A word alone would be taken for a part of the program.
    let levels = |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
    match text.parse::<Targets>() {
        Ok(_) if text.split(',').all(levels) => Ok(text.to_owned()),
        _ => Err(Fault::new(
            format!("{text:?} is no level"),
            "write error, warn, info, debug or trace, or by part: info,outboard_iscsi=debug",
        )),
    }
}

fn path(value: Value<'_, '_>, folder: &Path) -> Result<PathBuf, Fault> {
    value.parse(|text| match text.is_empty() || text.contains('\0') {
        true => Err(Fault::new("is a path", "write for example \"/var/lib/outboard\"")),
        false => Ok(absolute(folder, Path::new(text))),
    })
}
