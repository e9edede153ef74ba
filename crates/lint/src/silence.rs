//! Comments that silence a rule in place: `// outboard-lint: allow(DK301) reason`.

use std::collections::{HashMap, HashSet};

use crate::model::program::Program;
use crate::rules::{self, Finding};
use crate::source::{FileId, SourceFile, Sources, Span};

const MARK: &str = "outboard-lint:";

/// The lines on which rules are silenced, by file.
pub(crate) struct Silenced(HashMap<FileId, FileSilence>);

#[derive(Default)]
struct FileSilence {
    lines: HashSet<(usize, &'static str)>,
    whole: HashSet<&'static str>,
}

impl Silenced {
    /// Collects the comments of all files.
    pub(crate) fn collect(sources: &Sources, program: &Program) -> Self {
        let mut out = HashMap::new();
        for (id, file) in sources.iter().filter(|(_, f)| f.text.contains(MARK)) {
            let comments = match program.comments.get(&id) {
                Some(spans) => spans.clone(),
                None => xml_comments(&file.text),
            };
            let mut silence = FileSilence::default();
            for span in &comments {
                read(file, *span, &mut silence);
            }
            out.insert(id, silence);
        }
        Self(out)
    }

    /// Whether a finding is silenced where it stands.
    pub(crate) fn covers(&self, sources: &Sources, finding: &Finding) -> bool {
        let Some(silence) = self.0.get(&finding.place.file) else { return false };
        let line = sources.file(finding.place.file).line_column(finding.place.span.start).0;
        let id = finding.rule.id;
        silence.whole.contains(id) || silence.lines.contains(&(line, id))
    }
}

fn read(file: &SourceFile, comment: Span, out: &mut FileSilence) {
    let text = file.slice(comment);
    let Some(at) = text.find(MARK) else { return };
    let rest = text[at + MARK.len()..].trim_start();
    let (whole, rest) = match (rest.strip_prefix("allow-file("), rest.strip_prefix("allow(")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return,
    };
    let Some(close) = rest.find(')') else { return };
    let ids: Vec<&'static str> =
        rest[..close].split(',').filter_map(|id| rules::find(id.trim())).map(|r| r.id).collect();
    if whole {
        out.whole.extend(ids);
        return;
    }
    let first = file.line_column(comment.start).0;
    let last = file.line_column(comment.end).0;
    let mut lines = vec![first, last];
    let before = file.slice(Span { start: file.line_span(first).start, end: comment.start });
    if before.trim().is_empty() {
        // Alone on its line: it speaks of the next line that is not blank or a comment.
        let mut next = last + 1;
        while next <= file.line_count() && next < last + 12 {
            let text = file.slice(file.line_span(next)).trim();
            lines.push(next);
            if !text.is_empty() && !text.starts_with("//") && !text.starts_with("<!--") {
                break;
            }
            next += 1;
        }
    }
    for line in lines {
        out.lines.extend(ids.iter().map(|id| (line, *id)));
    }
}

fn xml_comments(text: &str) -> Vec<Span> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("<!--").map(|i| at + i) {
        let end = text[open..].find("-->").map_or(text.len(), |i| open + i + 3);
        out.push(Span::new(open, end));
        at = end;
    }
    out
}
