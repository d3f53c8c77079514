//! What was changed on tickets, with its receipts; and the raw body of a delivery,
//! which nobody reads without an entry in the trail.

use serde_json::json;

use super::sql::{OptionalExtension, Row};
use super::{Store, StoreError, audit_trail};

/// One change to a ticket: planned, and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// `note`, `reply`, `route`…
    pub slot: String,
    /// The ticket.
    pub ticket_id: String,
    /// The reference by which it is found on the ticket.
    pub reference: String,
    /// `applying`, `applied` or `dropped`: planned, and given up before it was written.
    pub state: String,
    /// In ms.
    pub planned_at_ms: i64,
    /// In ms; none: nobody knows that it was written.
    pub applied_at_ms: Option<i64>,
    /// The helpdesk's own id of what was written.
    pub external_id: Option<String>,
    /// When an undo put back what had been there, in ms.
    pub undone_at_ms: Option<i64>,
}

/// The body of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// As it was signed; none: erased, or never kept.
    pub bytes: Option<Vec<u8>>,
    /// SHA-256 of it, which stays.
    pub sha256: Vec<u8>,
}

impl Store {
    /// What was changed on tickets for the resource of a job.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn receipts_of_job(&self, job: i64) -> Result<Vec<Receipt>, StoreError> {
        self.read(move |connection| {
            let mut list = connection.prepare_cached(
                "SELECT e.slot, e.ticket_id, e.ref, e.state, e.planned_at, e.applied_at, e.external_id, e.undone_at
                 FROM jobs j JOIN effects e ON e.resource_id = j.resource_id AND e.project = j.project
                 WHERE j.id = ?1 ORDER BY e.id LIMIT 1000",
            )?;
            Ok(list.query_map([job], receipt)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The body of a delivery, with an entry that `actor` has looked at it.
    ///
    /// # Errors
    /// When the transaction could not be committed; nothing is shown then.
    pub async fn body_of_delivery(
        &self,
        delivery: String,
        actor: String,
        now_ms: i64,
    ) -> Result<Option<Body>, StoreError> {
        self.write(move |connection| {
            let found = connection
                .prepare_cached("SELECT body, body_sha256 FROM deliveries WHERE delivery_id = ?1 ORDER BY seq LIMIT 1")?
                .query_row([&delivery], |row| Ok(Body { bytes: row.get(0)?, sha256: row.get(1)? }))
                .optional()?;
            if found.is_some() {
                audit_trail::add(connection, &actor, "delivery.body", &delivery, &json!({}), now_ms)?;
            }
            Ok(found)
        })
        .await
    }
}

fn receipt(row: &Row<'_>) -> super::sql::Result<Receipt> {
    Ok(Receipt {
        slot: row.get(0)?,
        ticket_id: row.get(1)?,
        reference: row.get(2)?,
        state: row.get(3)?,
        planned_at_ms: row.get(4)?,
        applied_at_ms: row.get(5)?,
        external_id: row.get(6)?,
        undone_at_ms: row.get(7)?,
    })
}
