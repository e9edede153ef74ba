//! Whatever is sent, in whatever order things end: each command has one end, and every slot,
//! buffer and nexus comes back.

use std::collections::BTreeSet;

use outboard_hba::TaskManagement;
use outboard_scsi::TaskAttribute::{HeadOfQueue, Ordered, Simple};
use outboard_scsi::command::PersistentReserveOutAction as Out;
use outboard_scsi::command::build::{self, Cdb};
use outboard_scsi::mode::Caching;
use outboard_scsi::{Lun, TaskAttribute};
use proptest::prelude::*;

use super::super::{Accepted, Command, Function, StateRecord};
use super::{Bench, driver};

#[derive(Clone, Copy, Debug)]
enum Step {
    Send { nexus: usize, kind: u8, attribute: u8, whole: bool },
    Ready,
    Cancel,
    Turn,
    End,
    Confirm,
    Keep(bool),
    Manage { nexus: usize, kind: u8 },
    Reopen { nexus: usize },
    Death,
    Later(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let nexus = 0_usize..2;
    prop_oneof![
        8 => (nexus.clone(), 0_u8..10, 0_u8..6, prop::bool::weighted(0.9)).prop_map(
            |(nexus, kind, attribute, whole)| Step::Send { nexus, kind, attribute, whole }
        ),
        6 => Just(Step::Ready),
        1 => Just(Step::Cancel),
        6 => Just(Step::Turn),
        6 => Just(Step::End),
        3 => Just(Step::Confirm),
        2 => any::<bool>().prop_map(Step::Keep),
        2 => (nexus.clone(), 0_u8..4).prop_map(|(nexus, kind)| Step::Manage { nexus, kind }),
        1 => nexus.prop_map(|nexus| Step::Reopen { nexus }),
        1 => Just(Step::Death),
        1 => (0_u8..3).prop_map(Step::Later),
    ]
}

struct Run {
    bench: Bench,
    filling: Vec<(u16, TaskAttribute)>,
    open: BTreeSet<u64>,
    requests: Vec<TaskManagement>,
    records: Vec<StateRecord>,
    functions: BTreeSet<u64>,
    names: u32,
    next: u64,
}

/// The command of a kind, and its data-out if it is a list.
fn command(kind: u8) -> (Cdb, Vec<u8>) {
    let reserve = |action, kind: u8, key: u64, action_key: u64| {
        let mut list = vec![0; 24];
        list[..8].copy_from_slice(&key.to_be_bytes());
        list[8..16].copy_from_slice(&action_key.to_be_bytes());
        list[20] = 1;
        (build::persistent_reserve_out(action, kind, 24), list)
    };
    match kind {
        0 | 1 => (build::write_10(8, 1), vec![0; 512]),
        2 => (build::read_10(0, 1), vec![0; 512]),
        3 => (build::write_same_16(0, 8, false, false), vec![0; 512]),
        4 => (build::compare_and_write(8, 1), vec![0; 1024]),
        5 => {
            let caching = Caching { write_cache: false, ..Caching::default() };
            let list = [&[0; 4], &caching.encode()[..]].concat();
            (build::mode_select_6(false, 24), list)
        }
        6 => reserve(Out::RegisterAndIgnoreExistingKey, 0, 0, 7),
        7 => reserve(Out::PreemptAndAbort, 1, 7, 7),
        8 => reserve(Out::Clear, 0, 7, 0),
        _ => (build::mode_select_6(false, 0).with(1, 0x02), Vec::new()),
    }
}

impl Run {
    fn new() -> Self {
        let (mut report, region) = driver::report();
        report.targets[0].units[0].volatile_cache = true;
        report.targets[0].units[0].max_compare_and_write = 8;
        let mut bench = Bench::over((report, region));
        bench.stack.target_mut().restore(Lun::from(3), &[]).unwrap();
        Self {
            bench,
            filling: Vec::new(),
            open: BTreeSet::new(),
            requests: Vec::new(),
            records: Vec::new(),
            functions: BTreeSet::new(),
            names: 0,
            next: 1,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Send { nexus, kind, attribute, whole } => {
                self.send(nexus, kind, attribute, whole);
            }
            Step::Ready if !self.filling.is_empty() => {
                let (slot, attribute) = self.filling.remove(0);
                self.bench.stack.ready(slot, attribute);
            }
            Step::Cancel if !self.filling.is_empty() => {
                let (slot, _) = self.filling.remove(0);
                let cookie = self.bench.stack.ledger.record(slot).unwrap().cookie;
                assert!(self.open.remove(&cookie));
                self.bench.stack.cancel(slot);
            }
            Step::Ready | Step::Cancel => {}
            Step::Turn => self.turn(),
            Step::End => {
                if let Some(tag) = self.bench.driver.oldest() {
                    self.bench.driver.good(&[tag]);
                }
            }
            Step::Confirm => {
                for request in std::mem::take(&mut self.requests) {
                    self.bench.stack.confirmed(request.id);
                }
            }
            Step::Keep(kept) => {
                for record in std::mem::take(&mut self.records) {
                    self.bench.stack.state_kept(&record, kept);
                }
            }
            Step::Manage { nexus, kind } => {
                let nexus = self.bench.nexuses[nexus];
                let function = match kind {
                    0 => Function::AbortTaskSet { nexus, lun: 3 },
                    1 => Function::ClearTaskSet { nexus, lun: 3 },
                    2 => Function::LogicalUnitReset { lun: 3 },
                    _ => Function::TargetReset,
                };
                self.functions.insert(self.next);
                self.bench.stack.manage(self.bench.now, function, Some(self.next));
                self.next += 1;
            }
            Step::Reopen { nexus } => {
                // The front end gives up what it still collects for it.
                let index = u32::from(self.bench.nexuses[nexus].index());
                for (slot, attribute) in std::mem::take(&mut self.filling) {
                    let record = self.bench.stack.ledger.record(slot).unwrap();
                    let (of, cookie) = (record.nexus, record.cookie);
                    if of == index {
                        self.open.remove(&cookie);
                        self.bench.stack.cancel(slot);
                    } else {
                        self.filling.push((slot, attribute));
                    }
                }
                self.bench.stack.close_nexus(self.bench.nexuses[nexus]);
                self.names += 1;
                let name = format!("initiator {}", self.names);
                self.bench.nexuses[nexus] = self.bench.stack.open_nexus(&name, 1).unwrap();
            }
            Step::Death => self.bench.restart(),
            Step::Later(seconds) => {
                self.bench.now = self.bench.now.plus_nanos(u64::from(seconds) * 1_000_000_000);
            }
        }
    }

