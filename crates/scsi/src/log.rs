//! Log pages (SPC-6 7.3): the data of LOG SENSE.

use crate::bytes::{Writer, be16};
use crate::command::LogSense;
use crate::sense::Sense;

/// Supported Log Pages (00h); with subpage FFh, Supported Log Pages and Subpages.
pub const SUPPORTED_PAGES: u8 = 0x00;
/// Write Error Counters (02h).
pub const WRITE_ERRORS: u8 = 0x02;
/// Read Error Counters (03h).
pub const READ_ERRORS: u8 = 0x03;
/// Informational Exceptions (2Fh).
pub const INFORMATIONAL_EXCEPTIONS: u8 = 0x2F;

/// The pages there are.
pub const PAGE_CODES: [u8; 4] =
    [SUPPORTED_PAGES, WRITE_ERRORS, READ_ERRORS, INFORMATIONAL_EXCEPTIONS];

/// What the log pages tell, since the unit was set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Writes that ended with MEDIUM ERROR: TOTAL UNCORRECTED ERRORS of page 02h.
    pub write_errors: u64,
    /// Reads that ended with MEDIUM ERROR: TOTAL UNCORRECTED ERRORS of page 03h.
    pub read_errors: u64,
}

impl Counters {
    /// Writes the answer to `request`, as much as `out` holds, and returns its whole length.
    ///
    /// There are no thresholds: threshold values and defaults are all 0. Parameters cannot be
    /// saved (DS = 1).
    ///
    /// # Errors
    /// INVALID FIELD IN CDB for SP, PPC, a page or subpage that does not exist, and a parameter
    /// pointer beyond the page's last parameter.
    pub fn sense(&self, request: &LogSense, out: &mut [u8]) -> Result<usize, Sense> {
        if request.save {
            return Err(Sense::invalid_field_in_cdb(1, Some(0)));
        }
        if request.changed_only {
            return Err(Sense::invalid_field_in_cdb(1, Some(1)));
        }
        // Cumulative values; the thresholds and all defaults are 0.
        let value = |counter: u64| if request.page_control == CUMULATIVE { counter } else { 0 };
        let mut writer = Writer::new(out);
        match (request.page, request.subpage) {
            (SUPPORTED_PAGES, 0) => {
                writer.put(&[SUPPORTED_PAGES, 0, 0, 0]).put(&PAGE_CODES);
            }
            (page, ALL_SUBPAGES) if page == SUPPORTED_PAGES || PAGE_CODES.contains(&page) => {
                // The pages have no subpages of their own; with page 00h the list of all.
                writer.put(&[page | SPF, ALL_SUBPAGES, 0, 0]);
                if page == SUPPORTED_PAGES {
                    writer.put(&[SUPPORTED_PAGES, 0, SUPPORTED_PAGES, ALL_SUBPAGES]);
                    for &code in PAGE_CODES.iter().skip(1) {
                        writer.put(&[code, 0]);
                    }
                } else {
                    writer.put(&[page, 0]);
                }
            }
            (page @ (WRITE_ERRORS | READ_ERRORS), 0) => {
                let counter =
                    if page == WRITE_ERRORS { self.write_errors } else { self.read_errors };
                writer.put(&[page | DS, 0, 0, 0]);
                parameter(request, &mut writer, TOTAL_UNCORRECTED, COUNTER, |writer| {
                    writer.put(&value(counter).to_be_bytes());
                })?;
            }
            (INFORMATIONAL_EXCEPTIONS, 0) => {
                /// MOST RECENT TEMPERATURE READING: not known.
                const NO_TEMPERATURE: u8 = 0xFF;

                writer.put(&[INFORMATIONAL_EXCEPTIONS | DS, 0, 0, 0]);
                parameter(request, &mut writer, 0x0000, BINARY_LIST, |writer| {
                    writer.put(&[0, 0, NO_TEMPERATURE, 0]);
                })?;
            }
            (page, _) if PAGE_CODES.contains(&page) => {
                return Err(Sense::invalid_field_in_cdb(3, Some(7)));
            }
            _ => return Err(Sense::invalid_field_in_cdb(2, Some(5))),
        }
        let len = writer.len();
        writer.patch(2, &be16(len - 4));
        Ok(len)
    }
}

