//! Users and tokens: never what they sign in by.

use serde_json::{Value, json};

use super::time;
use crate::clock::rfc3339;
use crate::domain::person::Person;
use crate::store::User;

/// A user.
#[must_use]
pub fn user(user: &User) -> Value {
    json!({
        "name": user.person.name,
        "role": user.person.role.word(),
        "has_password": user.has_password,
        "created_at": rfc3339(user.created_at_ms),
        "disabled_at": time(user.disabled_at_ms),
        "seen_at": time(user.seen_at_ms),
        "invited_until": time(user.invited_until_ms),
    })
}

/// A token, made and revoked at these times, in ms.
#[must_use]
pub fn token(whose: &Person, created_at_ms: i64, revoked_at_ms: Option<i64>) -> Value {
    json!({
        "name": whose.name,
        "role": whose.role.word(),
        "created_at": rfc3339(created_at_ms),
        "revoked_at": time(revoked_at_ms),
    })
}
