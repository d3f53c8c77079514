//! A database that was restored is older than the world: what was written to
//! tickets, sent and started since the copy was made is not in it. So it keeps a
//! mark, and while that stands, work from before it is looked for before it is
//! written. [`identity`] notices a file that was put in place by hand.

use std::time::UNIX_EPOCH;

use serde_json::json;

use super::sql::{Connection, OptionalExtension as _};
use super::{Store, StoreError, audit_trail, marks};
use crate::domain::verify::TOLERANCE_S;

/// When it was restored last, in ms.
const RESTORED_AT: &str = "restored_at";

/// When the copy was made that it was restored from, in ms; 0 when nobody knows.
const RESTORED_FROM: &str = "restored_from";

/// In a copy that nobody has worked with: when it was made, in ms.
const COPIED_AT: &str = "copied_at";

/// Before the identity of the database that this was when it was opened last.
/// `/` and the character after it bound the names.
const IDENTITY: &str = "identity/";
const PAST_IDENTITIES: &str = "identity0";

/// OpenAI's clock and ours may differ so far, or no delivery would be accepted.
const CLOCKS_MS: i64 = TOLERANCE_S * 1000;

/// That a database was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// When that was found out, in ms. Work made before is looked for before it
    /// is written, however late it comes.
    pub at_ms: i64,
    /// When the copy was made, in ms, when that is known.
    pub copied_at_ms: Option<i64>,
}

/// A database has just been marked as restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked {
    /// The mark.
    pub restored: Restored,
    /// Planned work that may have been started since the copy was made: it is
    /// not started again, and told to a person at its deadline.
    pub starts_in_doubt: usize,
}

/// How it is known that a database was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// The command did it.
    ByCommand,
    /// A person says so.
    Said,
    /// It is a copy, or another file than before.
    Noticed,
}

impl How {
    fn word(self) -> &'static str {
        match self {
            How::ByCommand => "command",
            How::Said => "said",
            How::Noticed => "noticed",
        }
    }
}

impl Store {
    /// Whether this database was restored, and when.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn restored(&self) -> Result<Option<Restored>, StoreError> {
        self.look_up(standing).await
    }

    /// A person says that it was restored.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn mark_restored(&self, actor: String, now_ms: i64) -> Result<Marked, StoreError> {
        self.write(move |connection| mark_as(connection, How::Said, &actor, now_ms)).await
    }

    /// Whoever begins to work with the database asks this first: marks it when it
    /// is a copy, or not the one that was worked with before. None when it is the
    /// same, or nobody has worked with it yet.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn notice_restore(&self, now_ms: i64) -> Result<Option<Marked>, StoreError> {
        if self.read(|connection| Ok(look(connection)?.verdict)).await? == Verdict::Same {
            return Ok(None);
        }
        self.write(move |connection| notice(connection, now_ms)).await
    }

    /// Whether work names a ticket that did not exist when the work was made: a
    /// restored built-in desk gives the numbers of lost tickets again. `made_at_ms`
    /// is none when nobody knows when the work was made.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn is_another_ticket(&self, ticket_id: String, made_at_ms: Option<i64>) -> Result<bool, StoreError> {
        self.look_up(move |connection| {
            let Some(restored) = standing(connection)?.filter(|restored| is_before(made_at_ms, restored.at_ms)) else {
                return Ok(false);
            };
            Ok(connection
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM tickets WHERE id = ?1 AND created_at >= ?2)")?
                .query_row((&ticket_id, restored.at_ms), |row| row.get(0))?)
        })
        .await
    }
}

/// Whether work may have been carried out before the database was restored.
pub(super) fn is_older(connection: &Connection, made_at_ms: Option<i64>) -> Result<bool, StoreError> {
    let at_ms = marks::get(connection, RESTORED_AT)?;
    Ok(at_ms > 0 && is_before(made_at_ms, at_ms))
}

/// What nobody knows the time of may be from before.
fn is_before(made_at_ms: Option<i64>, restored_at_ms: i64) -> bool {
    made_at_ms.is_none_or(|made_at_ms| made_at_ms < restored_at_ms.saturating_add(CLOCKS_MS))
}

