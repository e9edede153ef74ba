//! Reads a TOML table key by key; what is wrong is written down and reading goes on, so that one look
//! finds all mistakes.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use outboard_disk::units::{format_duration, format_size, parse_duration, parse_size};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::nearest::nearest;
use crate::problem::{At, Found};

/// Problems that are kept; a file with more is probably no configuration.
const MAX_PROBLEMS: usize = 50;

/// Where problems go.
#[derive(Debug, Default)]
pub struct Problems(RefCell<Vec<Found>>);

impl Problems {
    /// One more.
    pub fn add(&self, found: Found) {
        let mut list = self.0.borrow_mut();
        if list.len() < MAX_PROBLEMS {
            list.push(found);
        }
    }

    /// All of them, in the order they were found.
    pub fn into_vec(self) -> Vec<Found> {
        self.0.into_inner()
    }
}

/// Why a value is none: rule and mend.
#[derive(Debug)]
pub struct Fault {
    rule: String,
    mend: String,
    /// where, if it is only a part of the value
    at: Option<Range<usize>>,
}

impl Fault {
    /// Rule and mend.
    pub fn new(rule: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { rule: rule.into(), mend: mend.into(), at: None }
    }

    /// The same rule with another mend.
    pub fn with_mend(self, mend: impl Into<String>) -> Self {
        Self { mend: mend.into(), ..self }
    }

    /// The same of a key inside of the value.
    pub fn of(self, key: &str) -> Self {
        Self { rule: format!("{key} {}", self.rule), ..self }
    }

    /// What is wrong with something said on the command line.
    pub fn found(self, at: At) -> Found {
        Found::new(at, "", self.rule, self.mend)
    }
}

/// A table that is being read.
#[derive(Debug)]
pub struct Section<'r, 't> {
    problems: &'r Problems,
    path: String,
    span: Range<usize>,
    table: Option<&'r DeTable<'t>>,
    asked: Vec<&'static str>,
}

/// A value that is being read.
#[derive(Clone, Copy, Debug)]
pub struct Value<'r, 't>(&'r Spanned<DeValue<'t>>);

impl<'r, 't> Section<'r, 't> {
    /// A table at `span`, which messages call `path`.
    pub fn new(
        problems: &'r Problems,
        path: impl Into<String>,
        table: &'r DeTable<'t>,
        span: Range<usize>,
    ) -> Self {
        Self { problems, path: path.into(), span, table: Some(table), asked: Vec::new() }
    }

    /// Where the table begins.
    pub fn at(&self) -> At {
        At::Span(self.span.clone())
    }

