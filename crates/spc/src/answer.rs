//! Answers from the host's own state.

use outboard_scsi::command::{ModeSelect, ReadDefectData};
use outboard_scsi::copy::{THIRD_PARTY_COPY, third_party_copy};
use outboard_scsi::inquiry::{Peripheral, StandardInquiry};
use outboard_scsi::vpd::{self, Association, Designator, DesignatorValue};
use outboard_scsi::{Command, Lun, Sense, opcodes, report_luns as luns};

use crate::alua;
use crate::attention::UnitAttention;
use crate::copy;
use crate::nexus::NexusId;
use crate::power;
use crate::reservation;
use crate::sanitize;
use crate::support;
use crate::target::{Scope, Target, TargetPort};
use crate::unit::LogicalUnit;
use crate::verdict::{Response, Verdict};

/// The answer to a command that is for the host, on a unit without unit attention.
pub(crate) fn from_host(
    target: &mut Target,
    nexus: NexusId,
    port: u16,
    lun: Lun,
    command: &Command,
) -> Verdict {
    let Some(unit) = target.unit(lun) else { return Sense::LOGICAL_UNIT_NOT_SUPPORTED.into() };
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
        Command::LogSense(request) => {
            written(u32::from(request.allocation_length), |out| unit.log_sense(&request, out))
        }
        Command::ReportSupportedOpcodes(request) => {
            written(request.allocation_length, |out| support::report(unit, &request, out))
        }
        Command::ReportSupportedTaskManagementFunctions { extended, allocation_length } => {
            written(allocation_length, |out| {
                Ok(opcodes::report_task_management_functions(extended, out))
            })
        }
        Command::ReadDefectData(request) => when_ready(unit, || defect_data(&request)),
        Command::StartStopUnit(operands) => power::start_stop(target, nexus, lun, &operands),
        Command::PreventAllowMediumRemoval { prevent } => {
            power::prevent(target, nexus, lun, prevent).into()
        }
        _ => with_parameters(target, nexus, lun, command, &[]).into(),
    }
}

/// The answer to a command of the host that came with a parameter list.
pub(crate) fn with_parameters(
    target: &mut Target,
    nexus: NexusId,
    lun: Lun,
    command: &Command,
    bytes: &[u8],
) -> Response {
    if let Command::ModeSelect(request) = command {
        return mode_select(target, nexus, lun, request, bytes).into();
    }
    reservation::answer(target, nexus, lun, command, bytes)
        .or_else(|| alua::answer(target, nexus, lun, command, bytes))
        .or_else(|| copy::answer(target, nexus, lun, command, bytes))
        .or_else(|| sanitize::answer(target, lun, command, bytes))
        // Further variants are parsed before they are supported here.
        .unwrap_or_else(|| Sense::INVALID_OPCODE.into())
}

/// MODE SELECT; the other nexuses are told what changed.
fn mode_select(
    target: &mut Target,
    nexus: NexusId,
    lun: Lun,
    request: &ModeSelect,
    list: &[u8],
) -> Result<(), Sense> {
    let unit = target.unit_mut(lun).map_err(|_| Sense::LOGICAL_UNIT_NOT_SUPPORTED)?;
    if unit.mode_select(request, list)? {
        let scope = Scope::AllBut(nexus);
        let _ = target.establish(lun, scope, UnitAttention::ModeParametersChanged);
    }
    Ok(())
}

/// READ DEFECT DATA: the host knows of no defects, in whatever format.
fn defect_data(request: &ReadDefectData) -> Verdict {
    let lists = u8::from(request.primary) << 4 | u8::from(request.grown) << 3;
    let flags = lists | request.format & 0x07;
    if request.twelve {
        data(&[0, flags, 0, 0, 0, 0, 0, 0], request.allocation_length)
    } else {
        data(&[0, flags, 0, 0], request.allocation_length)
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
                removable: false,
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
        target_port_groups: alua::TPGS,
        third_party_copy: true,
        multi_port: target.ports().len() > 1,
        removable: unit.config().removable,
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
        vpd::MANAGEMENT_NETWORK_ADDRESSES => vpd::management_network_addresses(disk, out),
        vpd::EXTENDED_INQUIRY => vpd::ExtendedInquiry {
            volatile_cache: unit.config().volatile_cache,
            revert_to_defaults: true,
            max_sense_len: SENSE_LEN_MAX,
        }
        .encode(disk, out),
        vpd::MODE_PAGE_POLICY => vpd::mode_page_policy(disk, out),
        vpd::SCSI_PORTS => {
            let names: Vec<(u16, Vec<Designator<'_>>)> = target
                .ports()
                .iter()
                .map(|port| (port.relative_id, port_name(port).into_iter().collect()))
                .collect();
            let ports = names
                .iter()
                .map(|(relative_id, names)| vpd::Port { relative_id: *relative_id, names });
            vpd::scsi_ports(disk, ports, out)
        }
        THIRD_PARTY_COPY => third_party_copy(disk, &copy::operating_parameters(unit), out),
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
    let group = port
        .and_then(|port| target.group_of(port.relative_id))
        .map(|group| of_port(DesignatorValue::TargetPortGroup(group)));
    let name = port
        .filter(|port| !port.name.is_empty())
        .map(|port| of_port(DesignatorValue::ScsiName(&port.name)));
    let device = (!target.name().is_empty()).then(|| Designator {
        association: Association::TargetDevice,
        protocol,
        value: DesignatorValue::ScsiName(target.name()),
    });
    [id, group, name, device].into_iter().flatten()
}

/// The SCSI name of a port.
fn port_name(port: &TargetPort) -> Option<Designator<'_>> {
    (!port.name.is_empty()).then(|| Designator {
        association: Association::TargetPort,
        protocol: Some(port.protocol),
        value: DesignatorValue::ScsiName(&port.name),
    })
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

/// Bytes of the longest answer but REPORT LUNS: VPD page 88h, which names 30 ports at most, each
/// in 272 bytes.
const ANSWER_LEN_MAX: usize = 8192;

/// Bytes of the longest sense data.
const SENSE_LEN_MAX: u8 = 252;

const VPD_PAGES: [u8; 11] = [
    vpd::SUPPORTED_PAGES,
    vpd::UNIT_SERIAL_NUMBER,
    vpd::DEVICE_IDENTIFICATION,
    vpd::MANAGEMENT_NETWORK_ADDRESSES,
    vpd::EXTENDED_INQUIRY,
    vpd::MODE_PAGE_POLICY,
    vpd::SCSI_PORTS,
    THIRD_PARTY_COPY,
    vpd::BLOCK_LIMITS,
    vpd::BLOCK_DEVICE_CHARACTERISTICS,
    vpd::LOGICAL_BLOCK_PROVISIONING,
];
