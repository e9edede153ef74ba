//! How the control thread reaches an I/O thread: rare orders, one relaxed load a round to look.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use outboard_slots::Region;

use crate::control::Control;
use crate::protocol::{FromDriver, TaskManagement};
use crate::values::ServiceResponse;

/// An order to an I/O thread.
pub(crate) enum Order {
    /// see a task management function through, then tell
    Manage(TaskManagement, Arc<Answer>),
    /// end once every task has ended
    Stop,
}

/// One I/O thread's letter box.
pub(crate) struct Mailbox {
    full: AtomicBool,
    orders: Mutex<Vec<Order>>,
    waker: Waker,
}

/// How a sleeping I/O thread is woken.
pub(crate) enum Waker {
    /// by its sleep flag in the region
    Flag(Region, u32),
    /// by an eventfd
    Event(OwnedFd),
}

impl Mailbox {
    pub(crate) fn new(waker: Waker) -> Self {
        Self { full: AtomicBool::new(false), orders: Mutex::default(), waker }
    }

    pub(crate) fn post(&self, order: Order) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
        self.full.store(true, Ordering::SeqCst);
        match &self.waker {
            Waker::Flag(region, queue) => {
                if let Some(words) = region.queue(*queue)
                    && words.driver_flag.must_ring()
                {
                    words.driver_flag.ring();
                }
            }
            Waker::Event(fd) => {
                let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
            }
        }
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    pub(crate) fn take(&self) -> Vec<Order> {
        self.full.store(false, Ordering::SeqCst);
        if let Waker::Event(fd) = &self.waker {
            let _ = rustix::io::read(fd, &mut [0; 8]);
        }
        std::mem::take(&mut *self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The answer to a task management function: sent when every queue has seen it through.
pub(crate) struct Answer {
    pub(crate) control: Arc<Control>,
    pub(crate) left: AtomicUsize,
    pub(crate) id: u64,
}

impl Answer {
    /// One queue is done.
    pub(crate) fn done(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let response = ServiceResponse::FunctionComplete as u32;
            // A host that has gone needs no answer.
            let _ = self.control.send(&FromDriver::Managed { id: self.id, response }, &[]);
        }
    }
}
