//! Who is signed in, and who has failed to. Only hashes of what browsers hold,
//! and of what people type, are kept.

use std::collections::BTreeSet;

use super::people::role_of;
use super::sql::{Connection, OptionalExtension, Subject};
use super::{Store, StoreError};
use crate::domain::person::Person;

/// Somebody's being signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Of the secret that their browser holds.
    pub hash: Vec<u8>,
    /// Who.
    pub user: String,
    /// Until when at the latest, in ms.
    pub until_ms: i64,
    /// The session that the browser had before, which ends.
    pub instead_of: Option<Vec<u8>>,
}

/// Who is signed in by a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who, with the role of now.
    pub person: Person,
    /// When they were last seen, in ms.
    pub seen_at_ms: i64,
}

/// Failures to sign in under one name, or from one address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many without a success in between.
    pub count: i64,
    /// The last one, in ms.
    pub last_at_ms: i64,
}

impl Store {
    /// Signs somebody in. False when they may not.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn open_session(&self, session: NewSession, now_ms: i64) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let NewSession { hash, user, until_ms, instead_of } = &session;
            connection.execute("DELETE FROM sessions WHERE until <= ?1", [now_ms])?;
            if let Some(before) = instead_of {
                connection.execute("DELETE FROM sessions WHERE hash = ?1", [before.as_slice()])?;
            }
            let sql = "UPDATE users SET seen_at = ?2 WHERE name = ?1 AND disabled_at IS NULL";
            if connection.execute(sql, (user, now_ms))? == 0 {
                return Ok(false);
            }
            connection.execute(
                "INSERT INTO sessions (hash, user_name, created_at, seen_at, until) VALUES (?1, ?2, ?3, ?3, ?4)",
                (hash.as_slice(), user, now_ms, until_ms),
            )?;
            Ok(true)
        })
        .await
    }

    /// Who is signed in by it, if they were seen within `idle_ms`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn session(&self, hash: Vec<u8>, idle_ms: i64, now_ms: i64) -> Result<Option<SignedIn>, StoreError> {
        self.look_up(move |connection| {
            let found: Option<(String, String, i64)> = connection
                .prepare_cached(
                    "SELECT u.name, u.role, s.seen_at FROM sessions s JOIN users u ON u.name = s.user_name
                     WHERE s.hash = ?1 AND s.until > ?2 AND s.seen_at > ?3 AND u.disabled_at IS NULL",
                )?
                .query_row((hash.as_slice(), now_ms, now_ms - idle_ms), |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()?;
            found
                .map(|(name, role, seen_at_ms)| {
                    Ok(SignedIn { person: Person { name, role: role_of(&role)? }, seen_at_ms })
                })
                .transpose()
        })
        .await
    }

    /// Somebody who is signed in was seen.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn touch_session(&self, hash: Vec<u8>, now_ms: i64) -> Result<(), StoreError> {
        self.write_beside(move |connection| {
            let sql = "UPDATE sessions SET seen_at = ?2 WHERE hash = ?1 AND seen_at < ?2";
            connection.execute(sql, (hash.as_slice(), now_ms))?;
            Ok(())
        })
        .await
    }

    /// Signs out.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn close_session(&self, hash: Vec<u8>) -> Result<(), StoreError> {
        self.write(move |connection| {
            connection.execute("DELETE FROM sessions WHERE hash = ?1", [hash.as_slice()])?;
            Ok(())
        })
        .await
    }

    /// Counts an attempt for each of the keys, unless `must_wait` says of what was
    /// counted before, in the order of the keys, that it has to wait; gives how long,
    /// in seconds. Of many at once each counts before the next is looked at. A key
    /// whose last attempt is older than `forget_before_ms` begins anew, as do all
    /// others that are so old.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn try_sign_in(
        &self,
        keys: Vec<String>,
        forget_before_ms: i64,
        now_ms: i64,
        must_wait: fn(&[Failures], i64) -> Option<i64>,
    ) -> Result<Option<i64>, StoreError> {
        self.write(move |connection| {
            let ids: BTreeSet<&String> = keys.iter().collect();
            ids.iter().try_for_each(|key| connection.alone_with(Subject::SignIn(key)))?;
            connection.execute("DELETE FROM sign_ins WHERE last_at < ?1", [forget_before_ms])?;
            let before = keys.iter().map(|key| failures(connection, key)).collect::<Result<Vec<_>, _>>()?;
            if let Some(wait_s) = must_wait(&before, now_ms) {
                return Ok(Some(wait_s));
            }
            for key in &keys {
                connection.execute(
                    "INSERT INTO sign_ins (key, failures, last_at) VALUES (?1, 1, ?2)
                     ON CONFLICT (key) DO UPDATE SET failures = sign_ins.failures + 1, last_at = excluded.last_at",
                    (key, now_ms),
                )?;
            }
            Ok(None)
        })
        .await
    }

    /// There was a success: all failures under the key `own` are forgotten, and of
    /// each of the `shared` ones the attempt that it was. Those are of others too.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn signed_in_well(&self, own: String, shared: Vec<String>) -> Result<(), StoreError> {
        self.write(move |connection| {
            connection.execute("DELETE FROM sign_ins WHERE key = ?1", [&own])?;
            for key in &shared {
                connection
                    .execute("UPDATE sign_ins SET failures = failures - 1 WHERE key = ?1 AND failures > 0", [key])?;
            }
            Ok(())
        })
        .await
    }
}

fn failures(connection: &Connection, key: &str) -> Result<Failures, StoreError> {
    let found = connection
        .prepare_cached("SELECT failures, last_at FROM sign_ins WHERE key = ?1")?
        .query_row([key], |row| Ok(Failures { count: row.get(0)?, last_at_ms: row.get(1)? }))
        .optional()?;
    Ok(found.unwrap_or_default())
}
