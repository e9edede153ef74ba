//! An array: a disk over disks.

use outboard_disk::{
    Allocation, Completion, Disk, DiskError, Engine, Limits, Op, Rejected, Request,
};
use outboard_slots::{Time, planted};

use crate::allocation;
use crate::error::RaidError;
use crate::geometry::Geometry;
use crate::inflight::{self, InFlight};
use crate::limits;
use crate::plan::{Part, Planner};
use crate::spec::ArraySpec;

/// Most requests in flight.
pub const MAX_DEPTH: u32 = 1 << 16;

/// A RAID 0 or linear array. It keeps the contract of [`Disk`] as its members do.
///
/// - A request that one member holds is passed to it with its tag and its segment list: nothing is
///   remembered about it.
/// - Any other request has an entry until all members have answered. Its first error is the
///   request's; a part that a member refuses fails the request, once the parts before it have ended.
///   So a write may end [`DiskError::Busy`] with a part of it written: who needs it whole repeats it.
/// - A flush goes to every member.
/// - Positions of medium and integrity errors are positions in the array.
///
/// Nothing is allocated after construction, except in the caller's completion list.
pub struct Array {
    members: Vec<Box<dyn Disk>>,
    geometry: Geometry,
    limits: Limits,
    /// most bytes of one discard on a member
    member_discard: u64,
    planner: Planner,
    in_flight: InFlight,
    /// requests passed through and not ended
    passed: u32,
    /// ends of requests that no member was asked for
    ended: Vec<Completion>,
}

impl Array {
    /// An array of `members`, in their order, for `depth` requests that go to more than one member
    /// at a time; the members themselves bound the others.
    ///
    /// # Errors
    /// See [`RaidError`]. The members are dropped.
    pub fn new(
        spec: &ArraySpec,
        members: Vec<Box<dyn Disk>>,
        depth: u32,
    ) -> Result<Self, RaidError> {
        if !(1..=MAX_DEPTH).contains(&depth) {
            return Err(RaidError::Depth { depth });
        }
        let each: Vec<Limits> = members.iter().map(|member| *member.limits()).collect();
        let block_size = limits::block_size(spec, &each)?;
        let transfers = limits::max_transfers(block_size, &each)?;
        let lens: Vec<u64> = each.iter().map(Limits::len_bytes).collect();
        let geometry = Geometry::new(spec, &lens)?;
        Ok(Self {
            limits: limits::merge(spec, &geometry, block_size, &transfers, &each),
            member_discard: limits::discard(block_size, &each).map_or(0, |d| d.max_bytes),
            planner: Planner::new(transfers),
            in_flight: InFlight::new(depth),
            passed: 0,
            ended: Vec::with_capacity(depth as usize),
            members,
            geometry,
        })
    }

    /// Where its bytes lie.
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The rules of [`Limits::check`] that a member would not find broken.
    #[inline]
    fn check(&self, request: &Request<'_>) -> Result<(), DiskError> {
        // Powers of two: `limits::block_size` admits 512 and 4096 alone.
        let mask = u64::from(self.limits.block_size) - 1;
        if (request.offset | request.len) & mask != 0 {
            return Err(DiskError::OutOfRange);
        }
        match request.op {
            Op::Read if request.len > self.limits.max_transfer => Err(DiskError::OutOfRange),
            Op::Read | Op::Flush => Ok(()),
            _ if self.limits.read_only => Err(DiskError::ReadOnly),
            Op::Write { .. } if request.len > self.limits.max_transfer => {
                Err(DiskError::OutOfRange)
            }
            Op::Discard => match &self.limits.discard {
                None => Err(DiskError::Unsupported),
                Some(discard) if request.len > discard.max_bytes => Err(DiskError::OutOfRange),
                Some(_) => Ok(()),
            },
            Op::WriteZeroes { .. } if !self.limits.write_zeroes => Err(DiskError::Unsupported),
            _ => Ok(()),
        }
    }

    /// Whether the one member that holds the request may have it as it is. Data always: a range on
    /// one member that the array's limit admits is within each member's (see [`limits::merge`]).
    #[inline]
    fn is_whole(&self, request: &Request<'_>) -> bool {
        match request.op {
            Op::Discard => request.len <= self.member_discard,
            Op::Flush => self.members.len() == 1,
            _ => true,
        }
    }

    #[inline]
    fn pass(
        &mut self,
        engine: &mut Engine,
        member: usize,
        request: Request<'_>,
    ) -> Result<(), Rejected> {
        let rejected = Rejected { tag: request.tag, error: DiskError::Gone };
        self.members.get_mut(member).ok_or(rejected)?.submit(engine, request)?;
        self.passed += 1;
        Ok(())
    }

