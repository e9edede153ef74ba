//! What requests and signals do.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;

use super::problem::ApiProblem;
use crate::config::{Config, Machine, Source};
use crate::control::{Control, ExtensionReport, ReloadError, ReloadReport};
use crate::notify;
use crate::status::Status;
use crate::trace::{Trace, TraceError, Wanted};

/// What an I/O thread has to end a trace after its time.
const TRACE_GRACE: Duration = Duration::from_secs(2);

/// The server, shared by all requests.
#[derive(Clone)]
pub(super) struct Shared(Arc<Inner>);

struct Inner {
    control: Arc<dyn Control>,
    source: Source,
    machine: Machine,
    config: Mutex<Arc<Config>>,
    reloading: tokio::sync::Mutex<()>,
}

impl Shared {
    pub(super) fn new(
        config: Config,
        source: Source,
        machine: Machine,
        control: Arc<dyn Control>,
    ) -> Self {
        let config = Mutex::new(Arc::new(config));
        let reloading = tokio::sync::Mutex::new(());
        Self(Arc::new(Inner { control, source, machine, config, reloading }))
    }

    /// The configuration in force.
    pub(super) fn config(&self) -> Arc<Config> {
        let config = self.0.config.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&config)
    }

    pub(super) async fn status(&self) -> Result<Status, ApiProblem> {
        self.ask(|inner| inner.control.status()).await
    }

    pub(super) async fn health(&self) -> Result<(), ApiProblem> {
        self.ask(|inner| inner.control.health()).await?.map_err(|reason| {
            let mend = "look at the log; the service manager restarts a server that hangs";
            ApiProblem::new(StatusCode::SERVICE_UNAVAILABLE, reason, mend)
        })
    }

    pub(super) async fn stop(&self) {
        notify::tell(notify::Phase::Stopping);
        let _ = self.ask(|inner| inner.control.stop()).await;
    }

    /// Reads the configuration again and makes the server follow it. Logs how it went.
    pub(super) async fn reload(&self) -> Result<ReloadReport, ApiProblem> {
        let Ok(_alone) = self.0.reloading.try_lock() else {
            return Err(ReloadError::Busy("another reload").into());
        };
        if !self.0.source.is_file() {
            let problem = ApiProblem::new(
                StatusCode::CONFLICT,
                "the server was started with flags, and there is no file to read again",
                "start it with --config FILE",
            );
            tracing::warn!(reason = problem.detail, mend = problem.mend, "reload refused");
            return Err(problem);
        }
        notify::tell(notify::Phase::Reloading);
        let outcome = self.ask(Inner::reload).await.unwrap_or_else(Err);
        match &outcome {
            Ok(report) => {
                for change in &report.changes {
                    tracing::info!(change, "reloaded");
                }
                for change in &report.at_next_start {
                    tracing::warn!(change, "takes effect at the next start");
                }
                notify::tell(notify::Phase::Ready("reloaded"));
            }
            Err(problem) => {
                tracing::error!(reason = problem.detail, mend = problem.mend, "reload refused");
                for problem in &problem.problems {
                    tracing::error!(%problem, "configuration");
                }
                notify::tell(notify::Phase::Ready("reload refused; goes on as before"));
            }
        }
        outcome
    }

    /// Has targets served by the versions of extensions that are active now. Logs how it went.
    pub(super) async fn reload_extensions(&self) -> Result<ExtensionReport, ApiProblem> {
        let Ok(_alone) = self.0.reloading.try_lock() else {
            return Err(ReloadError::Busy("another reload").into());
        };
        let outcome = self.ask(|inner| inner.control.reload_extensions()).await?;
        match &outcome {
            Ok(report) => {
                for change in &report.changes {
                    tracing::info!(change, "extensions reloaded");
                }
            }
            Err(error) => tracing::error!(%error, "extensions are as they were"),
        }
        Ok(outcome?)
    }

    /// Records tasks of a target, and waits until that is over.
    pub(super) async fn trace(&self, target: String, wanted: Wanted) -> Result<Trace, ApiProblem> {
        let name = target.clone();
        let traced = self.ask(move |inner| inner.control.trace(&name, wanted)).await??;
        let within = Duration::from_secs(wanted.seconds) + TRACE_GRACE;
        match tokio::time::timeout(within, traced).await {
            Ok(Ok(recorded)) => Ok(recorded?.into()),
            Ok(Err(_)) | Err(_) => Err(TraceError::Gone(target).into()),
        }
    }

    /// Calls the server from a thread that may wait.
    async fn ask<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Inner) -> T + Send + 'static,
    ) -> Result<T, ApiProblem> {
        let inner = Arc::clone(&self.0);
        let called = tokio::task::spawn_blocking(move || call(&inner)).await;
        called.map_err(|error| ApiProblem::of_program(&error))
    }
}

impl Inner {
    fn reload(&self) -> Result<ReloadReport, ApiProblem> {
        let config = self.source.read(&self.machine)?;
        let report = self.control.reload(config.clone())?;
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(report)
    }
}
