//! What the driver is started with: its units, and for each the array and its members.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use outboard_disk::crypt::Key;
use outboard_disk::{Description, EngineError, Limits, Opened};
use outboard_raid::ArraySpec;
use serde::{Deserialize, Serialize};

/// The driver's options. The members' descriptors come beside them, in order.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ArrayOptions {
    /// its units, all on target 0
    pub units: Vec<UnitOptions>,
    /// tasks at a time
    pub maximum_task_count: u32,
    /// most bytes of one command
    pub max_transfer: u64,
}

/// One logical unit.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct UnitOptions {
    /// its LUN
    pub lun: u16,
    /// unit serial number
    pub serial: String,
    /// how the members make an array; a single member without it is the unit itself
    pub array: Option<ArraySpec>,
    /// its members in order, and whether a descriptor comes for each
    pub members: Vec<(Description, bool)>,
    /// its medium can be ejected
    #[serde(default)]
    pub removable: bool,
    /// what is on it is encrypted: the key comes through a pipe, whose descriptor follows the members'
    #[serde(default)]
    pub encrypted: bool,
}

/// Options that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// not the driver's options at all
    #[error("the array driver's options are malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// fewer descriptors than the members need
    #[error("member {member} of LUN {lun} came without its descriptor")]
    Missing {
        /// the LUN
        lun: u16,
        /// number of the member
        member: usize,
    },
    /// the key of an encrypted unit
    #[error("LUN {lun} is encrypted and came without its key: {reason}")]
    Key {
        /// the LUN
        lun: u16,
        /// what there was instead
        reason: String,
    },
    /// several members and no array
    #[error("LUN {lun} has {members} members and no array; say how they make one")]
    NoArray {
        /// the LUN
        lun: u16,
        /// how many members
        members: usize,
    },
    /// a member
    #[error("LUN {lun}: {source}")]
    Member {
        /// the LUN
        lun: u16,
        /// what is wrong
        source: EngineError,
    },
}

/// A unit with its members' descriptors.
pub(crate) struct Unit {
    pub(crate) lun: u16,
    pub(crate) serial: String,
    pub(crate) array: Option<ArraySpec>,
    pub(crate) members: Vec<Opened>,
    pub(crate) removable: bool,
    pub(crate) key: Option<Key>,
}

impl UnitOptions {
    /// Options for disks that this process has opened, and the descriptors to send beside them.
    pub fn new(
        lun: u16,
        serial: &str,
        array: Option<ArraySpec>,
        members: impl IntoIterator<Item = Opened>,
    ) -> (Self, Vec<OwnedFd>) {
        let mut described = Vec::new();
        let mut descriptors = Vec::new();
        for member in members {
            let (description, fd) = member.into_parts();
            described.push((description, fd.is_some()));
            descriptors.extend(fd);
        }
        let serial = serial.to_owned();
        let options =
            Self { lun, serial, array, members: described, removable: false, encrypted: false };
        (options, descriptors)
    }

    /// The members' limits.
    pub fn limits(&self) -> impl Iterator<Item = &Limits> {
        self.members.iter().map(|(d, _)| &d.limits)
    }

    pub(crate) fn open(
        &self,
        descriptors: &mut impl Iterator<Item = OwnedFd>,
    ) -> Result<Unit, OptionsError> {
        let lun = self.lun;
        if self.members.len() != 1 && self.array.is_none() {
            return Err(OptionsError::NoArray { lun, members: self.members.len() });
        }
        let mut members = Vec::new();
        for (member, (description, has_fd)) in self.members.iter().enumerate() {
            let fd = match has_fd {
                true => Some(descriptors.next().ok_or(OptionsError::Missing { lun, member })?),
                false => None,
            };
            let opened = Opened::from_parts(description.clone(), fd);
            members.push(opened.map_err(|source| OptionsError::Member { lun, source })?);
        }
        let key = match self.encrypted {
            true => Some(self.key(descriptors.next())?),
            false => None,
        };
        Ok(Unit {
            lun,
            serial: self.serial.clone(),
            array: self.array,
            members,
            removable: self.removable,
            key,
        })
    }

    /// The key that is in the pipe; nothing is left there.
    fn key(&self, pipe: Option<OwnedFd>) -> Result<Key, OptionsError> {
        let fail = |reason: &dyn std::fmt::Display| OptionsError::Key {
            lun: self.lun,
            reason: reason.to_string(),
        };
        let pipe = pipe.ok_or_else(|| fail(&"no descriptor"))?;
        let mut bytes = [0; Key::BYTES];
        File::from(pipe).read_exact(&mut bytes).map_err(|error| fail(&error))?;
        Key::take(&mut bytes).map_err(|error| fail(&error))
    }
}
