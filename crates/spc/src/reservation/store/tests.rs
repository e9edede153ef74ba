use proptest::prelude::*;

use super::*;

fn nexus(name: &str, target_port: u16) -> Nexus {
    Nexus { initiator_port: name.to_owned(), target_port }
}

fn image(sequence: u64) -> Image {
    Image {
        sequence,
        serial: "0001".to_owned(),
        persist: true,
        reservation: Some(Reservation {
            kind: ReservationType::WriteExclusive,
            holder: Some(nexus("iqn.b", 2)),
        }),
        registrations: vec![
            Registration::new(nexus("iqn.a", 1), sequence),
            Registration::new(nexus("iqn.b", 2), u64::MAX),
        ],
    }
}

/// A file whose slots begin with these records.
fn file(first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut file = vec![0; SLOT_LEN + second.len()];
    file[..first.len()].copy_from_slice(first);
    file[SLOT_LEN..].copy_from_slice(second);
    file
}

fn newest(file: &[u8]) -> u64 {
    Image::newest(file).unwrap().map_or(0, |image| image.sequence())
}

#[test]
fn bytes() {
    let bytes = image(0x0102).encode();
    assert_eq!(bytes[..12], *b"OBRESERV\0\x01\0\x01");
    assert_eq!(bytes[12..16], (bytes.len() as u32).to_be_bytes());
    assert_eq!(bytes[16..30], *b"\0\0\0\0\0\0\x01\x02\0\x040001");
    assert_eq!(bytes[30..39], [1, 0, 0, 0, 1, 0, 0, 0, 2]);
    assert_eq!(bytes[39..49], [0, 0, 0, 0, 0, 0, 1, 2, 0, 1]);
    assert_eq!(bytes[49..56], *b"\0\x05iqn.a");
    let checksum = crc32c::crc32c(&bytes[..bytes.len() - 4]);
    assert_eq!(bytes[bytes.len() - 4..], checksum.to_be_bytes());
}

#[test]
fn the_newer_of_two_records_counts() {
    let (older, newer) = (image(4).encode(), image(5).encode());
    assert_eq!(Image::newest(&file(&newer, &older)).unwrap(), Some(image(5)));
    assert_eq!(Image::newest(&file(&older, &newer)).unwrap(), Some(image(5)));
    assert_eq!(Image::newest(&newer).unwrap(), Some(image(5)));
    assert_eq!(Image::newest(&[]).unwrap(), None);
}

#[test]
fn every_torn_newer_record_gives_the_older_state() {
    let (older, newer) = (image(4).encode(), image(5).encode());
    // What the slot held before: a longer record, a shorter one, nothing.
    let long = Image { serial: "x".repeat(99), ..image(3) }.encode();
    let short = Image { registrations: Vec::new(), reservation: None, ..image(3) }.encode();
    for rest in [&long[..], &short[..], &[]] {
        for cut in 0..newer.len() {
            let mut torn = newer[..cut].to_vec();
            torn.extend_from_slice(rest.get(cut..).unwrap_or(&[]));
            assert_eq!(newest(&file(&torn, &older)), 4, "first slot, {cut}");
            assert_eq!(newest(&file(&older, &torn)), 4, "second slot, {cut}");
        }
    }
    // The file itself ends early.
    let whole = file(&older, &newer);
    for len in older.len()..whole.len() {
        assert_eq!(newest(&whole[..len]), 4, "{len}");
    }
}

#[test]
fn every_flipped_byte_gives_the_older_state() {
    let (older, newer) = (image(4).encode(), image(5).encode());
    for at in 0..newer.len() {
        for mask in [0x01, 0x80, 0xFF] {
            let mut flipped = newer.clone();
            flipped[at] ^= mask;
            assert_eq!(newest(&file(&flipped, &older)), 4, "first slot, {at}");
            assert_eq!(newest(&file(&older, &flipped)), 4, "second slot, {at}");
        }
    }
}

#[test]
fn a_torn_first_write_is_no_state_and_two_bad_records_are_damage() {
    let bytes = image(1).encode();
    assert_eq!(newest(&bytes[..20]), 0);
    assert_eq!(newest(&file(&bytes[..20], &[])), 0);
    assert!(matches!(
        Image::newest(&file(&bytes[..20], &bytes[..20])),
        Err(SpcError::DamagedState)
    ));
}

