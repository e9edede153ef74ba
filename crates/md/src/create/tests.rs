use std::fs;
use std::path::Path;

use super::*;
use crate::examine::Report;
use crate::stop::stop;
use crate::superblock::Superblock;

fn options() -> CreateOptions {
    CreateOptions {
        spec: ArraySpec { chunk: 64 << 10, ..ArraySpec::default() },
        rounding: None,
        name: "uml:first".to_owned(),
        uuid: "0eff8276:3a3c6dfb:865ea90a:29104c3c".parse().unwrap(),
        now: 0x6b02_d3af,
        data_offset: DEFAULT_DATA_OFFSET,
    }
}

fn member(len_bytes: u64, device_uuid: &str) -> NewMember {
    NewMember { name: "m".to_owned(), len_bytes, device_uuid: device_uuid.parse().unwrap() }
}

/// mdadm reserves room for a list of bad blocks, which members here do not have; all else is the same.
#[test]
fn superblocks_are_those_of_mdadm() {
    let made = [
        &include_bytes!("../../tests/data/raid0-0.sb")[..],
        include_bytes!("../../tests/data/raid0-1.sb"),
        include_bytes!("../../tests/data/linear-0.sb"),
        include_bytes!("../../tests/data/linear-1.sb"),
    ];
    let without_list = |bytes: &[u8]| {
        let mut superblock = Superblock::parse(bytes, 8).unwrap();
        superblock.header.bblog_size = 0.into();
        superblock.header.bblog_offset = 0.into();
        superblock.to_bytes()
    };
    let lens = [20 << 20, 33 << 20];
    let stripes = [
        member(lens[0], "11eaba0f:04683b34:d3bdf2f2:d00d38e4"),
        member(lens[1], "cb385636:8b4b2cf3:5398022e:aa735916"),
    ];
    let linear = CreateOptions {
        spec: ArraySpec { level: Level::Linear, ..ArraySpec::default() },
        name: "(none):1".to_owned(),
        uuid: "383297cf:e7f0b27e:0ce8427b:c728f78a".parse().unwrap(),
        now: 0x6b02_d3b0,
        ..options()
    };
    let row = [
        member(lens[0], "ab05cb33:f3ba2220:9ee1abe9:37d09ed6"),
        member(lens[1], "27c42d79:78fdaea2:22c0ca15:093421fb"),
    ];
    let ours = [create(&options(), &stripes).unwrap(), create(&linear, &row).unwrap()].concat();
    for (ours, made) in ours.iter().zip(made) {
        assert_eq!(ours.to_bytes(), without_list(made));
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let one = [member(1 << 30, "00000000:00000000:00000000:00000001")];
    let refusal = |options: &CreateOptions, members: &[NewMember]| {
        create(options, members).unwrap_err().to_string()
    };
    let chunk = |chunk| CreateOptions { spec: ArraySpec { chunk, ..options().spec }, ..options() };
    let named = |name: &str| CreateOptions { name: name.to_owned(), ..options() };
    let offset = |data_offset| CreateOptions { data_offset, ..options() };
    assert!(refusal(&options(), &[]).contains("at least one member"));
    assert!(refusal(&chunk(3 << 10), &one).contains("a chunk is a power of two"));
    assert!(refusal(&chunk(0), &one).contains("a chunk is a power of two"));
    assert!(refusal(&chunk(512), &one).contains("it must be 4096"));
    assert!(refusal(&chunk(1 << 31), &one).contains("it must be 4096"));
    assert!(refusal(&named(""), &one).contains("1 to 32"));
    assert!(refusal(&named("a\n"), &one).contains("no control characters"));
    assert!(refusal(&named(&"x".repeat(33)), &one).contains("33 bytes"));
    assert!(refusal(&offset(4096), &one).contains("from 8192 on"));
    assert!(refusal(&offset(u64::MAX - 4095), &one).contains("would have no room"));
    let small = [member(1 << 20, "00000000:00000000:00000000:00000001")];
    assert!(refusal(&options(), &small).contains("would have no room"));
    let many = vec![one[0].clone(); 1025];
    assert!(refusal(&options(), &many).contains("1025 members are more"));
}

fn files(folder: &Path) -> Vec<DiskSpec> {
    let make = |name: &str, len| {
        let path = folder.join(name);
        fs::File::create(&path).unwrap().set_len(len).unwrap();
        path.to_str().unwrap().parse().unwrap()
    };
    vec![make("a", 20 << 20), make("b", (33 << 20) + 1536)]
}

fn path(disk: &DiskSpec) -> String {
    disk.to_string()
}

fn make(disks: &[DiskSpec], force: bool) -> Result<Assembled, MdError> {
    create_on(&options(), disks, [Uuid([1; 16]), Uuid([2; 16])], force)
}

#[test]
fn an_array_on_files_is_made_assembled_and_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let disks = files(folder.path());
    let made = make(&disks, false).unwrap();
    assert_eq!(made.len_bytes, 51 << 20);
    assert_eq!(crate::assemble_disks(&disks, Order::AsNamed).unwrap(), made);
    let stopped = stop(&[disks[1].clone(), disks[0].clone()], 0x6b02_d3bf).unwrap();
    assert_eq!(stopped, made);
    let held = Held::open(&disks[1], Purpose::Examine).unwrap();
    let report = Report::new(&held.candidate().unwrap());
    assert_eq!((report.updated, report.created), (0x6b02_d3bf, 0x6b02_d3af));
    assert_eq!((report.unused.1, report.state.as_str()), (1536, "AA"));
    // With the array in use neither goes on.
    let shared = Held::open(&disks[0], Purpose::Look).unwrap();
    for refused in [stop(&disks, 1), make(&disks, true)] {
        assert!(refused.unwrap_err().to_string().contains("is busy"));
    }
    drop(shared);
    make(&disks, true).unwrap();
}

