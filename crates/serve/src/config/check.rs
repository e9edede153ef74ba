//! Rules across sections, and the defaults that depend on them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use outboard_disk::units::format_size;
use outboard_disk::{DiskKind, DiskSpec};
use outboard_raid::Geometry;

use super::Config;
use super::array::{Array, Layout};
use super::extension::ExtensionPlace;
use super::machine::Machine;
use super::target::{Chap, Target};
use outboard_settings::list;
use outboard_settings::nearest;
use outboard_settings::{At, Found};

/// Where things were said; lists are as long as those of the configuration.
#[derive(Default)]
pub(super) struct Places {
    pub(super) arrays: Vec<At>,
    pub(super) targets: Vec<TargetPlaces>,
    pub(super) portals: At,
    pub(super) discovery: At,
    pub(super) pool: At,
}

/// Where things of a target were said.
#[derive(Default)]
pub(super) struct TargetPlaces {
    pub(super) name: At,
    pub(super) portals: At,
    pub(super) redirect: At,
    pub(super) chap: At,
    pub(super) luns: Vec<LunPlace>,
    pub(super) extension: ExtensionPlace,
}

/// Where a LUN was said.
pub(super) struct LunPlace(pub(super) At);

/// Checks everything; fills in what depends on other sections.
pub(super) fn all(
    config: &mut Config,
    places: &Places,
    machine: &Machine,
    found: &mut Vec<Found>,
    warnings: &mut Vec<Found>,
) {
    portals(config, places, found);
    arrays(config, places, found);
    targets(config, places, found);
    luns(config, places, found, warnings);
    extensions(config, places, machine, found);
    memory(config, places, machine, found);
    for (target, place) in config.targets.iter_mut().zip(&places.targets) {
        target_portals(target, place, &config.iscsi.portals, found);
        target.luns.sort_by_key(|lun| lun.lun);
        exposed(target, place, warnings);
    }
    serials(config, places, machine, found);
}

fn portals(config: &Config, places: &Places, found: &mut Vec<Found>) {
    let portals = &config.iscsi.portals;
    for (i, portal) in portals.iter().enumerate() {
        let mut others = portals.iter().enumerate().filter(|(j, _)| *j != i);
        let Some((j, other)) = others.find(|(_, other)| covers(other, portal)) else { continue };
        if other == portal && j > i {
            continue; // said once is enough
        }
        let rule = match other == portal {
            true => format!("{portal} is there twice"),
            false => format!("{portal} is already among the addresses of {other}"),
        };
        found.push(Found::new(places.portals.clone(), "iscsi.portals", rule, "leave it out"));
    }
}

/// Whether a socket on `one` accepts what comes to `other`.
fn covers(one: &SocketAddr, other: &SocketAddr) -> bool {
    one == other
        || (one.port() == other.port()
            && one.is_ipv4() == other.is_ipv4()
            && one.ip().is_unspecified())
}

fn arrays(config: &Config, places: &Places, found: &mut Vec<Found>) {
    let mut names = HashMap::new();
    let mut disks = HashMap::new();
    let mut keys = HashMap::new();
    for (array, at) in config.arrays.iter().zip(&places.arrays) {
        if names.insert(array.name.as_str(), ()).is_some() {
            let rule = format!("there are two arrays {:?}", array.name);
            found.push(Found::new(at.clone(), "array.name", rule, "give each its own name"));
        }
        if let Some(key) = &array.key_file
            && let Some(other) = keys.insert(key, &array.name)
        {
            let rule = format!("{} is the key of array {other:?} already", key.display());
            let mend = "give each array a key of its own: an erased key is gone for all";
            found.push(Found::new(at.clone(), "array.key_file", rule, mend));
        }
        for member in &array.members {
            let DiskKind::File { path, .. } = &member.kind else { continue };
            let Some(other) = disks.insert(path, &array.name) else { continue };
            let path = path.display();
            let rule = match *other == array.name {
                true => format!("{path} is a member of array {other:?} twice"),
                false => format!("{path} is a member of array {other:?} too"),
            };
            let mend = "a disk belongs to one array, once";
            found.push(Found::new(at.clone(), "array.members", rule, mend));
        }
        if let Err(error) = geometry(array) {
            found.push(Found::new(at.clone(), "array", error, ""));
        }
    }
}

