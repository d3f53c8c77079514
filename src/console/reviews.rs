//! The queue of reviews, and one review: read, edit, decide, and on to the next.

mod draft;
mod many;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::routing::{get, post};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::{Value, json};

use self::draft::Draft;
use super::answer::{Failure, Shown, go};
use super::api::{part, query};
use super::render::Page;
use super::visitor::Visitor;
use super::{Console, diff};
use crate::domain::hold::HoldReason;
use crate::domain::person::Role;
use crate::domain::review::{self, RejectReason};

pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/reviews", get(list))
        .route("/reviews/next", post(next))
        .route("/reviews/bulk", post(many::decide))
        .route("/reviews/{id}", get(show))
        .route("/reviews/{id}/compare", post(compare))
        .route("/reviews/{id}/{action}", post(act))
}

/// The parts of the queue, by their word in the address.
const VIEWS: [(&str, &str); 6] = [
    ("waiting", "Waiting"),
    ("mine", "Mine"),
    ("approved", "Approved"),
    ("rejected", "Rejected"),
    ("stale", "Stale"),
    ("expired", "Expired"),
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    view: String,
    reason: String,
    topic: String,
    workflow: String,
    cursor: String,
    done: Option<String>,
    /// The review that was just decided.
    last: String,
    /// Which part of the queue somebody goes through, as an address says it.
    within: String,
}

async fn list(State(console): State<Arc<Console>>, visitor: Visitor, Query(asked): Query<Asked>) -> Shown {
    let view = VIEWS.iter().find(|(word, _)| *word == asked.view).map_or("waiting", |(word, _)| *word);
    let (state, mine) = match view {
        "mine" => ("waiting", visitor.person.name.as_str()),
        state => (state, ""),
    };
    let mut given = vec![("state", state), ("cursor", asked.cursor.as_str()), ("reason", &asked.reason)];
    if state == "waiting" {
        given.extend([("claimed_by", mine), ("topic", &asked.topic), ("workflow", &asked.workflow)]);
    }
    let reviews = console.api.get(&visitor.person, &format!("/reviews{}", query(&given))).await?;
    let last = console.last_decided(&visitor, &asked.last).await?;
    let views: Vec<_> = VIEWS.iter().map(|&(word, name)| context! { word => word, name => name }).collect();
    let wanted = Wanted { reason: asked.reason.clone(), topic: asked.topic.clone(), workflow: asked.workflow.clone() };
    let [topics, workflows] = console.words_of_the_queue(&visitor).await?;
    let page = Page::of(&console, &visitor, "/reviews", "Reviews").await?.done(asked.done.as_deref());
    page.show(
        "reviews.html",
        context! {
            reviews => Serde(reviews), last => Serde(last), views => views, view => view, reason => asked.reason,
            topic => asked.topic, workflow => asked.workflow, reasons => reasons(), within => wanted.within(),
            hold_reasons => HoldReason::ALL.map(HoldReason::code), topics => topics, workflows => workflows,
            picks => visitor.person.role >= Role::Lead && state == "waiting",
        },
    )
}

/// From the least to the most.
const PRIORITIES: [&str; 4] = ["low", "normal", "high", "urgent"];

fn reasons() -> Vec<&'static str> {
    RejectReason::ALL.map(RejectReason::code).to_vec()
}

/// The next one that the visitor may decide, claimed for them.
async fn next(State(console): State<Arc<Console>>, visitor: Visitor, Form(left): Form<Left>) -> Shown {
    let mut after = None;
    if !left.id.is_empty() {
        // Whoever goes on without deciding does not keep it. That somebody else has done something to it is fine.
        let body = json!({"version": left.version});
        let _ = console.api.post(&visitor.person, &format!("/reviews/{}/release", part(&left.id)), &body).await;
        after = Some(left.id.as_str());
    }
    console.go_on(&visitor, &left.within, "claimed", "", after).await
}

/// The review that somebody looks at, and leaves as it is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Left {
    id: String,
    version: i64,
    within: String,
}

/// Which reviews somebody goes through.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wanted {
    reason: String,
    topic: String,
    workflow: String,
}

impl Wanted {
    /// From what an address carries along.
    fn of(within: &str) -> Wanted {
        let address = format!("/?{within}").parse().unwrap_or_default();
        Query::try_from_uri(&address).map(|Query(wanted)| wanted).unwrap_or_default()
    }

    /// As an address carries it along.
    fn within(&self) -> String {
        let all = query(&[("reason", &self.reason), ("topic", &self.topic), ("workflow", &self.workflow)]);
        all.trim_start_matches('?').to_owned()
    }

    fn filter(&self) -> Value {
        let given = [("reason", &self.reason), ("topic", &self.topic), ("workflow", &self.workflow)];
        given
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect()
    }
}

