//! What a driver declares before it runs: who it is, which dispatch queues it has, which method
//! runs where. The host checks it before the driver sees a task, because the same mistakes on
//! macOS are found by a kernel panic.

use serde::{Deserialize, Serialize};

/// The queue every controller has.
pub const DEFAULT_QUEUE: &str = "Default";
/// The queue that target creation goes through on macOS.
pub const AUXILIARY_QUEUE: &str = "AuxiliaryQueue";
/// The queue that interrupts go through on macOS.
pub const INTERRUPT_QUEUE: &str = "InterruptQueue";
/// Most queues of a driver.
pub const QUEUES_MAX: usize = 32;

/// A driver's declaration.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Manifest {
    /// reverse-DNS name of the driver
    pub identifier: String,
    /// its version
    pub version: String,
    /// the dispatch queues it makes in `initialize`
    pub queues: Vec<QueueDeclaration>,
    /// methods that run elsewhere than on Default
    pub bindings: Vec<Binding>,
}

/// A dispatch queue.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct QueueDeclaration {
    /// its name
    pub name: String,
    /// its kind
    pub kind: QueueKind,
}

/// How a dispatch queue runs its blocks.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueKind {
    /// one after the other
    Serial,
    /// one after the other, but a block may call back into its own queue
    Reentrant,
}

/// One QUEUENAME.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Binding {
    /// the method
    pub method: Method,
    /// name of the queue it runs on
    pub queue: String,
}

/// A controller's methods.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the method of that name; see `controller`")]
pub enum Method {
    Initialize,
    MapBundled,
    MapHbaData,
    OpenQueue,
    Start,
    InitializeTarget,
    CreateTarget,
    ProcessParallelTask,
    ProcessBundledParallelTasks,
    Abort,
    Reset,
    Stop,
}

impl Method {
    /// Its name in DriverKit, where it has one.
    pub const fn driverkit_name(self) -> &'static str {
        match self {
            Self::Initialize => "UserInitializeController",
            Self::MapBundled => "UserMapBundledParallelTaskCommandAndResponseBuffers",
            Self::MapHbaData => "UserMapHBAData",
            Self::OpenQueue => "open_queue",
            Self::Start => "UserStartController",
            Self::InitializeTarget => "UserInitializeTargetForID",
            Self::CreateTarget => "UserCreateTargetForID",
            Self::ProcessParallelTask => "UserProcessParallelTask",
            Self::ProcessBundledParallelTasks => "UserProcessBundledParallelTasks",
            Self::Abort => "UserAbortTaskRequest",
            Self::Reset => "UserLogicalUnitResetRequest",
            Self::Stop => "Stop",
        }
    }

    /// Whether completions come back through it, so that its queue is fixed.
    const fn is_completion_target(self) -> bool {
        matches!(self, Self::ProcessParallelTask | Self::ProcessBundledParallelTasks)
    }
}

/// A mistake in a manifest: the method, the queue, the rule and the mend.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// the vendor's mistake
    #[error(
        "method {} ({}) is bound to queue {queue:?}: it is the target of a completion action and already has its queue, an I/O queue of its own; binding it to another panics a macOS kernel at load. Remove the binding; for parallel tasks take them in bundles (process_bundled_parallel_tasks) and open more I/O queues",
        method_name(.method), .method.driverkit_name()
    )]
    CompletionTarget {
        /// the method
        method: Method,
        /// the queue
        queue: String,
    },
    /// a name nobody declares
    #[error(
        "method {} is bound to queue {queue:?}, which the manifest does not declare (declared: {declared}); add it to `queues` or correct the name",
        method_name(.method)
    )]
    UnknownQueue {
        /// the method
        method: Method,
        /// the queue
        queue: String,
        /// what is declared
        declared: String,
    },
    /// two of one name
    #[error(
        "queue {queue:?} is declared twice; a name stands for one queue: remove one declaration"
    )]
    DuplicateQueue {
        /// the name
        queue: String,
    },
    /// one method, two queues
    #[error("method {} is bound twice, to {first:?} and {second:?}; a method runs on one queue: remove one binding", method_name(.method))]
    DuplicateBinding {
        /// the method
        method: Method,
        /// one queue
        first: String,
        /// the other
        second: String,
    },
    /// a call that would wait for its own queue
    #[error(
        "method create_target (UserCreateTargetForID) is bound to queue {queue:?}, which also runs {}: the call returns only after that method has run, so the queue would wait for itself; bind create_target to a queue of its own", method_name(.other)
    )]
    CreateTargetCycle {
        /// the queue
        queue: String,
        /// the other method on it
        other: Method,
    },
    /// declared and never made
    #[error(
        "queue {queue:?} is declared and was never made; call startup.queues.create({queue:?}, ..) in initialize (a declaration makes no queue)"
    )]
    NeverMade {
        /// the queue
        queue: String,
    },
    /// made and never declared
    #[error("queue {queue:?} was made and is not declared; add it to the manifest's `queues`")]
    NotDeclared {
        /// the queue
        queue: String,
    },
    /// an empty or over-long field
    #[error("manifest field {field} is {problem}")]
    Field {
        /// the field
        field: &'static str,
        /// what is wrong and what is right
        problem: &'static str,
    },
}

