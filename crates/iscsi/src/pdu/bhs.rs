//! The basic header segment: the fields that all PDUs share (RFC 7143 11.2.1).

/// Bytes of a basic header segment.
pub const BHS_LEN: usize = 48;
/// Bytes of a digest.
pub const DIGEST_LEN: usize = 4;
/// Most bytes of additional header segments: TotalAHSLength counts 255 words.
pub const MAX_AHS_LEN: usize = 255 * 4;
/// The reserved value of initiator and target task tags.
pub const NO_TAG: u32 = 0xFFFF_FFFF;

/// Bit 0 of byte 1 in the standard's count: F in most PDUs, T in a login.
pub(crate) const FINAL: u8 = 0x80;

/// `len` bytes and their padding to a multiple of 4.
#[inline]
#[must_use]
pub const fn padded(len: usize) -> usize {
    len.saturating_add(3) & !3
}

/// A basic header segment as it is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bhs(pub [u8; BHS_LEN]);

impl Bhs {
    /// A header of zeros but for operation code and byte 1.
    #[inline]
    pub(crate) const fn new(opcode: u8, flags: u8) -> Self {
        let mut bytes = [0; BHS_LEN];
        bytes[0] = opcode;
        bytes[1] = flags;
        Self(bytes)
    }

    /// The first 48 bytes of `bytes`; `None` if there are fewer.
    #[inline]
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().copied().map(Self)
    }

    /// Operation code, 6 bits.
    #[inline]
    #[must_use]
    pub const fn opcode(&self) -> u8 {
        self.0[0] & 0x3F
    }

    /// Whether the I bit of a request is set: immediate delivery.
    #[inline]
    #[must_use]
    pub const fn immediate(&self) -> bool {
        self.0[0] & 0x40 != 0
    }

    /// Byte 1.
    #[inline]
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.0[1]
    }

    /// Whether the F bit is set.
    #[inline]
    #[must_use]
    pub const fn is_final(&self) -> bool {
        self.0[1] & FINAL != 0
    }

    /// Bytes of all additional header segments, padding included.
    #[inline]
    #[must_use]
    pub const fn ahs_len(&self) -> usize {
        self.0[4] as usize * 4
    }

    /// DataSegmentLength, bytes, padding not included.
    #[inline]
    #[must_use]
    pub const fn data_len(&self) -> u32 {
        u32::from_be_bytes([0, self.0[5], self.0[6], self.0[7]])
    }

    /// Sets DataSegmentLength; only 24 bits go on the wire.
    #[inline]
    pub const fn set_data_len(&mut self, len: u32) {
        let [_, a, b, c] = len.to_be_bytes();
        self.0[5] = a;
        self.0[6] = b;
        self.0[7] = c;
    }

    /// The LUN field.
    #[inline]
    #[must_use]
    pub const fn lun(&self) -> [u8; 8] {
        let b = &self.0;
        [b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]]
    }

    /// Initiator Task Tag.
    #[inline]
    #[must_use]
    pub const fn initiator_task_tag(&self) -> u32 {
        self.word::<16>()
    }

    /// CmdSN of a request that has one.
    #[inline]
    #[must_use]
    pub const fn cmd_sn(&self) -> u32 {
        self.word::<24>()
    }

    /// ExpStatSN of a request.
    #[inline]
    #[must_use]
    pub const fn exp_stat_sn(&self) -> u32 {
        self.word::<28>()
    }

    #[inline]
    pub(crate) const fn half<const AT: usize>(&self) -> u16 {
        const { assert!(AT + 2 <= BHS_LEN) }
        u16::from_be_bytes([self.0[AT], self.0[AT + 1]])
    }

    #[inline]
    pub(crate) const fn word<const AT: usize>(&self) -> u32 {
        const { assert!(AT + 4 <= BHS_LEN) }
        u32::from_be_bytes([self.0[AT], self.0[AT + 1], self.0[AT + 2], self.0[AT + 3]])
    }

    #[inline]
    pub(crate) const fn set_half<const AT: usize>(&mut self, value: u16) {
        const { assert!(AT + 2 <= BHS_LEN) }
        let [a, b] = value.to_be_bytes();
        self.0[AT] = a;
        self.0[AT + 1] = b;
    }

    #[inline]
    pub(crate) const fn set_word<const AT: usize>(&mut self, value: u32) {
        const { assert!(AT + 4 <= BHS_LEN) }
        let [a, b, c, d] = value.to_be_bytes();
        self.0[AT] = a;
        self.0[AT + 1] = b;
        self.0[AT + 2] = c;
        self.0[AT + 3] = d;
    }

    #[inline]
    pub(crate) fn set_lun(&mut self, lun: [u8; 8]) {
        self.0[8..16].copy_from_slice(&lun);
    }
}
