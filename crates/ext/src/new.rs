//! `outboard ext new`: a project to start from. It is the example of the repository under another
//! name, so that what people start from is what is built and tested.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The name that stands in the example for that of the project.
const EXAMPLE: &str = "ram-disk";
/// The example's files.
const FILES: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("../../../examples/packages/ram-disk/Cargo.toml")),
    ("extension.toml", include_str!("../../../examples/packages/ram-disk/extension.toml")),
    ("README.md", include_str!("../../../examples/packages/ram-disk/README.md")),
    ("src/main.rs", include_str!("../../../examples/packages/ram-disk/src/main.rs")),
    (".gitignore", "/target\n"),
];
/// Where the example's SDK is.
const EXAMPLE_SDK: &str = "../../../crates/";
/// Most bytes of a name.
const MAX_NAME_BYTES: usize = 40;

/// Why there is no project.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewError {
    /// the name
    #[error(
        "{0:?}: a project's name has 1 to {MAX_NAME_BYTES} small letters, digits and '-', a letter first; write for example my-raid"
    )]
    Name(String),
    /// the folder
    #[error("{path}: it is there already; choose another name, or another folder with --folder", path = .0.display())]
    Exists(PathBuf),
    /// the SDK
    #[error(
        "{path}: it has no crates/hba; name a checkout of Outboard with --sdk", path = .0.display()
    )]
    Sdk(PathBuf),
    /// a file
    #[error("{path}: {source}", path = path.display())]
    Write {
        /// which
        path: PathBuf,
        /// the kernel's answer
        source: io::Error,
    },
}

/// Writes a project into a new folder: a driver that works, its package and its test. `sdk` is a
/// checkout of Outboard: its crates are in no registry.
///
/// # Errors
/// The name is none, the folder is there, or cannot be written.
pub fn write(folder: &Path, name: &str, sdk: &Path) -> Result<Vec<PathBuf>, NewError> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = name.len() <= MAX_NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(good)
        && name != "test";
    if !is_name {
        return Err(NewError::Name(name.to_owned()));
    }
    if folder.exists() {
        return Err(NewError::Exists(folder.to_owned()));
    }
    let sdk = match sdk.canonicalize() {
        Ok(path) if path.join("crates/hba/Cargo.toml").is_file() => path,
        _ => return Err(NewError::Sdk(sdk.to_owned())),
    };
    let mut written = Vec::new();
    for (file, text) in FILES {
        let path = folder.join(file);
        let text = match file {
            "Cargo.toml" => text.replace(EXAMPLE_SDK, &format!("{}/crates/", sdk.display())),
            _ => text.to_owned(),
        };
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            fs::write(&path, text.replace(EXAMPLE, name))
        };
        write().map_err(|source| NewError::Write { path: path.clone(), source })?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Package;

    #[test]
    fn a_project_is_a_package_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("p");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        write(&project, "my-raid", &root).unwrap();
        let package = Package::load(&project).unwrap();
        assert_eq!(package.identifier(), "com.example.my-raid");
        assert_eq!(package.program, Path::new("target/release/my-raid"));
        let cargo = fs::read_to_string(project.join("Cargo.toml")).unwrap();
        assert!(cargo.contains("name = \"my-raid\"") && !cargo.contains("../../.."), "{cargo}");
        let source = fs::read_to_string(project.join("src/main.rs")).unwrap();
        assert!(source.contains("\"com.example.my-raid\""));
        assert!(matches!(write(&project, "my-raid", &root), Err(NewError::Exists(_))));
    }

    #[test]
    fn names_and_checkouts_that_cannot_be() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("p");
        for bad in ["", "1a", "A", "a_b", "../a", "a b", "test"] {
            assert!(matches!(write(&project, bad, folder.path()), Err(NewError::Name(_))), "{bad}");
        }
        assert!(matches!(write(&project, "a", folder.path()), Err(NewError::Sdk(_))));
        assert!(!project.exists());
    }
}
