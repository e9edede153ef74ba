use std::time::Duration;

use outboard_raid::Level;
use proptest::prelude::*;

use super::*;

const MINIMAL: &str = include_str!("../../../../docs/examples/minimal.toml");
const STUDIO: &str = include_str!("../../../../docs/examples/studio.toml");
const FULL: &str = include_str!("../../../../docs/examples/full.toml");
const MANUAL: &str = include_str!("../../../../docs/config.md");

/// A machine on which every secret is there.
fn machine() -> Machine {
    let mut machine = Machine::for_tests();
    machine.read_secret = |path| match path.extension() {
        None => Ok(format!("the secret of {}\n", path.display())),
        Some(_) => Err(std::io::ErrorKind::NotFound.into()),
    };
    machine
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Some(Path::new("/etc/outboard/serve.toml")), &machine())
}

/// A sound configuration with more text before it.
fn with(text: &str) -> Result<Config, ConfigError> {
    parse(&format!("{text}\n{MINIMAL}"))
}

fn refused(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

fn flags(line: &str) -> Result<Config, ConfigError> {
    use clap::Parser;
    #[derive(Parser)]
    struct Root {
        #[command(flatten)]
        flags: Flags,
    }
    let root = Root::try_parse_from(["x"].into_iter().chain(line.split_whitespace())).unwrap();
    Config::from_flags(&root.flags, &machine())
}

#[test]
fn six_lines_are_enough() {
    assert_eq!(MINIMAL.lines().filter(|line| !line.is_empty()).count(), 6);
    let config = parse(MINIMAL).unwrap();
    assert!(config.warnings.is_empty(), "{}", config.shown_warnings());
    let array = config.array("data").unwrap();
    assert_eq!(array.layout, Layout::Disk);
    assert_eq!(array.serial.as_ref().map(String::len), Some(16));
    let target = config.target("iqn.2026-01.com.example:data").unwrap();
    assert_eq!(target.luns, [Lun { lun: 0, array: "data".to_owned() }]);
    assert_eq!(target.portals, ["127.0.0.1:3260".parse().unwrap()]);
    assert_eq!(config.state.directory, Some("/var/lib/outboard".into()));
    assert_eq!(config.api.socket, Some("/run/outboard/api.sock".into()));
    assert_eq!((config.io.threads, config.io.spin), (2, false));
}

#[test]
fn the_examples_are_sound_and_say_what_they_mean() {
    let studio = parse(STUDIO).unwrap();
    assert!(studio.warnings.is_empty(), "{}", studio.shown_warnings());
    let target = &studio.targets[0];
    let luns: Vec<u16> = target.luns.iter().map(|lun| lun.lun).collect();
    assert_eq!((luns, target.portals.len()), (vec![0, 1, 9], 2));
    let chap = target.chap.as_ref().unwrap();
    assert_eq!(chap.users[0].secret.bytes(), b"the secret of /etc/outboard/secrets/cutting-room");
    assert_eq!(studio.array("archive").unwrap().layout, Layout::Md);
    assert_eq!(studio.array("archive").unwrap().serial, None);
    let Layout::Array(spec) = studio.array("films").unwrap().layout else { panic!() };
    assert_eq!((spec.level, spec.chunk), (Level::Raid0, 512 << 10));
    let full = parse(FULL).unwrap();
    assert_eq!(full.io.cpus, [0, 1]);
    assert_eq!(full.iscsi.limits.login_timeout, Duration::from_secs(15));
    assert_eq!(full.arrays[0].members[0].to_string(), "/etc/outboard/a.img?block=512&thin=on");
}

/// What is said in full is the default, as far as the examples say so.
#[test]
fn defaults_are_documented() {
    let (full, minimal) = (parse(FULL).unwrap(), parse(MINIMAL).unwrap());
    assert_eq!(full.iscsi.limits, minimal.iscsi.limits);
    assert_eq!(full.targets[0].parameters, minimal.targets[0].parameters);
    assert_eq!(full.targets[0].max_sessions, minimal.targets[0].max_sessions);
    let (said, default) = (&full.driver, &minimal.driver);
    assert_eq!(
        (said.slots, said.pool, said.max_transfer),
        (default.slots, default.pool, default.max_transfer)
    );
    assert_eq!(full.log, minimal.log);
    assert_eq!(full.state, minimal.state);
}

#[test]
fn every_key_is_in_the_manual() {
    let words = |line: &str| line.split(" = ").next().unwrap().trim().to_owned();
    for line in FULL.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let key = words(line);
        if line.contains(" = ") {
            assert!(MANUAL.contains(&format!("`{key}`")), "docs/config.md does not have `{key}`");
        } else if line.starts_with('[') {
            assert!(MANUAL.contains(&format!("`{line}`")), "docs/config.md does not have {line}");
        }
    }
}

