//! From paths or texts to findings.

use std::path::PathBuf;

use crate::config::Config;
use crate::load::{self, Loaded};
use crate::model::program::Program;
use crate::plist::{self, PlistFile};
use crate::report::Outcome;
use crate::rules::Check;
use crate::silence::Silenced;
use crate::source::{FileId, FileKind, Skipped, SourceFile, Sources};

/// Checks all files below some paths.
pub fn check_paths(paths: &[PathBuf], config: &Config) -> Outcome {
    check_loaded(load::load(paths, config), config)
}

/// Checks texts given as pairs of a path and contents; used by tests and by tools that have the text at hand.
pub fn check_texts<'a>(
    texts: impl IntoIterator<Item = (&'a str, &'a str)>,
    config: &Config,
) -> Outcome {
    let mut loaded = Loaded::default();
    for (path, text) in texts {
        if let Some(kind) = FileKind::of(path) {
            loaded.sources.add(SourceFile::new(path.to_owned(), text.to_owned(), kind));
        }
    }
    check_loaded(loaded, config)
}

fn check_loaded(loaded: Loaded, config: &Config) -> Outcome {
    let Loaded { sources, mut skipped, unreadable } = loaded;
    let (plists, errors) = read_plists(&sources);
    skipped.extend(errors);
    let (findings, controllers) = {
        let program = Program::build(&sources);
        skipped.extend(program.skipped.iter().cloned());
        let silenced = Silenced::collect(&sources, &program);
        let findings = Check::run(&sources, &program, &plists)
            .into_iter()
            .filter(|f| !silenced.covers(&sources, f))
            .filter_map(|f| {
                let path = sources.file(f.place.file).path.clone();
                config.rate(f, &path)
            })
            .collect();
        let controllers = program.controllers.iter().map(|c| c.name.to_string()).collect();
        (findings, controllers)
    };
    Outcome { sources, findings, skipped, unreadable, controllers }
}

fn read_plists(sources: &Sources) -> (Vec<(FileId, PlistFile)>, Vec<Skipped>) {
    let mut plists = Vec::new();
    let mut errors = Vec::new();
    for (id, file) in sources.iter().filter(|(_, f)| !f.kind.is_code()) {
        let parsed = plist::parse(&file.text);
        if let Some((at, reason)) = &parsed.error {
            let line = Some(file.line_column(*at).0);
            errors.push(Skipped { path: file.path.clone(), line, reason: reason.clone() });
        }
        plists.push((id, parsed));
    }
    debug_assert!(plists.iter().all(|(id, _)| sources.file(*id).kind != FileKind::Cpp));
    (plists, errors)
}
