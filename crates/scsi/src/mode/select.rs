//! The parameter list of MODE SELECT: header, block descriptor, pages.

use super::{ALL_PAGES, LONG_DESCRIPTOR_LEN, Pages, Parameters, SHORT_DESCRIPTOR_LEN};
use crate::command::ModeSelect;
use crate::sense::Sense;

impl Parameters {
    /// The current values as MODE SELECT with the parameter list `list` changes them: all of it or
    /// nothing.
    ///
    /// The header's DEVICE-SPECIFIC PARAMETER is ignored (SBC-4 clause 6). A block descriptor must
    /// say what is there already: block length and number of blocks are changed by FORMAT UNIT. An
    /// empty list changes nothing.
    ///
    /// # Errors
    /// INVALID FIELD IN CDB for a vendor's page format (PF = 0), for SP where pages cannot be saved
    /// and for RTD with a parameter list; PARAMETER LIST LENGTH ERROR for a list that ends within
    /// something; INVALID FIELD IN PARAMETER LIST, pointing at the field, for a page that does not
    /// exist, a wrong length, or a change of something that cannot be changed.
    pub fn select(&self, request: &ModeSelect, list: &[u8]) -> Result<Pages, Sense> {
        if request.save_pages && self.saved.is_none() {
            return Err(Sense::invalid_field_in_cdb(1, Some(0)));
        }
        if request.revert_to_defaults {
            return match list {
                [] => Ok(self.default),
                _ => Err(Sense::invalid_field_in_cdb(1, Some(1))),
            };
        }
        if list.is_empty() {
            return Ok(self.current);
        }
        if !request.page_format {
            return Err(Sense::invalid_field_in_cdb(1, Some(4)));
        }
        let mut list = List { whole: list, at: 0 };
        let (descriptor, long, at) = self.header(&mut list, request.ten)?;
        self.check_descriptor(&mut list, descriptor, long, at)?;
        let mut pages = self.current;
        while !list.is_empty() {
            self.page(&mut list, &mut pages)?;
        }
        Ok(pages)
    }

    /// The block descriptor's length, whether it is a long one, and where its length stands.
    fn header(&self, list: &mut List<'_>, ten: bool) -> Result<(usize, bool, u16), Sense> {
        let (medium_type, long, length, at) = if ten {
            let &[_, _, medium_type, _, flags, _, high, low] = list.take()?;
            (medium_type, flags & 0x01 != 0, u16::from_be_bytes([high, low]), 6)
        } else {
            let &[_, medium_type, _, length] = list.take()?;
            (medium_type, false, u16::from(length), 3)
        };
        if medium_type != 0 {
            return Err(invalid(usize::from(ten) + 1, None));
        }
        Ok((usize::from(length), long, at))
    }

    fn check_descriptor(
        &self,
        list: &mut List<'_>,
        len: usize,
        long: bool,
        len_field: u16,
    ) -> Result<(), Sense> {
        if len == 0 {
            return Ok(());
        }
        let expected = if long { LONG_DESCRIPTOR_LEN } else { SHORT_DESCRIPTOR_LEN };
        if len != usize::from(expected) {
            return Err(invalid(usize::from(len_field), None));
        }
        let begin = list.at;
        let (blocks, all_blocks, block_size, size_field) = if long {
            let &[a, b, c, d, e, f, g, h, _, _, _, _, i, j, k, l] = list.take()?;
            let blocks = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            (blocks, u64::MAX, u32::from_be_bytes([i, j, k, l]), 12)
        } else {
            let &[a, b, c, d, _, e, f, g] = list.take()?;
            let blocks = u64::from(u32::from_be_bytes([a, b, c, d]));
            (blocks, u64::from(u32::MAX), u32::from_be_bytes([0, e, f, g]), 5)
        };
        if blocks != 0 && blocks != all_blocks && blocks != self.blocks {
            return Err(invalid(begin, None));
        }
        if block_size != 0 && block_size != self.block_size {
            return Err(invalid(begin + size_field, None));
        }
        Ok(())
    }

    /// Takes one page from the list over into `pages`.
    fn page(&self, list: &mut List<'_>, pages: &mut Pages) -> Result<(), Sense> {
        /// SPF: a page with a subpage code, of which there are none.
        const SPF: u8 = 0x40;

        let begin = list.at;
        let rest = list.rest();
        let &[first, length, ..] = rest else { return Err(Sense::PARAMETER_LIST_LENGTH_ERROR) };
        // PS is reserved here.
        let code = first & ALL_PAGES;
        if first & SPF != 0 {
            return Err(invalid(begin, Some(6)));
        }
        let (Some(current), Some(mask)) = (pages.page(code), self.changeable.page(code)) else {
            return Err(invalid(begin, Some(5)));
        };
        if usize::from(length) + 2 != current.len() {
            return Err(invalid(begin + 1, None));
        }
        let Some(new) = rest.get(..current.len()) else {
            return Err(Sense::PARAMETER_LIST_LENGTH_ERROR);
        };
        let fields = new.iter().zip(&*current).zip(&*mask).enumerate().skip(2);
        for (index, ((new, current), mask)) in fields {
            let wrong = (new ^ current) & !mask;
            if wrong != 0 {
                let bit = u8::try_from(wrong.ilog2()).ok();
                return Err(invalid(begin + index, bit));
            }
        }
        pages.set_page(code, new);
        list.at += new.len();
        Ok(())
    }
}

/// A parameter list and how far it has been read.
struct List<'a> {
    whole: &'a [u8],
    at: usize,
}

impl<'a> List<'a> {
    fn rest(&self) -> &'a [u8] {
        self.whole.get(self.at..).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], Sense> {
        let taken = self.rest().first_chunk().ok_or(Sense::PARAMETER_LIST_LENGTH_ERROR)?;
        self.at += N;
        Ok(taken)
    }
}

fn invalid(byte: usize, bit: Option<u8>) -> Sense {
    Sense::invalid_field_in_parameter_list(u16::try_from(byte).unwrap_or(u16::MAX), bit)
}
