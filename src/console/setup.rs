//! Whether everything is set up: the checklist, the processes; who may come in.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::Method;
use axum::routing::{get, post};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Shown, go};
use super::api::part;
use super::render::Page;
use super::visitor::Visitor;
use super::{Console, Done};
use crate::domain::person::Role;

pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/setup", get(show))
        .route("/setup/users", post(create_user))
        .route("/setup/users/{name}/{action}", post(change_user))
        .route("/setup/tokens", post(create_token))
        .route("/setup/tokens/{name}/revoke", post(revoke_token))
        .route("/setup/pauses", post(pause))
        .route("/setup/pauses/{kind}/{name}/end", post(resume))
        .route("/me", get(me))
        .route("/why", get(why))
}

async fn show(State(console): State<Arc<Console>>, visitor: Visitor, Query(asked): Query<Done>) -> Shown {
    console.setup(&visitor, asked.done.as_deref(), &Value::Null).await
}

#[derive(Deserialize)]
struct New {
    name: String,
    role: String,
}

/// The link is on this page once, and nowhere else.
async fn create_user(State(console): State<Arc<Console>>, visitor: Visitor, Form(new): Form<New>) -> Shown {
    let body = json!({"name": new.name.trim(), "role": new.role});
    let made = console.api.post(&visitor.person, "/users", &body).await?;
    console.setup(&visitor, Some("created"), &made).await
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Change {
    role: String,
}

async fn change_user(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Path((name, action)): Path<(String, String)>,
    Form(change): Form<Change>,
) -> Shown {
    let address = format!("/users/{}", part(&name));
    let body = match action.as_str() {
        "invite" => {
            let made = console.api.post(&visitor.person, &format!("{address}/invite"), &json!({})).await?;
            return console.setup(&visitor, None, &made).await;
        }
        "disable" => json!({"disabled": true}),
        "enable" => json!({"disabled": false}),
        "role" => json!({"role": change.role}),
        _ => return Err(super::no_such_page()),
    };
    console.api.send(&visitor.person, Method::PATCH, &address, &body).await?;
    Ok(go("/setup?done=changed"))
}

/// As the link of a user: shown once.
async fn create_token(State(console): State<Arc<Console>>, visitor: Visitor, Form(new): Form<New>) -> Shown {
    let body = json!({"name": new.name.trim(), "role": new.role});
    let made = console.api.post(&visitor.person, "/tokens", &body).await?;
    console.setup(&visitor, Some("created"), &made).await
}

async fn revoke_token(State(console): State<Arc<Console>>, visitor: Visitor, Path(name): Path<String>) -> Shown {
    let address = format!("/tokens/{}", part(&name));
    console.api.send(&visitor.person, Method::DELETE, &address, &Value::Null).await?;
    Ok(go("/setup?done=revoked"))
}

#[derive(Deserialize)]
struct NewPause {
    what: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    reason: String,
}

async fn pause(State(console): State<Arc<Console>>, visitor: Visitor, Form(new): Form<NewPause>) -> Shown {
    let body = json!({"kind": new.what, "name": new.name.trim(), "reason": new.reason});
    console.api.post(&visitor.person, "/pauses", &body).await?;
    Ok(go("/setup?done=paused"))
}

async fn resume(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Path((kind, name)): Path<(String, String)>,
) -> Shown {
    let address = format!("/pauses/{}/{}", part(&kind), part(&name));
    console.api.send(&visitor.person, Method::DELETE, &address, &Value::Null).await?;
    Ok(go("/setup?done=resumed"))
}

async fn me(State(console): State<Arc<Console>>, visitor: Visitor, Query(asked): Query<Done>) -> Shown {
    let page = Page::of(&console, &visitor, "/me", "Your account").await?.done(asked.done.as_deref());
    page.show("me.html", context! {})
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Id {
    id: String,
}

/// Where is my summary?
async fn why(State(console): State<Arc<Console>>, visitor: Visitor, Query(asked): Query<Id>) -> Shown {
    let id = asked.id.trim();
    let found = match id {
        "" => Value::Null,
        id => match console.api.get(&visitor.person, &format!("/why/{}", part(id))).await {
            Ok(found) => found,
            Err(failure) if failure.status() == 404 => Value::Null,
            Err(failure) => return Err(failure),
        },
    };
    let page = Page::of(&console, &visitor, "/why", "Where is it?").await?;
    page.show("why.html", context! { id => id, why => Serde(found) })
}

impl Console {
    async fn setup(&self, visitor: &Visitor, done: Option<&str>, made: &Value) -> Shown {
        let person = &visitor.person;
        let checklist = self.api.get(person, "/doctor").await?;
        let pauses = self.api.get(person, "/pauses").await?;
        let (mut users, mut tokens) = (Value::Null, Value::Null);
        if person.role == Role::Admin {
            users = self.api.get(person, "/users").await?;
            tokens = self.api.get(person, "/tokens").await?;
        }
        let page = Page::of(self, visitor, "/setup", "Set-up").await?.done(done);
        page.show(
            "setup.html",
            context! {
                checklist => Serde(checklist), pauses => Serde(pauses), users => Serde(users),
                tokens => Serde(tokens), made => Serde(made), roles => Role::ALL.map(Role::word).to_vec(),
            },
        )
    }
}
