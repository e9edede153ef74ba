//! Reservations: initiators that send any PERSISTENT RESERVE OUT, and a host that dies.

use outboard_scsi::command::build::{self, Cdb};
use outboard_scsi::command::{PersistentReserveInAction, opcode};
use outboard_scsi::persistent_reserve::ParameterList;
use outboard_scsi::{Lun, Status};
use outboard_spc::reservation::SLOT_LEN;
use outboard_spc::{
    Capacity, Identity, Limits, LogicalUnit, Nexus, NexusId, Provisioning, Response, Target,
    TargetPort, UnitConfig, Verdict,
};

const PORTS: [(&str, u16); 4] = [
    ("iqn.a,i,0x000000000001", 1),
    ("iqn.a,i,0x000000000001", 2),
    ("iqn.b,i,0x000000000002", 1),
    ("iqn.c,i,0x000000000003", 1),
];
const ZERO: [u8; 8] = [0; 8];
const FILE_LEN: usize = 2 * SLOT_LEN;

/// A program: each action is one byte, in its low two bits the initiator, then what it needs.
pub fn reservation(bytes: &[u8]) {
    let mut bytes = bytes.iter().copied();
    let mut host = Host::new(vec![0; FILE_LEN]);
    for _ in 0..ACTIONS_MAX {
        let Some(action) = bytes.next() else { return };
        let who = host.nexuses[usize::from(action % 4)];
        let mut next = || bytes.next().unwrap_or(0);
        match action >> 2 & 0x0F {
            0..=9 => {
                let (service, kind, flags) = (next(), next(), next());
                let list = list(flags, next(), &mut next);
                let cdb = Cdb::new(opcode::PERSISTENT_RESERVE_OUT)
                    .with(1, service & 0x1F)
                    .with(2, kind & 0x0F)
                    .with(8, u8::try_from(list.len()).unwrap_or(u8::MAX));
                host.send(who, cdb, &list);
            }
            10 => {
                host.send(who, build::reserve_6(), &[]);
            }
            11 => {
                host.send(who, build::release_6(), &[]);
            }
            12 => host.log_in_again(usize::from(action % 4)),
            13 => host.target.reset_unit(Lun::ZERO),
            14 => host.die(),
            _ => host.die_writing(next(), next()),
        }
        host.check();
    }
}

/// Most actions of a program, for its duration's sake.
const ACTIONS_MAX: usize = 200;

/// A parameter list of one of the shapes, with few different keys; sometimes of any bytes.
fn list(flags: u8, keys: u8, next: &mut impl FnMut() -> u8) -> Vec<u8> {
    let raw: Vec<u8> = match flags & 0x30 {
        0x10 => (0..usize::from(next() % 64)).map(|_| next()).collect(),
        _ => Vec::new(),
    };
    if flags & 0x40 != 0 {
        return raw;
    }
    let list = ParameterList {
        key: u64::from(keys & 0x03),
        action_key: u64::from(keys >> 4 & 0x03),
        all_ports: flags & 0x04 != 0,
        persist: flags & 0x01 != 0,
        transport_ids: (flags & 0x08 != 0).then_some(&raw),
    };
    let mut out = [0; 128];
    let len = list.encode(&mut out);
    out.get(..len).unwrap_or(&out).to_vec()
}

struct Host {
    target: Target,
    nexuses: [NexusId; 4],
    /// What is on the medium.
    file: Vec<u8>,
    /// Registrations and reservation as of the last answered command.
    answered: Vec<u8>,
}

impl Host {
    fn new(file: Vec<u8>) -> Self {
        let port = |relative_id| TargetPort { relative_id, name: String::new(), protocol: 5 };
        let mut target = Target::new("iqn.t", vec![port(1), port(2)], 8);
        target.add_unit(Lun::ZERO, unit()).expect("the LUN is free");
        target.restore(Lun::ZERO, &file).expect("one record is whole");
        let nexuses = PORTS.map(|(name, port)| log_in(&mut target, name, port));
        let mut host = Self { target, nexuses, file, answered: Vec::new() };
        host.answered = host.state();
        host
    }

    /// Runs a command of the host to its end, and keeps the state that it changed.
    fn send(&mut self, id: NexusId, cdb: Cdb, list: &[u8]) -> Response {
        let response = match self.target.check(id, ZERO, cdb.as_slice()) {
            Verdict::Answer(response) => response,
            Verdict::Data(parameters) => {
                assert_eq!(usize::try_from(parameters.length).ok(), Some(list.len()));
                self.target.parameters(id, Lun::ZERO, cdb.as_slice(), list)
            }
            Verdict::Forward(forwarded) => panic!("{forwarded:?}"),
        };
        assert_eq!(response.sense.is_some(), response.status == Status::CheckCondition);
        self.target.take_effects();
        while let Some(change) = self.target.take_state_changes() {
            assert_eq!(response.status, Status::Good, "a command that failed changes nothing");
            self.write(change.offset, &change.bytes);
        }
        self.answered = self.state();
        response
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        assert!(bytes.len() <= SLOT_LEN);
        let at = usize::try_from(offset).expect("within the file");
        let place = self.file.get_mut(at..at + bytes.len()).expect("within the file");
        place.copy_from_slice(bytes);
    }

