//! `[target.chap]` and `[iscsi.discovery.chap]`: who may log in (RFC 7143, 12.1).

use std::path::Path;

use serde::Serialize;

use crate::config::array::absolute;
use crate::config::machine::Machine;
use crate::config::names;
use crate::config::secret::Secret;
use outboard_settings::{Fault, Section, list};

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

impl Chap {
    pub(in crate::config) fn new(users: Vec<Credential>) -> Self {
        Self { users, mutual: None, algorithms: ChapAlgorithm::ALL.to_vec() }
    }

    /// `[….chap]`, if it is there.
    pub(in crate::config) fn read_optional(
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
    pub(in crate::config) fn new(name: String, secret: Secret) -> Self {
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
pub(in crate::config) fn read_secret(path: &Path, machine: &Machine) -> Result<Secret, Fault> {
    let text = (machine.read_secret)(path).map_err(|error| {
        let rule = format!("{}: {error}", path.display());
        Fault::new(rule, "name a file that this user may read and that holds the secret alone")
    })?;
    Secret::parse(text.lines().next().unwrap_or(""))
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
