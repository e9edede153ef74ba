use proptest::prelude::*;

use super::*;
use crate::create::{CreateOptions, NewMember, create};

const MIB: u64 = 1 << 20;

/// An array of members of these lengths, in files `m0`, `m1`, ...
fn array(level: Level, chunk: u32, lens: &[u64]) -> Vec<Candidate> {
    let options = CreateOptions {
        spec: ArraySpec { level, chunk, ..ArraySpec::default() },
        rounding: None,
        name: "host:data".to_owned(),
        uuid: Uuid([7; 16]),
        now: 1_795_000_000,
        data_offset: MIB,
    };
    let member = |(index, &len_bytes): (usize, &u64)| NewMember {
        name: format!("./m{index}"),
        len_bytes,
        device_uuid: Uuid([index as u8; 16]),
    };
    let members: Vec<_> = lens.iter().enumerate().map(member).collect();
    let superblocks = create(&options, &members).unwrap();
    superblocks
        .into_iter()
        .zip(members)
        .map(|(superblock, member)| Candidate {
            disk: member.name.parse().unwrap(),
            len_bytes: member.len_bytes,
            block_size: 512,
            superblock,
        })
        .collect()
}

fn refusal(candidates: &[Candidate], order: Order) -> String {
    assemble(candidates, order).unwrap_err().to_string()
}

fn three() -> Vec<Candidate> {
    array(Level::Raid0, 64 << 10, &[20 * MIB, 33 * MIB, 33 * MIB])
}

#[test]
fn members_come_in_order_with_their_data_areas() {
    let mut named = three();
    let assembled = assemble(&named, Order::AsNamed).unwrap();
    assert_eq!(assembled.spec, ArraySpec { chunk: 64 << 10, ..ArraySpec::default() });
    assert_eq!(assembled.len_bytes, 83 * MIB);
    assert_eq!(assembled.name, "host:data");
    let disks: Vec<_> = assembled.members.iter().map(|m| m.disk.to_string()).collect();
    assert_eq!(
        disks,
        [
            "./m0?offset=1Mi&length=19Mi",
            "./m1?offset=1Mi&length=32Mi",
            "./m2?offset=1Mi&length=32Mi"
        ]
    );
    named.rotate_left(1);
    assert_eq!(assemble(&named, Order::Any).unwrap(), assembled);
    assert_eq!(
        refusal(&named, Order::AsNamed),
        "./m1 is member 1 of the array and is named in place 0; name the members in this order: \
         ./m0, ./m1, ./m2"
    );
    for candidate in &mut named {
        let window = WindowSpec { offset: 4 * MIB, len: None };
        candidate.disk.window = Some(window);
    }
    let first = assemble(&named, Order::Any).unwrap().members.remove(0);
    assert_eq!(first.disk.to_string(), "./m0?offset=5Mi&length=19Mi");
}

#[test]
fn a_missing_member_is_named() {
    let mut named = three();
    named.remove(1);
    assert_eq!(
        refusal(&named, Order::AsNamed),
        "array 07070707:07070707:07070707:07070707 (host:data) has 3 members and member 1 is \
         missing; name all of them: without redundancy it cannot run with fewer"
    );
    for member in &mut named {
        member.superblock.header.raid_disks = u32::MAX.into();
    }
    let text = refusal(&named, Order::Any);
    assert!(text.contains("members 1, 3, 4, 5, 6, 7, 8, 9, more are missing"), "{text}");
    assert_eq!(refusal(&[], Order::Any), MdError::NoMembers.to_string());
}

#[test]
fn a_foreign_member_is_named() {
    for at in 0..3 {
        let mut named = three();
        named[at].superblock.header.set_uuid = [9; 16];
        let text = refusal(&named, Order::AsNamed);
        assert!(text.starts_with(&format!("./m{at} belongs to array 09090909:")), "{text}");
        assert!(text.ends_with("leave it out and name the member that belongs here"), "{text}");
    }
}

#[test]
fn a_stale_member_is_named() {
    let mut named = three();
    for candidate in &mut named {
        candidate.superblock.header.events = 10.into();
    }
    named[2].superblock.header.events = 9.into();
    assemble(&named, Order::AsNamed).unwrap();
    named[2].superblock.header.events = 8.into();
    let text = refusal(&named, Order::AsNamed);
    assert!(text.starts_with("./m2 is stale: its events are 8, those of ./m"), "{text}");
}

