//! The operands of commands that are not about blocks.

/// Operands of MODE SELECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeSelect {
    /// PF: the pages are as the standard has them. False is a vendor's own format.
    pub page_format: bool,
    /// RTD: back to the default values, without a parameter list.
    pub revert_to_defaults: bool,
    /// SP: also save the pages.
    pub save_pages: bool,
    /// Bytes of parameter list that follow as data-out; 0 changes nothing.
    pub parameter_list_length: u16,
    /// True for MODE SELECT(10), which has the longer header.
    pub ten: bool,
}

/// Operands of LOG SENSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSense {
    /// SP: save the parameters.
    pub save: bool,
    /// PPC: only the parameters that have changed (obsolete).
    pub changed_only: bool,
    /// PC, 0 to 3: threshold, cumulative, default threshold, default cumulative values.
    pub page_control: u8,
    /// Page code, 0 to 3Fh.
    pub page: u8,
    /// Subpage code; FFh with page 0 asks for all pages and subpages.
    pub subpage: u8,
    /// PARAMETER POINTER: parameters with a lower code are left out.
    pub parameter_pointer: u16,
    /// Bytes of parameter data the initiator has room for.
    pub allocation_length: u16,
}

/// Operands of REPORT SUPPORTED OPERATION CODES.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportSupportedOpcodes {
    /// RCTD: with the command timeouts descriptors.
    pub timeouts: bool,
    /// REPORTING OPTIONS.
    pub options: ReportingOptions,
    /// REQUESTED OPERATION CODE; without meaning for [`ReportingOptions::All`].
    pub opcode: u8,
    /// REQUESTED SERVICE ACTION; without meaning where the option does not use it.
    pub service_action: u16,
    /// Bytes of parameter data the initiator has room for.
    pub allocation_length: u32,
}

/// REPORTING OPTIONS of REPORT SUPPORTED OPERATION CODES (SPC-6). 100b and above are reserved and
/// never parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportingOptions {
    /// 000b: all commands.
    All,
    /// 001b: one operation code, which has no service actions.
    Opcode,
    /// 010b: one operation code and service action.
    ServiceAction,
    /// 011b: one operation code, and its service action if it has any.
    Either,
}

/// Operands of READ DEFECT DATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadDefectData {
    /// REQ_PLIST: the primary defect list is asked for.
    pub primary: bool,
    /// REQ_GLIST: the grown defect list is asked for.
    pub grown: bool,
    /// DEFECT LIST FORMAT, 0 to 7.
    pub format: u8,
    /// ADDRESS DESCRIPTOR INDEX, the first descriptor asked for; 0 for READ DEFECT DATA(10).
    pub descriptor_index: u32,
    /// Bytes of parameter data the initiator has room for.
    pub allocation_length: u32,
    /// True for READ DEFECT DATA(12), which has the longer header.
    pub twelve: bool,
}

/// Operands of SANITIZE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sanitize {
    /// SERVICE ACTION.
    pub action: SanitizeAction,
    /// IMMED: answer before the work is done.
    pub immediate: bool,
    /// AUSE: after a failure EXIT FAILURE MODE may be used.
    pub allow_unrestricted_exit: bool,
    /// Bytes of parameter list that follow as data-out; only OVERWRITE has one.
    pub parameter_list_length: u16,
}

/// SERVICE ACTION of SANITIZE (SBC-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SanitizeAction {
    /// 01h
    Overwrite = 0x01,
    /// 02h
    BlockErase = 0x02,
    /// 03h
    CryptographicErase = 0x03,
    /// 1Fh
    ExitFailureMode = 0x1F,
}

/// Operands of RESERVE and RELEASE (6) and (10) (SPC-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// 3RDPTY: on behalf of another initiator.
    pub third_party: bool,
    /// EXTENT, obsolete: of a part of the medium.
    pub extent: bool,
    /// LONGID: the third party's identifier is in the parameter list. Only (10) has the bit.
    pub long_id: bool,
    /// Bytes of parameter list that follow as data-out; 0 for RELEASE(6).
    pub parameter_list_length: u16,
    /// True for RESERVE(10) and RELEASE(10).
    pub ten: bool,
}

/// SERVICE ACTION of PERSISTENT RESERVE IN (SPC-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PersistentReserveInAction {
    /// 00h
    ReadKeys = 0x00,
    /// 01h
    ReadReservation = 0x01,
    /// 02h
    ReportCapabilities = 0x02,
    /// 03h
    ReadFullStatus = 0x03,
}

/// Operands of PERSISTENT RESERVE OUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersistentReserveOut {
    /// SERVICE ACTION.
    pub action: PersistentReserveOutAction,
    /// SCOPE, 0 to Fh; 0 is the logical unit.
    pub scope: u8,
    /// TYPE, 0 to Fh. Not every service action uses scope and type.
    pub kind: u8,
    /// Bytes of parameter list that follow as data-out.
    pub parameter_list_length: u32,
}

/// SERVICE ACTION of PERSISTENT RESERVE OUT (SPC-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PersistentReserveOutAction {
    /// 00h
    Register = 0x00,
    /// 01h
    Reserve = 0x01,
    /// 02h
    Release = 0x02,
    /// 03h
    Clear = 0x03,
    /// 04h
    Preempt = 0x04,
    /// 05h
    PreemptAndAbort = 0x05,
    /// 06h
    RegisterAndIgnoreExistingKey = 0x06,
    /// 07h
    RegisterAndMove = 0x07,
}

/// SERVICE ACTION of RECEIVE COPY RESULTS (SPC-6), those of list identifiers of one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ReceiveCopyAction {
    /// 00h: COPY STATUS, RECEIVE COPY STATUS(LID1)
    CopyStatus = 0x00,
    /// 01h: RECEIVE DATA, RECEIVE COPY DATA(LID1)
    ReceiveData = 0x01,
    /// 03h: OPERATING PARAMETERS, RECEIVE COPY OPERATING PARAMETERS
    OperatingParameters = 0x03,
    /// 04h: FAILED SEGMENT DETAILS, RECEIVE COPY FAILURE DETAILS(LID1)
    FailedSegmentDetails = 0x04,
}
