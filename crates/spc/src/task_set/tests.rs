use proptest::prelude::*;

use super::*;

use TaskAttribute::{Aca, HeadOfQueue, Ordered, Simple};

fn no_start(id: u16) {
    panic!("task {id} started");
}

fn end(set: &mut TaskSet, id: u16) -> Vec<u16> {
    let mut started = Vec::new();
    set.end(id, &mut |id| started.push(id)).unwrap();
    started
}

#[test]
fn simple_tasks_start_at_once() {
    let mut set = TaskSet::new(4);
    for id in 0..4 {
        assert_eq!(set.insert(id, Simple), Ok(Admission::Start));
    }
    set.end(2, &mut no_start).unwrap();
    assert_eq!(set.insert(2, Simple), Ok(Admission::Start));
    assert_eq!(set.len(), 4);
}

#[test]
fn an_ordered_task_drains_the_older_and_blocks_the_younger() {
    let mut set = TaskSet::new(8);
    assert_eq!(set.insert(0, Simple), Ok(Admission::Start));
    assert_eq!(set.insert(1, Simple), Ok(Admission::Start));
    assert_eq!(set.insert(2, Ordered), Ok(Admission::Wait));
    assert_eq!(set.insert(3, Simple), Ok(Admission::Wait));
    assert_eq!(set.insert(4, Simple), Ok(Admission::Wait));
    assert_eq!(set.insert(5, Ordered), Ok(Admission::Wait));
    assert_eq!(set.waiting(), 4);
    assert_eq!(end(&mut set, 1), []);
    assert_eq!(end(&mut set, 0), [2]);
    assert_eq!(end(&mut set, 2), [3, 4]);
    assert_eq!(end(&mut set, 4), []);
    assert_eq!(end(&mut set, 3), [5]);
    assert_eq!(end(&mut set, 5), []);
    assert!(set.is_empty());
}

#[test]
fn a_head_of_queue_task_overtakes_and_holds_the_others_back() {
    let mut set = TaskSet::new(8);
    assert_eq!(set.insert(0, Simple), Ok(Admission::Start));
    assert_eq!(set.insert(1, Ordered), Ok(Admission::Wait));
    assert_eq!(set.insert(2, HeadOfQueue), Ok(Admission::Start));
    assert_eq!(set.insert(3, HeadOfQueue), Ok(Admission::Start));
    assert_eq!(set.insert(4, Simple), Ok(Admission::Wait));
    assert_eq!(end(&mut set, 0), []);
    assert_eq!(end(&mut set, 2), []);
    assert_eq!(end(&mut set, 3), [1]);
    assert_eq!(set.insert(5, HeadOfQueue), Ok(Admission::Start), "beside the ORDERED task");
    assert_eq!(end(&mut set, 1), []);
    assert_eq!(end(&mut set, 5), [4]);
}

#[test]
fn removing_the_task_that_blocks_starts_the_others() {
    let mut set = TaskSet::new(8);
    assert_eq!(set.insert(0, Simple), Ok(Admission::Start));
    assert_eq!(set.insert(1, Ordered), Ok(Admission::Wait));
    assert_eq!(set.insert(2, Simple), Ok(Admission::Wait));
    let mut started = Vec::new();
    assert_eq!(set.remove(1, &mut |id| started.push(id)), Ok(TaskState::Waiting));
    assert_eq!(started, [2]);
    assert_eq!(set.remove(2, &mut no_start), Ok(TaskState::Running));
    assert_eq!(set.remove(2, &mut no_start), Err(TaskSetError::Unknown(2)));
    assert_eq!(set.state(0), TaskState::Running);
}

#[test]
fn removing_several_starts_none_of_them() {
    let mut set = TaskSet::new(8);
    assert_eq!(set.insert(0, Simple), Ok(Admission::Start));
    assert_eq!(set.insert(1, Ordered), Ok(Admission::Wait));
    assert_eq!(set.insert(2, Simple), Ok(Admission::Wait));
    assert_eq!(set.insert(3, Simple), Ok(Admission::Wait));
    let (mut removed, mut started) = (Vec::new(), Vec::new());
    let mut select = |id| {
        if id < 3 {
            removed.push(id);
        }
        id < 3
    };
    set.remove_waiting(&mut select, &mut |id| started.push(id));
    assert_eq!((removed, started), (vec![1, 2], vec![3]));
    assert_eq!((set.len(), set.waiting()), (2, 0));
}

#[test]
fn calls_that_do_not_fit_change_nothing() {
    let mut set = TaskSet::new(2);
    assert_eq!(set.insert(2, Simple), Err(TaskSetError::OutOfRange(2)));
    assert_eq!(set.insert(u16::MAX, Simple), Err(TaskSetError::OutOfRange(u16::MAX)));
    assert_eq!(set.insert(0, Aca), Err(TaskSetError::AcaNotSupported(0)));
    assert_eq!(set.end(0, &mut no_start), Err(TaskSetError::NotRunning(0)));
    assert_eq!(set.insert(0, Simple), Ok(Admission::Start));
    assert_eq!(set.insert(0, Simple), Err(TaskSetError::InUse(0)));
    assert_eq!(set.insert(1, Ordered), Ok(Admission::Wait));
    assert_eq!(set.end(1, &mut no_start), Err(TaskSetError::NotRunning(1)));
    assert_eq!(set.end(7, &mut no_start), Err(TaskSetError::NotRunning(7)));
    assert_eq!(set.len(), 2);
}

