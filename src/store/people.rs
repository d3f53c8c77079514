//! The people who sign in, and the links by which they choose a password.

use serde_json::json;

use super::sql::{Connection, OptionalExtension, Row};
use super::{Store, StoreError, audit_trail};
use crate::domain::person::{Person, Role};

/// Somebody who may sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Name and role.
    pub person: Person,
    /// Whether they have chosen a password.
    pub has_password: bool,
    /// When they were made, in ms.
    pub created_at_ms: i64,
    /// Since when they may not sign in, in ms.
    pub disabled_at_ms: Option<i64>,
    /// When they signed in last, in ms.
    pub seen_at_ms: Option<i64>,
    /// Until when a link to choose a password is good, in ms.
    pub invited_until_ms: Option<i64>,
}

/// What is changed of somebody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UserChange {
    /// What they may do from now on.
    pub role: Option<Role>,
    /// Whether they may not sign in any more.
    pub disabled: Option<bool>,
}

impl UserChange {
    fn takes_admin(self) -> bool {
        self.disabled == Some(true) || self.role.is_some_and(|role| role != Role::Admin)
    }
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserChanged {
    /// It is so.
    Done,
    /// There is nobody of this name.
    Missing,
    /// Nobody would be left who can let others in.
    LastAdmin,
}

/// A link by which somebody chooses a password; `hash` is what is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvitation {
    /// Of the link's secret.
    pub hash: Vec<u8>,
    /// Whose; none for the first person of all, who is an admin.
    pub user: Option<String>,
    /// Who made it.
    pub by: String,
    /// Until when it is good, in ms.
    pub until_ms: i64,
}

/// What became of a link that somebody used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Their password is set.
    Done(Person),
    /// The link has been used, has run out, or never was.
    Gone,
}

const USERS: &str = "SELECT u.name, u.role, u.password IS NOT NULL, u.created_at, u.disabled_at, u.seen_at,
    (SELECT i.until FROM invitations i WHERE coalesce(i.user_name, '') = u.name) FROM users u";

impl Store {
    /// Everybody, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        self.read(|connection| {
            let mut list = connection.prepare_cached(&format!("{USERS} ORDER BY u.name"))?;
            let users = list.query_map([], user)?.collect::<Result<_, _>>()?;
            Ok(users)
        })
        .await
    }

    /// One of them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn user(&self, name: String) -> Result<Option<User>, StoreError> {
        self.look_up(move |connection| {
            let sql = format!("{USERS} WHERE u.name = ?1");
            Ok(connection.prepare_cached(&sql)?.query_row([&name], user).optional()?)
        })
        .await
    }

    /// Makes somebody, with a password's hash or without. False when the name is taken.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn create_user(
        &self,
        person: Person,
        password: Option<String>,
        actor: String,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let made = insert(connection, &person, password.as_deref(), now_ms)?;
            if made {
                let detail = json!({"role": person.role.word()});
                audit_trail::add(connection, &actor, "user.create", &person.name, &detail, now_ms)?;
            }
            Ok(made)
        })
        .await
    }

    /// Changes what somebody may do. Who may no longer sign in is signed out at once.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn change_user(
        &self,
        name: String,
        change: UserChange,
        actor: String,
        now_ms: i64,
    ) -> Result<UserChanged, StoreError> {
        self.write(move |connection| {
            if change.takes_admin() && is_last_admin(connection, &name)? {
                return Ok(UserChanged::LastAdmin);
            }
            let changed = connection.execute(
                "UPDATE users SET role = coalesce(?2, role),
                   disabled_at = CASE ?3 WHEN 1 THEN coalesce(disabled_at, ?4) WHEN 0 THEN NULL ELSE disabled_at END
                 WHERE name = ?1",
                (&name, change.role.map(Role::word), change.disabled.map(i64::from), now_ms),
            )?;
            if changed == 0 {
                return Ok(UserChanged::Missing);
            }
            if change.disabled == Some(true) {
                connection.execute("DELETE FROM sessions WHERE user_name = ?1", [&name])?;
                connection.execute("DELETE FROM invitations WHERE user_name = ?1", [&name])?;
            }
            let detail = json!({"role": change.role.map(Role::word), "disabled": change.disabled});
            audit_trail::add(connection, &actor, "user.change", &name, &detail, now_ms)?;
            Ok(UserChanged::Done)
        })
        .await
    }

    /// Sets somebody's password to one with this hash, and signs out everybody
    /// who is signed in as them but the session `stays`.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn set_password(
        &self,
        name: String,
        password: String,
        stays: Option<Vec<u8>>,
        actor: String,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let changed = change_password(connection, &name, &password)?;
            if changed {
                let stays = stays.as_deref().unwrap_or_default();
                connection.execute("DELETE FROM sessions WHERE user_name = ?1 AND hash <> ?2", (&name, stays))?;
                // A link that lies around would undo it.
                connection.execute("DELETE FROM invitations WHERE user_name = ?1", [&name])?;
                audit_trail::add(connection, &actor, "user.password", &name, &json!({}), now_ms)?;
            }
            Ok(changed)
        })
        .await
    }

    /// The hash of somebody's password, when they may sign in and have one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn password(&self, name: String) -> Result<Option<String>, StoreError> {
        self.look_up(move |connection| {
            let sql = "SELECT password FROM users WHERE name = ?1 AND disabled_at IS NULL";
            Ok(connection.prepare_cached(sql)?.query_row([&name], |row| row.get(0)).optional()?.flatten())
        })
        .await
    }

    /// Keeps a link; an older one for the same person is worthless from now on.
    /// False when there is nobody of this name who may sign in, or, for the first
    /// of all, when somebody was there before.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn invite(&self, invitation: NewInvitation, now_ms: i64) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let NewInvitation { hash, user, by, until_ms } = &invitation;
            let may = match user {
                None => !has_users(connection)?,
                Some(name) => is_enabled(connection, name)?,
            };
            if !may {
                return Ok(false);
            }
            let key = user.as_deref().unwrap_or_default();
            connection.execute("DELETE FROM invitations WHERE coalesce(user_name, '') = ?1", [key])?;
            connection.execute(
                "INSERT INTO invitations (hash, user_name, made_at, made_by, until) VALUES (?1, ?2, ?3, ?4, ?5)",
                (hash.as_slice(), user, now_ms, by, until_ms),
            )?;
            audit_trail::add(connection, by, "user.invite", key, &json!({}), now_ms)?;
            Ok(true)
        })
        .await
    }

    /// Whose link this is while it is good: `Some(None)` is the first person's of all.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn invitation(&self, hash: Vec<u8>, now_ms: i64) -> Result<Option<Option<String>>, StoreError> {
        self.look_up(move |connection| invited(connection, &hash, now_ms)).await
    }

    /// Whether anybody can sign in.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn has_users(&self) -> Result<bool, StoreError> {
        self.read(has_users).await
    }

    /// Somebody has chosen a password by a link, which is then used up. The first
    /// of all chooses a name as well.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn accept_invitation(
        &self,
        hash: Vec<u8>,
        first_name: String,
        password: String,
        now_ms: i64,
    ) -> Result<Accepted, StoreError> {
        self.write(move |connection| {
            let Some(user) = invited(connection, &hash, now_ms)? else { return Ok(Accepted::Gone) };
            let name = match user {
                Some(name) => {
                    change_password(connection, &name, &password)?;
                    name
                }
                None if has_users(connection)? => return Ok(Accepted::Gone),
                None => {
                    let first = Person { name: first_name.clone(), role: Role::Admin };
                    insert(connection, &first, Some(&password), now_ms)?;
                    first_name.clone()
                }
            };
            connection.execute("DELETE FROM invitations WHERE hash = ?1", [hash.as_slice()])?;
            connection.execute("DELETE FROM sessions WHERE user_name = ?1", [&name])?;
            audit_trail::add(connection, &name, "user.accept", &name, &json!({}), now_ms)?;
            let role = connection
                .prepare_cached("SELECT role FROM users WHERE name = ?1")?
                .query_row([&name], |row| row.get::<_, String>(0))?;
            Ok(Accepted::Done(Person { name, role: role_of(&role)? }))
        })
        .await
    }
}