async fn show(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Shown {
    let last = console.last_decided(&visitor, &asked.last).await?;
    let opened = Opened { done: asked.done, last, within: asked.within, ..Opened::default() };
    console.open(&visitor, &id, opened).await
}

/// What stands on the page of a review besides the review.
#[derive(Default)]
struct Opened {
    done: Option<String>,
    last: Value,
    /// What somebody typed and has not sent.
    typed: Option<String>,
    wrong: Option<String>,
    compares: bool,
    /// Whether it was to be approved, and somebody has to say so twice.
    asks_again: bool,
    within: String,
}

/// What a form of a review says.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Given {
    version: i64,
    text: Option<String>,
    reason: String,
    said: String,
    intent: String,
    priority: String,
    queue: String,
    /// Whether somebody goes on to the next one.
    on: String,
    /// Whether they have said so twice.
    sure: String,
    within: String,
}

impl Given {
    /// As it was typed: a form sends every end of a line as two characters.
    fn text(&self) -> Option<String> {
        self.text.as_ref().map(|text| text.replace("\r\n", "\n"))
    }

    /// What of a classification was changed; null when nothing was.
    fn route(&self, before: &Value) -> Value {
        let given = [("intent", &self.intent), ("priority", &self.priority), ("queue", &self.queue)];
        let changed: serde_json::Map<String, Value> = given
            .into_iter()
            .filter(|(name, value)| !value.trim().is_empty() && before[*name] != value.trim())
            .map(|(name, value)| (name.to_owned(), json!(value.trim())))
            .collect();
        if changed.is_empty() { Value::Null } else { Value::Object(changed) }
    }
}

/// Shows what was changed so far; nothing is decided.
async fn compare(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<Given>,
) -> Shown {
    console
        .open(
            &visitor,
            &id,
            Opened { typed: given.text(), compares: true, within: given.within.clone(), ..Opened::default() },
        )
        .await
}

async fn act(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Path((id, action)): Path<(String, String)>,
    Form(given): Form<Given>,
) -> Shown {
    let Some(done) = done(&action) else { return Err(super::no_such_page()) };
    let address = format!("/reviews/{}", part(&id));
    let before = console.api.get(&visitor.person, &address).await?;
    let mut body = json!({"version": given.version});
    // Of another state than the one that was looked at the API says so.
    let is_as_seen = before["version"] == given.version;
    if action == "approve" && given.sure != "yes" && is_as_seen && draft::asks_twice(&before) {
        let opened = Opened { typed: given.text(), asks_again: true, within: given.within, ..Opened::default() };
        return console.open(&visitor, &id, opened).await;
    }
    match action.as_str() {
        "approve" => {
            let kept = Draft::of(&before).text;
            if let Some(text) = given.text().filter(|text| kept.as_ref() != Some(text)) {
                body["text"] = json!(text);
            }
            body["route"] = given.route(&before["route"]);
        }
        "reject" if given.reason == "other" && !given.said.trim().is_empty() => body["reason"] = json!(given.said),
        "reject" => body["reason"] = json!(given.reason),
        "escalate" => body["reason"] = json!(given.said),
        _ => {}
    }
    match console.api.post(&visitor.person, &format!("{address}/{action}"), &body).await {
        Ok(after) => console.after(&visitor, &after, &given, done).await,
        // Nothing that was typed is lost.
        Err(failure) => {
            let status = failure.status();
            let wrong = Some(failure.said()?);
            let opened = Opened { typed: given.text(), wrong, within: given.within, ..Opened::default() };
            let mut page = console.open(&visitor, &id, opened).await?;
            *page.status_mut() = axum::http::StatusCode::from_u16(status).unwrap_or_default();
            Ok(page)
        }
    }
}

/// The code of what an action of this name does; none for a name that is no action.
fn done(action: &str) -> Option<&'static str> {
    Some(match action {
        "claim" => "claimed",
        "release" => "released",
        "approve" => "approved",
        "reject" => "rejected",
        "escalate" => "escalated",
        "undo" => "undone",
        _ => return None,
    })
}

impl Console {
    /// What the queue can be narrowed down to: topics of the policy, and workflows.
    async fn words_of_the_queue(&self, visitor: &Visitor) -> Result<[Vec<String>; 2], Failure> {
        let policy = self.api.get(&visitor.person, "/policy").await?;
        let workflows = self.api.get(&visitor.person, "/workflows").await?;
        let words = |list: &Value, name: &str| -> Vec<String> {
            let mut words: Vec<String> =
                list.as_array().into_iter().flatten().filter_map(|one| one[name].as_str().map(str::to_owned)).collect();
            words.sort();
            words.dedup();
            words
        };
        Ok([words(&policy["rules"], "topic"), words(&workflows["items"], "name")])
    }

