//! Who may come in: passwords, sessions, the links by which people choose a
//! password, and how often somebody may try.

mod throttle;
mod visit;

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderName;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::domain::password;
use crate::domain::person::{Person, Role, valid_user_name};
use crate::store::{Accepted, NewInvitation, NewSession, Store, StoreError};

pub use visit::LetIn;

/// A session that is in use is marked as seen so often, in ms.
const SEEN_EVERY_MS: i64 = 60_000;

/// Passwords that are hashed at once: each takes 19 MiB and a processor.
const HASHED_AT_ONCE: usize = 2;

/// How long people stay signed in, and who else lets them in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A session ends when nothing was asked for so long, in ms.
    pub idle_ms: i64,
    /// A session ends after this, whatever happens, in ms.
    pub longest_ms: i64,
    /// How long a link to choose a password is good, in ms.
    pub invitation_ms: i64,
    /// Where people find this, as `https://desk.example.com`; none: where they asked.
    pub url: Option<String>,
    /// A proxy that says who somebody is.
    pub proxy: Option<Proxy>,
}

/// A proxy that signs people in.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Says who it is.
    pub header: HeaderName,
    /// Its addresses: nobody else is believed.
    pub from: Vec<IpAddr>,
    /// What somebody may do who is not among the users; none: nothing.
    pub others: Option<Role>,
}

/// Who may come in.
#[derive(Clone)]
pub struct People {
    store: Store,
    clock: Clock,
    settings: Arc<Settings>,
    hashing: Arc<Semaphore>,
}

/// Somebody who has just signed in.
pub struct Signed {
    /// Who.
    pub person: Person,
    /// What their browser is to hold.
    pub secret: String,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is nobody of this name with this password. Which of the two, nobody is told.
    Wrong,
    /// They have tried too often; seconds until the next attempt counts.
    TooOften {
        /// At least 1.
        wait_s: i64,
    },
}

/// Why a password could not be set.
#[derive(Debug, thiserror::Error)]
pub enum NotSet {
    /// It is too short or too long; says so.
    #[error("{0}")]
    Password(String),
    /// The name cannot be used.
    #[error("a name is 1 to 64 letters, digits or ._-@+, and not the name of a role")]
    Name,
    /// The link is used up.
    #[error("this link has been used or has run out; ask an admin for another one")]
    Gone,
    /// The current password is another one.
    #[error("that is not your password now")]
    Wrong,
    /// They have tried too often.
    #[error("too many attempts; try again in {0} s")]
    TooOften(i64),
    /// It could not be hashed.
    #[error("the password could not be hashed")]
    Hash,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl People {
    /// Those who may come in, by what the database says.
    #[must_use]
    pub fn new(store: Store, clock: Clock, settings: Settings) -> People {
        People { store, clock, settings: Arc::new(settings), hashing: Arc::new(Semaphore::new(HASHED_AT_ONCE)) }
    }

    /// Signs somebody in who types a password at the address `from`; the session
    /// `before` of the same browser ends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sign_in(
        &self,
        name: &str,
        typed: &str,
        from: &str,
        before: Option<&str>,
    ) -> Result<Result<Signed, Refused>, StoreError> {
        if let Err(refused) = self.check_password(name, typed, from).await? {
            return Ok(Err(refused));
        }
        let signed = self.open(name, before).await?;
        Ok(signed.ok_or(Refused::Wrong))
    }

    /// Whether this is their password, for somebody who has not tried too often.
    async fn check_password(&self, name: &str, typed: &str, from: &str) -> Result<Result<(), Refused>, StoreError> {
        // Counted before it is known, so that many at once are many.
        if let Some(wait_s) = self.must_wait(name, from).await? {
            return Ok(Err(Refused::TooOften { wait_s }));
        }
        // Whatever else was typed there is nobody's name.
        let kept = if valid_user_name(name) { self.store.password(name.to_owned()).await? } else { None };
        let typed = typed.to_owned();
        let is_theirs = self.hashed(move || password::matches(&typed, kept.as_deref())).await.unwrap_or(false);
        if !is_theirs {
            return Ok(Err(Refused::Wrong));
        }
        self.forget_attempts(name, from).await?;
        Ok(Ok(()))
    }

