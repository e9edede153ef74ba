//! `outboard-lint.toml`: rules switched off or re-rated, paths left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::rules::{self, Finding, Severity};

/// The name of the file that is looked for.
pub const FILE_NAME: &str = "outboard-lint.toml";

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not valid.
    #[error("{path}: {reason}")]
    Parse {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A rule is not known.
    #[error("{path}: no rule `{rule}`; --list-rules shows all")]
    UnknownRule {
        /// The file or option.
        path: String,
        /// The rule as written.
        rule: String,
    },
}

/// How a rule is rated.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Not reported.
    Off,
    /// Reported as advice.
    Advice,
    /// Reported as a warning.
    Warning,
    /// Reported as an error.
    Error,
}

/// A rule silenced for some paths.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Identifier or name of the rule.
    pub rule: String,
    /// Part of the path; all paths if left out.
    #[serde(default)]
    pub path: String,
    /// Why; must not be empty.
    pub reason: String,
}

/// The contents of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Levels by identifier or name.
    #[serde(default)]
    pub rules: BTreeMap<String, Level>,
    /// Parts of paths that are not read.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Rules silenced for some paths.
    #[serde(default)]
    pub allow: Vec<Allow>,
}

impl Config {
    /// Reads the named file, or the one found beside the sources or in the working directory.
    ///
    /// # Errors
    /// The file cannot be read, is not valid, or names a rule that does not exist.
    pub fn find(named: Option<&Path>, paths: &[PathBuf]) -> Result<Self, ConfigError> {
        let mut candidates: Vec<PathBuf> = Vec::new();
        if let Some(path) = named {
            return Self::read(path);
        }
        candidates.extend(paths.iter().map(|p| p.join(FILE_NAME)));
        candidates.push(PathBuf::from(FILE_NAME));
        match candidates.iter().find(|c| c.is_file()) {
            Some(path) => Self::read(path),
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let shown = path.to_string_lossy().into_owned();
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: shown.clone(), source })?;
        Self::parse(&text, &shown)
    }

    /// Reads a configuration from text.
    ///
    /// # Errors
    /// The text is not valid or names a rule that does not exist.
    pub fn parse(text: &str, path: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|e| ConfigError::Parse {
            path: path.to_owned(),
            reason: e.to_string().trim_end().to_owned(),
        })?;
        for rule in config.rules.keys().chain(config.allow.iter().map(|a| &a.rule)) {
            if rules::find(rule).is_none() {
                return Err(ConfigError::UnknownRule { path: path.to_owned(), rule: rule.clone() });
            }
        }
        if let Some(allow) = config.allow.iter().find(|a| a.reason.trim().is_empty()) {
            return Err(ConfigError::Parse {
                path: path.to_owned(),
                reason: format!("allow of {} needs a reason", allow.rule),
            });
        }
        Ok(config)
    }

    /// Whether a path is left out.
    pub fn excludes(&self, path: &Path) -> bool {
        let text = path.to_string_lossy();
        self.exclude.iter().any(|part| !part.is_empty() && text.contains(part.as_str()))
    }

    /// Applies the levels and allows; `None` if the finding is silenced.
    pub fn rate(&self, mut finding: Finding, path: &str) -> Option<Finding> {
        let is = |text: &str| rules::find(text).is_some_and(|r| r.id == finding.rule.id);
        if self.allow.iter().any(|a| is(&a.rule) && path.contains(a.path.as_str())) {
            return None;
        }
        let level = self.rules.iter().find(|(rule, _)| is(rule)).map(|(_, level)| *level);
        match level {
            Some(Level::Off) => return None,
            Some(Level::Advice) => finding.severity = Severity::Advice,
            Some(Level::Warning) => finding.severity = Severity::Warning,
            Some(Level::Error) => finding.severity = Severity::Error,
            None => {}
        }
        Some(finding)
    }
}
