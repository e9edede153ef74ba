//! The extension of a target: its driver as a package, with its disks and options.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use outboard_disk::DiskSpec;
use outboard_ext::{Installed, Store};
use outboard_settings::{At, Fault, Found, Section, Value};
use serde::Serialize;

use super::array::member;
use super::shown;

/// An extension that a target is served by.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Extension {
    /// its identifier; empty until its package is known, if only its folder was said
    pub identifier: String,
    /// what its driver is given; paths of files are absolute
    #[serde(serialize_with = "shown::disks")]
    pub disks: Vec<DiskSpec>,
    /// what goes over the options of its package
    pub options: serde_json::Map<String, serde_json::Value>,
    /// the folder of a package that is served as it is, without being activated
    pub folder: Option<PathBuf>,
    /// the package; there in a configuration that has been checked
    #[serde(skip)]
    pub installed: Option<Arc<Installed>>,
}

/// Where things of it were said.
#[derive(Default)]
pub(super) struct ExtensionPlace {
    pub(super) name: At,
    pub(super) disks: At,
}

impl Extension {
    /// The one of that identifier, or in that folder, if the text is a path.
    pub(super) fn new(text: &str, folder: &Path) -> Result<Self, Fault> {
        let is_path = text.contains('/') || text == "." || text == "..";
        let (identifier, folder) = match is_path {
            true => (String::new(), Some(folder.join(text).components().collect())),
            false => (outboard_ext::names::identifier(text)?, None),
        };
        let (disks, options) = (Vec::new(), serde_json::Map::new());
        Ok(Self { identifier, disks, options, folder, installed: None })
    }

    /// `extension`, `disks` and `[….options]` of a target's section.
    pub(super) fn read(
        section: &mut Section<'_, '_>,
        folder: &Path,
    ) -> (Option<Self>, ExtensionPlace) {
        let place =
            ExtensionPlace { name: section.at_key("extension"), disks: section.at_key("disks") };
        let extension =
            section.get("extension", |value| value.parse(|text| Self::new(text, folder)));
        let disks = section
            .get("disks", |value| value.list(|value| value.parse(|text| disk(text, folder))));
        let options = section.get("options", Value::json);
        if !section.has("extension") {
            for key in ["disks", "options"].into_iter().filter(|key| section.has(key)) {
                let mend = "add extension = \"com.example.ram\", or leave it out";
                section.problem(key, "is for a target with an extension", mend);
            }
        }
        let extension = extension.map(|mut extension| {
            extension.disks = disks.unwrap_or_default();
            if let Some(serde_json::Value::Object(options)) = options {
                extension.options = options;
            }
            extension
        });
        (extension, place)
    }

    /// The driver's options.
    pub fn options(&self) -> serde_json::Value {
        match &self.installed {
            Some(installed) => installed.package.options_with(&self.options),
            None => self.options.clone().into(),
        }
    }

    /// Looks its package up, or again: which version is active may have changed.
    ///
    /// # Errors
    /// There is none, or it is not active.
    pub fn resolve(&mut self, state_directory: &Path) -> Result<(), String> {
        let installed = match &self.folder {
            Some(folder) => Installed::in_place(folder).map_err(|error| error.to_string())?,
            None => Store::new(state_directory)
                .active(&self.identifier)
                .map_err(|error| error.to_string())?,
        };
        installed.package.identifier().clone_into(&mut self.identifier);
        self.installed = Some(Arc::new(installed));
        Ok(())
    }

    /// Looks its package up, and whether the disks are what it needs.
    pub(super) fn check(
        &mut self,
        state_directory: &Path,
        place: &ExtensionPlace,
        found: &mut Vec<Found>,
    ) {
        if let Err(error) = self.resolve(state_directory) {
            let (rule, mend) = match error.rsplit_once("; ") {
                Some((rule, mend)) if !rule.contains('\n') => (rule, mend),
                _ => (error.as_str(), "outboard ext list has all of them"),
            };
            found.push(Found::new(place.name.clone(), "target.extension", rule, mend));
            return;
        }
        let Some(installed) = &self.installed else { return };
        let (least, most) = installed.package.resources.disks;
        let count = self.disks.len();
        if !(least..=most).contains(&count) {
            let range = match least == most {
                true => least.to_string(),
                false => format!("{least} to {most}"),
            };
            let rule = format!("{} takes {range} disks, and there are {count}", self.identifier);
            let mend = "write for example disks = [\"/dev/sdb\", \"mem:1Gi\"]";
            found.push(Found::new(place.disks.clone(), "target.disks", rule, mend));
        }
    }
}

/// A disk that an extension may have.
pub(super) fn disk(text: &str, folder: &Path) -> Result<DiskSpec, Fault> {
    let disk = member(text, folder)?;
    outboard_ext::disks::check(&disk).map(|()| disk)
}
