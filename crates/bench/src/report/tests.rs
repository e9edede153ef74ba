use super::*;
use crate::plan::{Plan, PlanOptions};
use crate::results::Results;
use crate::sample::Cost;
use crate::testing;

/// Every element that is opened is closed, in order.
fn check(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let void = ["meta", "br", "line", "polyline"];
    for piece in page.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').expect("an open tag");
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !void.contains(&name) && !name.starts_with('!') {
            assert!(!tag.ends_with('/'), "{tag}");
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    for outside in ["http:", "https:", "src=", "href=", "url(", "@import", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
    for bad in ["NaN", "inf", "Infinity"] {
        assert!(!page.contains(&format!("\"{bad}")) && !page.contains(&format!(",{bad}")), "{bad}");
    }
}

#[test]
fn reports_are_whole_and_need_nothing_else() {
    for outcome in [testing::system(), testing::small(), testing::random(), testing::cost_test()] {
        check(&html(&outcome));
    }
    let page = html(&testing::system());
    assert_eq!(page.matches("<figure>").count(), 4 + 4 + 2 + 2);
    assert!(page.contains("Some &lt;Processor&gt; &amp; Co"));
}

#[test]
fn what_is_missing_leaves_no_hole() {
    let mut outcome = testing::system();
    outcome.cost = Some(Cost::default());
    outcome.results = Results::default();
    check(&html(&outcome));
    let plan =
        Plan::new(PlanOptions { rows: vec![Row::SINGLE], ..PlanOptions::default() }).unwrap();
    let mut samples = testing::samples(&plan);
    for sample in &mut samples {
        (sample.tasks, sample.wall_ns, sample.frame_ns) = (0, 0, Vec::new());
    }
    outcome.results = Results::new(&samples);
    check(&html(&outcome));
}

#[test]
fn words_of_others_are_escaped() {
    let mut outcome = testing::small();
    if let Workload::System(plan) = &mut outcome.workload {
        plan.array.disks = vec!["/dev/<script>alert(1)</script>".to_owned()];
    }
    let page = html(&outcome);
    check(&page);
    assert!(page.contains("/dev/&lt;script&gt;"));
}

#[test]
fn one_chart() {
    let mut page = String::new();
    let outcome = testing::small();
    figures::frames(&mut page, &outcome).unwrap();
    insta::assert_snapshot!(page);
}

/// `cargo test -p outboard-bench -- --ignored look` writes reports to look at in a browser.
#[test]
#[ignore = "writes files for a reader's eyes"]
fn look() {
    let folder = std::env::temp_dir().join("outboard-reports");
    std::fs::create_dir_all(&folder).unwrap();
    let outcomes = [
        ("system", testing::system()),
        ("random", testing::random()),
        ("cost", testing::cost_test()),
    ];
    for (name, outcome) in outcomes {
        std::fs::write(folder.join(format!("{name}.html")), html(&outcome)).unwrap();
    }
}