    fn send(&mut self, nexus: usize, kind: u8, attribute: u8, whole: bool) {
        let attribute = match attribute {
            0 => Ordered,
            1 => HeadOfQueue,
            _ => Simple,
        };
        let (cdb, data) = command(kind);
        let expected = if whole { data.len() } else { data.len() / 2 };
        let cookie = self.next;
        self.next += 1;
        let command = Command {
            nexus: self.bench.nexuses[nexus],
            lun: Lun::from(3).encode(),
            cdb: cdb.as_slice(),
            attribute,
            tag: cookie,
            expected: expected as u64,
            cookie,
        };
        match self.bench.stack.submit(self.bench.now, &command) {
            Accepted::Answered(answer) => assert_eq!((answer.cookie, answer.slot), (cookie, None)),
            Accepted::Full => assert_ne!(self.bench.stack.in_use(), 0),
            Accepted::Slot { slot, offset, len } => {
                assert!(len <= (expected as u64).next_multiple_of(512), "whole blocks of a read");
                if len != 0 {
                    self.bench.driver.memory().write(offset, &data[..expected]).unwrap();
                }
                self.open.insert(cookie);
                self.filling.push((slot, attribute));
            }
        }
    }

    fn turn(&mut self) {
        for answer in self.bench.turn() {
            assert!(self.open.remove(&answer.cookie), "a second end of {}", answer.cookie);
            assert!(answer.aborted || answer.transferred <= answer.length);
        }
        self.requests.extend(self.bench.stack.requests(&self.bench.driver));
        self.records.extend(self.bench.stack.state_records());
        for managed in self.bench.stack.managed() {
            assert!(self.functions.remove(&managed.cookie));
        }
    }

    /// Everything goes well from now on.
    fn finish(&mut self) {
        while !self.filling.is_empty() {
            self.step(Step::Ready);
        }
        for _ in 0..200 {
            self.step(Step::Turn);
            self.step(Step::Confirm);
            self.step(Step::Keep(true));
            self.step(Step::End);
        }
        assert!(self.open.is_empty(), "without an end: {:?}", self.open);
        assert!(self.functions.is_empty(), "without an end: {:?}", self.functions);
        self.bench.assert_conserved();
        let open = self.bench.stack.target().nexuses().iter().count();
        assert_eq!(open, 2, "closed nexuses are free");
    }
}

proptest! {
    #[test]
    fn everything_ends_once(steps in prop::collection::vec(step(), 0..120)) {
        let mut run = Run::new();
        for step in steps {
            run.step(step);
        }
        run.finish();
    }
}
