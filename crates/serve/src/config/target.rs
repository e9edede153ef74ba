//! `[[target]]`: what initiators log in to.

mod chap;
mod parameters;

use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;

use super::check::{LunPlace, TargetPlaces};
use super::extension::{Extension, ExtensionPlace};
use super::machine::Machine;
use super::names;
use super::server::portal;
use outboard_settings::At;
use outboard_settings::{Fault, Section, Value};

pub(super) use self::chap::read_secret;
pub use self::chap::{Chap, ChapAlgorithm, Credential};
pub use self::parameters::{Digest, Parameters};

/// Most LUNs of a target.
pub const MAX_LUNS: usize = 256;
/// Largest LUN: what the flat addressing method can say (SAM-6, 4.7.7.3).
pub const MAX_LUN: u16 = 16_383;

/// A target.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Target {
    /// iSCSI name, lower case
    pub name: String,
    /// what people call it
    pub alias: Option<String>,
    /// addresses it is offered on, some of [`super::Iscsi::portals`]; never empty
    pub portals: Vec<SocketAddr>,
    /// its LUNs in order of their numbers; none with an extension, which reports them itself
    pub luns: Vec<Lun>,
    /// the extension that serves it, instead of arrays
    pub extension: Option<Extension>,
    /// initiators must prove who they are
    pub chap: Option<Chap>,
    /// initiators that may log in; empty: all
    pub initiators: Vec<String>,
    /// most sessions at a time
    pub max_sessions: u32,
    /// log-ins are sent on to this address
    pub redirect: Option<SocketAddr>,
    /// what is offered in the negotiation
    pub parameters: Parameters,
}

/// A LUN of a target.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Lun {
    /// its number
    pub lun: u16,
    /// name of the array under it
    pub array: String,
}

impl Target {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            alias: None,
            portals: Vec::new(),
            luns: Vec::new(),
            extension: None,
            chap: None,
            initiators: Vec::new(),
            max_sessions: 64,
            redirect: None,
            parameters: Parameters::default(),
        }
    }

    /// Reads a section. What is wrong is written down there.
    pub(super) fn read(
        mut section: Section<'_, '_>,
        folder: &Path,
        machine: &Machine,
    ) -> (Option<Self>, TargetPlaces) {
        let mend = "write for example name = \"iqn.2026-01.com.example:data\"";
        let name = section.need("name", mend, |value| value.parse(names::iscsi));
        let mut target = Self::new(name.clone().unwrap_or_default());
        target.alias = section.get("alias", |value| value.parse(names::alias));
        section.set(&mut target.portals, "portals", |value| value.list(|v| v.parse(portal)));
        section.set(&mut target.initiators, "initiators", |value| {
            value.list(|v| v.parse(names::initiator))
        });
        section.set(&mut target.max_sessions, "max_sessions", |v| v.count(1..=65_535));
        target.redirect = section.get("redirect", |value| value.parse(portal));
        let (extension, place) = Extension::read(&mut section, folder);
        let mut places = TargetPlaces {
            extension: place,
            name: section.at_key("name"),
            portals: section.at_key("portals"),
            redirect: section.at_key("redirect"),
            chap: section.at_key("chap"),
            luns: Vec::new(),
        };
        let mend = "write for example luns = [\"data\"], names of arrays";
        let luns = match section.has("extension") {
            true => section.get("luns", read_luns),
            false => section.need("luns", mend, read_luns),
        };
        if section.has("extension") && section.has("luns") {
            let mend = "leave one of them out";
            section.problem(
                "luns",
                "and extension are both said: an extension reports its LUNs",
                mend,
            );
        }
        (target.luns, places.luns) = luns.into_iter().flatten().unzip();
        target.extension = extension;
        let auth = section.get("auth", Auth::read);
        let at_auth = section.has("auth");
        target.chap = Chap::read_optional(&mut section, folder, machine);
        match (auth, section.has("chap")) {
            (Some(Auth::None), true) if at_auth => section.problem(
                "auth",
                "is \"none\", and there are CHAP users",
                "write \"chap\", or take [target.chap] out",
            ),
            (Some(Auth::Chap), false) => section.problem(
                "auth",
                "is \"chap\", and there are no CHAP users",
                "add [target.chap] with users = [{ name = \"ann\", secret_file = \"…\" }]",
            ),
            _ => {}
        }
        target.parameters.read(section.section("parameters"));
        section.finish();
        (name.map(|_| target), places)
    }
}

/// `luns`: names of arrays, numbered in order, or tables that say the number.
fn read_luns(value: Value<'_, '_>) -> Result<Vec<(Lun, LunPlace)>, Fault> {
    let mut luns = Vec::new();
    for item in value.items()? {
        let next = u16::try_from(luns.len()).unwrap_or(u16::MAX);
        luns.push((read_lun(item, next)?, LunPlace(item.at())));
    }
    match luns.len() <= MAX_LUNS {
        true => Ok(luns),
        false => {
            let rule = format!("a target has at most {MAX_LUNS} LUNs");
            Err(Fault::new(rule, "spread them over several targets"))
        }
    }
}

fn read_lun(value: Value<'_, '_>, next: u16) -> Result<Lun, Fault> {
    let Some((table, _)) = value.table() else {
        let array = value.text().map_err(|fault| {
            fault.with_mend("write the name of an array, or { lun = 0, array = \"data\" }")
        })?;
        return Ok(Lun { lun: next, array: array.to_owned() });
    };
    let mut lun = Lun { lun: next, array: String::new() };
    for (key, entry) in table {
        let entry = Value::of(entry);
        match key.get_ref().as_ref() {
            "lun" => lun.lun = entry.count(0..=MAX_LUN).map_err(|fault| fault.of("lun"))?,
            "array" => entry.text().map_err(|f| f.of("array"))?.clone_into(&mut lun.array),
            other => {
                let rule = format!("a LUN has no {:?}", other.chars().take(40).collect::<String>());
                return Err(Fault::new(rule, "known are lun and array"));
            }
        }
    }
    match lun.array.is_empty() {
        true => Err(Fault::new("a LUN needs its array", "write { lun = 0, array = \"data\" }")),
        false => Ok(lun),
    }
}

enum Auth {
    None,
    Chap,
}

impl Auth {
    fn read(value: Value<'_, '_>) -> Result<Self, Fault> {
        value.parse(|text| match text {
            "none" => Ok(Self::None),
            "chap" => Ok(Self::Chap),
            _ => Err(Fault::new(format!("{text:?} is no method"), "write \"none\" or \"chap\"")),
        })
    }
}

impl TargetPlaces {
    /// All of it was said by one flag.
    pub(super) fn flag(flag: &str) -> Self {
        let at = || At::Flag(flag.to_owned());
        Self {
            name: at(),
            portals: at(),
            redirect: at(),
            chap: at(),
            luns: Vec::new(),
            extension: ExtensionPlace { name: at(), disks: at() },
        }
    }
}