#[test]
fn secrets_stay_secret() {
    let config = parse(FULL).unwrap();
    let shown = format!("{config:?}{}", serde_json::to_string(&config).unwrap());
    assert!(!shown.contains("only for a test") && !shown.contains("the secret of"), "{shown}");
    let text = FULL.replace("secret = \"only for a test\"", "secret = \"hunter2\"");
    let message = refused(&text);
    assert!(message.contains("12 to 255 bytes") && !message.contains("hunter2"), "{message}");
    let message = refused(&FULL.replace("secret = \"only", "secert = \"only"));
    assert!(message.contains("did you mean secret?") && !message.contains("only"), "{message}");
}

#[test]
fn mistakes_in_one_section() {
    let messages = [
        refused(&MINIMAL.replace("members", "memebrs")),
        refused(&MINIMAL.replace("[\"/var/lib/outboard/data.img\"]", "\"a.img\"")),
        refused(&MINIMAL.replace("/var/lib/outboard/data.img", "mem:1Gx")),
        refused(&MINIMAL.replace("/var/lib/outboard/data.img", "")),
        refused(&MINIMAL.replace("name = \"data\"", "name = \"my data\"")),
        refused(&MINIMAL.replace("name = \"data\"", "name = \"data\"\nlevel = 5")),
        refused(
            &MINIMAL.replace("name = \"data\"", "name = \"data\"\nlevel = \"disk\"\nchunk = 4096"),
        ),
        refused(
            &MINIMAL.replace("name = \"data\"", "name = \"data\"\nlevel = 0\nchunk = \"100k\""),
        ),
        refused(&MINIMAL.replace("name = \"data\"", "name = \"data\"\nmd = true\nlevel = 0")),
        refused(&MINIMAL.replace("name = \"data\"", "name = \"data\"\nblock_size = 520")),
        refused(&MINIMAL.replace("name = \"data\"", "name = \"data\"\nread_only = \"yes\"")),
        refused(&MINIMAL.replace("name = \"data\"", "name = \"data\"\nserial = \"Ä\"")),
        refused(&MINIMAL.replace("iqn.2026-01.com", "iqn.26-01.com")),
        refused(&MINIMAL.replace("iqn.2026-01.com.example:data", "data")),
        refused(&MINIMAL.replace("luns = [\"data\"]", "")),
        refused(&MINIMAL.replace("luns = [\"data\"]", "luns = [{ lum = 0 }]")),
        refused(
            &MINIMAL.replace("luns = [\"data\"]", "luns = [{ lun = 99999, array = \"data\" }]"),
        ),
        refused(&format!("{MINIMAL}auth = \"chap\"")),
        refused(&format!("{MINIMAL}auth = \"kerberos\"")),
        refused(&format!("{MINIMAL}[target.chap]\n")),
        refused(&format!("{MINIMAL}[target.chap]\nusers = [{{ name = \"ann\" }}]")),
        refused(&format!(
            "{MINIMAL}[target.chap]\nusers = [{{ name = \"ann\", secret_file = \"x.y\" }}]"
        )),
        refused(&format!("{MINIMAL}[target.parameters]\nmax_burst_length = 100")),
        refused(&format!(
            "{MINIMAL}[target.parameters]\nmax_burst_length = \"64Ki\"\nfirst_burst_length = \"128Ki\""
        )),
        refused(&format!("{MINIMAL}[target.parameters]\nheader_digest = [\"crc32\"]")),
        refused("iscsi.portals = [\"localhost\"]"),
        refused("iscsi.portals = []"),
        refused("iscsi.congestion_control = \"vegas\""),
        refused("iscsi.limits.login_timeout = 15"),
        refused("driver.slots = 5"),
        refused("driver.pool = \"lots\""),
        refused("api = \"none\""),
        refused("log.level = \"loud\""),
        refused("io.cpus = \"0-9\""),
        refused("io.threads = true"),
        refused("array = 1"),
        refused("colour = 1\n[servers]\n"),
        refused("[[array]]\nname = \"a\nmembers = []"),
        refused("a = 1\na = 2"),
    ];
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn mistakes_across_sections() {
    let second = "[[array]]\nname = \"more\"\nmembers = [\"/b.img\"]\n";
    let target = "[[target]]\nname = \"iqn.2026-01.com.example:data\"\nluns = []\n";
    let messages = [
        refused(""),
        refused(&format!("{second}{second}{MINIMAL}")),
        refused(&format!("{second}{MINIMAL}").replace("/b.img", "/var/lib/outboard//data.img")),
        refused(&MINIMAL.replace("luns = [\"data\"]", "luns = [\"dta\"]")),
        refused(&MINIMAL.replace("luns = [\"data\"]", "luns = [\"data\", \"data\"]")),
        refused(
            &format!("{second}{MINIMAL}")
                .replace("luns = [\"data\"]", "luns = [{ lun = 1, array = \"data\" }, \"more\"]"),
        ),
        refused(&format!("{MINIMAL}{target}")),
        refused(&format!("{MINIMAL}portals = [\"192.0.2.1:3260\"]")),
        refused(&format!("{MINIMAL}redirect = \"127.0.0.1\"")),
        refused(&format!("{MINIMAL}redirect = \"0.0.0.0\"")),
        refused(&format!("iscsi.portals = [\"127.0.0.1\", \"127.0.0.1:3260\"]\n{MINIMAL}")),
        refused(&format!("iscsi.portals = [\"127.0.0.1\", \"0.0.0.0\"]\n{MINIMAL}")),
        refused(&format!("driver.pool = \"4Mi\"\n{MINIMAL}")),
        refused(&MINIMAL.replace("/var/lib/outboard/data.img", "mem:1Ti")),
        refused(
            &MINIMAL.replace("[\"/var/lib/outboard/data.img\"]", "[\"mem:64Ki\", \"mem:1Mi\"]"),
        ),
        refused(&format!(
            "{MINIMAL}[target.chap]\nmutual = {{ name = \"me\", secret_file = \"s\" }}\nusers = [\n\
             {{ name = \"ann\", secret_file = \"s\" }}, {{ name = \"ann\", secret_file = \"t\" }}]"
        )),
        refused(
            &format!("{second}serial = \"S1\"\n{MINIMAL}")
                .replace("name = \"data\"\nmem", "name = \"data\"\nserial = \"S1\"\nmem"),
        ),
    ];
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn several_mistakes_are_found_at_once() {
    let text = "[[array]]\nnam = \"a\"\nmembers = [\"a\", 7]\n[[target]]\nname = \"x\"\n";
    insta::assert_snapshot!(refused(text));
}

#[test]
fn warnings() {
    let text = format!(
        "iscsi.portals = [\"0.0.0.0\"]\n[[array]]\nname = \"spare\"\nmembers = [\"/b\"]\n{}",
        MINIMAL.replace("luns = [\"data\"]", "luns = [{ lun = 1, array = \"data\" }]")
    );
    insta::assert_snapshot!(parse(&text).unwrap().shown_warnings());
}

#[test]
fn numbers_and_names_have_several_forms() {
    let config = with("iscsi.portals = [\"::1\", \"[::1]:3261\", \"127.0.0.1\"]").unwrap();
    let portals: Vec<String> = config.iscsi.portals.iter().map(ToString::to_string).collect();
    assert_eq!(portals, ["[::1]:3260", "[::1]:3261", "127.0.0.1:3260"]);
    assert_eq!(with("driver.pool = 33554432").unwrap().driver.pool, 32 << 20);
    assert_eq!(with("driver.slots = 0x1_00").unwrap().driver.slots, 256);
    assert_eq!(with("io.cpus = \"0,2-3\"").unwrap().io.cpus, [0, 2, 3]);
    assert_eq!(with("io.cpus = \"0,2-3\"").unwrap().io.threads, 3);
    assert_eq!(with("state.directory = \"none\"").unwrap().state.directory, None);
    assert_eq!(with("api.socket = \"none\"").unwrap().api.socket, None);
    let state = with("state.directory = \"../s\"").unwrap().state.directory;
    assert_eq!(state, Some("/etc/outboard/../s".into()));
}

#[test]
fn serial_numbers_stay_and_differ() {
    let serial = |text: &str, machine: &Machine| {
        Config::parse(text, None, machine).unwrap().arrays[0].serial.clone().unwrap()
    };
    let here = machine();
    let first = serial(MINIMAL, &here);
    assert_eq!(first, "26639BDEA75E301C");
    assert_eq!(serial(&MINIMAL.replace("\"data\"", "\"other\""), &here), first);
    assert_ne!(serial(&MINIMAL.replace("data.img", "dato.img"), &here), first);
    let there = Machine { identity: "another".to_owned(), ..machine() };
    assert_ne!(serial(MINIMAL, &there), first);
    let memory = MINIMAL.replace("/var/lib/outboard/data.img", "mem:1Mi");
    let other_port = format!("iscsi.portals = [\"127.0.0.1:3261\"]\n{memory}");
    assert_ne!(serial(&memory, &here), serial(&other_port, &here));
}

#[test]
fn a_one_off() {
    let config = flags("--array 0:a.img,b.img").unwrap();
    assert_eq!(config.targets[0].name, "iqn.2026-01.com.example.box-1:outboard");
    assert_eq!(config.arrays[0].name, "array0");
    assert_eq!(config.arrays[0].members[1].to_string(), "/work/b.img");
    assert_eq!(config.state.directory, None);
    let config = flags(
        "--array fast=disk:mem:1Mi?delay=1ms..2ms --array linear/64Ki:a,b --array md:/dev/sdb \
         --array disk:c --iscsi [::1]:3261 --iscsi 127.0.0.1 --target iqn.2026-01.com.example:x \
         --chap-user ann --chap-secret-file s --mutual-user me --mutual-secret-file t --read-only \
         --removable --block-size 4096 --thin off --spin --cpus 1,3 --state-dir st --api a.sock \
         --log-format json --log-level debug --initiator iqn.2026-01.com.example:i",
    )
    .unwrap();
    let layouts: Vec<Layout> = config.arrays.iter().map(|array| array.layout).collect();
    assert_eq!(layouts[0], Layout::Disk);
    assert!(matches!(layouts[1], Layout::Array(s) if s.level == Level::Linear && s.chunk == 65536));
    assert_eq!(layouts[2..], [Layout::Md, Layout::Disk]);
    let array = &config.arrays[0];
    assert_eq!(
        (array.name.as_str(), array.thin, array.block_size),
        ("fast", Some(false), Some(4096))
    );
    assert!(config.arrays.iter().all(|array| array.read_only && array.removable));
    let target = &config.targets[0];
    assert_eq!((target.luns.len(), target.portals.len()), (4, 2));
    let chap = target.chap.as_ref().unwrap();
    assert_eq!(chap.users[0].secret.bytes(), b"the secret of /work/s");
    assert!(chap.mutual.is_some());
    assert_eq!((config.io.threads, &config.io.cpus[..], config.io.spin), (2, &[1, 3][..], true));
    assert_eq!(config.state.directory, Some("/work/st".into()));
    assert_eq!(config.api.socket, Some("/work/a.sock".into()));
    assert_eq!((config.log.format, config.log.level.as_str()), (LogFormat::Json, "debug"));
}

#[test]
fn flags_that_cannot_be() {
    let messages: Vec<String> = [
        "--array a.img",
        "--array mem:1Gi",
        "--array 5:a,b",
        "--array disk:a,b",
        "--array 0/100k:a,b",
        "--array 0:a,a",
        "--array my/name=0:a,b",
        "--array disk:mem:lots",
        "--array disk:a --block-size 520",
        "--array disk:a?block=512 --block-size 4096",
        "--array disk:a --thin maybe",
        "--array disk:a --iscsi here",
        "--array disk:a --target disk",
        "--array disk:a --cpus 9",
        "--array disk:a --chap-user ann --chap-secret-file no.file",
        "--array disk:a --log-level loud",
        "--array x=disk:a --array x=disk:b",
        "--array md:mem:1Gi",
    ]
    .iter()
    .map(|line| format!("$ {line}\n{}", flags(line).expect_err(line)))
    .collect();
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serve.toml");
    let missing = Config::load(&file, &machine()).unwrap_err().to_string();
    assert!(missing.contains("serve.toml: No such file"), "{missing}");
    std::fs::write(&file, MINIMAL.replace("/var/lib/outboard/", "")).unwrap();
    let source = Source::file(&file, Flags::default());
    let config = source.read(&machine()).unwrap();
    assert_eq!(config.path.as_deref(), Some(file.as_path()));
    assert_eq!(config.missing_disks().len(), 1);
    std::fs::write(folder.path().join("data.img"), "").unwrap();
    std::os::unix::fs::symlink("data.img", folder.path().join("link.img")).unwrap();
    assert_eq!(config.missing_disks(), []);
    let two = MINIMAL.replace("/var/lib/outboard/data.img\"", "data.img\", \"link.img\"");
    std::fs::write(&file, two).unwrap();
    let error = source.read(&machine()).unwrap_err().to_string();
    assert!(error.contains("are one disk"), "{error}");
    std::fs::write(&file, vec![b' '; MAX_FILE_BYTES as usize + 1]).unwrap();
    assert!(matches!(source.read(&machine()), Err(ConfigError::TooLong { .. })));
}

/// TOML that looks like ours, with mistakes.
fn likely_text() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "array",
        "target",
        "iscsi",
        "driver",
        "api",
        "log",
        "state",
        "io",
        "name",
        "members",
        "luns",
        "level",
        "chunk",
        "portals",
        "congestion_control",
        "chap",
        "users",
        "secret",
        "mutual",
        "parameters",
        "limits",
        "0",
        "1.5",
        "true",
        "\"a\"",
        "\"iqn.2026-01.com.example:a\"",
        "\"mem:1Mi\"",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ",",
        ".",
        "\n",
        "\n",
        "\"",
        "#",
        "é",
        "\u{1F600}",
        "\0",
        "'''",
        "0x",
        "-",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

/// A sound file with a few characters changed.
fn damaged_text() -> impl Strategy<Value = String> {
    (
        prop::sample::select(vec![MINIMAL, STUDIO, FULL]),
        prop::collection::vec((any::<usize>(), any::<char>()), 1..6),
    )
        .prop_map(|(text, changes)| {
            let mut text: Vec<char> = text.chars().collect();
            for (at, c) in changes {
                let at = at % text.len();
                text[at] = c;
            }
            text.into_iter().collect()
        })
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![any::<String>(), likely_text(), damaged_text()]) {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.to_string().is_empty());
            prop_assert!(!error.problems().is_empty());
        }
    }

    #[test]
    fn no_flags_panic(array in any::<String>(), iscsi in any::<String>(), cpus in any::<String>()) {
        let flags = Flags {
            array: vec![array],
            iscsi: vec![iscsi],
            cpus: Some(cpus),
            ..Flags::default()
        };
        let _ = Config::from_flags(&flags, &machine()).map_err(|error| error.to_string());
    }
}
