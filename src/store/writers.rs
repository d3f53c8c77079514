//! Who writes to a ticket of a helpdesk outside: one at a time, in all processes.

use crate::store::sql::OptionalExtension;

use super::{Store, StoreError};

impl Store {
    /// Takes a ticket for a job until `until_ms`, or keeps it longer. False when
    /// another job has it.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn take_ticket(
        &self,
        ticket_id: String,
        job_id: i64,
        until_ms: i64,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write_beside(move |connection| {
            let taken: Option<i64> = connection
                .prepare_cached(
                    "INSERT INTO ticket_writers (ticket_id, job_id, until) VALUES (?1, ?2, ?3)
                     ON CONFLICT (ticket_id) DO UPDATE SET job_id = excluded.job_id, until = excluded.until
                     WHERE ticket_writers.job_id = excluded.job_id OR ticket_writers.until <= ?4
                     RETURNING job_id",
                )?
                .query_row((&ticket_id, job_id, until_ms, now_ms), |row| row.get(0))
                .optional()?;
            Ok(taken.is_some())
        })
        .await
    }

    /// Leaves a ticket to others. What somebody else has taken stays theirs.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn leave_ticket(&self, ticket_id: String, job_id: i64) -> Result<(), StoreError> {
        self.write_beside(move |connection| {
            connection
                .prepare_cached("DELETE FROM ticket_writers WHERE ticket_id = ?1 AND job_id = ?2")?
                .execute((&ticket_id, job_id))?;
            Ok(())
        })
        .await
    }
}
