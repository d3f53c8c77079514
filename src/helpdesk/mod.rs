//! Writing to tickets. The built-in desk is the only helpdesk so far; the
//! words here are what a second one will have to speak as well.

mod builtin;

pub use builtin::Builtin;

use crate::domain::failure::{Cause, Failure};
use crate::store::StoreError;

/// Why a helpdesk did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelpdeskError {
    /// There is no such ticket.
    #[error("the helpdesk has no such ticket")]
    NoTicket,
    /// The desk's database could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<HelpdeskError> for Failure {
    fn from(error: HelpdeskError) -> Failure {
        match error {
            HelpdeskError::NoTicket => Failure::last(Cause::TicketMissing, error.to_string()),
            HelpdeskError::Store(error) => Failure::retryable(Cause::HelpdeskUnavailable, error.to_string()),
        }
    }
}
