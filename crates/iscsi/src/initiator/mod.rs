//! The initiator's side, for tests and tools.
//!
//! | module | what |
//! |---|---|
//! | [`login`] | a login, driven by PDUs |
//! | [`stream`] | PDUs over any `Read + Write`, with digests |
//! | [`client`] | one connection: commands, task management, text, logout |
//! | [`task`] | a command under way |
//!
//! It is strict: what a target may not do ends the connection with an error that says so.

pub mod client;
pub mod login;
pub mod stream;
pub mod task;

pub use client::Client;
pub use login::{Agreed, FailedLogin, InitiatorLogin, Wishes};
pub use stream::ClientError;
pub use task::{Command, Completion};
