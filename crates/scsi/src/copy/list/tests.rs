use proptest::prelude::*;

use super::*;

const LIMITS: CopyLimits = CopyLimits { cscds: 2, segments: 3, descriptors_len: 2 * 32 + 3 * 28 };

fn cscd(at: u16) -> Cscd<'static> {
    Cscd {
        at,
        device_type: 0,
        code_set: 1,
        association: 0,
        designator_type: 3,
        designator: &[0x30, 1, 2, 3, 4, 5, 6, 7],
        pad: false,
        block_length: 512,
    }
}

fn segment(at: u16, source: u16, destination: u16) -> Segment {
    Segment {
        at,
        destination_count: false,
        concatenate: false,
        source,
        destination,
        blocks: 0x0800,
        source_lba: 0x0102_0304_0506_0708,
        destination_lba: 9,
    }
}

fn list(cscds: usize, segments: usize) -> Vec<u8> {
    let mut out = vec![0; 4096];
    let segments = (0..segments).map(|_| segment(0, 0, 1));
    let cscds = (0..cscds).map(|_| cscd(0));
    let len = encode(7, ListIdUsage::Hold, cscds, segments, &mut out);
    out.truncate(len);
    out
}

fn parse(list: &[u8]) -> Result<CopyList<'_>, Sense> {
    CopyList::parse(list, &LIMITS)
}

#[test]
fn bytes() {
    let list = list(1, 1);
    assert_eq!(list[..16], [7, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 0]);
    assert_eq!(list[16..28], [0xE4, 0, 0, 0, 1, 3, 0, 8, 0x30, 1, 2, 3]);
    assert_eq!(list[44..48], [0, 0, 2, 0]);
    assert_eq!(list[48..60], [2, 0, 0, 24, 0, 0, 0, 1, 0, 0, 8, 0]);
    assert_eq!(list[60..], [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9]);

    let parsed = parse(&list).unwrap();
    assert_eq!((parsed.list_identifier, parsed.usage), (Some(7), ListIdUsage::Hold));
    assert_eq!(parsed.cscds().collect::<Vec<_>>(), [cscd(16)]);
    assert_eq!(parsed.segments().collect::<Vec<_>>(), [segment(48, 0, 1)]);
}

#[test]
fn a_list_that_ends_early_is_a_length_error() {
    let whole = list(1, 1);
    for len in 1..whole.len() {
        assert_eq!(parse(&whole[..len]).unwrap_err(), Sense::PARAMETER_LIST_LENGTH_ERROR, "{len}");
    }
}

#[test]
fn limits() {
    assert!(parse(&list(2, 3)).is_ok());
    let (mut wide, limits) = (list(3, 1), LIMITS);
    assert_eq!(parse(&wide).unwrap_err(), Sense::TOO_MANY_TARGET_DESCRIPTORS);
    assert_eq!(parse(&list(1, 4)).unwrap_err(), Sense::TOO_MANY_SEGMENT_DESCRIPTORS);
    assert_eq!(parse(&list(3, 4)).unwrap_err(), Sense::PARAMETER_LIST_LENGTH_ERROR);
    // One byte more than a descriptor is one descriptor more.
    wide[3] = 65;
    assert_eq!(CopyList::parse(&wide, &limits).unwrap_err(), Sense::TOO_MANY_TARGET_DESCRIPTORS);
    wide[3] = 33;
    let sense = parse(&wide).unwrap_err();
    assert_eq!(sense, Sense::invalid_field_in_parameter_list(2, None));
}

#[test]
fn types_come_before_lengths() {
    let mut other = list(1, 1);
    other[16] = 0xE0;
    assert_eq!(parse(&other).unwrap_err(), Sense::UNSUPPORTED_TARGET_DESCRIPTOR_TYPE_CODE);
    let mut other = list(1, 1);
    other[48] = 0x03;
    other[51] = 0x10;
    other[11] = 20;
    assert_eq!(parse(&other[..68]).unwrap_err(), Sense::UNSUPPORTED_SEGMENT_DESCRIPTOR_TYPE_CODE);
    let mut other = list(1, 1);
    other[51] = 23;
    assert_eq!(parse(&other).unwrap_err(), Sense::invalid_field_in_parameter_list(50, None));
}

#[test]
fn list_identifiers() {
    let with = |identifier: u8, flags: u8| {
        let mut list = list(1, 1);
        (list[0], list[1]) = (identifier, flags);
        parse(&list).map(|list| list.list_identifier)
    };
    assert_eq!(with(5, 0b10 << 3), Ok(Some(5)));
    assert_eq!(with(0, 0b11 << 3), Ok(None));
    assert_eq!(with(5, 0b11 << 3), Err(Sense::invalid_field_in_parameter_list(0, Some(7))));
    assert_eq!(with(5, 0b01 << 3), Err(Sense::invalid_field_in_parameter_list(1, Some(4))));
}

#[test]
fn inline_data_and_long_designators_are_refused() {
    let mut inline = list(1, 1);
    inline[15] = 1;
    assert_eq!(parse(&inline).unwrap_err(), Sense::INLINE_DATA_LENGTH_EXCEEDED);
    let mut long = list(1, 1);
    long[23] = 21;
    assert_eq!(parse(&long).unwrap_err(), Sense::invalid_field_in_parameter_list(23, None));
}

proptest! {
    #[test]
    fn takes_any_bytes(list: Vec<u8>) {
        if let Ok(parsed) = parse(&list) {
            prop_assert!(parsed.cscds().len() <= 2 && parsed.segments().len() <= 3);
        }
    }

    #[test]
    fn takes_any_change(at in 0_usize..132, byte: u8) {
        let mut list = list(2, 2);
        list[at] = byte;
        if let Ok(parsed) = parse(&list) {
            prop_assert!(parsed.cscds().all(|cscd| cscd.designator.len() <= 20));
            prop_assert!(parsed.segments().all(|segment| usize::from(segment.at) < list.len()));
        }
    }

    #[test]
    fn segments_round_trip(
        destination_count: bool, concatenate: bool, source: u16, destination: u16, blocks: u16,
        source_lba: u64, destination_lba: u64,
    ) {
        let segment = Segment {
            at: 16, destination_count, concatenate, source, destination, blocks, source_lba,
            destination_lba,
        };
        let mut out = [0; 64];
        let len = encode(0, ListIdUsage::Discard, [], [segment], &mut out);
        let parsed = CopyList::parse(&out[..len], &LIMITS).unwrap();
        prop_assert_eq!(parsed.segments().collect::<Vec<_>>(), [segment]);
    }
}
