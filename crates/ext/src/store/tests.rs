use std::fs;

use super::*;
use crate::package::FILE;
use proptest::prelude::*;

pub(crate) const WITHIN: Duration = Duration::from_millis(50);

/// A package whose program says its version.
pub(crate) fn package(folder: &Path, version: &str) -> Package {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(folder.join("bin")).unwrap();
    let text = format!(
        "identifier = \"com.example.ram\"\nversion = \"{version}\"\nname = \"RAM\"\n\
         program = \"bin/ram\"\nfiles = [\"data/table\"]\nprotocol = 1\n"
    );
    fs::write(folder.join(FILE), text).unwrap();
    fs::create_dir_all(folder.join("data")).unwrap();
    fs::write(folder.join("data/table"), version).unwrap();
    fs::write(folder.join("bin/ram"), version).unwrap();
    fs::set_permissions(folder.join("bin/ram"), fs::Permissions::from_mode(0o700)).unwrap();
    Package::load(folder).unwrap()
}

fn install(locked: &mut Locked, version: &str) -> Record {
    let source = tempfile::tempdir().unwrap();
    let package = package(source.path(), version);
    let staged = locked.stage(&package, source.path()).unwrap();
    let record = locked.place(staged, &package).unwrap();
    let mut records = locked.records().to_vec();
    records.push(record.clone());
    locked.write(records).unwrap();
    record
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    (folder, store)
}

#[test]
fn what_is_installed_is_there_after_a_restart() {
    let (_folder, store) = store();
    assert_eq!(store.records().unwrap(), []);
    let record = install(&mut store.lock(WITHIN).unwrap(), "1.0");
    let again = Store::new(store.folder().parent().unwrap());
    assert_eq!(again.records().unwrap(), [record]);
    let installed = again.active("com.example.ram").unwrap();
    assert_eq!(fs::read_to_string(installed.program()).unwrap(), "1.0");
    assert_eq!(fs::read_to_string(installed.folder.join("data/table")).unwrap(), "1.0");
}

#[test]
fn a_second_copy_of_a_version_has_a_folder_of_its_own() {
    let (_folder, store) = store();
    let mut locked = store.lock(WITHIN).unwrap();
    let first = install(&mut locked, "1.0");
    let second = install(&mut locked, "1.0");
    let folder = |record: &Record| store.installed(record).unwrap().folder;
    assert_ne!(folder(&first), folder(&second));
    locked.write(vec![second.clone()]).unwrap();
    assert!(store.installed(&first).is_err(), "what no record names is gone");
    assert!(store.installed(&second).is_ok());
}

#[test]
fn one_changes_at_a_time() {
    let (_folder, store) = store();
    let locked = store.lock(WITHIN).unwrap();
    let message = store.lock(WITHIN).unwrap_err().to_string();
    assert!(message.contains("another `outboard ext`"), "{message}");
    drop(locked);
    store.lock(WITHIN).unwrap();
}

#[test]
fn leftovers_of_a_crash_are_removed_and_foreign_folders_are_not() {
    let (_folder, store) = store();
    install(&mut store.lock(WITHIN).unwrap(), "1.0");
    for name in [".new-1-0/bin", "com.example.ram/2.0/bin", "com.other.x/1.0", "servers", "mine"] {
        fs::create_dir_all(store.folder().join(name)).unwrap();
    }
    drop(store.lock(WITHIN).unwrap());
    for (name, there) in [
        (".new-1-0", false),
        ("com.example.ram/2.0", false),
        ("com.other.x", false),
        ("com.example.ram/1.0/bin/ram", true),
        ("servers", true),
        ("mine", true),
    ] {
        assert_eq!(store.folder().join(name).exists(), there, "{name}");
    }
}

