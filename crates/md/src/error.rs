//! Why an array is not made, assembled or stopped: the member, the rule, the mend.

use outboard_disk::OpenError;
use outboard_raid::RaidError;
use rustix::io::Errno;

use crate::superblock::SuperblockError;
use crate::uuid::Uuid;

/// What `outboard array` and the assembly refuse.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MdError {
    /// an array of nothing
    #[error("an array needs at least one member; name its disks")]
    NoMembers,
    /// one disk, named twice
    #[error("{member} is named twice; name each member once")]
    Twice {
        /// the disk
        member: String,
    },
    /// a disk in memory, a simulated one
    #[error("{member} is no file and no block device, so that no superblock lasts on it; name one")]
    NotLasting {
        /// the disk
        member: String,
    },
    /// it cannot be opened
    #[error(transparent)]
    Open(#[from] OpenError),
    /// the kernel said no
    #[error("{member}: {call} failed: {source}")]
    System {
        /// the disk
        member: String,
        /// the system call
        call: &'static str,
        /// the kernel's answer
        source: Errno,
    },

    /// `create`: somebody may need what is there
    #[error(
        "{member} holds {what}, which would be lost; add --force if nobody needs it, or choose another disk"
    )]
    HoldsData {
        /// the disk
        member: String,
        /// what was recognised
        what: String,
    },
    /// `create`: it has no room
    #[error(
        "{member} has {len} bytes; its data begins at byte {data_offset} and would have no room: use a larger disk"
    )]
    NoRoom {
        /// the disk
        member: String,
        /// its bytes
        len: u64,
        /// where its data would begin
        data_offset: u64,
    },
    /// `create`: a data offset that cannot be
    #[error(
        "data offset {offset}: data begins at a multiple of 4096 bytes, from 8192 on; use 1Mi if in doubt"
    )]
    DataOffset {
        /// bytes
        offset: u64,
    },
    /// `create`: a name that does not fit
    #[error(
        "name {name:?} has {len} bytes; a name has 1 to 32 and no control characters: choose another, or --homehost none"
    )]
    Name {
        /// with the host's
        name: String,
        /// its bytes
        len: usize,
    },
    /// the members do not make an array
    #[error(transparent)]
    Raid(#[from] RaidError),

    /// the bytes where the superblock should be
    #[error("{member}: {source}; {mend}")]
    Superblock {
        /// the disk
        member: String,
        /// what is wrong
        source: SuperblockError,
        /// what to do
        mend: &'static str,
    },
    /// a superblock of another place
    #[error(
        "{member}: its md superblock has version {version}; version 1.2 is known: assemble it with mdadm, or copy its data to a new array"
    )]
    OtherVersion {
        /// the disk
        member: String,
        /// 0.90, 1.0 or 1.1
        version: &'static str,
    },
    /// it belongs to another array
    #[error(
        "{member} belongs to array {found}, the others to {expected}; leave it out and name the member that belongs here"
    )]
    Foreign {
        /// the disk
        member: String,
        /// its array
        found: Uuid,
        /// the others' array
        expected: Uuid,
    },
    /// it says something else about the array than another member
    #[error(
        "{member} says {what} {says}, {other} says {expected}; one of them is damaged or of an older array: see `outboard array examine` of both and leave the wrong one out"
    )]
    Disagrees {
        /// the disk
        member: String,
        /// field
        what: &'static str,
        /// its value there
        says: String,
        /// a member that says otherwise
        other: String,
        /// its value there
        expected: String,
    },
    /// it was not there when the array changed
    #[error(
        "{member} is stale: its events are {events}, those of {newest} are {expected}; the array went on without it: name its replacement, or create the array anew and restore a backup"
    )]
    Stale {
        /// the disk
        member: String,
        /// its events
        events: u64,
        /// a member that is up to date
        newest: String,
        /// its events
        expected: u64,
    },
    /// no member, says its superblock
    #[error("{member} is {role} of its array, not a member; leave it out")]
    NoRole {
        /// the disk
        member: String,
        /// what it is
        role: &'static str,
    },
    /// a place that the array has not
    #[error(
        "{member} says that it is member {role} of an array of {members}; its superblock is damaged: restore the member from a backup"
    )]
    BadRole {
        /// the disk
        member: String,
        /// its place
        role: u16,
        /// members of the array
        members: u32,
    },
    /// two of them in one place
    #[error(
        "{member} and {other} are both member {role} of the array; one is a copy: name the one that is in use"
    )]
    SameRole {
        /// the disk
        member: String,
        /// the other
        other: String,
        /// their place
        role: u16,
    },
    /// members that nobody named
    #[error(
        "array {uuid} ({name}) has {members} members and {missing} missing; name all of them: without redundancy it cannot run with fewer"
    )]
    Missing {
        /// the array
        uuid: Uuid,
        /// its name
        name: String,
        /// how many it has
        members: u32,
        /// which are not there, in words
        missing: String,
    },
    /// named in another order
    #[error(
        "{member} is member {role} of the array and is named in place {place}; name the members in this order: {order}"
    )]
    Swapped {
        /// the disk
        member: String,
        /// its place by its superblock
        role: u16,
        /// its place as named
        place: u16,
        /// all of them
        order: String,
    },
    /// its data does not fit on it
    #[error(
        "{member} has {len} bytes and its array uses {needed}; it has shrunk or is a partial copy: restore its size"
    )]
    Shrunk {
        /// the disk
        member: String,
        /// its bytes
        len: u64,
        /// where its data ends
        needed: u64,
    },
    /// its data begins where the superblock is, or not at a block
    #[error(
        "{member}: its data begins at sector {data_offset} and has {data_size} sectors, which is not behind the superblock or not in whole blocks of {block_size} bytes; {mend}"
    )]
    BadWindow {
        /// the disk
        member: String,
        /// sectors
        data_offset: u64,
        /// sectors
        data_size: u64,
        /// bytes
        block_size: u32,
        /// what to do
        mend: &'static str,
    },
    /// md can, this cannot
    #[error("{member}: its array has {what}; {mend}")]
    Unsupported {
        /// the disk
        member: String,
        /// what
        what: String,
        /// what to do
        mend: &'static str,
    },
}
