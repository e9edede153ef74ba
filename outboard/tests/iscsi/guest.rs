//! A Linux kernel of our own to talk to: User-Mode Linux, with a network between it and the server.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::geteuid;

use super::programs::{Program, program};
use crate::scenario::command::Ran;
use crate::scenario::skipped;

/// The server's address and the guest's, in a network of their own.
pub(crate) const SERVER: &str = "10.77.0.1";
const GUEST: &str = "10.77.0.2/24";

/// Seconds that a guest may take; booting is two of them.
const LIMIT_S: &str = "90";

/// A network namespace with a tap device for a guest.
#[derive(Debug)]
pub(crate) struct Network {
    keeper: Child,
    enter: Vec<String>,
}

impl Network {
    /// Makes one; `None`, said aloud, where that cannot be.
    pub(crate) fn new() -> Option<Self> {
        let unshare = program("unshare", "util-linux")?;
        let enter = program("nsenter", "util-linux")?;
        program("ip", "iproute2")?;
        let root = geteuid().is_root();
        let setup = format!(
            "ip link set lo up && ip tuntap add tap0 mode tap && ip addr add {SERVER}/24 dev tap0 \
             && ip link set tap0 up && echo up && exec sleep 300"
        );
        let mut command = Command::new(unshare.path());
        command.arg(if root { "-n" } else { "-rn" }).args(["sh", "-c", &setup]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut keeper = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut arguments = vec![enter.path().display().to_string()];
        arguments.extend(["-t".to_owned(), keeper.id().to_string(), "-n".to_owned()]);
        if !root {
            arguments.extend(["-U", "--preserve-credentials"].map(str::to_owned));
        }
        let network = Self { keeper, enter: arguments };
        if line.trim() != "up" {
            skipped("a network namespace with a tap device: not allowed here");
            return None;
        }
        Some(network)
    }

    /// What stands before a command that is to run inside.
    pub(crate) fn enter(&self) -> &[String] {
        &self.enter
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// A guest that can be started.
#[derive(Debug)]
pub(crate) struct Guest {
    linux: Program,
    modules: PathBuf,
    preload: Option<PathBuf>,
}

impl Guest {
    /// Prepares one with its files in `folder`; `None`, said aloud, if something is missing.
    pub(crate) fn new(folder: &Path) -> Option<Self> {
        let linux = program("linux.uml", "user-mode-linux")?;
        let depmod = program("depmod", "kmod")?;
        for (name, package) in [("modprobe", "kmod"), ("busybox", "busybox-static")] {
            program(name, package)?;
        }
        let preload = preload(folder)?;
        let modules = folder.join("modules");
        for version in fs::read_dir("/usr/lib/uml/modules").ok()?.flatten() {
            // Debian's package has no list of what needs what, and /usr is not ours to write to.
            let (from, to) =
                (version.path(), modules.join("lib/modules").join(version.file_name()));
            fs::create_dir_all(&to).unwrap();
            symlink(from.join("kernel"), to.join("kernel")).unwrap();
            for name in ["modules.builtin", "modules.order", "modules.builtin.modinfo"] {
                let _ = fs::copy(from.join(name), to.join(name));
            }
            let name = version.file_name().to_string_lossy().into_owned();
            depmod.ok(["-b", modules.to_str()?, &name]);
        }
        Some(Self { linux, modules, preload })
    }

    /// Boots, runs a script of `tests/uml` with these variables, halts.
    pub(crate) fn run(
        &self,
        network: &Network,
        load: &str,
        script: &str,
        variables: &[(&str, &str)],
    ) -> Ran {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/uml");
        let (enter, arguments) = network.enter().split_first().unwrap();
        let mut command = assert_cmd::Command::new(enter);
        command.args(arguments).args(["timeout", "--kill-after=5", LIMIT_S]);
        command.arg(self.linux.path()).args(["mem=512M", "rootfstype=hostfs", "rootflags=/"]);
        command.args(["root=none", "ro", "quiet", "con=null", "con0=null,fd:1", "ssl=null"]);
        command.arg("vec0:transport=tap,ifname=tap0,gro=1");
        command.arg(format!("init={}", scripts.join("init").display()));
        command.arg(format!("STEPS={}", scripts.join(script).display()));
        command.arg(format!("MODULES={}", self.modules.display()));
        command.arg(format!("LOAD={load}")).arg(format!("ADDRESS={GUEST}"));
        command.args(variables.iter().map(|(name, value)| format!("{name}={value}")));
        if let Some(library) = &self.preload {
            command.env("LD_PRELOAD", library);
        }
        command.output().unwrap().into()
    }
}

/// What makes User-Mode Linux work on a processor with AMX, where that is needed; the outer `None`
/// if it cannot be had.
fn preload(folder: &Path) -> Option<Option<PathBuf>> {
    if !fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains(" amx_tile ")) {
        return Some(None);
    }
    let cc = program("cc", "gcc")?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/uml/xstate.c");
    let library = folder.join("xstate.so");
    cc.ok(["-shared", "-fPIC", "-O2", "-o", library.to_str()?, source.to_str()?, "-ldl"]);
    Some(Some(library))
}
