//! What OpenAI's files say, entered line by line. The place where a line was
//! read is its name here: reading a file again after a crash changes nothing.

use crate::store::sql::{Connection, OptionalExtension, Subject, params};

use super::forget::ERASED;
use super::{count, feed};
use crate::domain::batch::{Fate, LineResult, line_id};
use crate::domain::hold::HoldReason;
use crate::store::{Part, Store, StoreError, erase};

/// One line of one of OpenAI's files.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where it was read, as `output:17`.
    pub found: String,
    /// None when it has none that can be read.
    pub custom_id: Option<String>,
    /// What it says.
    pub read: Read,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    /// An output that can be used.
    Usable {
        /// The ticket.
        ticket_id: String,
        /// The response, as it came.
        raw: String,
        /// Why a person has to look; none when the policy would apply it.
        held: Option<HoldReason>,
        /// Names to count, as `set/priority/urgent`.
        labels: Vec<String>,
    },
    /// OpenAI refused it, failed at it, or did not execute it.
    Failed {
        /// A code.
        reason: String,
    },
    /// It names no ticket that there is.
    Unknown {
        /// A code.
        reason: &'static str,
    },
    /// It could not be read.
    Unreadable {
        /// A code.
        reason: &'static str,
    },
}

impl Read {
    fn result(&self) -> LineResult {
        match self {
            Read::Usable { held: None, .. } => LineResult::Ok,
            Read::Usable { held: Some(_), .. } => LineResult::Held,
            Read::Failed { .. } => LineResult::Failed,
            Read::Unknown { .. } => LineResult::Unknown,
            Read::Unreadable { .. } => LineResult::Unreadable,
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Read::Usable { held, .. } => held.map(HoldReason::code),
            Read::Failed { reason } => Some(reason),
            Read::Unknown { reason } | Read::Unreadable { reason } => Some(reason),
        }
    }
}

/// Values of a kind of label that are counted by name; what comes after is counted as `(other)`.
const LABELS_OF_A_KIND: i64 = 100;

impl Store {
    /// Enters lines of one part. `elsewhere`: another program started it, and its
    /// lines are whatever its files hold.
    ///
    /// # Errors
    /// When the transaction could not be committed; the lines can be entered again.
    pub async fn enter_lines(
        &self,
        part: Part,
        elsewhere: bool,
        made_at_ms: Option<i64>,
        entries: Vec<Entry>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.write_beside(move |connection| {
            connection.alone_with(Subject::Batch(&part.batch_id))?;
            let ledger = Ledger { connection, part: &part, elsewhere, made_at_ms, now_ms };
            entries.iter().try_for_each(|entry| ledger.enter(entry))
        })
        .await
    }
}

struct Ledger<'a> {
    connection: &'a Connection,
    part: &'a Part,
    elsewhere: bool,
    made_at_ms: Option<i64>,
    now_ms: i64,
}

/// A line that is in the ledger.
struct There {
    number: i64,
    made_at_ms: Option<i64>,
    found: Option<String>,
    result: String,
}

