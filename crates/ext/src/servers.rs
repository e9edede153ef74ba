//! Servers that run on a state directory: a file each, so that `outboard ext` finds them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use crate::store::{Store, StoreError, modes};

/// A server on a state directory.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServerEntry {
    /// its process
    pub pid: u32,
    /// its control socket, if it has one
    pub socket: Option<PathBuf>,
    /// boot of the machine and start time: with them the process is this one, and none that was
    /// given its number later. Nothing where `/proc` does not tell, and of an older release
    #[serde(default)]
    pub started: Option<String>,
}

/// The file of a running server; dropped, it is gone.
#[derive(Debug)]
pub struct Announced(PathBuf);

impl Drop for Announced {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Says that this process serves from the state directory.
///
/// # Errors
/// The file cannot be written.
pub fn announce(store: &Store, socket: Option<&Path>) -> Result<Announced, StoreError> {
    let folder = folder(store);
    modes::make_open(store.folder())
        .and_then(|()| modes::make_open(&folder))
        .map_err(StoreError::system(&folder, "create it"))?;
    let pid = std::process::id();
    let started = match look(pid) {
        Found::Runs(started) => Some(started),
        Found::Ended | Found::Hidden => None,
    };
    let entry = ServerEntry { pid, socket: socket.map(Path::to_owned), started };
    let path = folder.join(file_name(&entry));
    let text = serde_json::to_vec(&entry).unwrap_or_default();
    // Whole or not there: one that is read too early would be taken for a dead server's.
    let aside = store.folder().join(format!("servers-{pid}.new"));
    fs::write(&aside, text)
        .and_then(|()| modes::set(&aside, modes::FILE))
        .and_then(|()| fs::rename(&aside, &path))
        .map_err(StoreError::system(&path, "write it"))?;
    Ok(Announced(path))
}

/// The servers that run; files of dead ones are removed.
pub fn running(store: &Store) -> Vec<ServerEntry> {
    let entries = fs::read_dir(folder(store)).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.path()) {
        let Ok(text) = fs::read(&path) else { continue };
        let entry: Option<ServerEntry> = serde_json::from_slice(&text).ok();
        match entry.filter(is_alive) {
            Some(entry) => found.push(entry),
            None => drop(fs::remove_file(&path)),
        }
    }
    found.sort_by_key(|entry| entry.pid);
    found
}

fn folder(store: &Store) -> PathBuf {
    store.folder().join("servers")
}

/// A name that no other server has, so that the file of a dead one is removed and not that of its
/// number's next owner.
fn file_name(entry: &ServerEntry) -> String {
    match entry.started.as_ref().and_then(|started| started.split(' ').nth(1)) {
        Some(ticks) => format!("{}-{ticks}", entry.pid),
        None => entry.pid.to_string(),
    }
}

fn is_alive(entry: &ServerEntry) -> bool {
    match look(entry.pid) {
        Found::Runs(started) => entry.started.as_ref().is_none_or(|it| *it == started),
        Found::Hidden => true,
        Found::Ended => false,
    }
}

/// What there is of a process.
enum Found {
    /// boot and start time
    Runs(String),
    /// it runs, and `/proc` hides it
    Hidden,
    Ended,
}

fn look(pid: u32) -> Found {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Found::Ended;
    };
    match started(pid) {
        Ok(found) => found,
        // One of another user is alive too.
        Err(_) => match test_kill_process(number) {
            Err(rustix::io::Errno::SRCH) => Found::Ended,
            _ => Found::Hidden,
        },
    }
}

/// Fields 3 and 22 of `/proc/PID/stat`, state and start time; they follow a name of any characters
/// in brackets.
fn started(pid: u32) -> io::Result<Found> {
    let stat = fs::read(format!("/proc/{pid}/stat"))?;
    let stat = String::from_utf8_lossy(&stat);
    let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let (state, ticks) = (fields.next(), fields.nth(18));
    match (state, ticks) {
        // Nobody has asked yet how it ended.
        (Some("Z" | "X"), _) => Ok(Found::Ended),
        (Some(_), Some(ticks)) => {
            let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
            Ok(Found::Runs(format!("{} {ticks}", boot.trim())))
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_comes_up_while_another_looks_is_found() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::new(state.path());
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    running(&store);
                }
            });
            let lost = (0..5000).filter(|_| {
                let announced = announce(&store, None).unwrap();
                !announced.0.exists()
            });
            let lost = lost.count();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(lost, 0);
        });
    }

    #[test]
    fn a_server_is_found_while_it_runs() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::new(state.path());
        assert_eq!(running(&store), []);
        let socket = Path::new("/run/x.sock");
        let announced = announce(&store, Some(socket)).unwrap();
        let found = running(&store);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].pid, found[0].socket.as_deref()), (std::process::id(), Some(socket)));
        drop(announced);
        fs::write(folder(&store).join("999999999"), "{\"pid\":999999999,\"socket\":null}").unwrap();
        fs::write(folder(&store).join("nonsense"), "nonsense").unwrap();
        assert_eq!(running(&store), []);
        assert_eq!(fs::read_dir(folder(&store)).unwrap().count(), 0, "stale files are removed");
    }

    /// The file of a server with this process and this start.
    fn write_entry(store: &Store, pid: u32, started: Option<&str>) -> PathBuf {
        let entry = ServerEntry { pid, socket: None, started: started.map(str::to_owned) };
        let path = folder(store).join(file_name(&entry));
        fs::create_dir_all(folder(store)).unwrap();
        fs::write(&path, serde_json::to_vec(&entry).unwrap()).unwrap();
        path
    }

    #[test]
    fn another_process_with_the_number_of_a_dead_server_is_none() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::new(state.path());
        let announced = announce(&store, None).unwrap();
        let pid = std::process::id();
        let started = running(&store)[0].started.clone().unwrap();
        let (boot, ticks) = started.split_once(' ').unwrap();
        // Started at another time, and at that time after another boot.
        for other in [format!("{boot} {}1", ticks), format!("another-boot {ticks}9")] {
            let stale = write_entry(&store, pid, Some(&other));
            assert_ne!(stale, announced.0);
            assert_eq!(running(&store).len(), 1, "{other}");
            assert!(!stale.exists() && announced.0.exists());
        }
    }

    #[test]
    fn a_server_of_an_older_release_is_known_by_its_number_alone() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::new(state.path());
        fs::create_dir_all(folder(&store)).unwrap();
        let pid = std::process::id();
        let text = format!("{{\"pid\":{pid},\"socket\":null}}");
        fs::write(folder(&store).join(pid.to_string()), text).unwrap();
        assert_eq!(running(&store).len(), 1);
    }

    #[test]
    fn a_server_that_nobody_has_waited_for_has_ended() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::new(state.path());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let started = match look(child.id()) {
            Found::Runs(started) => started,
            // It was quick.
            _ => "boot 1".to_owned(),
        };
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !matches!(look(child.id()), Found::Ended) {
            assert!(std::time::Instant::now() < until, "it does not end");
            std::thread::yield_now();
        }
        write_entry(&store, child.id(), Some(&started));
        assert_eq!(running(&store), []);
        child.wait().unwrap();
    }

    #[test]
    fn files_are_readable_whatever_the_mask() {
        use std::os::unix::fs::PermissionsExt;
        let state = tempfile::tempdir().unwrap();
        let store = Store::new(state.path());
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        let announced = announce(&store, None).unwrap();
        rustix::process::umask(before);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&folder(&store)), mode(&announced.0)), (0o755, 0o644));
    }
}
