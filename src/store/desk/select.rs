//! Which tickets a batch is about: a filter on the built-in desk, in pages.

use crate::store::sql::params;

use crate::domain::batch::Filter;
use crate::store::{Store, StoreError};

/// A page of the tickets that a filter finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selected {
    /// Their ids, the oldest ticket first.
    pub tickets: Vec<String>,
    /// What the next page begins after; none at the end.
    pub next: Option<String>,
}

impl Store {
    /// Tickets of the built-in desk that a filter finds, `limit` at a time.
    /// `as_of_ms` is when ages are told. Erased tickets are never among them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn select_tickets(
        &self,
        filter: Filter,
        as_of_ms: i64,
        after: Option<String>,
        limit: usize,
    ) -> Result<Selected, StoreError> {
        self.read(move |connection| {
            let after: i64 = after.as_deref().and_then(|after| after.parse().ok()).unwrap_or(0);
            let bound = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut list = connection.prepare_cached(&sql(&filter))?;
            let found: Vec<(String, i64)> = list
                .query_map(
                    params![
                        after,
                        filter.status,
                        filter.queue,
                        filter.tag,
                        filter.older_than_ms.map(|age| as_of_ms.saturating_sub(age)),
                        filter.newer_than_ms.map(|age| as_of_ms.saturating_sub(age)),
                        filter.unclassified,
                        bound
                    ],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )?
                .collect::<Result<_, _>>()?;
            let next = found.last().filter(|_| found.len() >= limit).map(|(_, seq)| seq.to_string());
            Ok(Selected { tickets: found.into_iter().map(|(id, _)| id).collect(), next })
        })
        .await
    }
}

/// Walks the index of status and queue when both are given, which has the
/// tickets in their order; otherwise all tickets from where the last page ended.
fn sql(filter: &Filter) -> String {
    // No index has what is calculated.
    let calculated = if filter.status.is_some() && filter.queue.is_some() { "" } else { " || ''" };
    let is = |column: &str, given: bool, place: &str| {
        if given { format!("{column}{calculated} = {place}") } else { format!("{place} IS NULL") }
    };
    format!(
        "SELECT id, seq FROM tickets WHERE seq > ?1 AND {} AND {}
           AND (?4 IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) tag WHERE tag.value = ?4))
           AND (?5 IS NULL OR created_at <= ?5) AND (?6 IS NULL OR created_at >= ?6)
           AND (?7 = 0 OR intent IS NULL) AND erased_at IS NULL ORDER BY seq LIMIT ?8",
        is("status", filter.status.is_some(), "?2"),
        is("queue", filter.queue.is_some(), "?3"),
    )
}
