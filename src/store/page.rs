//! Parts of lists. A list is newest first and pages by the row's own number, and
//! no page looks at more than a fixed number of rows: where an index has just the
//! rows that are asked for it is walked, where they are few they are put in order,
//! and otherwise a page looks at a stretch of numbers and says where the next one
//! begins, however little it found.

use crate::store::sql::{Connection, OptionalExtension};

use super::StoreError;

/// Rows that one page looks at, at most.
pub const LOOKED_AT: i64 = 2_000;

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Most items to return.
    pub limit: usize,
    /// Where the last page ended.
    pub cursor: Option<i64>,
}

impl PageRequest {
    /// Items when nothing else is asked for.
    pub const DEFAULT_LIMIT: usize = 50;
    /// Items at most.
    pub const MAX_LIMIT: usize = 500;

    pub(super) fn before(&self) -> i64 {
        self.cursor.unwrap_or(i64::MAX)
    }

    pub(super) fn limit_and_one(&self) -> i64 {
        i64::try_from(self.limit.clamp(1, Self::MAX_LIMIT)).unwrap_or(1) + 1
    }

    /// Cuts the one item too many that was asked for, to see if there is a next page.
    pub(super) fn cut<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> i64) -> (Vec<T>, Option<i64>) {
        let limit = self.limit.clamp(1, Self::MAX_LIMIT);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(key) } else { None };
        (items, next)
    }

    /// Those of some rows that are on the page, and one more: newest first.
    pub(super) fn of_numbers(&self, mut found: Vec<i64>) -> Vec<i64> {
        found.retain(|number| *number < self.before());
        found.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
        found.truncate(usize::try_from(self.limit_and_one()).unwrap_or(usize::MAX));
        found
    }

    /// The page of what was found from number `from` on; there may be more below.
    pub(super) fn of_stretch<T>(&self, items: Vec<T>, from: i64, key: impl Fn(&T) -> i64) -> Page<T> {
        let (items, next) = self.cut(items, key);
        Page { items, next: next.or((from > 1).then_some(from)) }
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// Newest first. May be fewer than asked for, and even none, with more to come.
    pub items: Vec<T>,
    /// Where the next page begins; none when this is the last.
    pub next: Option<i64>,
}

/// Where a page stops that looks at every row of a table below `before`. Rows are
/// numbered from 1; `newest` selects the highest number.
pub(super) fn stretch(connection: &Connection, newest: &str, before: i64) -> Result<i64, StoreError> {
    let newest: Option<i64> = connection.prepare_cached(newest)?.query_row([], |row| row.get(0))?;
    Ok(before.min(newest.unwrap_or(0) + 1).saturating_sub(LOOKED_AT).max(1))
}

/// Where a page stops that walks an index which has more rows than are asked for;
/// `sql` selects the number of the row that is `?3` rows below `?1`, of those with
/// `?2` in the index's first column.
pub(super) fn end_of_walk(
    connection: &Connection,
    sql: &str,
    before: i64,
    of: Option<&str>,
) -> Result<i64, StoreError> {
    let end = connection.prepare_cached(sql)?.query_row((before, of, LOOKED_AT - 1), |row| row.get(0)).optional()?;
    Ok(end.unwrap_or(1))
}

/// The rows of a list in JSON, as `json_each` reads it.
pub(super) fn numbers(found: &[i64]) -> String {
    serde_json::Value::from(found).to_string()
}

/// What `sql` selects, when it is at most [`LOOKED_AT`]; `?1` is the limit.
pub(super) fn few(connection: &Connection, sql: &str) -> Result<Option<Vec<i64>>, StoreError> {
    let found: Vec<i64> =
        connection.prepare_cached(sql)?.query_map([LOOKED_AT + 1], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Some(found).filter(|found| is_at_most(found, LOOKED_AT)))
}

/// Whether there are not more.
pub(super) fn is_at_most(found: &[i64], most: i64) -> bool {
    i64::try_from(found.len()).is_ok_and(|found| found <= most)
}
