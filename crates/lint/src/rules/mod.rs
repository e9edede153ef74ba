//! The rules: what each says, why, and the code that finds it.

use std::collections::HashMap;

use crate::model::framework;
use crate::model::graph::{self, Graph, Reached};
use crate::model::program::{Controller, FnId, Program};
use crate::model::queues::Queues;
use crate::plist::PlistFile;
use crate::source::{FileId, Place, Sources};
use crate::syntax::ast::{Expr, ExprKind, Function};
use crate::syntax::walk;

mod action;
mod bundled;
mod class;
mod limits;
mod locks;
mod personality;
mod queues;
mod response;
mod slots;
mod targets;
mod task;
mod texts;
mod waits;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; the driver works.
    Advice,
    /// Likely to hang, stall or lose something.
    Warning,
    /// Panics, hangs, aborts or corrupts.
    Error,
}

impl Severity {
    /// The word used in every output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Advice => "advice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What a rule says. The page of the rule is made from this and nothing else.
pub struct Rule {
    /// Short identifier, `DK101`.
    pub id: &'static str,
    /// Readable identifier, `queue-on-action-method`.
    pub name: &'static str,
    /// How bad a finding is as a rule.
    pub severity: Severity,
    /// One sentence: what is found.
    pub summary: &'static str,
    /// Why it is wrong.
    pub reason: &'static str,
    /// Where the reason is documented.
    pub source: &'static str,
    /// What to write instead.
    pub mend: &'static str,
    /// An example that is found; its language is told by `language`.
    pub wrong: &'static str,
    /// The same, mended.
    pub right: &'static str,
    /// `iig`, `cpp`, `plist` or `entitlements`.
    pub language: &'static str,
    /// Whether `--fix` can mend it.
    pub fixable: bool,
}

/// A replacement of a span of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; an empty span inserts.
    pub place: Place,
    /// The new text.
    pub text: String,
}

/// A finding.
#[derive(Clone)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// How bad; usually the rule's.
    pub severity: Severity,
    /// The linter cannot be sure.
    pub possible: bool,
    /// Where.
    pub place: Place,
    /// What is wrong, naming the thing.
    pub message: String,
    /// What is under the marked text.
    pub label: String,
    /// Other places that belong to it.
    pub related: Vec<(Place, String)>,
    /// What to write instead.
    pub help: String,
    /// A mend that is safe to apply.
    pub fix: Vec<Edit>,
}

impl Finding {
    pub(crate) fn new(rule: &'static Rule, place: Place, message: impl Into<String>) -> Self {
        Self {
            rule,
            severity: rule.severity,
            possible: false,
            place,
            message: message.into(),
            label: String::new(),
            related: Vec::new(),
            help: rule.mend.to_owned(),
            fix: Vec::new(),
        }
    }

    pub(crate) fn label(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    pub(crate) fn related(mut self, place: Place, text: impl Into<String>) -> Self {
        if self.related.len() < 6 && !self.related.iter().any(|(p, _)| *p == place) {
            self.related.push((place, text.into()));
        }
        self
    }

    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help = text.into();
        self
    }

    pub(crate) fn possible(mut self, possible: bool) -> Self {
        self.possible |= possible;
        self
    }

    pub(crate) fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(crate) fn fix(mut self, place: Place, text: impl Into<String>) -> Self {
        self.fix.push(Edit { place, text: text.into() });
        self
    }
}

/// All rules in the order of their identifiers.
pub fn all() -> Vec<&'static Rule> {
    let mut out: Vec<&'static Rule> = [
        texts::queues::RULES,
        texts::targets::RULES,
        texts::waits::RULES,
        texts::locks::RULES,
        texts::bundled::RULES,
        texts::slots::RULES,
        texts::response::RULES,
        texts::task::RULES,
        texts::action::RULES,
        texts::limits::RULES,
        texts::class::RULES,
        texts::personality::RULES,
    ]
    .concat();
    out.sort_by_key(|rule| rule.id);
    out
}

/// The rule of an identifier or name, in any case.
pub fn find(text: &str) -> Option<&'static Rule> {
    all().into_iter().find(|r| r.id.eq_ignore_ascii_case(text) || r.name.eq_ignore_ascii_case(text))
}

/// What the rules look at.
pub(crate) struct Check<'p> {
    pub(crate) sources: &'p Sources,
    pub(crate) program: &'p Program,
    pub(crate) graph: Graph<'p>,
    pub(crate) queues: Queues<'p>,
    pub(crate) plists: &'p [(FileId, PlistFile)],
    /// For every function the ways it is reached from the kernel.
    pub(crate) contexts: HashMap<FnId, Vec<Reached>>,
    /// By the last word of the left side: everything assigned, atomically stored values included.
    pub(crate) assigned: HashMap<&'p str, Vec<(FnId, &'p Expr)>>,
}

