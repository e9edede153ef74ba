use proptest::prelude::*;

use super::*;

#[test]
fn fixed_format_bytes() {
    let data = Sense::invalid_field_in_cdb(0x0102, Some(4)).encode_fixed();
    assert_eq!(data, [0x70, 0, 0x05, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0x00, 0, 0xCC, 0x01, 0x02]);
    let data = Sense::lba_out_of_range(0x1234_5678).encode_fixed();
    assert_eq!(data[..8], [0xF0, 0, 0x05, 0x12, 0x34, 0x56, 0x78, 10]);
}

#[test]
fn fixed_format_leaves_out_information_of_more_than_32_bits() {
    let data = Sense::lba_out_of_range(1 << 32).encode_fixed();
    assert_eq!(data[..7], [0x70, 0, 0x05, 0, 0, 0, 0]);
    assert_eq!(Sense::parse(&data), Some(Sense::LBA_OUT_OF_RANGE));
}

#[test]
fn descriptor_format_bytes() {
    let mut data = [0xFF; DESCRIPTOR_LEN_MAX];
    assert_eq!(Sense::WRITE_PROTECTED.encode_descriptor(&mut data), 8);
    assert_eq!(data[..8], [0x72, 0x07, 0x27, 0x00, 0, 0, 0, 0]);

    let sense = Sense::lba_out_of_range(1 << 40);
    assert_eq!(sense.encode_descriptor(&mut data), 20);
    assert_eq!(data[..8], [0x72, 0x05, 0x21, 0x00, 0, 0, 0, 12]);
    assert_eq!(data[8..20], [0, 10, 0x80, 0, 0, 0, 1, 0, 0, 0, 0, 0]);

    let sense = Sense::invalid_field_in_parameter_list(3, None);
    assert_eq!(sense.encode_descriptor(&mut data), 16);
    assert_eq!(data[8..16], [2, 6, 0, 0, 0x80, 0, 3, 0]);
}

#[test]
fn an_aborted_copy_names_its_segment() {
    let sense = Sense::COPY_ABORTED.with_segment(0x0102).with_segment_field(20);
    let data = sense.encode_fixed();
    assert_eq!(data, [0x70, 0, 0x0A, 0, 0, 0, 0, 10, 0, 0, 1, 2, 0, 0, 0, 0xA0, 0, 20]);
    let mut data = [0xFF; DESCRIPTOR_LEN_MAX];
    assert_eq!(sense.encode_descriptor(&mut data), 28);
    assert_eq!(data[8..20], [1, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(data[20..28], [2, 6, 0, 0, 0xA0, 0, 20, 0]);
}

#[test]
fn encode_stops_at_the_end_of_the_buffer() {
    let mut short = [0; 10];
    assert_eq!(Sense::INVALID_OPCODE.encode(false, &mut short), 10);
    assert_eq!(short[0], 0x70);
    assert_eq!(Sense::INVALID_OPCODE.encode(true, &mut short), 8);
    assert_eq!(Sense::INVALID_OPCODE.encode(false, &mut []), 0);
}

#[test]
fn parse_refuses_what_is_not_sense_data() {
    assert_eq!(Sense::parse(&[]), None);
    assert_eq!(Sense::parse(&[0x70]), None);
    assert_eq!(Sense::parse(&[0x70, 0]), None);
    assert_eq!(Sense::parse(&[0x72, 5, 0x24]), None);
    assert_eq!(Sense::parse(&[0x00; 18]), None);
    assert_eq!(Sense::parse(&[0x7F; 18]), None);
}

#[test]
fn parse_reads_short_sense_data_as_far_as_it_goes() {
    assert_eq!(Sense::parse(&[0x70, 0, 0x06]), Some(Sense::new(SenseKey::UnitAttention, 0, 0)));
    // 14 bytes: the code, but no sense key specific field.
    let data = [0x70, 0, 5, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0x24, 0];
    assert_eq!(Sense::parse(&data), Some(Sense::INVALID_FIELD_IN_CDB));
    // ADDITIONAL SENSE LENGTH 0: the bytes that follow do not count.
    let data = [0x70, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x24, 0];
    assert_eq!(Sense::parse(&data), Some(Sense::new(SenseKey::IllegalRequest, 0, 0)));
}

#[test]
fn parse_skips_foreign_descriptors_and_stops_at_a_broken_one() {
    let data = [
        0x72, 0x03, 0x11, 0x00, 0, 0, 0, 18, // header
        0x80, 2, 0xAA, 0xBB, // vendor specific
        0x00, 10, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 9, // information
        0x02, 6, // ends here
    ];
    assert_eq!(Sense::parse(&data), Some(Sense::unrecovered_read_error(9)));
}

prop_compose! {
    fn senses()(
        key in 0_u8..16,
        asc: u8,
        ascq: u8,
        deferred: bool,
        information: Option<u64>,
        segment: u16,
        specific in prop::option::of((any::<bool>(), any::<u16>(), prop::option::of(0_u8..8))),
    ) -> Sense {
        let key = SenseKey::from_low_bits(key);
        let specific = specific.map_or(Specific::None, |(in_cdb, value, bit)| match key {
            SenseKey::IllegalRequest => Specific::Field(FieldPointer { in_cdb, byte: value, bit }),
            SenseKey::NoSense | SenseKey::NotReady => Specific::Progress(value),
            SenseKey::RecoveredError | SenseKey::MediumError | SenseKey::HardwareError => {
                Specific::RetryCount(value)
            }
            SenseKey::CopyAborted => Specific::Segment(FieldPointer { in_cdb, byte: value, bit }),
            _ => Specific::None,
        });
        let segment = (key == SenseKey::CopyAborted).then_some(segment);
        Sense { key, asc, ascq, deferred, specific, information, segment }
    }
}

proptest! {
    #[test]
    fn descriptor_format_round_trips(sense in senses()) {
        let mut data = [0; DESCRIPTOR_LEN_MAX];
        let len = sense.encode(true, &mut data);
        prop_assert_eq!(Sense::parse(&data[..len]), Some(sense));
    }

    #[test]
    fn fixed_format_round_trips(sense in senses()) {
        let kept = sense.information.filter(|&value| value <= u64::from(u32::MAX));
        let data = sense.encode_fixed();
        prop_assert_eq!(Sense::parse(&data), Some(Sense { information: kept, ..sense }));
    }

    #[test]
    fn parse_takes_any_bytes(data: Vec<u8>) {
        let _ = Sense::parse(&data);
    }

    #[test]
    fn parse_takes_any_body(code in 0x70_u8..0x74, mut data: Vec<u8>) {
        data.insert(0, code);
        prop_assert_eq!(Sense::parse(&data).is_some(), data.len() >= 3 + usize::from(code > 0x71));
    }
}
