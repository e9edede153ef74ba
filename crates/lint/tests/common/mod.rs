//! The clean example, in memory, for tests that change it.
#![allow(dead_code, reason = "each test uses a part of it")]

use outboard_lint::check::check_texts;
use outboard_lint::config::Config;
use outboard_lint::report::{Outcome, text};

/// The files of the clean example.
pub(crate) const EXAMPLE: &[(&str, &str)] = &[
    ("StripeController.iig", include_str!("../../docs/guide/example/StripeController.iig")),
    ("StripeAdapter.h", include_str!("../../docs/guide/example/StripeAdapter.h")),
    ("StripeController.cpp", include_str!("../../docs/guide/example/StripeController.cpp")),
    ("StripeTasks.cpp", include_str!("../../docs/guide/example/StripeTasks.cpp")),
    ("Info.plist", include_str!("../../docs/guide/example/Info.plist")),
    ("Stripe.entitlements", include_str!("../../docs/guide/example/Stripe.entitlements")),
];

/// A copy of the example that can be changed.
pub(crate) fn example() -> Vec<(String, String)> {
    EXAMPLE.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// Lints files in memory.
pub(crate) fn lint(files: &[(String, String)]) -> Outcome {
    check_texts(files.iter().map(|(name, text)| (name.as_str(), text.as_str())), &Config::default())
}

/// Identifiers of the findings.
pub(crate) fn ids(outcome: &Outcome) -> Vec<&'static str> {
    outcome.findings.iter().map(|f| f.rule.id).collect()
}

/// The findings as people see them.
pub(crate) fn shown(outcome: &Outcome) -> String {
    text::render(outcome, false)
}