impl<'p> Check<'p> {
    /// Runs every rule.
    pub(crate) fn run(
        sources: &'p Sources,
        program: &'p Program,
        plists: &'p [(FileId, PlistFile)],
    ) -> Vec<Finding> {
        let graph = Graph::build(program);
        let queues = Queues::build(&graph);
        let mut entries = Vec::new();
        for controller in &program.controllers {
            entries.extend(graph::entries(program, controller));
        }
        let contexts = graph.contexts(&entries, &|_, key| queues.name_of(key));
        let assigned = assignments(program);
        let check = Self { sources, program, graph, queues, plists, contexts, assigned };
        let mut out = Vec::new();
        let rules: &[fn(&Check<'_>, &mut Vec<Finding>)] = &[
            queues::check,
            targets::check,
            waits::check,
            locks::check,
            bundled::check,
            slots::check,
            response::check,
            task::check,
            action::check,
            limits::check,
            class::check,
            personality::check,
        ];
        for rule in rules {
            rule(&check, &mut out);
        }
        if !program.skipped.is_empty() {
            // What seems missing may be in a part that could not be read.
            for finding in out.iter_mut().filter(|f| OF_ABSENCE.contains(&f.rule.id)) {
                finding.possible = true;
            }
        }
        out.sort_by(|a, b| {
            // Advice comes last, whatever file it is on.
            let key = |f: &Finding| (f.severity == Severity::Advice, f.place, f.rule.id);
            key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
        });
        out.dedup_by(|a, b| a.rule.id == b.rule.id && a.place == b.place);
        out
    }

    /// A function of the program.
    pub(crate) fn function(&self, id: FnId) -> &'p Function {
        &self.program.functions[id]
    }

    /// The place of an expression in a function.
    pub(crate) fn at(&self, id: FnId, expr: &Expr) -> Place {
        Place::new(self.function(id).file, expr.span)
    }

    /// The text of an expression as written.
    pub(crate) fn text(&self, id: FnId, expr: &Expr) -> &'p str {
        self.sources.file(self.function(id).file).slice(expr.span)
    }

    /// Whether the program holds the body of a method that every controller has.
    pub(crate) fn has_startup(&self, controller: &Controller) -> bool {
        ["UserInitializeController", "Start", "UserStartController"]
            .iter()
            .any(|name| self.program.body(controller, name).is_some())
    }

    /// Whether the whole driver seems to be here: most methods have a body.
    pub(crate) fn is_whole(&self, controller: &Controller) -> bool {
        let bodies = framework::METHODS
            .iter()
            .filter(|m| m.pure && self.program.body(controller, m.name).is_some())
            .count();
        bodies >= 14
    }

    /// The first call in the program that satisfies a test.
    pub(crate) fn find_call(&self, wanted: &dyn Fn(&Expr) -> bool) -> Option<(FnId, &'p Expr)> {
        for id in 0..self.program.functions.len() {
            for call in self.graph.calls(id) {
                if wanted(call.expr) {
                    return Some((id, call.expr));
                }
            }
        }
        None
    }
}

/// Rules that find something missing.
const OF_ABSENCE: &[&str] = &[
    "DK102", "DK103", "DK105", "DK206", "DK302", "DK303", "DK408", "DK409", "DK501", "DK502",
    "DK601",
];

/// A function and all lambdas and blocks in it.
pub(crate) fn bodies(function: &Function) -> Vec<&Function> {
    let mut out = vec![function];
    walk::exprs(&function.body, &mut |e| {
        if let ExprKind::Lambda(lambda) = &e.kind {
            out.push(lambda);
        }
    });
    out
}

/// The parameter of a method by position.
pub(crate) fn param(function: &Function, index: usize) -> Option<&str> {
    function.params.get(index).map(|p| &*p.name).filter(|n| !n.is_empty())
}

/// The indentation of the line a statement stands on, and the offset after the statement.
pub(crate) fn find_fix_line(
    file: &crate::source::SourceFile,
    span: crate::source::Span,
) -> (String, u32) {
    let line = file.line_span(file.line_column(span.start).0);
    let text = file.slice(line);
    let indent: String = text.chars().take_while(|c| matches!(c, ' ' | '\t')).collect();
    (indent, span.end)
}

fn assignments(program: &Program) -> HashMap<&str, Vec<(FnId, &Expr)>> {
    let mut out: HashMap<&str, Vec<(FnId, &Expr)>> = HashMap::new();
    for (id, function) in program.functions.iter().enumerate() {
        walk::exprs(&function.body, &mut |e| match &e.kind {
            ExprKind::Assign(op, lhs, rhs) if op.is_empty() => {
                if let Some(name) = lhs.peeled().last_name() {
                    out.entry(name).or_default().push((id, rhs));
                }
            }
            ExprKind::Call(_, args) => {
                let stores = e
                    .callee()
                    .is_some_and(|n| n.contains("atomic_store") || n.contains("atomic_init"));
                if let (true, [target, value, ..]) = (stores, args.as_slice())
                    && let Some(name) = target.peeled().last_name()
                {
                    out.entry(name).or_default().push((id, value));
                }
            }
            _ => {}
        });
    }
    out
}
