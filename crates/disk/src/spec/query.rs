//! The options of a disk URL: each at most once, each used.

use crate::spec::SpecError;

/// Options not yet taken.
pub(super) struct Query<'a> {
    url: &'a str,
    options: Vec<(&'a str, &'a str)>,
    known: Vec<&'static str>,
}

impl<'a> Query<'a> {
    pub(super) fn parse(url: &'a str, text: &'a str) -> Result<Self, SpecError> {
        let mut query = Self { url, options: Vec::new(), known: Vec::new() };
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| {
                query.error(part, "an option is NAME=VALUE", "for example block=4096")
            })?;
            if query.options.iter().any(|(other, _)| *other == name) {
                return Err(query.error(part, "an option is given once", "leave one of them out"));
            }
            query.options.push((name, value));
        }
        Ok(query)
    }

    /// The value of an option, if it was given.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'a str> {
        self.known.push(name);
        let at = self.options.iter().position(|(other, _)| *other == name)?;
        Some(self.options.swap_remove(at).1)
    }

    /// Parses an option into `value`; whether it was given.
    pub(super) fn set<T>(
        &mut self,
        name: &'static str,
        value: &mut T,
        parse: impl Fn(&str) -> Option<T>,
        what: &str,
    ) -> Result<bool, SpecError> {
        let Some(text) = self.take(name) else { return Ok(false) };
        *value = parse(text).ok_or_else(|| self.bad_value(name, text, what))?;
        Ok(true)
    }

    /// Parses `LOW..HIGH`.
    pub(super) fn range(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Option<u64>,
        what: &str,
    ) -> Result<Option<(u64, u64)>, SpecError> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let parsed =
            text.split_once("..").and_then(|(low, high)| Some((parse(low)?, parse(high)?)));
        match parsed {
            Some((low, high)) if low <= high => Ok(Some((low, high))),
            _ => Err(self.bad_value(name, text, &format!("{what}, the smaller first"))),
        }
    }

    /// Parses `on` or `off`.
    pub(super) fn switch(&mut self, name: &'static str) -> Result<Option<bool>, SpecError> {
        match self.take(name) {
            None => Ok(None),
            Some("on") => Ok(Some(true)),
            Some("off") => Ok(Some(false)),
            Some(text) => Err(self.bad_value(name, text, "on or off")),
        }
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self) -> Result<(), SpecError> {
        let Some((name, value)) = self.options.first() else { return Ok(()) };
        let mut known = self.known.clone();
        known.sort_unstable();
        let mend = format!("options here are {}", known.join(", "));
        Err(self.error(&format!("{name}={value}"), "this disk has no such option", &mend))
    }

    pub(super) fn error(&self, part: &str, rule: &str, mend: &str) -> SpecError {
        SpecError {
            url: self.url.to_owned(),
            part: part.to_owned(),
            rule: rule.to_owned(),
            mend: mend.to_owned(),
        }
    }

    fn bad_value(&self, name: &str, text: &str, what: &str) -> SpecError {
        let mend = format!("write {name}=VALUE with such a value, or leave {name} out");
        self.error(&format!("{name}={text}"), &format!("{name} is {what}"), &mend)
    }
}
