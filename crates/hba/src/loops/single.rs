//! The single paths: one request and one reply message a task, one completion message. With
//! `map_each` the task's buffer is mapped for the task and unmapped after it.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use zerocopy::{FromZeros, IntoBytes};

use outboard_slots::doorbell::Doorbell;
use outboard_slots::task::ParallelResponse;
use outboard_slots::{Entry, Region, TaskExtension, Time};

use super::{Orders, sleep_end};
use crate::mailbox::Mailbox;
use crate::protocol::{SingleCompletion, SingleReply, SingleRequest};
use crate::runner::Runner;
use crate::values::ServiceResponse;

/// One queue's sockets, and the eventfd of its letter box.
pub(crate) struct SingleSockets {
    pub(crate) requests: OwnedFd,
    pub(crate) completions: OwnedFd,
    pub(crate) event: OwnedFd,
}

/// Runs queue `index` until told to stop or the host closes its end.
pub(crate) fn single(
    runner: &mut Runner,
    region: &Region,
    index: u32,
    mailbox: &Mailbox,
    sockets: &SingleSockets,
    map_each: bool,
) -> Result<(), String> {
    let say = |what: &str, e: Errno| format!("single path, {what}: {e}");
    let wake = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|e| say("epoll", e))?;
    for fd in [&sockets.requests, &sockets.event] {
        epoll::add(&wake, fd, epoll::EventData::new_u64(0), epoll::EventFlags::IN)
            .map_err(|e| say("epoll", e))?;
    }
    let first_slot = region.layout().slots_of(index).start as u16;
    let mut buffers = vec![(0u64, 0u64); region.layout().slots_of(index).len()];
    let mut orders = Orders::default();
    let mut consumed = 0u32;
    loop {
        let now = Time::now();
        let mut request = SingleRequest::new_zeroed();
        let came =
            match rustix::net::recv(&sockets.requests, request.as_mut_bytes(), RecvFlags::DONTWAIT)
            {
                Ok((0, _)) => return Ok(()),
                Ok((n, _)) if n == size_of::<SingleRequest>() => true,
                Ok((n, _)) => return Err(format!("single path: request of {n} bytes")),
                Err(Errno::AGAIN | Errno::INTR) => false,
                Err(e) => return Err(say("receive", e)),
            };
        if came {
            consumed = consumed.wrapping_add(1);
            if map_each {
                let at =
                    usize::from(Entry::from_bits(request.entry).index().wrapping_sub(first_slot));
                if let Some(buffer) = buffers.get_mut(at) {
                    *buffer =
                        (request.task.buffer_iovm_addr, request.task.requested_transfer_count);
                    map(region, *buffer, true)?;
                }
            }
            let response = accept(now, runner, region, &request);
            let reply = SingleReply { entry: request.entry, response: u64::from(response as u32) };
            rustix::net::send(&sockets.requests, reply.as_bytes(), SendFlags::NOSIGNAL)
                .map_err(|e| say("reply", e))?;
        }
        runner.poll(now);
        let completed = runner.staged().len();
        for entry in runner.staged().drain(..) {
            if map_each {
                let at = usize::from(entry.index().wrapping_sub(first_slot));
                if let Some(buffer) = buffers.get_mut(at) {
                    map(region, std::mem::take(buffer), false)?;
                }
            }
            complete(region, sockets, entry).map_err(|e| say("completion", e))?;
        }
        if mailbox.is_full() {
            orders.read(mailbox, runner);
        }
        if runner.is_managing() {
            orders.answer(index, consumed, runner);
        }
        if came || completed != 0 {
            continue;
        }
        if orders.stopping && runner.in_flight() == 0 {
            return Ok(());
        }
        if let Some(until) = sleep_end(now, Time::NEVER, runner.next_event()) {
            runner.wait(Doorbell::Readable(wake.as_fd()), until);
        } else {
            core::hint::spin_loop();
        }
    }
}

fn accept(
    now: Time,
    runner: &mut Runner,
    region: &Region,
    request: &SingleRequest,
) -> ServiceResponse {
    // The slot's copy is what task management looks at, nexus included.
    let slot = Entry::from_bits(request.entry).index();
    region.write_task(slot, &request.task);
    region.write_extension(slot, &TaskExtension { nexus: request.nexus, ..TaskExtension::EMPTY });
    runner.single(now, request)
}

fn map(region: &Region, (offset, len): (u64, u64), present: bool) -> Result<(), String> {
    if len == 0 {
        return Ok(());
    }
    region.memory().map_range(offset, len as usize, present).map_err(|e| e.to_string())
}

fn complete(region: &Region, sockets: &SingleSockets, entry: Entry) -> Result<(), Errno> {
    let mut message =
        SingleCompletion { entry: entry.to_bits(), response: ParallelResponse::new_zeroed() };
    if let Some(head) = region.read_response(entry.index()) {
        message.response.head = head;
        if head.sense_length > 7 {
            let mut sense = [0; outboard_slots::SENSE_BYTES];
            region.read_sense(entry.index(), &mut sense);
            message.response.sense_rest.copy_from_slice(&sense[7..]);
        }
    }
    loop {
        match rustix::net::send(&sockets.completions, message.as_bytes(), SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            other => return other.map(|_| ()),
        }
    }
}
