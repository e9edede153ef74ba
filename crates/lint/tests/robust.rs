//! Whatever the input: a message, bounded time, never a panic.

mod common;

use std::time::{Duration, Instant};

use outboard_lint::check::check_texts;
use outboard_lint::config::Config;
use outboard_lint::load::decode;
use outboard_lint::report::{github, json, sarif, text};
use outboard_lint::{fix, methods};
use proptest::prelude::*;

/// Lints a text under every kind of file and renders every output.
fn everything(contents: &str) {
    for name in ["a.iig", "a.cpp", "a.h", "Info.plist", "a.entitlements"] {
        let outcome = check_texts([(name, contents)], &Config::default());
        for finding in &outcome.findings {
            let span = finding.place.span.range();
            assert!(span.end <= contents.len(), "a span past the end");
            assert!(contents.is_char_boundary(span.start) && contents.is_char_boundary(span.end));
        }
        let _ = text::render(&outcome, true);
        let _ = json::render(&outcome);
        let _ = sarif::render(&outcome);
        let _ = github::render(&outcome);
        let _ = fix::apply(&outcome.sources, &outcome.findings);
        let _ = methods::report(&outcome.sources).text();
    }
}

/// Pieces that make up drivers, whole and broken.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "IMPL(",
        "C, ",
        "UserProcessParallelTask",
        ")",
        "(",
        "{",
        "}",
        "[",
        "]",
        ";",
        ",",
        "^{",
        "^",
        "<",
        ">",
        "class ",
        "C ",
        ": public IOUserSCSIParallelInterfaceController",
        "QUEUENAME(",
        "Q",
        "TYPE(",
        "LOCALONLY",
        "\n",
        "#if A\n",
        "#else\n",
        "#endif\n",
        "#define M(x) ",
        "#define K 1\n",
        "\\\n",
        "\"",
        "'",
        "/*",
        "*/",
        "//",
        "return ",
        "0",
        "if (",
        "else ",
        "for (;;) ",
        "switch (x) ",
        "case 1:",
        "goto l;",
        "l:",
        "->",
        ".",
        "::",
        "*",
        "&",
        "=",
        "==",
        "ivars",
        "completion",
        "response",
        "IODispatchQueue::Create(\"Q\", 0, 0, &ivars->q)",
        "SetDispatchQueue(\"Q\", ivars->q)",
        "ParallelTaskCompletion(completion, r)",
        "SCSIUserParallelResponse r = {};",
        "r.version = 1;",
        "IOLockLock(l);",
        "DispatchAsync(",
        "R\"(",
        "L\"",
        "0x",
        "1'0",
        "é",
        "\u{feff}",
        "\0",
        "<plist>",
        "<dict>",
        "<key>",
        "</key>",
        "</dict>",
        "<!--",
        "-->",
        "outboard-lint: allow(DK101) x",
    ];
    prop::sample::select(words.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_never_panic(pieces in prop::collection::vec(piece(), 0..120)) {
        everything(&pieces.concat());
    }

    #[test]
    fn text_never_panics(text in "\\PC{0,400}") {
        everything(&text);
    }

    #[test]
    fn bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let len = bytes.len();
        if let Ok((text, _)) = decode(bytes) {
            prop_assert_eq!(text.len(), len);
            everything(&text);
        }
    }

    /// The example with a piece cut out and another put in.
    #[test]
    fn a_damaged_example_never_panics(file in 0usize..6, at in 0.0f64..1.0, len in 0usize..400, put in piece()) {
        let mut files = common::example();
        let text = &mut files[file].1;
        let mut from = (text.len() as f64 * at) as usize;
        while !text.is_char_boundary(from) { from -= 1; }
        let mut to = (from + len).min(text.len());
        while !text.is_char_boundary(to) { to -= 1; }
        text.replace_range(from..to.max(from), &put);
        let outcome = common::lint(&files);
        let _ = common::shown(&outcome);
        let _ = sarif::render(&outcome);
    }
}

#[test]
fn a_damaged_file_says_what_was_not_read() {
    let mut files = common::example();
    let text = &mut files[2].1;
    *text = text.replacen(
        "    return ivars->lock != nullptr;\n}\n",
        "    return ivars->lock != nullptr;\n",
        1,
    );
    let outcome = common::lint(&files);
    assert!(!outcome.skipped.is_empty(), "the lost brace is reported");
    assert!(outcome.findings.is_empty(), "{}", common::shown(&outcome));
}

/// Shapes that break parsers, at 200 kB each; the release figures for 1 and 10 MB are in docs/limits.md.
#[test]
fn hostile_shapes_take_bounded_time() {
    let n = 200_000;
    let shapes: Vec<(&str, String)> = vec![
        (
            "parentheses",
            format!("int f() {{ return {}1{}; }}", "(".repeat(n / 2), ")".repeat(n / 2)),
        ),
        ("open braces", format!("void f() {}", "{".repeat(n))),
        ("closing braces", "}".repeat(n)),
        (
            "blocks",
            format!(
                "void X::UserStartController() {{ {} {} }}",
                "q->DispatchAsync(^{ ".repeat(n / 20),
                "}); ".repeat(n / 20)
            ),
        ),
        (
            "conditionals",
            format!(
                "void f() {{\n{}x();\n{}}}\n",
                "#if A\n".repeat(n / 14),
                "#endif\n".repeat(n / 14)
            ),
        ),
        (
            "else if",
            format!(
                "void X::UserStartController() {{ {} {{}} }}",
                "if (a) { b(); } else ".repeat(n / 21)
            ),
        ),
        ("sums", format!("int x = {}b;", "a + ".repeat(n / 4))),
        ("negations", format!("void X::UserStartController() {{ x = {}a; }}", "!".repeat(n))),
        (
            "loops",
            format!(
                "void X::UserStartController() {{ {}ParallelTaskCompletion(a, b);{} }}",
                "for (;;) { ".repeat(140),
                "}".repeat(140)
            ),
        ),
        ("angle brackets", format!("x{}", "<".repeat(n))),
        ("open string", format!("const char * s = \"{}", "\\\"x".repeat(n / 3))),
        ("open comment", format!("/*{}", "*".repeat(n))),
        ("macros", "#define M(x) do { f(x); } while (0)\n".repeat(n / 36)),
        ("endless macro", format!("#define M(x) {}", "f(x) \\\n".repeat(n / 8))),
        ("self-naming macros", "#define A B\n#define B A\nint x = A;\n".repeat(n / 40)),
        ("one line", "a".repeat(n)),
        ("dictionaries", format!("<plist>{}", "<dict><key>a</key>".repeat(n / 18))),
        ("declarators", format!("int {}x;", "*".repeat(n))),
        ("members", format!("void X::UserStartController() {{ a{}; }}", ".b".repeat(n / 2))),
        ("ternaries", format!("int x = {}0;", "a ? b : ".repeat(n / 8))),
        ("nested classes", "class A { ".repeat(n / 10)),
        ("namespaces", "namespace a { ".repeat(n / 14)),
        (
            "many branches",
            format!(
                "kern_return_t IMPL(X, UserProcessParallelTask)\n{{\n{}}}\n",
                "if (a) { IOLockLock(l); } else { ParallelTaskCompletion(x, y); }\n".repeat(n / 68)
            ),
        ),
    ];
    for (what, shape) in shapes {
        for name in ["a.cpp", "Info.plist"] {
            let start = Instant::now();
            let outcome = check_texts([(name, shape.as_str())], &Config::default());
            let _ = text::render(&outcome, false);
            let took = start.elapsed();
            assert!(took < Duration::from_secs(10), "{what} as {name} took {took:?}");
        }
    }
}
