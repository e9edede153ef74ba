//! What to serve, and how: the TOML file or the flags of `outboard serve`, as checked data.
//!
//! `docs/config.md` describes every key. A [`Config`] that exists keeps these rules: names are
//! unique, every LUN's array exists and belongs to one LUN alone, no disk is in two arrays, iSCSI
//! names and CHAP secrets are well-formed (RFC 7143, 4.2.7 and 12.1), every portal of a target is one
//! of the server's, and the memory fits the machine.

mod array;
mod check;
mod disks;
mod error;
mod extension;
mod flags;
mod machine;
mod names;
mod secret;
mod server;
mod shown;
mod source;
mod target;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use array::{Array, Layout, MAX_MEMBERS};
pub use error::ConfigError;
pub use extension::Extension;
pub use flags::Flags;
pub use machine::Machine;
pub use outboard_settings::Problem;
pub use secret::{MAX_SECRET_BYTES, MIN_SECRET_BYTES, Secret};
pub use server::{
    Api, Congestion, Driver, ISCSI_PORT, Io, Iscsi, Limits, Log, LogFormat, MAX_PORTALS,
    MAX_THREADS, Sandbox, State,
};
pub use source::Source;
pub use target::{
    Chap, ChapAlgorithm, Credential, Digest, Lun, MAX_LUN, MAX_LUNS, Parameters, Target,
};

use check::Places;
use outboard_settings::{Found, Section, locate};

/// Most bytes of a configuration file.
pub const MAX_FILE_BYTES: u64 = 4 << 20;

/// What to serve, and how.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Config {
    /// the file it came from, absolute; none if it came from flags
    pub path: Option<PathBuf>,
    /// arrays, in order
    pub arrays: Vec<Array>,
    /// targets, in order, at least one
    pub targets: Vec<Target>,
    /// what all targets share
    pub iscsi: Iscsi,
    /// the driver processes
    pub driver: Driver,
    /// control socket and metrics
    pub api: Api,
    /// the log
    pub log: Log,
    /// what outlives the server
    pub state: State,
    /// I/O threads
    pub io: Io,
    /// what is allowed and yet probably not meant
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, or is no configuration: then all mistakes at once.
    pub fn load(path: &Path, machine: &Machine) -> Result<Self, ConfigError> {
        let text = read_text(path)?;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self::parse(&text, Some(&path), machine)
    }

    /// Reads the text of a file. Relative paths are relative to the file's folder; `path` is
    /// otherwise only named in messages.
    ///
    /// # Errors
    /// It is no configuration: all mistakes at once.
    pub fn parse(text: &str, path: Option<&Path>, machine: &Machine) -> Result<Self, ConfigError> {
        let wrong = |found: Vec<Found>| ConfigError::Wrong {
            path: path.map(Path::to_owned),
            problems: locate(found, text),
        };
        let folder = path.and_then(Path::parent).unwrap_or_else(|| Path::new(""));
        let read = outboard_settings::read(text, |root| Self::read(root, folder, machine));
        let ((mut config, places), mut found) = read.map_err(|found| wrong(vec![found]))?;
        config.path = path.map(Path::to_owned);
        let mut warnings = Vec::new();
        // What could not be read is not there: rules across sections would only add noise.
        if found.is_empty() {
            check::all(&mut config, &places, machine, &mut found, &mut warnings);
        }
        if !found.is_empty() {
            return Err(wrong(found));
        }
        config.warnings = locate(warnings, text);
        Ok(config)
    }

    /// What the flags of a one-off server say.
    ///
    /// # Errors
    /// They contradict the rules: all mistakes at once.
    pub fn from_flags(flags: &Flags, machine: &Machine) -> Result<Self, ConfigError> {
        let wrong =
            |found: Vec<Found>| ConfigError::Wrong { path: None, problems: locate(found, "") };
        let (mut config, places) = flags.read(machine).map_err(wrong)?;
        let (mut found, mut warnings) = (Vec::new(), Vec::new());
        check::all(&mut config, &places, machine, &mut found, &mut warnings);
        if !found.is_empty() {
            return Err(wrong(found));
        }
        config.warnings = locate(warnings, "");
        Ok(config)
    }

    /// The array of that name.
    pub fn array(&self, name: &str) -> Option<&Array> {
        self.arrays.iter().find(|array| array.name == name)
    }

    /// Where activated extensions are kept.
    pub fn extensions_of(&self, machine: &Machine) -> PathBuf {
        self.state.directory.clone().unwrap_or_else(|| machine.state_folder.clone())
    }

    /// The target of that name.
    pub fn target(&self, name: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.name == name)
    }

    /// The warnings as they are shown, one block of lines each; empty if there are none.
    pub fn shown_warnings(&self) -> String {
        outboard_settings::render("warning", self.path.as_deref(), &self.warnings)
    }

    fn defaults(machine: &Machine) -> Self {
        Self {
            path: None,
            arrays: Vec::new(),
            targets: Vec::new(),
            iscsi: Iscsi::default(),
            driver: Driver::default(),
            api: Api::default_of(machine),
            log: Log::default(),
            state: State::default_of(machine),
            io: Io::default_of(machine),
            warnings: Vec::new(),
        }
    }

    fn read(mut root: Section<'_, '_>, folder: &Path, machine: &Machine) -> (Self, Places) {
        let mut config = Self::defaults(machine);
        let mut places = Places::default();
        for section in root.sections("array") {
            places.arrays.push(section.at_key("name"));
            config.arrays.extend(Array::read(section, folder));
        }
        for section in root.sections("target") {
            let (target, place) = Target::read(section, folder, machine);
            places.targets.push(place);
            config.targets.extend(target);
        }
        let iscsi = root.section("iscsi");
        places.portals = iscsi.at_key("portals");
        places.discovery = iscsi.at_key("discovery");
        config.iscsi.read(iscsi, folder, machine);
        let driver = root.section("driver");
        places.pool = driver.at_key("pool");
        config.driver.read(driver, folder);
        config.api.read(root.section("api"), folder);
        config.log.read(root.section("log"));
        config.state.read(root.section("state"), folder);
        config.io.read(root.section("io"), machine);
        root.finish();
        (config, places)
    }
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let read = || {
        let mut text = String::new();
        File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    match text.len() as u64 > MAX_FILE_BYTES {
        true => Err(ConfigError::TooLong { path: path.to_owned(), most: MAX_FILE_BYTES }),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests;
