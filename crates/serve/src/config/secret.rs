//! A CHAP secret: nobody sees it in a log, a status or a core of freed memory.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use outboard_settings::Fault;

/// Least bytes of a secret: 96 bits (RFC 7143, 9.2.1).
pub const MIN_SECRET_BYTES: usize = 12;
/// Most bytes of a secret.
pub const MAX_SECRET_BYTES: usize = 255;

/// A CHAP secret of [`MIN_SECRET_BYTES`] to [`MAX_SECRET_BYTES`] bytes.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Arc<Bytes>);

#[derive(Eq, PartialEq)]
struct Bytes(Vec<u8>);

impl Secret {
    /// The bytes, for the one who computes a response.
    pub fn bytes(&self) -> &[u8] {
        &self.0.0
    }

    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        match text.len() {
            MIN_SECRET_BYTES..=MAX_SECRET_BYTES => {
                Ok(Self(Arc::new(Bytes(text.as_bytes().to_vec()))))
            }
            len => Err(Fault::new(
                format!(
                    "a CHAP secret has {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes, and this \
                     one has {len}"
                ),
                "make a longer one, for example with: openssl rand -hex 8",
            )),
        }
        .map_err(|fault| match text.len() > MAX_SECRET_BYTES {
            true => fault.with_mend("make a shorter one, for example with: openssl rand -hex 8"),
            false => fault,
        })
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("…")
    }
}
