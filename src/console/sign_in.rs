//! Signing in and out, and choosing a password by a link.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::get;
use minijinja::context;
use serde::Deserialize;

use super::Console;
use super::answer::{Failure, Shown, go};
use super::render::Page;
use super::visitor::{Visitor, from_here};
use crate::people::{NotSet, Refused, Signed};

pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/sign-in", get(form).post(sign_in))
        .route("/sign-out", axum::routing::post(sign_out))
        .route("/invitation/{secret}", get(invitation).post(accept))
        .route("/password", axum::routing::post(change_password))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    next: String,
    done: Option<String>,
}

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

async fn form(State(console): State<Arc<Console>>, Query(asked): Query<Asked>, parts: Parts) -> Shown {
    if console.people.visitor(&parts).await?.is_some() {
        return Ok(go(own_page(&asked.next)));
    }
    let page = Page::plain(&console, "Sign in").done(asked.done.as_deref());
    page.show("sign_in.html", context! { next => asked.next, name => "", wrong => () })
}

async fn sign_in(State(console): State<Arc<Console>>, parts: Parts, Form(given): Form<Credentials>) -> Shown {
    from_here(&parts, &console)?;
    let (people, name) = (&console.people, given.name.trim());
    let before = people.secret(&parts.headers);
    let wrong = match people.sign_in(name, &given.password, &people.address(&parts), before).await? {
        Ok(signed) => return Ok(welcome(&console, &parts, &signed, own_page(&given.next))),
        Err(Refused::Wrong) => "There is nobody of this name with this password.".to_owned(),
        Err(Refused::TooOften { wait_s }) => format!("Too many attempts. The next one counts in {wait_s} s."),
    };
    let page = Page::plain(&console, "Sign in");
    let mut shown = page.show("sign_in.html", context! { next => given.next, name => name, wrong => wrong })?;
    *shown.status_mut() = axum::http::StatusCode::UNAUTHORIZED;
    Ok(shown)
}

/// With a session in hand, on to a page.
fn welcome(console: &Console, parts: &Parts, signed: &Signed, to: &str) -> Response {
    let mut response = go(to);
    if let Some(cookie) = console.people.cookie(&parts.headers, Some(&signed.secret)) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Only to a page of ours: whoever makes a link must not lead people elsewhere by it.
fn own_page(next: &str) -> &str {
    let is_ours = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n', '\t']);
    if is_ours && next.is_ascii() { next } else { "/" }
}

async fn sign_out(State(console): State<Arc<Console>>, parts: Parts) -> Shown {
    from_here(&parts, &console)?;
    if let Some(secret) = console.people.secret(&parts.headers) {
        console.people.sign_out(secret).await?;
    }
    let mut response = go("/sign-in?done=signed-out");
    if let Some(cookie) = console.people.cookie(&parts.headers, None) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn invitation(State(console): State<Arc<Console>>, Path(secret): Path<String>) -> Shown {
    match console.people.invitation(&secret).await? {
        None => Err(Failure::new(410, "This link is used up", NotSet::Gone.to_string())),
        Some(user) => choose(&console, user.as_deref(), "", None),
    }
}

fn choose(console: &Console, user: Option<&str>, name: &str, wrong: Option<String>) -> Shown {
    let title = if user.is_some() { "Choose a password" } else { "Make the first admin" };
    Page::plain(console, title).show("invitation.html", context! { user => user, name => name, wrong => wrong })
}

#[derive(Deserialize)]
struct Chosen {
    #[serde(default)]
    name: String,
    password: String,
    again: String,
}

async fn accept(
    State(console): State<Arc<Console>>,
    Path(secret): Path<String>,
    parts: Parts,
    Form(chosen): Form<Chosen>,
) -> Shown {
    from_here(&parts, &console)?;
    let name = chosen.name.trim();
    let tried = if chosen.password == chosen.again {
        console.people.accept(&secret, name, &chosen.password).await
    } else {
        Err(NotSet::Password("the two passwords are not the same".to_owned()))
    };
    let wrong = match tried {
        Ok(signed) => return Ok(welcome(&console, &parts, &signed, "/")),
        Err(NotSet::Store(error)) => return Err(error.into()),
        Err(NotSet::Gone) => return Err(Failure::new(410, "This link is used up", NotSet::Gone.to_string())),
        Err(wrong) => wrong.to_string(),
    };
    let user = console.people.invitation(&secret).await?.flatten();
    choose(&console, user.as_deref(), name, Some(wrong))
}

#[derive(Deserialize)]
struct Change {
    now: String,
    password: String,
    again: String,
}

async fn change_password(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    parts: Parts,
    Form(change): Form<Change>,
) -> Shown {
    let people = &console.people;
    let from = people.address(&parts);
    if change.password != change.again {
        return Err(Failure::new(400, "Not changed", "The two passwords are not the same."));
    }
    let passwords = (change.now.as_str(), change.password.as_str());
    match people.change_password(&visitor.person.name, passwords, &from, people.secret(&parts.headers)).await {
        Ok(()) => Ok(go("/me?done=password")),
        Err(NotSet::Store(error)) => Err(error.into()),
        Err(wrong) => Err(Failure::new(400, "Not changed", wrong.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::own_page;

    #[test]
    fn a_link_to_sign_in_leads_to_pages_of_ours_only() {
        for own in ["/", "/reviews?state=open", "/why?id=T-1"] {
            assert_eq!(own_page(own), own);
        }
        for other in
            ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb", "reviews", "/\u{2044}"]
        {
            assert_eq!(own_page(other), "/");
        }
    }
}
