//! The disks a driver is given: what each is, with its descriptor beside it.

use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use crate::controller::{DriverError, Startup};

/// Most disks of one driver: a descriptor each beside one message.
pub const DISKS_MAX: usize = crate::control::DESCRIPTORS_MAX;

/// What a disk is made of, and so how its descriptor is used.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskKind {
    /// a regular file, open and locked
    File,
    /// a block device, open and claimed
    BlockDevice,
    /// sealed shared memory, for [`Memory::attach`](outboard_slots::Memory::attach); its content
    /// belongs to the host and outlives the driver
    Memory,
}

/// What is known of a disk.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DiskDescription {
    /// what it is made of
    pub kind: DiskKind,
    /// what people call it, for messages: its path or URL. It cannot be opened from within a driver
    pub name: String,
    /// length in bytes
    pub bytes: u64,
    /// bytes of a logical block
    pub block_size: u32,
    /// bytes of a physical block
    pub physical_block_size: u32,
    /// past the page cache: transfers and their memory are aligned to logical blocks
    pub direct: bool,
    /// writes are refused
    pub read_only: bool,
}

/// A disk that a driver was given.
#[derive(Debug)]
pub struct Disk {
    /// what it is
    pub description: DiskDescription,
    /// the open disk
    pub descriptor: OwnedFd,
}

impl Startup {
    /// The disks, in the order its configuration names them; a second call gives none.
    ///
    /// # Errors
    /// The host sent other descriptors than it described.
    pub fn take_disks(&mut self) -> Result<Vec<Disk>, DriverError> {
        let described = std::mem::take(&mut self.disks);
        let descriptors = std::mem::take(&mut self.descriptors);
        if described.len() != descriptors.len() {
            return Err(DriverError(format!(
                "the host describes {} disks and sends {} descriptors; host and driver must be of one release",
                described.len(),
                descriptors.len()
            )));
        }
        let join = |(description, descriptor)| Disk { description, descriptor };
        Ok(described.into_iter().zip(descriptors).map(join).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::DispatchQueues;
    use outboard_slots::Memory;

    fn startup(described: usize, sent: usize) -> Startup {
        let description = DiskDescription {
            kind: DiskKind::Memory,
            name: "mem:4Ki".to_owned(),
            bytes: 4096,
            block_size: 512,
            physical_block_size: 512,
            direct: false,
            read_only: false,
        };
        let memory = Memory::create("disk", 4096).unwrap();
        let copy = |_| memory.share().unwrap();
        Startup {
            options: serde_json::Value::Null,
            descriptors: (0..sent).map(copy).collect(),
            disks: vec![description; described],
            queues: DispatchQueues::default(),
        }
    }

    #[test]
    fn each_disk_comes_with_its_descriptor_once() {
        let mut two = startup(2, 2);
        let disks = two.take_disks().unwrap();
        assert_eq!(disks.len(), 2);
        assert_eq!(
            Memory::attach(disks.into_iter().next().unwrap().descriptor).unwrap().len(),
            4096
        );
        assert!(two.take_disks().unwrap().is_empty());
    }

    #[test]
    fn a_descriptor_too_many_or_too_few_is_refused() {
        for (described, sent) in [(2, 1), (0, 1), (1, 0)] {
            let error = startup(described, sent).take_disks().unwrap_err().to_string();
            assert!(error.contains("one release"), "{error}");
        }
    }
}
