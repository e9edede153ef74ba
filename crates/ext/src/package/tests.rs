use super::*;

const GOOD: &str = r#"
identifier = "com.example.ram"
version = "1.0"
name = "RAM disk"
program = "bin/ram"
arguments = ["--loud"]
protocol = 1
[[queues]]
name = "AuxiliaryQueue"
[[bindings]]
method = "create_target"
queue = "AuxiliaryQueue"
[resources]
disks = { least = 1, most = 4 }
memory = "64Mi"
[limits]
tasks = 128
[options]
colour = "red"
sizes = [1, 2.5, { deep = true }]
"#;

fn wrong(text: &str) -> String {
    Package::parse(text, Path::new("p/extension.toml")).unwrap_err().to_string()
}

#[test]
fn everything_is_read() {
    let package = Package::parse(GOOD, Path::new(FILE)).unwrap();
    assert_eq!((package.identifier(), package.version()), ("com.example.ram", "1.0"));
    assert_eq!(package.manifest.queues[0].kind, QueueKind::Serial);
    assert_eq!(package.manifest.bindings[0].method, Method::CreateTarget);
    assert_eq!((package.resources.disks, package.resources.memory), ((1, 4), 64 << 20));
    assert_eq!((package.slots(256), package.slots(64)), (128, 64));
    let said = serde_json::json!({ "colour": "blue", "new": 1 });
    let options = package.options_with(said.as_object().unwrap());
    assert_eq!(options["colour"], "blue");
    assert_eq!(options["sizes"][2]["deep"], true);
    assert_eq!(options["new"], 1);
}

#[test]
fn all_mistakes_come_at_once_with_line_and_mend() {
    let text = "identifier = \"ram\"\nversion = \"1/0\"\nprogram = \"../x\"\nprotocol = 9\n\
                [[bindings]]\nmethod = \"fly\"\nqueue = \"Q\"\n[resources]\ndisk = 1\n\
                disks = { least = 3, most = 2 }\n[limits]\ntasks = 0\n";
    let message = wrong(text);
    for part in [
        "p/extension.toml:1:14:",
        "com.example.ram",
        ":2:11:",
        ":3:11:",
        "without \"..\"",
        ":4:12:",
        "protocol version 9",
        ":6:10:",
        "`create_target`",
        ":9:1:",
        "did you mean disks?",
        "more than most",
        ":12:9:",
    ] {
        assert!(message.contains(part), "{part}\n{message}");
    }
    let message = wrong("");
    for key in ["identifier", "version", "program", "protocol"] {
        assert!(message.contains(&format!("{key}: is missing")), "{message}");
    }
    assert!(wrong("a = ").contains("not TOML"));
    let built_in = GOOD.replace("com.example.ram", "org.outboard.array");
    assert!(wrong(&built_in).contains("built-in"));
}

#[test]
fn a_report_above_the_limits_is_named() {
    let package = Package::parse(GOOD, Path::new(FILE)).unwrap();
    let mut report = outboard_hba::testkit::Ram::report();
    assert_eq!(package.check_report(&report), Ok(()));
    report.maximum_task_count = 129;
    let message = package.check_report(&report).unwrap_err();
    assert!(message.contains("129") && message.contains("128"), "{message}");
}
