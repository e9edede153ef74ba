//! Identifiers, versions and paths of packages. Identifiers and versions become names of folders:
//! nothing that could lead out of its folder is one.

use std::path::{Component, Path, PathBuf};

use outboard_settings::Fault;

/// Most bytes of an identifier.
pub const MAX_IDENTIFIER_BYTES: usize = 128;
/// Most bytes of a version.
pub const MAX_VERSION_BYTES: usize = 32;
/// What stands in the store under names that could be identifiers: the database, and it in the making.
const TAKEN: [&str; 2] = ["database.json", "database.new"];
/// The identifier of the driver that the program has built in.
pub const BUILT_IN: &str = "org.outboard.array";

/// A reverse-DNS identifier as `com.example.ram`.
///
/// # Errors
/// It is none.
pub fn identifier(text: &str) -> Result<String, Fault> {
    let mend =
        "write for example \"com.example.ram\": your domain, backwards, and the driver's name";
    if text.is_empty() || text.len() > MAX_IDENTIFIER_BYTES {
        let rule = format!("an identifier has 1 to {MAX_IDENTIFIER_BYTES} bytes");
        return Err(Fault::new(rule, mend));
    }
    if TAKEN.contains(&text) {
        return Err(Fault::new(format!("{text:?} is the name of a file of the store"), mend));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let label = |label: &str| {
        label.starts_with(|c: char| c.is_ascii_alphanumeric()) && label.chars().all(good)
    };
    match text.contains('.') && text.split('.').all(label) {
        true => Ok(text.to_owned()),
        false => Err(Fault::new(
            format!(
                "{text:?}: an identifier is two or more words with dots between them, each of \
                 letters, digits, '-' and '_', with a letter or digit first"
            ),
            mend,
        )),
    }
}

/// A version as `1.4.2` or `2.0-beta.1`.
///
/// # Errors
/// It is none.
pub fn version(text: &str) -> Result<String, Fault> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_');
    let is_good = !text.is_empty()
        && text.len() <= MAX_VERSION_BYTES
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(good)
        && !text.contains("..");
    match is_good {
        true => Ok(text.to_owned()),
        false => Err(Fault::new(
            format!(
                "{text:?}: a version has 1 to {MAX_VERSION_BYTES} letters, digits, '.', '-', '+' \
                 and '_', a letter or digit first, and no two dots together"
            ),
            "write for example \"1.0.2\"",
        )),
    }
}

/// What people call a driver.
///
/// # Errors
/// It is too long or has control characters.
pub fn name(text: &str) -> Result<String, Fault> {
    match !text.is_empty() && text.len() <= 64 && !text.chars().any(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(Fault::new(
            "a name has 1 to 64 bytes and no control characters",
            "write for example \"RAM disk\"",
        )),
    }
}

/// The path of a file of a package, relative to its folder.
///
/// # Errors
/// It leads out of the folder.
pub fn file(text: &str) -> Result<PathBuf, Fault> {
    let path = Path::new(text);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    let plain = !text.is_empty() && text.len() <= 1024 && !text.chars().any(char::is_control);
    match inside && plain && path.components().next().is_some() {
        true => Ok(path.components().collect()),
        false => Err(Fault::new(
            format!("{text:?}: a package's files are in its folder"),
            "write a path relative to it, without \"..\", as \"bin/driver\"",
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn identifiers_and_versions() {
        for good in ["com.example.ram", "org.outboard.array", "a.b", "com.example.Ram-2_x"] {
            assert!(identifier(good).is_ok(), "{good}");
        }
        for bad in
            ["", "ram", ".ram", "com.", "com..ram", "../com.ram", "com/ram.a", "com.é", "a.b\n"]
                .into_iter()
                .chain(TAKEN)
        {
            assert!(identifier(bad).is_err(), "{bad:?}");
        }
        assert!(identifier(&format!("a.{}", "b".repeat(MAX_IDENTIFIER_BYTES))).is_err());
        for good in ["1", "1.0", "2.0-beta.1", "1.0+build5"] {
            assert!(version(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "1..0", "1/0", "-1", "1.0~2", "1 0", "1\0", "v\u{1b}[m"] {
            assert!(version(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn files_stay_inside() {
        assert_eq!(file("target/release/ram").unwrap(), Path::new("target/release/ram"));
        assert_eq!(file("a/./b").unwrap(), Path::new("a/b"));
        for bad in ["", "/bin/sh", "../ram", "a/../../b", "a\n", "./../x"] {
            assert!(file(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_folder_of_a_name_is_one_step_down(text in any::<String>()) {
            for name in [identifier(&text), version(&text)].into_iter().flatten() {
                let path = Path::new(&name);
                prop_assert_eq!(path.components().count(), 1);
                prop_assert!(matches!(path.components().next(), Some(Component::Normal(_))));
            }
        }
    }
}
