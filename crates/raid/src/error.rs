//! What an array refuses to be made of.

/// Why there is no array: what, the rule, the mend.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RaidError {
    /// no members
    #[error("an array needs at least one member; name its disks")]
    NoMembers,
    /// too many members
    #[error("{members} members are more than an array can have ({max}); use fewer, larger disks",
        max = crate::geometry::MAX_MEMBERS)]
    TooManyMembers {
        /// members named
        members: usize,
    },
    /// the chunk is no power of two
    #[error("chunk of {chunk} bytes: a chunk is a power of two; use {mend}", mend = nearest(*chunk))]
    ChunkNotPowerOfTwo {
        /// bytes
        chunk: u32,
    },
    /// the chunk is smaller than a block or larger than the limit
    #[error(
        "chunk of {chunk} bytes: it must be {min} (a block of the members) to {max} bytes; \
         use 524288 if in doubt"
    )]
    ChunkSize {
        /// bytes
        chunk: u32,
        /// least chunk in bytes
        min: u32,
        /// largest chunk in bytes
        max: u32,
    },
    /// a member leaves no whole chunk
    #[error(
        "member {member} has {len} bytes and leaves no whole chunk of {chunk}; \
         use a larger disk or a smaller chunk"
    )]
    MemberTooSmall {
        /// index of the member
        member: usize,
        /// its bytes
        len: u64,
        /// bytes of a chunk
        chunk: u32,
    },
    /// a member's block size is not one an array can stand on
    #[error("member {member} has blocks of {block_size} bytes; an array needs 512 or 4096")]
    BlockSize {
        /// index of the member
        member: usize,
        /// its block size in bytes
        block_size: u32,
    },
    /// a member that takes less than a block in one request
    #[error(
        "member {member} takes at most {max_transfer} bytes in one request, which is less than \
         the array's block of {block_size}; leave it out"
    )]
    TransferTooSmall {
        /// index of the member
        member: usize,
        /// its limit in bytes
        max_transfer: u64,
        /// bytes of the array's block
        block_size: u32,
    },
    /// the sum of the members' lengths
    #[error("the members add up to more than 2^64 - 1 bytes; use fewer")]
    TooLarge,
    /// a depth of 0 or beyond the limit
    #[error("depth {depth}: an array holds 1 to {max} requests in flight", max = crate::array::MAX_DEPTH)]
    Depth {
        /// requests asked for
        depth: u32,
    },
    /// an unknown level
    #[error("array level {level:?} is unknown; use 0 (striped) or linear")]
    Level {
        /// what was said
        level: String,
    },
}

/// The power of two that is offered instead.
fn nearest(chunk: u32) -> u32 {
    chunk.checked_next_power_of_two().unwrap_or(crate::spec::DEFAULT_CHUNK_BYTES)
}