pub(super) fn standing(connection: &Connection) -> Result<Option<Restored>, StoreError> {
    let at_ms = marks::get(connection, RESTORED_AT)?;
    let copied_at_ms = Some(marks::get(connection, RESTORED_FROM)?).filter(|at_ms| *at_ms > 0);
    Ok((at_ms > 0).then_some(Restored { at_ms, copied_at_ms }))
}

/// Marks the database, in the transaction of whoever calls.
pub(super) fn mark_as(connection: &Connection, how: How, actor: &str, now_ms: i64) -> Result<Marked, StoreError> {
    let copied_at_ms = marks::get(connection, COPIED_AT)?;
    marks::set(connection, RESTORED_AT, now_ms)?;
    marks::set(connection, RESTORED_FROM, copied_at_ms)?;
    connection.execute("DELETE FROM marks WHERE name = ?1", [COPIED_AT])?;
    if let Some(identity) = identity(connection)? {
        note_identity(connection, &identity, now_ms)?;
    }
    // Who was signed out since is not signed in again by it.
    connection.execute("DELETE FROM sessions", [])?;
    connection.execute("DELETE FROM invitations", [])?;
    let starts_in_doubt = doubt_starts(connection, now_ms)?;
    let detail = json!({"how": how.word(), "starts_in_doubt": starts_in_doubt});
    audit_trail::add(connection, actor, "database.restored", "database", &detail, now_ms)?;
    let copied_at_ms = Some(copied_at_ms).filter(|at_ms| *at_ms > 0);
    Ok(Marked { restored: Restored { at_ms: now_ms, copied_at_ms }, starts_in_doubt })
}

/// Planned work may have been started since the copy was made, and nobody can ask
/// OpenAI for it without its id: it waits for its webhook, and for a person.
/// Parts of batches can be asked for, and are.
fn doubt_starts(connection: &Connection, now_ms: i64) -> Result<usize, StoreError> {
    Ok(connection.execute(
        "UPDATE submissions SET state = 'unknown', prompt_version = coalesce(prompt_version, ''), check_at = ?1, error_cause = NULL,
                error_detail = 'it may have been started before the database was restored'
         WHERE kind = 'response' AND origin <> 'person' AND state IN ('planned','refused')
           AND EXISTS (SELECT 1 FROM jobs j WHERE j.key = 'start/' || submissions.id AND j.project = submissions.project
                         AND j.state IN ('queued','processing','failed_retryable'))",
        [now_ms],
    )?)
}

/// Says in a copy that it is one.
pub(super) fn mark_copy(connection: &Connection, now_ms: i64) -> Result<(), StoreError> {
    marks::set(connection, COPIED_AT, now_ms)
}

/// When a copy that nobody has worked with was made, in ms.
pub(super) fn copied_at(connection: &Connection) -> Result<Option<i64>, StoreError> {
    Ok(Some(marks::get(connection, COPIED_AT)?).filter(|at_ms| *at_ms > 0))
}

/// As [`Store::notice_restore`], in the transaction of whoever calls.
pub(super) fn notice(connection: &Connection, now_ms: i64) -> Result<Option<Marked>, StoreError> {
    // Somebody else may have been here since the first look.
    let Seen { verdict, identity } = look(connection)?;
    match (verdict, identity) {
        (Verdict::Same, _) | (Verdict::First, None) => Ok(None),
        (Verdict::First, Some(identity)) => note_identity(connection, &identity, now_ms).map(|()| None),
        (Verdict::Restored, _) => {
            let marked = mark_as(connection, How::Noticed, "frontdesk", now_ms)?;
            let starts_in_doubt = marked.starts_in_doubt;
            tracing::warn!(
                starts_in_doubt,
                "this database was restored, or moved: work from before is looked for on the ticket before it is written; docs/backup.md says what to look at"
            );
            Ok(Some(marked))
        }
    }
}

/// Whether to [`notice`] before work is handed out: a standby may have taken over
/// without what the primary had last, between two looks of the reconciler. A file
/// does not change under whoever has it open.
pub(super) fn must_be_noticed(connection: &Connection) -> Result<bool, StoreError> {
    let Some(server) = connection.postgres() else { return Ok(false) };
    // Behind a pooler the server changes and the connection stays.
    let timeline: String = connection
        .prepare_cached("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")?
        .query_row([], |row| row.get(0))?;
    if server.has_seen(&timeline) {
        return Ok(false);
    }
    if look(connection)?.verdict != Verdict::Same {
        return Ok(true);
    }
    server.see(timeline);
    Ok(false)
}

