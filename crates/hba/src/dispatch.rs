//! Named dispatch queues: FIFO threads for everything off the task path.
//!
//! A serial queue that waits for a block on itself, or for a queue that waits for it, would wait
//! for ever. DriverKit hangs; here the synchronous call returns [`WouldDeadlock`] at once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::manifest::{DEFAULT_QUEUE, QueueKind};

type Block = Box<dyn FnOnce() + Send>;

/// A synchronous call would have closed a cycle of waiting queues.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a synchronous call to queue {to:?} would wait for ever: {cycle}; dispatch it asynchronously, or from another queue"
)]
pub struct WouldDeadlock {
    /// the queue that was called
    pub to: String,
    /// who waits for whom
    pub cycle: String,
}

/// Why a queue cannot be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// the name is taken
    #[error("dispatch queue {0:?} exists already; a name stands for one queue")]
    Exists(String),
    /// no thread to be had
    #[error("no thread for dispatch queue {0:?}: {1}; raise the driver's process limit")]
    Thread(String, String),
}

/// The dispatch queues of one driver process.
#[derive(Clone, Debug, Default)]
pub struct DispatchQueues(Arc<Mutex<Registry>>);

#[derive(Debug, Default)]
struct Registry {
    queues: HashMap<String, DispatchQueue>,
    /// who waits for whom, by name
    waits: HashMap<String, Vec<String>>,
}

/// A named queue; clones are the same queue.
#[derive(Clone, Debug)]
pub struct DispatchQueue {
    name: Arc<str>,
    kind: QueueKind,
    blocks: Sender<Block>,
    registry: DispatchQueues,
}

thread_local! {
    /// The queues whose blocks this thread is running, outermost first.
    static RUNNING: RefCell<Vec<Arc<str>>> = const { RefCell::new(Vec::new()) };
}

impl DispatchQueues {
    /// Makes a queue. Names are those of the manifest.
    pub fn create(&self, name: &str, kind: QueueKind) -> Result<DispatchQueue, QueueError> {
        let mut registry = self.lock();
        if registry.queues.contains_key(name) {
            return Err(QueueError::Exists(name.to_owned()));
        }
        let (blocks, incoming) = mpsc::channel::<Block>();
        let name: Arc<str> = name.into();
        let running = Arc::clone(&name);
        thread::Builder::new()
            .name(format!("queue {name}"))
            .spawn(move || {
                RUNNING.with(|r| r.borrow_mut().push(running));
                for block in incoming {
                    block();
                }
            })
            .map_err(|e| QueueError::Thread(name.to_string(), e.to_string()))?;
        let queue = DispatchQueue { name, kind, blocks, registry: self.clone() };
        registry.queues.insert(queue.name.to_string(), queue.clone());
        Ok(queue)
    }

    /// The queue of that name.
    pub fn find(&self, name: &str) -> Option<DispatchQueue> {
        self.lock().queues.get(name).cloned()
    }

    /// Names of the queues that were made, Default left out.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.lock().queues.keys().filter(|n| *n != DEFAULT_QUEUE).cloned().collect();
        names.sort();
        names
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        // The registry is consistent between statements, so a poisoned lock is still good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DispatchQueue {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the caller runs on this queue.
    pub fn on_queue(&self) -> bool {
        RUNNING.with(|r| r.borrow().iter().any(|n| **n == *self.name))
    }

    /// Runs `block` later, after everything dispatched before it.
    pub fn dispatch_async(&self, block: impl FnOnce() + Send + 'static) {
        // The queue's thread lives as long as a sender does; a block to a dead one is dropped with
        // the process.
        let _ = self.blocks.send(Box::new(block));
    }

    /// Runs `block` on the queue and waits for its result. On a reentrant queue that the caller
    /// runs on, the block runs at once.
    pub fn dispatch_sync<R: Send + 'static>(
        &self,
        block: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, WouldDeadlock> {
        if self.on_queue() && self.kind == QueueKind::Reentrant {
            return Ok(block());
        }
        let waiter = self.begin_wait()?;
        let (answer, result) = mpsc::channel();
        self.dispatch_async(move || {
            let _ = answer.send(block());
        });
        let result = result.recv();
        self.end_wait(waiter);
        result.map_err(|_| WouldDeadlock {
            to: self.name.to_string(),
            cycle: "the block never ran because the queue has ended".to_owned(),
        })
    }

