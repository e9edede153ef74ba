//! Where the configuration came from, so that it can be read again.

use std::path::{Path, PathBuf};

use super::{Config, ConfigError, Flags, Machine};

/// Where the configuration came from.
#[derive(Clone, Debug)]
pub struct Source {
    file: Option<PathBuf>,
    flags: Flags,
}

impl Source {
    /// A file, over which some flags go ([`Flags::apply`]).
    pub fn file(path: &Path, flags: Flags) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self { file: Some(path), flags }
    }

    /// Flags alone.
    pub const fn flags(flags: Flags) -> Self {
        Self { file: None, flags }
    }

    /// Whether reading it again can give something else.
    pub const fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// Reads it.
    ///
    /// # Errors
    /// The file cannot be read, or file or flags are wrong.
    pub fn read(&self, machine: &Machine) -> Result<Config, ConfigError> {
        let config = self.parse(machine)?;
        match config.same_disks() {
            same if same.is_empty() => Ok(config),
            problems => Err(ConfigError::Wrong { path: self.file.clone(), problems }),
        }
    }

    fn parse(&self, machine: &Machine) -> Result<Config, ConfigError> {
        let Some(path) = &self.file else { return Config::from_flags(&self.flags, machine) };
        let mut config = Config::load(path, machine)?;
        match self.flags.apply(&mut config, machine) {
            Ok(()) => Ok(config),
            Err(problem) => Err(ConfigError::Wrong { path: None, problems: vec![*problem] }),
        }
    }
}
