//! What went wrong, as an `application/problem+json` object (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::{ConfigError, Problem};
use crate::control::ReloadError;
use crate::trace::TraceError;

/// What went wrong: the thing, the rule and the mend.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ApiProblem {
    /// in a few words
    pub title: String,
    /// HTTP status code
    pub status: u16,
    /// in a sentence
    pub detail: String,
    /// what to do instead
    pub mend: String,
    /// mistakes in the configuration file, if that is what is wrong
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

impl ApiProblem {
    pub(super) fn new(
        status: StatusCode,
        detail: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            mend: mend.into(),
            problems: Vec::new(),
        }
    }
}

impl ApiProblem {
    /// A mistake in the program.
    pub(super) fn of_program(error: &dyn std::fmt::Display) -> Self {
        let mend = "this is a mistake in the program; report it with the log";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), mend)
    }
}

impl From<ReloadError> for ApiProblem {
    fn from(error: ReloadError) -> Self {
        match error {
            ReloadError::Refused { what, mend } => Self::new(StatusCode::CONFLICT, what, mend),
            ReloadError::Failed(reason) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                reason,
                "the server goes on as before; mend the cause and reload again",
            ),
            ReloadError::Busy(what) => Self::new(
                StatusCode::CONFLICT,
                format!("{what} is under way"),
                "try again when it has ended",
            ),
        }
    }
}

impl From<TraceError> for ApiProblem {
    fn from(error: TraceError) -> Self {
        let (status, mend) = match &error {
            TraceError::NoTarget(_) => (StatusCode::NOT_FOUND, "GET /v1/targets has all of them"),
            TraceError::Busy(_) => (StatusCode::CONFLICT, "try again when it has ended"),
            TraceError::Gone(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "look whether the server is ending, and at its log",
            ),
        };
        Self::new(status, error.to_string(), mend)
    }
}

impl From<ConfigError> for ApiProblem {
    fn from(error: ConfigError) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let detail = match &error {
            ConfigError::Wrong { problems, .. } => {
                let mistakes = match problems.len() {
                    1 => "a mistake".to_owned(),
                    several => format!("{several} mistakes"),
                };
                format!("the configuration has {mistakes}; nothing was changed")
            }
            other => other.to_string(),
        };
        let mend = "mend the file; outboard config check FILE looks at it without a server";
        Self { problems: error.problems().to_vec(), ..Self::new(status, detail, mend) }
    }
}

impl IntoResponse for ApiProblem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
