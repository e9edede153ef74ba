//! `--methods`: what of a kext maps to what of a dext.

mod table;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::config::Config;
use crate::load;
use crate::model::framework::METHODS;
use crate::model::program::Program;
use crate::source::{Place, Skipped, Sources};
use crate::syntax::walk;

use table::{Entry, KEXT};

/// A method of the kext and what becomes of it.
pub struct Row {
    /// The method as the kext names it.
    pub method: String,
    /// File and line, if it stands in the sources.
    pub at: String,
    /// The dext's methods in its place; empty if there are none.
    pub dext: &'static str,
    /// What to do.
    pub advice: &'static str,
}

/// The report on one class.
pub struct ClassReport {
    /// The class.
    pub name: String,
    /// Methods that the class overrides.
    pub overridden: Vec<Row>,
    /// Methods and helpers of the framework that the code calls.
    pub called: Vec<Row>,
    /// Methods of the dext that nothing in the kext maps to.
    pub added: Vec<Row>,
    /// Methods of the class that the framework does not know.
    pub own: Vec<String>,
}

/// The report on all kext classes of some sources.
pub struct MethodReport {
    /// One entry for each class.
    pub classes: Vec<ClassReport>,
    /// Paths that could not be read.
    pub unreadable: Vec<Skipped>,
}

/// Makes the report for all sources below some paths.
pub fn report_paths(paths: &[PathBuf], config: &Config) -> MethodReport {
    let loaded = load::load(paths, config);
    let mut report = report(&loaded.sources);
    report.unreadable = loaded.unreadable;
    report
}

/// Makes the report for sources in memory.
pub fn report(sources: &Sources) -> MethodReport {
    let program = Program::build(sources);
    let classes =
        program.kexts.iter().map(|class| class_report(sources, &program, &class.name)).collect();
    MethodReport { classes, unreadable: Vec::new() }
}

fn class_report(sources: &Sources, program: &Program, class: &str) -> ClassReport {
    let at = |place: Place| {
        let file = sources.file(place.file);
        format!("{}:{}", file.path, file.line_column(place.span.start).0)
    };
    let mut overridden: Vec<Row> = Vec::new();
    let mut own: BTreeSet<String> = BTreeSet::new();
    let declared = program.kexts.iter().filter(|c| &*c.name == class);
    for method in declared.flat_map(|c| c.methods.iter().map(move |m| (c.file, m))) {
        let (file, method) = method;
        match entry(&method.name) {
            Some(entry) if !overridden.iter().any(|r| r.method == *method.name) => {
                overridden.push(row(entry, at(Place::new(file, method.name_span))));
            }
            Some(_) => {}
            // `OSDeclareDefaultStructors(...)` reads like a method.
            None if method.name.starts_with("OSDeclare") => {}
            None => {
                own.insert(method.name.to_string());
            }
        }
    }
    let mut called: Vec<Row> = Vec::new();
    for function in program.functions.iter().filter(|f| f.class.as_deref() == Some(class)) {
        walk::exprs(&function.body, &mut |e| {
            let Some(name) = e.callee() else { return };
            let to_super = e.qualifier().is_some_and(|q| q == "super");
            if let Some(entry) = entry(name).filter(|e| e.called && !to_super)
                && !called.iter().any(|r| r.method == name)
            {
                called.push(row(entry, at(Place::new(function.file, e.span))));
            }
        });
    }
    let mapped: BTreeSet<&str> = overridden
        .iter()
        .chain(&called)
        .flat_map(|r| r.dext.split([',', ' ', '/']))
        .filter(|w| !w.is_empty())
        .collect();
    let added = METHODS
        .iter()
        .filter(|m| m.pure && !mapped.contains(m.name))
        .map(|m| Row {
            method: m.name.to_owned(),
            at: String::new(),
            dext: m.name,
            advice: table::added(m.name),
        })
        .collect();
    ClassReport {
        name: class.to_owned(),
        overridden,
        called,
        added,
        own: own.into_iter().collect(),
    }
}

fn entry(name: &str) -> Option<&'static Entry> {
    KEXT.iter().find(|e| e.kext == name)
}

fn row(entry: &'static Entry, at: String) -> Row {
    Row { method: entry.kext.to_owned(), at, dext: entry.dext, advice: entry.advice }
}

impl MethodReport {
    /// The report for people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for class in &self.classes {
            let _ = writeln!(
                out,
                "{} (kext) -> subclass of IOUserSCSIParallelInterfaceController (dext)",
                class.name
            );
            let (mapped, gone): (Vec<&Row>, Vec<&Row>) =
                class.overridden.iter().partition(|r| !r.dext.is_empty());
            section(&mut out, "Overridden, with a counterpart", &mapped);
            section(&mut out, "Overridden, without a counterpart", &gone);
            section(&mut out, "Called by the code", &class.called.iter().collect::<Vec<_>>());
            section(
                &mut out,
                "New in the dext, to be written",
                &class.added.iter().collect::<Vec<_>>(),
            );
            if !class.own.is_empty() {
                let _ = writeln!(
                    out,
                    "\n  The class's own methods, kept as they are:\n    {}",
                    class.own.join(", ")
                );
            }
            let _ = writeln!(
                out,
                "\n  {} with a counterpart, {} without, {} called, {} to be written\n",
                mapped.len(),
                gone.len(),
                class.called.len(),
                class.added.len()
            );
        }
        out
    }

    /// The report as JSON.
    pub fn json(&self) -> Value {
        let rows = |rows: &[Row]| -> Vec<Value> {
            rows.iter()
                .map(|r| json!({ "method": r.method, "at": r.at, "dext": r.dext, "advice": r.advice }))
                .collect()
        };
        json!({
            "version": 1,
            "classes": self.classes.iter().map(|c| json!({
                "class": c.name,
                "overridden": rows(&c.overridden),
                "called": rows(&c.called),
                "added": rows(&c.added),
                "own": c.own,
            })).collect::<Vec<_>>(),
        })
    }
}

fn section(out: &mut String, title: &str, rows: &[&Row]) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n  {title}:");
    for row in rows {
        let to = if row.dext.is_empty() { "-" } else { row.dext };
        let at = if row.at.is_empty() { String::new() } else { format!("  ({})", row.at) };
        if row.method == row.dext {
            let _ = writeln!(out, "    {}{at}", row.method);
        } else {
            let _ = writeln!(out, "    {} -> {to}{at}", row.method);
        }
        if !row.advice.is_empty() {
            let _ = writeln!(out, "        {}", row.advice);
        }
    }
}
