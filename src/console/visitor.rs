//! Who looks at a page.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::Console;
use super::answer::Failure;
use super::api::query;
use crate::domain::person::Person;

/// Somebody who is signed in. Taking it as an argument is what closes a page:
/// everybody else is sent to sign in, and comes back.
pub(super) struct Visitor {
    pub(super) person: Person,
}

impl FromRequestParts<Arc<Console>> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Visitor, Failure> {
        from_here(parts, console)?;
        match console.people.visitor(parts).await? {
            Some(person) => Ok(Visitor { person }),
            None => {
                let page = parts.uri.path_and_query().map_or("/", |page| page.as_str());
                let next = if parts.method.is_safe() && page != "/" { page } else { "" };
                Err(Failure::instead(format!("/sign-in{}", query(&[("next", next)]))))
            }
        }
    }
}

/// Refuses what a page of somebody else made a browser ask.
pub(super) fn from_here(parts: &Parts, console: &Console) -> Result<(), Failure> {
    if console.people.is_from_elsewhere(parts) {
        return Err(Failure::new(403, "Not from here", "A page of another site asked for this. Nothing was done."));
    }
    Ok(())
}
