//! Access tokens of the API: only their hash is stored.

use crate::store::sql::{Connection, OptionalExtension};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Store, StoreError, audit_trail};
use crate::domain::person::{Person, Role};

impl Store {
    /// Stores a token's hash. False when the name is taken.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn create_token(
        &self,
        name: String,
        role: Role,
        secret: String,
        actor: String,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let made = connection.execute(
                "INSERT INTO tokens (name, role, hash, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO NOTHING",
                (&name, role.word(), hash(&secret), now_ms),
            )?;
            if made == 1 {
                let detail = json!({"role": role.word()});
                audit_trail::add(connection, &actor, "token.create", &name, &detail, now_ms)?;
            }
            Ok(made == 1)
        })
        .await
    }

    /// Revokes a token. False when there is none of this name.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn revoke_token(&self, name: String, actor: String, now_ms: i64) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let sql = "UPDATE tokens SET revoked_at = ?2 WHERE name = ?1 AND revoked_at IS NULL";
            let is_revoked = connection.execute(sql, (&name, now_ms))? == 1;
            if is_revoked {
                audit_trail::add(connection, &actor, "token.revoke", &name, &json!({}), now_ms)?;
            }
            Ok(is_revoked)
        })
        .await
    }

    /// All tokens by name, with when they were made and revoked (ms).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tokens(&self) -> Result<Vec<(Person, i64, Option<i64>)>, StoreError> {
        self.read(|connection| {
            let mut list =
                connection.prepare_cached("SELECT name, role, created_at, revoked_at FROM tokens ORDER BY name")?;
            let rows =
                list.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?)))?;
            rows.map(|row| {
                let (name, role, created_at, revoked_at) = row?;
                Ok((Person { name, role: role_of(&role)? }, created_at, revoked_at))
            })
            .collect()
        })
        .await
    }

    /// Whose token this is, if it is one and has not been revoked.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn token(&self, secret: &str) -> Result<Option<Person>, StoreError> {
        let hash = hash(secret);
        self.look_up(move |connection| look_up(connection, &hash)).await
    }
}

/// The look-up is by hash, so its timing tells nothing about the token.
fn look_up(connection: &Connection, hash: &[u8]) -> Result<Option<Person>, StoreError> {
    let found: Option<(String, String)> = connection
        .prepare_cached("SELECT name, role FROM tokens WHERE hash = ?1 AND revoked_at IS NULL")?
        .query_row([hash], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.map(|(name, role)| Ok(Person { name, role: role_of(&role)? })).transpose()
}

fn role_of(word: &str) -> Result<Role, StoreError> {
    Role::parse(word).ok_or(StoreError::Corrupt { table: "tokens", column: "role" })
}

fn hash(secret: &str) -> Vec<u8> {
    // Tokens are 240 random bits: a plain hash is enough, there is nothing to guess.
    Sha256::digest(secret.as_bytes()).to_vec()
}
