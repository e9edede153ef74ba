//! What `iscsi-test-cu -V` writes.
//!
//! Its own totals count a skipped test as passed; here a test that says `[SKIPPED]` is skipped.
//! Its words and the test's may share a line (`  Test: Reset ...    [SKIPPED] Multipath ..`), and a
//! verdict stands at the start of a line or at its end.

use serde::Serialize;

/// Complaints that are kept of a test: the first ones say what happened.
const COMPLAINTS_MAX: usize = 24;

/// How a test ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Passed,
    Failed,
    Skipped,
}

/// A test of a run.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Test {
    /// `Suite.Test`
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    /// What it said when it was skipped or failed, in its order.
    pub(crate) complaints: Vec<String>,
}

/// A run of the suites.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Run {
    pub(crate) tests: Vec<Test>,
    /// The runner's own totals: tests and failed ones. `None`: it did not come to its end.
    pub(crate) totals: Option<(usize, usize)>,
}

impl Run {
    /// Reads what the runner wrote.
    pub(crate) fn parse(text: &str) -> Self {
        let mut run = Self::default();
        let mut suite = String::new();
        let mut open: Option<Open> = None;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("Suite: ") {
                run.tests.extend(open.take().map(Open::close));
                name.trim().clone_into(&mut suite);
            } else if let Some((name, rest)) =
                line.strip_prefix("  Test: ").and_then(|line| line.split_once(" ..."))
            {
                run.tests.extend(open.take().map(Open::close));
                open = Some(Open::new(format!("{suite}.{name}")));
                open.iter_mut().for_each(|open| open.read(rest));
            } else if line.starts_with("Run Summary:") {
                run.tests.extend(open.take().map(Open::close));
            } else if let Some(open) = &mut open {
                open.read(line);
            } else if let Some(totals) = totals(line) {
                run.totals = Some(totals);
            }
        }
        run.tests.extend(open.map(Open::close));
        run
    }

    /// Tests that ended as said.
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        self.tests.iter().filter(|test| test.verdict == verdict).count()
    }
}

/// A test that has not ended yet.
struct Open {
    name: String,
    ended: Option<Verdict>,
    skipped: bool,
    complaints: Vec<String>,
}

impl Open {
    const fn new(name: String) -> Self {
        Self { name, ended: None, skipped: false, complaints: Vec::new() }
    }

    fn read(&mut self, line: &str) {
        let text = line.trim();
        if let Some((_, why)) = text.split_once("[SKIPPED]") {
            self.skipped = true;
            self.complain(why);
        } else if let Some((_, why)) = text.split_once("[FAILED]") {
            self.complain(why);
        } else if line.starts_with("FAILED") || text.ends_with("FAILED") {
            self.ended = Some(Verdict::Failed);
        } else if self.ended == Some(Verdict::Failed) && is_assertion(text) {
            self.complain(text);
        } else if line.starts_with("passed") || text.ends_with("passed") {
            // A failed test does not pass any more.
            self.ended.get_or_insert(Verdict::Passed);
        }
    }

    fn complain(&mut self, why: &str) {
        let why = why.trim();
        if self.complaints.len() < COMPLAINTS_MAX && self.complaints.iter().all(|c| c != why) {
            self.complaints.push(why.to_owned());
        }
    }

    fn close(mut self) -> Test {
        let verdict = match self.ended {
            Some(Verdict::Passed) if self.skipped => Verdict::Skipped,
            Some(verdict) => verdict,
            None => {
                self.complain("it did not come to its end");
                Verdict::Failed
            }
        };
        if verdict == Verdict::Passed {
            self.complaints.clear();
        }
        Test { name: self.name, verdict, complaints: self.complaints }
    }
}

/// `1. test_prout.c:84  - CU_ASSERT_EQUAL(0,ret)`
fn is_assertion(text: &str) -> bool {
    text.split_once(". ").is_some_and(|(number, _)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// `tests    230    230    222      8        0`: in all, run, passed, failed, inactive.
fn totals(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_whitespace();
    if fields.next()? != "tests" {
        return None;
    }
    let numbers: Vec<usize> = fields.map_while(|field| field.parse().ok()).collect();
    Some((*numbers.first()?, *numbers.get(3)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "    Send PRIN/READ_KEYS

Suite: GetLBAStatus
  Test: Simple ...
    [OK] GET_LBA_STATUS returned SUCCESS NO SENSE(0x00) (null)(0x0000)
passed
  Test: BeyondEol ...
    [FAILED] GET_LBA_STATUS successful but should have failed
    [OK] GET_LBA_STATUS returned CHECK_CONDITION
FAILED
    1. test_get_lba_status_beyond_eol.c:38  - CU_ASSERT_EQUAL(_r,0)
  Test: UnmapSingle ...    [SKIPPED] Logical unit is fully provisioned. Skipping test
passed    Send PRIN/READ_KEYS

Suite: iSCSITMF
  Test: LUNResetSimpleAsync ...passed
  Test: Twice ...
    [SKIPPED] COMPAREANDWRITE is not implemented.
    [SKIPPED] COMPAREANDWRITE is not implemented.
passed
Run Summary:    Type  Total    Ran Passed Failed Inactive
              suites      2      2    n/a      0        0
               tests      5      5      4      1        0
             asserts  54034  54034  54023     11      n/a
";

    fn of(run: &Run, name: &str) -> (Verdict, Vec<String>) {
        let test = run.tests.iter().find(|test| test.name == name).unwrap();
        (test.verdict, test.complaints.clone())
    }

    #[test]
    fn is_read_as_it_is_written() {
        let run = Run::parse(OUTPUT);
        assert_eq!(run.totals, Some((5, 1)));
        assert_eq!(run.tests.len(), 5);
        assert_eq!(of(&run, "GetLBAStatus.Simple"), (Verdict::Passed, vec![]));
        let (verdict, complaints) = of(&run, "GetLBAStatus.BeyondEol");
        assert_eq!(verdict, Verdict::Failed);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(complaints[1].contains("CU_ASSERT_EQUAL(_r,0)"));
        assert_eq!(of(&run, "GetLBAStatus.UnmapSingle").0, Verdict::Skipped);
        assert_eq!(of(&run, "iSCSITMF.LUNResetSimpleAsync").0, Verdict::Passed);
        let (verdict, complaints) = of(&run, "iSCSITMF.Twice");
        assert_eq!((verdict, complaints.len()), (Verdict::Skipped, 1));
    }

    #[test]
    fn a_run_that_breaks_off_has_not_passed() {
        let cut = OUTPUT.find("    [OK] GET_LBA_STATUS returned CHECK").unwrap();
        let run = Run::parse(&OUTPUT[..cut]);
        assert_eq!(run.totals, None);
        let (verdict, complaints) = of(&run, "GetLBAStatus.BeyondEol");
        assert_eq!(verdict, Verdict::Failed);
        assert!(complaints.iter().any(|why| why.contains("end")), "{complaints:?}");
    }
}
