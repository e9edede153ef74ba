//! What is not an array or a target: `[iscsi]`, `[driver]`, `[api]`, `[log]`, `[state]`, `[io]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::array::absolute;
use super::machine::Machine;
use super::shown;
use super::target::Chap;
use outboard_settings::{Fault, Section, Value};

/// The port of iSCSI targets.
pub const ISCSI_PORT: u16 = 3260;
/// Most portals.
pub const MAX_PORTALS: usize = 64;
/// Most I/O threads.
pub const MAX_THREADS: u32 = 64;

/// `[iscsi]`: what all targets share.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Iscsi {
    /// addresses to accept on, at least one
    pub portals: Vec<SocketAddr>,
    /// what controls congestion on connections
    pub congestion_control: Congestion,
    /// who may ask for the list of targets; none: everybody
    pub discovery: Option<Chap>,
    /// bounds
    pub limits: Limits,
}

/// What controls congestion on the connections of initiators, tcp(7) TCP_CONGESTION.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Congestion {
    /// as the system says, but no pacing on connections that never leave the machine
    #[default]
    Auto,
    /// as the system says: `net.ipv4.tcp_congestion_control`
    System,
    /// this algorithm
    #[serde(untagged)]
    Named(String),
}

/// `[iscsi.limits]`: bounds on what initiators can make the server hold.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Limits {
    /// most connections, log-ins under way included
    pub connections: u32,
    /// most log-ins under way
    pub logins: u32,
    /// most log-ins under way from one address
    pub logins_per_address: u32,
    /// a log-in that takes longer is ended
    #[serde(serialize_with = "shown::duration")]
    pub login_timeout: Duration,
    /// a connection without traffic for so long is pinged
    #[serde(serialize_with = "shown::duration")]
    pub ping_interval: Duration,
    /// a connection that does not answer a ping for so long is closed
    #[serde(serialize_with = "shown::duration")]
    pub ping_timeout: Duration,
    /// commands that one session may have outstanding
    pub commands_per_session: u32,
}

/// `[driver]`: the driver processes, one a target.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Driver {
    /// its program; none: the built-in array driver
    pub program: Option<PathBuf>,
    /// that program's arguments
    pub arguments: Vec<String>,
    /// tasks at a time
    pub slots: u32,
    /// bytes of the buffer pool
    #[serde(serialize_with = "shown::size")]
    pub pool: u64,
    /// most bytes of one command
    #[serde(serialize_with = "shown::size")]
    pub max_transfer: u64,
    /// guard every write by a checksum against a dying driver
    pub verify_replay: bool,
    /// how much of the sandbox there must be
    pub sandbox: Sandbox,
    /// bytes of memory of its own
    #[serde(serialize_with = "shown::size")]
    pub memory: u64,
    /// for a debugger: nothing is given up for being slow
    pub debug: bool,
}

/// What confines a driver.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// nothing but a session of its own
    Off,
    /// each measure that this system allows
    #[default]
    BestEffort,
    /// every measure; one that is refused is a driver that does not start
    Require,
}

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

/// `[io]`: I/O threads.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Io {
    /// how many
    pub threads: u32,
    /// processors they stay on, thread by thread and then from the beginning; empty: anywhere
    pub cpus: Vec<usize>,
    /// watch for work all the time: shorter answers at small depth for a processor each
    pub spin: bool,
}

impl Default for Iscsi {
    fn default() -> Self {
        let portals = vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), ISCSI_PORT)];
        Self {
            portals,
            congestion_control: Congestion::Auto,
            discovery: None,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            logins: 256,
            logins_per_address: 128,
            login_timeout: Duration::from_secs(15),
            ping_interval: Duration::from_secs(30),
            // An initiator of one thread may be busy elsewhere for a minute (libiscsi's own tests
            // sleep so long); a connection that is gone costs nobody anything meanwhile.
            ping_timeout: Duration::from_secs(60),
            commands_per_session: 128,
        }
    }
}