    async fn open(&self, name: &str, before: Option<&str>) -> Result<Option<Signed>, StoreError> {
        let (now_ms, secret) = (self.clock.now_ms(), new_secret()?);
        let session = NewSession {
            hash: hash_of(&secret),
            user: name.to_owned(),
            until_ms: now_ms + self.settings.longest_ms,
            instead_of: before.map(hash_of),
        };
        if !self.store.open_session(session, now_ms).await? {
            return Ok(None);
        }
        let user = self.store.user(name.to_owned()).await?;
        Ok(user.map(|user| Signed { person: user.person, secret }))
    }

    /// Who holds this secret of a session.
    async fn signed_in(&self, secret: &str) -> Result<Option<Person>, StoreError> {
        let (now_ms, hash) = (self.clock.now_ms(), hash_of(secret));
        let found = self.store.session(hash.clone(), self.settings.idle_ms, now_ms).await?;
        let Some(found) = found else { return Ok(None) };
        if now_ms - found.seen_at_ms >= SEEN_EVERY_MS {
            self.store.touch_session(hash, now_ms).await?;
        }
        Ok(Some(found.person))
    }

    /// Signs out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sign_out(&self, secret: &str) -> Result<(), StoreError> {
        self.store.close_session(hash_of(secret)).await
    }

    /// Makes the secret of a link by which `user` chooses a password; none when
    /// nobody of this name may sign in. With no user it is the first person of all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invite(&self, user: Option<String>, by: &str) -> Result<Option<String>, StoreError> {
        let (now_ms, secret) = (self.clock.now_ms(), new_secret()?);
        let invitation = NewInvitation {
            hash: hash_of(&secret),
            user,
            by: by.to_owned(),
            until_ms: now_ms + self.settings.invitation_ms,
        };
        Ok(self.store.invite(invitation, now_ms).await?.then_some(secret))
    }

    /// Whose link this is, while it is good: `Some(None)` is the first person's of all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invitation(&self, secret: &str) -> Result<Option<Option<String>>, StoreError> {
        self.store.invitation(hash_of(secret), self.clock.now_ms()).await
    }

    /// Somebody chooses a password by a link, and is signed in. `first_name` is
    /// what the first person of all wants to be called.
    ///
    /// # Errors
    /// [`NotSet`]; nothing has changed then.
    pub async fn accept(&self, secret: &str, first_name: &str, chosen: &str) -> Result<Signed, NotSet> {
        match self.invitation(secret).await? {
            None => return Err(NotSet::Gone),
            Some(None) if !valid_user_name(first_name) => return Err(NotSet::Name),
            Some(_) => {}
        }
        let password = self.hash(chosen).await?;
        let now_ms = self.clock.now_ms();
        match self.store.accept_invitation(hash_of(secret), first_name.to_owned(), password, now_ms).await? {
            Accepted::Gone => Err(NotSet::Gone),
            Accepted::Done(person) => self.open(&person.name, None).await?.ok_or(NotSet::Gone),
        }
    }

    /// Somebody who is signed in chooses another password; they are signed out everywhere else.
    ///
    /// # Errors
    /// [`NotSet`]; nothing has changed then.
    pub async fn change_password(
        &self,
        name: &str,
        (now, chosen): (&str, &str),
        from: &str,
        secret: Option<&str>,
    ) -> Result<(), NotSet> {
        password::check(chosen).map_err(NotSet::Password)?;
        self.check_password(name, now, from).await?.map_err(|refused| match refused {
            Refused::Wrong => NotSet::Wrong,
            Refused::TooOften { wait_s } => NotSet::TooOften(wait_s),
        })?;
        let password = self.hash(chosen).await?;
        let (stays, now_ms) = (secret.map(hash_of), self.clock.now_ms());
        self.store.set_password(name.to_owned(), password, stays, name.to_owned(), now_ms).await?;
        Ok(())
    }

    /// The hash of a password that somebody has chosen.
    ///
    /// # Errors
    /// [`NotSet`], when it cannot be used.
    pub async fn hash(&self, chosen: &str) -> Result<String, NotSet> {
        password::check(chosen).map_err(NotSet::Password)?;
        let chosen = chosen.to_owned();
        self.hashed(move || password::hash(&chosen)).await.and_then(Result::ok).ok_or(NotSet::Hash)
    }

    /// Hashing keeps a processor busy: not one that others wait for, and not all of them.
    async fn hashed<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let _place = self.hashing.acquire().await.ok()?;
        tokio::task::spawn_blocking(work).await.ok()
    }
}

/// 256 random bits, as they stand in a cookie or a link.
fn new_secret() -> Result<String, StoreError> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Open(format!("no randomness: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of a secret. It is random: there is nothing to guess, so a plain hash is enough.
fn hash_of(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}
