//! SARIF output against the OASIS schema, with a validator for the keywords that this schema uses.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use serde_json::{Value, json};

use common::{example, lint};
use outboard_lint::check::check_texts;
use outboard_lint::config::Config;
use outboard_lint::report::{Outcome, sarif};
use outboard_lint::rules;

const SCHEMA: &str = include_str!("../fixtures/sarif/sarif-schema-2.1.0.json");

#[test]
fn output_fits_the_schema() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut outcomes: Vec<Outcome> = rules::all()
        .iter()
        .map(|rule| {
            let name = format!("dir with space/{}.{}", rule.id, rule.language);
            check_texts([(name.as_str(), rule.wrong)], &Config::default())
        })
        .collect();
    outcomes.push(lint(&example()));
    outcomes
        .push(check_texts([("broken.cpp", "int f( { ] \"\n}}}} class ;;")], &Config::default()));
    let mut with_fix = 0;
    for outcome in &outcomes {
        let log = sarif::render(outcome);
        with_fix += usize::from(log.pointer("/runs/0/results/0/fixes").is_some());
        let mut errors = Vec::new();
        validate(&schema, &schema, &log, "$", &mut errors);
        assert!(errors.is_empty(), "{errors:#?}");
    }
    assert!(with_fix >= 4, "some results carry fixes");
}

#[test]
fn the_validator_finds_errors() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let good = sarif::render(&lint(&example()));
    for (pointer, bad) in [
        ("/version", json!("2.0.0")),
        ("/runs/0/tool/driver/name", json!(3)),
        ("/runs/0/columnKind", json!("bytes")),
        ("/runs/0/artifacts/0/length", json!(-5)),
        ("/runs/0/tool/driver/rules/0/defaultConfiguration/level", json!("bad")),
    ] {
        let mut log = good.clone();
        *log.pointer_mut(pointer).unwrap() = bad;
        let mut errors = Vec::new();
        validate(&schema, &schema, &log, "$", &mut errors);
        assert!(!errors.is_empty(), "{pointer} is wrong and passes");
    }
}

/// Draft 7, the keywords of this schema only. An unknown keyword fails the test rather than being passed over.
fn validate(root: &Value, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
    let Some(schema) = schema.as_object() else { return };
    let mut fail = |why: String| errors.push(format!("{at}: {why}"));
    for (keyword, rule) in schema {
        match keyword.as_str() {
            "$schema" | "$id" | "id" | "title" | "description" | "default" | "definitions" => {}
            // Not looked into: no field that the linter writes has a pattern; `format` is an annotation in draft 7.
            "format" => {}
            "pattern" => {
                fail("a field with a pattern is written, teach the validator patterns".to_owned());
            }
            "$ref" => {
                let pointer = rule.as_str().unwrap().trim_start_matches('#');
                validate(root, root.pointer(pointer).unwrap(), value, at, errors);
                return;
            }
            "type" => {
                let types: Vec<&str> = match rule {
                    Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
                    one => one.as_str().into_iter().collect(),
                };
                if !types.iter().any(|t| is_type(value, t)) {
                    fail(format!("is not {types:?}"));
                }
            }
            "enum" => {
                if !rule.as_array().unwrap().contains(value) {
                    fail(format!("{value} is not one of {rule}"));
                }
            }
            "minimum" | "maximum" => {
                if let (Some(n), Some(limit)) = (value.as_f64(), rule.as_f64()) {
                    let ok = if keyword == "minimum" { n >= limit } else { n <= limit };
                    if !ok {
                        fail(format!("{n} breaks {keyword} {limit}"));
                    }
                }
            }
            "minItems" | "maxItems" => {
                if let Some(list) = value.as_array() {
                    let limit = rule.as_u64().unwrap() as usize;
                    let ok = if keyword == "minItems" {
                        list.len() >= limit
                    } else {
                        list.len() <= limit
                    };
                    if !ok {
                        fail(format!("{} items break {keyword}", list.len()));
                    }
                }
            }
            "uniqueItems" => {
                if let Some(list) = value.as_array()
                    && list.iter().enumerate().any(|(i, item)| list[..i].contains(item))
                {
                    fail("has an item twice".to_owned());
                }
            }
            "required" => {
                if let Some(object) = value.as_object() {
                    for name in rule.as_array().unwrap().iter().filter_map(Value::as_str) {
                        if !object.contains_key(name) {
                            fail(format!("lacks {name}"));
                        }
                    }
                }
            }
            "items" | "properties" | "additionalProperties" | "anyOf" | "oneOf" | "allOf" => {}
            other => panic!("schema keyword {other} is not known to the validator"),
        }
    }
    validate_rest(root, schema, value, at, errors);
}

fn validate_rest(
    root: &Value,
    schema: &serde_json::Map<String, Value>,
    value: &Value,
    at: &str,
    errors: &mut Vec<String>,
) {
    if let Some(object) = value.as_object() {
        let known = schema.get("properties").and_then(Value::as_object);
        for (name, item) in object {
            match (known.and_then(|k| k.get(name)), schema.get("additionalProperties")) {
                (Some(rule), _) => validate(root, rule, item, &format!("{at}.{name}"), errors),
                (None, Some(Value::Bool(false))) => {
                    errors.push(format!("{at}: {name} is not allowed"));
                }
                (None, Some(rule @ Value::Object(_))) => {
                    validate(root, rule, item, &format!("{at}.{name}"), errors);
                }
                _ => {}
            }
        }
    }
    if let (Some(list), Some(rule)) = (value.as_array(), schema.get("items")) {
        for (i, item) in list.iter().enumerate() {
            validate(root, rule, item, &format!("{at}[{i}]"), errors);
        }
    }
    let matches = |rule: &Value| {
        let mut inner = Vec::new();
        validate(root, rule, value, at, &mut inner);
        inner.is_empty()
    };
    for (keyword, least, most) in
        [("anyOf", 1, usize::MAX), ("oneOf", 1, 1), ("allOf", usize::MAX, usize::MAX)]
    {
        if let Some(list) = schema.get(keyword).and_then(Value::as_array) {
            let count = list.iter().filter(|rule| matches(rule)).count();
            if count < least.min(list.len()) || count > most {
                errors.push(format!("{at}: {count} of {keyword} match"));
            }
        }
    }
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => false,
    }
}
