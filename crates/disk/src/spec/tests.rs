use proptest::prelude::*;

use super::*;

fn parse(url: &str) -> DiskSpec {
    url.parse().unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn files() {
    let file = |path: &str, direct| DiskKind::File { path: path.into(), direct };
    assert_eq!(parse("/dev/sdb"), DiskSpec::plain(file("/dev/sdb", true)));
    assert_eq!(parse("a.img?direct=off").kind, file("a.img", false));
    assert_eq!(parse("file:/x%3Fy%25?block=4096").kind, file("/x?y%", true));
    assert_eq!(parse("file:/x?block=4096").block_size, Some(4096));
    assert_eq!(parse("./odd:name").kind, file("./odd:name", true));
}

#[test]
fn memory_null_and_simulated() {
    assert_eq!(parse("mem:64Mi").kind, DiskKind::Memory { len_bytes: 64 << 20 });
    assert_eq!(parse("null:").kind, DiskKind::Null { len_bytes: 1 << 40 });
    assert_eq!(parse("null:2G").kind, DiskKind::Null { len_bytes: 2_000_000_000 });
    let DiskKind::Hdd { len_bytes, timing, sparse } =
        parse("sim:hdd?size=1T&rate=200MB&seek=1ms..10ms&seed=9&sparse=on").kind
    else {
        panic!("not an HDD")
    };
    assert_eq!((len_bytes, timing.rate, timing.seed), (1_000_000_000_000, 200_000_000, 9));
    assert_eq!((timing.seek_min_ns, timing.seek_max_ns, sparse), (1_000_000, 10_000_000, true));
    assert!(
        matches!(parse("sim:ssd").kind, DiskKind::Ssd { len_bytes, .. } if len_bytes == 4 << 30)
    );
}

#[test]
fn decorators() {
    let spec = parse("mem:1Mi?delay=1ms..5ms&delay-seed=7&errors=0.01&error=gone&bad=8..16");
    let delay = DelaySpec { min_ns: 1_000_000, max_ns: 5_000_000, seed: 7 };
    assert_eq!(spec.delay, Some(delay));
    let faults = spec.faults.unwrap();
    assert_eq!((faults.share_ppb, faults.error), (10_000_000, FaultKind::Gone));
    assert_eq!(faults.bad_blocks, Some((8, 16)));
}

#[test]
fn what_is_wrong_is_named_with_its_rule_and_mend() {
    for (url, part) in [
        ("nvme:x", "nvme:"),
        ("", ""),
        ("mem:", "mem:"),
        ("mem:12Q", "12Q"),
        ("mem:100", "100"),
        ("mem:0", "0"),
        ("sim:tape", "tape"),
        ("sim:hdd?rate=fast", "rate=fast"),
        ("sim:hdd?seek=9ms..1ms", "seek=9ms..1ms"),
        ("sim:hdd?rpm=0", "rpm=0"),
        ("sim:ssd?channels=70000", "channels=70000"),
        ("null:?block=1000", "block=1000"),
        ("null:?color=red", "color=red"),
        ("null:?block", "block"),
        ("null:?block=512&block=512", "block=512"),
        ("null:?direct=off", "direct=off"),
        ("null:?errors=1.5", "errors=1.5"),
        ("null:?error=medium", "error=medium"),
        ("/x?direct=maybe", "direct=maybe"),
        ("file:/x%4", "/x%4"),
    ] {
        let error = url.parse::<DiskSpec>().expect_err(url);
        assert_eq!(error.part, part, "{error}");
        assert!(!error.rule.is_empty() && !error.mend.is_empty());
    }
    assert_eq!(
        "nvme:x".parse::<DiskSpec>().unwrap_err().to_string(),
        "disk `nvme:x`: `nvme:`: kinds of disks are file:, mem:, null: and sim:; \
         if it is a file of that name, write ./nvme:x"
    );
}

fn kinds() -> impl Strategy<Value = DiskKind> {
    let len = (1..1_u64 << 50).prop_map(|n| n * 512);
    let hdd = (1..1_u64 << 40, 0..1_u64 << 40, any::<u64>(), 1..65_536_u32).prop_map(
        |(rate, time, seed, count)| HddTiming {
            rate,
            overhead_ns: time,
            seek_min_ns: time / 2,
            seek_max_ns: time,
            rpm: count,
            queue_depth: 65_536 - count,
            seed,
        },
    );
    let ssd = (1..1_u64 << 40, 0..1_u64 << 40, any::<u64>(), 1..65_536_u32).prop_map(
        |(rate, time, seed, channels)| SsdTiming {
            read_latency_ns: time,
            write_latency_ns: time / 3,
            read_rate: rate,
            write_rate: rate / 2 + 1,
            channels,
            seed,
        },
    );
    prop_oneof![
        ("[a-z/.?%& :]{1,20}", any::<bool>())
            .prop_map(|(path, direct)| DiskKind::File { path: path.into(), direct }),
        len.clone().prop_map(|len_bytes| DiskKind::Memory { len_bytes }),
        len.clone().prop_map(|len_bytes| DiskKind::Null { len_bytes }),
        (len.clone(), any::<bool>(), hdd).prop_map(|(len_bytes, sparse, timing)| DiskKind::Hdd {
            len_bytes,
            sparse,
            timing
        }),
        (len, any::<bool>(), ssd).prop_map(|(len_bytes, sparse, timing)| DiskKind::Ssd {
            len_bytes,
            sparse,
            timing
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_parses_to_the_same(
        kind in kinds(),
        block_size in prop_oneof![Just(None), Just(Some(512)), Just(Some(4096))],
        physical_block_size in proptest::option::of((9_u32..=16).prop_map(|shift| 1 << shift)),
        read_only: bool,
        thin: Option<bool>,
        delay in proptest::option::of((0..1_u64 << 40, 0..1_u64 << 40, any::<u64>())),
        window in proptest::option::of((0..1_u64 << 40, proptest::option::of(1..1_u64 << 40))),
        faults in proptest::option::of((1..=1_000_000_000_u32, any::<u64>(), any::<bool>())),
    ) {
        let spec = DiskSpec {
            kind,
            block_size,
            physical_block_size,
            read_only,
            thin,
            window: window.map(|(offset, len)| WindowSpec {
                offset: offset * 512,
                len: len.map(|len| len * 512),
            }),
            delay: delay.map(|(min_ns, more, seed)| {
                DelaySpec { min_ns, max_ns: min_ns + more, seed }
            }),
            faults: faults.map(|(share_ppb, seed, bad)| FaultSpec {
                share_ppb,
                seed,
                error: FaultKind::NoSpace,
                bad_blocks: bad.then_some((seed / 2, seed)),
            }),
        };
        prop_assert_eq!(&spec, &parse(&spec.to_string()), "{}", spec);
        let json = serde_json::to_string(&spec).unwrap();
        prop_assert_eq!(&spec, &serde_json::from_str::<DiskSpec>(&json).unwrap());
    }

    #[test]
    fn any_text_is_a_disk_or_an_error(text in ".{0,60}") {
        let _ = text.parse::<DiskSpec>();
    }

    #[test]
    fn any_options_are_a_disk_or_an_error(text in "sim:(hdd|ssd)\\?([a-z]{3,8}=[0-9a-zA-Z.%]{0,12}&?){0,4}") {
        let _ = text.parse::<DiskSpec>();
    }
}
