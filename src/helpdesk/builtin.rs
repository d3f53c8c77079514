//! The built-in desk: the same verbs as any helpdesk, on our own database.

use super::HelpdeskError;
use crate::domain::effect::Effect;
use crate::domain::ticket::Ticket;
use crate::store::{Change, DeskTicket, Store};

/// The desk that comes with Frontdesk.
#[derive(Clone)]
pub struct Builtin {
    store: Store,
}

impl Builtin {
    /// The desk in this database.
    #[must_use]
    pub fn new(store: Store) -> Builtin {
        Builtin { store }
    }

    /// The ticket as decisions read it.
    ///
    /// # Errors
    /// [`HelpdeskError::NoTicket`], or the database's error.
    pub async fn ticket(&self, id: &str) -> Result<Ticket, HelpdeskError> {
        self.store.ticket(id.to_owned()).await?.map(DeskTicket::for_deciding).ok_or(HelpdeskError::NoTicket)
    }

    /// Hands one effect over, to be carried out together with the end of the
    /// job. The same reference never writes twice.
    #[must_use]
    pub fn write(&self, ticket_id: &str, effect: Effect, reference: String) -> Change {
        Change::WithTheEnd { reference, ticket_id: ticket_id.to_owned(), effect }
    }

    /// What has been written under this reference, if anything.
    ///
    /// # Errors
    /// The database's error.
    pub async fn find(&self, reference: &str) -> Result<Option<String>, HelpdeskError> {
        Ok(self.store.find_written(reference.to_owned()).await?)
    }
}
