//! The conversation that starts a driver, as a state machine: what to send next, what an answer
//! must be. Sans-I/O; the deadlines are the caller's.

use outboard_hba::protocol::{
    FromDriver, OLDEST_PROTOCOL, PROTOCOL, ProtocolSkew, ToDriver, agree_with_driver,
};
use outboard_hba::report::check_identifiers;
use outboard_hba::{DiskDescription, HbaReport, Manifest, ManifestError, Path, ReportError};

use super::log::plain;

/// Where the conversation is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// version and manifest
    Hello,
    /// the controller opens its device and reports itself
    Initialize,
    /// the region is mapped
    Map,
    /// I/O threads start
    Start,
    /// tasks may come
    Running,
}

impl Step {
    /// As in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Initialize => "initialize",
            Self::Map => "map",
            Self::Start => "start",
            Self::Running => "running",
        }
    }
}

/// Why a driver was not activated. Each names the rule and the mend.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ActivationError {
    /// another protocol version
    #[error(transparent)]
    Protocol(#[from] ProtocolSkew),
    /// mistakes in the manifest
    #[error("the manifest of driver {identifier} is refused:\n{}", list(.errors))]
    Manifest {
        /// the driver
        identifier: String,
        /// the mistakes
        errors: Vec<ManifestError>,
    },
    /// a report that breaks a rule
    #[error("driver {identifier} reports what cannot be: {error}")]
    Report {
        /// the driver
        identifier: String,
        /// the mistake
        error: ReportError,
    },
    /// the program is not what its package declares
    #[error("the program of {identifier} says other things of itself than its package:\n{}\nmake extension.toml and Controller::manifest() say the same", list(.differences))]
    Differs {
        /// the package
        identifier: String,
        /// each: what is declared, what the program says
        differences: Vec<String>,
    },
    /// the driver gave up
    #[error("driver failed in {step}: {reason}")]
    Failed {
        /// what it was doing
        step: String,
        /// its reason
        reason: String,
    },
    /// an answer to something else
    #[error(
        "the driver answered {step} with another message; host and driver must be of one release"
    )]
    OutOfTurn {
        /// the step
        step: &'static str,
    },
}

fn list(errors: &[impl std::fmt::Display]) -> String {
    errors.iter().map(|e| format!("  - {e}")).collect::<Vec<_>>().join("\n")
}

/// What a packaged driver is started with beside its options.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// what the descriptors that come with `Initialize` are
    pub disks: Vec<DiskDescription>,
    /// what its package declares: the program must say the same
    pub manifest: Option<Manifest>,
}

/// A driver's start.
#[derive(Debug)]
pub struct Activation {
    step: Step,
    options: serde_json::Value,
    disks: Vec<DiskDescription>,
    declared: Option<Manifest>,
    path: Path,
    manifest: Option<Manifest>,
    report: Option<HbaReport>,
    identifiers: Vec<u32>,
    declined: Option<String>,
}

impl Activation {
    /// With the driver's options, to be served on `path`.
    pub fn new(options: serde_json::Value, path: Path) -> Self {
        Self {
            step: Step::Hello,
            options,
            disks: Vec::new(),
            declared: None,
            path,
            manifest: None,
            report: None,
            identifiers: Vec::new(),
            declined: None,
        }
    }

    /// Gives the driver disks, and holds it to what its package declares.
    #[must_use]
    pub fn offer(mut self, offer: Offer) -> Self {
        (self.disks, self.declared) = (offer.disks, offer.manifest);
        self
    }

    /// Where it is.
    pub fn step(&self) -> Step {
        self.step
    }

    /// What to send in this step; `None` when there is nothing left.
    pub fn message(&self) -> Option<ToDriver> {
        match self.step {
            Step::Hello => Some(ToDriver::Hello { protocol: PROTOCOL, oldest: OLDEST_PROTOCOL }),
            Step::Initialize => {
                let (options, disks) = (self.options.clone(), self.disks.clone());
                Some(ToDriver::Initialize { options, disks })
            }
            Step::Map => Some(ToDriver::Map { path: self.path }),
            Step::Start => Some(ToDriver::Start),
            Step::Running => None,
        }
    }

    /// Takes the driver's answer and goes on.
    pub fn answer(&mut self, message: FromDriver) -> Result<Step, ActivationError> {
        let identifier = || {
            self.manifest.as_ref().map_or_else(|| "(unknown)".to_owned(), |m| m.identifier.clone())
        };
        self.step = match (self.step, message) {
            (_, FromDriver::Failed { step, reason }) => {
                return Err(ActivationError::Failed { step: plain(&step), reason: plain(&reason) });
            }
            (Step::Hello, FromDriver::Hello { protocol, oldest, manifest }) => {
                agree_with_driver(protocol, oldest)?;
                if let Err(errors) = manifest.check() {
                    let identifier = plain(&manifest.identifier);
                    return Err(ActivationError::Manifest { identifier, errors });
                }
                if let Some(declared) = &self.declared {
                    let differences = declared.differences(&manifest);
                    if !differences.is_empty() {
                        let identifier = declared.identifier.clone();
                        return Err(ActivationError::Differs { identifier, differences });
                    }
                }
                self.manifest = Some(manifest);
                Step::Initialize
            }
            (Step::Initialize, FromDriver::Initialized { report, queues }) => {
                let made = self.manifest.as_ref().map_or(Ok(()), |m| m.check_made(&queues));
                if let Err(errors) = made {
                    return Err(ActivationError::Manifest { identifier: identifier(), errors });
                }
                if let Err(error) = report.check() {
                    return Err(ActivationError::Report { identifier: identifier(), error });
                }
                self.report = Some(report);
                Step::Map
            }
            (Step::Map, FromDriver::Mapped { declined, identifiers }) => {
                if let Err(error) = check_identifiers(&identifiers) {
                    return Err(ActivationError::Report { identifier: identifier(), error });
                }
                self.declined = declined.as_deref().map(plain);
                self.identifiers = identifiers;
                Step::Start
            }
            (Step::Start, FromDriver::Started) => Step::Running,
            (step, _) => return Err(ActivationError::OutOfTurn { step: step.name() }),
        };
        Ok(self.step)
    }

