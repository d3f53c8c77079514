//! Who asks, and what they may do.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use super::Web;
use super::problem::Problem;
use crate::domain::person::{Person, Role};

/// Somebody with a valid token. Taking it as an argument is what closes a route.
pub(super) struct Caller {
    /// For the record of who did what.
    pub(super) person: Person,
}

impl Caller {
    /// Refuses those who may do less than `role`.
    pub(super) fn must_be(&self, role: Role) -> Result<(), Problem> {
        if self.person.role >= role {
            return Ok(());
        }
        Err(Problem::new(
            403,
            "Not allowed",
            format!("this needs the role {}; this token has {}", role.word(), self.person.role.word()),
        ))
    }
}

/// The token of an `Authorization: Bearer …` header.
pub(super) fn bearer(parts: &axum::http::HeaderMap) -> Option<&str> {
    let value = parts.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl FromRequestParts<Arc<Web>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Arc<Web>) -> Result<Caller, Problem> {
        let unknown = || {
            Problem::new(401, "Who are you?", "send Authorization: Bearer TOKEN; `frontdesk token create` makes one")
        };
        let secret = bearer(&parts.headers).ok_or_else(unknown)?;
        let person = web.store.token(secret).await?.ok_or_else(unknown)?;
        Ok(Caller { person })
    }
}
