//! Answers from the host's own state.

use outboard_scsi::inquiry::{Peripheral, StandardInquiry};
use outboard_scsi::vpd::{self, Association, Designator, DesignatorValue};
use outboard_scsi::{Command, Lun, Sense, report_luns as luns};

use crate::target::Target;
use crate::unit::LogicalUnit;
use crate::verdict::Verdict;

/// The answer to a command that is for the host, on a unit without unit attention.
pub(crate) fn from_host(
    target: &Target,
    unit: &LogicalUnit,
    port: u16,
    command: &Command,
) -> Verdict {
    match *command {
        Command::TestUnitReady => when_ready(unit, || Verdict::good(Vec::new())),
        Command::ReadCapacity10 => {
            when_ready(unit, || Verdict::good(unit.capacity_data().encode_10().to_vec()))
        }
        Command::ReadCapacity16 { allocation_length } => {
            when_ready(unit, || data(&unit.capacity_data().encode_16(), allocation_length))
        }
        Command::Inquiry { vpd: None, allocation_length } => {
            data(&standard_inquiry(target, unit).encode(), allocation_length)
        }
        Command::Inquiry { vpd: Some(page), allocation_length } => {
            written(allocation_length, |out| vpd_page(target, unit, port, page, out))
        }
        Command::ModeSense(request) => {
            written(request.allocation_length, |out| unit.mode_sense(&request, out))
        }
        Command::ReportLuns { select_report, allocation_length } => {
            report_luns(target, select_report, allocation_length)
        }
        // Further variants are parsed before they are supported here.
        _ => Sense::INVALID_OPCODE.into(),
    }
}

/// The answer where no unit is (SAM-6, incorrect logical unit numbers).
pub(crate) fn without_unit(target: &Target, parsed: Result<Command, Sense>) -> Verdict {
    match parsed {
        Ok(Command::Inquiry { vpd: None, allocation_length }) => {
            let inquiry = StandardInquiry {
                peripheral: Peripheral::NOT_SUPPORTED,
                vendor: [b' '; 8],
                product: [b' '; 16],
                revision: [b' '; 4],
                target_port_groups: 0,
                third_party_copy: false,
                multi_port: target.ports().len() > 1,
            };
            data(&inquiry.encode(), allocation_length)
        }
        Ok(Command::Inquiry { vpd: Some(vpd::SUPPORTED_PAGES), allocation_length }) => {
            written(allocation_length, |out| {
                let pages = [vpd::SUPPORTED_PAGES];
                Ok(vpd::supported_pages(Peripheral::NOT_SUPPORTED, &pages, out))
            })
        }
        Ok(Command::Inquiry { .. }) => Sense::invalid_field_in_cdb(2, Some(7)).into(),
        Ok(Command::ReportLuns { select_report, allocation_length }) => {
            report_luns(target, select_report, allocation_length)
        }
        Ok(Command::RequestSense { descriptor, allocation_length }) => {
            sense_data(&Sense::LOGICAL_UNIT_NOT_SUPPORTED, descriptor, allocation_length)
        }
        _ => Sense::LOGICAL_UNIT_NOT_SUPPORTED.into(),
    }
}

/// The answer to REQUEST SENSE: the unit attention `attention` if there is one, else why the
/// unit is not ready, else NO SENSE (SPC-6, REQUEST SENSE).
pub(crate) fn request_sense(
    target: &Target,
    lun: Lun,
    attention: Option<Sense>,
    descriptor: bool,
    allocation_length: u32,
) -> Verdict {
    let not_ready = target.unit(lun).and_then(LogicalUnit::not_ready);
    let sense = attention.or(not_ready).unwrap_or(Sense::NO_SENSE);
    sense_data(&sense, descriptor, allocation_length)
}

fn report_luns(target: &Target, select_report: u8, allocation_length: u32) -> Verdict {
    /// SELECT REPORT: the LUNs without well-known ones, and all LUNs.
    const LOGICAL_UNITS: u8 = 0x00;
    const ALL: u8 = 0x02;
    /// Well-known logical units, administrative and subsidiary ones: there are none.
    const WELL_KNOWN: u8 = 0x01;
    const ADMINISTRATIVE: u8 = 0x10;
    const NON_SUBSIDIARY: u8 = 0x11;

    let list: Vec<Lun> = match select_report {
        LOGICAL_UNITS | ALL | NON_SUBSIDIARY => target.luns().collect(),
        WELL_KNOWN | ADMINISTRATIVE => Vec::new(),
        _ => return Sense::invalid_field_in_cdb(2, Some(7)).into(),
    };
    let mut out = vec![0; luns::HEADER_LEN + 8 * list.len()];
    luns::encode(list, &mut out);
    data(&out, allocation_length)
}

