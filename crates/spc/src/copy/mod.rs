//! EXTENDED COPY(LID1) and RECEIVE COPY RESULTS (SPC-4 6.4, 6.16 to 6.20): the copy manager.
//!
//! Sources and destinations are logical units of the same target, named by a designator of their
//! Device Identification VPD page. What a list asks for is checked here as a whole ([`Plan`]); the
//! host moves the data, and asks before each segment and each piece whether it still may
//! ([`Target::copy_refused`]). Other errors than those of the list end the command with COPY
//! ABORTED and the number of the segment:
//!
//! | error | additional sense |
//! |---|---|
//! | no such CSCD descriptor | UNREACHABLE COPY TARGET |
//! | it names no unit of this target, or one that is not ready | COPY TARGET DEVICE NOT REACHABLE |
//! | it names another kind of device | INCORRECT COPY TARGET DEVICE TYPE |
//! | no whole number of blocks at either end | UNEXPECTED INEXACT SEGMENT |
//! | beyond the medium, write-protected | none |
//! | RESERVATION CONFLICT, a read or write that failed | THIRD PARTY DEVICE FAILURE |

mod copies;

use outboard_scsi::command::{CdbSize, ReceiveCopyAction, Transfer};
use outboard_scsi::copy::{
    CopyLimits, CopyList, Cscd, ListIdUsage, OperatingParameters, Segment, failed_segment_details,
};
use outboard_scsi::{Command, Lun, Sense, Status};

use crate::nexus::NexusId;
use crate::target::Target;
use crate::unit::LogicalUnit;
use crate::verdict::{Effect, Response};

pub(crate) use copies::Copies;

/// What one list may hold.
pub const LIMITS: CopyLimits =
    CopyLimits { cscds: 16, segments: 64, descriptors_len: 16 * 32 + 64 * 28 };

/// Most copies of a target at a time; see also the host's own limit.
pub const CONCURRENT_COPIES: u8 = 4;

/// A copy that has been accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Who asked for it.
    pub nexus: NexusId,
    /// The unit that has been asked: the copy manager's.
    pub lun: Lun,
    /// LIST IDENTIFIER, if results can be asked for.
    pub list_identifier: Option<u8>,
    /// What to copy, in this order.
    pub segments: Vec<Piece>,
}

/// One segment, or a part of it: as many bytes at both ends, in whole blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Number of the segment in its list, from 0.
    pub number: u16,
    /// Where the data comes from.
    pub source: Extent,
    /// Where it goes.
    pub destination: Extent,
}

/// Blocks of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The unit.
    pub lun: Lun,
    /// First block.
    pub lba: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// Bytes of a block.
    pub block_size: u32,
}

impl Extent {
    /// Bytes of all blocks.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.blocks * self.block_size as u64
    }

    /// Whether there are no blocks.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.blocks == 0
    }

    /// `bytes` of it from byte `at` on; both are whole blocks within it.
    #[must_use]
    pub const fn part(&self, at: u64, bytes: u64) -> Self {
        let block = self.block_size as u64;
        Self { lba: self.lba + at / block, blocks: bytes / block, ..*self }
    }

    fn ends_beyond(&self, unit: &LogicalUnit) -> bool {
        self.lba.checked_add(self.blocks).is_none_or(|end| end > unit.config().capacity.blocks())
    }

    fn transfer(&self) -> Transfer {
        Transfer {
            lba: self.lba,
            blocks: u32::try_from(self.blocks).unwrap_or(u32::MAX),
            fua: false,
            dpo: false,
            protect: 0,
            size: CdbSize::Sixteen,
        }
    }
}

/// What a unit tells of itself as copy manager.
pub(crate) fn operating_parameters(unit: &LogicalUnit) -> OperatingParameters {
    let block_size = unit.config().capacity.block_size();
    OperatingParameters {
        limits: LIMITS,
        // What the number of blocks of a segment can hold.
        max_segment_len: block_size.saturating_mul(u32::from(u16::MAX)),
        concurrent_copies: CONCURRENT_COPIES,
        granularity: block_size.trailing_zeros() as u8,
    }
}

