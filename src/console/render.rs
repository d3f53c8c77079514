//! Templates, and what every page has: who looks, where they can go, what waits.
//!
//! Everything that is put into a template is escaped; no template and no filter
//! says otherwise, but for the markup that a filter itself makes of a time. A name
//! that there is not is an error, so that a page cannot quietly leave a place empty.

use axum::response::{Html, IntoResponse, Response};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, context};

use super::Console;
use super::answer::Failure;
use super::assets;
use super::time;
use super::visitor::Visitor;
use crate::domain::person::{Person, Role};

macro_rules! templates {
    ($($name:literal,)+) => { [$(($name, include_str!(concat!("templates/", $name)))),+] };
}

const TEMPLATES: [(&str, &str); 22] = templates! {
    "base.html",
    "parts.html",
    "failure.html",
    "sign_in.html",
    "invitation.html",
    "today.html",
    "reviews.html",
    "review.html",
    "deliveries.html",
    "delivery.html",
    "jobs.html",
    "job.html",
    "tickets.html",
    "ticket.html",
    "batches.html",
    "batch.html",
    "policy.html",
    "setup.html",
    "me.html",
    "why.html",
    "many.html",
    "insights.html",
};

/// The pages that the navigation leads to: address, name, from which role on.
const PLACES: [(&str, &str, Role); 9] = [
    ("/", "Today", Role::Agent),
    ("/reviews", "Reviews", Role::Agent),
    ("/deliveries", "Deliveries", Role::Agent),
    ("/jobs", "Jobs", Role::Agent),
    ("/tickets", "Tickets", Role::Agent),
    ("/batches", "Batches", Role::Agent),
    ("/insights", "Insights", Role::Lead),
    ("/policy", "Policy", Role::Agent),
    ("/setup", "Set-up", Role::Lead),
];

/// All templates, read.
pub(super) struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    pub(super) fn new() -> Result<Templates, Error> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.add_filter("ago", |state: &State, time: Value| time::ago(&time, now(state)?));
        environment.add_filter("until", |state: &State, time: Value| time::until(&time, now(state)?));
        environment.add_filter("at", |time: Value| time::at(&time));
        environment.add_filter("span", |seconds: Value| time::span(&seconds));
        environment.add_filter("words", words);
        environment.add_filter("part", |text: String| super::api::part(&text));
        environment.add_function("query", query);
        for (name, text) in TEMPLATES {
            environment.add_template(name, text)?;
        }
        Ok(Templates { environment })
    }
}

fn now(state: &State) -> Result<i64, Error> {
    let now = state.lookup("now_ms").and_then(|now| i64::try_from(now).ok());
    now.ok_or_else(|| Error::new(ErrorKind::UndefinedError, "now_ms"))
}

/// A code as people read it: `failed_final` is "failed final".
fn words(code: Value) -> Value {
    code.as_str().map_or(code.clone(), |code| code.replace(['_', '-'], " ").into())
}

/// `query(state="open", cursor=c)` is `?state=open&cursor=…`; what is none or empty is left out.
fn query(given: Kwargs) -> Result<String, Error> {
    let mut pairs = Vec::new();
    for name in given.args() {
        let value: Value = given.get(name)?;
        if !(value.is_none() || value.is_undefined()) {
            pairs.push((name, value.to_string()));
        }
    }
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Ok(super::api::query(&pairs))
}

/// A page that is being made.
pub(super) struct Page<'a> {
    console: &'a Console,
    title: String,
    place: &'static str,
    person: Option<&'a Person>,
    waiting: Value,
    done: Option<&'static str>,
}

impl<'a> Page<'a> {
    /// One that nobody need be signed in for.
    pub(super) fn plain(console: &'a Console, title: impl Into<String>) -> Page<'a> {
        Page { console, title: title.into(), place: "", person: None, waiting: Value::UNDEFINED, done: None }
    }

    /// One for `visitor`, at one of the places of the navigation.
    pub(super) async fn of(
        console: &'a Console,
        visitor: &'a Visitor,
        place: &'static str,
        title: impl Into<String>,
    ) -> Result<Page<'a>, Failure> {
        let waiting = console.waiting(&visitor.person).await?;
        let waiting = Value::from(Serde(waiting));
        Ok(Page { console, title: title.into(), place, person: Some(&visitor.person), waiting, done: None })
    }

    /// What was just done, as its code says.
    pub(super) fn done(mut self, code: Option<&str>) -> Page<'a> {
        self.done = code.and_then(super::done::sentence);
        self
    }

    /// The page's text.
    pub(super) fn render(self, template: &str, shown: Value) -> Result<Html<String>, Failure> {
        let [style, script, icon] = assets::addresses();
        let places = PLACES.iter().filter(|(.., role)| self.person.is_some_and(|person| person.role >= *role));
        let places: Vec<Value> = places
            .map(|&(address, name, _)| context! { address => address, name => name, here => address == self.place })
            .collect();
        let me = self.person.map(|person| context! { name => person.name.clone(), role => person.role.word() });
        let base = context! {
            title => self.title, places => places, me => me, waiting => self.waiting, done => self.done,
            style => style, script => script, icon => icon, now_ms => self.console.clock.now_ms(),
        };
        let template = self.console.templates.environment.get_template(template)?;
        Ok(Html(template.render(context! { ..shown, ..base })?))
    }

    /// The page as an answer.
    pub(super) fn show(self, template: &str, shown: Value) -> Result<Response, Failure> {
        Ok(self.render(template, shown)?.into_response())
    }
}
