//! The mode pages themselves.

use core::ops::Deref;

use super::{CACHING, CONTROL, ERROR_RECOVERY, INFORMATIONAL_EXCEPTIONS, POWER_CONDITION, flag};

/// The fields of all mode pages. All zeros is a mask without changeable fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    /// Page 01h.
    pub recovery: ErrorRecovery,
    /// Page 08h.
    pub caching: Caching,
    /// Page 0Ah.
    pub control: Control,
    /// Page 1Ah.
    pub power: PowerCondition,
    /// Page 1Ch.
    pub exceptions: InformationalExceptions,
}

/// The bytes of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageBytes {
    bytes: [u8; PowerCondition::LEN],
    len: usize,
}

/// Read-Write Error Recovery (01h; SBC-4 clause 6). The other fields are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorRecovery {
    /// AWRE: blocks that fail in a write are put elsewhere.
    pub reallocate_writes: bool,
    /// ARRE: blocks that fail in a read are put elsewhere.
    pub reallocate_reads: bool,
    /// READ RETRY COUNT.
    pub read_retries: u8,
    /// WRITE RETRY COUNT.
    pub write_retries: u8,
}

/// Power Condition (1Ah; SPC-6 7.5). There are no timers: all fields are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PowerCondition;

/// Caching (08h; SBC-4 clause 6). The other fields are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caching {
    /// WCE: a write may end before its data is on the medium.
    pub write_cache: bool,
    /// RCD: reads come from the medium, not from the cache.
    pub read_cache_disabled: bool,
    /// DRA: no read-ahead.
    pub read_ahead_disabled: bool,
}

/// Control (0Ah; SPC-6 7.5). One task set for all nexuses (TST = 0), UA_INTLCK_CTRL = 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// D_SENSE: sense data in descriptor format.
    pub descriptor_sense: bool,
    /// GLTSD: log parameters are not saved by themselves.
    pub log_saving_disabled: bool,
    /// QUEUE ALGORITHM MODIFIER, 4 bits: 0 restricted, 1 unrestricted reordering of SIMPLE
    /// commands.
    pub queue_algorithm: u8,
    /// QERR, 2 bits: 0 leaves the other commands alone after a CHECK CONDITION.
    pub queue_error: u8,
    /// SWP: software write protect.
    pub software_write_protect: bool,
    /// TAS: a command aborted by another nexus ends with TASK ABORTED.
    pub task_aborted_status: bool,
    /// BUSY TIMEOUT PERIOD in units of 100 ms; FFFFh is unlimited.
    pub busy_timeout_100_ms: u16,
    /// EXTENDED SELF-TEST COMPLETION TIME in seconds.
    pub extended_self_test_s: u16,
}

/// Informational Exceptions Control (1Ch; SPC-6 7.5). The other fields are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InformationalExceptions {
    /// DEXCPT: informational exceptions are disabled.
    pub disabled: bool,
    /// MRIE, 4 bits: how informational exceptions are reported.
    pub method: u8,
}

impl Pages {
    /// The page of `code`, without PS; `None` if there is none.
    #[must_use]
    pub fn page(&self, code: u8) -> Option<PageBytes> {
        Some(match code {
            ERROR_RECOVERY => PageBytes::new(&self.recovery.encode()),
            CACHING => PageBytes::new(&self.caching.encode()),
            CONTROL => PageBytes::new(&self.control.encode()),
            POWER_CONDITION => PageBytes::new(&self.power.encode()),
            INFORMATIONAL_EXCEPTIONS => PageBytes::new(&self.exceptions.encode()),
            _ => return None,
        })
    }

    /// Takes the fields of a page over from its bytes; nothing happens if they are no such page.
    pub fn set_page(&mut self, code: u8, page: &[u8]) {
        match code {
            ERROR_RECOVERY => self.recovery = ErrorRecovery::parse(page).unwrap_or(self.recovery),
            CACHING => self.caching = Caching::parse(page).unwrap_or(self.caching),
            CONTROL => self.control = Control::parse(page).unwrap_or(self.control),
            INFORMATIONAL_EXCEPTIONS => {
                self.exceptions = InformationalExceptions::parse(page).unwrap_or(self.exceptions);
            }
            _ => {}
        }
    }
}

impl PageBytes {
    fn new(page: &[u8]) -> Self {
        let mut bytes = [0; PowerCondition::LEN];
        for (to, from) in bytes.iter_mut().zip(page) {
            *to = *from;
        }
        Self { bytes, len: page.len() }
    }
}

