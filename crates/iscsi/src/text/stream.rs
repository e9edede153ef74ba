//! Text that needs several PDUs, in both directions (RFC 7143 6.2: the C bit).

use super::TextError;

/// The most text that a peer may make this side hold, bytes.
pub const TEXT_LEN_MAX: usize = 64 * 1024;

/// Text as it arrives, until a PDU without the C bit ends it.
#[derive(Clone, Debug, Default)]
pub struct Gather {
    text: Vec<u8>,
}

impl Gather {
    /// Adds the data of one PDU.
    ///
    /// # Errors
    ///
    /// [`TextError::TooLong`] beyond [`TEXT_LEN_MAX`]; what was gathered is dropped.
    pub fn push(&mut self, data: &[u8]) -> Result<(), TextError> {
        if self.text.len() + data.len() > TEXT_LEN_MAX {
            self.text = Vec::new();
            return Err(TextError::TooLong(TEXT_LEN_MAX));
        }
        self.text.extend_from_slice(data);
        Ok(())
    }

    /// The whole text; nothing is left.
    pub fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.text)
    }

    /// Whether a text has begun and not ended.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// Text that leaves in pieces.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    text: Vec<u8>,
    gone: usize,
}

impl Outgoing {
    /// Text to be sent from its beginning.
    pub const fn new(text: Vec<u8>) -> Self {
        Self { text, gone: 0 }
    }

    /// The next piece of at most `max` bytes, and whether more follows it (the C bit).
    pub fn next_piece(&mut self, max: usize) -> (&[u8], bool) {
        let rest = self.text.get(self.gone..).unwrap_or_default();
        let piece = rest.get(..max).unwrap_or(rest);
        self.gone += piece.len();
        (piece, piece.len() < rest.len())
    }

    /// Whether nothing is left to send.
    pub fn is_done(&self) -> bool {
        self.gone >= self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_whole() {
        let text: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let mut outgoing = Outgoing::new(text.clone());
        let mut gather = Gather::default();
        loop {
            let (piece, more) = outgoing.next_piece(300);
            assert!(piece.len() <= 300);
            gather.push(piece).unwrap();
            if !more {
                break;
            }
            assert!(!outgoing.is_done());
        }
        assert!(outgoing.is_done());
        assert_eq!(gather.take(), text);
        assert!(gather.is_empty());
        assert_eq!(Outgoing::default().next_piece(8), (&[][..], false));
    }

    #[test]
    fn a_text_has_an_end() {
        let mut gather = Gather::default();
        for _ in 0..8 {
            gather.push(&[b'x'; 8192]).unwrap();
        }
        assert_eq!(gather.push(b"x"), Err(TextError::TooLong(TEXT_LEN_MAX)));
        assert!(gather.is_empty());
    }
}
