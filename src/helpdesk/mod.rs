//! Tickets, in whichever helpdesk they live: the built-in desk, on our own
//! database, or one outside, behind a [`Connector`].

mod builtin;
mod chatwoot;
mod connector;
mod freshdesk;
mod front;
mod generic;
mod heard;
mod help_scout;
mod http;
mod intercom;
mod names;
mod oauth;
mod outside;
mod pace;
mod request_tracker;
mod text;
mod values;
mod zammad;
mod zendesk;

pub use builtin::Builtin;
pub use chatwoot::Chatwoot;
pub use connector::{Capabilities, Checked, Connector, Drafts, Patch, Sought, Write};
pub use freshdesk::Freshdesk;
pub use front::Front;
pub use generic::Generic;
pub use heard::{Happened, Happening, Heard, NotHeard, Told};
pub use help_scout::HelpScout;
pub use http::{Http, Settings as HttpSettings};
pub use intercom::Intercom;
pub use names::Names;
pub use oauth::Client as OauthClient;
pub use outside::Outside;
pub use request_tracker::RequestTracker;
pub use zammad::Zammad;
pub use zendesk::Zendesk;

use crate::domain::batch::Filter;
use crate::domain::effect::Effect;
use crate::domain::failure::{Cause, Failure};
use crate::domain::ticket::Ticket;
use crate::store::{Change, Planned, Selected, StoreError};

/// The helpdesk that the tickets live in.
#[derive(Clone)]
pub enum Helpdesk {
    /// The one that comes with Frontdesk.
    Builtin(Builtin),
    /// Another system.
    Outside(Outside),
}

impl Helpdesk {
    /// The ticket as decisions read it.
    ///
    /// # Errors
    /// [`HelpdeskError::NoTicket`], or why it could not be read.
    pub async fn ticket(&self, id: &str) -> Result<Ticket, HelpdeskError> {
        match self {
            Helpdesk::Builtin(desk) => desk.ticket(id).await,
            Helpdesk::Outside(desk) => desk.ticket(id).await,
        }
    }

    /// A page of the tickets that a filter finds. `as_of_ms` is when ages are
    /// told; `after` is what the page before said of the next one.
    ///
    /// # Errors
    /// Why they could not be read; a helpdesk outside cannot be asked so.
    pub async fn select(
        &self,
        filter: &Filter,
        as_of_ms: i64,
        after: Option<String>,
        limit: usize,
    ) -> Result<Selected, HelpdeskError> {
        match self {
            Helpdesk::Builtin(desk) => desk.select(filter, as_of_ms, after, limit).await,
            Helpdesk::Outside(_) => Err(HelpdeskError::NotOffered("finding tickets by a filter; name them instead")),
        }
    }

    /// What has been written to `ticket_id` under this reference, if anything.
    /// `since_ms` is when that was first meant to be done.
    ///
    /// # Errors
    /// Why it could not be looked for.
    pub async fn find(
        &self,
        ticket_id: &str,
        reference: &str,
        effect: &Effect,
        since_ms: i64,
    ) -> Result<Option<String>, HelpdeskError> {
        match self {
            Helpdesk::Builtin(desk) => desk.find(reference).await,
            Helpdesk::Outside(desk) => desk.find(ticket_id, reference, effect, since_ms).await,
        }
    }

    /// Makes a change that is not there yet. On the built-in desk it is made
    /// together with the end of the job.
    ///
    /// # Errors
    /// Why it was not made, or is not known to have been.
    pub async fn write(&self, ticket_id: &str, planned: Planned) -> Result<Change, HelpdeskError> {
        let Planned { reference, effect, .. } = planned;
        match self {
            Helpdesk::Builtin(desk) => Ok(desk.write(ticket_id, effect, reference)),
            Helpdesk::Outside(desk) => {
                let external_id = desk.write(ticket_id, &reference, &effect).await?;
                Ok(Change::Made { reference, external_id, ticket_id: ticket_id.to_owned(), effect })
            }
        }
    }

