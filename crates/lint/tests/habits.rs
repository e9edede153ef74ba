//! A single-path driver in another handwriting: parked tasks, a daemon, a watchdog, one-line methods, macros.

mod common;

use common::{lint, shown};

#[test]
fn a_driver_in_another_handwriting_is_clean() {
    let files: Vec<(String, String)> = [
        ("SoftHBA.iig", include_str!("../fixtures/habits/SoftHBA.iig")),
        ("SoftHBA.cpp", include_str!("../fixtures/habits/SoftHBA.cpp")),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()))
    .to_vec();
    let outcome = lint(&files);
    assert!(outcome.findings.is_empty(), "{}", shown(&outcome));
    assert!(outcome.skipped.is_empty(), "{:?}", outcome.skipped);
}
