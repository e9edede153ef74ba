//! What a run is made of, drawn from its seed.

use outboard_raid::{ArraySpec, Level, ZoneLayout};

use crate::dice::Dice;
use crate::fault::Fault;
use crate::initiator::Rules;

/// One run. Shares are per mille of the host's rounds.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// bytes of each member
    pub members: Vec<u64>,
    /// how they make an array
    pub array: Option<ArraySpec>,
    /// disks have volatile caches
    pub volatile: bool,
    /// how long a disk request takes, ns: least and most
    pub takes: (u64, u64),
    /// slots of the controller
    pub slots: u16,
    /// bytes of the buffer pool
    pub pool_bytes: u64,
    /// tasks to send
    pub tasks: u64,
    /// most blocks of a task
    pub most: u64,
    /// share of writes among reads and writes, per mille
    pub writes: u64,
    /// share of tasks that are not SIMPLE, per mille
    pub ordered: u64,
    /// task management
    pub manage: u64,
    /// faults in 100,000 rounds
    pub trouble: u64,
    /// which faults
    pub faults: Vec<Fault>,
    /// a mistake that the simulated world makes: see [`crate::planted`]
    pub planted: &'static str,
}

impl Scenario {
    /// Draws one.
    pub fn draw(dice: &mut Dice, tasks: u64) -> Self {
        let members: Vec<_> =
            (0..dice.between(1, 3)).map(|_| [32, 64, 100][dice.below(3) as usize] << 10).collect();
        let level = if dice.chance(300) { Level::Linear } else { Level::Raid0 };
        let zone_layout =
            if dice.chance(500) { ZoneLayout::Original } else { ZoneLayout::Alternate };
        let chunk = 4096 << dice.below(3);
        let array = (members.len() > 1).then_some(ArraySpec { level, chunk, zone_layout });
        let sometimes = |dice: &mut Dice, share: u64, most: u64| match dice.chance(share) {
            true => dice.between(1, most),
            false => 0,
        };
        // A few kinds at a time, so that each is also met without the others.
        let mut faults: Vec<Fault> = Vec::new();
        if dice.chance(920) {
            let share = [60, 200, 600][dice.below(3) as usize];
            faults.extend(Fault::ALL.iter().filter(|_| dice.chance(share)));
        }
        let least = [500, 5_000, 50_000][dice.below(3) as usize];
        Self {
            members,
            array,
            volatile: dice.chance(500),
            takes: (least, least * [2, 10, 60][dice.below(3) as usize]),
            slots: dice.between(1, 40) as u16,
            pool_bytes: 65536 << dice.below(5),
            tasks,
            most: [4, 8, 32][dice.below(3) as usize],
            writes: dice.between(300, 900),
            ordered: sometimes(dice, 500, 300),
            manage: sometimes(dice, 500, 10),
            trouble: [20, 100, 500, 1500][dice.below(4) as usize],
            faults,
            planted: "",
        }
    }

    /// Which answers other than GOOD are to be expected.
    pub(crate) fn rules(&self) -> Rules {
        let has = |which: fn(Fault) -> bool| self.faults.iter().any(|fault| which(*fault));
        Rules {
            failures: has(Fault::ends_tasks),
            ladder: has(|fault| {
                fault.is_lie()
                    || matches!(
                        fault,
                        Fault::Hang | Fault::Slow | Fault::LostDoorbell | Fault::SlowDisk
                    )
            }),
            volatile: self.volatile,
        }
    }
}