fn method_name(method: &Method) -> String {
    word(method)
}

/// A word of the manifest as it is written.
fn word<T: Serialize + core::fmt::Debug>(word: &T) -> String {
    serde_json::to_value(word)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_else(|| format!("{word:?}"))
}

/// What only one of two lists has.
fn one_sided<T: PartialEq>(
    declared: &[T],
    said: &[T],
    name: impl Fn(&T) -> String,
    found: &mut Vec<String>,
) {
    let only = |these: &[T], those: &[T]| -> Vec<String> {
        these.iter().filter(|x| !those.contains(x)).map(&name).collect()
    };
    let undone = only(declared, said);
    found
        .extend(undone.into_iter().map(|what| format!("{what} is declared, the program has none")));
    let unsaid = only(said, declared);
    found.extend(unsaid.into_iter().map(|what| format!("the program has {what}, undeclared")));
}

impl Manifest {
    /// A manifest without queues of its own.
    pub fn new(identifier: &str, version: &str) -> Self {
        Self {
            identifier: identifier.to_owned(),
            version: version.to_owned(),
            queues: Vec::new(),
            bindings: Vec::new(),
        }
    }

    /// Declares a queue.
    #[must_use]
    pub fn queue(mut self, name: &str, kind: QueueKind) -> Self {
        self.queues.push(QueueDeclaration { name: name.to_owned(), kind });
        self
    }

    /// Binds a method to a queue.
    #[must_use]
    pub fn bind(mut self, method: Method, queue: &str) -> Self {
        self.bindings.push(Binding { method, queue: queue.to_owned() });
        self
    }

