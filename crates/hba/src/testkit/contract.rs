//! The contract, check by check.

use outboard_slots::MAX_BUNDLE;

use super::harness::{Ended, Harness};
use crate::controller::Controller;
use crate::protocol::{ManagementFunction, TaskManagement};
use crate::values::ServiceResponse;

/// What the kit needs to know of a controller.
#[derive(Clone, Debug)]
pub struct Options {
    /// given to `initialize`
    pub options: serde_json::Value,
    /// bytes of each disk in memory that it is given
    pub memory_disks: Vec<u64>,
    /// bytes of each transfer: a multiple of the block size
    pub transfer_bytes: u64,
    /// the unit may be written (its first blocks are)
    pub writable: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            options: serde_json::Value::Null,
            memory_disks: Vec::new(),
            transfer_bytes: 4096,
            writable: true,
        }
    }
}

/// What the kit has done.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// checks passed, by name
    pub passed: Vec<&'static str>,
    /// tasks submitted
    pub tasks: u64,
}

/// A broken rule.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{step}: {what}")]
pub struct Failure {
    /// the check
    pub step: &'static str,
    /// what was wrong
    pub what: String,
}

impl Failure {
    pub(super) fn new(step: &'static str, what: String) -> Self {
        Self { step, what }
    }
}

/// Runs every check on fresh controllers from `make`.
pub fn check<C: Controller>(make: impl Fn() -> C, options: &Options) -> Result<Report, Failure> {
    let mut report = Report::default();
    type Check<C> = fn(&mut Harness<C>, &Options) -> Result<(), Failure>;
    let checks: [(&'static str, Check<C>); 6] = [
        ("bundles of 1 to 32", bundle_sizes),
        ("slots reused at once", slot_reuse),
        ("one task a call", single_calls),
        ("every slot in flight", full_queue),
        ("abort", aborts),
        ("stop under load", stop_under_load),
    ];
    for (name, check) in checks {
        let mut harness = Harness::start(make(), options)?;
        check(&mut harness, options)?;
        let mut ended = Vec::new();
        harness.drain(&mut ended, name)?;
        report.tasks += harness.tasks;
        report.passed.push(name);
        harness.stop();
    }
    Ok(report)
}

fn bundle_sizes<C: Controller>(h: &mut Harness<C>, o: &Options) -> Result<(), Failure> {
    for size in 1..=MAX_BUNDLE.min(usize::from(h.slots())) {
        let slots: Vec<u16> = (0..size as u16).rev().collect();
        write_and_read_back(h, o, &slots, size as u8)?;
    }
    Ok(())
}

fn slot_reuse<C: Controller>(h: &mut Harness<C>, o: &Options) -> Result<(), Failure> {
    for round in 0..200u8 {
        write_and_read_back(h, o, &[0], round)?;
    }
    Ok(())
}

fn full_queue<C: Controller>(h: &mut Harness<C>, o: &Options) -> Result<(), Failure> {
    for round in 0..4 {
        let slots: Vec<u16> = (0..h.slots()).collect();
        write_and_read_back(h, o, &slots, 100 + round)?;
    }
    Ok(())
}

fn single_calls<C: Controller>(h: &mut Harness<C>, o: &Options) -> Result<(), Failure> {
    let mut ended = Vec::new();
    for slot in 0..h.slots().min(8) {
        let entry = h.prepare(slot, false, 0, o.transfer_bytes, o)?;
        let response = h.single(entry);
        if response != ServiceResponse::RequestInProcess {
            return Err(Failure::new(
                "one task a call",
                format!(
                    "process_parallel_task answered {response:?}; accept the task and complete it, failing if need be"
                ),
            ));
        }
    }
    h.drain(&mut ended, "one task a call")?;
    all_good("one task a call", &ended)
}

fn aborts<C: Controller>(h: &mut Harness<C>, o: &Options) -> Result<(), Failure> {
    let lun = {
        let (_, unit) = h.unit()?;
        let mut lun = [0; 8];
        lun[..2].copy_from_slice(&unit.lun.to_be_bytes());
        lun
    };
    let target = h.unit()?.0;
    for id in 0..20u64 {
        let n = h.slots().min(16);
        let mut entries = Vec::new();
        for slot in 0..n {
            entries.push(h.prepare(slot, false, u64::from(slot), o.transfer_bytes, o)?);
        }
        h.bundle(&entries);
        let function = match id % 3 {
            0 => ManagementFunction::AbortTask {
                slot: entries[0].index(),
                generation: entries[0].generation(),
            },
            1 => ManagementFunction::AbortTaskSet { lun, nexus: 0 },
            _ => ManagementFunction::LogicalUnitReset { lun },
        };
        h.manage(TaskManagement { id, function, target, sequence: Vec::new() });
        let mut ended = Vec::new();
        let mut answered = h.managed();
        for _ in 0..30_000 {
            if !answered.is_empty() {
                break;
            }
            h.round(&mut ended)?;
            answered = h.managed();
        }
        if answered != [id] {
            return Err(Failure::new(
                "abort",
                format!(
                    "{function:?} was not seen through: each aborted task must be completed as soon as nothing of it can land"
                ),
            ));
        }
        h.drain(&mut ended, "abort")?;
        if let Some(bad) = ended.iter().find(|e| !e.good && !e.aborted) {
            return Err(Failure::new(
                "abort",
                format!("slot {} ended neither GOOD nor TASK ABORTED", bad.slot),
            ));
        }
    }
    Ok(())
}

fn stop_under_load<C: Controller>(h: &mut Harness<C>, o: &Options) -> Result<(), Failure> {
    let mut entries = Vec::new();
    for slot in 0..h.slots().min(MAX_BUNDLE as u16) {
        entries.push(h.prepare(slot, false, 0, o.transfer_bytes, o)?);
    }
    h.bundle(&entries);
    h.abort_all();
    h.drain(&mut Vec::new(), "stop under load")
}

/// Writes a pattern through every slot (if it may), reads it back through them in another order.
fn write_and_read_back<C: Controller>(
    h: &mut Harness<C>,
    o: &Options,
    slots: &[u16],
    salt: u8,
) -> Result<(), Failure> {
    const STEP: &str = "write and read back";
    let block = u64::from(h.unit()?.1.block_size);
    let blocks_each = o.transfer_bytes / block;
    let places = (h.unit()?.1.blocks / blocks_each).max(1);
    let lba = |slot: u16| u64::from(slot) % places * blocks_each;
    let pattern = |slot: u16| (u64::from(slot) % places) as u8 ^ salt.wrapping_mul(31);
    if o.writable {
        let mut entries = Vec::new();
        for &slot in slots {
            let at = h.buffer(slot, o);
            let _ = h.region.memory().fill(at, o.transfer_bytes as usize, pattern(slot));
            entries.push(h.prepare(slot, true, lba(slot), o.transfer_bytes, o)?);
        }
        run(h, STEP, &entries)?;
    }
    let mut entries = Vec::new();
    for &slot in slots.iter().rev() {
        let at = h.buffer(slot, o);
        let _ = h.region.memory().fill(at, o.transfer_bytes as usize, 0xee);
        entries.push(h.prepare(slot, false, lba(slot), o.transfer_bytes, o)?);
    }
    run(h, STEP, &entries)?;
    if o.writable {
        let mut data = vec![0; o.transfer_bytes as usize];
        for &slot in slots {
            let _ = h.region.memory().read(h.buffer(slot, o), &mut data);
            if data.iter().any(|b| *b != pattern(slot)) {
                return Err(Failure::new(
                    STEP,
                    format!(
                        "slot {slot}: what was written at block {} does not read back",
                        lba(slot)
                    ),
                ));
            }
        }
    }
    Ok(())
}

fn run<C: Controller>(
    h: &mut Harness<C>,
    step: &'static str,
    entries: &[outboard_slots::Entry],
) -> Result<(), Failure> {
    let mut ended = Vec::new();
    for bundle in entries.chunks(MAX_BUNDLE) {
        h.bundle(bundle);
    }
    h.drain(&mut ended, step)?;
    all_good(step, &ended)
}

fn all_good(step: &'static str, ended: &[Ended]) -> Result<(), Failure> {
    match ended.iter().find(|e| !e.good) {
        None => Ok(()),
        Some(bad) => Err(Failure::new(step, format!("slot {} did not end GOOD", bad.slot))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::Ram;

    #[test]
    fn a_sound_driver_passes() {
        let report = check(Ram::default, &Options::default()).unwrap();
        assert_eq!(report.passed.len(), 6);
    }
}
