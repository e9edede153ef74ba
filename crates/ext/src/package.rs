//! `extension.toml`: what a driver's package declares.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use outboard_hba::protocol::PROTOCOL;
use outboard_hba::{Binding, DISKS_MAX, HbaReport, Manifest, Method, QueueDeclaration, QueueKind};
use outboard_settings::{Fault, Problem, Section, Value, locate, render};
use rustix::fs::OFlags;
use serde::{Serialize, de::DeserializeOwned};

use crate::names;

/// The file that makes a folder a package.
pub const FILE: &str = "extension.toml";
/// Most bytes of it.
pub const MAX_FILE_BYTES: u64 = 1 << 20;
/// Most tasks that a package may ask for.
const MAX_TASKS: u32 = 4096;

/// A package, as it is declared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Package {
    /// identifier, version, dispatch queues and bindings: what the program must say too
    pub manifest: Manifest,
    /// what people call it
    pub name: String,
    /// the driver program, relative to the folder
    pub program: PathBuf,
    /// its arguments
    pub arguments: Vec<String>,
    /// what else belongs to it, relative to the folder
    pub files: Vec<PathBuf>,
    /// what it needs
    pub resources: Resources,
    /// what it can do
    pub limits: Limits,
    /// its options, unless a target says otherwise
    pub options: serde_json::Map<String, serde_json::Value>,
}

/// `[resources]`: what a driver process needs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Resources {
    /// least and most disks
    pub disks: (usize, usize),
    /// bytes of memory of its own
    pub memory: u64,
    /// threads
    pub threads: u32,
}

impl Default for Resources {
    fn default() -> Self {
        Self { disks: (0, 0), memory: 256 << 20, threads: 64 }
    }
}

/// `[limits]`: what a driver may report at most.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Limits {
    /// bytes of one command
    pub max_transfer: Option<u64>,
    /// tasks at a time
    pub tasks: Option<u32>,
}

/// A folder that is no package.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// the file cannot be read
    #[error(
        "{path}: {source}; name the folder of a package: it has the file {FILE} (`outboard ext new` writes one)",
        path = path.display()
    )]
    Read {
        /// the file
        path: PathBuf,
        /// why
        source: io::Error,
    },
    /// the file is too long
    #[error("{path}: an {FILE} has at most {MAX_FILE_BYTES} bytes; is it another file?", path = path.display())]
    TooLong {
        /// the file
        path: PathBuf,
    },
    /// its content
    #[error("{}", render("error", Some(path), problems))]
    Wrong {
        /// the file
        path: PathBuf,
        /// all that was found, at least one
        problems: Vec<Problem>,
    },
}

impl Package {
    /// Reads the package in `folder`.
    ///
    /// # Errors
    /// There is none, or it has mistakes: then all of them.
    pub fn load(folder: &Path) -> Result<Self, PackageError> {
        let path = folder.join(FILE);
        let mut text = String::new();
        // Without waiting for a writer, should it be a pipe.
        OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(&path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
            .map_err(|source| PackageError::Read { path: path.clone(), source })?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(PackageError::TooLong { path });
        }
        Self::parse(&text, &path)
    }

    /// Reads the text of an `extension.toml`; `path` is only named in messages.
    ///
    /// # Errors
    /// All its mistakes.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PackageError> {
        let wrong =
            |found| PackageError::Wrong { path: path.to_owned(), problems: locate(found, text) };
        match outboard_settings::read(text, Self::read) {
            Ok((Some(package), found)) if found.is_empty() => Ok(package),
            Ok((_, found)) => Err(wrong(found)),
            Err(found) => Err(wrong(vec![found])),
        }
    }

    /// Its identifier.
    pub fn identifier(&self) -> &str {
        &self.manifest.identifier
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.manifest.version
    }

    /// The options of a driver: those of the package, under those of its target.
    pub fn options_with(
        &self,
        said: &serde_json::Map<String, serde_json::Value>,
    ) -> serde_json::Value {
        let mut options = self.options.clone();
        options.extend(said.iter().map(|(key, value)| (key.clone(), value.clone())));
        options.into()
    }

    /// Tasks at a time, of the `slots` that a host would give.
    pub fn slots(&self, slots: u32) -> u32 {
        self.limits.tasks.map_or(slots, |tasks| tasks.min(slots))
    }

    /// Whether a report keeps to `[limits]`.
    ///
    /// # Errors
    /// The limit, what was reported, and the mend.
    pub fn check_report(&self, report: &HbaReport) -> Result<(), String> {
        let above = |what: &str, limit: u64, said: u64| {
            Err(format!(
                "the driver reports {what} {said}, and [limits] of its {FILE} says {limit}; make them agree"
            ))
        };
        match (self.limits.tasks, self.limits.max_transfer) {
            (Some(tasks), _) if report.maximum_task_count > tasks => {
                above("a maximum task count of", tasks.into(), report.maximum_task_count.into())
            }
            (_, Some(bytes)) if report.dma.max_transfer_size > bytes => {
                above("a max_transfer_size of", bytes, report.dma.max_transfer_size)
            }
            _ => Ok(()),
        }
    }

    fn read(mut root: Section<'_, '_>) -> Option<Self> {
        let mend = "write for example identifier = \"com.example.ram\"";
        let identifier = root.need("identifier", mend, |v| v.parse(own_identifier));
        let mend = "write for example version = \"1.0\"";
        let version = root.need("version", mend, |v| v.parse(names::version));
        let name = root.get("name", |v| v.parse(names::name));
        let mend = "write the path of the driver program, as program = \"bin/driver\"";
        let program = root.need("program", mend, |v| v.parse(names::file));
        let arguments = root.get("arguments", |v| v.list(|v| v.parse(argument)));
        let files = root.get("files", |v| v.list(|v| v.parse(names::file)));
        let mend = format!("write protocol = {PROTOCOL}");
        let protocol = root.need("protocol", &mend, protocol);
        let mut queues = Vec::new();
        for section in root.sections("queues") {
            queues.extend(read_queue(section));
        }
        let mut bindings = Vec::new();
        for section in root.sections("bindings") {
            bindings.extend(read_binding(section));
        }
        let resources = Resources::read(root.section("resources"));
        let limits = Limits::read(root.section("limits"));
        let options = root.get("options", Value::json);
        root.finish();
        let (identifier, version, program) = (identifier?, version?, program?);
        protocol?;
        let options = match options {
            Some(serde_json::Value::Object(options)) => options,
            _ => serde_json::Map::new(),
        };
        Some(Self {
            name: name.unwrap_or_else(|| identifier.clone()),
            manifest: Manifest { identifier, version, queues, bindings },
            program,
            arguments: arguments.unwrap_or_default(),
            files: files.unwrap_or_default(),
            resources,
            limits,
            options,
        })
    }
}

