//! From what the threads report to one status.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::config::Config;
use crate::io::mailbox::Addresses;
use crate::io::portal::Figures;
use crate::io::target::TargetReport;
use crate::status::{
    Connection, Driver, DriverState, Logins, Lun, LunState, Server, ServerState, Session, Status,
    Target, Usage,
};

/// What one I/O thread says: its targets, and where their connections come from.
pub(crate) type OfThread = (Vec<TargetReport>, Vec<Addresses>);

/// Puts a status together.
pub(crate) fn gather(
    config: &Config,
    state: ServerState,
    uptime: Duration,
    figures: &Figures,
    threads: &[OfThread],
) -> Status {
    let mut status = Status { server: server(config, state, uptime, figures), ..Status::default() };
    status.server.logins.connections +=
        threads.iter().map(|(_, addresses)| addresses.len() as u32).sum::<u32>();
    for target in &config.targets {
        let found = threads.iter().enumerate().find_map(|(thread, (reports, addresses))| {
            let index = reports.iter().position(|report| report.name == target.name)?;
            Some((thread, index, reports.get(index)?, addresses))
        });
        let Some((thread, index, report, addresses)) = found else { continue };
        let driver = status.drivers.len() as u32;
        status.drivers.push(driver_of(config, target, report));
        status.targets.push(Target {
            name: target.name.clone(),
            alias: target.alias.clone(),
            portals: target.portals.iter().map(ToString::to_string).collect(),
            chap: target.chap.is_some(),
            luns: report.luns.iter().map(|lun| lun_of(target, driver, report, lun)).collect(),
            sessions: report.sessions.len() as u32,
        });
        for (session, age_ms) in &report.sessions {
            let connection = |c: &outboard_iscsi::server::ConnectionStatus| {
                let known = addresses.iter().find(|a| a.target == index && a.connection == c.id);
                Connection {
                    cid: c.cid,
                    initiator: known.map(|a| a.peer.to_string()).unwrap_or_default(),
                    portal: known.map(|a| a.local.to_string()).unwrap_or_default(),
                    header_digest: c.header_digest,
                    data_digest: c.data_digest,
                    thread: thread as u32,
                }
            };
            status.sessions.push(Session {
                target: target.name.clone(),
                initiator: session.initiator_name.clone(),
                initiator_alias: session.initiator_alias.clone(),
                isid: session.isid.iter().map(|byte| format!("{byte:02x}")).collect(),
                tsih: session.tsih,
                age_ms: *age_ms,
                connections: session.connections.iter().map(connection).collect(),
                commands: session.commands,
                outstanding: session.tasks,
                read_bytes: session.connections.iter().map(|c| c.bytes_out).sum(),
                written_bytes: session.connections.iter().map(|c| c.bytes_in).sum(),
            });
        }
    }
    status
}

fn server(config: &Config, state: ServerState, uptime: Duration, figures: &Figures) -> Server {
    let under_way = figures.under_way.load(Ordering::Relaxed);
    Server {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_ms: uptime.as_millis() as u64,
        state,
        portals: config.iscsi.portals.iter().map(ToString::to_string).collect(),
        logins: Logins {
            connections: under_way,
            under_way,
            succeeded: figures.succeeded.load(Ordering::Relaxed),
            refused: figures.refused.load(Ordering::Relaxed),
            abandoned: figures.abandoned.load(Ordering::Relaxed),
            over_limit: figures.over_limit.load(Ordering::Relaxed),
        },
    }
}

fn driver_of(config: &Config, target: &crate::config::Target, report: &TargetReport) -> Driver {
    let program = config.driver.program.as_ref().and_then(|program| program.file_name());
    let installed = target.extension.as_ref().and_then(|e| e.installed.as_ref());
    let (name, identifier, version) = match (installed, program) {
        (Some(installed), _) => {
            let package = &installed.package;
            (package.identifier().to_owned(), package.identifier(), package.version())
        }
        (None, Some(program)) => (program.to_string_lossy().into_owned(), "", ""),
        (None, None) => {
            ("array".to_owned(), outboard_ext::names::BUILT_IN, env!("CARGO_PKG_VERSION"))
        }
    };
    Driver {
        name,
        identifier: identifier.to_owned(),
        version: version.to_owned(),
        sandbox: report.sandbox.iter().map(Into::into).collect(),
        pid: report.pid,
        state: report.state,
        debug: config.driver.debug,
        restarts: report.restarts,
        violations: report.violations,
        last_reason: report.last_reason.clone(),
        pauses: report.pauses.clone(),
        pause: report.pause.clone(),
        slots: Usage { used: report.slots.0, total: report.slots.1 },
        pool: Usage { used: report.pool.0, total: report.pool.1 },
    }
}

fn lun_of(
    target: &crate::config::Target,
    driver: u32,
    report: &TargetReport,
    lun: &crate::io::target::LunReport,
) -> Lun {
    let array = target.luns.iter().find(|l| l.lun == lun.lun).map(|l| l.array.clone());
    let extension = target.extension.as_ref().map(|extension| extension.identifier.clone());
    Lun {
        lun: lun.lun,
        array: array.or(extension).unwrap_or_default(),
        driver,
        state: match report.state {
            DriverState::Running => LunState::Ready,
            DriverState::Starting | DriverState::Replacing => LunState::Waiting,
            DriverState::Failed | DriverState::Stopped => LunState::NotReady,
        },
        serial: lun.serial.clone(),
        blocks: lun.blocks,
        block_size: lun.block_size,
        read_only: lun.read_only,
        removable: lun.removable,
        thin: lun.thin,
        counters: lun.counters.clone(),
    }
}
