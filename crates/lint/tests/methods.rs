//! The method report on a small kext.

use outboard_lint::methods::report;
use outboard_lint::source::{FileKind, SourceFile, Sources};

fn kext() -> Sources {
    let mut sources = Sources::default();
    for (path, text, kind) in [
        ("PlatterHBA.h", include_str!("../fixtures/kext/PlatterHBA.h"), FileKind::Header),
        ("PlatterHBA.cpp", include_str!("../fixtures/kext/PlatterHBA.cpp"), FileKind::Cpp),
    ] {
        sources.add(SourceFile::new(path.to_owned(), text.to_owned(), kind));
    }
    sources
}

#[test]
fn report_on_a_small_kext() {
    insta::assert_snapshot!("methods", report(&kext()).text());
}

#[test]
fn every_overridden_method_is_accounted_for() {
    let report = report(&kext());
    let [class] = report.classes.as_slice() else { panic!("one class") };
    assert_eq!(class.overridden.len(), 28);
    assert_eq!(class.own, ["RingDoorbell"]);
    assert!(class.called.iter().any(|r| r.method == "CompleteParallelTask"));
    assert!(class.added.iter().any(|r| r.method == "UserDoesHBASupportMultiPathing"));
    assert!(
        report.json()["classes"][0]["overridden"].as_array().is_some_and(|rows| rows.len() == 28)
    );
}
