//! Which tickets a batch is about: a filter on the built-in desk, in pages.

use crate::store::sql::{Connection, OptionalExtension, params};

use crate::domain::batch::Filter;
use crate::store::{LOOKED_AT, Store, StoreError};

/// A page of the tickets that a filter finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selected {
    /// Their ids, the oldest ticket first. May be few, or none, with more to come.
    pub tickets: Vec<String>,
    /// What the next page begins after; none at the end.
    pub next: Option<String>,
}

impl Store {
    /// Tickets of the built-in desk that a filter finds, `limit` at a time; of a
    /// fixed number that is looked at, there may be none.
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
            let end = end(connection, &filter, after)?;
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
                        bound,
                        end
                    ],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )?
                .collect::<Result<_, _>>()?;
            let last = found.last().filter(|_| found.len() >= limit).map(|(_, seq)| *seq);
            let next = last.or(Some(end).filter(|end| *end < i64::MAX)).map(|seq| seq.to_string());
            Ok(Selected { tickets: found.into_iter().map(|(id, _)| id).collect(), next })
        })
        .await
    }
}

/// The last ticket that is looked at: so many further on in the walk.
fn end(connection: &Connection, filter: &Filter, after: i64) -> Result<i64, StoreError> {
    let end = match (&filter.status, &filter.queue) {
        (Some(status), Some(queue)) => connection
            .prepare_cached(
                "SELECT seq FROM tickets WHERE status = ?1 AND queue = ?2 AND seq > ?3 ORDER BY seq LIMIT 1 OFFSET ?4",
            )?
            .query_row((status, queue, after, LOOKED_AT), |row| row.get(0)),
        _ => connection
            .prepare_cached("SELECT seq FROM tickets WHERE seq > ?1 ORDER BY seq LIMIT 1 OFFSET ?2")?
            .query_row((after, LOOKED_AT), |row| row.get(0)),
    };
    Ok(end.optional()?.unwrap_or(i64::MAX))
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
           AND (?7 = 0 OR intent IS NULL) AND erased_at IS NULL AND seq <= ?9 ORDER BY seq LIMIT ?8",
        is("status", filter.status.is_some(), "?2"),
        is("queue", filter.queue.is_some(), "?3"),
    )
}