impl Ledger<'_> {
    fn enter(&self, entry: &Entry) -> Result<(), StoreError> {
        let Some(custom_id) = entry.custom_id.as_deref().filter(|_| !matches!(entry.read, Read::Unreadable { .. }))
        else {
            return self.add(entry, entry.read.result(), entry.read.reason()).map(drop);
        };
        match self.there(custom_id)? {
            Some(There { found: Some(found), .. }) if found == entry.found => Ok(()),
            Some(There { found: None, number, result, made_at_ms }) => {
                self.fill(number, &result, entry)?;
                self.entered(custom_id, entry, made_at_ms)
            }
            Some(there) => self.repeat(&there, custom_id, entry),
            None if self.elsewhere && !matches!(entry.read, Read::Unknown { .. }) => {
                // An earlier reading knew no such ticket: what it entered stands.
                if self.begin(custom_id, entry)? { self.entered(custom_id, entry, self.made_at_ms) } else { Ok(()) }
            }
            None => {
                let why = entry.read.reason().filter(|_| self.elsewhere).unwrap_or("not_asked_for");
                self.add(entry, LineResult::Unknown, Some(why)).map(drop)
            }
        }
    }

    fn there(&self, custom_id: &str) -> Result<Option<There>, StoreError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT number, found, result, made_at FROM batch_lines
                 WHERE batch_id = ?1 AND custom_id = ?2 AND part = ?3 AND result NOT IN ('unknown','duplicate','unreadable')",
            )?
            .query_row((&self.part.batch_id, custom_id, self.part.number), |row| {
                Ok(There { number: row.get(0)?, found: row.get(1)?, result: row.get(2)?, made_at_ms: row.get(3)? })
            })
            .optional()?)
    }

    /// The result of a line that was asked for.
    fn fill(&self, number: i64, before: &str, entry: &Entry) -> Result<(), StoreError> {
        // A ticket of ours that has gone is no reason to call the line unasked for.
        let result = match entry.read.result() {
            LineResult::Unknown => LineResult::Failed,
            result => result,
        };
        self.connection
            .prepare_cached(
                "UPDATE batch_lines SET found = ?3, result = ?4, reason = ?5 WHERE batch_id = ?1 AND number = ?2",
            )?
            .execute((&self.part.batch_id, number, &entry.found, result.word(), entry.read.reason()))?;
        self.count(&format!("result/{before}"), -1)?;
        self.count(&format!("result/{}", result.word()), 1)
    }

    /// The first line of this id in a batch of another program. False when what was
    /// found there is in the ledger already.
    fn begin(&self, custom_id: &str, entry: &Entry) -> Result<bool, StoreError> {
        let result = entry.read.result();
        let ticket_id = crate::domain::batch::ticket_of(custom_id);
        let is_new = self.insert(entry, Some(ticket_id), result, entry.read.reason())?;
        if is_new {
            self.count("lines", 1)?;
            self.count(&format!("result/{}", result.word()), 1)?;
        }
        Ok(is_new)
    }

    /// What else follows from a line that was asked for.
    fn entered(&self, custom_id: &str, entry: &Entry, made_at_ms: Option<i64>) -> Result<(), StoreError> {
        if let Some(reason) = entry.read.reason() {
            self.count(&format!("reason/{reason}"), 1)?;
        }
        if let Read::Usable { raw, labels, ticket_id, .. } = &entry.read {
            if erase::came_late(self.connection, ticket_id, made_at_ms)? {
                let (project, id) = (&self.part.project, self.resource(custom_id));
                return feed::line_ended(self.connection, project, &id, Fate::Skipped, Some(ERASED), self.now_ms)
                    .map(drop);
            }
            self.keep(custom_id, raw)?;
            labels.iter().try_for_each(|label| self.count_label(label))?;
        }
        Ok(())
    }

    fn keep(&self, custom_id: &str, raw: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO results (project, resource_id, raw, fetched_at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (resource_id, project) DO NOTHING",
            )?
            .execute((&self.part.project, self.resource(custom_id), raw, self.now_ms))?;
        Ok(())
    }

    /// A second line with an id that was there before. When it says something
    /// else, nobody can tell which one is meant: a person decides.
    fn repeat(&self, there: &There, custom_id: &str, entry: &Entry) -> Result<(), StoreError> {
        if !self.add(entry, LineResult::Duplicate, Some("custom_id_again"))? {
            return Ok(());
        }
        let Read::Usable { raw, .. } = &entry.read else { return Ok(()) };
        let differs: Option<bool> = self
            .connection
            .prepare_cached("SELECT raw <> ?3 FROM results WHERE resource_id = ?1 AND project = ?2")?
            .query_row((self.resource(custom_id), &self.part.project, raw), |row| row.get(0))
            .optional()?
            .flatten();
        if there.result != "ok" || differs != Some(true) {
            return Ok(());
        }
        let ambiguous = HoldReason::AmbiguousOutput.code();
        self.connection
            .prepare_cached("UPDATE batch_lines SET result = 'held', reason = ?3 WHERE batch_id = ?1 AND number = ?2")?
            .execute((&self.part.batch_id, there.number, ambiguous))?;
        self.count("result/ok", -1)?;
        self.count("result/held", 1)?;
        self.count(&format!("reason/{ambiguous}"), 1)
    }

    /// A line that nobody asked for, or that cannot be read.
    /// False when it is in the ledger already.
    fn add(&self, entry: &Entry, result: LineResult, reason: Option<&str>) -> Result<bool, StoreError> {
        let added = self.insert(entry, None, result, reason)?;
        if added {
            self.count(&format!("result/{}", result.word()), 1)?;
            if let Some(reason) = reason {
                self.count(&format!("reason/{reason}"), 1)?;
            }
        }
        Ok(added)
    }

    fn insert(
        &self,
        entry: &Entry,
        ticket_id: Option<&str>,
        result: LineResult,
        reason: Option<&str>,
    ) -> Result<bool, StoreError> {
        let added = self
            .connection
            .prepare_cached(
                "INSERT INTO batch_lines (batch_id, number, part, custom_id, ticket_id, made_at, found, result, reason)
                 SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM batch_lines WHERE batch_id = ?1
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                self.part.batch_id,
                self.part.number,
                entry.custom_id,
                ticket_id,
                self.made_at_ms,
                entry.found,
                result.word(),
                reason
            ])?;
        Ok(added == 1)
    }

    fn count(&self, name: &str, by: i64) -> Result<(), StoreError> {
        count(self.connection, &self.part.batch_id, name, by)
    }

    /// Labels are the model's words: a batch of nonsense must not make a row of each.
    fn count_label(&self, label: &str) -> Result<(), StoreError> {
        let kind = label.match_indices('/').nth(1).map_or(label, |(at, _)| &label[..at]);
        let is_one_more: bool = self
            .connection
            .prepare_cached(
                "SELECT NOT EXISTS (SELECT 1 FROM batch_counts WHERE batch_id = ?1 AND name = ?2)
                    AND (SELECT count(*) FROM batch_counts WHERE batch_id = ?1 AND name > ?3 || '/' AND name < ?3 || '0') >= ?4",
            )?
            .query_row((&self.part.batch_id, label, kind, LABELS_OF_A_KIND), |row| row.get(0))?;
        if is_one_more { self.count(&format!("{kind}/(other)"), 1) } else { self.count(label, 1) }
    }

    fn resource(&self, custom_id: &str) -> String {
        line_id(self.part.resource_id.as_deref().unwrap_or_default(), custom_id)
    }
}