/// What is known of an array's shape without opening its members.
fn geometry(array: &Array) -> Result<(), String> {
    let Layout::Array(spec) = &array.layout else { return Ok(()) };
    let lens: Option<Vec<u64>> = array.members.iter().map(known_len).collect();
    let lens = lens.unwrap_or_else(|| vec![u64::from(spec.chunk.max(1)); array.members.len()]);
    Geometry::new(spec, &lens).map(|_| ()).map_err(|error| error.to_string())
}

fn known_len(disk: &DiskSpec) -> Option<u64> {
    match disk.kind {
        DiskKind::Hdd { len_bytes, .. }
        | DiskKind::Memory { len_bytes }
        | DiskKind::Null { len_bytes }
        | DiskKind::Ssd { len_bytes, .. } => Some(len_bytes),
        _ => None,
    }
}

fn targets(config: &Config, places: &Places, found: &mut Vec<Found>) {
    if config.targets.is_empty() {
        let mend = "add [[target]] with name = \"iqn.2026-01.com.example:data\" and luns = [\"…\"]";
        found.push(Found::new(At::Whole, "target", "there is none", mend));
    }
    let mut names = HashMap::new();
    for (target, place) in config.targets.iter().zip(&places.targets) {
        if names.insert(target.name.as_str(), ()).is_some() {
            let rule = format!("there are two targets {}", target.name);
            let mend = "give each its own name";
            found.push(Found::new(place.name.clone(), "target.name", rule, mend));
        }
        if let Some(chap) = &target.chap {
            self::chap(chap, &place.chap, "target.chap", found);
        }
        if let Some(to) = target.redirect.filter(|to| to.port() == 0 || to.ip().is_unspecified()) {
            let rule = format!("{to} is no address to connect to");
            let mend = "write for example \"192.0.2.7:3260\"";
            found.push(Found::new(place.redirect.clone(), "target.redirect", rule, mend));
        }
        if let Some(to) = target.redirect.filter(|to| config.iscsi.portals.contains(to)) {
            let rule = format!("{to} is a portal of this server");
            let mend = "name another server's, or leave it out";
            found.push(Found::new(place.redirect.clone(), "target.redirect", rule, mend));
        }
    }
    if let Some(chap) = &config.iscsi.discovery {
        self::chap(chap, &places.discovery, "iscsi.discovery.chap", found);
    }
}

fn chap(chap: &Chap, at: &At, key: &str, found: &mut Vec<Found>) {
    let mut names = HashMap::new();
    for user in &chap.users {
        if names.insert(user.name.as_str(), ()).is_some() {
            let rule = format!("there are two users {:?}", user.name);
            found.push(Found::new(at.clone(), key, rule, "leave one out"));
        }
    }
    if chap.users.is_empty() {
        let mend = "write users = [{ name = \"ann\", secret_file = \"…\" }]";
        found.push(Found::new(at.clone(), key, "has no users", mend));
    }
    let Some(mutual) = &chap.mutual else { return };
    if let Some(user) = chap.users.iter().find(|user| user.secret == mutual.secret) {
        let rule = format!(
            "the target's secret is that of user {:?}, so that either could play the other \
             (RFC 7143, 9.2.1)",
            user.name
        );
        found.push(Found::new(at.clone(), key, rule, "give the target a secret of its own"));
    }
}

