//! The flags of a one-off `outboard serve`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::array::{Array, Said, absolute, chunk_text, member};
use super::check::{LunPlace, Places, TargetPlaces};
use super::extension::{Extension, disk};
use super::machine::Machine;
use super::names;
use super::server::{LogFormat, Sandbox, cpus, level, portal, socket};
use super::target::{Chap, Credential, Lun, Target, read_secret};
use super::{Config, Problem};
use outboard_settings::Fault;
use outboard_settings::{At, Found};

/// What a one-off server serves, and how; the other half of the settings has its defaults.
#[derive(Args, Clone, Debug, Default)]
#[non_exhaustive]
pub struct Flags {
    /// An array, the next LUN: [NAME=]LEVEL[/CHUNK]:MEMBER,MEMBER… with LEVEL 0 (striped), linear,
    /// disk (one member alone) or md (as the members' superblocks say), and members as files, block
    /// devices, mem:SIZE, null: or sim:hdd
    #[arg(long, value_name = "ARRAY")]
    pub array: Vec<String>,
    /// An extension, by its identifier or the folder of its package, instead of arrays: its LUNs are
    /// what its driver reports
    #[arg(long, value_name = "ID|FOLDER", conflicts_with = "driver")]
    pub extension: Option<String>,
    /// A disk of the extension: a file, a block device or mem:SIZE
    #[arg(long, value_name = "DISK", requires = "extension")]
    pub disk: Vec<String>,
    /// An option of the extension's driver, as NAME=VALUE
    #[arg(long, value_name = "OPTION", requires = "extension")]
    pub option: Vec<String>,
    /// Address to accept on, as 127.0.0.1:3260 or [::1]:3260 [default: 127.0.0.1:3260]
    #[allow(rustdoc::broken_intra_doc_links, reason = "an address; the text is the help's too")]
    #[arg(long, value_name = "ADDRESS")]
    pub iscsi: Vec<String>,
    /// iSCSI name of the target [default: made from the host's name]
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// Initiators must log in as this CHAP user
    #[arg(long, value_name = "NAME", requires = "chap_secret_file")]
    pub chap_user: Option<String>,
    /// File with the user's secret, 12 to 255 bytes
    #[arg(long, value_name = "FILE", requires = "chap_user")]
    pub chap_secret_file: Option<PathBuf>,
    /// What the target proves itself with to initiators that ask
    #[arg(long, value_name = "NAME", requires_all = ["mutual_secret_file", "chap_user"])]
    pub mutual_user: Option<String>,
    /// File with the target's own secret
    #[arg(long, value_name = "FILE", requires = "mutual_user")]
    pub mutual_secret_file: Option<PathBuf>,
    /// An initiator that may log in; others may not
    #[arg(long, value_name = "NAME")]
    pub initiator: Vec<String>,
    /// Refuse writes
    #[arg(long)]
    pub read_only: bool,
    /// Present removable media
    #[arg(long)]
    pub removable: bool,
    /// Bytes of a logical block: 512 or 4096 [default: as the disks say]
    #[arg(long, value_name = "BYTES")]
    pub block_size: Option<u32>,
    /// Thin provisioned, on or off [default: as the disks can]
    #[arg(long, value_name = "SWITCH")]
    pub thin: Option<String>,
    /// File of the key that the array is encrypted under; made if the disks are empty
    #[arg(long, value_name = "FILE", requires = "array")]
    pub key_file: Option<PathBuf>,
    /// Watch for work all the time: shorter answers at small depth for a processor each
    #[arg(long)]
    pub spin: bool,
    /// Processors for the I/O threads, as 0-3,6; one thread each
    #[arg(long, value_name = "LIST")]
    pub cpus: Option<String>,
    /// Folder that keeps persistent reservations [default: they end with the server]
    #[arg(long, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
    /// Driver program instead of the built-in array driver
    #[arg(long, value_name = "PROGRAM")]
    pub driver: Option<PathBuf>,
    /// How drivers are confined [default: best-effort]
    #[arg(long, value_name = "KIND")]
    pub sandbox: Option<Sandbox>,
    /// An argument of that program
    #[arg(long, value_name = "ARGUMENT", requires = "driver", allow_hyphen_values = true)]
    pub driver_argument: Vec<String>,
    /// Path of the control socket, or none [default: as outboard status expects it]
    #[arg(long, value_name = "SOCKET")]
    pub api: Option<String>,
    /// How the log looks
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What is logged: error, warn, info, debug, trace, or by part as info,outboard_iscsi=debug
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// A mistake in the value of a flag.
fn at(flag: &str, value: impl std::fmt::Display) -> At {
    At::Flag(format!("--{flag} {value}"))
}

impl Flags {
    /// Sets what may be said beside a file too: socket and log.
    ///
    /// # Errors
    /// The flag that is wrong.
    pub fn apply(&self, config: &mut Config, machine: &Machine) -> Result<(), Box<Problem>> {
        self.overrides(config, machine).map_err(|found| Box::new(found.locate("")))
    }

