//! What a target's driver is made from: its program, what it is given, what its death leaves to be
//! fenced.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use outboard_array::ArrayOptions;
use outboard_disk::DiskKind;
use outboard_disk::fence::FencedDisk;
use outboard_host::driver::{Driver, Offer, Sandbox};
use outboard_sandbox::{Launcher, Mode};

use super::disks::{DisksError, Kept, open_all, open_disks, renew_key};
use super::supervisor::StartError;
use crate::config::{self, Array, Extension};
use crate::report::Reports;

/// Threads of the array driver: its I/O thread, those of the SDK, and some of the C library's.
const THREADS: u32 = 16;

/// What a target's driver is made from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// what it serves
    pub serves: Serves,
    /// its process
    pub driver: config::Driver,
    /// disks in memory
    pub kept: Arc<Mutex<Kept>>,
    /// the target, as in the log
    pub target: String,
    /// where reports of its deaths go
    pub reports: Option<Reports>,
    /// the state directory
    pub state: Option<PathBuf>,
    /// LUNs whose key is replaced before the next start
    pub erasures: Vec<u16>,
}

/// What a target serves.
#[derive(Clone, Debug, PartialEq)]
pub enum Serves {
    /// the array driver: LUNs and what is under them
    Arrays(Vec<(u16, Array)>),
    /// an extension: its LUNs are what it reports
    Extension(Box<Extension>),
}

/// A driver's program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Program {
    /// the file
    pub path: PathBuf,
    /// its arguments
    pub arguments: Vec<String>,
    /// the folder of its package
    pub package: Option<PathBuf>,
    /// who it is
    pub identifier: String,
    /// which of them
    pub version: String,
    /// bytes of memory and threads that it says it needs
    pub needs: Option<(u64, u32)>,
}

/// What a driver is started with beside its program.
pub(super) struct Given {
    pub(super) options: serde_json::Value,
    pub(super) offer: Offer,
    pub(super) descriptors: Vec<OwnedFd>,
    /// files and devices that the fence waits for after its death
    pub(super) fenced: Vec<FencedDisk>,
}

impl Plan {
    /// Its program.
    ///
    /// # Errors
    /// That of the built-in driver cannot be named.
    pub fn program(&self) -> Result<Program, StartError> {
        if let Some(installed) = self.serves.installed() {
            let package = &installed.package;
            return Ok(Program {
                path: installed.program(),
                arguments: package.arguments.clone(),
                package: Some(installed.folder.clone()),
                identifier: package.identifier().to_owned(),
                version: package.version().to_owned(),
                needs: Some((package.resources.memory, package.resources.threads)),
            });
        }
        let (path, arguments) = match &self.driver.program {
            Some(program) => (program.clone(), self.driver.arguments.clone()),
            None => {
                let own = std::env::current_exe().map_err(StartError::Program)?;
                (own, vec!["driver".to_owned(), "array".to_owned()])
            }
        };
        Ok(Program {
            path,
            arguments,
            package: None,
            identifier: outboard_ext::names::BUILT_IN.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            needs: None,
        })
    }

    /// What confines it.
    ///
    /// # Errors
    /// The launcher cannot be named.
    pub fn sandbox(&self, program: &Program) -> Result<Sandbox, StartError> {
        let own = std::env::current_exe().map_err(StartError::Program)?;
        let (memory, threads) = program.needs.unwrap_or((self.driver.memory, THREADS));
        Ok(Sandbox {
            launcher: Launcher { program: own, arguments: vec!["launcher".to_owned()] },
            mode: match self.driver.sandbox {
                config::Sandbox::Off => Mode::Off,
                config::Sandbox::BestEffort => Mode::BestEffort,
                config::Sandbox::Require => Mode::Require,
            },
            package: program.package.clone(),
            memory_bytes: memory,
            threads,
            debug: self.driver.debug,
        })
    }

    /// Tasks at a time.
    pub fn slots(&self) -> u32 {
        let slots = self.driver.slots;
        self.serves.installed().map_or(slots, |installed| installed.package.slots(slots))
    }

    /// Opens what the driver is given.
    pub(super) fn give(&self) -> Result<Given, StartError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let fail = |error| StartError::Disks(Box::new(error));
        match &self.serves {
            Serves::Arrays(units) => {
                let units = open_all(units, self.state.as_deref(), &mut kept).map_err(fail)?;
                let options = ArrayOptions {
                    units: units.options,
                    maximum_task_count: self.driver.slots,
                    max_transfer: self.driver.max_transfer,
                };
                Ok(Given {
                    // Plain data: it has a JSON form.
                    options: serde_json::to_value(&options).unwrap_or_default(),
                    offer: Offer::default(),
                    descriptors: units.descriptors,
                    fenced: units.fenced,
                })
            }
            Serves::Extension(extension) => {
                let opened = open_disks(&extension.identifier, &extension.disks, &mut kept);
                let disks = opened.map_err(fail)?;
                let installed = self.serves.installed();
                let manifest = installed.map(|installed| installed.package.manifest.clone());
                Ok(Given {
                    options: extension.options(),
                    offer: Offer { disks: disks.described, manifest },
                    descriptors: disks.descriptors,
                    fenced: disks.fenced,
                })
            }
        }
    }

    /// Replaces the keys that are to be replaced, while there is no driver: by LUN, whether that
    /// succeeded.
    pub(super) fn erase(&self) -> Vec<(u16, bool)> {
        let erase = |&lun: &u16| {
            let Some(array) = self.serves.encrypted(lun) else { return (lun, false) };
            let renewed = renew_key(array, self.state.as_deref());
            self.tell(lun, &renewed);
            (lun, renewed.is_ok())
        };
        self.erasures.iter().map(erase).collect()
    }

    fn tell(&self, lun: u16, renewed: &Result<(), DisksError>) {
        match renewed {
            Ok(()) => tracing::warn!(target = self.target, lun, "its key was erased: a new one"),
            Err(error) => tracing::error!(target = self.target, lun, %error, "its key stays"),
        }
    }

    /// Whether what the driver reports is what its package says.
    pub(super) fn check(&self, driver: &Driver) -> Result<(), StartError> {
        let package = self.serves.installed().map(|installed| &installed.package);
        package.map_or(Ok(()), |p| p.check_report(driver.report()).map_err(StartError::Package))
    }
}

impl Serves {
    /// Files and devices of it.
    pub fn paths(&self) -> Vec<PathBuf> {
        let file = |disk: &outboard_disk::DiskSpec| match &disk.kind {
            DiskKind::File { path, .. } => Some(path.clone()),
            _ => None,
        };
        match self {
            Self::Arrays(units) => {
                units.iter().flat_map(|(_, array)| &array.members).filter_map(file).collect()
            }
            Self::Extension(extension) => extension.disks.iter().filter_map(file).collect(),
        }
    }

    /// The array of a LUN, if its data is encrypted.
    pub fn encrypted(&self, lun: u16) -> Option<&Array> {
        let Self::Arrays(units) = self else { return None };
        let (_, array) = units.iter().find(|(number, _)| *number == lun)?;
        array.key_file.as_ref().map(|_| array)
    }

    /// Says which units have a key that can be replaced.
    pub fn tell_encrypted(&self, target: &mut outboard_spc::Target) {
        let luns: Vec<_> = target.luns().collect();
        for lun in luns {
            target.set_encrypted(lun, self.encrypted(lun.number()).is_some());
        }
    }

    /// The extension's package.
    pub fn installed(&self) -> Option<&outboard_ext::Installed> {
        match self {
            Self::Arrays(_) => None,
            Self::Extension(extension) => extension.installed.as_deref(),
        }
    }
}
