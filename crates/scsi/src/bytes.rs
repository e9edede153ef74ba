//! Writing parameter data into a caller's buffer.

/// Appends to a buffer as far as it has room and counts everything, so that the count is the
/// length of the whole answer and the buffer its truncated beginning (SPC-6 4.2.5.6).
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Appends `bytes`.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> &mut Self {
        let at = self.len;
        self.len += bytes.len();
        self.patch(at, bytes)
    }

    /// Appends `count` zero bytes.
    pub(crate) fn zeros(&mut self, count: usize) -> &mut Self {
        for to in self.out.iter_mut().skip(self.len).take(count) {
            *to = 0;
        }
        self.len += count;
        self
    }

    /// Overwrites the bytes from `at` on: a length that was not known before.
    pub(crate) fn patch(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
        for (to, from) in self.out.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
        self
    }

    /// Bytes appended so far, those beyond the buffer's end included.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// `length` in a big-endian 16-bit length field; saturates, which no answer here reaches.
pub(crate) fn be16(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_does_not_fit() {
        let mut out = [0xFF; 4];
        let mut writer = Writer::new(&mut out);
        writer.put(&[1, 2, 3]).zeros(2).put(&[4]).patch(0, &[9]).patch(5, &[8]);
        assert_eq!(writer.len(), 6);
        assert_eq!(out, [9, 2, 3, 0]);
    }
}