impl Deref for PageBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

impl ErrorRecovery {
    /// Length of the page.
    pub const LEN: usize = 12;

    /// The page.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut page = [0; Self::LEN];
        page[0] = ERROR_RECOVERY;
        page[1] = Self::LEN as u8 - 2;
        page[2] = flag(self.reallocate_writes, 0x80) | flag(self.reallocate_reads, 0x40);
        page[3] = self.read_retries;
        page[8] = self.write_retries;
        page
    }

    /// Reads the page; `None` if it is another page or too short.
    #[must_use]
    pub fn parse(page: &[u8]) -> Option<Self> {
        let page = page.first_chunk::<{ Self::LEN }>()?;
        (page[0] & 0x7F == ERROR_RECOVERY).then_some(Self {
            reallocate_writes: page[2] & 0x80 != 0,
            reallocate_reads: page[2] & 0x40 != 0,
            read_retries: page[3],
            write_retries: page[8],
        })
    }
}

impl PowerCondition {
    /// Length of the page.
    pub const LEN: usize = 40;

    /// The page.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut page = [0; Self::LEN];
        page[0] = POWER_CONDITION;
        page[1] = Self::LEN as u8 - 2;
        page
    }
}

impl Caching {
    /// Length of the page.
    pub const LEN: usize = 20;

    /// The page.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut page = [0; Self::LEN];
        page[0] = CACHING;
        page[1] = Self::LEN as u8 - 2;
        page[2] = flag(self.write_cache, 0x04) | flag(self.read_cache_disabled, 0x01);
        page[12] = flag(self.read_ahead_disabled, 0x20);
        page
    }

    /// Reads the page; `None` if it is another page or too short.
    #[must_use]
    pub fn parse(page: &[u8]) -> Option<Self> {
        let page = page.first_chunk::<{ Self::LEN }>()?;
        (page[0] & 0x7F == CACHING).then_some(Self {
            write_cache: page[2] & 0x04 != 0,
            read_cache_disabled: page[2] & 0x01 != 0,
            read_ahead_disabled: page[12] & 0x20 != 0,
        })
    }
}

impl Control {
    /// Length of the page.
    pub const LEN: usize = 12;

    /// The page.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let [busy_high, busy_low] = self.busy_timeout_100_ms.to_be_bytes();
        let [test_high, test_low] = self.extended_self_test_s.to_be_bytes();
        [
            CONTROL,
            Self::LEN as u8 - 2,
            flag(self.descriptor_sense, 0x04) | flag(self.log_saving_disabled, 0x02),
            (self.queue_algorithm & 0x0F) << 4 | (self.queue_error & 0x03) << 1,
            flag(self.software_write_protect, 0x08),
            flag(self.task_aborted_status, 0x40),
            0,
            0,
            busy_high,
            busy_low,
            test_high,
            test_low,
        ]
    }

    /// Reads the page; `None` if it is another page or too short.
    #[must_use]
    pub fn parse(page: &[u8]) -> Option<Self> {
        let page = page.first_chunk::<{ Self::LEN }>()?;
        (page[0] & 0x7F == CONTROL).then_some(Self {
            descriptor_sense: page[2] & 0x04 != 0,
            log_saving_disabled: page[2] & 0x02 != 0,
            queue_algorithm: page[3] >> 4,
            queue_error: (page[3] >> 1) & 0x03,
            software_write_protect: page[4] & 0x08 != 0,
            task_aborted_status: page[5] & 0x40 != 0,
            busy_timeout_100_ms: u16::from_be_bytes([page[8], page[9]]),
            extended_self_test_s: u16::from_be_bytes([page[10], page[11]]),
        })
    }
}

impl InformationalExceptions {
    /// Length of the page.
    pub const LEN: usize = 12;

    /// The page.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut page = [0; Self::LEN];
        page[0] = INFORMATIONAL_EXCEPTIONS;
        page[1] = Self::LEN as u8 - 2;
        page[2] = flag(self.disabled, 0x08);
        page[3] = self.method & 0x0F;
        page
    }

    /// Reads the page; `None` if it is another page or too short.
    #[must_use]
    pub fn parse(page: &[u8]) -> Option<Self> {
        let page = page.first_chunk::<{ Self::LEN }>()?;
        (page[0] & 0x7F == INFORMATIONAL_EXCEPTIONS)
            .then_some(Self { disabled: page[2] & 0x08 != 0, method: page[3] & 0x0F })
    }
}
