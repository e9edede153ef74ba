//! What the rules say, apart from the code that finds them.

pub(super) mod action;
pub(super) mod bundled;
pub(super) mod class;
pub(super) mod limits;
pub(super) mod locks;
pub(super) mod personality;
pub(super) mod queues;
pub(super) mod response;
pub(super) mod slots;
pub(super) mod targets;
pub(super) mod task;
pub(super) mod waits;

use super::{Rule, Severity};
