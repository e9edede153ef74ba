//! The hash functions, by their numbers in the registry of PPP authentication algorithms.

use core::fmt;

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use sha3::Sha3_256;
use subtle::ConstantTimeEq;

use super::secret::Secret;

/// A hash function. Later ones are stronger.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// `CHAP_A=5`: every initiator has it
    Md5,
    /// `CHAP_A=6`
    Sha1,
    /// `CHAP_A=7`
    Sha256,
    /// `CHAP_A=8`
    Sha3_256,
}

impl Algorithm {
    /// All, the weakest first.
    pub const ALL: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha3_256];

    /// Its number in `CHAP_A`.
    pub const fn number(self) -> u8 {
        match self {
            Self::Md5 => 5,
            Self::Sha1 => 6,
            Self::Sha256 => 7,
            Self::Sha3_256 => 8,
        }
    }

    /// The algorithm with `number`, if it is one of these.
    pub fn of(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| u64::from(algorithm.number()) == number)
    }

    /// Length of the response, and of the challenges that this side sends, bytes.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 | Self::Sha3_256 => 32,
        }
    }

    /// What one who knows `secret` answers to `challenge` with `identifier` (RFC 1994 4.1).
    pub fn response(self, identifier: u8, secret: &Secret, challenge: &[u8]) -> Response {
        match self {
            Self::Md5 => hash::<Md5>(identifier, secret, challenge),
            Self::Sha1 => hash::<Sha1>(identifier, secret, challenge),
            Self::Sha256 => hash::<Sha256>(identifier, secret, challenge),
            Self::Sha3_256 => hash::<Sha3_256>(identifier, secret, challenge),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA-256",
            Self::Sha3_256 => "SHA3-256",
        })
    }
}

fn hash<D: Digest>(identifier: u8, secret: &Secret, challenge: &[u8]) -> Response {
    let mut hash = D::new();
    hash.update([identifier]);
    hash.update(secret.bytes());
    hash.update(challenge);
    Response(hash.finalize().to_vec())
}

/// The answer to a challenge.
#[derive(Clone, Debug)]
pub struct Response(Vec<u8>);

impl Response {
    /// Its bytes, as many as the algorithm's [`Algorithm::digest_len`].
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether `answer` is this response, in a time that does not tell how much of it is.
    pub fn is(&self, answer: &[u8]) -> bool {
        self.0.as_slice().ct_eq(answer).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::value::to_hex;

    #[test]
    fn responses_are_hashes_of_identifier_secret_and_challenge() {
        // Checked with another implementation of each hash (Python's hashlib).
        let secret = Secret::new("secret-of-all").unwrap();
        let challenge: Vec<u8> = (0..16).collect();
        let response = |a: Algorithm| to_hex(a.response(7, &secret, &challenge).bytes());
        for (algorithm, expected) in Algorithm::ALL.into_iter().zip(EXPECTED) {
            assert_eq!(response(algorithm), expected, "{algorithm}");
            assert_eq!(expected.len(), 2 + 2 * algorithm.digest_len());
            assert_eq!(Algorithm::of(u64::from(algorithm.number())), Some(algorithm));
        }
        assert_eq!(Algorithm::of(4), None);
    }

    #[test]
    fn only_the_whole_response_is_it() {
        let secret = Secret::new("secret-of-all").unwrap();
        let response = Algorithm::Md5.response(1, &secret, b"challenge");
        let bytes = response.bytes().to_vec();
        assert!(response.is(&bytes));
        assert!(!response.is(&bytes[..15]));
        assert!(!response.is(b""));
        for bit in 0..128 {
            let mut wrong = bytes.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!response.is(&wrong));
        }
    }

    const EXPECTED: [&str; 4] = [
        "0x1d05ffaab232a63664b84b7bee979211",
        "0x3ca72468d4ee2f60a7b4741a2ba1e3360c6f2ede",
        "0xbd0dc0378155d87f13516f2aaa43e479c54312c3345cef248a3fcedcfa297b4d",
        "0x7643ec5f974f38978668cc655f241a031510cef3f13ea0f82a02660ad67ddcb7",
    ];
}
