//! `xtask/conformance.toml`: what may be skipped or fail, where, and why. The list may only shrink.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::output::{Run, Test, Verdict};

/// The list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// Tests of all suites.
    pub(crate) tests: usize,
    /// Skips that the configuration `base` may have, listed or not.
    pub(crate) base_skips_max: usize,
    #[serde(default)]
    skip: Vec<Skip>,
    #[serde(default)]
    fail: Vec<Fail>,
    #[serde(default)]
    nowhere: Vec<Nowhere>,
}

/// Tests that skip themselves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Skip {
    configurations: Vec<String>,
    why: String,
    tests: Vec<String>,
}

/// Tests that contradict a standard: the standard wins.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fail {
    configurations: Vec<String>,
    why: String,
    /// The standard and its clause.
    clause: String,
    /// One of these must stand in a complaint of each test: it failed as foreseen, not otherwise.
    proof: Vec<String>,
    tests: Vec<String>,
}

impl Fail {
    fn proves(&self, complaint: &str) -> bool {
        self.proof.iter().any(|proof| !proof.is_empty() && complaint.contains(proof))
    }
}

/// Tests that no configuration can pass.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nowhere {
    why: String,
    tests: Vec<String>,
}

impl Expected {
    /// Reads the list.
    pub(crate) fn parse(text: &str, configurations: &[&str]) -> Result<Self> {
        let expected: Self = toml::from_str(text).context("xtask/conformance.toml")?;
        let skips = expected.skip.iter().map(|e| (&e.configurations, &e.tests, &e.why));
        let fails = expected.fail.iter().map(|e| (&e.configurations, &e.tests, &e.why));
        for (named, tests, why) in skips.chain(fails) {
            if let Some(name) = named.iter().find(|name| !configurations.contains(&name.as_str())) {
                bail!("`{name}` is no configuration; there are {}", configurations.join(", "));
            }
            if tests.is_empty() || why.trim().is_empty() {
                bail!("an entry for {named:?} names no test or no reason");
            }
        }
        if expected.fail.iter().any(|e| e.clause.trim().is_empty() || e.proof.is_empty()) {
            bail!("a test may fail only with the standard's clause and a proof");
        }
        Ok(expected)
    }

    /// What is wrong with a run: one sentence for each test. `whole`: it was a run of all tests.
    pub(crate) fn judge(&self, configuration: &str, run: &Run, whole: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        match run.totals {
            None => wrong.push("the runner did not come to its end".to_owned()),
            Some((tests, failed)) => {
                let read = (run.tests.len(), run.count(Verdict::Failed));
                if read != (tests, failed) {
                    wrong.push(format!(
                        "the runner counts {tests} tests, {failed} failed; {} and {} were read",
                        read.0, read.1
                    ));
                }
                if whole && tests != self.tests {
                    wrong.push(format!("{tests} tests were run, {} are expected", self.tests));
                }
            }
        }
        wrong.extend(run.tests.iter().filter_map(|test| self.judge_test(configuration, test)));
        let skipped = run.count(Verdict::Skipped);
        if configuration == "base" && skipped > self.base_skips_max {
            wrong.push(format!("{skipped} tests skipped, at most {}", self.base_skips_max));
        }
        if whole {
            for name in self.listed(configuration) {
                if run.tests.iter().all(|test| test.name != name) {
                    wrong.push(format!("{name} is listed and no longer a test: remove it"));
                }
            }
        }
        wrong
    }

    fn judge_test(&self, configuration: &str, test: &Test) -> Option<String> {
        let here = |named: &[String]| named.iter().any(|name| name == configuration);
        let this = |tests: &[String]| tests.contains(&test.name);
        let skip = self.skip.iter().any(|e| here(&e.configurations) && this(&e.tests));
        let fail = self.fail.iter().find(|e| here(&e.configurations) && this(&e.tests));
        let name = &test.name;
        match (test.verdict, skip, fail) {
            (Verdict::Passed, false, None) | (Verdict::Skipped, true, _) => None,
            (Verdict::Passed, ..) => Some(format!("{name} passes and is listed: remove it")),
            (Verdict::Failed, _, Some(fail))
                if test.complaints.iter().any(|why| fail.proves(why)) =>
            {
                None
            }
            (Verdict::Failed, _, Some(fail)) => Some(format!(
                "{name} failed otherwise than listed: no `{}` in {}",
                fail.proof.join("` or `"),
                test.complaints.join("; ")
            )),
            (Verdict::Failed, _, None) => {
                Some(format!("{name} failed: {}", test.complaints.join("; ")))
            }
            (Verdict::Skipped, false, _) => {
                Some(format!("{name} was skipped: {}", test.complaints.join("; ")))
            }
        }
    }

