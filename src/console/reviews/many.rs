//! Several reviews at once: first what it would be, then it is done. Which of them
//! may be decided together, the policy says.

use std::sync::Arc;

use axum::extract::{Form, State};
use minijinja::context;
use minijinja::value::Serde;
use serde_json::{Value, json};

use super::super::Console;
use super::super::answer::{Failure, Shown, go};
use super::super::render::Page;
use super::super::visitor::Visitor;

/// What was picked, as `id:version`, and what is to be done with it.
struct Asked {
    picks: Vec<String>,
    action: String,
    reason: String,
    is_sure: bool,
}

impl Asked {
    fn of(pairs: Vec<(String, String)>) -> Asked {
        let mut asked = Asked { picks: Vec::new(), action: String::new(), reason: String::new(), is_sure: false };
        for (name, value) in pairs {
            match name.as_str() {
                "pick" => asked.picks.push(value),
                "action" => asked.action = value,
                "reason" => asked.reason = value,
                "sure" => asked.is_sure = value == "yes",
                _ => {}
            }
        }
        asked
    }

    fn body(&self) -> Value {
        let item = |pick: &String| {
            let (id, version) = pick.rsplit_once(':').unwrap_or((pick, ""));
            json!({"id": id, "version": version.parse::<i64>().unwrap_or(0)})
        };
        let mut body = json!({
            "action": self.action,
            "items": self.picks.iter().map(item).collect::<Vec<_>>(),
            "dry_run": !self.is_sure,
        });
        if self.action == "reject" {
            body["reason"] = json!(self.reason);
        }
        body
    }
}

pub(super) async fn decide(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Shown {
    let asked = Asked::of(pairs);
    if asked.picks.is_empty() {
        return Err(Failure::new(400, "Nothing was picked", "Pick the reviews in the list first."));
    }
    let found = console.api.post(&visitor.person, "/reviews/bulk", &asked.body()).await?;
    let left_out = found["refused"].as_array().map_or(0, Vec::len);
    if asked.action == "undo" && asked.is_sure && left_out == 0 {
        return Ok(go("/reviews?done=undone"));
    }
    let page = Page::of(&console, &visitor, "/reviews", "Many reviews at once").await?;
    page.show(
        "many.html",
        context! {
            found => Serde(&found), picks => asked.picks, action => asked.action, reason => asked.reason,
            is_done => asked.is_sure,
        },
    )
}
