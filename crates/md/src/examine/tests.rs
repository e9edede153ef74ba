use super::*;
use crate::superblock::Superblock;

fn report(bytes: &[u8], len_bytes: u64) -> Report {
    let superblock = Superblock::parse(bytes, 8).unwrap();
    let disk = "/dev/loop0".parse().unwrap();
    Report::new(&Candidate { disk, len_bytes, block_size: 512, superblock })
}

#[test]
fn it_reads_as_mdadm_users_expect() {
    let text = report(include_bytes!("../../tests/data/raid0-0.sb"), 20 << 20).to_string();
    let expected = "/dev/loop0:
          Magic : a92b4efc
        Version : 1.2
    Feature Map : 0x1000
     Array UUID : 0eff8276:3a3c6dfb:865ea90a:29104c3c
           Name : uml:first
  Creation Time : 2026-11-22 11:36:15 UTC
     Raid Level : raid0
   Raid Devices : 2

 Avail Dev Size : 38912 sectors (19.00 MiB 19.92 MB)
    Data Offset : 2048 sectors
   Super Offset : 8 sectors
   Unused Space : before=2032 sectors, after=0 sectors
          State : clean
    Device UUID : 11eaba0f:04683b34:d3bdf2f2:d00d38e4

    Update Time : 2026-11-22 11:36:15 UTC
       Checksum : 1204672 - correct
         Events : 0

         Layout : original
     Chunk Size : 64K

    Device Role : Active device 0
    Array State : AA ('A' == active, '.' == missing)
";
    assert_eq!(text, expected);
    let linear = report(include_bytes!("../../tests/data/linear-1.sb"), 40 << 20).to_string();
    for line in [
        "     Raid Level : linear",
        "       Rounding : 0K",
        "after=14336 sectors",
        "Active device 1",
    ] {
        assert!(linear.contains(line), "{linear}");
    }
}

#[test]
fn what_cannot_run_is_shown_still() {
    let mut superblock =
        Superblock::parse(include_bytes!("../../tests/data/raid0-0.sb"), 8).unwrap();
    let header = &mut superblock.header;
    header.level = 5.into();
    header.raid_disks = u32::MAX.into();
    header.feature_map = 9.into();
    header.resync_offset = 0.into();
    header.dev_number = 77.into();
    let disk = "/dev/loop0".parse().unwrap();
    let report = Report::new(&Candidate { disk, len_bytes: 0, block_size: 512, superblock });
    assert_eq!((report.level.as_str(), report.layout), ("raid5", None));
    assert_eq!(report.features, ["a write-intent bitmap", "a list of bad blocks"]);
    assert_eq!((report.role.as_str(), report.clean, report.unused.1), ("spare", false, 0));
    assert_eq!(report.state.len(), 1920);
    assert!(serde_json::to_string(&report).unwrap().contains("\"array_uuid\":\"0eff8276:"));
}