fn insert(connection: &Connection, person: &Person, password: Option<&str>, now_ms: i64) -> Result<bool, StoreError> {
    let made = connection.execute(
        "INSERT INTO users (name, role, password, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO NOTHING",
        (&person.name, person.role.word(), password, now_ms),
    )?;
    Ok(made == 1)
}

fn change_password(connection: &Connection, name: &str, password: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE users SET password = ?2 WHERE name = ?1 AND disabled_at IS NULL";
    Ok(connection.execute(sql, (name, password))? == 1)
}

fn has_users(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM users)")?.query_row([], |row| row.get(0))?)
}

fn is_last_admin(connection: &Connection, name: &str) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM users WHERE name = ?1 AND role = 'admin' AND disabled_at IS NULL)
           AND NOT EXISTS (SELECT 1 FROM users WHERE name <> ?1 AND role = 'admin' AND disabled_at IS NULL)";
    Ok(connection.prepare_cached(sql)?.query_row([name], |row| row.get(0))?)
}

fn is_enabled(connection: &Connection, name: &str) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM users WHERE name = ?1 AND disabled_at IS NULL)";
    Ok(connection.prepare_cached(sql)?.query_row([name], |row| row.get(0))?)
}

fn invited(connection: &Connection, hash: &[u8], now_ms: i64) -> Result<Option<Option<String>>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT user_name FROM invitations WHERE hash = ?1 AND until > ?2")?
        .query_row((hash, now_ms), |row| row.get(0))
        .optional()?)
}

pub(super) fn role_of(word: &str) -> Result<Role, StoreError> {
    Role::parse(word).ok_or(StoreError::Corrupt { table: "users", column: "role" })
}

fn user(row: &Row<'_>) -> super::sql::Result<User> {
    let role: String = row.get(1)?;
    Ok(User {
        // The table's own check allows no other word.
        person: Person { name: row.get(0)?, role: Role::parse(&role).unwrap_or(Role::Agent) },
        has_password: row.get(2)?,
        created_at_ms: row.get(3)?,
        disabled_at_ms: row.get(4)?,
        seen_at_ms: row.get(5)?,
        invited_until_ms: row.get(6)?,
    })
}
