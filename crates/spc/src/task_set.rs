//! The task set of a logical unit (SAM-6 8): which task may start, which has to wait.
//!
//! - A HEAD OF QUEUE task starts at once.
//! - An ORDERED task starts when no HEAD OF QUEUE task and no older task is left.
//! - A SIMPLE task starts when no HEAD OF QUEUE task and no older ORDERED task is left.
//!
//! Tasks that have started may run in any order; that is the driver's business. A task leaves the
//! set when it has ended, not when it has been asked to abort.
//!
//! SIMPLE tasks alone cost a counter each way: the waiting list, linked through the entries, is
//! touched only when a task has to wait. Nothing is allocated after construction.

use outboard_scsi::TaskAttribute;
use thiserror::Error;

/// The tasks of one logical unit, of all nexuses.
#[derive(Clone, Debug)]
pub struct TaskSet {
    entries: Box<[Entry]>,
    running: Running,
    /// Oldest and youngest waiting task, or [`NIL`].
    first: u16,
    last: u16,
    waiting: u16,
}

/// What becomes of a task that was inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// It may start now.
    Start,
    /// It has to wait; a later call names it as started.
    Wait,
}

/// What an identifier stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// No task.
    Free,
    /// A task that waits (dormant).
    Waiting,
    /// A task that has started (enabled).
    Running,
}

/// A call that does not fit the task set. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TaskSetError {
    /// An ACA task without an ACA condition: there are none, since NACA is refused. The command
    /// ends with [`Sense::INVALID_MESSAGE_ERROR`](outboard_scsi::Sense::INVALID_MESSAGE_ERROR).
    #[error("task {0} has the ACA attribute, but there is no ACA condition")]
    AcaNotSupported(u16),
    /// The identifier is in use.
    #[error("task {0} is in the task set already")]
    InUse(u16),
    /// The identifier is not below the capacity.
    #[error("task {0} is beyond the capacity of the task set")]
    OutOfRange(u16),
    /// The task is not there, or has not started.
    #[error("task {0} is not running")]
    NotRunning(u16),
    /// The task is not there.
    #[error("task {0} is not in the task set")]
    Unknown(u16),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    state: TaskState,
    attribute: TaskAttribute,
    older: u16,
    younger: u16,
}

/// Numbers of started tasks.
#[derive(Clone, Copy, Debug, Default)]
struct Running {
    simple: u16,
    ordered: u16,
    head_of_queue: u16,
}

impl TaskSet {
    /// An empty task set for the identifiers below `capacity`, which is at most 65535.
    #[must_use]
    pub fn new(capacity: u16) -> Self {
        Self {
            entries: vec![Entry::FREE; usize::from(capacity)].into(),
            running: Running::default(),
            first: NIL,
            last: NIL,
            waiting: 0,
        }
    }

    /// Adds the youngest task.
    ///
    /// # Errors
    /// [`TaskSetError::AcaNotSupported`], [`TaskSetError::InUse`], [`TaskSetError::OutOfRange`].
    #[inline]
    pub fn insert(&mut self, id: u16, attribute: TaskAttribute) -> Result<Admission, TaskSetError> {
        let nobody_waits = self.first == NIL;
        let entry = self.entries.get_mut(usize::from(id)).ok_or(TaskSetError::OutOfRange(id))?;
        if entry.state != TaskState::Free {
            return Err(TaskSetError::InUse(id));
        }
        let starts = match attribute {
            TaskAttribute::Simple => nobody_waits && self.running.allow_simple(),
            TaskAttribute::Ordered => nobody_waits && self.running.is_empty(),
            TaskAttribute::HeadOfQueue => true,
            TaskAttribute::Aca => return Err(TaskSetError::AcaNotSupported(id)),
        };
        entry.attribute = attribute;
        if starts {
            entry.state = TaskState::Running;
            self.running.add(attribute);
            return Ok(Admission::Start);
        }
        entry.state = TaskState::Waiting;
        self.append(id);
        Ok(Admission::Wait)
    }

    /// Takes a task that has ended out of the set; `start` is called with every task that may
    /// start now, the oldest first.
    ///
    /// # Errors
    /// [`TaskSetError::NotRunning`].
    #[inline]
    pub fn end(&mut self, id: u16, start: &mut impl FnMut(u16)) -> Result<(), TaskSetError> {
        let entry = match self.entries.get_mut(usize::from(id)) {
            Some(entry) if entry.state == TaskState::Running => entry,
            _ => return Err(TaskSetError::NotRunning(id)),
        };
        entry.state = TaskState::Free;
        self.running.remove(entry.attribute);
        if self.first != NIL {
            self.advance(start);
        }
        Ok(())
    }

