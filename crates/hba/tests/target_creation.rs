//! The known cycles around target creation. In DriverKit each of them hangs a controller's start for
//! ever, or until the kernel panics; here each ends in an error that names who waits for whom.
//!
//! `UserCreateTargetForID` is a synchronous call on the queue that it is bound to; it returns after the
//! host has called back `UserInitializeTargetForID`, on that method's own queue.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use outboard_hba::manifest::{AUXILIARY_QUEUE, DEFAULT_QUEUE};
use outboard_hba::{
    DispatchQueue, DispatchQueues, Manifest, ManifestError, Method, QueueKind, WouldDeadlock,
};

/// Longer than any of it takes, and shorter than for ever.
const PATIENCE: Duration = Duration::from_secs(10);
const PRIVATE_QUEUE: &str = "PrivateQueue";

/// The queues of a controller that creates its targets as Apple's documentation says.
struct Queues {
    all: DispatchQueues,
    default: DispatchQueue,
    auxiliary: DispatchQueue,
    private: DispatchQueue,
}

impl Queues {
    fn new() -> Self {
        let all = DispatchQueues::default();
        let create = |name| all.create(name, QueueKind::Serial).unwrap();
        let (default, auxiliary) = (create(DEFAULT_QUEUE), create(AUXILIARY_QUEUE));
        let private = create(PRIVATE_QUEUE);
        Self { default, auxiliary, private, all }
    }

    /// The call as a driver makes it.
    fn create_target(&self) -> impl FnOnce() -> Result<(), WouldDeadlock> + Send + use<> {
        let (auxiliary, default) = (self.auxiliary.clone(), self.default.clone());
        // The host's call back comes while the call is pending.
        move || auxiliary.dispatch_sync(move || default.dispatch_sync(|| ()))?
    }
}

fn manifest() -> Manifest {
    Manifest::new("com.example.raid", "1.0")
        .queue(AUXILIARY_QUEUE, QueueKind::Serial)
        .bind(Method::CreateTarget, AUXILIARY_QUEUE)
}

/// What a block that runs on a queue comes to; that it comes to an end is the point.
fn outcome_on<R: Send + 'static>(
    queue: &DispatchQueue,
    block: impl FnOnce() -> R + Send + 'static,
) -> Receiver<R> {
    let (sender, receiver) = channel();
    queue.dispatch_async(move || drop(sender.send(block())));
    receiver
}

/// How a block ended; a hang is the failure that is looked for.
#[track_caller]
fn ended(outcome: &Receiver<Result<(), WouldDeadlock>>) -> Result<(), WouldDeadlock> {
    outcome.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it hangs"))
}

#[track_caller]
fn deadlock(outcome: &Receiver<Result<(), WouldDeadlock>>) -> String {
    ended(outcome).unwrap_err().to_string()
}

#[test]
fn created_from_default() {
    let queues = Queues::new();
    let outcome = outcome_on(&queues.default, queues.create_target());
    let message = deadlock(&outcome);
    assert!(
        message.contains("AuxiliaryQueue waits for Default waits for AuxiliaryQueue"),
        "{message}"
    );
    let same = manifest().bind(Method::InitializeTarget, AUXILIARY_QUEUE).check().unwrap_err();
    assert!(
        matches!(same[0], ManifestError::CreateTargetCycle { .. }),
        "at load already: {same:?}"
    );
}

#[test]
fn created_from_the_auxiliary_queue_itself() {
    let queues = Queues::new();
    let outcome = outcome_on(&queues.auxiliary, queues.create_target());
    let message = deadlock(&outcome);
    assert!(message.contains("AuxiliaryQueue waits for AuxiliaryQueue"), "{message}");
}

#[test]
fn the_auxiliary_queue_was_never_made() {
    let queues = DispatchQueues::default();
    queues.create(DEFAULT_QUEUE, QueueKind::Serial).unwrap();
    assert!(queues.find(AUXILIARY_QUEUE).is_none());
    let errors = manifest().check_made(&queues.names()).unwrap_err();
    let message = errors[0].to_string();
    assert!(message.contains(AUXILIARY_QUEUE) && message.contains("never made"), "{message}");
}

#[test]
fn stop_waits_for_the_queue_that_creates() {
    let queues = Queues::new();
    let (stopping, may_stop) = channel::<()>();
    let private = queues.private.clone();
    // Stop, on Default: it waits for the private queue, which is about to create a target.
    let stop = outcome_on(&queues.default, move || {
        may_stop.recv_timeout(PATIENCE).unwrap();
        private.dispatch_sync(|| ())
    });
    let create = queues.create_target();
    let created = outcome_on(&queues.private, move || {
        stopping.send(()).unwrap();
        create()
    });
    // Who closes the cycle is refused; the other one then ends as it should.
    let outcomes = [&stop, &created].map(ended);
    let refused: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    let message = refused[0].to_string();
    for queue in [DEFAULT_QUEUE, AUXILIARY_QUEUE, PRIVATE_QUEUE] {
        assert!(message.contains(queue), "{message}");
    }
}

#[test]
fn created_from_a_third_queue() {
    let queues = Queues::new();
    let outcome = outcome_on(&queues.private, queues.create_target());
    assert_eq!(ended(&outcome), Ok(()));
    assert_eq!(manifest().check(), Ok(()));
    assert_eq!(queues.all.names(), [AUXILIARY_QUEUE, PRIVATE_QUEUE]);
}