    fn overrides(&self, config: &mut Config, machine: &Machine) -> Result<(), Found> {
        if let Some(text) = &self.api {
            config.api.socket = socket(text, &machine.working_folder)
                .map_err(|fault| fault.found(at("api", text)))?;
        }
        if let Some(format) = self.log_format {
            config.log.format = format;
        }
        if let Some(text) = &self.log_level {
            config.log.level = level(text).map_err(|fault| fault.found(at("log-level", text)))?;
        }
        Ok(())
    }

    pub(super) fn read(&self, machine: &Machine) -> Result<(Config, Places), Vec<Found>> {
        let mut found = Vec::new();
        let mut config = Config::defaults(machine);
        let mut places = Places { portals: at("iscsi", "…"), ..Places::default() };
        config.state.directory =
            self.state_dir.as_ref().map(|dir| machine.working_folder.join(dir));
        config.driver.program = self.driver.as_ref().map(|file| machine.working_folder.join(file));
        config.driver.arguments.clone_from(&self.driver_argument);
        config.driver.sandbox = self.sandbox.unwrap_or_default();
        config.io.spin = self.spin;
        if let Some(text) = &self.cpus {
            match cpus(text, machine) {
                Ok(cpus) => {
                    config.io.threads = u32::try_from(cpus.len()).unwrap_or(1).clamp(1, 64);
                    config.io.cpus = cpus;
                }
                Err(fault) => found.push(fault.found(at("cpus", text))),
            }
        }
        if let Err(wrong) = self.overrides(&mut config, machine) {
            found.push(wrong);
        }
        self.portals(&mut config, &mut found);
        let mut target = self.target(machine, &mut found);
        let mut place = TargetPlaces::flag("--target");
        for (number, text) in self.array.iter().enumerate() {
            match self.read_array(text, number, &machine.working_folder) {
                Ok(array) => {
                    let lun = u16::try_from(number).unwrap_or(u16::MAX);
                    target.luns.push(Lun { lun, array: array.name.clone() });
                    place.luns.push(LunPlace(at("array", text)));
                    places.arrays.push(at("array", text));
                    config.arrays.push(array);
                }
                Err(fault) => found.push(fault.found(at("array", text))),
            }
        }
        if let Some(text) = &self.extension {
            match self.read_extension(text, &machine.working_folder) {
                Ok(extension) => target.extension = Some(extension),
                Err(wrong) => found.push(*wrong),
            }
        }
        config.targets.push(target);
        places.targets.push(place);
        match found.is_empty() {
            true => Ok((config, places)),
            false => Err(found),
        }
    }

    fn read_extension(&self, text: &str, folder: &Path) -> Result<Extension, Box<Found>> {
        let wrong = |flag, text: &str| {
            let at = at(flag, text);
            move |fault: Fault| Box::new(fault.found(at))
        };
        let mut extension = Extension::new(text, folder).map_err(wrong("extension", text))?;
        for text in &self.disk {
            extension.disks.push(disk(text, folder).map_err(wrong("disk", text))?);
        }
        for text in &self.option {
            let (name, value) = text.split_once('=').ok_or_else(|| {
                let fault = Fault::new("an option is NAME=VALUE", "write for example colour=red");
                wrong("option", text)(fault)
            })?;
            // A number or a truth value as such, all else as text.
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            extension.options.insert(name.to_owned(), value);
        }
        Ok(extension)
    }