    /// After a decision, on to the next one if that is wanted.
    async fn after(&self, visitor: &Visitor, review: &Value, given: &Given, done: &'static str) -> Shown {
        let id = review["id"].as_str().unwrap_or_default();
        let state = review["state"].as_str().unwrap_or_default();
        let done = if done == "approved" && state == "open" { "first" } else { done };
        match (state, given.on.as_str()) {
            (_, "next") if matches!(done, "approved" | "first" | "rejected" | "escalated") => {
                self.go_on(visitor, &given.within, done, id, None).await
            }
            _ if matches!(done, "approved" | "rejected") => {
                Ok(go(&format!("/reviews/{}{}", part(id), query(&[("done", done), ("last", id)]))))
            }
            _ => Ok(go(&format!("/reviews/{}{}", part(id), query(&[("done", done)])))),
        }
    }

    async fn go_on(&self, visitor: &Visitor, within: &str, done: &str, last: &str, after: Option<&str>) -> Shown {
        let wanted = Wanted::of(within);
        let mut filter = wanted.filter();
        if let Some(after) = after {
            filter["after"] = json!(after);
        }
        let next = self.api.post(&visitor.person, "/reviews/next", &filter).await?;
        let told = if next.is_null() && last.is_empty() { "clear" } else { done };
        let (done, last, within) = (("done", told), ("last", last), wanted.within());
        Ok(match next["id"].as_str() {
            Some(id) => go(&format!("/reviews/{}{}", part(id), query(&[done, last, ("within", &within)]))),
            None => go(&format!("/reviews{}", query(&[done, last]))),
        })
    }

    /// The review that was decided last, while that can be taken back.
    async fn last_decided(&self, visitor: &Visitor, id: &str) -> Result<Value, Failure> {
        if id.is_empty() {
            return Ok(Value::Null);
        }
        let last = self.api.get(&visitor.person, &format!("/reviews/{}", part(id))).await.unwrap_or_default();
        Ok(if last["can"]["undo"].is_null() { last } else { Value::Null })
    }

    async fn open(&self, visitor: &Visitor, id: &str, opened: Opened) -> Shown {
        let review = self.api.get(&visitor.person, &format!("/reviews/{}", part(id))).await?;
        let draft = Draft::of(&review);
        let ticket = self.ticket_of(visitor, &review).await?;
        let resource = review["resource_id"].as_str().unwrap_or_default();
        let why = self.api.get(&visitor.person, &format!("/why/{}", part(resource))).await.ok();
        let text = opened.typed.clone().or(draft.text.clone()).unwrap_or_default();
        let changes =
            if opened.compares || text != draft.by_ai { diff::words(&draft.by_ai, &text) } else { Vec::new() };
        let waits = review["state"].as_str().and_then(review::State::parse).is_some_and(review::State::waits);
        let title = match review["ticket_id"].as_str() {
            Some(ticket) => format!("Review of {ticket}"),
            None => "Review".to_owned(),
        };
        let wanted = Wanted::of(&opened.within);
        let back = query(&[("reason", &wanted.reason), ("topic", &wanted.topic), ("workflow", &wanted.workflow)]);
        // What is looked at can be taken back as well as what was decided before it.
        let last = if opened.last.is_null() && review["can"]["undo"].is_null() { &review } else { &opened.last };
        let page = Page::of(self, visitor, "/reviews", title).await?.done(opened.done.as_deref());
        page.show(
            "review.html",
            context! {
                review => Serde(&review), draft => draft.shown(), claims => draft.claims(&text), text => text, changes => changes,
                compares => opened.compares, ticket => Serde(&ticket), why => Serde(&why), reasons => reasons(),
                waits => waits, last => Serde(last), wrong => opened.wrong, no => draft.why_not(&review),
                priorities => PRIORITIES,
                asks_again => opened.asks_again, has_typed => opened.typed.is_some(), within => wanted.within(), back => back,
                rules => draft::rules(&review),
                seen => review["ticket"]["messages"].as_array().map_or(0, Vec::len),
            },
        )
    }

    /// The ticket as it is; as it was, when it lies elsewhere; or none.
    async fn ticket_of(&self, visitor: &Visitor, review: &Value) -> Result<Value, Failure> {
        let Some(id) = review["ticket_id"].as_str() else { return Ok(Value::Null) };
        match self.api.get(&visitor.person, &format!("/tickets/{}", part(id))).await {
            Ok(ticket) => Ok(ticket),
            Err(failure) if failure.status() == 404 => Ok(review["ticket"].clone()),
            Err(failure) => Err(failure),
        }
    }
}
