//! From a parsed command to an answer or to work.

use outboard_disk::{Disk, Op};
use outboard_scsi::capacity::Capacity;
use outboard_scsi::command::{ByteCheck, LbaRange, LbaStatus, StartStopUnit, WriteSame};
use outboard_scsi::lba_status as wire;
use outboard_scsi::{Command, Sense, Transfer};
use outboard_slots::{Memory, planted};

use crate::report::{MAX_WRITE_SAME_BYTES, UnitReport};
use crate::shape::{Range, Shape, usable};
use crate::task::BufferRange;
use crate::work::{self, Clear, Flush, Pattern, Unmap, Verify, Whole, Work};

mod exclusive;
mod lba_status;

use lba_status::LbaStates;

/// What a command comes to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Begun {
    /// GOOD, with so many bytes transferred
    Good(u64),
    /// GOOD at once, and a flush goes on behind it
    GoodAndFlush,
    /// disk requests
    Work(Work),
}

/// What commands are judged by.
pub(crate) struct Context<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) shape: &'a Shape,
    pub(crate) memory: &'a Memory,
    pub(crate) cdb: &'a [u8],
    pub(crate) buffer: BufferRange,
    /// room for a parameter list
    pub(crate) parameters: &'a mut Vec<u8>,
    pub(crate) report: &'a UnitReport,
}

/// READ and WRITE: what of the disk is moved, 0 bytes included. The hot path, hence apart.
///
/// # Errors
/// In this order: INVALID FIELD IN CDB for protection information, which the medium does not have
/// (SBC-4 4.21); LOGICAL BLOCK ADDRESS OUT OF RANGE; WRITE PROTECTED; INTERNAL TARGET FAILURE for a
/// buffer that no disk may use.
#[inline]
pub(crate) fn transfer(
    shape: &Shape,
    memory: &Memory,
    buffer: BufferRange,
    transfer: &Transfer,
    writes: bool,
) -> Result<Range, Sense> {
    let range = medium(shape, transfer)?;
    if writes && shape.read_only {
        return Err(Sense::WRITE_PROTECTED);
    }
    let len = shape.in_buffer(range.len, buffer);
    usable(memory, buffer, len)?;
    Ok(Range { len, ..range })
}

/// Every command but READ and WRITE.
///
/// # Errors
/// The sense data of a CHECK CONDITION.
pub(crate) fn begin(command: &Command, mut context: Context<'_>) -> Result<Begun, Sense> {
    match command {
        Command::Verify { transfer, byte_check } => {
            let range = medium(context.shape, transfer)?;
            context.verify(range, *byte_check).map(|verify| Begun::work(Work::Verify(verify)))
        }
        Command::WriteAndVerify { transfer, byte_check } => {
            context.write_and_verify(transfer, *byte_check)
        }
        Command::SynchronizeCache { lba, blocks, immediate } => {
            let blocks = u64::from(*blocks);
            let immediate = *immediate || planted::is("sbc: caches flushed behind the answer");
            context.synchronize_cache(LbaRange { lba: *lba, blocks }, immediate)
        }
        Command::Unmap { anchor, parameter_list_length } => {
            context.unmap(*anchor, *parameter_list_length)
        }
        Command::WriteSame(same) => context.write_same(same),
        Command::CompareAndWrite(transfer) => context.compare_and_write(transfer),
        Command::OrWrite(transfer) => context.or_write(transfer),
        Command::WriteAtomic { transfer, boundary } => context.write_atomic(transfer, *boundary),
        Command::PreFetch { lba, blocks, .. } => {
            context.pre_fetch(LbaRange { lba: *lba, blocks: u64::from(*blocks) })
        }
        Command::GetLbaStatus(operands) => context.lba_status(operands),
        Command::StartStopUnit(operands) => Ok(start_stop_unit(operands)),
        Command::TestUnitReady => Ok(Begun::Good(0)),
        Command::ReadCapacity10 => {
            context.data_in(&context.report.capacity().encode_10(), Capacity::LEN_10)
        }
        Command::ReadCapacity16 { allocation_length } => {
            let data = context.report.capacity().encode_16();
            context.data_in(&data, *allocation_length as usize)
        }
        _ => Err(Sense::INVALID_OPCODE),
    }
}

