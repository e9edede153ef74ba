//! Arrays that describe themselves: Linux md superblocks of version 1.2, levels 0 and linear.
//!
//! | module | what |
//! |---|---|
//! | [`superblock`] | the bytes: 4 KiB at byte 4096 of each member, checksum included |
//! | [`mod@create`] | superblocks for a new array, as `mdadm --create` writes them |
//! | [`mod@assemble`] | superblocks that were found -> an [`ArraySpec`](outboard_raid::ArraySpec) and its members, in order, each with its data area; or which member is refused, by which rule, and the mend |
//! | [`mod@examine`] | what a member says about itself, as `mdadm --examine` prints it |
//! | [`mod@stop`] | the superblocks of an array that nobody runs, marked clean |
//! | [`member`] | files and block devices: locks, reading, writing, what else is on them |
//! | [`cli`] | `outboard array` |
//!
//! Everything but [`member`], [`cli`] and the functions that take a list of disks is arithmetic over
//! bytes: no clock, no I/O. A file or device belongs to one array or to none; `create` and `stop` take it
//! exclusively, so that a running server keeps them out.

#![forbid(unsafe_code)]

pub mod assemble;
pub mod cli;
pub mod create;
mod error;
pub mod examine;
pub mod member;
pub mod stop;
pub mod superblock;
mod text;
pub mod uuid;

pub use assemble::{Assembled, Candidate, Order, assemble, assemble_disks};
pub use create::{CreateOptions, NewMember, create, create_on};
pub use error::MdError;
pub use member::Version;
pub use stop::stop;
pub use superblock::{Role, Superblock, SuperblockError};
pub use text::time;
pub use uuid::Uuid;
