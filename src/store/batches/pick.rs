//! Which tickets may become lines of a batch.

use std::collections::HashSet;

use crate::store::{Store, StoreError};

impl Store {
    /// Those of these tickets that have no line in the batch, in their order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn without_line(&self, batch_id: String, tickets: Vec<String>) -> Result<Vec<String>, StoreError> {
        self.look_up(move |connection| {
            let mut find = connection.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM batch_lines WHERE batch_id = ?1 AND custom_id = ?2
                                  AND result NOT IN ('unknown','duplicate','unreadable'))",
            )?;
            let mut lined = HashSet::new();
            for ticket in &tickets {
                if find.query_row((&batch_id, ticket), |row| row.get(0))? {
                    lined.insert(ticket.as_str());
                }
            }
            Ok(tickets.iter().filter(|ticket| !lined.contains(ticket.as_str())).cloned().collect())
        })
        .await
    }

    /// Those of these tickets that another batch of the same workflow has not in
    /// hand: their results are awaited, or wait for a person. In their order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn in_no_other_batch(&self, batch_id: String, tickets: Vec<String>) -> Result<Vec<String>, StoreError> {
        self.look_up(move |connection| {
            let mut find = connection.prepare_cached(
                "SELECT NOT EXISTS (
                   SELECT 1 FROM batch_lines l JOIN batches b ON b.id = l.batch_id JOIN batches this ON this.id = ?1
                   WHERE l.ticket_id = ?2 AND b.id <> ?1 AND b.workflow = this.workflow
                     AND b.state IN ('building','submitted','ended','waiting','applying') AND l.fate IS NULL
                     AND l.result IN ('awaited','ok','held'))",
            )?;
            let mut free = Vec::with_capacity(tickets.len());
            for ticket in &tickets {
                if find.query_row((&batch_id, ticket), |row| row.get(0))? {
                    free.push(ticket.clone());
                }
            }
            Ok(free)
        })
        .await
    }
}
