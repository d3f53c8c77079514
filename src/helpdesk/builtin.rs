//! The built-in desk: the same verbs as any helpdesk, on our own database.

use super::HelpdeskError;
use crate::domain::batch::Filter;
use crate::domain::effect::Effect;
use crate::domain::ticket::Ticket;
use crate::store::{Change, DeskTicket, Selected, Store};

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

    /// A page of the tickets that a filter finds. `as_of_ms` is when ages are
    /// told; `after` is what the page before said of the next one.
    ///
    /// # Errors
    /// The database's error.
    pub async fn select(
        &self,
        filter: &Filter,
        as_of_ms: i64,
        after: Option<String>,
        limit: usize,
    ) -> Result<Selected, HelpdeskError> {
        Ok(self.store.select_tickets(filter.clone(), as_of_ms, after, limit).await?)
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
