//! Arrays that mdadm and Linux understand: superblocks on files, and data in a real kernel's md.
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

mod scenario;
mod uml;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use outboard_disk::{
    Disk, DiskSpec, Engine, EngineConfig, Op, OpenOptions, Request, Segment, open,
};
use outboard_md::{Assembled, Order, assemble_disks};
use outboard_raid::Array;
use outboard_slots::{Memory, Time};
use scenario::command::{Ran, outboard, run};
use scenario::skipped;

const KIB: u64 = 1 << 10;
/// Lengths of the members: three zones of a RAID 0, the second of which begins at an odd chunk, so that
/// the two layouts differ; and a rest after the last whole chunk.
const LENS: [u64; 3] =
    [6 * 1024 * KIB + 64 * KIB, 9 * 1024 * KIB + 12 * KIB, 13 * 1024 * KIB + 512];

/// The arrays that are tried: a name, ours and mdadm's arguments.
const ARRAYS: [[&str; 3]; 3] = [
    ["original", "--level 0 --chunk 64Ki", "--level=0 --chunk=64"],
    [
        "alternate",
        "--level 0 --chunk 64Ki --layout alternate",
        "--level=0 --chunk=64 --layout=alternate",
    ],
    ["linear", "--level linear", "--level=linear"],
];
const MODULES: [&str; 4] = ["loop", "md-mod", "raid0", "linear"];

#[test]
fn mdadm_reads_what_we_make() {
    if !uml::installed("mdadm") {
        return skipped("mdadm is not installed (package: mdadm)");
    }
    let folder = tempfile::tempdir().unwrap();
    for [name, ours, _] in ARRAYS {
        let members = members(folder.path(), name);
        create(name, ours, &members);
        for (place, member) in members.iter().enumerate() {
            let theirs = run(Command::new(mdadm()).arg("--examine").arg(member));
            theirs.succeeded();
            let ours = outboard(["array", "examine", member.to_str().unwrap()]);
            ours.succeeded();
            let role = format!("Active device {place}");
            let fields = [
                ("Magic", Some("a92b4efc")),
                ("Version", Some("1.2")),
                ("Feature Map", None),
                ("Array UUID", None),
                ("Name", None),
                ("Raid Level", None),
                ("Raid Devices", Some("3")),
                ("Avail Dev Size", None),
                ("Data Offset", Some("2048 sectors")),
                ("Super Offset", Some("8 sectors")),
                ("State", Some("clean")),
                ("Device UUID", None),
                ("Checksum", None),
                ("Events", Some("0")),
                ("Device Role", Some(role.as_str())),
            ];
            for (field, value) in fields {
                let (theirs, ours) = (line(&theirs, field), line(&ours, field));
                let theirs = theirs.split("  (local to host").next().unwrap();
                assert_eq!(theirs, ours, "{name} {field}");
                assert!(value.is_none_or(|value| value == ours), "{name} {field}: {ours}");
            }
            assert!(line(&theirs, "Checksum").ends_with("correct"), "{theirs:#?}");
            let layout = if name == "linear" { "Rounding" } else { "Layout" };
            assert_eq!(line(&theirs, layout), line(&ours, layout));
            assert!(line(&theirs, "Array State").starts_with("AAA "), "{theirs:#?}");
        }
    }
}

/// Ours, assembled by the kernel's md: it writes one array and reads the other.
#[test]
fn linux_runs_what_we_make() {
    let folder = tempfile::tempdir().unwrap();
    let mut script = String::new();
    for [name, ours, _] in ARRAYS {
        for set in [format!("{name}-w"), format!("{name}-r")] {
            let members = members(folder.path(), &set);
            create(&set, ours, &members);
            let array = assembled(&members);
            let pattern = folder.path().join(format!("{set}.data"));
            fs::write(&pattern, content(&set, array.len_bytes)).unwrap();
            let use_it = if set.ends_with("-w") {
                format!("dd if={set}.data of=/dev/md0 bs=1M conv=fsync")
            } else {
                transfer(&array, Some(&content(&set, array.len_bytes)));
                format!("cmp {set}.data /dev/md0")
            };
            let size = format!("test $(blockdev --getsize64 /dev/md0) = {}", array.len_bytes);
            script += &with_md(&set, "--assemble /dev/md0", &format!("{size}\n{use_it}"));
        }
    }
    if uml::run(folder.path(), &MODULES, &["mdadm", "losetup"], &[], &script).is_none() {
        return;
    }
    for [name, ..] in ARRAYS {
        let set = format!("{name}-w");
        let array = assembled(&paths(folder.path(), &set));
        assert!(transfer(&array, None) == content(&set, array.len_bytes), "{set} reads otherwise");
    }
}