#[test]
fn a_foreign_database_is_refused_by_name() {
    let (_folder, store) = store();
    install(&mut store.lock(WITHIN).unwrap(), "1.0");
    let path = store.folder().join("database.json");
    let good = fs::read_to_string(&path).unwrap();
    for bad in [
        "hello".to_owned(),
        good.replace("outboard extensions", "something else"),
        good.replace("\"form\": 1", "\"form\": 2"),
        good.replace("1.0", "1.1"),
        good.replace("com.example.ram", "../../etc"),
    ] {
        fs::write(&path, bad).unwrap();
        for message in
            [store.records().unwrap_err().to_string(), store.lock(WITHIN).unwrap_err().to_string()]
        {
            assert!(
                message.contains("database.json") && message.contains("Move it away"),
                "{message}"
            );
        }
    }
    assert!(store.folder().join("com.example.ram/1.0/bin/ram").exists(), "nothing is swept then");
}

#[test]
fn a_name_that_leads_out_is_refused_even_with_a_good_checksum() {
    let (folder, store) = store();
    let mut locked = store.lock(WITHIN).unwrap();
    let mut record = install(&mut locked, "1.0");
    record.identifier = "../../outside".to_owned();
    fs::create_dir_all(folder.path().join("outside")).unwrap();
    database::write(store.folder(), database::FILE, &[record]).unwrap();
    assert!(store.records().unwrap_err().to_string().contains("cannot be an extension"));
}

#[test]
fn unknown_and_inactive_are_told_apart() {
    let (_folder, store) = store();
    let text = |result: Result<Installed, StoreError>| result.unwrap_err().to_string();
    assert!(text(store.active("com.example.ram")).contains("outboard ext activate"));
    let mut locked = store.lock(WITHIN).unwrap();
    let mut record = install(&mut locked, "1.0");
    assert!(text(store.active("com.exmaple.ram")).contains("did you mean \"com.example.ram\"?"));
    record.state = State::ActivationFailed { reason: "it hangs".to_owned() };
    locked.write(vec![record]).unwrap();
    let message = text(store.active("com.example.ram"));
    assert!(message.contains("[activation failed: it hangs]"), "{message}");
}

#[test]
fn programs_that_cannot_be_are_refused() {
    let (_folder, store) = store();
    let locked = store.lock(WITHIN).unwrap();
    let source = tempfile::tempdir().unwrap();
    let package = package(source.path(), "1.0");
    let program = source.path().join("bin/ram");
    let staged = || locked.stage(&package, source.path()).unwrap_err().to_string();
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(staged().contains("chmod +x"));
    fs::remove_file(&program).unwrap();
    assert!(staged().contains("build the driver first"));
    fs::create_dir(&program).unwrap();
    assert!(staged().contains("no regular file"));
    let left = fs::read_dir(store.folder()).unwrap().flatten();
    assert_eq!(left.filter(|e| e.path().is_dir()).count(), 0, "nothing is left of it");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_torn_database_is_refused_or_whole(cut in 0usize..4000) {
        let (_folder, store) = store();
        let record = install(&mut store.lock(WITHIN).unwrap(), "1.0");
        let path = store.folder().join("database.json");
        let text = fs::read(&path).unwrap();
        let cut = cut.min(text.len());
        fs::write(&path, &text[..cut]).unwrap();
        match store.records() {
            // Only the line break after the last brace may be missing.
            Ok(records) => prop_assert!(cut + 1 >= text.len() && records == [record]),
            Err(error) => prop_assert!(error.to_string().contains("database.json")),
        }
    }
}

#[test]
fn a_package_brings_nothing_from_outside_of_its_folder() {
    let (_folder, store) = store();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let source = tempfile::tempdir().unwrap();
    let package = package(source.path(), "1.0");
    let table = source.path().join("data/table");
    let locked = store.lock(WITHIN).unwrap();
    let links = [outside.path().join("secret"), "../../../../../../etc/hostname".into()];
    for target in links {
        fs::remove_file(&table).unwrap();
        std::os::unix::fs::symlink(&target, &table).unwrap();
        let message = locked.stage(&package, source.path()).unwrap_err().to_string();
        assert!(message.contains("out of the package"), "{message}");
    }
    // One that stays inside is a file as others.
    fs::remove_file(&table).unwrap();
    std::os::unix::fs::symlink("../bin/ram", &table).unwrap();
    let staged = locked.stage(&package, source.path()).unwrap();
    assert!(fs::symlink_metadata(staged.folder().join("data/table")).unwrap().is_file());
}

