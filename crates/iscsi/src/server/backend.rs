//! The SCSI side of the sessions, lent to each call of the server.

use outboard_scsi::{Direction, Status, TaskAttribute};

/// What the sessions need from a SCSI stack.
///
/// Data moves through buffers of one region; a buffer belongs to a slot. A slot is given out by
/// [`Self::submit`] and ends in exactly one of three ways: [`Self::cancel`] before
/// [`Self::ready`]; [`Self::finish`] after the answer that names it.
pub trait Backend {
    /// A session begins. `initiator_port` is the initiator's port name (`<name>,i,0x<ISID>`).
    /// `None`: no room for a further I_T nexus.
    fn open_nexus(&mut self, initiator_port: &str, relative_target_port: u16) -> Option<u64>;

    /// The session is gone: every task that was made ready is aborted and answered as such. The
    /// server cancels the others itself, before or after this call.
    fn close_nexus(&mut self, nexus: u64);

    /// Takes a command in.
    fn submit(&mut self, command: &ScsiCommand<'_>) -> Submitted;

    /// All data is in the buffer, or the task has none to send: it may run. A task that a
    /// management function has caught meanwhile is answered as aborted.
    fn ready(&mut self, slot: u16, attribute: TaskAttribute);

    /// The task is given up before it was made ready. It is not answered; its slot is free.
    fn cancel(&mut self, slot: u16);

    /// The data of an answer has left the buffer: slot and buffer are free.
    fn finish(&mut self, slot: u16);

    /// Begins a task management function. If it was [`Managed::Begun`], its end is told to
    /// `Server::managed` with `cookie`, after the answers of all tasks it has ended.
    fn manage(&mut self, function: &Function, cookie: u64) -> Managed;

    /// Puts bytes into the region.
    fn copy_in(&mut self, offset: u64, bytes: &[u8]);

    /// Continues a CRC32C over a range of the region.
    fn crc32c(&self, crc: u32, offset: u64, len: u64) -> u32;

    /// How many more commands could be taken in now.
    fn free_slots(&self) -> u32;
}

/// A command for [`Backend::submit`].
#[derive(Clone, Copy, Debug)]
pub struct ScsiCommand<'a> {
    /// nexus of the session
    pub nexus: u64,
    /// the LUN's eight bytes
    pub lun: [u8; 8],
    /// the CDB, 16 bytes or more; what follows the command's length is zeros
    pub cdb: &'a [u8],
    /// task attribute
    pub attribute: TaskAttribute,
    /// unique among the session's tasks, never 0; management functions name it
    pub tag: u64,
    /// Expected Data Transfer Length, bytes
    pub expected: u64,
    /// the answer names it
    pub cookie: u64,
    /// the initiator sends data
    pub write: bool,
    /// the initiator receives data
    pub read: bool,
}

/// What became of a command.
#[derive(Debug)]
pub enum Submitted {
    /// it is answered already; the answer's cookie is the command's
    Answered(ScsiAnswer),
    /// a buffer waits for the data: [`Backend::ready`] goes on
    Buffer {
        /// the task's slot
        slot: u16,
        /// where its buffer begins in the region
        offset: u64,
        /// bytes of data: of data-out at most the expected ones
        len: u64,
        /// which way the CDB moves them
        direction: Direction,
    },
    /// neither slot nor buffer is free: the server tries again when one is
    Full,
}

/// The end of a command.
#[derive(Debug)]
pub struct ScsiAnswer {
    /// the command's
    pub cookie: u64,
    /// the slot to finish once the data has left
    pub slot: Option<u16>,
    /// status
    pub status: Status,
    /// a management function or the end of the nexus has ended it: no status goes to the initiator
    pub aborted: bool,
    /// sense data
    pub sense: Option<Box<[u8]>>,
    /// bytes moved; those beyond the expected ones are not sent
    pub transferred: u64,
    /// bytes that would have been moved with enough room
    pub length: u64,
    /// where data-in begins in the region, unless it is in `data`
    pub offset: u64,
    /// data-in that has no buffer
    pub data: Vec<u8>,
}

/// A task management function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// ABORT TASK
    AbortTask {
        /// nexus
        nexus: u64,
        /// the LUN's eight bytes
        lun: [u8; 8],
        /// tag of the task
        tag: u64,
    },
    /// ABORT TASK SET
    AbortTaskSet {
        /// nexus
        nexus: u64,
        /// the LUN's eight bytes
        lun: [u8; 8],
    },
    /// CLEAR TASK SET
    ClearTaskSet {
        /// the nexus that asks
        nexus: u64,
        /// the LUN's eight bytes
        lun: [u8; 8],
    },
    /// LOGICAL UNIT RESET
    LogicalUnitReset {
        /// the nexus that asks
        nexus: u64,
        /// the LUN's eight bytes
        lun: [u8; 8],
    },
    /// all logical units of the target are reset
    TargetReset {
        /// the nexus that asks
        nexus: u64,
    },
}

/// What became of a management function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Managed {
    /// its end is told later
    Begun,
    /// there is no such logical unit
    NoLun,
    /// the unit does not know it
    NotSupported,
}