    /// The host dies and comes back: what it had answered is there, if it was to persist.
    fn die(&mut self) {
        let persists = self.persists();
        let answered = std::mem::take(&mut self.answered);
        *self = Self::new(std::mem::take(&mut self.file));
        match persists {
            Some(true) => assert_eq!(self.answered, answered, "the state of the last answer"),
            _ => assert!(self.answered.is_empty(), "nothing was to persist"),
        }
        assert!(persists.is_none() || persists == self.persists(), "APTPL");
    }

    /// The host dies while it writes the next record, of which `cut` bytes arrive, the last of
    /// them changed by `mask`: the command was not answered, and the state is the older one or
    /// the new one.
    fn die_writing(&mut self, cut: u8, mask: u8) {
        let persisted = self.persists() == Some(true);
        let id = self.nexuses[0];
        self.end_attentions(id);
        let list = ParameterList {
            key: 0,
            action_key: 3,
            all_ports: true,
            persist: true,
            transport_ids: None,
        };
        let mut out = [0; 24];
        list.encode(&mut out);
        let cdb = Cdb::new(opcode::PERSISTENT_RESERVE_OUT).with(1, 0x06).with(8, 24);
        let verdict = self.target.check(id, ZERO, cdb.as_slice());
        if !matches!(verdict, Verdict::Data(_)) {
            return;
        }
        let older = std::mem::take(&mut self.answered);
        self.target.parameters(id, Lun::ZERO, cdb.as_slice(), &out);
        let newer = self.state();
        let mut changes: Vec<_> = std::iter::from_fn(|| self.target.take_state_changes()).collect();
        if let Some(last) = changes.pop() {
            for change in changes {
                self.write(change.offset, &change.bytes);
            }
            let mut torn = last.bytes;
            torn.truncate(usize::from(cut));
            if let Some(byte) = torn.last_mut() {
                *byte ^= mask;
            }
            self.write(last.offset, &torn);
        }
        *self = Self::new(std::mem::take(&mut self.file));
        let older = if persisted { older } else { Vec::new() };
        assert!(self.answered == older || self.answered == newer, "neither older nor newer");
    }

    fn log_in_again(&mut self, index: usize) {
        let Some(id) = self.nexuses.get_mut(index) else { return };
        self.target.close_nexus(*id);
        let (name, port) = PORTS.get(index).expect("one each");
        *id = log_in(&mut self.target, name, *port);
    }

    /// The fast path and the whole check agree on READ and WRITE; who may write may read.
    fn check(&mut self) {
        for id in self.nexuses {
            self.end_attentions(id);
            let [reads, writes] = [build::read_10(0, 1), build::write_10(0, 1)].map(|cdb| {
                let short = self.target.forward(id, ZERO, cdb.as_slice()).is_some();
                match self.target.check(id, ZERO, cdb.as_slice()) {
                    Verdict::Forward(_) => assert!(short, "the short way refuses it"),
                    Verdict::Answer(response) => {
                        assert!(!short, "the short way lets it pass");
                        assert_eq!(response.status, Status::ReservationConflict);
                    }
                    Verdict::Data(_) => panic!("no command of the host"),
                }
                short
            });
            assert!(reads || !writes);
        }
    }

    fn end_attentions(&mut self, id: NexusId) {
        let cdb = build::request_sense(false, 0);
        for _ in 0..20 {
            self.target.check(id, ZERO, cdb.as_slice());
        }
    }

    /// READ FULL STATUS without PRGENERATION, which does not persist; empty without registrations.
    fn state(&mut self) -> Vec<u8> {
        let data = self.report(PersistentReserveInAction::ReadFullStatus);
        data.get(8..).map(<[u8]>::to_vec).unwrap_or_default()
    }

    /// PTPL_A; not to be known under an SPC-2 reservation.
    fn persists(&mut self) -> Option<bool> {
        let data = self.report(PersistentReserveInAction::ReportCapabilities);
        data.get(3).map(|flags| flags & 0x01 != 0)
    }

    /// Nothing under an SPC-2 reservation, which lets no PERSISTENT RESERVE IN pass; there are no
    /// registrations then.
    fn report(&mut self, action: PersistentReserveInAction) -> Vec<u8> {
        let id = self.nexuses[3];
        self.end_attentions(id);
        let cdb = build::persistent_reserve_in(action, 4096);
        match self.target.check(id, ZERO, cdb.as_slice()) {
            Verdict::Answer(response) => response.data,
            other => panic!("{other:?}"),
        }
    }
}

fn log_in(target: &mut Target, name: &str, target_port: u16) -> NexusId {
    let nexus = Nexus { initiator_port: name.to_owned(), target_port };
    target.open_nexus(nexus).expect("room for four")
}

fn unit() -> LogicalUnit {
    LogicalUnit::new(UnitConfig {
        identity: Identity::new("OUTBOARD", "Array", "0.1", "0001").expect("printable"),
        capacity: Capacity::new(1000, 512).expect("a size"),
        limits: Limits {
            max_transfer: 64,
            optimal_transfer: 0,
            granularity: 0,
            max_write_same: 1,
            max_compare_and_write: 1,
            atomic: Default::default(),
        },
        provisioning: Provisioning::Full,
        read_only: false,
        removable: false,
        volatile_cache: false,
        rotation_rate: 1,
    })
}
