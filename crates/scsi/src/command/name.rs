//! What commands are called.

use core::fmt;

use super::Command;

impl Command {
    /// The command's name as the standard writes it, without the CDB length.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TestUnitReady => "TEST UNIT READY",
            Self::RequestSense { .. } => "REQUEST SENSE",
            Self::Inquiry { .. } => "INQUIRY",
            Self::ReportLuns { .. } => "REPORT LUNS",
            Self::ReadCapacity10 | Self::ReadCapacity16 { .. } => "READ CAPACITY",
            Self::ModeSense(_) => "MODE SENSE",
            Self::Read(_) => "READ",
            Self::Write(_) => "WRITE",
            Self::Verify { .. } => "VERIFY",
            Self::WriteAndVerify { .. } => "WRITE AND VERIFY",
            Self::SynchronizeCache { .. } => "SYNCHRONIZE CACHE",
            Self::Unmap { .. } => "UNMAP",
            Self::WriteSame(_) => "WRITE SAME",
            Self::StartStopUnit(_) => "START STOP UNIT",
            Self::CompareAndWrite(_) => "COMPARE AND WRITE",
            Self::OrWrite(_) => "ORWRITE",
            Self::WriteAtomic { .. } => "WRITE ATOMIC",
            Self::PreFetch { .. } => "PRE-FETCH",
            Self::GetLbaStatus(_) => "GET LBA STATUS",
            Self::ReadDefectData(_) => "READ DEFECT DATA",
            Self::Sanitize(_) => "SANITIZE",
            Self::PreventAllowMediumRemoval { .. } => "PREVENT ALLOW MEDIUM REMOVAL",
            Self::ModeSelect(_) => "MODE SELECT",
            Self::LogSense(_) => "LOG SENSE",
            Self::ReportSupportedOpcodes(_) => "REPORT SUPPORTED OPERATION CODES",
            Self::ReportSupportedTaskManagementFunctions { .. } => {
                "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS"
            }
            Self::ExtendedCopy { .. } => "EXTENDED COPY",
            Self::ReceiveCopyResults { .. } => "RECEIVE COPY RESULTS",
            Self::Reserve(_) => "RESERVE",
            Self::Release(_) => "RELEASE",
            Self::PersistentReserveIn { .. } => "PERSISTENT RESERVE IN",
            Self::PersistentReserveOut(_) => "PERSISTENT RESERVE OUT",
            Self::ReportTargetPortGroups { .. } => "REPORT TARGET PORT GROUPS",
            Self::SetTargetPortGroups { .. } => "SET TARGET PORT GROUPS",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self.lba_range() {
            Some(range) => write!(f, " lba {} blocks {}", range.lba, range.blocks),
            None => Ok(()),
        }
    }
}
