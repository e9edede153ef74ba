//! The checks that put tasks on a driver.

use outboard_host::stack::Function;
use outboard_slots::MAX_BUNDLE;

use super::rig::{Ends, Rig, What};
use crate::store::Installed;

/// Commands that reach drivers, and vendors' own.
const OPCODES: [u8; 28] = [
    0x00, 0x08, 0x0a, 0x25, 0x28, 0x2a, 0x2e, 0x2f, 0x34, 0x35, 0x41, 0x42, 0x88, 0x89, 0x8a, 0x8b,
    0x8e, 0x8f, 0x90, 0x91, 0x93, 0x9c, 0x9e, 0xa8, 0xaa, 0xc1, 0xe5, 0xff,
];
const ANY_CDBS: usize = 2000;

/// A sequence of numbers that is the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides.max(1)
    }
}

/// So many tasks of `blocks` blocks each, side by side: written, then read.
fn both(rig: &mut Rig<'_>, tasks: u32, blocks: u32, number: u32) -> Result<(), String> {
    let places = (rig.unit.blocks / u64::from(blocks.max(1))).max(1);
    let lba = |task: u32| u64::from(task) % places * u64::from(blocks);
    // No block twice in a bundle: the order within one is the driver's.
    let tasks = tasks.min(u32::try_from(places).unwrap_or(u32::MAX));
    if !rig.unit.read_only {
        let writes = (0..tasks).map(|task| What::Write { lba: lba(task), blocks, number });
        good(rig.all(writes.collect())?, "write")?;
    }
    let reads = (0..tasks).rev().map(|task| What::Read { lba: lba(task), blocks });
    good(rig.all(reads.collect())?, "read")
}

fn good(ends: Ends, what: &str) -> Result<(), String> {
    match ends {
        Ends { aborted: 0, others: 0, .. } => Ok(()),
        _ => Err(format!("not every {what} ended GOOD: {ends:?}")),
    }
}

pub(super) fn bundles(installed: &Installed) -> Result<String, String> {
    let mut rig = Rig::start(installed)?;
    for size in 1..=MAX_BUNDLE as u32 {
        both(&mut rig, size, 8, size)?;
    }
    rig.stop()?;
    Ok(format!("{} tasks", MAX_BUNDLE * (MAX_BUNDLE + 1)))
}

pub(super) fn full_queue(installed: &Installed) -> Result<String, String> {
    let mut rig = Rig::start(installed)?;
    let slots = rig.slots();
    for round in 0..8 {
        both(&mut rig, slots, 8, round + 1)?;
    }
    rig.stop()?;
    Ok(format!("{slots} slots, 8 times"))
}

pub(super) fn sizes(installed: &Installed) -> Result<String, String> {
    let mut rig = Rig::start(installed)?;
    let most = rig.most_blocks();
    for (number, blocks) in [0, 1, 7, most / 2 + 1, most, 0, most].into_iter().enumerate() {
        both(&mut rig, 2, blocks, number as u32 + 1)?;
    }
    let bytes = u64::from(most) * u64::from(rig.unit.block_size);
    rig.stop()?;
    Ok(format!("0 to {bytes} bytes"))
}

pub(super) fn any_cdb(installed: &Installed) -> Result<String, String> {
    let mut rig = Rig::start(installed)?;
    let mut dice = Dice(0x5eed);
    let mut ends = Ends::default();
    for _ in 0..ANY_CDBS / 20 {
        let block = u64::from(rig.unit.block_size);
        let any = |_| {
            let opcode = OPCODES.get(dice.roll(OPCODES.len() as u64) as usize).copied();
            let mut cdb = vec![opcode.unwrap_or(0)];
            let len = match cdb[0] >> 5 {
                0 => 6,
                1 | 2 => 10,
                4 => 16,
                _ => 12,
            };
            // Small fields are likely to be in range.
            cdb.extend((1..len).map(|at| match dice.roll(3) {
                0 if at % 4 == 1 => dice.roll(256) as u8,
                1 => dice.roll(8) as u8,
                _ => 0,
            }));
            What::Any { cdb, bytes: dice.roll(4) * block }
        };
        let some = rig.all((0..20).map(any).collect())?;
        ends.good += some.good;
        ends.others += some.others;
    }
    rig.forget();
    both(&mut rig, 8, 8, 1).map_err(|error| format!("afterwards: {error}"))?;
    rig.stop()?;
    Ok(format!("{} ended GOOD, {} otherwise", ends.good, ends.others))
}