/// The only log parameter of a page, unless the parameter pointer is beyond it.
fn parameter(
    request: &LogSense,
    writer: &mut Writer<'_>,
    code: u16,
    control: u8,
    value: impl FnOnce(&mut Writer<'_>),
) -> Result<(), Sense> {
    if request.parameter_pointer > code {
        return Err(Sense::invalid_field_in_cdb(5, None));
    }
    let at = writer.len();
    writer.put(&code.to_be_bytes()).put(&[control, 0]);
    value(writer);
    let len = u8::try_from(writer.len() - at - 4).unwrap_or(u8::MAX);
    writer.patch(at + 3, &[len]);
    Ok(())
}

/// PC: cumulative values.
const CUMULATIVE: u8 = 0b01;
/// DS: the page's parameters are not saved.
const DS: u8 = 0x80;
/// SPF: the header has a subpage code.
const SPF: u8 = 0x40;
const ALL_SUBPAGES: u8 = 0xFF;
/// Parameter code of TOTAL UNCORRECTED ERRORS.
const TOTAL_UNCORRECTED: u16 = 0x0006;
/// FORMAT AND LINKING: a bounded counter; a binary list.
const COUNTER: u8 = 0b10;
const BINARY_LIST: u8 = 0b11;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUEST: LogSense = LogSense {
        save: false,
        changed_only: false,
        page_control: CUMULATIVE,
        page: 0,
        subpage: 0,
        parameter_pointer: 0,
        allocation_length: 255,
    };
    const COUNTERS: Counters = Counters { write_errors: 3, read_errors: 0x0102 };

    fn data(request: LogSense) -> Result<Vec<u8>, Sense> {
        let mut out = [0xEE; 64];
        let len = COUNTERS.sense(&request, &mut out)?;
        assert_eq!(usize::from(u16::from_be_bytes([out[2], out[3]])), len - 4);
        Ok(out[..len].to_vec())
    }

    #[test]
    fn lists_of_pages() {
        assert_eq!(data(REQUEST).unwrap()[..], [0, 0, 0, 4, 0, 2, 3, 0x2F]);
        let all = data(LogSense { subpage: 0xFF, ..REQUEST }).unwrap();
        assert_eq!(all, [0x40, 0xFF, 0, 10, 0, 0, 0, 0xFF, 2, 0, 3, 0, 0x2F, 0]);
        let one = data(LogSense { page: 2, subpage: 0xFF, ..REQUEST }).unwrap();
        assert_eq!(one, [0x42, 0xFF, 0, 2, 2, 0]);
    }

    #[test]
    fn counters() {
        let read = LogSense { page: READ_ERRORS, ..REQUEST };
        assert_eq!(data(read).unwrap()[..8], [0x83, 0, 0, 12, 0, 6, 2, 8]);
        assert_eq!(data(read).unwrap()[8..], [0, 0, 0, 0, 0, 0, 1, 2]);
        let defaults = data(LogSense { page_control: 0b11, ..read }).unwrap();
        assert_eq!(defaults[8..], [0; 8]);
        let exceptions = data(LogSense { page: INFORMATIONAL_EXCEPTIONS, ..REQUEST }).unwrap();
        assert_eq!(exceptions, [0xAF, 0, 0, 8, 0, 0, 3, 4, 0, 0, 0xFF, 0]);
    }

    #[test]
    fn refusals() {
        let cdb = |byte, bit| Err(Sense::invalid_field_in_cdb(byte, bit));
        assert_eq!(data(LogSense { save: true, ..REQUEST }), cdb(1, Some(0)));
        assert_eq!(data(LogSense { changed_only: true, ..REQUEST }), cdb(1, Some(1)));
        assert_eq!(data(LogSense { page: 0x0D, ..REQUEST }), cdb(2, Some(5)));
        assert_eq!(data(LogSense { page: 2, subpage: 1, ..REQUEST }), cdb(3, Some(7)));
        assert_eq!(data(LogSense { page: 2, parameter_pointer: 7, ..REQUEST }), cdb(5, None));
        assert!(data(LogSense { page: 2, parameter_pointer: 6, ..REQUEST }).is_ok());
    }

    proptest! {
        #[test]
        fn takes_any_request(
            page in 0_u8..64, subpage: u8, page_control in 0_u8..4, parameter_pointer: u16,
        ) {
            let request = LogSense { page, subpage, page_control, parameter_pointer, ..REQUEST };
            let supported = PAGE_CODES.contains(&page) && matches!(subpage, 0 | 0xFF);
            prop_assert!(supported || data(request).is_err());
        }
    }
}
