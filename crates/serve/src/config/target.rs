//! `[[target]]`: what initiators log in to.

use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;

use super::array::absolute;
use super::check::{LunPlace, TargetPlaces};
use super::extension::{Extension, ExtensionPlace};
use super::machine::Machine;
use super::names;
use super::secret::Secret;
use super::server::portal;
use outboard_settings::At;
use outboard_settings::{Fault, Section, Value, list};

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

/// CHAP (RFC 7143, 12.1).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Chap {
    /// those who may log in, at least one
    pub users: Vec<Credential>,
    /// what the target proves itself with, if the initiator asks
    pub mutual: Option<Credential>,
    /// what may be used, best first
    pub algorithms: Vec<ChapAlgorithm>,
}

/// A name and its secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Credential {
    /// the name
    pub name: String,
    /// the secret
    pub secret: Secret,
}

/// Hashes for CHAP.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum ChapAlgorithm {
    /// 8
    #[serde(rename = "sha3-256")]
    Sha3_256,
    /// 7
    #[serde(rename = "sha-256")]
    Sha256,
    /// 6
    #[serde(rename = "sha-1")]
    Sha1,
    /// 5, which every initiator has
    #[serde(rename = "md5")]
    Md5,
}

/// CRC32C or nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Digest {
    /// nothing
    None,
    /// CRC32C
    Crc32c,
}

/// What a target offers in the negotiation (RFC 7143, 13).
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Parameters {
    /// most bytes of a data segment that we take
    pub max_recv_data_segment_length: u32,
    /// most bytes of a Data-In or solicited Data-Out sequence
    pub max_burst_length: u32,
    /// most unsolicited bytes of a command
    pub first_burst_length: u32,
    /// no unsolicited Data-Out PDUs
    pub initial_r2t: bool,
    /// data may come with the command
    pub immediate_data: bool,
    /// most R2Ts outstanding of a command
    pub max_outstanding_r2t: u16,
    /// most connections of a session
    pub max_connections: u16,
    /// digests of headers, best first
    pub header_digest: Vec<Digest>,
    /// digests of data, best first
    pub data_digest: Vec<Digest>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            max_recv_data_segment_length: 256 << 10,
            max_burst_length: 1 << 20,
            first_burst_length: 256 << 10,
            initial_r2t: false,
            immediate_data: true,
            max_outstanding_r2t: 4,
            max_connections: 8,
            header_digest: vec![Digest::None, Digest::Crc32c],
            data_digest: vec![Digest::None, Digest::Crc32c],
        }
    }
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

impl ChapAlgorithm {
    const ALL: [Self; 4] = [Self::Sha3_256, Self::Sha256, Self::Sha1, Self::Md5];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha3_256 => "sha3-256",
            Self::Sha256 => "sha-256",
            Self::Sha1 => "sha-1",
            Self::Md5 => "md5",
        }
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name);
            Fault::new(format!("{text:?} is no algorithm"), format!("known are {}", list(&names)))
        })
    }
}

impl Chap {
    pub(super) fn new(users: Vec<Credential>) -> Self {
        Self { users, mutual: None, algorithms: ChapAlgorithm::ALL.to_vec() }
    }

    /// `[….chap]`, if it is there.
    pub(super) fn read_optional(
        parent: &mut Section<'_, '_>,
        folder: &Path,
        machine: &Machine,
    ) -> Option<Self> {
        let present = parent.has("chap");
        let mut section = parent.section("chap");
        let mut chap = Self::new(Vec::new());
        for entry in section.sections("users") {
            chap.users.extend(Credential::read(entry, folder, machine));
        }
        if section.has("mutual") {
            let entry = section.section("mutual");
            chap.mutual = Credential::read(entry, folder, machine);
        } else {
            let _ = section.section("mutual");
        }
        section.set(&mut chap.algorithms, "algorithms", |value| {
            let algorithms = value.list(|v| v.parse(ChapAlgorithm::parse))?;
            match algorithms.is_empty() {
                true => Err(Fault::new("is empty", "leave it out for all of them")),
                false => Ok(algorithms),
            }
        });
        if present && !section.has("users") {
            let mend = "write users = [{ name = \"ann\", secret_file = \"/etc/outboard/ann\" }]";
            section.problem("users", "is missing", mend);
        }
        section.finish();
        present.then_some(chap)
    }
}

impl Credential {
    pub(super) fn new(name: String, secret: Secret) -> Self {
        Self { name, secret }
    }

    fn read(mut section: Section<'_, '_>, folder: &Path, machine: &Machine) -> Option<Self> {
        let name = section.need("name", "write name = \"ann\"", |value| value.parse(names::user));
        let inline = section.get("secret", |value| value.parse(Secret::parse));
        let file = section.get("secret_file", |value| {
            value.parse(|path| read_secret(&absolute(folder, Path::new(path)), machine))
        });
        let said = [section.has("secret"), section.has("secret_file")];
        match said {
            [true, true] => {
                section.problem("secret", "and secret_file are both said", "leave one out");
            }
            [false, false] => {
                section.problem(
                    "secret",
                    "is missing",
                    "write secret_file = \"/etc/outboard/ann\"",
                );
            }
            _ => {}
        }
        section.finish();
        Some(Self { name: name?, secret: inline.or(file)? })
    }
}

/// The secret in the first line of a file.
pub(super) fn read_secret(path: &Path, machine: &Machine) -> Result<Secret, Fault> {
    let text = (machine.read_secret)(path).map_err(|error| {
        let rule = format!("{}: {error}", path.display());
        Fault::new(rule, "name a file that this user may read and that holds the secret alone")
    })?;
    Secret::parse(text.lines().next().unwrap_or(""))
}

impl Parameters {
    fn read(&mut self, mut section: Section<'_, '_>) {
        const MOST: u64 = (1 << 24) - 1;
        let length = |value: Value<'_, '_>| value.size(512..=MOST).map(|n| n as u32);
        let wanted = "max_recv_data_segment_length";
        section.set(&mut self.max_recv_data_segment_length, wanted, length);
        section.set(&mut self.max_burst_length, "max_burst_length", length);
        section.set(&mut self.first_burst_length, "first_burst_length", length);
        section.set(&mut self.initial_r2t, "initial_r2t", Value::flag);
        section.set(&mut self.immediate_data, "immediate_data", Value::flag);
        section.set(&mut self.max_outstanding_r2t, "max_outstanding_r2t", |v| v.count(1..=65_535));
        section.set(&mut self.max_connections, "max_connections", |v| v.count(1..=64));
        section.set(&mut self.header_digest, "header_digest", digests);
        section.set(&mut self.data_digest, "data_digest", digests);
        if !section.has("first_burst_length") {
            self.first_burst_length = self.first_burst_length.min(self.max_burst_length);
        }
        if self.first_burst_length > self.max_burst_length {
            let rule = "is larger than max_burst_length (RFC 7143, 13.14)";
            section.problem("first_burst_length", rule, "write a smaller one");
        }
        section.finish();
    }
}

fn digests(value: Value<'_, '_>) -> Result<Vec<Digest>, Fault> {
    let digests = value.list(|value| {
        value.parse(|text| match text {
            "none" => Ok(Digest::None),
            "crc32c" => Ok(Digest::Crc32c),
            _ => Err(Fault::new(format!("{text:?} is no digest"), "write \"none\" or \"crc32c\"")),
        })
    })?;
    match digests.is_empty() {
        true => Err(Fault::new("is empty", "write [\"none\", \"crc32c\"], best first")),
        false => Ok(digests),
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
