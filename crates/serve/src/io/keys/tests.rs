use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::config::{Config, Machine};

struct Place {
    folder: TempDir,
    array: Array,
}

fn place(members: &str) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[[array]]\nname = \"a\"\nmembers = [\"{members}\"]\nkey_file = \"etc/a.key\"\n\
         serial = \"S/1\"\n[[target]]\nname = \"iqn.2026-11.test:a\"\nluns = [\"a\"]\n"
    );
    let path = folder.path().join("serve.toml");
    let config = Config::parse(&text, Some(&path), &Machine::here()).unwrap();
    Place { array: config.arrays[0].clone(), folder }
}

impl Place {
    fn file(&self) -> PathBuf {
        self.folder.path().join("etc/a.key")
    }

    fn marker(&self) -> PathBuf {
        self.folder.path().join("keys/S%2F1.key")
    }

    fn keeper(&self) -> Keeper {
        Keeper::of(&self.array, "S/1", Some(self.folder.path()))
    }

    fn key(&self) -> Result<Option<Key>, KeyError> {
        self.keeper().key(|| Ok(()))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("etc")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[test]
fn a_key_is_made_once_for_its_owner_alone() {
    let place = place("a.img");
    let key = place.key().unwrap().unwrap();
    let mode = fs::metadata(place.file()).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(place.names(), ["a.key"]);
    assert_eq!(place.key().unwrap().unwrap(), key);
    let other = self::place("a.img").key().unwrap().unwrap();
    assert!(other != key);
    let marker = fs::read_to_string(place.marker()).unwrap();
    assert_eq!(marker.trim(), fingerprint(&key));
    let text = fs::read_to_string(place.file()).unwrap();
    assert!(!text.contains(marker.trim()));
}

#[test]
fn a_key_made_by_hand_is_taken() {
    let place = place("a.img");
    let digits = format!("{}{}\n", "0f".repeat(32), "A0".repeat(32));
    fs::create_dir(place.folder.path().join("etc")).unwrap();
    file::put(&place.file(), digits.as_bytes()).unwrap();
    let key = place.keeper().key(|| panic!("it is there")).unwrap().unwrap();
    assert_eq!((key.bytes()[0], key.bytes()[63]), (0x0F, 0xA0));
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(place.key(), Err(KeyError::Exposed { .. })));
    for content in ["", "0f", &"0f".repeat(64), &"xx".repeat(64), &"0f".repeat(65)] {
        file::put(&place.file(), content.as_bytes()).unwrap();
        let error = place.key().unwrap_err();
        assert!(matches!(error, KeyError::Content { .. }), "{content}: {error}");
        assert!(content.is_empty() || !error.to_string().contains(content));
    }
}

#[test]
fn a_lost_key_and_another_key_are_noticed() {
    let mut place = place("a.img");
    let key = place.key().unwrap().unwrap();
    let mine = fs::read(place.file()).unwrap();
    fs::remove_file(place.file()).unwrap();
    let error = place.key().unwrap_err();
    assert!(matches!(error, KeyError::Lost { .. }), "{error}");
    assert!(error.to_string().contains(&fingerprint(&key)), "{error}");
    assert!(!place.file().exists(), "none is made");

    fs::remove_file(place.marker()).unwrap();
    let error = place.keeper().key(|| Err("data at byte 0".to_owned())).unwrap_err();
    assert!(error.to_string().contains("data at byte 0"), "{error}");
    assert!(!place.file().exists(), "none is made");

    file::put(&place.file(), &mine).unwrap();
    place.key().unwrap();
    let other = self::place("a.img");
    other.key().unwrap();
    fs::copy(other.file(), place.file()).unwrap();
    let error = place.key().unwrap_err();
    assert!(matches!(error, KeyError::Wrong { .. }), "{error}");

    place.array.key_file = None;
    let error = place.key().unwrap_err();
    assert!(matches!(error, KeyError::Unnamed { .. }), "{error}");
    fs::remove_file(place.marker()).unwrap();
    assert!(place.key().unwrap().is_none());
}

#[test]
fn memory_leaves_no_marker() {
    let place = place("mem:1Mi");
    place.key().unwrap();
    assert!(place.file().exists() && !place.marker().exists());
}

#[test]
fn a_replaced_key_is_gone_and_written_over() {
    let place = place("a.img");
    let old = place.key().unwrap().unwrap();
    // Another name of the old file shows what became of its bytes.
    let aside = place.folder.path().join("aside");
    fs::hard_link(place.file(), &aside).unwrap();
    place.keeper().renew().unwrap();
    let new = place.key().unwrap().unwrap();
    assert!(new != old);
    assert_eq!(fs::read(aside).unwrap(), [b'0'; 129]);
    assert_eq!(fs::read_to_string(place.marker()).unwrap().trim(), fingerprint(&new));
    assert_eq!(place.names(), ["a.key"]);
    assert_eq!(fs::metadata(place.file()).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_link_stays_a_link() {
    let mut place = place("a.img");
    place.key().unwrap();
    let link = place.folder.path().join("link");
    std::os::unix::fs::symlink(place.file(), &link).unwrap();
    let before = fs::read(place.file()).unwrap();
    place.array.key_file = Some(link.clone());
    place.keeper().renew().unwrap();
    assert!(fs::symlink_metadata(link).unwrap().is_symlink());
    assert!(fs::read(place.file()).unwrap() != before);
}

/// Whenever the power fails during a replacement, the key in the file is one that the marker knows.
#[test]
fn either_key_is_good_while_one_replaces_the_other() {
    let place = place("a.img");
    let old = place.key().unwrap().unwrap();
    let new = new_key().unwrap();
    let (keeper, known) = (place.keeper(), [fingerprint(&old), fingerprint(&new)]);
    keeper.mark(&[&known[0], &known[1]]).unwrap();
    assert_eq!(place.key().unwrap().unwrap(), old);
    keeper.mark(&[&known[0], &known[1]]).unwrap();
    file::replace(&place.file(), &new).unwrap();
    assert_eq!(place.key().unwrap().unwrap(), new);
    assert_eq!(fs::read_to_string(place.marker()).unwrap().trim(), known[1], "and no other now");
}

#[test]
fn a_key_that_cannot_be_replaced_stays() {
    let place = place("a.img");
    let old = place.key().unwrap().unwrap();
    let folder = place.folder.path().join("etc/a.key.new");
    fs::create_dir(&folder).unwrap();
    assert!(place.keeper().renew().is_err());
    assert_eq!(place.key().unwrap().unwrap(), old);
    assert!(matches!(place.keeper(), keeper if keeper.fingerprints().unwrap().unwrap().len() == 1));
}
