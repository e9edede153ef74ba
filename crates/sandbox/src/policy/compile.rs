//! Tables to filter programs.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::line::{Is, Line, When};
use crate::SandboxError;

pub(super) type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn failed(error: impl core::fmt::Display) -> SandboxError {
    SandboxError::Filter(error.to_string())
}

/// Rules of tables. Two lines for one call would make the looser one win: they are refused.
pub(super) fn rules(tables: &[&[Line]]) -> Result<Rules, SandboxError> {
    let mut rules = Rules::new();
    for line in tables.iter().copied().flatten() {
        let conditions = match line.when {
            When::Always => Vec::new(),
            When::Any(any) => any.iter().map(|all| rule(all)).collect::<Result<_, _>>()?,
        };
        if rules.insert(line.call, conditions).is_some() {
            let twice = format!("system call {} is there twice ({})", line.call, line.why);
            return Err(SandboxError::Filter(twice));
        }
    }
    Ok(rules)
}

/// One list of conditions, all of which must hold.
pub(super) fn rule(all: &[Is]) -> Result<SeccompRule, SandboxError> {
    use SeccompCmpArgLen::{Dword, Qword};
    let conditions = all.iter().map(|is| match *is {
        Is::Int(arg, value) => {
            SeccompCondition::new(arg, Dword, SeccompCmpOp::Eq, u64::from(value))
        }
        Is::Word(arg, value) => SeccompCondition::new(arg, Qword, SeccompCmpOp::Eq, value),
        Is::Bits(arg, mask, value) => {
            SeccompCondition::new(arg, Qword, SeccompCmpOp::MaskedEq(mask), value)
        }
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>().map_err(failed)?).map_err(failed)
}

/// A program that allows what the rules say and answers EPERM to all else.
pub(super) fn program(rules: Rules) -> Result<BpfProgram, SandboxError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(failed)?;
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    SeccompFilter::new(rules, refuse, SeccompAction::Allow, arch)
        .and_then(BpfProgram::try_from)
        .map_err(failed)
}
