//! Where the time of tasks goes: from event to event, and over all of them.

use serde::Serialize;

use super::TracedTask;

/// A part of a task's life.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// received until its data was there
    Data,
    /// until its bundle was handed over: task set, host
    Wait,
    /// handed over until its completion was seen: the next three together
    Away,
    /// until the driver took it, as it says
    There,
    /// until the driver ended it, as it says
    Driver,
    /// until the host saw that, as the driver says
    Back,
    /// seen until the front end had its status
    Answer,
    /// until its data had left
    Send,
    /// all of it
    Total,
}

impl Part {
    /// All, in the order of a task's life.
    pub const ALL: [Self; 9] = [
        Self::Data,
        Self::Wait,
        Self::Away,
        Self::There,
        Self::Driver,
        Self::Back,
        Self::Answer,
        Self::Send,
        Self::Total,
    ];

    /// Whether the driver's word is in it.
    pub const fn is_claimed(self) -> bool {
        matches!(self, Self::There | Self::Driver | Self::Back)
    }

    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Wait => "wait",
            Self::Away => "away",
            Self::There => "there",
            Self::Driver => "driver",
            Self::Back => "back",
            Self::Answer => "answer",
            Self::Send => "send",
            Self::Total => "total",
        }
    }

    /// In a sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Data => "received until its data was there",
            Self::Wait => "then until its bundle was handed to the driver",
            Self::Away => "then until its completion was seen; of that",
            Self::There => "until the driver took it",
            Self::Driver => "until the driver ended it",
            Self::Back => "until the host saw it",
            Self::Answer => "then until the front end had its status",
            Self::Send => "then until its data had left",
            Self::Total => "received until its data had left",
        }
    }

    /// From when to when it was for a task, ns since the trace's beginning.
    pub fn of(self, task: &TracedTask) -> Option<(u64, u64)> {
        let (host, driver) = (&task.host, &task.driver);
        let received = Some(host.received_ns);
        let (from, to) = match self {
            Self::Data => (received, host.ready_ns),
            Self::Wait => (host.ready_ns, host.published_ns),
            Self::Away => (host.published_ns, host.reaped_ns),
            Self::There => (host.published_ns, driver.taken_ns),
            Self::Driver => (driver.taken_ns, driver.completed_ns),
            Self::Back => (driver.completed_ns, host.reaped_ns),
            // What never went to a driver has been answered by the host itself.
            Self::Answer => (host.reaped_ns.or(host.ready_ns), host.answered_ns),
            Self::Send => (host.answered_ns, host.finished_ns),
            Self::Total => (received, host.finished_ns),
        };
        Some((from?, to?)).filter(|(from, to)| from <= to)
    }

    /// How long it was for a task, ns.
    pub fn length(self, task: &TracedTask) -> Option<u64> {
        self.of(task).map(|(from, to)| to - from)
    }
}

/// A part over all tasks, ns.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Summary {
    /// the part
    pub part: Part,
    /// tasks that have it
    pub tasks: usize,
    /// half of them are no longer
    pub p50_ns: u64,
    /// 99 of 100 are no longer
    pub p99_ns: u64,
    /// the longest
    pub max_ns: u64,
    /// all of them together
    pub sum_ns: u64,
}

/// Each part over all tasks.
pub fn summary(tasks: &[TracedTask]) -> Vec<Summary> {
    Part::ALL.map(|part| of_part(part, tasks)).to_vec()
}

fn of_part(part: Part, tasks: &[TracedTask]) -> Summary {
    let mut lengths: Vec<u64> = tasks.iter().filter_map(|task| part.length(task)).collect();
    lengths.sort_unstable();
    let at = |hundredths: usize| {
        let index = (lengths.len() * hundredths).div_ceil(100).saturating_sub(1);
        lengths.get(index).copied().unwrap_or(0)
    };
    Summary {
        part,
        tasks: lengths.len(),
        p50_ns: at(50),
        p99_ns: at(99),
        max_ns: at(100),
        sum_ns: lengths.iter().sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::trace;
    use super::*;

    #[test]
    fn parts_add_up_to_the_whole() {
        let trace = trace();
        for task in trace.tasks.iter().take(3) {
            let length = |part: Part| part.length(task).unwrap_or(0);
            let host = [Part::Data, Part::Wait, Part::Away, Part::Answer, Part::Send];
            assert_eq!(host.map(length).iter().sum::<u64>(), length(Part::Total));
            let away = [Part::There, Part::Driver, Part::Back].map(length).iter().sum::<u64>();
            assert!(away == length(Part::Away) || away == 0 && task.number == 3);
        }
        assert_eq!(Part::Total.of(&trace.tasks[3]), None, "it has not ended");
    }

    #[test]
    fn percentiles_are_lengths_that_were_seen() {
        let task = |length| {
            let mut task = trace().tasks.remove(0);
            task.host.ready_ns = Some(task.host.received_ns + length);
            task
        };
        let tasks: Vec<_> = (1..=200).map(task).collect();
        let data = summary(&tasks)[0];
        assert_eq!((data.p50_ns, data.p99_ns, data.max_ns), (100, 198, 200));
        assert_eq!((data.tasks, data.sum_ns), (200, 20_100));
        let none = summary(&[])[0];
        assert_eq!((none.tasks, none.p50_ns, none.p99_ns, none.max_ns), (0, 0, 0, 0));
    }
}