    /// Where the value of a key is; the table itself if the key is not there.
    pub fn at_key(&self, key: &str) -> At {
        self.value(key).map_or_else(|| self.at(), |value| value.at())
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// A problem with a key.
    pub fn problem(&self, key: &str, rule: impl Into<String>, mend: impl Into<String>) {
        self.add(Found::new(self.at_key(key), self.name(key), rule, mend));
    }

    fn add(&self, found: Found) {
        // Even a misspelt key of [….chap.users] may have a secret.
        let is_secret = self.path.contains("chap");
        self.problems.add(Found { is_secret, ..found });
    }

    /// The value of a key, if it is there and right.
    pub fn get<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Value<'r, 't>) -> Result<T, Fault>,
    ) -> Option<T> {
        self.asked.push(key);
        let value = self.value(key)?;
        match read(value) {
            Ok(value) => Some(value),
            Err(Fault { rule, mend, at }) => {
                let at = at.map_or_else(|| value.at(), At::Span);
                self.add(Found::new(at, self.name(key), rule, mend));
                None
            }
        }
    }

    /// The same into a place that has the default.
    pub fn set<T>(
        &mut self,
        into: &mut T,
        key: &'static str,
        read: impl FnOnce(Value<'r, 't>) -> Result<T, Fault>,
    ) {
        if let Some(value) = self.get(key, read) {
            *into = value;
        }
    }

    /// The value of a key that must be there.
    pub fn need<T>(
        &mut self,
        key: &'static str,
        mend: &str,
        read: impl FnOnce(Value<'r, 't>) -> Result<T, Fault>,
    ) -> Option<T> {
        if !self.has(key) {
            self.asked.push(key);
            // A slip of the finger is told once, where it is.
            if !self.keys().any(|other| nearest(other, &[key]).is_some()) {
                self.problem(key, "is missing", mend);
            }
            return None;
        }
        self.get(key, read)
    }

    /// The table below a key; an empty one if the key is not there.
    pub fn section(&mut self, key: &'static str) -> Self {
        self.asked.push(key);
        let mut section = Section {
            problems: self.problems,
            path: self.name(key),
            span: self.span.clone(),
            table: None,
            asked: Vec::new(),
        };
        if let Some(Value(value)) = self.value(key) {
            section.span = value.span();
            match value.get_ref() {
                DeValue::Table(table) => section.table = Some(table),
                _ => self.problem(key, "is a table", format!("write [{}]", self.name(key))),
            }
        }
        section
    }

    /// The tables of an array of tables, `[[key]]`.
    pub fn sections(&mut self, key: &'static str) -> Vec<Self> {
        self.asked.push(key);
        let Some(value) = self.value(key) else { return Vec::new() };
        let mend = format!("write [[{}]] above each", self.name(key));
        let DeValue::Array(items) = value.0.get_ref() else {
            self.problem(key, "is a list of tables", mend);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => {
                    sections.push(Section::new(self.problems, self.name(key), table, item.span()));
                }
                _ => self.add(Found::new(
                    At::Span(item.span()),
                    self.name(key),
                    "is a list of tables",
                    mend.clone(),
                )),
            }
        }
        sections
    }

    /// Refuses the keys that nobody asked for.
    pub fn finish(self) {
        for (key, _) in self.table.into_iter().flat_map(DeTable::iter) {
            let name: &str = key.get_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let mend = match nearest(name, &self.asked) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("known are {}", list(&self.asked)),
            };
            let shown: String = name.chars().take(40).collect();
            let rule = match self.path.is_empty() {
                true => format!("there is no {shown:?}"),
                false => format!("[{}] has no {shown:?}", self.path),
            };
            self.add(Found::new(At::Span(key.span()), "", rule, mend));
        }
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.table.into_iter().flat_map(DeTable::keys).map(|key| key.get_ref().as_ref())
    }

    fn value(&self, key: &str) -> Option<Value<'r, 't>> {
        self.table?.get(key).map(Value)
    }

    fn name(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }
}

impl<'r, 't> Value<'r, 't> {
    /// What the parser gave.
    pub fn of(value: &'r Spanned<DeValue<'t>>) -> Self {
        Self(value)
    }

    /// Where it is.
    pub fn at(self) -> At {
        At::Span(self.0.span())
    }

