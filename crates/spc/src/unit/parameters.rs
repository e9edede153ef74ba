//! The mode parameters and log pages of a unit.

use outboard_scsi::Sense;
use outboard_scsi::command::{LogSense, ModeSelect, ModeSense};
use outboard_scsi::mode::{Caching, Control, InformationalExceptions, Pages, Parameters};

use super::{LogicalUnit, UnitConfig};

impl LogicalUnit {
    /// The saved mode pages, from where they are kept; from now on pages can be saved (PS = 1).
    /// They become the current ones. Fields that cannot be changed are as by default.
    pub fn restore_mode(&mut self, saved: Option<Pages>) {
        let default = self.default_mode();
        let mut pages = default;
        if let Some(saved) = saved {
            pages.control.descriptor_sense = saved.control.descriptor_sense;
            pages.control.software_write_protect = saved.control.software_write_protect;
            if self.config.volatile_cache {
                pages.caching.write_cache = saved.caching.write_cache;
            }
        }
        self.saved_mode = Some(pages);
        self.mode = pages;
        self.work_out();
    }

    /// The saved mode pages, to be kept; `None` if pages cannot be saved.
    #[must_use]
    pub fn saved_mode(&self) -> Option<&Pages> {
        self.saved_mode.as_ref()
    }

    /// MODE SENSE data.
    pub(crate) fn mode_sense(&self, request: &ModeSense, out: &mut [u8]) -> Result<usize, Sense> {
        self.mode_parameters().sense(request, out)
    }

    /// MODE SELECT; whether anything changed.
    pub(crate) fn mode_select(&mut self, request: &ModeSelect, list: &[u8]) -> Result<bool, Sense> {
        let pages = self.mode_parameters().select(request, list)?;
        let before = (self.mode, self.saved_mode);
        self.mode = pages;
        if request.save_pages {
            self.saved_mode = Some(pages);
        }
        self.work_out();
        Ok(before != (self.mode, self.saved_mode))
    }

    /// LOG SENSE data.
    pub(crate) fn log_sense(&self, request: &LogSense, out: &mut [u8]) -> Result<usize, Sense> {
        self.counters.sense(request, out)
    }

    pub(super) fn default_mode(&self) -> Pages {
        default_pages(&self.config)
    }

    fn mode_parameters(&self) -> Parameters {
        Parameters {
            write_protected: self.write_protection.is_some(),
            dpofua: true,
            blocks: self.config.capacity.blocks(),
            block_size: self.config.capacity.block_size(),
            current: self.mode,
            default: self.default_mode(),
            saved: self.saved_mode,
            changeable: Pages {
                caching: Caching { write_cache: self.config.volatile_cache, ..Caching::default() },
                control: Control {
                    descriptor_sense: true,
                    software_write_protect: true,
                    ..Control::default()
                },
                ..Pages::default()
            },
        }
    }
}

pub(super) fn default_pages(config: &UnitConfig) -> Pages {
    Pages {
        caching: Caching { write_cache: config.volatile_cache, ..Caching::default() },
        control: Control {
            log_saving_disabled: true,
            queue_algorithm: UNRESTRICTED_REORDERING,
            ..Control::default()
        },
        exceptions: InformationalExceptions { disabled: true, method: 0 },
        ..Pages::default()
    }
}

/// QUEUE ALGORITHM MODIFIER: SIMPLE tasks may be reordered in any way.
const UNRESTRICTED_REORDERING: u8 = 1;