#[test]
fn a_sequence_number_without_a_next_one_is_refused() {
    let good = image(5).encode();
    for sequence in [0, 1 << 63, u64::MAX] {
        let bad = image(sequence).encode();
        let alone = Image::newest(&bad);
        assert!(matches!(alone, Err(SpcError::StateSequence(n)) if n == sequence), "{alone:?}");
        for file in [file(&bad, &good), file(&good, &bad)] {
            let restored = Reservations::default().restore(&file, Lun::ZERO, "0001");
            assert!(matches!(restored, Err(SpcError::StateSequence(n)) if n == sequence));
        }
    }
    // The largest that is taken has a next one.
    let last = image((1 << 63) - 1).encode();
    let mut state = Reservations::default();
    state.restore(&last, Lun::ZERO, "0001").unwrap();
    state.journal.note_change();
    assert!(state.take_change(Lun::ZERO, "0001").is_some());
}

#[test]
fn records_alternate_and_a_lost_one_is_written_again() {
    let mut state = Reservations::default();
    state.journal.note_change();
    assert_eq!(state.take_change(Lun::ZERO, "0001"), None, "there is no place");
    state.restore(&[], Lun::ZERO, "0001").unwrap();
    state.persist = true;
    state.journal.note_change();
    let first = state.take_change(Lun::ZERO, "0001").unwrap();
    let image = Image::newest(&first.bytes).unwrap().unwrap();
    assert_eq!((first.slot, image.sequence, image.persist), (0, 1, false), "nothing at first");
    let mut slots = Vec::new();
    for _ in 0..3 {
        state.journal.note_change();
        let change = state.take_change(Lun::ZERO, "0001").unwrap();
        assert_eq!(change.offset, u64::from(change.slot) * SLOT_LEN as u64);
        slots.push((change.slot, newest(&change.bytes)));
        assert_eq!(state.take_change(Lun::ZERO, "0001"), None);
    }
    assert_eq!(slots, [(1, 2), (0, 3), (1, 4)]);
    state.change_lost(1);
    let again = state.take_change(Lun::ZERO, "0001").unwrap();
    assert_eq!((again.slot, newest(&again.bytes)), (1, 5), "the other slot is the whole one");
}

#[test]
fn the_newest_record_is_not_overwritten_after_a_restart() {
    let (older, newer) = (image(4).encode(), image(5).encode());
    for (file, slot) in [(file(&older, &newer), 0), (file(&newer, &older), 1)] {
        let mut state = Reservations::default();
        state.restore(&file, Lun::ZERO, "0001").unwrap();
        assert_eq!(state.registrations, image(5).registrations);
        assert_eq!(state.reservation, image(5).reservation);
        state.journal.note_change();
        let change = state.take_change(Lun::ZERO, "0001").unwrap();
        assert_eq!((change.slot, newest(&change.bytes)), (slot, 6));
    }
    let foreign = Reservations::default().restore(&newer, Lun::ZERO, "0002");
    assert!(matches!(foreign, Err(SpcError::ForeignState { found, .. }) if found == "0001"));
}

proptest! {
    #[test]
    fn round_trips(
        sequence in 1_u64..1 << 63, persist: bool, serial in "[ -~]{0,128}", kind in 0_u8..9, holder: prop::sample::Index,
        registrations in prop::collection::vec(("[a-z.:,0-9]{1,255}", any::<(u64, u16)>()), 1..20),
    ) {
        let mut registrations: Vec<_> = registrations
            .into_iter()
            .map(|(name, (key, port))| Registration::new(nexus(&name, port), key))
            .collect();
        registrations.dedup_by(|a, b| same(&a.nexus, &b.nexus));
        let holder = holder.get(&registrations).nexus.clone();
        let reservation = ReservationType::from_code(kind).map(|kind| {
            Reservation { kind, holder: (!kind.all_registrants()).then_some(holder) }
        });
        let image = Image { sequence, serial, persist, reservation, registrations };
        let bytes = image.encode();
        prop_assert!(bytes.len() <= SLOT_LEN);
        prop_assert_eq!(Image::newest(&bytes).unwrap(), Some(image));
    }

    #[test]
    fn takes_any_bytes(bytes: Vec<u8>, patch in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
        prop_assert_eq!(Image::newest(&bytes).unwrap(), None);
        // A record that was changed and got a right checksum again.
        let mut record = image(1).encode();
        for (at, byte) in patch {
            let at = at.index(record.len());
            record[at] = byte;
        }
        let body = record.len() - 4;
        let checksum = crc32c::crc32c(&record[..body]);
        record[body..].copy_from_slice(&checksum.to_be_bytes());
        let _ = Image::newest(&record);
    }
}
