//! XML property lists with the span of every key and value.

use crate::source::Span;

/// Deepest nesting of dictionaries and arrays that is read.
const MAX_DEPTH: usize = 64;

/// A value in a property list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Dict(Vec<(String, Span, Item)>),
    Array(Vec<Item>),
    Text(String),
    Bool(bool),
    /// Numbers, dates, data: not looked into.
    Other,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// A file as read.
#[derive(Clone, Debug)]
pub(crate) struct PlistFile {
    pub(crate) root: Option<Item>,
    /// Why the file could not be read to its end, and where.
    pub(crate) error: Option<(u32, String)>,
}

impl Item {
    /// The entry of a dictionary.
    pub(crate) fn entry(&self, key: &str) -> Option<(Span, &Self)> {
        match &self.value {
            Value::Dict(entries) => {
                entries.iter().find(|(k, _, _)| k == key).map(|(_, span, item)| (*span, item))
            }
            _ => None,
        }
    }

    /// The text of a string.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads an XML property list.
pub(crate) fn parse(text: &str) -> PlistFile {
    let mut parser = Parser { text, at: 0, error: None };
    let root = parser.document();
    PlistFile { root, error: parser.error }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    error: Option<(u32, String)>,
}

/// A tag: its name, whether it closes, whether it is empty, and its span.
#[derive(Clone, Copy)]
struct Tag<'a> {
    name: &'a str,
    closing: bool,
    empty: bool,
    span: Span,
}

impl<'a> Parser<'a> {
    fn document(&mut self) -> Option<Item> {
        if self.text.starts_with("bplist") {
            self.fail(0, "a binary property list; convert it with plutil -convert xml1");
            return None;
        }
        loop {
            let Some(tag) = self.tag() else {
                self.fail(self.at, "no property list found");
                return None;
            };
            match tag.name {
                "plist" if !tag.closing => {
                    let first = self.tag()?;
                    return self.item(first, 0);
                }
                "dict" | "array" => return self.item(tag, 0),
                _ => {}
            }
        }
    }

    fn item(&mut self, tag: Tag<'a>, depth: usize) -> Option<Item> {
        let start = tag.span.start;
        if depth > MAX_DEPTH {
            self.fail(start as usize, "nested too deep");
            return None;
        }
        let value = match tag.name {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "dict" if tag.empty => Value::Dict(Vec::new()),
            "array" if tag.empty => Value::Array(Vec::new()),
            "dict" => Value::Dict(self.entries(depth)),
            "array" => Value::Array(self.elements(depth)),
            "string" if tag.empty => Value::Text(String::new()),
            "string" => Value::Text(self.content("string")),
            name if tag.empty => {
                let _ = name;
                Value::Other
            }
            name => {
                self.content(name);
                Value::Other
            }
        };
        // `<true></true>` closes as well.
        Some(Item { span: Span { start, end: self.at as u32 }, value })
    }

    fn entries(&mut self, depth: usize) -> Vec<(String, Span, Item)> {
        let mut out = Vec::new();
        let mut key: Option<(String, Span)> = None;
        while let Some(tag) = self.tag() {
            if tag.closing {
                if tag.name == "dict" {
                    return out;
                }
                continue;
            }
            if tag.name == "key" && !tag.empty {
                let start = tag.span.start;
                let text = self.content("key");
                key = Some((text, Span { start, end: self.at as u32 }));
                continue;
            }
            let at = tag.span.start;
            let Some(item) = self.item(tag, depth + 1) else { return out };
            match key.take() {
                Some((text, span)) => out.push((text, span, item)),
                None => self.fail(at as usize, "a value without a key"),
            }
        }
        self.fail(self.at, "a dictionary is not closed");
        out
    }

    fn elements(&mut self, depth: usize) -> Vec<Item> {
        let mut out = Vec::new();
        while let Some(tag) = self.tag() {
            if tag.closing {
                if tag.name == "array" {
                    return out;
                }
                continue;
            }
            match self.item(tag, depth + 1) {
                Some(item) => out.push(item),
                None => return out,
            }
        }
        self.fail(self.at, "an array is not closed");
        out
    }

    /// The text up to the closing tag of `name`, which is consumed.
    fn content(&mut self, name: &str) -> String {
        let close = format!("</{name}");
        let rest = &self.text[self.at..];
        let Some(end) = rest.find(&close) else {
            self.fail(self.at, &format!("<{name}> is not closed"));
            self.at = self.text.len();
            return String::new();
        };
        let raw = &rest[..end];
        self.at += end + close.len();
        self.at += self.text[self.at..].find('>').map_or(0, |i| i + 1);
        let raw = raw.trim();
        let raw = raw.strip_prefix("<![CDATA[").and_then(|r| r.strip_suffix("]]>")).unwrap_or(raw);
        raw.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&apos;", "'")
            .replace("&amp;", "&")
    }

    /// The next tag; comments, declarations and text are passed over.
    fn tag(&mut self) -> Option<Tag<'a>> {
        loop {
            let open = self.at + self.text[self.at..].find('<')?;
            let rest = &self.text[open..];
            if rest.starts_with("<!--") {
                self.at = open + rest.find("-->").map_or(rest.len(), |i| i + 3);
                continue;
            }
            let close = rest.find('>')?;
            self.at = open + close + 1;
            if rest.starts_with("<!") || rest.starts_with("<?") {
                continue;
            }
            let inner = &rest[1..close];
            let closing = inner.starts_with('/');
            let empty = inner.ends_with('/');
            let inner = inner.trim_start_matches('/').trim_end_matches('/');
            let name = inner.split_whitespace().next().unwrap_or("");
            return Some(Tag { name, closing, empty, span: Span::new(open, self.at) });
        }
    }

    fn fail(&mut self, at: usize, why: &str) {
        self.error.get_or_insert_with(|| (at as u32, why.to_owned()));
    }
}
