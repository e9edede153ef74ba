//! Deliberate mistakes, of the host, of the driver's side and of the simulated world, and what each
//! must show as.

use outboard_raid::{ArraySpec, Level, ZoneLayout};

use crate::fault::Fault;
use crate::run;
use crate::scenario::Scenario;

/// Most runs until a mistake must have shown.
const SEEDS: u64 = 60;
/// Tasks of each.
const TASKS: u64 = 600;

/// A mistake.
#[derive(Clone, Copy, Debug)]
pub struct Mistake {
    /// its name at the place that makes it
    pub name: &'static str,
    /// what must go wrong for it to matter
    pub needs: &'static [Fault],
    /// a word of what the checkers say of it
    pub says: &'static [&'static str],
}

const fn mistake(
    name: &'static str,
    needs: &'static [Fault],
    says: &'static [&'static str],
) -> Mistake {
    Mistake { name, needs, says }
}

/// What a wrong block shows as.
const BLOCK: &[&str] = &["block"];

/// All of them.
pub const ALL: &[Mistake] = &[
    mistake("host: generation not checked", &[Fault::WrongGeneration], &["violations"]),
    mistake("host: owner not checked", &[Fault::DoubleCompletion], &["violations", "none to come"]),
    mistake("host: version not checked", &[Fault::WrongVersion], &["violations"]),
    mistake("host: identifier not checked", &[Fault::WrongIdentifier], &["violations"]),
    mistake("host: bytes not checked", &[Fault::WrongBytes], &["violations", "bytes"]),
    mistake("host: acknowledged writes not noted", &[Fault::Crash], &["overtook"]),
    mistake("host: aborted tasks repeated", &[Fault::Crash], &["after it was aborted"]),
    mistake("host: poison repeated for ever", &[Fault::Poison], &["has killed"]),
    mistake(
        "host: a task not repeated",
        &[Fault::Crash],
        &["has not ended", "hangs", "before task"],
    ),
    mistake("host: no quarantine", &[Fault::WrongVersion], &["block", "submitted", "in use"]),
    mistake("host: quarantine for ever", &[Fault::WrongVersion], &["in use"]),
    mistake("host: functions forgotten at the fence", &[Fault::Crash], &["function", "hangs"]),
    mistake("host: functions end early", &[], &["ended before task"]),
    mistake("host: a buffer not given back", &[], &["bytes free", "hangs"]),
    mistake("host: attributes ignored", &[], &["ended before the older"]),
    mistake("host: ranges not locked", &[], &["both replaced", "block"]),
    mistake("host: no deadlines", &[Fault::Hang], &["has not ended"]),
    mistake("host: doorbell not rung", &[], &["nobody asked", "failed", "has not ended"]),
    mistake("sbc: FUA ignored", &[Fault::PowerLoss], BLOCK),
    mistake("sbc: caches flushed behind the answer", &[Fault::PowerLoss], BLOCK),
    mistake("sbc: a disk's error ignored", &[Fault::DiskError], BLOCK),
    mistake("raid: one member flushed", &[Fault::PowerLoss], BLOCK),
    mistake("raid: reads beside a chunk's beginning", &[], &["block", "difference"]),
    mistake("raid: a part's error lost", &[Fault::DiskError], BLOCK),
    mistake("hba: a wrong identifier", &[], &["no lie was told"]),
    mistake("hba: every task completed twice", &[], &["no lie was told"]),
    mistake("world: an answer is lost", &[], &["has not ended", "ended before the older"]),
    mistake("world: an answer comes twice", &[], &["none to come"]),
    mistake("world: a slot is kept", &[], &["in use"]),
    mistake("world: no fence", &[Fault::Crash], BLOCK),
    mistake("world: rings not renewed", &[Fault::Crash], &["no lie was told", "violations"]),
    mistake("world: damage is not told", &[Fault::MisdirectedWrite], BLOCK),
    mistake("world: damage is not told", &[Fault::TornWrite], BLOCK),
];

/// Runs seeds with a mistake until a checker finds it: which seed, and what it says. An empty name
/// makes none.
pub fn find(name: &'static str, needs: &[Fault]) -> Option<(u64, String)> {
    outboard_slots::planted::plant(name);
    let plant = |scenario: &mut Scenario| {
        // No other trouble, but for that which the mistake needs.
        scenario.planted = name;
        scenario.faults = needs.to_vec();
        scenario.trouble = 2000;
        scenario.members = vec![32 << 10, 32 << 10];
        scenario.array =
            Some(ArraySpec { level: Level::Raid0, chunk: 4096, zone_layout: ZoneLayout::Original });
        scenario.volatile = true;
        scenario.takes = (5_000, 1_000_000);
        scenario.slots = 16;
        scenario.most = 16;
        scenario.pool_bytes = 512 << 10;
        scenario.writes = 700;
        scenario.ordered = 50;
        scenario.manage = 10;
    };
    let found = (0..SEEDS).find_map(|seed| Some((seed, run(seed, TASKS, plant).err()?)));
    outboard_slots::planted::plant("");
    found
}
