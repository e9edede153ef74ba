use proptest::prelude::*;

use super::*;
use crate::command::{Command, ModeSelect, build};

fn parameters() -> Parameters {
    let current = Pages {
        caching: Caching { write_cache: true, ..Caching::default() },
        control: Control { queue_algorithm: 1, ..Control::default() },
        exceptions: InformationalExceptions { disabled: true, method: 0 },
        ..Pages::default()
    };
    Parameters {
        write_protected: true,
        dpofua: true,
        blocks: 0x1000,
        block_size: 512,
        current,
        default: Pages { caching: Caching::default(), ..current },
        saved: None,
        changeable: Pages {
            caching: Caching { write_cache: true, ..Caching::default() },
            ..Pages::default()
        },
    }
}

fn sense(cdb: build::Cdb, out: &mut [u8]) -> Result<usize, Sense> {
    match crate::command::parse(cdb.as_slice()) {
        Ok(Command::ModeSense(request)) => parameters().sense(&request, out),
        other => panic!("{other:?}"),
    }
}

#[test]
fn six_byte_header_and_short_descriptor() {
    let mut out = [0; 64];
    let len = sense(build::mode_sense_6(false, CACHING, 0, 255), &mut out).unwrap();
    assert_eq!(len, 4 + 8 + 20);
    assert_eq!(out[..4], [31, 0, 0x90, 8]);
    assert_eq!(out[4..12], [0, 0, 0x10, 0, 0, 0, 2, 0]);
    assert_eq!(out[12..16], [0x08, 18, 0x04, 0]);
}

#[test]
fn ten_byte_header_and_descriptors() {
    let mut out = [0; 64];
    let cdb = build::mode_sense_10(false, CONTROL, 0, 255);
    let len = sense(cdb, &mut out).unwrap();
    assert_eq!(len, 8 + 8 + 12);
    assert_eq!(out[..8], [0, 26, 0, 0x90, 0, 0, 0, 8]);
    assert_eq!(out[16..20], [0x0A, 10, 0, 0x10]);

    let len = sense(cdb.with(1, 0x10), &mut out).unwrap();
    assert_eq!(len, 8 + 16 + 12);
    assert_eq!(out[..8], [0, 34, 0, 0x90, 1, 0, 0, 16]);
    assert_eq!(out[8..24], [0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 2, 0]);

    // LLBAA has nothing to say when there is no descriptor.
    let len = sense(cdb.with(1, 0x18), &mut out).unwrap();
    assert_eq!(len, 8 + 12);
    assert_eq!(out[..8], [0, 18, 0, 0x90, 0, 0, 0, 0]);
}

#[test]
fn short_descriptor_of_a_large_medium() {
    let mut out = [0; 64];
    let parameters = Parameters { blocks: 1 << 32, ..parameters() };
    let Ok(Command::ModeSense(request)) =
        crate::command::parse(build::mode_sense_6(false, CACHING, 0, 255).as_slice())
    else {
        panic!()
    };
    parameters.sense(&request, &mut out).unwrap();
    assert_eq!(out[4..8], [0xFF; 4]);
}

#[test]
fn all_pages_in_ascending_order() {
    for subpage in [0, ALL_SUBPAGES] {
        let mut out = [0; 128];
        let len = sense(build::mode_sense_6(true, ALL_PAGES, subpage, 255), &mut out).unwrap();
        assert_eq!(len, 100);
        let mut pages = &out[4..len];
        let mut codes = Vec::new();
        while let [code, length, ..] = *pages {
            codes.push(code);
            let (page, rest) = pages.split_at(usize::from(length) + 2);
            assert_eq!(*parameters().current.page(code).unwrap(), *page);
            pages = rest;
        }
        assert_eq!(codes, PAGE_CODES);
    }
}