impl Default for Driver {
    fn default() -> Self {
        Self {
            program: None,
            arguments: Vec::new(),
            slots: 256,
            pool: 64 << 20,
            max_transfer: 8 << 20,
            verify_replay: false,
            sandbox: Sandbox::BestEffort,
            memory: 1 << 30,
            debug: false,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

impl Iscsi {
    pub(super) fn read(&mut self, mut section: Section<'_, '_>, folder: &Path, machine: &Machine) {
        section.set(&mut self.portals, "portals", |value| {
            let portals = value.list(|value| value.parse(portal))?;
            match portals.len() {
                1..=MAX_PORTALS => Ok(portals),
                _ => Err(Fault::new(
                    format!("a server has 1 to {MAX_PORTALS} portals"),
                    "write for example [\"192.0.2.1:3260\"]",
                )),
            }
        });
        section.set(&mut self.congestion_control, "congestion_control", |value| {
            value.parse(|text| congestion(text, machine))
        });
        let mut discovery = section.section("discovery");
        self.discovery = Chap::read_optional(&mut discovery, folder, machine);
        discovery.finish();
        self.limits.read(section.section("limits"));
        section.finish();
    }
}

fn congestion(text: &str, machine: &Machine) -> Result<Congestion, Fault> {
    match text {
        "auto" => Ok(Congestion::Auto),
        "system" => Ok(Congestion::System),
        _ if machine.congestion.iter().any(|name| name == text) => {
            Ok(Congestion::Named(text.to_owned()))
        }
        _ => {
            let rule = format!("{text:?} is no congestion control that this process may have");
            let names = machine.congestion.join(", ");
            Err(Fault::new(rule, format!("write auto, system or one of: {names}")))
        }
    }
}

impl Limits {
    fn read(&mut self, mut section: Section<'_, '_>) {
        let seconds = |least, most| Duration::from_secs(least)..=Duration::from_secs(most);
        section.set(&mut self.connections, "connections", |v| v.count(1..=65_535));
        section.set(&mut self.logins, "logins", |v| v.count(1..=65_535));
        section.set(&mut self.logins_per_address, "logins_per_address", |v| v.count(1..=65_535));
        section.set(&mut self.login_timeout, "login_timeout", |v| v.duration(seconds(1, 600)));
        section.set(&mut self.ping_interval, "ping_interval", |v| v.duration(seconds(1, 3600)));
        section.set(&mut self.ping_timeout, "ping_timeout", |v| v.duration(seconds(1, 600)));
        section
            .set(&mut self.commands_per_session, "commands_per_session", |v| v.count(1..=65_535));
        section.finish();
    }
}

impl Driver {
    pub(super) fn read(&mut self, mut section: Section<'_, '_>, folder: &Path) {
        self.program = section.get("program", |value| path(value, folder));
        section.set(&mut self.arguments, "arguments", |value| {
            value.list(|value| value.text().map(str::to_owned))
        });
        section.set(&mut self.slots, "slots", |v| v.count(8..=4096));
        section.set(&mut self.pool, "pool", |v| v.size(1 << 20..=1 << 30));
        section.set(&mut self.max_transfer, "max_transfer", |v| {
            let size = v.size(64 << 10..=64 << 20)?;
            match size.is_power_of_two() {
                true => Ok(size),
                false => Err(Fault::new("is a power of two", "write for example \"4Mi\"")),
            }
        });
        section.set(&mut self.verify_replay, "verify_replay", |v| v.flag());
        section.set(&mut self.sandbox, "sandbox", |v| v.parse(sandbox));
        section.set(&mut self.memory, "memory", |v| v.size(64 << 20..=1 << 40));
        section.set(&mut self.debug, "debug", |v| v.flag());
        section.finish();
    }
}

fn sandbox(text: &str) -> Result<Sandbox, Fault> {
    match text {
        "off" => Ok(Sandbox::Off),
        "best-effort" => Ok(Sandbox::BestEffort),
        "require" => Ok(Sandbox::Require),
        _ => {
            let mend = "write \"best-effort\", \"require\" or \"off\"";
            Err(Fault::new(format!("{text:?} is no kind of sandbox"), mend))
        }
    }
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

impl Io {
    pub(super) fn default_of(machine: &Machine) -> Self {
        // half of the processors are the drivers'
        let threads = u32::try_from(machine.cpus.len() / 2).unwrap_or(1).clamp(1, 4);
        Self { threads, cpus: Vec::new(), spin: false }
    }

    pub(super) fn read(&mut self, mut section: Section<'_, '_>, machine: &Machine) {
        section.set(&mut self.cpus, "cpus", |value| match value.text() {
            Ok(text) => cpus(text, machine),
            Err(_) => {
                let cpus = value.list(|value| value.count(0..=4095_usize))?;
                known_cpus(cpus, machine)
            }
        });
        if !self.cpus.is_empty() {
            self.threads = u32::try_from(self.cpus.len()).unwrap_or(1).min(MAX_THREADS);
        }
        section.set(&mut self.threads, "threads", |v| v.count(1..=MAX_THREADS));
        section.set(&mut self.spin, "spin", Value::flag);
        section.finish();
    }
}

/// An address as `192.0.2.1:3260`, `[2001:db8::1]:3260`, or without the port. Port 0 is any free one.
pub(super) fn portal(text: &str) -> Result<SocketAddr, Fault> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, ISCSI_PORT)).map_err(|_| {
        Fault::new(
            format!("{text:?} is no IP address with a port"),
            "write for example \"192.0.2.1:3260\" or \"[2001:db8::1]:3260\"; \"0.0.0.0:3260\" is \
             every IPv4 address",
        )
    })
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

/// Processors as `0-3,6`.
pub(super) fn cpus(text: &str, machine: &Machine) -> Result<Vec<usize>, Fault> {
    let fault =
        || Fault::new(format!("{text:?} is no list of processors"), "write for example \"0-3,6\"");
    let number = |text: &str| text.parse::<usize>().ok().filter(|&cpu| cpu < 4096);
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Some(first), Some(last)) = (number(first), number(last)) else { return Err(fault()) };
        if first > last || cpus.len() > 4096 {
            return Err(fault());
        }
        cpus.extend(first..=last);
    }
    known_cpus(cpus, machine)
}

fn known_cpus(cpus: Vec<usize>, machine: &Machine) -> Result<Vec<usize>, Fault> {
    match cpus.iter().find(|cpu| !machine.cpus.contains(cpu)) {
        None => Ok(cpus),
        Some(cpu) => {
            let all: Vec<String> = machine.cpus.iter().take(64).map(ToString::to_string).collect();
            let rule = format!("this process may not use processor {cpu}");
            Err(Fault::new(rule, format!("it may use {}", all.join(", "))))
        }
    }
}

fn path(value: Value<'_, '_>, folder: &Path) -> Result<PathBuf, Fault> {
    value.parse(|text| match text.is_empty() || text.contains('\0') {
        true => Err(Fault::new("is a path", "write for example \"/var/lib/outboard\"")),
        false => Ok(absolute(folder, Path::new(text))),
    })
}
