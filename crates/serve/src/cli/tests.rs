use clap::{CommandFactory, Parser};

use super::*;

#[derive(Debug, Parser)]
#[command(name = "outboard", term_width = 80)]
struct Root {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<ServeArgs>),
    Status(StatusArgs),
    Config(ConfigArgs),
    Ext(ExtArgs),
}

fn refused(line: &str) -> String {
    let args = ["outboard"].into_iter().chain(line.split_whitespace());
    let error = Root::try_parse_from(args).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

#[test]
fn help() {
    Root::command().debug_assert();
    let mut root = Root::command();
    root.build();
    for name in ["serve", "status", "config", "ext"] {
        let command = root.find_subcommand_mut(name).unwrap();
        insta::assert_snapshot!(format!("help_{name}"), command.render_long_help());
    }
}

#[test]
fn a_file_or_flags() {
    let parse = |line: &str| {
        Root::try_parse_from(["outboard", "serve"].into_iter().chain(line.split_whitespace()))
    };
    assert!(parse("--config a.toml --log-format json --api none").is_ok());
    assert!(parse("--array disk:a.img --iscsi [::1]:3260 --spin").is_ok());
    assert!(parse("--array disk:a.img --array b=0:b,c --api none").is_ok());
    let messages = [
        refused("serve --config a.toml --read-only"),
        refused("serve --read-only"),
        refused("serve --array disk:a --chap-user ann"),
        refused("serve --array disk:a --log-format xml"),
        refused("config check"),
    ];
    insta::assert_snapshot!(messages.join("---\n"));
}