#[test]
fn page_control() {
    let mut out = [0; 64];
    let caching = |page_control: u8, out: &mut [u8]| {
        sense(build::mode_sense_6(true, page_control << 6 | CACHING, 0, 255), out)
    };
    assert!(caching(0b01, &mut out).is_ok());
    assert_eq!(out[4..24], [8, 18, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(caching(0b10, &mut out).is_ok());
    assert_eq!(out[6], 0);
    assert_eq!(caching(0b11, &mut out), Err(Sense::SAVING_PARAMETERS_NOT_SUPPORTED));
}

#[test]
fn unknown_pages_and_subpages() {
    let mut out = [0; 64];
    let mut page = |page, subpage| sense(build::mode_sense_6(true, page, subpage, 255), &mut out);
    assert_eq!(page(0x02, 0), Err(Sense::invalid_field_in_cdb(2, Some(5))));
    assert_eq!(page(0x00, 0), Err(Sense::invalid_field_in_cdb(2, Some(5))));
    assert_eq!(page(CONTROL, 1), Err(Sense::invalid_field_in_cdb(3, Some(7))));
    assert_eq!(page(ALL_PAGES, 1), Err(Sense::invalid_field_in_cdb(3, Some(7))));
    assert!(page(CONTROL, ALL_SUBPAGES).is_ok());
}

#[test]
fn truncation_keeps_the_length() {
    let mut out = [0; 2];
    assert_eq!(sense(build::mode_sense_6(true, ALL_PAGES, 0, 255), &mut out), Ok(100));
    assert_eq!(out, [99, 0]);
}

#[test]
fn saved_values() {
    let saved = Pages { caching: Caching::default(), ..parameters().current };
    let parameters = Parameters { saved: Some(saved), ..parameters() };
    let mut out = [0; 64];
    let Ok(Command::ModeSense(request)) =
        crate::command::parse(build::mode_sense_6(true, 0xC0 | CACHING, 0, 255).as_slice())
    else {
        panic!()
    };
    assert_eq!(parameters.sense(&request, &mut out), Ok(24));
    assert_eq!(out[4..7], [PS | CACHING, 18, 0], "PS, and WCE as it was saved");
    let save = ModeSelect { save_pages: true, ..SELECT_6 };
    assert_eq!(parameters.select(&save, &list_6(&[])), Ok(parameters.current));
}

const SELECT_6: ModeSelect = ModeSelect {
    page_format: true,
    revert_to_defaults: false,
    save_pages: false,
    parameter_list_length: 0,
    ten: false,
};

/// A parameter list of MODE SELECT(6) without block descriptor.
fn list_6(page: &[u8]) -> Vec<u8> {
    [&[0, 0, 0x90, 0], page].concat()
}

fn select_6(list: &[u8]) -> Result<Pages, Sense> {
    parameters().select(&SELECT_6, list)
}

#[test]
fn select_changes_what_can_be_changed() {
    let off = Caching::default().encode();
    let pages = select_6(&list_6(&off)).unwrap();
    assert_eq!(pages, Pages { caching: Caching::default(), ..parameters().current });
    let ten = ModeSelect { ten: true, ..SELECT_6 };
    let list = [&[0; 8], &off[..]].concat();
    assert_eq!(parameters().select(&ten, &list), Ok(pages));
    assert_eq!(select_6(&[]), Ok(parameters().current));
    let revert = ModeSelect { revert_to_defaults: true, page_format: false, ..SELECT_6 };
    assert_eq!(parameters().select(&revert, &[]), Ok(parameters().default));
    assert_eq!(
        parameters().select(&revert, &list_6(&[])),
        Err(Sense::invalid_field_in_cdb(1, Some(1)))
    );
}

#[test]
fn select_is_all_or_nothing_and_points_at_the_field() {
    let invalid = |byte, bit| Err(Sense::invalid_field_in_parameter_list(byte, bit));
    let mut control = parameters().current.control.encode();
    assert_eq!(select_6(&list_6(&control)), Ok(parameters().current), "nothing changes");
    control[2] ^= 0x04;
    assert_eq!(select_6(&list_6(&control)), invalid(6, Some(2)));
    let both = [&Caching::default().encode()[..], &control].concat();
    assert_eq!(select_6(&list_6(&both)), invalid(26, Some(2)));
    assert_eq!(select_6(&list_6(&[0x3E, 0])), invalid(4, Some(5)));
    assert_eq!(select_6(&list_6(&[0x4A, 1, 0, 0])), invalid(4, Some(6)));
    assert_eq!(select_6(&list_6(&[CACHING, 10])), invalid(5, None));
    assert_eq!(select_6(&[0, 1, 0, 0]), invalid(1, None));
    let cdb = |byte, bit| Err(Sense::invalid_field_in_cdb(byte, Some(bit)));
    let vendor = ModeSelect { page_format: false, ..SELECT_6 };
    assert_eq!(parameters().select(&vendor, &list_6(&[])), cdb(1, 4));
    let save = ModeSelect { save_pages: true, ..SELECT_6 };
    assert_eq!(parameters().select(&save, &list_6(&[])), cdb(1, 0));
}

#[test]
fn select_wants_whole_pages() {
    let list = list_6(&Caching::default().encode());
    for len in (1..list.len()).filter(|&len| len != 4) {
        assert_eq!(select_6(&list[..len]), Err(Sense::PARAMETER_LIST_LENGTH_ERROR), "{len}");
    }
}

#[test]
fn select_wants_the_block_descriptor_that_is_there() {
    let six =
        |descriptor: [u8; 8]| select_6(&[&[0, 0, 0, 8], &descriptor[..]].concat()).map(|_| ());
    let invalid = |byte| Err(Sense::invalid_field_in_parameter_list(byte, None));
    for blocks in [[0; 4], [0xFF; 4], [0, 0, 0x10, 0]] {
        let [a, b, c, d] = blocks;
        assert_eq!(six([a, b, c, d, 0, 0, 2, 0]), Ok(()));
        assert_eq!(six([a, b, c, d, 0, 0, 0, 0]), Ok(()));
        assert_eq!(six([a, b, c, d, 0, 0, 0x10, 0]), invalid(9));
    }
    assert_eq!(six([0, 0, 0, 1, 0, 0, 2, 0]), invalid(4));
    assert_eq!(select_6(&[0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]).map(|_| ()), invalid(3));
    let ten = ModeSelect { ten: true, ..SELECT_6 };
    let mut list = [&[0, 0, 0, 0, 1, 0, 0, 16], &[0; 16][..]].concat();
    list[22] = 2;
    assert_eq!(parameters().select(&ten, &list), Ok(parameters().current));
    list[22] = 4;
    assert_eq!(
        parameters().select(&ten, &list),
        Err(Sense::invalid_field_in_parameter_list(20, None))
    );
    list[7] = 8;
    assert_eq!(
        parameters().select(&ten, &list),
        Err(Sense::invalid_field_in_parameter_list(6, None))
    );
}

proptest! {
    /// Whatever comes, only changeable fields change.
    #[test]
    fn select_takes_any_list(
        mut list in prop::collection::vec(any::<u8>(), 0..120),
        header: bool,
        code in prop::sample::select(&PAGE_CODES[..]),
        ten: bool,
    ) {
        if header {
            let page = parameters().current.page(code).unwrap();
            let len = if ten { 8 } else { 4 };
            list.truncate(len);
            list.fill(0);
            list.resize(len, 0);
            list.extend_from_slice(&page);
        }
        if let Ok(pages) = parameters().select(&ModeSelect { ten, ..SELECT_6 }, &list) {
            let write_cache = pages.caching.write_cache;
            let mut expected = parameters().current;
            expected.caching.write_cache = write_cache;
            prop_assert_eq!(pages, expected);
        }
    }

    #[test]
    fn control_round_trips(
        descriptor_sense: bool,
        log_saving_disabled: bool,
        queue_algorithm in 0_u8..16,
        queue_error in 0_u8..4,
        software_write_protect: bool,
        task_aborted_status: bool,
        busy_timeout_100_ms: u16,
        extended_self_test_s: u16,
    ) {
        let page = Control {
            descriptor_sense,
            log_saving_disabled,
            queue_algorithm,
            queue_error,
            software_write_protect,
            task_aborted_status,
            busy_timeout_100_ms,
            extended_self_test_s,
        };
        prop_assert_eq!(Control::parse(&page.encode()), Some(page));
    }

    #[test]
    fn caching_round_trips(
        write_cache: bool, read_cache_disabled: bool, read_ahead_disabled: bool,
    ) {
        let page = Caching { write_cache, read_cache_disabled, read_ahead_disabled };
        prop_assert_eq!(Caching::parse(&page.encode()), Some(page));
    }

    #[test]
    fn takes_any_bytes(data: Vec<u8>) {
        let _ = (Caching::parse(&data), Control::parse(&data));
        let _ = InformationalExceptions::parse(&data);
    }
}
