//! What happens in one run, drawn from its seed.

use outboard_raid::{ArraySpec, Level, ZoneLayout};

use crate::initiator::{Dice, Mistakes, Rules};

/// One run. Shares are per mille of the machine's steps.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// disk URLs
    pub(crate) members: Vec<String>,
    pub(crate) array: Option<ArraySpec>,
    pub(crate) slots: u16,
    pub(crate) pool_bytes: u64,
    pub(crate) tasks: u64,
    /// share of writes among reads and writes, per mille
    pub(crate) writes: u64,
    pub(crate) ordered: u64,
    pub(crate) manage: u64,
    pub(crate) crash: u64,
    pub(crate) hang: u64,
    /// lies of each incarnation, and how many of its completions are one, per mille
    pub(crate) lies: (u64, u64),
    /// disks fail
    pub(crate) faults: bool,
    /// dying drivers spoil the data of the writes they have; the host guards it
    pub(crate) scribbles: bool,
    /// the tag of a task that kills its driver
    pub(crate) poison: Option<u64>,
    pub(crate) planted: Planted,
}

/// Mistakes in the host or in the driver that the checkers must find.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Planted {
    #[default]
    Nothing,
    /// an answer is lost in the front end
    AnswerLost,
    /// an answer comes twice
    AnswerTwice,
    /// a slot is never finished
    SlotKept,
    /// after a driver's death everything it had is submitted again, overtaken or not
    OvertakenRepeated,
    /// a successor starts before the dead driver's last request is gone
    NoFence,
    /// data that a dying driver has spoiled is written all the same
    SpoiledRepeated,
    /// the driver acknowledges a write that it has not done
    WriteSwallowed,
}

impl Scenario {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let faults = dice.chance(300);
        let members: Vec<_> = (0..dice.between(1, 3)).map(|_| member(dice, faults)).collect();
        let level = if dice.chance(300) { Level::Linear } else { Level::Raid0 };
        let zone_layout =
            if dice.chance(500) { ZoneLayout::Original } else { ZoneLayout::Alternate };
        let chunk = 4096 << dice.below(3);
        let array = (members.len() > 1 || level == Level::Linear).then_some(ArraySpec {
            level,
            chunk,
            zone_layout,
        });
        let sometimes = |dice: &mut Dice, share: u64, most: u64| match dice.chance(share) {
            true => dice.between(1, most),
            false => 0,
        };
        Self {
            members,
            array,
            slots: dice.between(1, 40) as u16,
            pool_bytes: 65536 << dice.below(5),
            tasks: dice.between(100, 300),
            writes: dice.between(300, 900),
            ordered: sometimes(dice, 500, 300),
            manage: sometimes(dice, 500, 30),
            crash: sometimes(dice, 600, 20),
            hang: sometimes(dice, 300, 5),
            lies: (sometimes(dice, 300, 4), 30),
            faults,
            scribbles: dice.chance(300),
            poison: dice.chance(150).then(|| dice.between(10, 60)),
            planted: Planted::Nothing,
        }
    }

    /// Which answers other than GOOD are to be expected.
    pub(crate) fn rules(&self) -> Rules {
        let lies = self.lies.0 > 0;
        let ladder = self.hang > 0 || lies;
        let deaths = self.crash > 0 || self.poison.is_some();
        Rules { failures: self.faults || deaths || ladder, ladder }
    }

    pub(crate) fn mistakes(&self) -> Mistakes {
        let one = |planted| u32::from(self.planted == planted);
        Mistakes {
            lose: one(Planted::AnswerLost),
            repeat: one(Planted::AnswerTwice),
            keep: one(Planted::SlotKept),
        }
    }
}

fn member(dice: &mut Dice, faults: bool) -> String {
    let kib = [32, 64, 100, 128][dice.below(4) as usize];
    let seed = dice.below(1 << 20);
    let mut url = match dice.below(4) {
        0 => format!("mem:{kib}Ki?delay=0us..300us&delay-seed={seed}"),
        1 => format!("mem:{kib}Ki?block=512"),
        2 => format!("sim:hdd?size={kib}Ki&seed={seed}"),
        _ => format!("sim:ssd?size={kib}Ki&channels=4&seed={seed}"),
    };
    if faults && dice.chance(600) {
        let error = ["medium", "gone", "no-space"][dice.below(3) as usize];
        url += &format!("&errors=0.0{}&error-seed={seed}&error={error}", dice.between(1, 9));
    } else if faults {
        let first = dice.below(kib * 2 - 4);
        url += &format!("&bad={first}..{}", first + dice.between(1, 4));
    }
    url
}