/// The answer to a command about copies, with its parameter list if it has one; `None` if it is
/// none.
pub(crate) fn answer(
    target: &mut Target,
    nexus: NexusId,
    lun: Lun,
    command: &Command,
    bytes: &[u8],
) -> Option<Response> {
    match *command {
        Command::ExtendedCopy { .. } => Some(begin(target, nexus, lun, bytes).into()),
        Command::ReceiveCopyResults { action, list_identifier, allocation_length } => {
            let room = usize::try_from(allocation_length).unwrap_or(usize::MAX).min(RESULTS_MAX);
            let mut out = vec![0; room];
            let unit = target.unit_mut(lun).ok()?;
            Some(match results(unit, nexus, action, list_identifier, &mut out) {
                Ok(len) => {
                    out.truncate(len);
                    Response::good(out)
                }
                Err(sense) => sense.into(),
            })
        }
        _ => None,
    }
}

/// EXTENDED COPY. A list of no bytes, and one without segments, copies nothing.
fn begin(target: &mut Target, nexus: NexusId, lun: Lun, list: &[u8]) -> Result<(), Sense> {
    if list.is_empty() {
        return Ok(());
    }
    let list = CopyList::parse(list, &LIMITS)?;
    let unit = target.unit(lun).ok_or(Sense::LOGICAL_UNIT_NOT_SUPPORTED)?;
    // One that is in progress keeps its identifier, whatever the new list asks for.
    if let Some(identifier) = list.list_identifier
        && unit.copies.is_in_progress(nexus, identifier)
    {
        return Err(Sense::OPERATION_IN_PROGRESS);
    }
    let segments = list
        .segments()
        .enumerate()
        .map(|(number, segment)| piece(target, &list, number as u16, &segment))
        .collect::<Result<Vec<_>, _>>();
    let hold = list.usage == ListIdUsage::Hold;
    let unit = target.unit_mut(lun).map_err(|_| Sense::LOGICAL_UNIT_NOT_SUPPORTED)?;
    if let Some(identifier) = list.list_identifier {
        unit.copies.begin(nexus, identifier, hold);
    }
    let list_identifier = list.list_identifier;
    match segments {
        Ok(segments) => {
            let plan = Plan { nexus, lun, list_identifier, segments };
            target.effects.push(Effect::Copy(Box::new(plan)));
            Ok(())
        }
        Err(sense) => {
            if let Some(identifier) = list_identifier {
                unit.copies.end(nexus, identifier, Some(sense));
            }
            Err(sense)
        }
    }
}

/// Which blocks of which units a segment means.
fn piece(
    target: &Target,
    list: &CopyList<'_>,
    number: u16,
    segment: &Segment,
) -> Result<Piece, Sense> {
    /// Their places in the segment descriptor.
    const SOURCE: u16 = 4;
    const DESTINATION: u16 = 6;

    let (source, source_block) = end(target, list, number, segment.source, SOURCE)?;
    let (destination, block) = end(target, list, number, segment.destination, DESTINATION)?;
    let counted = if segment.destination_count { block } else { source_block };
    let bytes = u64::from(segment.blocks) * u64::from(counted);
    let extent = |lun, lba, block_size: u32| {
        let block = u64::from(block_size);
        let exact = bytes.is_multiple_of(block);
        let inexact = Sense::UNEXPECTED_INEXACT_SEGMENT.with_segment(number);
        exact.then(|| Extent { lun, lba, blocks: bytes / block, block_size }).ok_or(inexact)
    };
    Ok(Piece {
        number,
        source: extent(source, segment.source_lba, source_block)?,
        destination: extent(destination, segment.destination_lba, block)?,
    })
}

/// The unit that CSCD descriptor `id` names, with its block length.
fn end(
    target: &Target,
    list: &CopyList<'_>,
    number: u16,
    id: u16,
    field: u16,
) -> Result<(Lun, u32), Sense> {
    /// PERIPHERAL DEVICE TYPE of direct access block devices.
    const DISK: u8 = 0x00;

    let Some(cscd) = list.cscds().nth(usize::from(id)) else {
        let sense = Sense::UNREACHABLE_COPY_TARGET.with_segment(number);
        return Err(sense.with_segment_field(field));
    };
    if cscd.device_type != DISK {
        return Err(Sense::INCORRECT_COPY_TARGET_DEVICE_TYPE.with_segment(number));
    }
    let named = target.luns().find_map(|lun| {
        let unit = target.unit(lun)?;
        is_named(unit, &cscd).then(|| (lun, unit.config().capacity.block_size()))
    });
    let Some((lun, block_size)) = named else {
        return Err(Sense::COPY_TARGET_DEVICE_NOT_REACHABLE.with_segment(number));
    };
    if cscd.block_length != block_size {
        return Err(Sense::invalid_field_in_parameter_list(cscd.at + 29, None));
    }
    Ok((lun, block_size))
}

