//! Access tokens of the API: only their hash is stored.

use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use super::{Store, StoreError};

/// What a token may do; each role may do all of the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read, write on tickets of the built-in desk, start one submission.
    Agent,
    /// Also retry and discard jobs.
    Lead,
    /// Everything there is.
    Admin,
}

impl Role {
    /// The word used in the database, the API and the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Role::Agent => "agent",
            Role::Lead => "lead",
            Role::Admin => "admin",
        }
    }

    /// The role with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Role> {
        [Role::Agent, Role::Lead, Role::Admin].into_iter().find(|role| role.word() == word)
    }
}

/// Whose request this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The name it was made under.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

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
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let made = connection.execute(
                "INSERT INTO tokens (name, role, hash, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO NOTHING",
                (&name, role.word(), hash(&secret), now_ms),
            )?;
            Ok(made == 1)
        })
        .await
    }

    /// Revokes a token. False when there is none of this name.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn revoke_token(&self, name: String, now_ms: i64) -> Result<bool, StoreError> {
        self.write(move |connection| {
            Ok(connection
                .execute("UPDATE tokens SET revoked_at = ?2 WHERE name = ?1 AND revoked_at IS NULL", (&name, now_ms))?
                == 1)
        })
        .await
    }

    /// All tokens by name, with when they were made and revoked (ms).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tokens(&self) -> Result<Vec<(Token, i64, Option<i64>)>, StoreError> {
        self.read(|connection| {
            let mut list =
                connection.prepare_cached("SELECT name, role, created_at, revoked_at FROM tokens ORDER BY name")?;
            let rows =
                list.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?)))?;
            rows.map(|row| {
                let (name, role, created_at, revoked_at) = row?;
                Ok((Token { name, role: role_of(&role)? }, created_at, revoked_at))
            })
            .collect()
        })
        .await
    }

    /// Whose token this is, if it is one and has not been revoked.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn token(&self, secret: &str) -> Result<Option<Token>, StoreError> {
        let hash = hash(secret);
        self.look_up(move |connection| look_up(connection, &hash)).await
    }
}

/// The look-up is by hash, so its timing tells nothing about the token.
fn look_up(connection: &Connection, hash: &[u8]) -> Result<Option<Token>, StoreError> {
    let found: Option<(String, String)> = connection
        .prepare_cached("SELECT name, role FROM tokens WHERE hash = ?1 AND revoked_at IS NULL")?
        .query_row([hash], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.map(|(name, role)| Ok(Token { name, role: role_of(&role)? })).transpose()
}

fn role_of(word: &str) -> Result<Role, StoreError> {
    Role::parse(word).ok_or(StoreError::Corrupt { table: "tokens", column: "role" })
}

fn hash(secret: &str) -> Vec<u8> {
    // Tokens are 240 random bits: a plain hash is enough, there is nothing to guess.
    Sha256::digest(secret.as_bytes()).to_vec()
}