fn standard_inquiry(target: &Target, unit: &LogicalUnit) -> StandardInquiry {
    let identity = &unit.config().identity;
    StandardInquiry {
        peripheral: Peripheral::DISK,
        vendor: identity.vendor(),
        product: identity.product(),
        revision: identity.revision(),
        target_port_groups: 0,
        third_party_copy: false,
        multi_port: target.ports().len() > 1,
    }
}

fn vpd_page(
    target: &Target,
    unit: &LogicalUnit,
    port: u16,
    page: u8,
    out: &mut [u8],
) -> Result<usize, Sense> {
    let identity = &unit.config().identity;
    let disk = Peripheral::DISK;
    Ok(match page {
        vpd::SUPPORTED_PAGES => vpd::supported_pages(disk, &VPD_PAGES, out),
        vpd::UNIT_SERIAL_NUMBER => vpd::unit_serial_number(disk, identity.serial(), out),
        vpd::DEVICE_IDENTIFICATION => {
            let designators = identity.designators().chain(port_designators(target, port));
            vpd::device_identification(disk, designators, out)
        }
        vpd::BLOCK_LIMITS => unit.block_limits().encode(disk, out),
        vpd::BLOCK_DEVICE_CHARACTERISTICS => unit.characteristics().encode(disk, out),
        vpd::LOGICAL_BLOCK_PROVISIONING => unit.provisioning().encode(disk, out),
        _ => return Err(Sense::invalid_field_in_cdb(2, Some(7))),
    })
}

/// The names of the target port that received the command, and of the target device.
fn port_designators(target: &Target, port: u16) -> impl Iterator<Item = Designator<'_>> {
    let port = target.port(port);
    let protocol = port.map(|port| port.protocol);
    let of_port = |value| Designator { association: Association::TargetPort, protocol, value };
    let id = port.map(|port| of_port(DesignatorValue::RelativeTargetPort(port.relative_id)));
    let name = port
        .filter(|port| !port.name.is_empty())
        .map(|port| of_port(DesignatorValue::ScsiName(&port.name)));
    let device = (!target.name().is_empty()).then(|| Designator {
        association: Association::TargetDevice,
        protocol,
        value: DesignatorValue::ScsiName(target.name()),
    });
    [id, name, device].into_iter().flatten()
}

fn when_ready(unit: &LogicalUnit, answer: impl FnOnce() -> Verdict) -> Verdict {
    match unit.not_ready() {
        None => answer(),
        Some(sense) => sense.into(),
    }
}

fn sense_data(sense: &Sense, descriptor: bool, allocation_length: u32) -> Verdict {
    written(allocation_length, |out| Ok(sense.encode(descriptor, out)))
}

/// GOOD with the data that `write` puts into a buffer, of which it returns the whole length.
fn written(
    allocation_length: u32,
    write: impl FnOnce(&mut [u8]) -> Result<usize, Sense>,
) -> Verdict {
    let mut out = vec![0; length(allocation_length).min(ANSWER_LEN_MAX)];
    match write(&mut out) {
        Ok(len) => {
            out.truncate(len);
            Verdict::good(out)
        }
        Err(sense) => sense.into(),
    }
}

/// GOOD with `data`, cut to the allocation length.
fn data(data: &[u8], allocation_length: u32) -> Verdict {
    Verdict::good(data.get(..length(allocation_length)).unwrap_or(data).to_vec())
}

fn length(allocation_length: u32) -> usize {
    usize::try_from(allocation_length).unwrap_or(usize::MAX)
}

/// Bytes of the longest answer but REPORT LUNS: VPD page 83h, seven designators of at most 259
/// bytes.
const ANSWER_LEN_MAX: usize = 2048;

const VPD_PAGES: [u8; 6] = [
    vpd::SUPPORTED_PAGES,
    vpd::UNIT_SERIAL_NUMBER,
    vpd::DEVICE_IDENTIFICATION,
    vpd::BLOCK_LIMITS,
    vpd::BLOCK_DEVICE_CHARACTERISTICS,
    vpd::LOGICAL_BLOCK_PROVISIONING,
];
