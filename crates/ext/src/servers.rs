//! Servers that run on a state directory: a file each, so that `outboard ext` finds them.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use crate::store::{Store, StoreError};

/// A server on a state directory.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServerEntry {
    /// its process
    pub pid: u32,
    /// its control socket, if it has one
    pub socket: Option<PathBuf>,
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
    fs::create_dir_all(&folder).map_err(StoreError::system(&folder, "create it"))?;
    let entry = ServerEntry { pid: std::process::id(), socket: socket.map(Path::to_owned) };
    let path = folder.join(entry.pid.to_string());
    let text = serde_json::to_vec(&entry).unwrap_or_default();
    // Whole or not there: one that is read too early would be taken for a dead server's.
    let aside = store.folder().join(format!("servers-{}.new", entry.pid));
    fs::write(&aside, text)
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
        match entry.filter(|entry| is_alive(entry.pid)) {
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

fn is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    // One of another user is alive too.
    !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH))
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
        let entry = ServerEntry { pid: std::process::id(), socket: Some(socket.to_owned()) };
        assert_eq!(running(&store), [entry]);
        drop(announced);
        fs::write(folder(&store).join("999999999"), "{\"pid\":999999999,\"socket\":null}").unwrap();
        fs::write(folder(&store).join("nonsense"), "nonsense").unwrap();
        assert_eq!(running(&store), []);
        assert_eq!(fs::read_dir(folder(&store)).unwrap().count(), 0, "stale files are removed");
    }
}
