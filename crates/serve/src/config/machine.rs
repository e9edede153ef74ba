//! What a configuration's defaults and limits depend on: the machine and the user.

use std::io;
use std::path::{Path, PathBuf};

/// The machine and the user, looked at once; tests make their own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Machine {
    /// host name, as `a.example.com` or `a`
    pub host_name: String,
    /// something that no other machine has: the machine identifier
    pub identity: String,
    /// processors that this process may use
    pub cpus: Vec<usize>,
    /// bytes of memory
    pub memory_bytes: u64,
    /// names of the congestion controls that this process may have
    pub congestion: Vec<String>,
    /// where sockets go
    pub runtime_folder: PathBuf,
    /// where state goes
    pub state_folder: PathBuf,
    /// the folder that flags' paths are relative to
    pub working_folder: PathBuf,
    /// reads a file of a secret
    pub read_secret: fn(&Path) -> io::Result<String>,
}

impl Machine {
    /// This machine and this user.
    pub fn here() -> Self {
        let system = rustix::system::uname();
        let host_name = system.nodename().to_string_lossy().into_owned();
        let identity = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
            .iter()
            .filter_map(|path| std::fs::read_to_string(path).ok())
            .map(|text| text.trim().to_owned())
            .find(|text| !text.is_empty())
            .unwrap_or_else(|| host_name.clone());
        let (runtime_folder, state_folder) = folders();
        Self {
            host_name,
            identity,
            cpus: allowed_cpus(),
            memory_bytes: memory_bytes(),
            congestion: congestion(),
            runtime_folder,
            state_folder,
            working_folder: std::env::current_dir().unwrap_or_default(),
            read_secret,
        }
    }

    /// A machine of which nothing but this is known: four processors, 16 GiB, fixed folders.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self {
            host_name: "Box_1.example.com".to_owned(),
            identity: "0123456789abcdef0123456789abcdef".to_owned(),
            cpus: vec![0, 1, 2, 3],
            memory_bytes: 16 << 30,
            congestion: vec!["reno".to_owned(), "cubic".to_owned()],
            runtime_folder: "/run/outboard".into(),
            state_folder: "/var/lib/outboard".into(),
            working_folder: "/work".into(),
            read_secret: |path| match path.to_str() {
                Some("/etc/outboard/secret") => Ok("a secret of a file\n".to_owned()),
                Some("/etc/outboard/empty") => Ok("\n".to_owned()),
                _ => Err(io::ErrorKind::NotFound.into()),
            },
        }
    }
}

/// The user's folders for sockets and for state.
fn folders() -> (PathBuf, PathBuf) {
    if rustix::process::geteuid().is_root() {
        return ("/run/outboard".into(), "/var/lib/outboard".into());
    }
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let home = folder("HOME").unwrap_or_else(|| "/tmp".into());
    let user = rustix::process::geteuid().as_raw();
    let runtime = folder("XDG_RUNTIME_DIR")
        .map_or_else(|| format!("/tmp/outboard-{user}").into(), |path| path.join("outboard"));
    let state = folder("XDG_STATE_HOME").unwrap_or_else(|| home.join(".local/state"));
    (runtime, state.join("outboard"))
}

fn allowed_cpus() -> Vec<usize> {
    match rustix::thread::sched_getaffinity(None) {
        Ok(set) => (0..rustix::thread::CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect(),
        Err(_) => vec![0],
    }
}

fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    #[expect(clippy::useless_conversion, reason = "the width depends on the architecture")]
    u64::from(info.totalram).saturating_mul(u64::from(info.mem_unit))
}

/// Root may have each that there is, others those that are allowed to all.
fn congestion() -> Vec<String> {
    let kind = if rustix::process::geteuid().is_root() { "available" } else { "allowed" };
    let path = format!("/proc/sys/net/ipv4/tcp_{kind}_congestion_control");
    let names = std::fs::read_to_string(path).unwrap_or_default();
    names.split_whitespace().map(str::to_owned).collect()
}

/// A secret is short: more than this is not read.
const MAX_SECRET_FILE_BYTES: u64 = 4096;

fn read_secret(path: &Path) -> io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_SECRET_FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known() {
        let machine = Machine::here();
        assert!(!machine.host_name.is_empty() && !machine.identity.is_empty());
        assert!(!machine.cpus.is_empty() && machine.memory_bytes > 1 << 20);
        assert!(machine.runtime_folder.is_absolute() && machine.state_folder.is_absolute());
    }
}
