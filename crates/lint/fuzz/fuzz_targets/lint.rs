//! The first byte chooses the kind of file, the rest is its contents; every output is rendered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use outboard_lint::check::check_texts;
use outboard_lint::config::Config;
use outboard_lint::load::decode;
use outboard_lint::report::{github, json, sarif, text};
use outboard_lint::{fix, methods};

const NAMES: [&str; 5] = ["a.iig", "a.cpp", "a.h", "Info.plist", "a.entitlements"];

fuzz_target!(|data: &[u8]| {
    let Some((kind, contents)) = data.split_first() else { return };
    let Ok((contents, _)) = decode(contents.to_vec()) else { return };
    let name = NAMES[usize::from(*kind) % NAMES.len()];
    let outcome = check_texts([(name, contents.as_str())], &Config::default());
    let _ = text::render(&outcome, false);
    let _ = json::render(&outcome);
    let _ = sarif::render(&outcome);
    let _ = github::render(&outcome);
    let _ = fix::apply(&outcome.sources, &outcome.findings);
    let _ = methods::report(&outcome.sources).text();
});
