//! A region's queue pair: command slots filled and read, response slots filled and read, both
//! rings. What the boundary costs besides the two sides' own work.

use std::hint::black_box;

use outboard_slots::{
    Consumer, Entry, ParallelTask, Producer, QueueWords, Region, RegionConfig, ResponseHead,
};

/// `rounds` bundles of `N` tasks to a driver that is awake, and their completions back.
///
/// Both sides run in this thread, over one mapping.
pub(crate) fn bundles<const N: u16>(rounds: u32) {
    let config = RegionConfig {
        slots_per_queue: u32::from(N),
        queues: 1,
        pool_bytes: 4096,
        scratch_bytes: 4096,
    };
    let Ok(region) = Region::create(config) else {
        eprintln!("no region: memfd_create or mmap failed");
        std::process::exit(1);
    };
    let Some(words) = region.queue(0) else { return };
    let mut ends = Ends::default();
    for round in 0..rounds {
        host_submits::<N>(&mut ends, &region, &words, round);
        driver_answers(&mut ends, &region, &words);
        host_reaps(&mut ends, &region, &words);
    }
}

#[derive(Default)]
struct Ends {
    host_out: Producer,
    driver_in: Consumer,
    driver_out: Producer,
    host_in: Consumer,
}

fn host_submits<const N: u16>(
    ends: &mut Ends,
    region: &Region,
    words: &QueueWords<'_>,
    round: u32,
) {
    let task = ParallelTask { controller_task_identifier: 1, ..ParallelTask::EMPTY };
    for slot in 0..N {
        region.write_task(slot, black_box(&task));
        ends.host_out.push(words.submission, Entry::new(slot, u64::from(round)));
    }
    ends.host_out.publish(words.submission);
    black_box(words.driver_flag.must_ring());
}

fn driver_answers(ends: &mut Ends, region: &Region, words: &QueueWords<'_>) {
    let head = ResponseHead { controller_task_identifier: 1, ..ResponseHead::EMPTY };
    for _ in 0..ends.driver_in.poll(words.submission).unwrap_or(0) {
        let Some(entry) = ends.driver_in.take(words.submission) else { break };
        black_box(&region.read_task(entry.index()));
        region.write_response(entry.index(), black_box(&head));
        ends.driver_out.push(words.completion, entry);
    }
    ends.driver_out.publish(words.completion);
    black_box(words.host_flag.must_ring());
}

fn host_reaps(ends: &mut Ends, region: &Region, words: &QueueWords<'_>) {
    for _ in 0..ends.host_in.poll(words.completion).unwrap_or(0) {
        let Some(entry) = ends.host_in.take(words.completion) else { break };
        black_box(&region.read_response(entry.index()));
    }
}
