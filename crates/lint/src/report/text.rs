//! Excerpts of the source with the findings drawn in.

use std::fmt::Write as _;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::rules::{Finding, Severity};
use crate::source::{Place, SourceFile, Sources};

use super::{Outcome, title};

/// Most findings that are drawn.
const MAX_DRAWN: usize = 500;
/// Longest line that is drawn.
const MAX_LINE: usize = 400;
/// Most lines between two places that are drawn in one excerpt.
const MAX_LINES: usize = 2_000;

/// The findings as excerpts.
pub fn render(outcome: &Outcome, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for finding in outcome.findings.iter().take(MAX_DRAWN) {
        out.push_str(&renderer.render(&[group(&outcome.sources, finding)]));
        out.push_str("\n\n");
    }
    if outcome.findings.len() > MAX_DRAWN {
        let _ = writeln!(
            out,
            "... and {} more; --format json lists all",
            outcome.findings.len() - MAX_DRAWN
        );
    }
    out
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Advice => Level::NOTE.with_name("advice"),
    }
}

fn group<'a>(sources: &'a Sources, finding: &'a Finding) -> Group<'a> {
    let mut group = level(finding.severity)
        .primary_title(title(finding))
        .id(finding.rule.id)
        .elements(Vec::<annotate_snippets::Element<'a>>::new());
    // Places of the finding's own file share one excerpt, others get their own.
    let own: Vec<(Place, &str, bool)> =
        std::iter::once((finding.place, finding.label.as_str(), true))
            .chain(
                finding
                    .related
                    .iter()
                    .filter(|(p, _)| p.file == finding.place.file)
                    .map(|(p, t)| (*p, t.as_str(), false)),
            )
            .collect();
    group = excerpt(group, sources.file(finding.place.file), &own);
    let mut files: Vec<_> =
        finding.related.iter().map(|(p, _)| p.file).filter(|f| *f != finding.place.file).collect();
    files.dedup();
    for file in files {
        let places: Vec<(Place, &str, bool)> = finding
            .related
            .iter()
            .filter(|(p, _)| p.file == file)
            .map(|(p, t)| (*p, t.as_str(), false))
            .collect();
        group = excerpt(group, sources.file(file), &places);
    }
    group = group.element(Level::HELP.message(finding.help.as_str()));
    if !finding.fix.is_empty() {
        group = group.element(Level::NOTE.message("--fix applies this"));
    }
    group
}

fn excerpt<'a>(
    mut group: Group<'a>,
    file: &'a SourceFile,
    places: &[(Place, &'a str, bool)],
) -> Group<'a> {
    let lines: Vec<usize> =
        places.iter().map(|(p, _, _)| file.line_column(p.span.start).0).collect();
    let (Some(first), Some(last)) = (lines.iter().min(), lines.iter().max()) else { return group };
    let long = (*first..=*last).take(MAX_LINES).any(|l| {
        let span = file.line_span(l);
        (span.end - span.start) as usize > MAX_LINE
    });
    if long || last - first > MAX_LINES {
        for (place, _, _) in places {
            let (line, column) = file.line_column(place.span.start);
            group = group.element(Origin::path(file.path.as_str()).line(line).char_column(column));
        }
        return group;
    }
    let (start, end) = (file.line_span(*first).start, file.line_span(*last).end);
    let window = &file.text[start as usize..end as usize];
    let mut snippet = Snippet::source(window).line_start(*first).path(file.path.as_str());
    for ((place, label, primary), line) in places.iter().zip(&lines) {
        // A finding of several lines is marked on its first.
        let line_end = file.line_span(*line).end;
        let from = place.span.start.min(line_end).max(start) - start;
        let to = place.span.end.min(line_end).max(from + start) - start;
        let kind = if *primary { AnnotationKind::Primary } else { AnnotationKind::Context };
        let span = trimmed(window, from as usize, to as usize);
        snippet = snippet.annotation(kind.span(span).label(*label));
    }
    group.element(snippet)
}

/// A range on character boundaries without a carriage return at its end.
fn trimmed(text: &str, from: usize, to: usize) -> std::ops::Range<usize> {
    let mut from = from.min(text.len());
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    let mut to = to.clamp(from, text.len());
    while !text.is_char_boundary(to) {
        to -= 1;
    }
    let kept = text[from..to].trim_end();
    from..from + kept.len()
}
