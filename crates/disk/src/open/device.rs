//! What the system says about a device, and about its memory.

use std::path::PathBuf;

/// The queue attributes of a block device in sysfs; a partition's are its disk's.
#[derive(Debug)]
pub(super) struct Queue(PathBuf);

impl Queue {
    /// The queue of the device with this number.
    pub(super) fn of(device: u64) -> Self {
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let node = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
        let own = node.join("queue");
        if own.is_dir() {
            return Self(own);
        }
        // resolve the link first: `..` of a link is not the link's parent
        let disk = std::fs::canonicalize(&node).unwrap_or(node);
        Self(disk.parent().map(|disk| disk.join("queue")).unwrap_or_default())
    }

    /// A number among them; 0 if it is not there.
    pub(super) fn number(&self, name: &str) -> u64 {
        self.text(name).trim().parse().unwrap_or(0)
    }

    /// Whether the device may lose writes before a flush; assumed if nothing is said.
    pub(super) fn volatile_cache(&self) -> bool {
        self.text("write_cache").trim() != "write through"
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }
}

/// Bytes of memory that the machine can give away now; no limit if it does not say.
pub(super) fn available_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    text.lines()
        .find_map(|line| {
            line.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse().ok()
        })
        .map_or(u64::MAX, |kib: u64| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_some_memory() {
        assert!((1 << 20..u64::MAX).contains(&available_memory()));
    }
}