fn is_named(unit: &LogicalUnit, cscd: &Cscd<'_>) -> bool {
    unit.config().identity.designators().any(|designator| {
        designator.is(cscd.association, cscd.code_set, cscd.designator_type, cscd.designator)
    })
}

/// RECEIVE COPY RESULTS data; its whole length.
fn results(
    unit: &mut LogicalUnit,
    nexus: NexusId,
    action: ReceiveCopyAction,
    identifier: u8,
    out: &mut [u8],
) -> Result<usize, Sense> {
    match action {
        ReceiveCopyAction::OperatingParameters => Ok(operating_parameters(unit).encode(out)),
        ReceiveCopyAction::CopyStatus => {
            let Some(status) = unit.copies.status(nexus, identifier) else {
                return Err(Sense::invalid_field_in_cdb(2, Some(7)));
            };
            let data = status.encode();
            out.iter_mut().zip(data).for_each(|(to, from)| *to = from);
            Ok(data.len())
        }
        ReceiveCopyAction::FailedSegmentDetails => {
            let Some(sense) = unit.copies.failure(nexus, identifier) else {
                return Ok(failed_segment_details(None, out));
            };
            let mut bytes = [0; outboard_scsi::sense::DESCRIPTOR_LEN_MAX];
            let len = sense.encode(unit.descriptor_sense(), &mut bytes);
            let sense = bytes.get(..len).unwrap_or(&bytes);
            let len = failed_segment_details(Some((Status::CheckCondition.code(), sense)), out);
            // Details that have been told whole are kept no longer.
            if len <= out.len() {
                unit.copies.forget_failure(nexus, identifier);
            }
            Ok(len)
        }
        // No data is ever held: block devices have none.
        ReceiveCopyAction::ReceiveData => Err(Sense::invalid_field_in_cdb(1, Some(4))),
    }
}

impl Target {
    /// Why a piece of a copy must not be read or written now: the sense data to end the copy
    /// with. A unit may have gone, a reservation may have come.
    #[must_use]
    pub fn copy_refused(&self, nexus: NexusId, piece: &Piece) -> Option<Sense> {
        let Piece { number, source, destination } = piece;
        let read = Command::Read(source.transfer());
        let write = Command::Write(destination.transfer());
        self.end_refused(nexus, source, &read)
            .or_else(|| self.end_refused(nexus, destination, &write))
            .map(|sense| sense.with_segment(*number))
    }

    fn end_refused(&self, nexus: NexusId, extent: &Extent, command: &Command) -> Option<Sense> {
        let Some(unit) = self.unit(extent.lun) else {
            return Some(Sense::COPY_TARGET_DEVICE_NOT_REACHABLE);
        };
        let other_blocks = unit.config().capacity.block_size() != extent.block_size;
        if unit.not_ready().is_some() || other_blocks || !self.nexuses().is_open(nexus) {
            return Some(Sense::COPY_TARGET_DEVICE_NOT_REACHABLE);
        }
        if self.reservation_conflict(nexus, extent.lun, command).is_some() {
            return Some(Sense::THIRD_PARTY_DEVICE_FAILURE);
        }
        let protected = command.changes_medium() && unit.write_protection().is_some();
        (protected || extent.ends_beyond(unit)).then_some(Sense::COPY_ABORTED)
    }

    /// How far a copy is: `segments` begun, `bytes` written.
    pub fn copy_progress(&mut self, plan: &Plan, segments: u16, bytes: u64) {
        if let (Some(identifier), Ok(unit)) = (plan.list_identifier, self.unit_mut(plan.lun)) {
            unit.copies.progress(plan.nexus, identifier, segments, bytes);
        }
    }

    /// A copy is not begun after all.
    pub fn copy_withdrawn(&mut self, plan: &Plan) {
        if let (Some(identifier), Ok(unit)) = (plan.list_identifier, self.unit_mut(plan.lun)) {
            unit.copies.withdraw(plan.nexus, identifier);
        }
    }

    /// A copy has ended, with `error` if it failed.
    pub fn copy_ended(&mut self, plan: &Plan, error: Option<Sense>) {
        if let (Some(identifier), Ok(unit)) = (plan.list_identifier, self.unit_mut(plan.lun)) {
            unit.copies.end(plan.nexus, identifier, error);
        }
    }
}

/// Bytes of the longest RECEIVE COPY RESULTS data.
const RESULTS_MAX: usize = 256;

#[cfg(test)]
mod tests;
