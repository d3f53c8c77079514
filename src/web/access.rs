//! Who asks, and what they may do.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use super::Web;
use super::problem::Problem;
use crate::domain::person::{Person, Role};
use crate::people::LetIn;

/// Somebody with a valid token, or signed in. Taking it as an argument is what closes a route.
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
            format!("this needs the role {}; yours is {}", role.word(), self.person.role.word()),
        ))
    }
}

/// The token of an `Authorization: Bearer …` header.
pub(super) fn bearer(parts: &axum::http::HeaderMap) -> Option<&str> {
    let value = parts.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// By a token; or, for a page, whoever looks at it.
async fn who(parts: &Parts, web: &Web) -> Result<Option<Person>, Problem> {
    if let Some(LetIn(person)) = parts.extensions.get() {
        return Ok(Some(person.clone()));
    }
    // A wrong token is not made good by a cookie.
    if let Some(secret) = bearer(&parts.headers) {
        return Ok(web.store.token(secret).await?);
    }
    let visitor = web.people.visitor(parts).await?;
    if visitor.is_some() && web.people.is_from_elsewhere(parts) {
        return Err(Problem::new(403, "Not from here", "a page of another site asked for this; nothing was done"));
    }
    Ok(visitor)
}

impl FromRequestParts<Arc<Web>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Arc<Web>) -> Result<Caller, Problem> {
        let person = who(parts, web).await?.ok_or_else(|| {
            Problem::new(
                401,
                "Who are you?",
                "sign in, or send Authorization: Bearer TOKEN; `frontdesk token create` makes one",
            )
        })?;
        Ok(Caller { person })
    }
}