#[test]
fn members_that_cannot_be_are_named() {
    type Change = fn(&mut Candidate);
    let cases: [(Change, &str); 17] = [
        (|c| c.superblock.header.dev_number = 2.into(), "./m2 and ./m1 are both member 2"),
        (|c| c.superblock.header.dev_number = 9.into(), "./m1 is a spare of its array"),
        (|c| c.superblock.header.raid_disks = 1.into(), "member 1 of an array of 1;"),
        (|c| c.superblock.header.raid_disks = 4.into(), "a number of members of"),
        (|c| c.superblock.header.chunksize = 256.into(), "a chunk in sectors of"),
        (|c| c.superblock.header.chunksize = 0.into(), "a chunk of 0 sectors"),
        (|c| c.superblock.header.chunksize = 96.into(), "a chunk is a power of two"),
        (|c| c.superblock.header.layout = 2.into(), "says layout"),
        (|c| c.superblock.header.ctime = 2.into(), "a creation time of"),
        (|c| c.superblock.header.level = 5.into(), "./m1: its array has level 5; levels 0"),
        (|c| c.superblock.header.feature_map = 8.into(), "a list of bad blocks; replace the disk"),
        (
            |c| c.superblock.header.feature_map = 0x8005.into(),
            "a write-intent bitmap, an unfinished reshape, unknown features 0x8000; let mdadm",
        ),
        (|c| c.len_bytes = 20 * MIB, "./m1 has 20971520 bytes and its array uses 34603008"),
        (|c| c.superblock.header.data_size = u64::MAX.into(), "it has shrunk"),
        (|c| c.superblock.header.data_offset = 15.into(), "not behind the superblock"),
        (|c| c.superblock.header.data_size = 0.into(), "restore the member from a backup"),
        (
            |c| {
                c.block_size = 4096;
                c.superblock.header.data_offset = 2047.into();
            },
            "not in whole blocks of 4096 bytes; use a disk with smaller blocks",
        ),
    ];
    for (change, expected) in cases {
        let mut named = three();
        change(&mut named[1]);
        let text = refusal(&named, Order::AsNamed);
        assert!(text.contains(expected) && text.contains("./m1"), "{expected}: {text}");
        assert!(text.contains(';') || text.contains(": "), "no mend: {text}");
    }
}

#[test]
fn an_unknown_layout_matters_where_the_layouts_differ() {
    let layout = |lens: &[u64], layout: Option<u32>| {
        let mut named = array(Level::Raid0, 64 << 10, lens);
        for candidate in &mut named {
            let header = &mut candidate.superblock.header;
            header.layout = layout.unwrap_or(0).into();
            header.feature_map = layout.map_or(0, |_| RAID0_LAYOUT).into();
        }
        assemble(&named, Order::AsNamed).map(|array| array.spec.zone_layout)
    };
    let (one, two) = (20 * MIB, 33 * MIB);
    assert_eq!(layout(&[one, two, two], Some(1)).unwrap(), ZoneLayout::Original);
    assert_eq!(layout(&[one, two, two], Some(2)).unwrap(), ZoneLayout::Alternate);
    for same in [&[one, one][..], &[one, two], &[one, one + 4096, one], &[two, one, one]] {
        assert_eq!(layout(same, None).unwrap(), ZoneLayout::Original, "{same:?}");
    }
    for said in [None, Some(0), Some(3)] {
        let text = layout(&[one, two, two], said).unwrap_err().to_string();
        assert!(text.contains("--update=layout-original"), "{text}");
    }
}

#[test]
fn a_linear_array_is_rounded_as_it_says() {
    let mut named = array(Level::Linear, 0, &[20 * MIB, 33 * MIB + 4096]);
    let assembled = assemble(&named, Order::AsNamed).unwrap();
    assert_eq!((assembled.spec.level, assembled.spec.chunk), (Level::Linear, 4096));
    assert_eq!(assembled.len_bytes, 51 * MIB + 4096);
    named[0].superblock.header.data_size = 7.into();
    let assembled = assemble(&named, Order::AsNamed).unwrap();
    assert_eq!((assembled.spec.chunk, assembled.len_bytes), (512, 32 * MIB + 4096 + 7 * 512));
    for candidate in &mut named {
        candidate.superblock.header.chunksize = 128.into();
    }
    named[0].superblock.header.data_size = 300.into();
    assert_eq!(assemble(&named, Order::AsNamed).unwrap().len_bytes, 32 * MIB + (128 << 10));
}

proptest! {
    /// What is assembled lies on its disks and behind its superblocks, whatever they say.
    #[test]
    fn any_superblocks_are_an_array_or_an_error(
        changes in proptest::collection::vec((0..3_usize, 4..256_usize, any::<u8>()), 0..6),
        len in 0..40 * MIB,
    ) {
        let mut named = three();
        for (at, byte, value) in changes {
            let mut bytes = named[at].superblock.to_bytes();
            bytes[byte] = value;
            // without its checksum
            let mut header = named[at].superblock.header.clone();
            zerocopy::IntoBytes::as_mut_bytes(&mut header).copy_from_slice(&bytes[..256]);
            named[at].superblock.header = header;
        }
        named[2].len_bytes = len;
        if let Ok(array) = assemble(&named, Order::Any) {
            prop_assert_eq!(array.members.len(), 3);
            for (member, candidate) in array.members.iter().zip(&named) {
                prop_assert!(member.offset >= 8192 && member.len > 0);
                prop_assert!(member.offset + member.len <= candidate.len_bytes.max(40 * MIB));
            }
        }
    }
}
