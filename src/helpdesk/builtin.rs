//! The built-in desk: the same verbs as any helpdesk, on our own database.

use super::HelpdeskError;
use crate::clock::Clock;
use crate::domain::effect::Effect;
use crate::domain::ticket::{Message, Ticket};
use crate::store::{DeskTicket, Store};

/// The desk that comes with Frontdesk.
#[derive(Clone)]
pub struct Builtin {
    store: Store,
    clock: Clock,
}

impl Builtin {
    /// The desk in this database.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Builtin {
        Builtin { store, clock }
    }

    /// The ticket as decisions read it.
    ///
    /// # Errors
    /// [`HelpdeskError::NoTicket`], or the database's error.
    pub async fn ticket(&self, id: &str) -> Result<Ticket, HelpdeskError> {
        self.store.ticket(id.to_owned()).await?.map(for_deciding).ok_or(HelpdeskError::NoTicket)
    }

    /// Carries one effect out and returns the desk's id of what was written.
    /// The same reference never writes twice.
    ///
    /// # Errors
    /// [`HelpdeskError::NoTicket`], or the database's error.
    pub async fn write(&self, ticket_id: &str, effect: &Effect, reference: &str) -> Result<String, HelpdeskError> {
        let (ticket_id, reference, now_ms) = (ticket_id.to_owned(), reference.to_owned(), self.clock.now_ms());
        let written = match effect.clone() {
            Effect::Note { text } => self.store.write_note(ticket_id, text, reference, now_ms).await?,
            Effect::Draft { text } => self.store.write_draft(ticket_id, text, reference, now_ms).await?,
            Effect::Route(route) => self.store.write_route(ticket_id, route, reference, now_ms).await?,
        };
        written.ok_or(HelpdeskError::NoTicket)
    }

    /// What has been written under this reference, if anything.
    ///
    /// # Errors
    /// The database's error.
    pub async fn find(&self, reference: &str) -> Result<Option<String>, HelpdeskError> {
        Ok(self.store.find_written(reference.to_owned()).await?)
    }
}

fn for_deciding(ticket: DeskTicket) -> Ticket {
    let message = |message: crate::store::StoredMessage| Message {
        author: message.author,
        visibility: message.visibility,
        body: message.body,
    };
    Ticket {
        id: ticket.id,
        subject: ticket.subject,
        status: ticket.status,
        queue: ticket.queue,
        priority: ticket.priority,
        tags: ticket.tags,
        revision: ticket.revision,
        messages: ticket.messages.into_iter().map(message).collect(),
    }
}