#[test]
fn a_pipe_in_a_package_is_not_waited_for() {
    let (_folder, store) = store();
    let source = tempfile::tempdir().unwrap();
    let package = package(source.path(), "1.0");
    let pipe = |path: &Path| {
        fs::remove_file(path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR).unwrap();
    };
    pipe(&source.path().join("data/table"));
    let locked = store.lock(WITHIN).unwrap();
    let message = locked.stage(&package, source.path()).unwrap_err().to_string();
    assert!(message.contains("no regular file"), "{message}");
    pipe(&source.path().join(FILE));
    assert!(Package::load(source.path()).is_err());
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn drivers_can_read_their_copies_whatever_the_mask() {
    let (_folder, store) = store();
    // A folder of an earlier release, made under the same mask.
    fs::create_dir_all(store.folder().join("com.example.ram")).unwrap();
    modes::set(&store.folder().join("com.example.ram"), 0o700).unwrap();
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    install(&mut store.lock(WITHIN).unwrap(), "1.0");
    rustix::process::umask(before);
    let copy = "com.example.ram/1.0";
    for (path, wanted) in [
        (".", 0o755),
        ("com.example.ram", 0o755),
        (copy, 0o755),
        (&format!("{copy}/bin"), 0o755),
        (&format!("{copy}/data"), 0o755),
        (&format!("{copy}/bin/ram"), 0o755),
        (&format!("{copy}/data/table"), 0o644),
        (&format!("{copy}/extension.toml"), 0o644),
        ("database.json", 0o644),
        ("lock", 0o600),
    ] {
        assert_eq!(mode(&store.folder().join(path)), wanted, "{path}");
    }
}

#[test]
fn copies_without_a_database_are_neither_used_nor_removed() {
    let (_folder, store) = store();
    install(&mut store.lock(WITHIN).unwrap(), "1.0");
    install(&mut store.lock(WITHIN).unwrap(), "1.0");
    let path = store.folder().join("database.json");
    let kept = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    for message in [
        store.lock(WITHIN).unwrap_err().to_string(),
        store.records().unwrap_err().to_string(),
        store.active("com.example.ram").unwrap_err().to_string(),
    ] {
        for word in
            ["database.json: it is missing", "com.example.ram/1.0~2", "backup", "ext activate"]
        {
            assert!(message.contains(word), "{word:?} is not said: {message}");
        }
    }
    for copy in ["1.0", "1.0~2"] {
        assert!(store.folder().join("com.example.ram").join(copy).join("bin/ram").exists());
    }
    // Each mend that is named is one.
    fs::write(&path, kept).unwrap();
    assert_eq!(store.lock(WITHIN).unwrap().records().len(), 2);
    fs::remove_file(&path).unwrap();
    fs::rename(store.folder().join("com.example.ram"), store.folder().join("../moved")).unwrap();
    assert_eq!(store.lock(WITHIN).unwrap().records(), []);
    let moved = store.folder().join("../moved/1.0~2");
    let package = Package::load(&moved).unwrap();
    let locked = store.lock(WITHIN).unwrap();
    locked.stage(&package, &moved).unwrap();
}

#[test]
fn a_crash_before_the_first_record_is_no_missing_database() {
    let (_folder, store) = store();
    let source = tempfile::tempdir().unwrap();
    let package = package(source.path(), "1.0");
    let locked = store.lock(WITHIN).unwrap();
    let staged = locked.stage(&package, source.path()).unwrap();
    locked.place(staged, &package).unwrap();
    // It ends here: the copy has its place, and no record.
    drop(locked);
    assert_eq!(store.records().unwrap(), []);
    install(&mut store.lock(WITHIN).unwrap(), "2.0");
    assert!(!store.folder().join("com.example.ram/1.0").exists());
}

#[test]
fn a_version_that_is_replaced_while_somebody_looks_is_no_spoilt_copy() {
    let (_folder, store) = store();
    install(&mut store.lock(WITHIN).unwrap(), "1.0");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..300 {
                let mut locked = store.lock(Duration::from_secs(5)).unwrap();
                let record = install(&mut locked, &format!("1.{number}"));
                locked.write(vec![record]).unwrap();
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            store.active("com.example.ram").unwrap();
        }
    });
}