    /// What is wrong with all runs together: tests that passed in none of them.
    pub(crate) fn judge_all<'a>(&self, runs: impl Iterator<Item = &'a Run>) -> Vec<String> {
        let mut all = BTreeSet::new();
        let mut passed = BTreeSet::new();
        for test in runs.flat_map(|run| &run.tests) {
            all.insert(&test.name);
            if test.verdict == Verdict::Passed {
                passed.insert(&test.name);
            }
        }
        let excused = |name: &String| self.nowhere.iter().any(|e| e.tests.contains(name));
        let mut wrong: Vec<_> = all
            .difference(&passed)
            .filter(|name| !excused(name))
            .map(|name| format!("{name} passed in no configuration"))
            .collect();
        for entry in &self.nowhere {
            for name in entry.tests.iter().filter(|name| passed.contains(name)) {
                wrong.push(format!("{name} passes ({}): remove it from `nowhere`", entry.why));
            }
        }
        wrong
    }

    /// The tests that are listed for a configuration.
    fn listed<'a>(&'a self, configuration: &'a str) -> impl Iterator<Item = &'a str> {
        let skips = self.skip.iter().map(|e| (&e.configurations, &e.tests));
        let fails = self.fail.iter().map(|e| (&e.configurations, &e.tests));
        skips
            .chain(fails)
            .filter(move |(named, _)| named.iter().any(|name| name == configuration))
            .flat_map(|(_, tests)| tests.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"
tests = 3
base_skips_max = 1

[[skip]]
configurations = ["base"]
why = "one path"
tests = ["M.Simple"]

[[fail]]
configurations = ["read-only"]
why = "it writes without asking"
clause = "SBC-4 4.12"
proof = ["WRITE_PROTECTED"]
tests = ["W.Simple"]
"#;

    fn run(tests: &[(&str, Verdict, &str)]) -> Run {
        let tests: Vec<_> = tests
            .iter()
            .map(|(name, verdict, why)| Test {
                name: (*name).to_owned(),
                verdict: *verdict,
                complaints: vec![(*why).to_owned()],
            })
            .collect();
        let failed = tests.iter().filter(|test| test.verdict == Verdict::Failed).count();
        Run { totals: Some((tests.len(), failed)), tests }
    }

    fn list() -> Expected {
        Expected::parse(LIST, &["base", "read-only"]).unwrap()
    }

    #[track_caller]
    fn assert_wrong(wrong: &[String], part: &str) {
        assert!(wrong.len() == 1 && wrong[0].contains(part), "{wrong:?}");
    }

    #[test]
    fn what_is_listed_may_happen_and_nothing_else() {
        use Verdict::{Failed, Passed, Skipped};
        let list = list();
        let good = run(&[("A.A", Passed, ""), ("M.Simple", Skipped, ""), ("W.Simple", Passed, "")]);
        assert!(list.judge("base", &good, true).is_empty());
        let skipped = run(&[("A.A", Skipped, "no such"), ("M.Simple", Passed, "")]);
        let wrong = list.judge("base", &skipped, false);
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains("A.A was skipped: no such"));
        assert!(wrong[1].contains("remove it"));
        assert_wrong(&list.judge("base", &run(&[("A.A", Failed, "boom")]), false), "boom");
        assert!(!list.judge("base", &run(&[("A.A", Passed, "")]), true).is_empty());
        let cut = Run { totals: None, ..run(&[("A.A", Passed, "")]) };
        assert_wrong(&list.judge("base", &cut, false), "end");
    }

    #[test]
    fn a_failure_that_is_listed_needs_its_proof() {
        let list = list();
        let run = |why| run(&[("W.Simple", Verdict::Failed, why)]);
        assert!(list.judge("read-only", &run("got WRITE_PROTECTED(0x2700)"), false).is_empty());
        assert_wrong(&list.judge("read-only", &run("no data"), false), "otherwise than listed");
        assert_wrong(&list.judge("base", &run("WRITE_PROTECTED"), false), "W.Simple failed");
    }

    #[test]
    fn each_test_passes_somewhere() {
        let list = list();
        let one = run(&[("A.A", Verdict::Passed, ""), ("M.Simple", Verdict::Skipped, "")]);
        let two = run(&[("A.A", Verdict::Failed, ""), ("M.Simple", Verdict::Passed, "")]);
        assert!(list.judge_all([&one, &two].into_iter()).is_empty());
        assert_wrong(&list.judge_all([&one].into_iter()), "M.Simple passed in no configuration");
    }

    #[test]
    fn a_list_that_is_wrong_is_refused() {
        for (from, to) in
            [("[\"base\"]", "[\"bas\"]"), ("SBC-4 4.12", ""), ("\"M.Simple\"", ""), ("why", "wy")]
        {
            assert!(Expected::parse(&LIST.replacen(from, to, 1), &["base", "read-only"]).is_err());
        }
    }
}