fn own_identifier(text: &str) -> Result<String, Fault> {
    match names::identifier(text)?.as_str() {
        names::BUILT_IN => Err(Fault::new(
            format!("{text:?} is the identifier of the built-in driver"),
            "choose one of your own domain, as \"com.example.ram\"",
        )),
        good => Ok(good.to_owned()),
    }
}

fn argument(text: &str) -> Result<String, Fault> {
    match text.len() <= 4096 && !text.contains('\0') {
        true => Ok(text.to_owned()),
        false => {
            Err(Fault::new("an argument has at most 4096 bytes, none of them zero", "shorten it"))
        }
    }
}

fn protocol(value: Value<'_, '_>) -> Result<u32, Fault> {
    match value.count(1..=u32::MAX)? {
        PROTOCOL => Ok(PROTOCOL),
        other => Err(Fault::new(
            format!("the driver speaks protocol version {other}, this host version {PROTOCOL}"),
            "build it with the SDK of the host's release, and write its version here",
        )),
    }
}

fn read_queue(mut section: Section<'_, '_>) -> Option<QueueDeclaration> {
    let name = section.need("name", "write for example name = \"AuxiliaryQueue\"", |v| {
        v.text().map(str::to_owned)
    });
    let kind = section.get("kind", |v| word(v, "is \"serial\" or \"reentrant\""));
    let has_kind = section.has("kind");
    section.finish();
    let kind = if has_kind { kind? } else { QueueKind::Serial };
    Some(QueueDeclaration { name: name?, kind })
}

fn read_binding(mut section: Section<'_, '_>) -> Option<Binding> {
    let mend = "write for example method = \"create_target\"";
    let method: Option<Method> = section.need("method", mend, |v| {
        word(v, "is a method of Controller or IoQueue, as \"create_target\"")
    });
    let queue = section.need("queue", "write the name of a queue", |v| v.text().map(str::to_owned));
    section.finish();
    Some(Binding { method: method?, queue: queue? })
}

/// One of the words that the manifest's types know.
fn word<T: DeserializeOwned>(value: Value<'_, '_>, rule: &str) -> Result<T, Fault> {
    let text = value.text()?;
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|error| {
        let known = error.to_string();
        let known = known.split_once("expected ").map_or("", |(_, known)| known);
        Fault::new(format!("{rule}, and {text:?} is not"), format!("write {known}"))
    })
}

impl Resources {
    fn read(mut section: Section<'_, '_>) -> Self {
        let mut resources = Self::default();
        let mut both = false;
        section.set(&mut resources.disks, "disks", |value| match value.table() {
            None => value.count(0..=DISKS_MAX).map(|disks| (disks, disks)),
            Some(_) => {
                both = true;
                Ok((0, DISKS_MAX))
            }
        });
        if both {
            let mut disks = section.section("disks");
            let least = disks.get("least", |v| v.count(0..=DISKS_MAX)).unwrap_or(0);
            let most = disks.get("most", |v| v.count(0..=DISKS_MAX)).unwrap_or(DISKS_MAX);
            if least > most {
                disks.problem("least", "is more than most", "write a smaller one");
            }
            disks.finish();
            resources.disks = (least, most);
        }
        section.set(&mut resources.memory, "memory", |v| v.size(16 << 20..=1 << 40));
        section.set(&mut resources.threads, "threads", |v| v.count(4..=4096));
        section.finish();
        resources
    }
}

impl Limits {
    fn read(mut section: Section<'_, '_>) -> Self {
        let max_transfer = section.get("max_transfer", |v| v.size(512..=64 << 20));
        let tasks = section.get("tasks", |v| v.count(2..=MAX_TASKS));
        section.finish();
        Self { max_transfer, tasks }
    }
}

#[cfg(test)]
mod tests;
