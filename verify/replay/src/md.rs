//! Superblocks of arrays.

use outboard_disk::DiskSpec;
use outboard_md::examine::Report;
use outboard_md::superblock::{MAGIC, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET};
use outboard_md::{Candidate, Order, Superblock, assemble};

/// Where `to_bytes` puts the checksum.
const CHECKSUM: std::ops::Range<usize> = 216..220;
/// Most members that are assembled.
const MEMBERS: usize = 4;
const SECTOR: u64 = 512;

/// `bytes` are members: a byte for the length of the disk in MiB, then 4 KiB (of the last one what there
/// is) as they come from its superblock. Magic and checksum are made right, or nothing would get far.
pub fn md(bytes: &[u8]) {
    let mut candidates = Vec::new();
    for member in bytes.chunks(1 + SUPERBLOCK_BYTES).take(MEMBERS) {
        let Some((&mebibytes, found)) = member.split_first() else { continue };
        let _ = Superblock::parse(found, SUPERBLOCK_OFFSET / SECTOR);
        let Some(superblock) = mended(found) else { continue };
        let disk = format!("./m{}", candidates.len()).parse::<DiskSpec>();
        let candidate = Candidate {
            disk: disk.expect("a path is a disk"),
            len_bytes: u64::from(mebibytes) << 20,
            block_size: 512,
            superblock,
        };
        let _ = Report::new(&candidate).to_string();
        candidates.push(candidate);
    }
    for order in [Order::AsNamed, Order::Any] {
        match assemble(&candidates, order) {
            Ok(array) => {
                assert_eq!(array.members.len(), candidates.len());
                for member in &array.members {
                    let end = member.offset.checked_add(member.len).expect("it ends somewhere");
                    let fits = candidates.iter().any(|c| end <= c.len_bytes);
                    assert!(fits && member.offset >= 2 * SUPERBLOCK_OFFSET, "{member:?}");
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// The superblock in these bytes, once its magic, version, place and checksum are right.
fn mended(found: &[u8]) -> Option<Superblock> {
    let mut bytes = [0; SUPERBLOCK_BYTES];
    bytes.get_mut(..found.len())?.copy_from_slice(found);
    bytes.get_mut(..4)?.copy_from_slice(&MAGIC.to_le_bytes());
    bytes.get_mut(4..8)?.copy_from_slice(&1_u32.to_le_bytes());
    bytes.get_mut(144..152)?.copy_from_slice(&(SUPERBLOCK_OFFSET / SECTOR).to_le_bytes());
    bytes.get_mut(222..224)?.fill(0);
    let sum = match Superblock::parse(&bytes, SUPERBLOCK_OFFSET / SECTOR) {
        Err(outboard_md::SuperblockError::Checksum { computed, .. }) => computed,
        Ok(superblock) => superblock.checksum(),
        Err(_) => return None,
    };
    bytes.get_mut(CHECKSUM)?.copy_from_slice(&sum.to_le_bytes());
    let superblock = Superblock::parse(&bytes, SUPERBLOCK_OFFSET / SECTOR).ok()?;
    let written = superblock.to_bytes();
    let again =
        Superblock::parse(&written, SUPERBLOCK_OFFSET / SECTOR).expect("what was written is read");
    assert_eq!(again.to_bytes(), written);
    Some(superblock)
}
