//! The table of instruction counts: a few lines of TOML.

use std::fmt;

use anyhow::{Context, Result, bail};

/// Instructions per operation that each kernel may take.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limits {
    /// The file up to its table, as it was read.
    head: Vec<String>,
    rustc: String,
    tolerance_percent: f64,
    kernels: Vec<(String, f64)>,
}

impl Limits {
    /// Reads the table.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut limits = Self {
            head: Vec::new(),
            rustc: String::new(),
            tolerance_percent: 0.0,
            kernels: Vec::new(),
        };
        let mut in_table = false;
        for line in text.lines() {
            let number = |value: &str| {
                value.parse::<f64>().with_context(|| format!("`{line}`: not a number"))
            };
            if !in_table {
                limits.head.push(line.to_owned());
            }
            match line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                None if line.trim() == "[instructions]" => in_table = true,
                None if line.is_empty() || line.starts_with('#') => {}
                _ if line.starts_with('#') => {}
                Some((name, value)) if in_table => {
                    limits.kernels.push((name.to_owned(), number(value)?));
                }
                Some(("rustc", value)) => limits.rustc = value.trim_matches('"').to_owned(),
                Some(("tolerance_percent", value)) => limits.tolerance_percent = number(value)?,
                _ => bail!("`{line}` is not understood"),
            }
        }
        Ok(limits)
    }

    /// The compiler that the counts belong to.
    pub(crate) fn rustc(&self) -> &str {
        &self.rustc
    }

    /// What a kernel may take; `None` if the table does not have it.
    pub(crate) fn limit(&self, kernel: &str) -> Option<f64> {
        let limit = self.kernels.iter().find(|(name, _)| name == kernel)?.1;
        Some(limit * (1.0 + self.tolerance_percent / 100.0))
    }

    /// What is wrong with the counts: one sentence for each kernel.
    pub(crate) fn judge(&self, counted: &[(String, f64)]) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, count) in counted {
            match self.limit(name) {
                None => wrong.push(format!("{name} is not in the table; add it with --bless")),
                Some(limit) if *count > limit => wrong
                    .push(format!("{name} takes {count:.1} instructions, {limit:.1} are allowed")),
                Some(_) => {}
            }
        }
        let gone = self.kernels.iter().filter(|(name, _)| counted.iter().all(|(n, _)| n != name));
        wrong
            .extend(gone.map(|(name, _)| format!("{name} is in the table and no longer a kernel")));
        wrong
    }

    /// Takes the counts as they are.
    pub(crate) fn bless(&mut self, rustc: &str, counted: Vec<(String, f64)>) {
        rustc.clone_into(&mut self.rustc);
        self.kernels = counted;
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.head {
            match line.split_once('=') {
                Some((key, _)) if key.trim() == "rustc" => {
                    writeln!(f, "rustc = \"{}\"", self.rustc)?;
                }
                _ => writeln!(f, "{line}")?,
            }
        }
        for (name, count) in &self.kernels {
            writeln!(f, "{name} = {count:.1}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# counts = these\n\nrustc = \"1.95.0\"\ntolerance_percent = 5\n\n[instructions]\na = 100.0\nb = 8.5\n";

    fn counted(counts: &[(&str, f64)]) -> Vec<(String, f64)> {
        counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn is_read_and_written_back() {
        let mut limits = Limits::parse(TABLE).unwrap();
        assert_eq!(limits.to_string(), TABLE);
        limits.bless("1.96.0", counted(&[("c", 1.26)]));
        let text = limits.to_string();
        assert!(text.contains("rustc = \"1.96.0\"") && text.ends_with("[instructions]\nc = 1.3\n"));
        assert!(Limits::parse("[instructions]\na = many\n").is_err());
        assert!(Limits::parse("a = 1\n").is_err());
    }

    #[test]
    fn more_than_the_tolerance_fails() {
        let limits = Limits::parse(TABLE).unwrap();
        assert!(limits.judge(&counted(&[("a", 104.9), ("b", 1.0)])).is_empty());
        let wrong = limits.judge(&counted(&[("a", 105.1), ("c", 1.0)])).join("\n");
        for part in ["a takes 105.1", "c is not in the table", "b is in the table"] {
            assert!(wrong.contains(part), "{wrong}");
        }
    }
}
