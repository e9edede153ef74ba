use super::*;

fn region() -> Region {
    let config = outboard_slots::RegionConfig {
        slots_per_queue: 8,
        queues: 1,
        pool_bytes: 65536,
        scratch_bytes: 4096,
    };
    Region::create(config).unwrap()
}

fn command(tag: u64) -> ScsiCommand<'static> {
    ScsiCommand {
        nexus: 3,
        lun: [0; 8],
        cdb: &[0x28, 0, 0, 0, 0, 8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        attribute: outboard_scsi::TaskAttribute::Simple,
        tag,
        expected: 512,
        cookie: tag,
        write: false,
        read: true,
    }
}

/// What a driver says, and completes, as it is told.
struct Driver {
    region: Region,
    says: fn(u64) -> (u64, u64),
    took: Vec<Entry>,
}

impl Channel for Driver {
    fn path(&self) -> Path {
        Path::Bundled
    }

    fn push(&mut self, entry: Entry, _: u32, _: &ParallelTask) -> Result<(), ChannelError> {
        let stamps = self.region.stamps(entry.index()).unwrap();
        assert_eq!(stamps.taken.load(Ordering::Relaxed), 0, "no word of an earlier task is left");
        self.took.push(entry);
        Ok(())
    }

    fn publish(&mut self, _: Time) -> Result<(), ChannelError> {
        Ok(())
    }

    fn reap(&mut self, _: Time, completed: &mut Vec<Completed>) -> Result<(), ChannelError> {
        for entry in self.took.drain(..) {
            let (taken, ended) = (self.says)(Time::now().as_nanos());
            let stamps = self.region.stamps(entry.index()).unwrap();
            stamps.taken.store(taken, Ordering::Relaxed);
            stamps.completed.store(ended, Ordering::Relaxed);
            completed.push(Completed { entry, head: outboard_slots::ResponseHead::EMPTY });
        }
        Ok(())
    }

    fn sense(&self, _: u16, _: &mut [u8; SENSE_BYTES]) {}

    fn idle(&mut self, _: Time, _: Time, _: usize) {}

    fn sequence(&self) -> u32 {
        0
    }
}

fn recorder(tasks: usize) -> (Recorder, oneshot::Receiver<Result<Recorded, TraceError>>) {
    let (done, traced) = oneshot::channel();
    (Recorder::new(Time::now(), Wanted { tasks, seconds: 10 }, done), traced)
}

/// One task there and back; its record.
fn record_of(says: fn(u64) -> (u64, u64)) -> Record {
    let region = region();
    let (mut recorder, mut traced) = recorder(1);
    recorder.received(Time::now(), &command(7), 2, 512);
    recorder.ready(2);
    let mut driver = Driver { region: region.clone(), says, took: Vec::new() };
    for word in [region.stamps(2).unwrap().taken, region.stamps(2).unwrap().completed] {
        word.store(1, Ordering::Relaxed);
    }
    let mut channel = Traced { inner: &mut driver, region: &region, recorder: &mut recorder };
    let task = ParallelTask { command_size: 10, ..ParallelTask::EMPTY };
    channel.push(Entry::new(2, 5), 3, &task).unwrap();
    channel.publish(Time::ZERO).unwrap();
    let mut completed = Vec::new();
    channel.reap(Time::ZERO, &mut completed).unwrap();
    assert_eq!(completed.len(), 1);
    recorder.answered(&Answer { slot: Some(2), ..Answer::EMPTY });
    assert!(!recorder.is_over(Time::now()));
    recorder.finished(2);
    assert!(recorder.is_over(Time::now()), "all that were asked for have ended");
    recorder.end("t", |nexus| Some(format!("initiator {nexus}")));
    let recorded = traced.try_recv().unwrap().unwrap();
    assert_eq!(
        (recorded.full, &*recorded.initiators),
        (true, &[(3, "initiator 3".to_owned())][..])
    );
    recorded.records[0]
}

#[test]
fn every_event_of_a_task_is_there_in_order() {
    let record = record_of(|now| (now, now));
    let host = [record.ready, record.pushed, record.published, record.taken, record.completed]
        .into_iter()
        .chain([record.reaped, record.answered, record.finished]);
    let mut last = record.received;
    for at in host {
        let at = at.unwrap();
        assert!(at >= last);
        last = at;
    }
    assert_eq!((record.claim, record.bundle, record.bundle_size), (Claim::Possible, Some(1), 1));
    assert_eq!((record.cdb_len, record.submissions, record.status), (10, 1, Some(Status::Good)));
}

#[test]
fn what_a_driver_says_is_not_believed() {
    for says in [
        |now| (1, now),
        |now| (now, now - 1),
        |now| (now, now + 1_000_000_000),
        |now| (0, now),
        |now| (now, 0),
        |_| (u64::MAX, u64::MAX),
    ] as [fn(u64) -> (u64, u64); 6]
    {
        let record = record_of(says);
        assert_eq!((record.claim, record.taken, record.completed), (Claim::Impossible, None, None));
        assert!(record.reaped.is_some(), "the host's own times stay");
    }
    assert_eq!(record_of(|_| (0, 0)).claim, Claim::None);
}

#[test]
fn a_trace_is_bounded_in_tasks_and_time_and_ends_with_its_listener() {
    let (mut traced, receiver) = recorder(usize::MAX);
    for slot in (0..8).cycle().take(TASKS_MAX + 100) {
        traced.received(Time::now(), &command(1), slot, 512);
        traced.finished(slot);
    }
    assert_eq!((traced.records.len(), traced.records.capacity()), (TASKS_MAX, TASKS_MAX));
    drop(receiver);

    let (traced, receiver) = recorder(5);
    let now = Time::now();
    assert!(!traced.is_over(now));
    assert!(traced.is_over(now.plus_nanos(10_000_000_000)), "its time is over");
    drop(receiver);
    assert!(traced.is_over(now), "nobody listens");
}

#[test]
fn a_completion_of_another_submission_is_not_the_tasks() {
    let (mut traced, _receiver) = recorder(2);
    traced.received(Time::now(), &command(7), 2, 512);
    let (first, second) = (Entry::new(2, 5), Entry::new(2, 6));
    traced.pushed(first, &ParallelTask::EMPTY);
    traced.publishing();
    traced.reaped(Time::now(), second, 0, 0);
    assert_eq!(traced.records[0].reaped, None);
    traced.pushed(second, &ParallelTask::EMPTY);
    traced.publishing();
    traced.reaped(Time::now(), first, 0, 0);
    assert_eq!(traced.records[0].reaped, None);
    traced.reaped(Time::now(), second, 0, 0);
    assert!(traced.records[0].reaped.is_some());
    assert_eq!((traced.records[0].submissions, traced.records[0].bundle), (2, Some(2)));
}
