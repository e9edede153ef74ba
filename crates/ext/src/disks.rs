//! The disks that extensions are given.

use std::os::fd::OwnedFd;

use outboard_disk::{Description, DiskKind, DiskSpec};
use outboard_hba::{DiskDescription, DiskKind as Kind};
use outboard_settings::Fault;
use rustix::fs::{FileType, fstat};

/// Whether a driver can be given this disk: a file, a device or memory, whole and as it is. What
/// else disks can be is done by the code of the built-in driver.
///
/// # Errors
/// The rule, and the mend.
pub fn check(disk: &DiskSpec) -> Result<(), Fault> {
    if !matches!(disk.kind, DiskKind::File { .. } | DiskKind::Memory { .. }) {
        let rule = format!("{disk} is nothing that an extension's driver can open");
        return Err(Fault::new(rule, "name a file, a block device or mem:SIZE"));
    }
    let decorated = [
        ("offset and length", disk.window.is_some()),
        ("delay", disk.delay.is_some()),
        ("errors", disk.faults.is_some()),
        ("thin", disk.thin.is_some()),
    ];
    match decorated.iter().find(|(_, said)| *said) {
        None => Ok(()),
        Some((option, _)) => {
            let rule = format!("{disk}: {option} is not for disks of extensions");
            Err(Fault::new(rule, "leave it out: the driver has the whole disk as it is"))
        }
    }
}

/// What the driver is told of an open disk.
///
/// # Errors
/// The descriptor cannot be looked at.
pub fn describe(description: &Description, fd: &OwnedFd) -> std::io::Result<DiskDescription> {
    let (spec, limits) = (&description.spec, &description.limits);
    let (kind, direct) = match spec.kind {
        DiskKind::File { direct, .. } => match FileType::from_raw_mode(fstat(fd)?.st_mode) {
            FileType::BlockDevice => (Kind::BlockDevice, direct),
            _ => (Kind::File, direct),
        },
        _ => (Kind::Memory, false),
    };
    Ok(DiskDescription {
        kind,
        name: spec.to_string(),
        bytes: limits.len_bytes(),
        block_size: limits.block_size,
        physical_block_size: limits.physical_block_size,
        direct,
        read_only: limits.read_only,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use outboard_disk::open::{OpenOptions, open};

    #[test]
    fn files_and_memory_are_given_and_nothing_else() {
        for good in ["/dev/sdx", "a.img?direct=off", "mem:1Mi?block=4096", "a.img?ro=on"] {
            assert!(check(&good.parse().unwrap()).is_ok(), "{good}");
        }
        for bad in ["null:", "sim:hdd", "mem:1Mi?offset=4Ki", "a.img?delay=1ms..2ms", "a?thin=on"] {
            assert!(check(&bad.parse().unwrap()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_disk_is_described_as_it_is() {
        let disk = "mem:1Mi?block=4096&ro=on".parse().unwrap();
        let (description, fd) = open(&disk, &OpenOptions::default()).unwrap().into_parts();
        let told = describe(&description, &fd.unwrap()).unwrap();
        assert_eq!((told.kind, told.bytes, told.block_size), (Kind::Memory, 1 << 20, 4096));
        assert!(told.read_only && told.name.starts_with("mem:1Mi"), "{told:?}");
    }
}
