//! Users and tokens: who may come in, and by what. For admins.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::access::Caller;
use super::input::Input;
use super::problem::Problem;
use crate::domain::id::new_token;
use crate::domain::person::{Person, Role, valid_token_name, valid_user_name};
use crate::shapes;
use crate::store::{UserChange, UserChanged};

type Answer = Result<Json<Value>, Problem>;

/// Who asks.
pub(super) async fn me(caller: Caller) -> Json<Value> {
    Json(json!({"name": caller.person.name, "role": caller.person.role.word()}))
}

pub(super) async fn list(State(web): State<Arc<Web>>, caller: Caller) -> Answer {
    caller.must_be(Role::Admin)?;
    let users = web.store.users().await?;
    Ok(Json(json!({"items": users.iter().map(shapes::user).collect::<Vec<_>>(), "next_cursor": null})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    name: String,
    role: String,
}

/// Makes somebody, with a link by which they choose a password.
pub(super) async fn create(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Input(new): Input<NewUser>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    caller.must_be(Role::Admin)?;
    if !valid_user_name(&new.name) {
        return Err(Problem::invalid("name must be 1 to 64 letters, digits or ._-@+, and not the name of a role"));
    }
    let person = Person { name: new.name.clone(), role: role(&new.role)? };
    if !web.store.create_user(person, None, caller.person.name.clone(), web.clock.now_ms()).await? {
        return Err(Problem::conflict("there is a user of this name"));
    }
    Ok((StatusCode::CREATED, invited(&web, &caller, new.name).await?))
}

/// A new link; an older one is worthless from now on.
pub(super) async fn invite(State(web): State<Arc<Web>>, caller: Caller, Path(name): Path<String>) -> Answer {
    caller.must_be(Role::Admin)?;
    invited(&web, &caller, name).await
}

async fn invited(web: &Web, caller: &Caller, name: String) -> Answer {
    let unknown = || Problem::not_found("user who may sign in", &name);
    let secret = web.people.invite(Some(name.clone()), &caller.person.name).await?.ok_or_else(unknown)?;
    let user = web.store.user(name.clone()).await?.ok_or_else(unknown)?;
    let mut shown = shapes::user(&user);
    shown["invitation"] = Value::String(format!("/invitation/{secret}"));
    Ok(Json(shown))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    role: Option<String>,
    disabled: Option<bool>,
}

pub(super) async fn change(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Path(name): Path<String>,
    Input(asked): Input<Change>,
) -> Answer {
    caller.must_be(Role::Admin)?;
    let change = UserChange { role: asked.role.as_deref().map(role).transpose()?, disabled: asked.disabled };
    match web.store.change_user(name.clone(), change, caller.person.name, web.clock.now_ms()).await? {
        UserChanged::Missing => Err(Problem::not_found("user", &name)),
        UserChanged::LastAdmin => Err(Problem::conflict("nobody would be left who can let others in")),
        UserChanged::Done => {
            let user = web.store.user(name.clone()).await?.ok_or_else(|| Problem::not_found("user", &name))?;
            Ok(Json(shapes::user(&user)))
        }
    }
}

fn role(word: &str) -> Result<Role, Problem> {
    Role::parse(word).ok_or_else(|| Problem::invalid("role must be agent, lead or admin"))
}

pub(super) async fn tokens(State(web): State<Arc<Web>>, caller: Caller) -> Answer {
    caller.must_be(Role::Admin)?;
    let tokens = web.store.tokens().await?;
    let items: Vec<Value> = tokens.iter().map(|(whose, made, revoked)| shapes::token(whose, *made, *revoked)).collect();
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

/// Makes a token; it is in this answer and nowhere else.
pub(super) async fn create_token(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Input(new): Input<NewUser>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    caller.must_be(Role::Admin)?;
    let role = role(&new.role)?;
    if !valid_token_name(&new.name) {
        return Err(Problem::invalid("name must be 1 to 100 printable characters"));
    }
    let token = new_token().map_err(|_| Problem::new(503, "Not now", "there is no randomness"))?;
    if !web.store.create_token(new.name.clone(), role, token.clone(), caller.person.name, web.clock.now_ms()).await? {
        return Err(Problem::conflict("there is a token of this name"));
    }
    Ok((StatusCode::CREATED, Json(json!({"token": token, "name": new.name, "role": role.word()}))))
}

pub(super) async fn revoke_token(State(web): State<Arc<Web>>, caller: Caller, Path(name): Path<String>) -> Answer {
    caller.must_be(Role::Admin)?;
    if !web.store.revoke_token(name.clone(), caller.person.name, web.clock.now_ms()).await? {
        return Err(Problem::not_found("token", &name));
    }
    Ok(Json(json!({"name": name, "revoked": true})))
}
