//! What the driver is asked over its control socket. The socket has room for a few hundred requests: what
//! finds none goes with a later turn, for there may be as many tasks to abort at once as there are
//! slots. A driver that does not read is late with its word, and is found by that.

use std::collections::VecDeque;

use outboard_hba::TaskManagement;
use outboard_hba::control::ControlError;
use outboard_slots::Time;

/// Pause before what found no room is tried again, ns.
const AGAIN_NS: u64 = 1_000_000;
/// Most requests that wait for room.
const WAITING_MAX: usize = 1 << 14;

/// Requests on their way, in order.
#[derive(Debug, Default)]
pub(super) struct Requests {
    waiting: VecDeque<TaskManagement>,
    /// when they are tried again
    again: Option<Time>,
}

impl Requests {
    /// Whether some wait for room.
    pub(super) fn wait(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When they are tried again.
    pub(super) fn next_event(&self) -> Time {
        self.again.unwrap_or(Time::NEVER)
    }

    /// Forgets them: their driver has gone, and the fence does what they asked for.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Sends what waits, then `new`, by `offer`, as far as there is room.
    ///
    /// # Errors
    /// Those of `offer`; [`ControlError::Full`] only if far too many wait.
    pub(super) fn send(
        &mut self,
        now: Time,
        new: Vec<TaskManagement>,
        mut offer: impl FnMut(TaskManagement) -> Result<(), ControlError>,
    ) -> Result<(), ControlError> {
        self.waiting.extend(new);
        self.again = None;
        while let Some(request) = self.waiting.pop_front() {
            match offer(request.clone()) {
                Ok(()) => {}
                Err(ControlError::Full) if self.waiting.len() < WAITING_MAX => {
                    self.waiting.push_front(request);
                    self.again = Some(now.plus_nanos(AGAIN_NS));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use outboard_hba::ManagementFunction;
    use outboard_hba::control::Control;
    use outboard_hba::protocol::ToDriver;

    use super::*;

    fn abort(id: u64) -> TaskManagement {
        let function = ManagementFunction::AbortTask { slot: id as u16, generation: id };
        TaskManagement { id, function, target: 0, sequence: vec![id as u32] }
    }

    /// As many as a server can have slots.
    const ALL: u64 = 4096;

    #[test]
    fn as_many_requests_as_slots_reach_a_driver_that_reads_late() {
        let (host, theirs) = Control::pair().unwrap();
        let mut driver = Control::new(theirs);
        let offer = |request| host.offer(&ToDriver::Manage(request));
        let mut requests = Requests::default();
        let mut now = Time::from_nanos(5);
        requests.send(now, (0..ALL).map(abort).collect(), offer).unwrap();
        assert!(requests.wait() && requests.next_event() > now);
        let mut read = 0;
        while read < ALL {
            let waited = requests.next_event();
            while let Some((message, _)) = driver.receive(Some(Duration::ZERO)).unwrap() {
                let ToDriver::Manage(request) = message else { panic!("{message:?}") };
                assert_eq!(request, abort(read));
                read += 1;
            }
            now = waited.min(now.plus_nanos(1));
            requests.send(now, Vec::new(), offer).unwrap();
        }
        assert!(!requests.wait() && requests.next_event() == Time::NEVER);
    }

    #[test]
    fn what_waits_is_bounded_and_can_be_forgotten() {
        let full = |_| Err(ControlError::Full);
        let mut requests = Requests::default();
        requests.send(Time::ZERO, (0..ALL).map(abort).collect(), full).unwrap();
        let many = (0..WAITING_MAX as u64).map(abort).collect();
        assert!(matches!(requests.send(Time::ZERO, many, full), Err(ControlError::Full)));
        requests.clear();
        assert!(!requests.wait());
        requests.send(Time::ZERO, Vec::new(), full).unwrap();
    }
}
