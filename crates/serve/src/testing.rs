//! A status for tests.

use crate::status::{
    Connection, Counters, Driver, DriverState, LatencyCounts, Logins, Lun, LunState, Pause, Server,
    ServerState, Session, Status, Target, Usage,
};

/// A server with something of everything.
pub(crate) fn status() -> Status {
    let name = "iqn.2026-01.com.example:data".to_owned();
    let pause = Pause {
        number: 1,
        lost_ns: 90_000_000_000,
        end_ns: 4_000_000,
        fence_ns: 15_000_000,
        back_off_ns: 0,
        start_ns: 20_000_000,
        replay_ns: 1_000_000,
        total_ns: 41_000_000,
    };
    let mut pauses = LatencyCounts::default();
    pauses.record(pause.total_ns);
    Status {
        server: Server {
            version: "0.1.0".to_owned(),
            pid: 4711,
            uptime_ms: 93_784_000,
            state: ServerState::Ready,
            portals: vec!["192.0.2.1:3260".to_owned(), "[2001:db8::1]:3260".to_owned()],
            logins: Logins {
                connections: 3,
                under_way: 1,
                succeeded: 12,
                refused: 2,
                abandoned: 5,
                over_limit: 0,
            },
        },
        drivers: vec![Driver {
            name: "array".to_owned(),
            identifier: "org.outboard.array".to_owned(),
            version: "0.1.0".to_owned(),
            pid: Some(4712),
            sandbox: Vec::new(),
            state: DriverState::Running,
            debug: false,
            restarts: 1,
            violations: 0,
            last_reason: Some("killed by signal 9".to_owned()),
            pauses: vec![pause],
            pause: pauses.summary(),
            slots: Usage { used: 3, total: 256 },
            pool: Usage { used: 12 << 10, total: 64 << 20 },
        }],
        targets: vec![Target {
            name: name.clone(),
            alias: Some("films".to_owned()),
            portals: vec!["192.0.2.1:3260".to_owned(), "[2001:db8::1]:3260".to_owned()],
            chap: true,
            luns: vec![lun(0, "films", LunState::Ready), lun(7, "cuts", LunState::Waiting)],
            sessions: 1,
        }],
        sessions: vec![session(name)],
    }
}

fn lun(lun: u16, array: &str, state: LunState) -> Lun {
    let mut latency = LatencyCounts::default();
    for i in 0..1000 {
        latency.record(80_000 + i * 100);
    }
    Lun {
        lun,
        array: array.to_owned(),
        driver: 0,
        state,
        serial: "0A1B2C3D4E5F6071".to_owned(),
        blocks: 8 << 21,
        block_size: 512,
        read_only: lun != 0,
        removable: false,
        thin: true,
        counters: Counters {
            reads: 600,
            writes: 400,
            others: 9,
            read_bytes: 600 << 12,
            written_bytes: 400 << 18,
            errors: 2,
            aborted: 0,
            outstanding: 3,
            latency: latency.summary(),
        },
    }
}

fn session(target: String) -> Session {
    Session {
        target,
        initiator: "iqn.1993-08.org.debian:01:abcdef".to_owned(),
        initiator_alias: None,
        isid: "00023d000001".to_owned(),
        tsih: 1,
        age_ms: 65_000,
        connections: vec![Connection {
            cid: 0,
            initiator: "192.0.2.9:51234".to_owned(),
            portal: "192.0.2.1:3260".to_owned(),
            header_digest: true,
            data_digest: false,
            thread: 1,
        }],
        commands: 1009,
        outstanding: 3,
        read_bytes: 600 << 12,
        written_bytes: 400 << 18,
    }
}