    /// Notes that the caller's queue waits for this one, unless that closes a cycle.
    fn begin_wait(&self) -> Result<Option<Arc<str>>, WouldDeadlock> {
        let held: Vec<_> = RUNNING.with(|r| r.borrow().clone());
        let Some(waiter) = held.last().cloned() else { return Ok(None) };
        let mut registry = self.registry.lock();
        if let Some(chain) = registry.chain(&self.name, &waiter) {
            let cycle = std::iter::once(&*waiter)
                .chain(chain.iter().map(String::as_str))
                .collect::<Vec<_>>()
                .join(" waits for ");
            return Err(WouldDeadlock { to: self.name.to_string(), cycle });
        }
        registry.waits.entry(waiter.to_string()).or_default().push(self.name.to_string());
        Ok(Some(waiter))
    }

    fn end_wait(&self, waiter: Option<Arc<str>>) {
        let Some(waiter) = waiter else { return };
        let mut registry = self.registry.lock();
        if let Some(waits) = registry.waits.get_mut(&*waiter)
            && let Some(at) = waits.iter().rposition(|n| **n == *self.name)
        {
            waits.swap_remove(at);
        }
    }
}

impl Registry {
    /// The chain of waits from `from` to `to`, both included.
    fn chain(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut chains = vec![vec![from.to_owned()]];
        let mut seen = vec![from.to_owned()];
        while let Some(chain) = chains.pop() {
            let last = chain.last()?;
            if last == to {
                return Some(chain);
            }
            for next in self.waits.get(last).into_iter().flatten() {
                if !seen.contains(next) {
                    seen.push(next.clone());
                    let mut longer = chain.clone();
                    longer.push(next.clone());
                    chains.push(longer);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn blocks_run_in_order() {
        let queue = DispatchQueues::default().create("a", QueueKind::Serial).unwrap();
        let (tx, rx) = channel();
        for i in 0..100 {
            let tx = tx.clone();
            queue.dispatch_async(move || tx.send(i).unwrap());
        }
        assert_eq!(queue.dispatch_sync(|| 7), Ok(7));
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn waiting_for_ones_own_serial_queue_is_refused() {
        let queue = DispatchQueues::default().create("a", QueueKind::Serial).unwrap();
        let inner = queue.clone();
        let answer = queue.dispatch_sync(move || inner.dispatch_sync(|| ())).unwrap();
        assert!(answer.unwrap_err().to_string().contains("a waits for a"));
    }

    #[test]
    fn a_reentrant_queue_may_call_itself() {
        let queue = DispatchQueues::default().create("a", QueueKind::Reentrant).unwrap();
        let inner = queue.clone();
        assert_eq!(queue.dispatch_sync(move || inner.dispatch_sync(|| 3)), Ok(Ok(3)));
    }

    #[test]
    fn a_cycle_over_two_queues_is_refused() {
        let queues = DispatchQueues::default();
        let a = queues.create("a", QueueKind::Serial).unwrap();
        let b = queues.create("b", QueueKind::Serial).unwrap();
        let (a2, b2) = (a.clone(), b.clone());
        let answer = a.dispatch_sync(move || b2.dispatch_sync(move || a2.dispatch_sync(|| ())));
        let text = answer.unwrap().unwrap().unwrap_err().to_string();
        assert!(text.contains("b waits for a waits for b"), "{text}");
        assert_eq!(b.dispatch_sync(|| 1), Ok(1), "the queues go on");
    }

    #[test]
    fn a_name_stands_for_one_queue() {
        let queues = DispatchQueues::default();
        queues.create("a", QueueKind::Serial).unwrap();
        assert!(matches!(queues.create("a", QueueKind::Serial), Err(QueueError::Exists(_))));
        assert_eq!(queues.names(), ["a"]);
    }
}