pub(super) fn management(installed: &Installed) -> Result<String, String> {
    let mut rig = Rig::start(installed)?;
    let (mut ended, mut aborted) = (0, 0);
    for round in 0..30u32 {
        let tasks = (0..16).map(|task| What::Read { lba: task * 8, blocks: 8 });
        rig.begin(&tasks.collect::<Vec<_>>())?;
        rig.manage(|nexus, lun| match round % 3 {
            0 => Function::AbortTaskSet { nexus, lun },
            1 => Function::ClearTaskSet { nexus, lun },
            _ => Function::LogicalUnitReset { lun },
        })?;
        let ends = rig.finish()?;
        ended += ends.good;
        aborted += ends.aborted;
        // Unit attentions tell of the resets.
        for _ in 0..4 {
            rig.all(vec![What::Any { cdb: vec![0; 6], bytes: 0 }])?;
        }
    }
    both(&mut rig, 8, 8, 99).map_err(|error| format!("afterwards: {error}"))?;
    rig.stop()?;
    Ok(format!("30 functions; {ended} tasks had ended before, {aborted} were aborted"))
}

pub(super) fn killed_idle(installed: &Installed) -> Result<String, String> {
    let mut rig = Rig::start(installed)?;
    let survives = rig.unit.acks_survive_death;
    for round in 1..=3 {
        both(&mut rig, 32, 8, round)?;
        rig.restart()?;
        if !survives {
            rig.forget();
            // The host tells initiators what may be lost.
            for _ in 0..4 {
                rig.all(vec![What::Any { cdb: vec![0; 6], bytes: 0 }])?;
            }
        }
        let reads = (0..32).map(|task| What::Read { lba: task * 8, blocks: 8 });
        good(rig.all(reads.collect())?, "read after the restart")?;
    }
    rig.stop()?;
    Ok(match survives {
        true => "3 deaths, all writes are there".to_owned(),
        false => {
            "3 deaths; it declares that writes may be lost, and initiators are told".to_owned()
        }
    })
}

pub(super) fn killed_under_load(installed: &Installed) -> Result<String, String> {
    let mut rig = Rig::start(installed)?;
    if !rig.unit.acks_survive_death {
        rig.stop()?;
        return Ok("not asked for: it declares that writes may be lost".to_owned());
    }
    let mut count = 0;
    for round in 1..=10 {
        let tasks = some(&rig, round);
        rig.begin(&tasks)?;
        rig.restart()?;
        let ends = rig.finish()?;
        good(ends, "task that the dead driver had")?;
        count += ends.good;
        let reads = (0..32).map(|task| What::Read { lba: task * 8, blocks: 8 });
        good(rig.all(reads.collect())?, "read after the restart")?;
    }
    rig.stop()?;
    Ok(format!("10 deaths, {count} tasks, no error"))
}

pub(super) fn hung(installed: &Installed) -> Result<String, String> {
    let mut rig = Rig::start(installed)?;
    if !rig.unit.acks_survive_death {
        rig.stop()?;
        return Ok("not asked for: it declares that writes may be lost".to_owned());
    }
    both(&mut rig, 32, 8, 1)?;
    let tasks = some(&rig, 2);
    let seen = rig.hang(&tasks)?;
    rig.restart()?;
    good(rig.finish()?, "task that the hung driver had")?;
    rig.stop()?;
    Ok(format!("seen after {} ms, no error", seen.as_millis()))
}

/// Tasks that write and read, no block twice.
fn some(rig: &Rig<'_>, number: u32) -> Vec<What> {
    let task = |task: u64| match rig.unit.read_only || task % 4 == 3 {
        true => What::Read { lba: task * 8, blocks: 8 },
        false => What::Write { lba: task * 8, blocks: 8, number },
    };
    (0..32).map(task).collect()
}