/// mdadm's, assembled by us, in both directions.
#[test]
fn we_run_what_mdadm_makes() {
    let folder = tempfile::tempdir().unwrap();
    let mut script = String::new();
    for [name, _, theirs] in ARRAYS {
        members(folder.path(), name);
        let create = format!("--create /dev/md0 --run --metadata=1.2 --raid-devices=3 {theirs}");
        // A file that is longer than the array is written as far as it goes.
        let len = LENS.iter().sum::<u64>();
        fs::write(folder.path().join(format!("{name}.data")), content(name, len)).unwrap();
        let write = format!(
            "dd if={name}.data of=/dev/md0 bs=4096 conv=fsync \
             count=$(($(blockdev --getsize64 /dev/md0) / 4096))"
        );
        script += &with_md(name, &create, &write);
    }
    let programs = ["mdadm", "losetup"];
    if uml::run(folder.path(), &MODULES, &programs, &[], &script).is_none() {
        return;
    }
    script.clear();
    for [name, ..] in ARRAYS {
        let array = assembled(&paths(folder.path(), name));
        assert!(array.len_bytes > LENS.iter().sum::<u64>() - 4096 * KIB, "{array:#?}");
        let read = transfer(&array, None);
        let wrote = content(name, array.len_bytes);
        let whole = read.len() / 4096 * 4096;
        assert!(read[..whole] == wrote[..whole], "{name} reads otherwise");
        let set = format!("{name} again");
        transfer(&array, Some(&content(&set, array.len_bytes)));
        let path = folder.path().join(format!("{name}.data"));
        fs::write(path, content(&set, array.len_bytes)).unwrap();
        script += &with_md(name, "--assemble /dev/md0", &format!("cmp {name}.data /dev/md0"));
    }
    uml::run(folder.path(), &MODULES, &programs, &[], &script).unwrap();
    for [name, ..] in ARRAYS {
        let members = paths(folder.path(), name);
        let mut arguments = vec!["array", "stop"];
        arguments.extend(members.iter().map(|path| path.to_str().unwrap()));
        outboard(arguments).succeeded();
    }
}

#[test]
fn a_wrong_member_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (members(folder.path(), "one"), members(folder.path(), "two"));
    create("one", "--level 0", &one);
    create("two", "--level 0", &two);
    let examine = |members: &[&PathBuf]| {
        let members = members.iter().map(|path| path.to_str().unwrap());
        let ran = outboard(["array", "examine", "--json"].into_iter().chain(members));
        ran.json()["refused"].as_str().map(str::to_owned)
    };
    assert_eq!(examine(&[&one[0], &one[1], &one[2]]), None);
    assert_eq!(examine(&[&one[2], &one[1], &one[0]]), None, "any order will do to look at it");
    let foreign = examine(&[&one[0], &two[1], &one[2]]).unwrap();
    assert!(foreign.starts_with(&format!("{} belongs to array", two[1].display())), "{foreign}");
    let missing = examine(&[&one[0], &one[2]]).unwrap();
    assert!(missing.contains("3 members and member 1 is missing"), "{missing}");
    let swapped =
        assemble_disks(&specs(&[one[1].clone(), one[0].clone(), one[2].clone()]), Order::AsNamed);
    let swapped = swapped.unwrap_err().to_string();
    assert!(swapped.contains("is member 1 of the array and is named in place 0"), "{swapped}");
    let copy = folder.path().join("copy");
    fs::copy(&one[0], &copy).unwrap();
    let twice = examine(&[&one[0], &one[1], &one[2], &copy]).unwrap();
    assert!(twice.contains("are both member 0 of the array"), "{twice}");
    File::options().write(true).open(&one[1]).unwrap().set_len(4 << 20).unwrap();
    let shrunk = examine(&[&one[0], &one[1], &one[2]]).unwrap();
    assert!(shrunk.starts_with(&one[1].display().to_string()) && shrunk.contains("it has shrunk"));
    File::options().write(true).open(&two[0]).unwrap().write_all_at(b"x", 4096 + 33).unwrap();
    let damaged = ["array", "examine", two[0].to_str().unwrap()];
    outboard(damaged).refused(2, &["its superblock is damaged", "restore the member"]);
    let again = ["array", "create", two[1].to_str().unwrap()];
    outboard(again).refused(2, &["holds a member of the md array", "--force"]);
    outboard(["array", "create", "mem:64Mi"]).refused(2, &["no superblock lasts on it"]);
}