    /// A request that goes to several members, to none, or with a tag that cannot be passed on.
    #[inline(never)]
    fn split(&mut self, engine: &mut Engine, request: Request<'_>) -> Result<(), Rejected> {
        let Request { tag: caller, op, offset, len, segments } = request;
        self.limits.check(&request)?;
        let reject = |error| Rejected { tag: caller, error };
        if len == 0 && op != Op::Flush {
            return self.end_at_once(caller);
        }
        let Some(tag) = self.in_flight.open(caller) else { return Err(reject(DiskError::Busy)) };
        let (members, in_flight) = (&mut self.members, &mut self.in_flight);
        let submit = |Part { member, offset, len, segments }: Part<'_>| {
            let member = members.get_mut(member).ok_or(DiskError::Gone)?;
            let part_tag = in_flight.next_part(tag).ok_or(DiskError::OutOfRange)?;
            let part = Request { tag: part_tag, op, offset, len, segments };
            member.submit(engine, part).map_err(|rejected| rejected.error)?;
            in_flight.accepted(tag);
            Ok(())
        };
        let submitted = match op {
            Op::Read | Op::Write { .. } => {
                self.planner.data(&self.geometry, offset, len, segments, submit)
            }
            Op::Flush => {
                let part = |member| Part { member, offset: 0, len: 0, segments: &[] };
                let members = match planted::is("raid: one member flushed") {
                    true => 1,
                    false => self.geometry.members(),
                };
                (0..members).map(part).try_for_each(submit)
            }
            Op::Discard => {
                self.planner.dataless(&self.geometry, offset, len, self.member_discard, submit)
            }
            _ => self.planner.dataless(&self.geometry, offset, len, u64::MAX, submit),
        };
        match submitted {
            Err(error) if !self.in_flight.refused(tag, error) => Err(reject(error)),
            _ => Ok(()),
        }
    }

    /// An empty request ends with the next poll.
    fn end_at_once(&mut self, tag: u64) -> Result<(), Rejected> {
        if self.ended.len() == self.ended.capacity() {
            return Err(Rejected { tag, error: DiskError::Busy });
        }
        self.ended.push(Completion { tag, result: Ok(()) });
        Ok(())
    }

    /// Turns a member's completions, `done[from..]`, into the array's.
    fn translate(&mut self, member: usize, done: &mut Vec<Completion>, from: usize) {
        let mut kept = from;
        for next in from..done.len() {
            let Some(&Completion { tag, result }) = done.get(next) else { break };
            let result = result.map_err(|error| self.in_array(member, error));
            let end = if inflight::passes(tag) {
                self.passed = self.passed.saturating_sub(1);
                Some(Completion { tag, result })
            } else {
                let lost = planted::is("raid: a part's error lost");
                self.in_flight.ended(tag, if lost { Ok(()) } else { result })
            };
            if let (Some(end), Some(place)) = (end, done.get_mut(kept)) {
                *place = end;
                kept += 1;
            }
        }
        done.truncate(kept);
    }

    /// A member's error with its position in the array.
    fn in_array(&self, member: usize, error: DiskError) -> DiskError {
        let (at, in_array): (_, fn(u64) -> DiskError) = match error {
            DiskError::Medium { at } => (at, |at| DiskError::Medium { at }),
            DiskError::Integrity { at } => (at, |at| DiskError::Integrity { at }),
            other => return other,
        };
        // A position that the member has no part of the array at says nothing about where.
        let nowhere = DiskError::System { errno: EIO };
        self.geometry.offset_of(member, at).map_or(nowhere, in_array)
    }
}

impl Disk for Array {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    #[inline]
    fn submit(&mut self, engine: &mut Engine, request: Request<'_>) -> Result<(), Rejected> {
        self.check(&request).map_err(|error| Rejected { tag: request.tag, error })?;
        if inflight::passes(request.tag)
            && let Some((member, offset)) = self.geometry.single(request.offset, request.len)
            && self.is_whole(&request)
        {
            let beside = u64::from(planted::is("raid: reads beside a chunk's beginning"));
            let skewed = beside * 512 * u64::from(offset >= 4096 && request.op == Op::Read);
            return self.pass(engine, member, Request { offset: offset - skewed, ..request });
        }
        self.split(engine, request)
    }

    fn poll(&mut self, engine: &mut Engine, done: &mut Vec<Completion>) {
        done.append(&mut self.ended);
        for index in 0..self.members.len() {
            let from = done.len();
            let Some(member) = self.members.get_mut(index) else { break };
            member.poll(engine, done);
            if done.len() > from {
                self.translate(index, done, from);
            }
        }
    }

    fn next_event(&self) -> Time {
        if !self.ended.is_empty() {
            return Time::ZERO;
        }
        self.members.iter().map(|member| member.next_event()).min().unwrap_or(Time::NEVER)
    }

    fn in_flight(&self) -> u32 {
        self.passed + self.in_flight.len() + self.ended.len() as u32
    }

    fn allocation(&self, offset: u64) -> Allocation {
        allocation::merge(
            &self.geometry,
            u64::from(self.limits.block_size),
            offset,
            |member, at| match self.members.get(member) {
                Some(member) => member.allocation(at),
                None => Allocation { mapped: true, len: u64::MAX },
            },
        )
    }
}

/// `EIO` of Linux.
const EIO: i32 = 5;

#[cfg(test)]
mod tests;
