use proptest::prelude::*;

use super::*;
use crate::command::{Command, build};

fn parameters() -> Parameters {
    let current = Pages {
        caching: Caching { write_cache: true, ..Caching::default() },
        control: Control { queue_algorithm: 1, ..Control::default() },
        exceptions: InformationalExceptions { disabled: true, method: 0 },
    };
    Parameters {
        write_protected: true,
        dpofua: true,
        blocks: 0x1000,
        block_size: 512,
        current,
        default: Pages { caching: Caching::default(), ..current },
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
        let mut out = [0; 64];
        let len = sense(build::mode_sense_6(true, ALL_PAGES, subpage, 255), &mut out).unwrap();
        assert_eq!(len, 4 + 20 + 12 + 12);
        assert_eq!((out[4], out[24], out[36]), (CACHING, CONTROL, INFORMATIONAL_EXCEPTIONS));
        assert_eq!(Caching::parse(&out[4..]), Some(parameters().current.caching));
        assert_eq!(Control::parse(&out[24..]), Some(parameters().current.control));
        assert_eq!(
            InformationalExceptions::parse(&out[36..]),
            Some(parameters().current.exceptions)
        );
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
    assert_eq!(sense(build::mode_sense_6(true, ALL_PAGES, 0, 255), &mut out), Ok(48));
    assert_eq!(out, [47, 0]);
}

proptest! {
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
