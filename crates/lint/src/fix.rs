//! Applies the mends that are safe.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use crate::rules::{Edit, Finding};
use crate::source::{FileId, Sources};

/// The new text of every file that a mend changes.
///
/// Edits that overlap are left out together with the finding they belong to.
pub fn apply(sources: &Sources, findings: &[Finding]) -> BTreeMap<FileId, (String, usize)> {
    let mut by_file: BTreeMap<FileId, Vec<&Edit>> = BTreeMap::new();
    for finding in findings {
        for edit in finding.fix.iter().filter(|e| !sources.file(e.place.file).altered) {
            by_file.entry(edit.place.file).or_default().push(edit);
        }
    }
    let mut out = BTreeMap::new();
    for (id, mut edits) in by_file {
        edits.sort_by_key(|e| (e.place.span, e.text.clone()));
        edits.dedup();
        let text = &sources.file(id).text;
        let mut new = String::with_capacity(text.len() + 256);
        let mut at = 0;
        let mut count = 0;
        for edit in edits {
            let range = edit.place.span.range();
            if range.start < at || range.end > text.len() {
                continue;
            }
            new.push_str(&text[at..range.start]);
            if text.contains("\r\n") {
                new.push_str(&edit.text.replace('\n', "\r\n"));
            } else {
                new.push_str(&edit.text);
            }
            at = range.end;
            count += 1;
        }
        new.push_str(&text[at..]);
        out.insert(id, (new, count));
    }
    out
}

/// Writes changed files back, each through a temporary file beside it.
///
/// # Errors
/// The first file that cannot be written, with its path.
pub fn write(
    sources: &Sources,
    changed: &BTreeMap<FileId, (String, usize)>,
) -> Result<(), (String, io::Error)> {
    for (id, (text, _)) in changed {
        let path = &sources.file(*id).path;
        let temporary = format!("{path}.outboard-lint.tmp");
        let done = fs::metadata(path).and_then(|meta| {
            fs::write(&temporary, text)?;
            fs::set_permissions(&temporary, meta.permissions())?;
            fs::rename(&temporary, path)
        });
        if let Err(error) = done {
            let _ = fs::remove_file(&temporary);
            return Err((path.clone(), error));
        }
    }
    Ok(())
}