/// Files for the members of an array, with nothing in them.
fn members(folder: &Path, name: &str) -> Vec<PathBuf> {
    let paths = paths(folder, name);
    for (path, len) in paths.iter().zip(LENS) {
        File::create(path).unwrap().set_len(len).unwrap();
    }
    paths
}

fn paths(folder: &Path, name: &str) -> Vec<PathBuf> {
    (0..LENS.len()).map(|place| folder.join(format!("{name}.{place}"))).collect()
}

fn create(name: &str, options: &str, members: &[PathBuf]) {
    let mut arguments = vec!["array", "create", "--name", name, "--homehost", "none"];
    arguments.extend(options.split_whitespace());
    arguments.extend(members.iter().map(|path| path.to_str().unwrap()));
    outboard(arguments).succeeded();
}

fn specs(members: &[PathBuf]) -> Vec<DiskSpec> {
    let spec = |path: &PathBuf| format!("{}?direct=off", path.display()).parse().unwrap();
    members.iter().map(spec).collect()
}

fn assembled(members: &[PathBuf]) -> Assembled {
    assemble_disks(&specs(members), Order::AsNamed).unwrap()
}

/// The value of a field in the form of `mdadm --examine`.
#[track_caller]
fn line(ran: &Ran, field: &str) -> String {
    let found = ran.stdout.lines().find_map(|line| {
        let (name, value) = line.split_once(" : ")?;
        (name.trim() == field).then(|| value.trim().to_owned())
    });
    found.unwrap_or_else(|| panic!("no {field}: {ran:#?}"))
}

fn mdadm() -> &'static str {
    if Path::new("/usr/sbin/mdadm").exists() { "/usr/sbin/mdadm" } else { "mdadm" }
}

/// Shell lines: the array `name` in the kernel's md, made or assembled, used, and stopped.
fn with_md(name: &str, verb: &str, use_it: &str) -> String {
    format!(
        "for i in 0 1 2; do losetup /dev/loop$i {name}.$i; done\n\
         mdadm {verb} /dev/loop0 /dev/loop1 /dev/loop2\n\
         {use_it}\n\
         mdadm --stop /dev/md0\n\
         for i in 0 1 2; do losetup -d /dev/loop$i; done\n"
    )
}

/// Bytes that tell their place, and one name from another.
fn content(name: &str, len: u64) -> Vec<u8> {
    let seed =
        name.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(131).wrapping_add(byte.into()));
    let word = |place: u64| (place ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
    (0..len.div_ceil(8)).flat_map(word).take(len as usize).collect()
}

/// Writes the whole array, or reads it, through the array that our driver runs.
fn transfer(array: &Assembled, write: Option<&Vec<u8>>) -> Vec<u8> {
    const PIECE: u64 = 192 << 10;
    let memory = Memory::create("md-scenario", PIECE as usize).unwrap();
    let mut engine = Engine::new(EngineConfig { depth: 32 }, memory.clone(), None).unwrap();
    let mut members = Vec::new();
    for member in &array.members {
        let opened = open(&member.disk, &OpenOptions::default()).unwrap();
        assert_eq!(opened.limits().len_bytes(), member.len);
        members.push(opened.attach(&mut engine).unwrap());
    }
    let mut disk = Array::new(&array.spec, members, 32).unwrap();
    assert_eq!(disk.limits().len_bytes(), array.len_bytes);
    let op = if write.is_some() { Op::Write { fua: true } } else { Op::Read };
    let mut bytes = write.cloned().unwrap_or_else(|| vec![0; array.len_bytes as usize]);
    let mut at = 0;
    while at < array.len_bytes {
        let len = PIECE.min(array.len_bytes - at);
        let piece = &mut bytes[at as usize..(at + len) as usize];
        if op != Op::Read {
            memory.write(0, piece).unwrap();
        }
        let segments = [Segment { offset: 0, len: len as u32 }];
        disk.submit(&mut engine, Request { tag: 1, op, offset: at, len, segments: &segments })
            .unwrap();
        let mut done = Vec::new();
        while done.is_empty() {
            engine.turn(Time::now());
            disk.poll(&mut engine, &mut done);
        }
        done[0].result.unwrap();
        if op == Op::Read {
            memory.read(0, piece).unwrap();
        }
        at += len;
    }
    bytes
}