#[test]
fn what_somebody_may_need_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let disks = files(folder.path());
    let refusal = |at: u64, bytes: &[u8]| {
        files(folder.path());
        let file = fs::File::options().write(true).open(path(&disks[1])).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, bytes, at).unwrap();
        make(&disks, false).unwrap_err().to_string()
    };
    for (at, bytes, what) in [
        (0x438, &b"\x53\xef"[..], "an ext2, ext3 or ext4 file system"),
        (0, b"XFSB", "an XFS file system"),
        (510, b"\x55\xaa", "a partition table or a boot sector"),
        (4096, b"\xfc\x4e\x2b\xa9", "a damaged md superblock"),
        (0, b"\xfc\x4e\x2b\xa9", "an md superblock 1.1"),
        (30 << 20, b"x", "data (near byte 31457280)"),
    ] {
        let text = refusal(at, bytes);
        let expected =
            format!("{} holds {what}, which would be lost; add --force", path(&disks[1]));
        assert!(text.starts_with(&expected), "{text}");
    }
    make(&disks, true).unwrap();
    let text = make(&disks, false).unwrap_err().to_string();
    assert!(text.contains("a member of the md array 0eff8276:3a3c6dfb:"), "{text}");
}

#[test]
fn other_disks_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let disks = files(folder.path());
    let refusal = |disks: &[&str]| {
        let disks: Vec<_> = disks.iter().map(|disk| disk.parse().unwrap()).collect();
        make(&disks, false).unwrap_err().to_string()
    };
    let (a, missing) = (path(&disks[0]), folder.path().join("none"));
    assert!(refusal(&[&a, &format!("{a}?direct=off")]).contains("is named twice"));
    assert!(refusal(&[&a, "mem:64Mi"]).contains("no superblock lasts on it"));
    assert!(refusal(&[&a, missing.to_str().unwrap()]).contains("does not exist"));
    let text = crate::assemble_disks(&disks, Order::Any).unwrap_err().to_string();
    assert!(text.contains("there is no md superblock; name the array's members"), "{text}");
}

#[test]
fn superblocks_of_other_versions_are_removed_with_force() {
    let folder = tempfile::tempdir().unwrap();
    let disks = files(folder.path());
    let places = Held::open(&disks[0], Purpose::Examine).unwrap();
    let len = places.len_bytes();
    for at in [0, len - 8192, len - 65_536] {
        let file = fs::File::options().write(true).open(path(&disks[0])).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"\xfc\x4e\x2b\xa9", at).unwrap();
        let text = crate::assemble_disks(&disks, Order::Any).unwrap_err().to_string();
        assert!(text.contains("version 1.2 is known"), "{text}");
        make(&disks, true).unwrap();
        let held = Held::open(&disks[0], Purpose::Write).unwrap();
        held.wipe().unwrap();
        assert!(matches!(held.version().unwrap(), crate::Version::V1_2(_)));
        drop(held);
        files(folder.path());
    }
}