    /// Takes a task out of the set, whether it has started or not, and says which. `start` is
    /// called as by [`Self::end`].
    ///
    /// # Errors
    /// [`TaskSetError::Unknown`].
    pub fn remove(
        &mut self,
        id: u16,
        start: &mut impl FnMut(u16),
    ) -> Result<TaskState, TaskSetError> {
        let state = self.state(id);
        match state {
            TaskState::Free => return Err(TaskSetError::Unknown(id)),
            TaskState::Running => self.end(id, start)?,
            TaskState::Waiting => {
                self.unlink(id);
                self.free(id);
                self.advance(start);
            }
        }
        Ok(state)
    }

    /// Takes the waiting tasks that `select` names out of the set, the oldest first, then calls
    /// `start` as [`Self::end`] does. For ABORT TASK SET, CLEAR TASK SET and resets: no task is
    /// started that is to be aborted as well. The running ones are not touched.
    pub fn remove_waiting(
        &mut self,
        select: &mut impl FnMut(u16) -> bool,
        start: &mut impl FnMut(u16),
    ) {
        let mut next = self.first;
        while let Some(&Entry { younger, .. }) = self.entries.get(usize::from(next)) {
            if select(next) {
                self.unlink(next);
                self.free(next);
            }
            next = younger;
        }
        self.advance(start);
    }

    /// What `id` stands for.
    #[inline]
    #[must_use]
    pub fn state(&self, id: u16) -> TaskState {
        self.entries.get(usize::from(id)).map_or(TaskState::Free, |entry| entry.state)
    }

    /// Number of tasks, started or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.running.count() + usize::from(self.waiting)
    }

    /// Whether there is no task.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of tasks that wait.
    #[must_use]
    pub fn waiting(&self) -> u16 {
        self.waiting
    }

    /// Starts what may start: the waiting list is in order of age, so that the first task that
    /// may not start keeps all younger ones waiting.
    fn advance(&mut self, start: &mut impl FnMut(u16)) {
        while let Some(&Entry { attribute, .. }) = self.entries.get(usize::from(self.first)) {
            let starts = match attribute {
                TaskAttribute::Ordered => self.running.is_empty(),
                _ => self.running.allow_simple(),
            };
            if !starts {
                return;
            }
            let id = self.first;
            self.unlink(id);
            if let Some(entry) = self.entries.get_mut(usize::from(id)) {
                entry.state = TaskState::Running;
            }
            self.running.add(attribute);
            start(id);
        }
    }

    fn append(&mut self, id: u16) {
        let last = self.last;
        if let Some(entry) = self.entries.get_mut(usize::from(id)) {
            entry.older = last;
            entry.younger = NIL;
        }
        match self.entries.get_mut(usize::from(last)) {
            Some(entry) => entry.younger = id,
            None => self.first = id,
        }
        self.last = id;
        self.waiting += 1;
    }

    /// Takes `id`, which waits, out of the waiting list.
    fn unlink(&mut self, id: u16) {
        let Some(&Entry { older, younger, .. }) = self.entries.get(usize::from(id)) else { return };
        match self.entries.get_mut(usize::from(older)) {
            Some(entry) => entry.younger = younger,
            None => self.first = younger,
        }
        match self.entries.get_mut(usize::from(younger)) {
            Some(entry) => entry.older = older,
            None => self.last = older,
        }
        self.waiting -= 1;
    }

    fn free(&mut self, id: u16) {
        if let Some(entry) = self.entries.get_mut(usize::from(id)) {
            *entry = Entry::FREE;
        }
    }
}

impl Running {
    #[inline]
    fn add(&mut self, attribute: TaskAttribute) {
        *self.counter(attribute) += 1;
    }

    #[inline]
    fn remove(&mut self, attribute: TaskAttribute) {
        *self.counter(attribute) -= 1;
    }

    #[inline]
    fn counter(&mut self, attribute: TaskAttribute) -> &mut u16 {
        match attribute {
            TaskAttribute::Simple => &mut self.simple,
            TaskAttribute::Ordered => &mut self.ordered,
            TaskAttribute::HeadOfQueue | TaskAttribute::Aca => &mut self.head_of_queue,
        }
    }

    /// Whether a SIMPLE task without older ones that wait may start.
    #[inline]
    fn allow_simple(self) -> bool {
        self.ordered == 0 && self.head_of_queue == 0
    }

    #[inline]
    fn is_empty(self) -> bool {
        self.simple == 0 && self.allow_simple()
    }

    fn count(self) -> usize {
        usize::from(self.simple) + usize::from(self.ordered) + usize::from(self.head_of_queue)
    }
}

impl Entry {
    const FREE: Self =
        Self { state: TaskState::Free, attribute: TaskAttribute::Simple, older: NIL, younger: NIL };
}

/// End of the waiting list; never an identifier, since identifiers are below 65535.
const NIL: u16 = u16::MAX;

#[cfg(test)]
mod tests;