impl Begun {
    /// Work that has nothing to do is done.
    const fn work(work: Work) -> Self {
        let range = match &work {
            Work::Clear(clear) => &clear.range,
            Work::CompareAndWrite(compare) => &compare.write.range,
            Work::OrWrite(or) => &or.range,
            Work::Pattern(pattern) => &pattern.range,
            Work::Transfer(transfer) => &transfer.range,
            Work::Verify(verify) => &verify.range,
            Work::Flush(_) | Work::Unmap(_) => return Self::Work(work),
        };
        if range.len == 0 { Self::Good(0) } else { Self::Work(work) }
    }
}

impl Context<'_> {
    /// The range has been checked; the data-out has not.
    fn verify(&self, range: Range, check: ByteCheck) -> Result<Verify, Sense> {
        let Self { shape, memory, buffer, .. } = *self;
        let (len, bytes) = match check {
            ByteCheck::Medium => (range.len, 0),
            ByteCheck::Compare => {
                let len = shape.in_buffer(range.len, buffer);
                (len, len)
            }
            ByteCheck::CompareOneBlock => (range.len, shape.block()),
        };
        if range.len > 0 {
            if buffer.len < bytes {
                return Err(Sense::DATA_PHASE_ERROR);
            }
            usable(memory, buffer, bytes)?;
        }
        let range = Range { len, ..range };
        Ok(Verify { range, check, data: buffer.offset, done: 0, bytes })
    }

    /// The write is on the medium before it is read back.
    fn write_and_verify(&self, operands: &Transfer, check: ByteCheck) -> Result<Begun, Sense> {
        let Self { shape, memory, buffer, .. } = *self;
        let range = transfer(shape, memory, buffer, operands, true)?;
        let verify = self.verify(range, check)?;
        Ok(Begun::work(Work::Transfer(work::Transfer {
            op: Op::Write { fua: true },
            range,
            data: buffer.offset,
            done: 0,
            then: Some(Verify { bytes: range.len, ..verify }),
            bytes: range.len,
            whole: Whole::No,
        })))
    }

    /// The unit has no cache that could take blocks: GOOD, not CONDITION MET (SBC-4, PRE-FETCH:
    /// "not all of the specified blocks were or will be transferred to the cache").
    fn pre_fetch(&self, blocks: LbaRange) -> Result<Begun, Sense> {
        self.shape.range(blocks).map(|_| Begun::Good(0))
    }

    /// As many descriptors as there is room for, at least one if there is any room.
    fn lba_status(&self, operands: &LbaStatus) -> Result<Begun, Sense> {
        let Self { shape, disk, .. } = *self;
        if operands.report_type != 0 {
            return Err(Sense::invalid_field_in_cdb(14, None));
        }
        shape.range(LbaRange { lba: operands.lba, blocks: 1 })?;
        let room = u64::from(operands.allocation_length).min(self.buffer.len);
        let room = room.saturating_sub(wire::HEADER_LEN as u64);
        let most = (room / wire::DESCRIPTOR_LEN as u64).clamp(1, lba_status::MAX as u64);
        let mut out = [0; wire::HEADER_LEN + lba_status::MAX * wire::DESCRIPTOR_LEN];
        let states = LbaStates::new(disk, shape, operands.lba);
        let len = wire::encode(states.take(most as usize), &mut out);
        let data = out.get(..len).unwrap_or(&out);
        self.data_in(data, operands.allocation_length as usize)
    }

    fn synchronize_cache(&self, blocks: LbaRange, immediate: bool) -> Result<Begun, Sense> {
        let range = self.shape.range(blocks)?;
        let flush = Flush { range, asked: false };
        Ok(if immediate { Begun::GoodAndFlush } else { Begun::Work(Work::Flush(flush)) })
    }

    fn unmap(&mut self, anchor: bool, parameter_list_length: u16) -> Result<Begun, Sense> {
        if self.shape.discard.is_none() {
            return Err(Sense::INVALID_OPCODE);
        }
        if anchor {
            return Err(Sense::invalid_field_in_cdb(1, Some(0)));
        }
        if self.shape.read_only {
            return Err(Sense::WRITE_PROTECTED);
        }
        let len = self.buffer.len.min(u64::from(parameter_list_length));
        if len == 0 {
            return Ok(Begun::Good(0));
        }
        let list = BufferRange { offset: self.buffer.offset, len };
        let unmap = Unmap::new(self.shape, self.memory, list, self.parameters)?;
        Ok(Begun::Work(Work::Unmap(unmap)))
    }

    /// WSNZ is 0: no blocks are those up to the end of the medium. There are no anchored blocks
    /// (ANC_SUP is 0).
    fn write_same(&self, same: &WriteSame) -> Result<Begun, Sense> {
        let Self { shape, memory, buffer, .. } = *self;
        if same.protect != 0 {
            return Err(Sense::invalid_field_in_cdb(1, Some(7)));
        }
        if same.anchor {
            return Err(Sense::invalid_field_in_cdb(1, Some(4)));
        }
        if same.unmap && shape.discard.is_none() {
            return Err(Sense::invalid_field_in_cdb(1, Some(3)));
        }
        let blocks = LbaRange { lba: same.lba, blocks: u64::from(same.blocks) };
        shape.range(blocks)?;
        let blocks = match same.blocks {
            0 => LbaRange { blocks: shape.blocks - same.lba, ..blocks },
            _ => blocks,
        };
        let range = shape.range(blocks)?;
        if shape.read_only {
            return Err(Sense::WRITE_PROTECTED);
        }
        let bytes = if same.no_data_out { 0 } else { shape.block() };
        if buffer.len < bytes {
            return Err(Sense::DATA_PHASE_ERROR);
        }
        usable(memory, buffer, bytes)?;
        let is_zero = same.no_data_out || is_zero(memory, buffer.offset, shape.block())?;
        if is_zero && let Some((op, step)) = zeroing(shape, blocks, same.unmap) {
            return Ok(Begun::work(Work::Clear(Clear { op, range, step, done: 0, bytes })));
        }
        if range.len > MAX_WRITE_SAME_BYTES {
            return Err(Sense::invalid_field_in_cdb(same.size.length_field(), None));
        }
        let data = (!is_zero).then_some(buffer.offset);
        Ok(Begun::work(Work::Pattern(Pattern { range, data, is_filled: false, done: 0, bytes })))
    }

    /// An answer of `data`, of which the initiator has room for `allocation_length` bytes.
    fn data_in(&self, data: &[u8], allocation_length: usize) -> Result<Begun, Sense> {
        let room = usize::try_from(self.buffer.len).unwrap_or(usize::MAX);
        let len = data.len().min(allocation_length).min(room);
        let data = data.get(..len).unwrap_or(data);
        match self.memory.write(self.buffer.offset, data) {
            Ok(()) => Ok(Begun::Good(len as u64)),
            Err(_) => Err(Sense::INTERNAL_TARGET_FAILURE),
        }
    }
}