fn luns(config: &Config, places: &Places, found: &mut Vec<Found>, warnings: &mut Vec<Found>) {
    let known: Vec<&str> = config.arrays.iter().map(|array| array.name.as_str()).collect();
    let mut users: HashMap<&str, &str> = HashMap::new();
    for (target, place) in config.targets.iter().zip(&places.targets) {
        let mut numbers = HashMap::new();
        for (lun, LunPlace(at)) in target.luns.iter().zip(&place.luns) {
            let mut add =
                |rule, mend: String| found.push(Found::new(at.clone(), "target.luns", rule, mend));
            if let Some(other) = numbers.insert(lun.lun, &lun.array) {
                let rule = format!("LUN {} is array {other:?} already", lun.lun);
                add(rule, "give each LUN of a target its own number".to_owned());
            }
            if !known.contains(&lun.array.as_str()) {
                let mend = match nearest(&lun.array, &known) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None if known.is_empty() => "add [[array]] with this name".to_owned(),
                    None => format!("there are {}", list(&known)),
                };
                add(format!("there is no array {:?}", lun.array), mend);
            } else if let Some(other) = users.insert(&lun.array, &target.name) {
                let rule = format!("array {:?} is a LUN of {other} already", lun.array);
                let mend = "an array is one LUN, because reservations belong to the LUN; to reach \
                            it over several addresses, give its target several portals";
                add(rule, mend.to_owned());
            }
        }
        let odd = match target.luns.iter().any(|lun| lun.lun == 0) {
            true => None,
            false if target.extension.is_some() => None,
            false if target.luns.is_empty() => Some("the target has no LUNs"),
            false => Some("the target has no LUN 0, and many initiators look there first"),
        };
        if let Some(rule) = odd {
            let mend = "number them from 0";
            warnings.push(Found::new(place.name.clone(), "target.luns", rule, mend));
        }
    }
    for (array, at) in config.arrays.iter().zip(&places.arrays) {
        if !users.contains_key(array.name.as_str()) {
            let rule = format!("{:?} is no LUN of any target", array.name);
            let mend = "add it to the luns of a target, or take it out";
            warnings.push(Found::new(at.clone(), "array", rule, mend));
        }
    }
}

/// Extensions are activated, and a disk of theirs is nobody else's.
fn extensions(config: &mut Config, places: &Places, machine: &Machine, found: &mut Vec<Found>) {
    let folder = config.extensions_of(machine);
    let mut disks: HashMap<PathBuf, String> = HashMap::new();
    for array in &config.arrays {
        let files = array.members.iter().filter_map(file_of);
        disks.extend(
            files.map(|path| (path.clone(), format!("a member of array {:?}", array.name))),
        );
    }
    for (target, place) in config.targets.iter_mut().zip(&places.targets) {
        let Some(extension) = &mut target.extension else { continue };
        for path in extension.disks.iter().filter_map(file_of) {
            let owner = format!("a disk of target {}", target.name);
            if let Some(other) = disks.insert(path.clone(), owner) {
                let rule = format!("{} is {other} already", path.display());
                let (at, mend) = (place.extension.disks.clone(), "a disk has one user");
                found.push(Found::new(at, "target.disks", rule, mend));
            }
        }
        extension.check(&folder, &place.extension, found);
    }
}

fn file_of(disk: &DiskSpec) -> Option<&PathBuf> {
    match &disk.kind {
        DiskKind::File { path, .. } => Some(path),
        _ => None,
    }
}

fn target_portals(
    target: &mut Target,
    place: &TargetPlaces,
    all: &[SocketAddr],
    found: &mut Vec<Found>,
) {
    if target.portals.is_empty() {
        target.portals = all.to_vec();
    }
    if let Some(other) = target.portals.iter().find(|portal| !all.contains(portal)) {
        let rule = format!("{other} is none of iscsi.portals");
        let known: Vec<String> = all.iter().map(ToString::to_string).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let mend = format!("add it there; these are {}", list(&known));
        found.push(Found::new(place.portals.clone(), "target.portals", rule, mend));
    }
    target.portals.sort_unstable_by_key(|portal| all.iter().position(|other| other == portal));
    target.portals.dedup();
}