    /// The driver's manifest, once it has come.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// The controller's report, once it has come.
    pub fn report(&self) -> Option<&HbaReport> {
        self.report.as_ref()
    }

    /// Task identifiers by slot.
    pub fn identifiers(&self) -> &[u32] {
        &self.identifiers
    }

    /// Why the bundled path was declined, if it was.
    pub fn declined(&self) -> Option<&str> {
        self.declined.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outboard_hba::testkit::Ram;
    use outboard_hba::{Controller, Method, QueueKind};

    fn hello(manifest: Manifest) -> FromDriver {
        FromDriver::Hello { protocol: PROTOCOL, oldest: OLDEST_PROTOCOL, manifest }
    }

    #[test]
    fn a_sound_driver_comes_up_in_four_steps() {
        let mut a = Activation::new(serde_json::Value::Null, Path::Bundled);
        assert!(matches!(a.message(), Some(ToDriver::Hello { .. })));
        assert_eq!(a.answer(hello(Ram::default().manifest())), Ok(Step::Initialize));
        let report = FromDriver::Initialized { report: Ram::report(), queues: vec![] };
        assert_eq!(a.answer(report), Ok(Step::Map));
        let mapped = FromDriver::Mapped { declined: None, identifiers: vec![1, 2] };
        assert_eq!(a.answer(mapped), Ok(Step::Start));
        assert_eq!(a.answer(FromDriver::Started), Ok(Step::Running));
        assert!(a.message().is_none());
    }

    #[test]
    fn the_vendors_mistake_is_refused_before_a_task() {
        let manifest = Manifest::new("com.vendor.raid", "1.0")
            .queue("MyParallelIOQueue", QueueKind::Serial)
            .bind(Method::ProcessParallelTask, "MyParallelIOQueue");
        let mut a = Activation::new(serde_json::Value::Null, Path::Single);
        let text = a.answer(hello(manifest)).unwrap_err().to_string();
        for part in ["com.vendor.raid", "UserProcessParallelTask", "MyParallelIOQueue", "Remove"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_program_that_is_not_its_package_is_refused_with_the_difference() {
        let declared = Manifest::new("org.outboard.ram", "2.0").queue("Q", QueueKind::Serial);
        let offer = Offer { manifest: Some(declared), ..Offer::default() };
        let mut a = Activation::new(serde_json::Value::Null, Path::Bundled).offer(offer);
        let text = a.answer(hello(Ram::default().manifest())).unwrap_err().to_string();
        for part in ["version", "\"2.0\"", "\"1.0\"", "\"Q\"", "extension.toml"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_wrong_version_and_a_wrong_turn_are_refused() {
        let mut a = Activation::new(serde_json::Value::Null, Path::Bundled);
        let manifest = Ram::default().manifest();
        let other = FromDriver::Hello { protocol: 99, oldest: 98, manifest };
        assert!(matches!(a.answer(other), Err(ActivationError::Protocol(_))));
        let early = a.answer(FromDriver::Started);
        assert_eq!(early, Err(ActivationError::OutOfTurn { step: "hello" }));
    }

    #[test]
    fn no_word_of_a_driver_is_obeyed_by_a_terminal() {
        let start = || Activation::new(serde_json::Value::Null, Path::Bundled);
        let said = "\u{1b}[2J\u{1b}]0;owned\u{7}".to_owned();
        let failed = FromDriver::Failed { step: said.clone(), reason: said.clone() };
        let manifest = Manifest::new(&said, "1.0");
        for message in [failed, hello(manifest)] {
            let text = start().answer(message).unwrap_err().to_string();
            assert!(text.contains("owned") && !text.contains('\u{1b}'), "{text:?}");
        }
        let mut a = start();
        a.answer(hello(Ram::default().manifest())).unwrap();
        a.answer(FromDriver::Initialized { report: Ram::report(), queues: vec![] }).unwrap();
        a.answer(FromDriver::Mapped { declined: Some(said), identifiers: vec![1] }).unwrap();
        assert!(!a.declined().unwrap().contains('\u{1b}'));
    }

    #[test]
    fn identifier_zero_is_refused() {
        let mut a = Activation::new(serde_json::Value::Null, Path::Bundled);
        a.answer(hello(Ram::default().manifest())).unwrap();
        a.answer(FromDriver::Initialized { report: Ram::report(), queues: vec![] }).unwrap();
        let mapped = FromDriver::Mapped { declined: None, identifiers: vec![0] };
        assert!(matches!(a.answer(mapped), Err(ActivationError::Report { .. })));
    }
}