    /// Makes a change that is a note and one that sets fields together; only where
    /// [`Helpdesk::writes_together`].
    ///
    /// # Errors
    /// As [`Helpdesk::write`]; then it is not known of either.
    pub async fn write_together(
        &self,
        ticket_id: &str,
        note: Planned,
        set: Planned,
    ) -> Result<[Change; 2], HelpdeskError> {
        let Helpdesk::Outside(desk) = self else { return Err(HelpdeskError::NotOffered("two changes in one")) };
        let external_id = desk.write_together(ticket_id, &note.reference, &note.effect, &set.effect).await?;
        let made = |Planned { reference, effect, .. }| {
            let (external_id, ticket_id) = (external_id.clone(), ticket_id.to_owned());
            Change::Made { reference, external_id, ticket_id, effect }
        };
        Ok([note, set].map(made))
    }

    /// Whether a note and fields can be one change.
    #[must_use]
    pub fn writes_together(&self) -> bool {
        matches!(self, Helpdesk::Outside(desk) if desk.capabilities().together)
    }

    /// Takes away a draft of ours that waits in the helpdesk itself. On the built-in
    /// desk that comes with the decision.
    ///
    /// # Errors
    /// Why it could not be looked for or taken away.
    pub async fn withdraw(&self, ticket_id: &str, reference: &str, text: &str) -> Result<(), HelpdeskError> {
        match self {
            Helpdesk::Builtin(_) => Ok(()),
            Helpdesk::Outside(desk) => desk.withdraw(ticket_id, reference, text).await,
        }
    }

    /// Whether a change may be there although nobody recorded it: never on the
    /// built-in desk, where it comes with the record.
    #[must_use]
    pub fn is_outside(&self) -> bool {
        matches!(self, Helpdesk::Outside(_))
    }
}

/// Why a helpdesk did not do what it was asked. Texts are in our words: a status,
/// a code, the name of a setting; never what a ticket says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelpdeskError {
    /// There is no such ticket.
    #[error("the helpdesk has no such ticket")]
    NoTicket,
    /// The desk's database could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It does not take this, and will not.
    #[error("the helpdesk refuses it: {0}")]
    Refused(String),
    /// It does not take our credentials, or they are not enough.
    #[error("the helpdesk refuses the credentials ({0}); look at [helpdesk] and the rights of its user")]
    Forbidden(String),
    /// It asks for quiet.
    #[error("the helpdesk asks to wait")]
    Busy {
        /// At least so long, in ms.
        after_ms: i64,
    },
    /// It was not reached, or had a passing fault; nothing was changed.
    #[error("the helpdesk cannot be reached: {0}")]
    Unavailable(String),
    /// It is not known whether the change was made.
    #[error("it is not known whether the helpdesk made the change: {0}")]
    Unknown(String),
    /// Somebody changed the ticket at the same time; nothing was changed by us.
    #[error("somebody changed the ticket at the same time")]
    Conflict,
    /// It has no such thing.
    #[error("this helpdesk does not offer {0}")]
    NotOffered(&'static str),
}

/// How soon a conflict is looked at again, in ms.
const AFTER_CONFLICT_MS: i64 = 2_000;

impl From<HelpdeskError> for Failure {
    fn from(error: HelpdeskError) -> Failure {
        let detail = error.to_string();
        let later = |after_ms| Failure::Retryable {
            cause: Cause::HelpdeskUnavailable,
            detail: detail.clone(),
            retry_after_ms: after_ms,
        };
        let quiet = |after_ms| Failure::Retryable {
            cause: Cause::HelpdeskBusy,
            detail: detail.clone(),
            retry_after_ms: Some(after_ms),
        };
        match error {
            HelpdeskError::NoTicket => Failure::last(Cause::TicketMissing, detail),
            HelpdeskError::Refused(_) | HelpdeskError::NotOffered(_) => Failure::last(Cause::HelpdeskRefused, detail),
            HelpdeskError::Busy { after_ms } => quiet(after_ms),
            HelpdeskError::Conflict => later(Some(AFTER_CONFLICT_MS)),
            HelpdeskError::Store(_)
            | HelpdeskError::Forbidden(_)
            | HelpdeskError::Unavailable(_)
            | HelpdeskError::Unknown(_) => later(None),
        }
    }
}