struct Seen {
    verdict: Verdict,
    identity: Option<String>,
}

fn look(connection: &Connection) -> Result<Seen, StoreError> {
    let known: Option<String> = connection
        .prepare_cached("SELECT name FROM marks WHERE name >= ?1 AND name < ?2")?
        .query_row((IDENTITY, PAST_IDENTITIES), |row| row.get(0))
        .optional()?;
    let known = known.as_deref().and_then(|name| name.strip_prefix(IDENTITY));
    let identity = identity(connection)?;
    Ok(Seen { verdict: judge(copied_at(connection)?.is_some(), known, identity.as_deref()), identity })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It was worked with before, and is the same.
    Same,
    /// Nobody has worked with it yet.
    First,
    /// It is a copy, or another one than before.
    Restored,
}

/// Where nobody can tell what it is, only a copy shows.
fn judge(is_copy: bool, known: Option<&str>, found: Option<&str>) -> Verdict {
    match (known, found) {
        _ if is_copy => Verdict::Restored,
        (Some(known), Some(found)) if known != found => Verdict::Restored,
        (None, Some(_)) => Verdict::First,
        _ => Verdict::Same,
    }
}

fn note_identity(connection: &Connection, identity: &str, now_ms: i64) -> Result<(), StoreError> {
    connection.execute("DELETE FROM marks WHERE name >= ?1 AND name < ?2", (IDENTITY, PAST_IDENTITIES))?;
    marks::set(connection, &format!("{IDENTITY}{identity}"), now_ms)
}

/// What a copy of the database does not share with it. None when nobody can tell.
fn identity(connection: &Connection) -> Result<Option<String>, StoreError> {
    match connection.sqlite() {
        Some(connection) => of_file(connection.path().unwrap_or_default()).map(Some),
        None => of_server(connection),
    }
}

/// The number of the file and when that was made. The number of the disk is left
/// out, because it may be another after a restart of the machine.
fn of_file(path: &str) -> Result<String, StoreError> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(path).map_err(|error| StoreError::Open(format!("{path}: {error}")))?;
    // Not every file system tells.
    let made = found.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Ok(format!("file/{}/{}", found.ino(), made.map_or(0, |since| since.as_nanos())))
}

/// The cluster, its timeline (another one after each recovery and each failover)
/// and the number of the database in it.
fn of_server(connection: &Connection) -> Result<Option<String>, StoreError> {
    let may_ask: bool = connection.query_row(
        "SELECT has_function_privilege('pg_control_system()', 'EXECUTE') AND NOT pg_is_in_recovery()",
        [],
        |row| row.get(0),
    )?;
    if !may_ask {
        return Ok(None);
    }
    Ok(Some(connection.query_row(
        "SELECT 'server/' || CAST(c.system_identifier AS TEXT) || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || '/' || CAST(d.oid AS TEXT)
           FROM pg_control_system() c, pg_database d WHERE d.datname = current_database()",
        [],
        |row| row.get(0),
    )?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_or_another_identity_is_a_restore_and_a_new_database_is_not() {
        let (one, other) = (Some("file/1/2"), Some("file/1/3"));
        assert_eq!(judge(false, None, one), Verdict::First);
        assert_eq!(judge(false, one, one), Verdict::Same);
        assert_eq!(judge(false, one, other), Verdict::Restored);
        assert_eq!(judge(true, one, one), Verdict::Restored, "a copy over the old file");
        assert_eq!(judge(true, None, one), Verdict::Restored);
        assert_eq!(judge(false, one, None), Verdict::Same, "nobody can tell");
    }

    #[test]
    fn work_is_from_before_up_to_the_difference_of_two_clocks_and_always_when_nobody_knows() {
        let at_ms = 1_000_000;
        assert!(is_before(Some(at_ms - 1), at_ms) && is_before(Some(at_ms + CLOCKS_MS - 1), at_ms));
        assert!(!is_before(Some(at_ms + CLOCKS_MS), at_ms));
        assert!(is_before(None, at_ms));
    }
}