/// Warns of what everybody on the network may write to.
fn exposed(target: &Target, place: &TargetPlaces, warnings: &mut Vec<Found>) {
    let public = target.portals.iter().find(|portal| !portal.ip().is_loopback());
    let guarded = target.chap.is_some()
        || (!target.initiators.is_empty() && !target.initiators.iter().any(|name| name == "*"));
    if let (Some(portal), false) = (public, guarded) {
        let rule = format!("everybody who reaches {portal} may use this target");
        let mend = "add [target.chap], or initiators = [\"iqn.…\"], or a loopback address";
        warnings.push(Found::new(place.name.clone(), "target", rule, mend));
    }
}

fn memory(config: &Config, places: &Places, machine: &Machine, found: &mut Vec<Found>) {
    let driver = &config.driver;
    let least = driver.max_transfer.saturating_mul(2);
    if driver.pool < least {
        let rule = format!(
            "{} bytes have no room for two commands of {} (max_transfer)",
            format_size(driver.pool),
            format_size(driver.max_transfer)
        );
        let mend = format!("write pool = {:?}, or a smaller max_transfer", format_size(least));
        found.push(Found::new(places.pool.clone(), "driver.pool", rule, mend));
    }
    // each target has a driver of its own
    let pools = driver.pool.saturating_mul(config.targets.len() as u64);
    let members = config.arrays.iter().flat_map(|array| &array.members);
    let extensions = config.targets.iter().filter_map(|target| target.extension.as_ref());
    let used = members.chain(extensions.flat_map(|extension| &extension.disks)).map(memory_of);
    let used = used.fold(pools, u64::saturating_add);
    if used > machine.memory_bytes {
        let rule = format!(
            "disks in memory and the pools need {} bytes, and this machine has {}",
            format_size(used),
            format_size(machine.memory_bytes)
        );
        let mend = "make them smaller, or for simulated disks add sparse=on";
        found.push(Found::new(places.pool.clone(), "", rule, mend));
    }
}

fn memory_of(disk: &DiskSpec) -> u64 {
    match disk.kind {
        DiskKind::Memory { len_bytes }
        | DiskKind::Hdd { len_bytes, sparse: false, .. }
        | DiskKind::Ssd { len_bytes, sparse: false, .. } => len_bytes,
        _ => 0,
    }
}

/// Gives arrays without a serial number one that stays the same as long as machine and members do,
/// and that no other server's array has: multipath software takes equal serial numbers for one disk.
fn serials(config: &mut Config, places: &Places, machine: &Machine, found: &mut Vec<Found>) {
    let portals: Vec<String> = config.iscsi.portals.iter().map(ToString::to_string).collect();
    for array in &mut config.arrays {
        if array.serial.is_some() || array.layout == Layout::Md {
            continue;
        }
        let mut hash = Fnv::default();
        hash.add(&machine.identity);
        for member in &array.members {
            match &member.kind {
                DiskKind::File { path, .. } => hash.add(&path.to_string_lossy()),
                // what it is says nothing about which one it is
                _ => [&array.name].into_iter().chain(&portals).for_each(|text| hash.add(text)),
            }
        }
        array.serial = Some(format!("{:016X}", hash.0));
    }
    if !found.is_empty() {
        return; // a disk that is there twice has the same number twice, and is told already
    }
    let mut serials = HashMap::new();
    for (array, at) in config.arrays.iter().zip(&places.arrays) {
        let Some(serial) = &array.serial else { continue };
        if let Some(other) = serials.insert(serial, &array.name) {
            let rule = format!("the serial number {serial} is that of array {other:?} too");
            let mend = "give each its own, because initiators take equal ones for one disk";
            found.push(Found::new(at.clone(), "array.serial", rule, mend));
        }
    }
}

/// FNV-1a, 64 bits: the same on every machine and in every version.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Adds a text and its end.
    fn add(&mut self, text: &str) {
        for byte in text.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