    fn portals(&self, config: &mut Config, found: &mut Vec<Found>) {
        if !self.iscsi.is_empty() {
            config.iscsi.portals.clear();
        }
        for text in &self.iscsi {
            match portal(text) {
                Ok(portal) => config.iscsi.portals.push(portal),
                Err(fault) => found.push(fault.found(at("iscsi", text))),
            }
        }
    }

    fn target(&self, machine: &Machine, found: &mut Vec<Found>) -> Target {
        let name = match &self.target {
            None => names::target_of(&machine.host_name),
            Some(text) => names::iscsi(text).unwrap_or_else(|fault| {
                found.push(fault.found(at("target", text)));
                String::new()
            }),
        };
        let mut target = Target::new(name);
        for text in &self.initiator {
            match names::initiator(text) {
                Ok(name) => target.initiators.push(name),
                Err(fault) => found.push(fault.found(at("initiator", text))),
            }
        }
        let mut credential = |user: &Option<String>, file: &Option<PathBuf>, flag: &str| {
            let (user, file) = (user.as_ref()?, file.as_ref()?);
            let secret = read_secret(&machine.working_folder.join(file), machine);
            let secret = secret.map_err(|fault| found.push(fault.found(at(flag, file.display()))));
            Some(Credential::new(user.clone(), secret.ok()?))
        };
        let user = credential(&self.chap_user, &self.chap_secret_file, "chap-secret-file");
        let mutual = credential(&self.mutual_user, &self.mutual_secret_file, "mutual-secret-file");
        target.chap = user.map(|user| Chap { mutual, ..Chap::new(vec![user]) });
        target
    }

    /// `[NAME=]LEVEL[/CHUNK]:MEMBER,MEMBER…`
    fn read_array(&self, text: &str, number: usize, folder: &Path) -> Result<Array, Fault> {
        let form = "write [NAME=]LEVEL[/CHUNK]:MEMBER,… for example 0:a.img,b.img or disk:a.img";
        let Some((head, members)) = text.split_once(':') else {
            return Err(Fault::new("there is no colon after the level", form));
        };
        let (name, level) = match head.split_once('=') {
            Some((name, level)) => (names::array(name)?, level),
            None => (format!("array{number}"), head),
        };
        let (level, chunk) = match level.split_once('/') {
            Some((level, chunk)) => (level, Some(chunk_text(chunk)?)),
            None => (level, None),
        };
        if matches!(level, "mem" | "null" | "sim" | "file") {
            let mend = format!("for a disk alone write disk:{text}");
            return Err(Fault::new(format!("{level:?} is no level"), mend));
        }
        let members: Result<Vec<_>, Fault> =
            members.split(',').map(|text| member(text, folder)).collect();
        let md = level == "md";
        let level = (!md).then(|| level.to_owned());
        let said = Said { name, level, chunk, md, members: members? };
        let layout = said.layout().map_err(|(_, rule, mend)| Fault::new(rule, mend))?;
        if !matches!(self.block_size, None | Some(512 | 4096)) {
            let rule = "a logical block has 512 or 4096 bytes";
            return Err(Fault::new(rule, "write --block-size 512 or 4096"));
        }
        let Said { name, members, .. } = said;
        let mut array = Array {
            name,
            layout,
            members,
            serial: None,
            read_only: self.read_only,
            removable: self.removable,
            thin: self.thin()?,
            block_size: self.block_size,
            key_file: self.key_file.as_ref().map(|file| absolute(folder, file)),
        };
        array.spread().map_err(|(_, rule, mend)| Fault::new(rule, mend))?;
        Ok(array)
    }

    fn thin(&self) -> Result<Option<bool>, Fault> {
        match self.thin.as_deref() {
            None => Ok(None),
            Some("on") => Ok(Some(true)),
            Some("off") => Ok(Some(false)),
            Some(other) => {
                let rule = format!("--thin {other}: it is on or off");
                Err(Fault::new(
                    rule,
                    "write --thin on, or leave it out: files are thin if they can",
                ))
            }
        }
    }
}
