//! The data of REPORT SUPPORTED OPERATION CODES and REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS
//! (SPC-6 6), and the table of all commands known here with their CDB usage.

use crate::bytes::Writer;
use crate::command::{ReportSupportedOpcodes, ReportingOptions, opcode as op};
use crate::sense::Sense;

mod table;

pub use table::COMMANDS;

/// A command: its operation code, its service action, and which bits of its CDB are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandUsage {
    /// OPERATION CODE.
    pub opcode: u8,
    /// SERVICE ACTION, if the operation code has any.
    pub service_action: Option<u8>,
    /// CDB length in bytes, 6 to 16.
    pub len: u8,
    /// CDB USAGE DATA: operation code and service action as they are, in all other bytes the bits
    /// that are looked at.
    usage: [u8; 16],
}

impl CommandUsage {
    /// CDB USAGE DATA, as long as the CDB.
    #[must_use]
    pub fn usage(&self) -> &[u8] {
        self.usage.get(..usize::from(self.len)).unwrap_or(&self.usage)
    }

    /// Whether `cdb` is of this command.
    #[must_use]
    pub fn is_of(&self, cdb: &[u8]) -> bool {
        match *cdb {
            [opcode, action, ..] => {
                opcode == self.opcode && self.service_action.is_none_or(|sa| sa == action & 0x1F)
            }
            _ => false,
        }
    }
}

/// Writes the answer to REPORT SUPPORTED OPERATION CODES for the commands of [`COMMANDS`] that
/// `supported` accepts, as much as `out` holds, and returns its whole length.
///
/// # Errors
/// INVALID FIELD IN CDB where the reporting option does not fit the operation code: 001b for one
/// with service actions, 010b for one without.
pub fn report(
    request: &ReportSupportedOpcodes,
    supported: impl Fn(&CommandUsage) -> bool,
    out: &mut [u8],
) -> Result<usize, Sense> {
    let mut writer = Writer::new(out);
    let commands = || COMMANDS.iter().filter(|command| supported(command));
    if request.options == ReportingOptions::All {
        writer.zeros(4);
        commands().for_each(|command| descriptor(command, request.timeouts, &mut writer));
        let len = u32::try_from(writer.len() - 4).unwrap_or(u32::MAX);
        writer.patch(0, &len.to_be_bytes());
        return Ok(writer.len());
    }

    let mut same_opcode = commands().filter(|command| command.opcode == request.opcode);
    let has_actions = commands().any(|c| c.opcode == request.opcode && c.service_action.is_some());
    let is_known = commands().any(|c| c.opcode == request.opcode);
    let misfit = match request.options {
        ReportingOptions::Opcode => has_actions,
        ReportingOptions::ServiceAction => is_known && !has_actions,
        ReportingOptions::Either | ReportingOptions::All => false,
    };
    if misfit {
        return Err(Sense::invalid_field_in_cdb(2, Some(2)));
    }
    let found = same_opcode.find(|command| match command.service_action {
        Some(action) => u16::from(action) == request.service_action,
        None => request.options == ReportingOptions::Opcode || request.service_action == 0,
    });
    one(found, request.timeouts, &mut writer);
    Ok(writer.len())
}

/// Writes the answer to REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS, of 16 bytes if `extended`, and
/// returns its whole length: ABORT TASK, ABORT TASK SET, CLEAR TASK SET, LOGICAL UNIT RESET and
/// TARGET RESET, without timeouts of their own.
pub fn report_task_management_functions(extended: bool, out: &mut [u8]) -> usize {
    const ABORT_TASK: u8 = 0x80;
    const ABORT_TASK_SET: u8 = 0x40;
    const CLEAR_TASK_SET: u8 = 0x10;
    const LOGICAL_UNIT_RESET: u8 = 0x08;
    const TARGET_RESET: u8 = 0x02;

    let mut writer = Writer::new(out);
    let functions =
        ABORT_TASK | ABORT_TASK_SET | CLEAR_TASK_SET | LOGICAL_UNIT_RESET | TARGET_RESET;
    let additional_length = if extended { 12 } else { 0 };
    writer.put(&[functions, 0, 0, additional_length]).zeros(usize::from(additional_length));
    writer.len()
}

/// A command descriptor of the list of all commands.
fn descriptor(command: &CommandUsage, timeouts: bool, writer: &mut Writer<'_>) {
    const CTDP: u8 = 0x02;
    const SERVACTV: u8 = 0x01;

    let flags = if timeouts { CTDP } else { 0 }
        | if command.service_action.is_some() { SERVACTV } else { 0 };
    let action = u16::from(command.service_action.unwrap_or(0));
    writer.put(&[command.opcode, 0]).put(&action.to_be_bytes()).put(&[0, flags, 0, command.len]);
    if timeouts {
        timeouts_descriptor(command, writer);
    }
}

/// The answer about one command.
fn one(command: Option<&CommandUsage>, timeouts: bool, writer: &mut Writer<'_>) {
    const CTDP: u8 = 0x80;
    const NOT_SUPPORTED: u8 = 0b001;
    const AS_THE_STANDARD: u8 = 0b011;

    let Some(command) = command else {
        writer.put(&[0, NOT_SUPPORTED, 0, 0]);
        return;
    };
    let flags = AS_THE_STANDARD | if timeouts { CTDP } else { 0 };
    writer.put(&[0, flags, 0, command.len]).put(command.usage());
    if timeouts {
        timeouts_descriptor(command, writer);
    }
}