/// Whether the unit is started, and its medium there, is the host's to know: it outlives a driver. A
/// stop writes the cache to the medium, unless NO_FLUSH (SBC-4, START STOP UNIT).
fn start_stop_unit(operands: &StartStopUnit) -> Begun {
    if operands.start || operands.no_flush {
        return Begun::Good(0);
    }
    match operands.immediate {
        true => Begun::GoodAndFlush,
        false => {
            Begun::Work(Work::Flush(Flush { range: Range { offset: 0, len: 0 }, asked: false }))
        }
    }
}

/// The checks that all commands to blocks have in common.
#[inline]
fn medium(shape: &Shape, transfer: &Transfer) -> Result<Range, Sense> {
    if transfer.protect != 0 {
        return Err(Sense::invalid_field_in_cdb(1, Some(7)));
    }
    shape.range(LbaRange { lba: transfer.lba, blocks: u64::from(transfer.blocks) })
}

/// The operation that makes a range read as zeroes without data, and its longest step; a discard
/// only where it covers the range to the last block and is known to.
fn zeroing(shape: &Shape, blocks: LbaRange, may_unmap: bool) -> Option<(Op, u64)> {
    if shape.write_zeroes {
        return Some((Op::WriteZeroes { may_unmap }, shape.zero_step));
    }
    let discard = shape.discard.filter(|discard| may_unmap && discard.reads_zeroes)?;
    let all = shape.range(blocks).ok()?;
    let whole = all.offset % discard.granularity == 0 && all.len % discard.granularity == 0;
    whole.then_some((Op::Discard, discard.max_bytes))
}

fn is_zero(memory: &Memory, offset: u64, len: u64) -> Result<bool, Sense> {
    let mut block = [0; 4096];
    let bytes = block.get_mut(..len as usize).ok_or(Sense::INTERNAL_TARGET_FAILURE)?;
    memory.read(offset, bytes).map_err(|_| Sense::INTERNAL_TARGET_FAILURE)?;
    Ok(bytes.iter().all(|&byte| byte == 0))
}
