//! Why a request from outside could not be done, and how errors are logged.

use domain::access::Scope;
use domain::booking::IllegalTransition;
use domain::campaign::IllegalStep;
use domain::template::InvalidTemplate;
use jiff::Timestamp;

use crate::ports::PortError;

/// Why a request could not be done. Everything but [`AppError::Port`] is the caller's to mend, and changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A field holds something that does not fit.
    #[error("{field}: expected {expected}")]
    Invalid {
        /// The field, as a path into the request.
        field: String,
        /// What was expected there.
        expected: String,
    },
    /// A text holds something that does not fit.
    #[error(transparent)]
    InvalidTemplate(#[from] InvalidTemplate),
    /// There is no such thing in this business.
    #[error("there is no {what} with this id")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// The resource is taken at that time.
    #[error("the resource is already booked at that time")]
    Overlap,
    /// The resource is taken at the time of one booking of a series.
    #[error("the resource is already booked at the time of booking {number} of the series, {start}")]
    SeriesOverlap {
        /// Which booking, from 1.
        number: u32,
        /// When it would start (UTC).
        start: Timestamp,
    },
    /// There is no offer to take.
    #[error("the client has no offer, or it has run out")]
    NoOffer,
    /// The channel does not let us write to the client.
    #[error("{0}")]
    CannotWrite(&'static str),
    /// The number belongs to another business.
    #[error("the number belongs to another business")]
    NumberTaken,
    /// Whoever calls lacks a scope.
    #[error("this needs the scope {0}, which the caller does not have")]
    Forbidden(Scope),
    /// No key would be left by which the business can make another.
    #[error("it is the last key of an owner that works, never expires and has no scopes")]
    LastOwnerKey,
    /// The key is revoked or has expired.
    #[error("the key is revoked or has expired")]
    KeyEnded,
    /// The task was closed, and not with what is asked for now.
    #[error("the task is closed already")]
    TaskClosed,
    /// Nothing is posted to a webhook that is switched off.
    #[error("the webhook is switched off")]
    WebhookOff,
    /// The client is not known any more.
    #[error("the client was erased")]
    Erased,
    /// The booking's state does not allow it.
    #[error(transparent)]
    IllegalTransition(#[from] IllegalTransition),
    /// The campaign's state does not allow it.
    #[error(transparent)]
    IllegalStep(#[from] IllegalStep),
    /// The thing has changed since the caller read it.
    #[error("it has changed meanwhile: it is at {current} now")]
    Stale {
        /// The present revision or version.
        current: u64,
    },
    /// The idempotency key was used before with another request.
    #[error("this Idempotency-Key was used before with another request")]
    KeyReused,
    /// Others keep writing the same thing.
    #[error("too many changes at the same time; try again")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl AppError {
    /// An error of one field.
    pub fn invalid(field: impl Into<String>, expected: impl Into<String>) -> Self {
        AppError::Invalid { field: field.into(), expected: expected.into() }
    }
}

/// That a thing is at the version the caller knows, if the caller says which.
///
/// # Errors
/// [`AppError::Stale`].
pub(crate) fn check_version(if_match: Option<u64>, current: u64) -> Result<(), AppError> {
    if if_match.is_some_and(|expected| expected != current) {
        Err(AppError::Stale { current })
    } else {
        Ok(())
    }
}

/// An error with everything behind it, for the log.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
