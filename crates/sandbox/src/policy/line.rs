//! What a table is made of.

use core::ffi::c_long;

/// A system call that is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) call: c_long,
    pub(super) when: When,
    /// what for; kept for whoever lists the policy
    pub(super) why: &'static str,
}

/// When it is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    Always,
    /// all of one of these lists hold
    Any(&'static [&'static [Is]]),
}

/// What an argument must be. Only its low 32 bits count for [`Is::Int`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Is {
    /// argument, value
    Int(u8, u32),
    /// argument, value: all 64 bits
    Word(u8, u64),
    /// argument, mask, value of the masked bits
    Bits(u8, u64, u64),
}

pub(super) const fn line(call: c_long, why: &'static str) -> Line {
    Line { call, when: When::Always, why }
}

pub(super) const fn only(call: c_long, any: &'static [&'static [Is]], why: &'static str) -> Line {
    Line { call, when: When::Any(any), why }
}
