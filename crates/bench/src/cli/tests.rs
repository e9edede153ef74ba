use std::io::{self, Write};
use std::path::PathBuf;

use clap::{CommandFactory, Parser};

use super::*;
use crate::plan::{Plan, RandomPlan};
use crate::table::Ink;
use crate::testing;

#[derive(Debug, Parser)]
#[command(name = "bench", term_width = 80)]
struct Root {
    #[command(flatten)]
    bench: BenchArgs,
}

fn parse(line: &str) -> BenchArgs {
    Root::try_parse_from(["bench"].into_iter().chain(line.split_whitespace())).unwrap().bench
}

fn refused(line: &str) -> String {
    let args = ["bench"].into_iter().chain(line.split_whitespace());
    let error = Root::try_parse_from(args).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

#[test]
fn help() {
    Root::command().debug_assert();
    insta::assert_snapshot!("help", Root::command().render_long_help());
    let mut root = Root::command();
    root.build();
    let random = root.find_subcommand_mut("random").unwrap();
    insta::assert_snapshot!("help_random", random.render_long_help());
}

#[test]
fn no_arguments_are_the_defaults() {
    let options = format!("{:?}", parse("").system.options());
    assert_eq!(options, format!("{:?}", PlanOptions::default()));
    let Some(BenchCommand::Random(args)) = parse("random").command else { panic!() };
    assert_eq!(format!("{:?}", args.options()), format!("{:?}", RandomOptions::default()));
    let Some(BenchCommand::Cost(args)) = parse("cost").command else { panic!() };
    assert_eq!(format!("{:?}", args.options()), format!("{:?}", CostOptions::default()));
    let Some(BenchCommand::Idle(args)) = parse("idle").command else { panic!() };
    assert_eq!(format!("{:?}", args.options()), format!("{:?}", IdleOptions::default()));
}

#[test]
fn arguments_arrive() {
    let args = parse(
        "--disk a --disk mem:1G --level linear --chunk 64Ki --resolution hd --format v210 \
         --size 512M --command-size 128Ki --queue-depth 4,1 --queue-depth 32 \
         --path bundled,resident --rounds 2 --verify --overwrite --seed 9 --pin 1:0 --no-spin",
    );
    let plan = Plan::new(args.system.options()).unwrap();
    assert_eq!(plan.array.disks, ["a", "mem:1G"]);
    assert_eq!((plan.array.level, plan.array.chunk), (Level::Linear, 65_536));
    assert_eq!((plan.frame_bytes, plan.frames, plan.command_size), (5_529_600, 92, 131_072));
    assert_eq!((plan.queue_depths, plan.rows), (vec![1, 4, 32], vec![Row::RESIDENT, Row::BUNDLED]));
    assert_eq!((plan.rounds, plan.verify, plan.overwrite, plan.seed), (2, true, true, 9));
    assert_eq!(plan.placement.pin, Pinning::Cpus { host: 1, driver: 0 });
    assert!(!plan.placement.spin);
    let Some(BenchCommand::Random(args)) = parse("random --read-share 70 --path single").command
    else {
        panic!()
    };
    let plan = RandomPlan::new(args.options()).unwrap();
    assert_eq!((plan.read_share, plan.rows), (70, vec![Row::SINGLE]));
}

#[test]
fn what_is_no_value_says_what_is() {
    let messages = [
        refused("--size lots"),
        refused("--resolution wide"),
        refused("--format 11-bit-yuv"),
        refused("--path kext"),
        refused("--level 5"),
        refused("--pin first"),
        refused("--chunk 64Gi"),
        refused("--size 1G random"),
    ];
    insta::assert_snapshot!(messages.join("---\n"));
}

#[test]
fn json_on_standard_output_is_alone_there() {
    let outcome = testing::small();
    let output = |json: Option<&str>| {
        let args = OutputArgs { json: json.map(PathBuf::from), report: None };
        let mut text = Vec::new();
        args.write(&outcome, Ink::PLAIN, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    assert_eq!(output(Some("-")), outcome.to_json().unwrap());
    assert!(output(None).starts_with("System test:"));
}

#[test]
fn files_are_written_and_bad_ones_refused_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let [json, report] = ["a.json", "a.html"].map(|name| folder.path().join(name));
    let args = OutputArgs { json: Some(json.clone()), report: Some(report.clone()) };
    args.check().unwrap();
    args.write(&testing::small(), Ink::PLAIN, &mut io::sink()).unwrap();
    assert!(std::fs::read_to_string(report).unwrap().ends_with("</html>\n"));
    serde_json::from_slice::<serde_json::Value>(&std::fs::read(json).unwrap()).unwrap();
    for path in [folder.path().to_owned(), folder.path().join("no/such.html"), "-".into()] {
        let args = OutputArgs { json: None, report: Some(path) };
        assert_eq!(args.check().unwrap_err().exit_code(), 2);
    }
    let gone = OutputArgs { json: None, report: Some(folder.path().join("no/such.html")) };
    let error = gone.write(&testing::small(), Ink::PLAIN, &mut io::sink()).unwrap_err();
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    struct Closed(io::ErrorKind);
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let write =
        |kind| OutputArgs::default().write(&testing::small(), Ink::PLAIN, &mut Closed(kind));
    write(io::ErrorKind::BrokenPipe).unwrap();
    assert_eq!(write(io::ErrorKind::StorageFull).unwrap_err().exit_code(), 1);
}
