//! What the rules of this group say. The class itself: the methods it must override.

use super::{Rule, Severity};

pub(in crate::rules) const RULES: &[&Rule] = &[&NOT_OVERRIDDEN];

pub(in crate::rules) static NOT_OVERRIDDEN: Rule = Rule {
    id: "DK601",
    name: "pure-method-not-overridden",
    severity: Severity::Error,
    summary: "The controller class does not override a pure virtual method of the framework.",
    reason: "The class stays abstract: it does not build, or the framework calls a method that is not there. The bundled \
             methods are pure too and must be defined even where the bundled path is declined.",
    source: "IOUserSCSIParallelInterfaceController.iig; driverkit.md 1, 3.1",
    mend: "declare the method in the .iig with override, and define it",
    wrong: include_str!("../../../fixtures/rules/DK601/wrong.iig"),
    right: include_str!("../../../fixtures/rules/DK601/right.iig"),
    language: "iig",
    fixable: false,
};