    /// Every mistake that can be seen before the driver runs, in the order it is written.
    pub fn check(&self) -> Result<(), Vec<ManifestError>> {
        let mut errors = Vec::new();
        self.check_fields(&mut errors);
        for (i, queue) in self.queues.iter().enumerate() {
            if queue.name == DEFAULT_QUEUE || self.queues[..i].iter().any(|q| q.name == queue.name)
            {
                errors.push(ManifestError::DuplicateQueue { queue: queue.name.clone() });
            }
        }
        for (i, binding) in self.bindings.iter().enumerate() {
            self.check_binding(binding, &self.bindings[..i], &mut errors);
        }
        if let Some(create) = self.bindings.iter().find(|b| b.method == Method::CreateTarget) {
            // What target creation waits for: the target's set-up and the probe's commands.
            let waits_for = [Method::InitializeTarget, Method::CreateTarget];
            let other = waits_for
                .into_iter()
                .find(|m| *m != Method::CreateTarget && self.queue_of(*m) == create.queue);
            if let Some(other) = other {
                errors
                    .push(ManifestError::CreateTargetCycle { queue: create.queue.clone(), other });
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Compares the queues that `initialize` made with those declared.
    pub fn check_made(&self, made: &[String]) -> Result<(), Vec<ManifestError>> {
        let declared = |name: &String| self.queues.iter().any(|q| q.name == *name);
        let never = self.queues.iter().filter(|q| !made.contains(&q.name));
        let errors: Vec<_> = never
            .map(|q| ManifestError::NeverMade { queue: q.name.clone() })
            .chain(
                made.iter()
                    .filter(|n| !declared(n) && *n != DEFAULT_QUEUE)
                    .map(|n| ManifestError::NotDeclared { queue: n.clone() }),
            )
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Where `said` differs from what is declared here; the order of queues and bindings means
    /// nothing.
    pub fn differences(&self, said: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for (field, declared, said) in [
            ("identifier", &self.identifier, &said.identifier),
            ("version", &self.version, &said.version),
        ] {
            if declared != said {
                found.push(format!("{field} {declared:?} is declared, the program says {said:?}"));
            }
        }
        let queue = |q: &QueueDeclaration| format!("queue {:?} ({})", q.name, word(&q.kind));
        let binding = |b: &Binding| format!("binding of {} to {:?}", word(&b.method), b.queue);
        one_sided(&self.queues, &said.queues, queue, &mut found);
        one_sided(&self.bindings, &said.bindings, binding, &mut found);
        found
    }

    /// The queue a method runs on.
    pub fn queue_of(&self, method: Method) -> &str {
        let bound = self.bindings.iter().find(|b| b.method == method);
        bound.map_or(DEFAULT_QUEUE, |b| &b.queue)
    }

    fn check_fields(&self, errors: &mut Vec<ManifestError>) {
        let mut field = |field, problem| errors.push(ManifestError::Field { field, problem });
        let id = &self.identifier;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if id.is_empty() || id.len() > 255 || !id.chars().all(allowed) {
            field("identifier", "not 1 to 255 letters, digits, '.', '-' or '_'; use reverse DNS");
        }
        if self.version.is_empty() || self.version.len() > 64 {
            field("version", "not 1 to 64 characters long");
        }
        if self.queues.len() > QUEUES_MAX {
            field("queues", "longer than 32; a driver needs a few");
        }
        if self.queues.iter().any(|q| q.name.is_empty() || q.name.len() > 255) {
            field("queues", "with a name that is not 1 to 255 characters long");
        }
    }

    fn check_binding(&self, b: &Binding, before: &[Binding], errors: &mut Vec<ManifestError>) {
        let (method, queue) = (b.method, b.queue.clone());
        if method.is_completion_target() && queue != DEFAULT_QUEUE {
            errors.push(ManifestError::CompletionTarget { method, queue: queue.clone() });
        }
        if queue != DEFAULT_QUEUE && !self.queues.iter().any(|q| q.name == queue) {
            let names: Vec<_> = self.queues.iter().map(|q| format!("{:?}", q.name)).collect();
            let declared = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            errors.push(ManifestError::UnknownQueue { method, queue: queue.clone(), declared });
        }
        if let Some(first) = before.iter().find(|x| x.method == method) {
            let first = first.queue.clone();
            errors.push(ManifestError::DuplicateBinding { method, first, second: queue });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Manifest {
        Manifest::new("org.example.driver", "1.0")
            .queue(AUXILIARY_QUEUE, QueueKind::Serial)
            .bind(Method::CreateTarget, AUXILIARY_QUEUE)
    }

    #[test]
    fn a_sound_manifest_passes() {
        assert_eq!(good().check(), Ok(()));
        assert_eq!(good().check_made(&[AUXILIARY_QUEUE.to_owned()]), Ok(()));
    }

    #[test]
    fn the_vendors_mistake_names_method_queue_rule_and_mend() {
        for (method, name) in [
            (Method::ProcessParallelTask, "UserProcessParallelTask"),
            (Method::ProcessBundledParallelTasks, "UserProcessBundledParallelTasks"),
        ] {
            let m = good()
                .queue("MyParallelIOQueue", QueueKind::Serial)
                .bind(method, "MyParallelIOQueue");
            let errors = m.check().unwrap_err();
            assert_eq!(errors.len(), 1);
            let text = errors[0].to_string();
            for part in [name, "MyParallelIOQueue", "completion action", "Remove the binding"] {
                assert!(text.contains(part), "{text}");
            }
        }
    }

    #[test]
    fn a_queue_declared_and_never_made_is_named() {
        let m = good().queue("MyParallelIOQueue", QueueKind::Serial);
        let errors = m.check_made(&[AUXILIARY_QUEUE.to_owned(), "Other".to_owned()]).unwrap_err();
        assert!(
            matches!(&errors[0], ManifestError::NeverMade { queue } if queue == "MyParallelIOQueue")
        );
        assert!(matches!(&errors[1], ManifestError::NotDeclared { queue } if queue == "Other"));
    }

    #[test]
    fn unknown_doubled_and_cyclic_names_are_refused() {
        let unknown = good().bind(Method::Stop, "Nowhere").check().unwrap_err();
        assert!(unknown[0].to_string().contains("\"AuxiliaryQueue\""));
        let twice = good().queue(AUXILIARY_QUEUE, QueueKind::Serial).check().unwrap_err();
        assert!(matches!(twice[0], ManifestError::DuplicateQueue { .. }));
        let both = good().bind(Method::CreateTarget, DEFAULT_QUEUE).check().unwrap_err();
        assert!(both.iter().any(|e| matches!(e, ManifestError::DuplicateBinding { .. })));
        let cycle = good().bind(Method::InitializeTarget, AUXILIARY_QUEUE).check().unwrap_err();
        assert!(matches!(cycle[0], ManifestError::CreateTargetCycle { .. }));
        let own = Manifest::new("a", "1").bind(Method::CreateTarget, DEFAULT_QUEUE).check();
        assert!(matches!(own.unwrap_err()[0], ManifestError::CreateTargetCycle { .. }));
        assert!(Manifest::new("", "").check().is_err());
    }
}
