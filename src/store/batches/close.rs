//! Lines that got no answer, once it is known that none comes: some hundreds at a
//! time, because a part may have 50,000 of them, and the front desk waits for
//! each transaction.

use std::collections::BTreeMap;

use crate::store::sql::{Connection, params};

use super::count;
use super::finish::PartEnd;
use crate::store::{Store, StoreError};

/// Lines that one transaction looks at.
const CHUNK: usize = 500;

/// Which lines come next.
#[derive(Clone, Copy, Default)]
struct From {
    /// After this number in the ledger.
    number: i64,
    /// So many lines of the input file have been passed.
    passed: i64,
}

impl Store {
    /// Enters what became of those lines of a part that are still awaited. It can be
    /// broken off anywhere: a result that is read after all takes the place of it.
    pub(super) async fn close_lines(&self, end: &PartEnd) -> Result<(), StoreError> {
        let mut from = Some(From::default());
        while let Some(begin) = from {
            let (batch_id, part, errors) = (end.part.batch_id.clone(), end.part.number, codes(end));
            from =
                self.write(move |connection| close_some(connection, &batch_id, part, errors.as_ref(), begin)).await?;
        }
        Ok(())
    }
}

/// OpenAI's errors by input line, when it took none of the part's lines.
fn codes(end: &PartEnd) -> Option<BTreeMap<i64, String>> {
    let named = end.errors.iter().rev().filter_map(|(code, line)| Some(((*line)?, code.clone())));
    (end.status == "failed").then(|| named.collect())
}

/// The ledger has the lines of a part in the order of its file; those of other
/// parts, and what nobody asked for, may lie between.
fn close_some(
    connection: &Connection,
    batch_id: &str,
    part: i64,
    errors: Option<&BTreeMap<i64, String>>,
    from: From,
) -> Result<Option<From>, StoreError> {
    let lines: Vec<(i64, bool)> = connection
        .prepare_cached(
            "SELECT number, result = 'awaited' FROM batch_lines
             WHERE batch_id = ?1 AND part = ?2 AND number > ?3 AND ticket_id IS NOT NULL ORDER BY number LIMIT ?4",
        )?
        .query_map(params![batch_id, part, from.number, i64::try_from(CHUNK).unwrap_or(i64::MAX)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    let result = if errors.is_some() { "failed" } else { "missing" };
    let mut reasons: BTreeMap<&str, i64> = BTreeMap::new();
    let mut next = from;
    for (number, is_awaited) in &lines {
        next = From { number: *number, passed: next.passed + 1 };
        if *is_awaited {
            let (reason, found) = said_of(errors, next);
            connection
                .prepare_cached(
                    "UPDATE batch_lines SET result = ?3, reason = ?4, found = ?5 WHERE batch_id = ?1 AND number = ?2",
                )?
                .execute((batch_id, number, result, reason, found))?;
            *reasons.entry(reason).or_default() += 1;
        }
    }
    for (reason, lines) in &reasons {
        count(connection, batch_id, &format!("reason/{reason}"), *lines)?;
    }
    let closed: i64 = reasons.values().sum();
    if closed > 0 {
        count(connection, batch_id, &format!("result/{result}"), closed)?;
        count(connection, batch_id, "result/awaited", -closed)?;
    }
    Ok((lines.len() == CHUNK).then_some(next))
}

/// Why a line has no answer, and where that was said.
fn said_of(errors: Option<&BTreeMap<i64, String>>, line: From) -> (&str, Option<String>) {
    match errors.map(|errors| errors.get(&line.passed)) {
        None => ("in_no_file", None),
        Some(Some(code)) => (code, Some(format!("input:{}", line.passed))),
        Some(None) => ("batch_failed", Some(format!("input/{}", line.number))),
    }
}