    /// Any text.
    pub fn text(self) -> Result<&'r str, Fault> {
        match self.0.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => Err(Fault::new("is text", "put it between quotation marks")),
        }
    }

    /// Text that means something.
    pub fn parse<T, E: Into<Fault>>(
        self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Fault> {
        parse(self.text()?).map_err(Into::into)
    }

    /// True or false.
    pub fn flag(self) -> Result<bool, Fault> {
        match self.0.get_ref() {
            DeValue::Boolean(value) => Ok(*value),
            _ => Err(Fault::new("is true or false", "write it without quotation marks")),
        }
    }

    /// A whole number.
    pub fn count<T>(self, range: RangeInclusive<T>) -> Result<T, Fault>
    where
        T: TryFrom<u64> + PartialOrd + Display,
    {
        let rule = || {
            let rule = format!("is a whole number from {} to {}", range.start(), range.end());
            Fault::new(rule, "write one of them, without quotation marks")
        };
        let DeValue::Integer(number) = self.0.get_ref() else { return Err(rule()) };
        u64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(rule)
    }

    /// Text, or a whole number as it stands.
    pub fn word(self) -> Result<String, Fault> {
        match self.0.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
            _ => Err(Fault::new("is text", "put it between quotation marks")),
        }
    }

    /// Bytes: a number, or text as `64Mi`.
    pub fn size(self, range: RangeInclusive<u64>) -> Result<u64, Fault> {
        let size = self.word().ok().and_then(|text| parse_size(&text));
        size.filter(|size| range.contains(size)).ok_or_else(|| {
            let (least, most) = (format_size(*range.start()), format_size(*range.end()));
            Fault::new(
                format!("is a size from {least} to {most} bytes"),
                format!("write for example {:?}", format_size(example(&range))),
            )
        })
    }

    /// A time as `15s`.
    pub fn duration(self, range: RangeInclusive<Duration>) -> Result<Duration, Fault> {
        let duration = self.text().ok().and_then(parse_duration).map(Duration::from_nanos);
        duration.filter(|duration| range.contains(duration)).ok_or_else(|| {
            let shown = |d: &Duration| format_duration(u64::try_from(d.as_nanos()).unwrap_or(0));
            let (least, most) = (shown(range.start()), shown(range.end()));
            let mend = format!("write it with its unit, for example {least:?}");
            Fault::new(format!("is a time from {least} to {most}"), mend)
        })
    }

    /// A list, each entry with its place.
    pub fn list<T>(self, read: impl Fn(Self) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
        let DeValue::Array(items) = self.0.get_ref() else {
            return Err(Fault::new("is a list", "write it as [\"…\", \"…\"]"));
        };
        let read = |item| {
            let value = Value(item);
            read(value)
                .map_err(|fault| Fault { at: fault.at.or_else(|| Some(item.span())), ..fault })
        };
        items.iter().map(read).collect()
    }

    /// The table, if it is one.
    pub fn table(self) -> Option<(&'r DeTable<'t>, Range<usize>)> {
        match self.0.get_ref() {
            DeValue::Table(table) => Some((table, self.0.span())),
            _ => None,
        }
    }

    /// A table of anything, as JSON has it.
    pub fn json(self) -> Result<serde_json::Value, Fault> {
        match self.0.get_ref() {
            DeValue::Table(table) => json_table(table),
            _ => Err(Fault::new(
                "is a table",
                "write { key = \"value\" }, or [….options] above the keys",
            )),
        }
    }

    /// The entries of a list, whatever they are.
    pub fn items(self) -> Result<impl Iterator<Item = Self>, Fault> {
        match self.0.get_ref() {
            DeValue::Array(items) => Ok(items.iter().map(Value)),
            _ => Err(Fault::new("is a list", "write it as [ … ]")),
        }
    }
}

fn json_table(table: &DeTable<'_>) -> Result<serde_json::Value, Fault> {
    let mut map = serde_json::Map::new();
    for (key, value) in table {
        map.insert(key.get_ref().to_string(), json(value)?);
    }
    Ok(serde_json::Value::Object(map))
}

fn json(value: &Spanned<DeValue<'_>>) -> Result<serde_json::Value, Fault> {
    let wrong = |rule: &str, mend: &str| Fault { at: Some(value.span()), ..Fault::new(rule, mend) };
    Ok(match value.get_ref() {
        DeValue::String(text) => text.to_string().into(),
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| wrong("is a number of 64 bits", "write it as text"))?
            .into(),
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .ok_or_else(|| wrong("is no number that JSON has", "write it as text"))?
            .into(),
        DeValue::Datetime(_) => {
            return Err(wrong("is a date, which JSON has not", "write it as text"));
        }
        DeValue::Array(items) => items.iter().map(json).collect::<Result<Vec<_>, _>>()?.into(),
        DeValue::Table(table) => json_table(table)?,
    })
}

/// Words with commas, the last with `and`.
pub fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [words @ .., last] => format!("{} and {last}", words.join(", ")),
    }
}

fn example(range: &RangeInclusive<u64>) -> u64 {
    let (least, most) = (*range.start(), *range.end());
    [64 << 20, 1 << 20, 64 << 10]
        .into_iter()
        .find(|n| range.contains(n))
        .unwrap_or_else(|| least.max(1))
        .min(most)
}
