//! CHAP (RFC 7143 12.1, RFC 1994): who knows the secret is who it says it is.
//!
//! | module | what |
//! |---|---|
//! | [`algorithm`] | the hash functions, and the response to a challenge |
//! | [`secret`] | secrets: long enough, wiped, never printed |
//! | [`authenticator`] | the target's side |
//! | [`answerer`] | the initiator's side |

pub mod algorithm;
pub mod answerer;
pub mod authenticator;
pub mod entropy;
pub mod secret;

pub use algorithm::{Algorithm, Response};
pub use answerer::Answerer;
pub use authenticator::{Authenticator, ChapError, Credentials};
pub use entropy::{Entropy, System};
pub use secret::{Secret, SecretError};

/// The longest challenge that is taken from a peer, bytes (RFC 7143 12.1.4).
pub const CHALLENGE_LEN_MAX: usize = 1024;