/// NOMINAL COMMAND PROCESSING TIMEOUT is not told (0), for it is the disks' own.
fn timeouts_descriptor(command: &CommandUsage, writer: &mut Writer<'_>) {
    /// RECOMMENDED COMMAND TIMEOUT in seconds: the host gives a command up before.
    const RECOMMENDED_S: u32 = 30;
    /// The same of commands that go through the whole medium.
    const RECOMMENDED_LONG_S: u32 = 3600;

    let recommended = match command.opcode {
        op::SANITIZE | op::THIRD_PARTY_COPY_OUT => RECOMMENDED_LONG_S,
        _ => RECOMMENDED_S,
    };
    writer.put(&[0, 10, 0, 0]).zeros(4).put(&recommended.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parse;

    fn request(options: ReportingOptions, opcode: u8, action: u16) -> ReportSupportedOpcodes {
        ReportSupportedOpcodes {
            timeouts: false,
            options,
            opcode,
            service_action: action,
            allocation_length: 4096,
        }
    }

    fn data(request: ReportSupportedOpcodes) -> Result<Vec<u8>, Sense> {
        let mut out = [0xEE; 4096];
        // WRITE ATOMIC is not there.
        let len = report(&request, |c| c.opcode != op::WRITE_ATOMIC_16, &mut out)?;
        Ok(out[..len].to_vec())
    }

    #[test]
    fn the_table_is_in_order_and_its_commands_are_parsed() {
        assert!(COMMANDS.is_sorted_by_key(|c| (c.opcode, c.service_action)));
        for command in &COMMANDS {
            let mut cdb = [0; 16];
            cdb[0] = command.opcode;
            cdb[1] = command.service_action.unwrap_or(0);
            assert_eq!(
                Some(usize::from(command.len)),
                op::cdb_size(command.opcode).map(|s| s.bytes())
            );
            assert!(command.is_of(&cdb) && command.usage().starts_with(&cdb[..1]), "{command:?}");
            let len = usize::from(command.len);
            assert!(parse(&cdb[..len]).is_ok(), "{command:02X?}");
            assert_eq!(command.usage()[len - 1], 0x04, "NACA is looked at");
            if let Some(action) = command.service_action {
                assert_eq!(command.usage()[1] & 0x1F, action);
            }
        }
    }

    /// Every operation code that parses is in the table.
    #[test]
    fn the_table_is_complete() {
        for opcode in 0..=0xFF {
            for action in 0..32 {
                let mut cdb = [0; 16];
                (cdb[0], cdb[1]) = (opcode, action);
                let known = COMMANDS.iter().any(|c| c.is_of(&cdb));
                let unknown = parse(&cdb) == Err(Sense::INVALID_OPCODE);
                assert!(known || unknown || parse(&cdb).is_err(), "{opcode:02X}h/{action:02X}h");
                assert!(!(known && unknown), "{opcode:02X}h/{action:02X}h");
            }
        }
    }

    #[test]
    fn all_commands() {
        let all = data(request(ReportingOptions::All, 0, 0)).unwrap();
        let count = COMMANDS.len() - 1;
        assert_eq!(all.len(), 4 + 8 * count);
        assert_eq!(all[..4], u32::try_from(8 * count).unwrap().to_be_bytes());
        assert_eq!(all[4..12], [0, 0, 0, 0, 0, 0, 0, 6]);
        assert!(all[4..].chunks(8).any(|d| d == [0x9E, 0, 0, 0x10, 0, 1, 0, 16]));
        let timeouts =
            data(ReportSupportedOpcodes { timeouts: true, ..request(ReportingOptions::All, 0, 0) });
        let timeouts = timeouts.unwrap();
        assert_eq!(timeouts.len(), 4 + 20 * count);
        assert_eq!(timeouts[9..12], [2, 0, 6]);
        assert_eq!(timeouts[12..24], [0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 30]);
    }

    #[test]
    fn one_command() {
        use ReportingOptions::{Either, Opcode, ServiceAction};

        let read = [0, 3, 0, 10, 0x28, 0xF8, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0xFF, 0xFF, 4];
        assert_eq!(data(request(Opcode, 0x28, 7)).unwrap(), read);
        assert_eq!(data(request(Either, 0x28, 0)).unwrap(), read);
        assert_eq!(data(request(Either, 0x28, 1)).unwrap(), [0, 1, 0, 0]);
        assert_eq!(data(request(Opcode, 0x9C, 0)).unwrap(), [0, 1, 0, 0]);
        assert_eq!(
            data(request(ServiceAction, 0x9E, 0x10)).unwrap()[..6],
            [0, 3, 0, 16, 0x9E, 0x10]
        );
        assert_eq!(data(request(Either, 0x9E, 0x10)).unwrap()[1], 3);
        assert_eq!(data(request(ServiceAction, 0x9E, 0x1F)).unwrap(), [0, 1, 0, 0]);
        let misfit = Err(Sense::invalid_field_in_cdb(2, Some(2)));
        assert_eq!(data(request(Opcode, 0x9E, 0x10)), misfit);
        assert_eq!(data(request(ServiceAction, 0x28, 0)), misfit);
    }

    #[test]
    fn task_management_functions() {
        let mut out = [0xEE; 16];
        assert_eq!(report_task_management_functions(false, &mut out), 4);
        assert_eq!(out[..5], [0xDA, 0, 0, 0, 0xEE]);
        assert_eq!(report_task_management_functions(true, &mut out), 16);
        assert_eq!(out[..4], [0xDA, 0, 0, 12]);
    }
}