/// SAM-6 8 word for word: all tasks in order of age.
#[derive(Default)]
struct Model {
    tasks: Vec<(u16, TaskAttribute, bool)>,
}

impl Model {
    /// Starts every task whose rule allows it; returns them, the oldest first.
    fn start(&mut self) -> Vec<u16> {
        let mut started = Vec::new();
        for index in 0..self.tasks.len() {
            let head = |tasks: &[(u16, TaskAttribute, bool)]| {
                tasks.iter().any(|task| task.1 == HeadOfQueue)
            };
            let older = &self.tasks[..index];
            let (id, attribute, running) = self.tasks[index];
            let may = match attribute {
                HeadOfQueue => true,
                Ordered => older.is_empty() && !head(&self.tasks),
                _ => !older.iter().any(|task| task.1 == Ordered) && !head(&self.tasks),
            };
            if may && !running {
                self.tasks[index].2 = true;
                started.push(id);
            }
        }
        started
    }

    fn remove(&mut self, id: u16) -> Option<bool> {
        let index = self.tasks.iter().position(|task| task.0 == id)?;
        Some(self.tasks.remove(index).2)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u16, TaskAttribute),
    End(u16),
    Remove(u16),
    RemoveWaiting(u16),
}

const CAPACITY: u16 = 12;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let attribute = prop_oneof![
        4 => Just(Simple),
        2 => Just(Ordered),
        1 => Just(HeadOfQueue),
    ];
    let step = prop_oneof![
        6 => (0..CAPACITY, attribute).prop_map(|(id, attribute)| Step::Insert(id, attribute)),
        5 => (0..CAPACITY).prop_map(Step::End),
        1 => (0..CAPACITY).prop_map(Step::Remove),
        1 => (0..CAPACITY).prop_map(Step::RemoveWaiting),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #[test]
    fn behaves_as_the_model(steps in steps()) {
        let mut set = TaskSet::new(CAPACITY);
        let mut model = Model::default();
        for step in steps {
            let mut started = Vec::new();
            let mut start = |id| started.push(id);
            match step {
                Step::Insert(id, attribute) => {
                    let known = model.tasks.iter().any(|task| task.0 == id);
                    match set.insert(id, attribute) {
                        Ok(admission) => {
                            prop_assert!(!known);
                            model.tasks.push((id, attribute, false));
                            if admission == Admission::Start {
                                start(id);
                            }
                        }
                        Err(error) => {
                            prop_assert!(known);
                            prop_assert_eq!(error, TaskSetError::InUse(id));
                        }
                    }
                }
                Step::End(id) => {
                    let running = model.tasks.contains(&(id, Simple, true))
                        || model.tasks.contains(&(id, Ordered, true))
                        || model.tasks.contains(&(id, HeadOfQueue, true));
                    prop_assert_eq!(set.end(id, &mut start).is_ok(), running);
                    if running {
                        model.remove(id);
                    }
                }
                Step::Remove(id) => {
                    let expected = match model.remove(id) {
                        None => Err(TaskSetError::Unknown(id)),
                        Some(false) => Ok(TaskState::Waiting),
                        Some(true) => Ok(TaskState::Running),
                    };
                    prop_assert_eq!(set.remove(id, &mut start), expected);
                }
                Step::RemoveWaiting(below) => {
                    set.remove_waiting(&mut |id| id < below, &mut start);
                    model.tasks.retain(|&(id, _, running)| running || id >= below);
                }
            }
            prop_assert_eq!(started, model.start());
            prop_assert_eq!(set.len(), model.tasks.len());
            let waiting = model.tasks.iter().filter(|task| !task.2).count();
            prop_assert_eq!(usize::from(set.waiting()), waiting);
        }
    }

    /// Nothing waits for ever: when every running task ends, all have run.
    #[test]
    fn every_task_runs(attributes in prop::collection::vec(0..3, 0..usize::from(CAPACITY))) {
        let mut set = TaskSet::new(CAPACITY);
        let mut running = Vec::new();
        for (id, attribute) in (0..).zip(&attributes) {
            let attribute = [Simple, Ordered, HeadOfQueue][*attribute as usize];
            if set.insert(id, attribute) == Ok(Admission::Start) {
                running.push(id);
            }
        }
        let mut ran = 0;
        while let Some(id) = running.pop() {
            set.end(id, &mut |id| running.push(id)).unwrap();
            ran += 1;
        }
        prop_assert_eq!(ran, attributes.len());
        prop_assert!(set.is_empty());
    }
}
