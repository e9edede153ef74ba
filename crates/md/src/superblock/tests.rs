use proptest::prelude::*;
use zerocopy::FromZeros;

use super::*;

/// Made by mdadm 4.2 on Linux 6.1: `--level=0 --chunk=64` on 20 MiB and 33 MiB, then `--level=linear`.
const MADE: [&[u8]; 4] = [
    include_bytes!("../../tests/data/raid0-0.sb"),
    include_bytes!("../../tests/data/raid0-1.sb"),
    include_bytes!("../../tests/data/linear-0.sb"),
    include_bytes!("../../tests/data/linear-1.sb"),
];

#[test]
fn what_mdadm_wrote_is_read_and_written_the_same() {
    for (index, made) in MADE.into_iter().enumerate() {
        let superblock = Superblock::parse(made, 8).unwrap();
        assert_eq!(superblock.role(), Role::Active(index as u16 % 2));
        let bytes = superblock.to_bytes();
        assert_eq!(&bytes[..made.len()], made);
        assert!(bytes[made.len()..].iter().all(|&byte| byte == 0));
    }
    let first = Superblock::parse(MADE[0], 8).unwrap();
    assert_eq!(first.name(), "uml:first");
    assert_eq!(first.uuid().to_string(), "0eff8276:3a3c6dfb:865ea90a:29104c3c");
    assert_eq!((first.header.data_offset.get(), first.header.data_size.get()), (2048, 38_912));
}

#[test]
fn damage_is_told() {
    let made = MADE[0];
    let changed = |at: usize, byte: u8| {
        let mut bytes = made.to_vec();
        bytes[at] = byte;
        Superblock::parse(&bytes, 8).unwrap_err()
    };
    assert_eq!(changed(0, 0), SuperblockError::NoMagic);
    assert_eq!(changed(4, 2), SuperblockError::Version { version: 2 });
    assert!(matches!(changed(40, 0), SuperblockError::Checksum { .. }));
    assert!(matches!(changed(300, 0), SuperblockError::Checksum { .. }));
    assert_eq!(changed(222, 1), SuperblockError::TooManyDevices { max_dev: 0x1_0080 });
    assert_eq!(changed(221, 1), SuperblockError::Short { len: 512 });
    let misplaced = Superblock::parse(made, 16).unwrap_err();
    assert_eq!(misplaced, SuperblockError::Misplaced { says: 8, at: 16 });
    for len in 0..made.len() {
        assert!(Superblock::parse(&made[..len], 8).is_err(), "{len}");
    }
}

fn superblocks() -> impl Strategy<Value = Superblock> {
    let role = prop_oneof![
        any::<u16>().prop_map(Role::of),
        (0..8_u16).prop_map(Role::Active),
        Just(Role::Spare)
    ];
    (any::<[u8; 256]>(), proptest::collection::vec(role, 0..=MAX_DEVICES)).prop_map(
        |(bytes, roles)| {
            let mut header = Header::new_zeroed();
            header.as_mut_bytes().copy_from_slice(&bytes);
            header.magic = MAGIC.into();
            header.major_version = 1.into();
            header.super_offset = 8.into();
            Superblock::new(header, &roles).unwrap()
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(superblock in superblocks()) {
        let bytes = superblock.to_bytes();
        let read = Superblock::parse(&bytes, 8).unwrap();
        prop_assert_eq!(read.to_bytes(), bytes);
        prop_assert!(read.roles().eq(superblock.roles()));
        let _ = (read.name(), read.role());
    }

    #[test]
    fn a_flipped_bit_is_seen(superblock in superblocks(), bit in 0..256_usize * 8) {
        let mut bytes = superblock.to_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Superblock::parse(&bytes, 8).is_err());
    }

    #[test]
    fn any_bytes_are_a_superblock_or_an_error(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..=SUPERBLOCK_BYTES),
        magic in any::<bool>(),
    ) {
        if let Some(word) = bytes.get_mut(..4).filter(|_| magic) {
            word.copy_from_slice(&MAGIC.to_le_bytes());
        }
        let _ = Superblock::parse(&bytes, 8);
    }
}
