//! Mode parameters (SPC-6 7.5, SBC-4 clause 6): the data of MODE SENSE, the parameter list of MODE
//! SELECT.
//!
//! [`Pages`] holds the fields of all mode pages. The same type serves as the current values, the
//! default values, the saved values and the changeable mask: in a mask, a field whose bits are all
//! ones can be changed.

mod pages;
mod select;

pub use pages::{
    Caching, Control, ErrorRecovery, InformationalExceptions, PageBytes, Pages, PowerCondition,
};

use crate::bytes::{Writer, be16};
use crate::command::{ModeSense, PageControl};
use crate::sense::Sense;

/// Page code of [`ErrorRecovery`].
pub const ERROR_RECOVERY: u8 = 0x01;
/// Page code of [`Caching`].
pub const CACHING: u8 = 0x08;
/// Page code of [`Control`].
pub const CONTROL: u8 = 0x0A;
/// Page code of [`PowerCondition`].
pub const POWER_CONDITION: u8 = 0x1A;
/// Page code of [`InformationalExceptions`].
pub const INFORMATIONAL_EXCEPTIONS: u8 = 0x1C;
/// "All pages" in the PAGE CODE field.
pub const ALL_PAGES: u8 = 0x3F;
/// "All subpages" in the SUBPAGE CODE field.
pub const ALL_SUBPAGES: u8 = 0xFF;

/// The pages there are, in the order in which "all pages" gives them.
pub const PAGE_CODES: [u8; 5] =
    [ERROR_RECOVERY, CACHING, CONTROL, POWER_CONDITION, INFORMATIONAL_EXCEPTIONS];

/// The mode parameters of a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// WP: the medium is write-protected.
    pub write_protected: bool,
    /// DPOFUA: the DPO and FUA bits of READ and WRITE are supported.
    pub dpofua: bool,
    /// Number of logical blocks.
    pub blocks: u64,
    /// Logical block length in bytes; the short block descriptor holds 24 bits of it.
    pub block_size: u32,
    /// Current values.
    pub current: Pages,
    /// Default values.
    pub default: Pages,
    /// Saved values; `None` if pages cannot be saved.
    pub saved: Option<Pages>,
    /// Which fields MODE SELECT can change.
    pub changeable: Pages,
}

impl Parameters {
    /// Writes the answer to `request`, as much as `out` holds, and returns its whole length.
    ///
    /// Header and block descriptor hold current values whatever the page control. The long block
    /// descriptor is used where LLBAA allows it; the short one gives FFFF_FFFFh for a number of
    /// blocks that needs more than 32 bits. PS is set where pages can be saved.
    ///
    /// # Errors
    /// SAVING PARAMETERS NOT SUPPORTED for saved values where there are none; INVALID FIELD IN CDB
    /// for a page or a subpage that does not exist.
    pub fn sense(&self, request: &ModeSense, out: &mut [u8]) -> Result<usize, Sense> {
        let wanted = select(request)?;
        let pages = match (request.page_control, &self.saved) {
            (PageControl::Changeable, _) => &self.changeable,
            (PageControl::Default, _) => &self.default,
            (PageControl::Current, _) => &self.current,
            (PageControl::Saved, Some(saved)) => saved,
            (PageControl::Saved, None) => return Err(Sense::SAVING_PARAMETERS_NOT_SUPPORTED),
        };

        let mut writer = Writer::new(out);
        let long = request.ten && request.llbaa && !request.dbd;
        let descriptor_len = match (request.dbd, long) {
            (true, _) => 0,
            (false, false) => SHORT_DESCRIPTOR_LEN,
            (false, true) => LONG_DESCRIPTOR_LEN,
        };
        let device = flag(self.write_protected, WP) | flag(self.dpofua, DPOFUA);
        if request.ten {
            writer.put(&[0, 0, 0, device, u8::from(long), 0, 0, descriptor_len]);
        } else {
            writer.put(&[0, 0, device, descriptor_len]);
        }
        match (request.dbd, long) {
            (true, _) => {}
            (false, false) => self.write_short_descriptor(&mut writer),
            (false, true) => self.write_long_descriptor(&mut writer),
        }
        for code in PAGE_CODES.into_iter().filter(|&code| wanted.includes(code)) {
            if let Some(page) = pages.page(code) {
                let at = writer.len();
                writer.put(&page);
                writer.patch(at, &[code | flag(self.saved.is_some(), PS)]);
            }
        }

        // MODE DATA LENGTH does not count itself.
        let len = writer.len();
        if request.ten {
            writer.patch(0, &be16(len - 2));
        } else {
            writer.patch(0, &[u8::try_from(len - 1).unwrap_or(u8::MAX)]);
        }
        Ok(len)
    }

    fn write_short_descriptor(&self, writer: &mut Writer<'_>) {
        let blocks = u32::try_from(self.blocks).unwrap_or(u32::MAX);
        let [_, size @ ..] = self.block_size.to_be_bytes();
        writer.put(&blocks.to_be_bytes()).zeros(1).put(&size);
    }

    fn write_long_descriptor(&self, writer: &mut Writer<'_>) {
        writer.put(&self.blocks.to_be_bytes()).zeros(4).put(&self.block_size.to_be_bytes());
    }
}

/// The pages that a request names.
#[derive(Clone, Copy)]
enum Wanted {
    All,
    One(u8),
}

impl Wanted {
    fn includes(self, page: u8) -> bool {
        match self {
            Self::All => true,
            Self::One(wanted) => wanted == page,
        }
    }
}

/// Subpage 00h is the page itself and FFh the page with its subpages; no page here has any.
fn select(request: &ModeSense) -> Result<Wanted, Sense> {
    let wanted = match request.page {
        ALL_PAGES => Wanted::All,
        page if PAGE_CODES.contains(&page) => Wanted::One(page),
        _ => return Err(Sense::invalid_field_in_cdb(2, Some(5))),
    };
    match request.subpage {
        0x00 | ALL_SUBPAGES => Ok(wanted),
        _ => Err(Sense::invalid_field_in_cdb(3, Some(7))),
    }
}

fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

/// Bits of the DEVICE-SPECIFIC PARAMETER field (SBC-4 clause 6).
const WP: u8 = 0x80;
const DPOFUA: u8 = 0x10;
/// PS of a page: its parameters can be saved.
const PS: u8 = 0x80;
const SHORT_DESCRIPTOR_LEN: u8 = 8;
const LONG_DESCRIPTOR_LEN: u8 = 16;

#[cfg(test)]
mod tests;
