//! The text of a review that a person may change, and whether it may be approved.

use minijinja::{Value as Shown, context};
use serde_json::Value;

use crate::domain::claims;
use crate::domain::hold::HoldReason;

/// Slots whose content is a text, and where a customer would read it.
const TEXTS: [(&str, bool); 3] = [("reply", true), ("draft", true), ("note", false)];

/// Whether an approval is asked for twice: what it is about is sensitive, or it may
/// be about less than has been said since.
pub(super) fn asks_twice(review: &Value) -> bool {
    let is_sensitive = review["topics"].as_array().is_some_and(|topics| !topics.is_empty());
    is_sensitive || review["reason"] == HoldReason::ChangedSince.code()
}

/// The rules that hit, each once and how often.
pub(super) fn rules(review: &Value) -> Vec<Shown> {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for rule in review["matches"].as_array().into_iter().flatten().filter_map(|one| one["rule"].as_str()) {
        match counted.iter_mut().find(|(known, _)| *known == rule) {
            Some((_, count)) => *count += 1,
            None => counted.push((rule, 1)),
        }
    }
    counted.into_iter().map(|(rule, count)| context! { rule => rule, count => count }).collect()
}

/// The text that is to be approved.
pub(super) struct Draft {
    /// As it stands: the model's, or as a person changed it before; none when there is none.
    pub(super) text: Option<String>,
    /// As the model wrote it.
    pub(super) by_ai: String,
    /// Whether somebody may put their own in its place.
    takes_text: bool,
    /// Whether a customer would read it.
    is_public: bool,
}

impl Draft {
    pub(super) fn of(review: &Value) -> Draft {
        let proposed = review["proposed"].as_array().map(Vec::as_slice).unwrap_or_default();
        let in_slot = |slot: &str| proposed.iter().find(|one| one["slot"] == slot).and_then(|one| one["text"].as_str());
        let found = TEXTS.iter().find_map(|(slot, is_public)| in_slot(slot).map(|text| (text, *is_public)));
        let by_ai = found.map(|(text, _)| text.to_owned());
        let text = review["text"].as_str().map(str::to_owned).or_else(|| by_ai.clone());
        let is_reply = review["workflow"] == "draft_reply";
        Draft {
            text,
            by_ai: by_ai.unwrap_or_default(),
            takes_text: review["takes_text"] == true,
            is_public: found.map_or(is_reply, |(_, is_public)| is_public),
        }
    }

    pub(super) fn shown(&self) -> Shown {
        context! {
            takes_text => self.takes_text, is_public => self.is_public, by_ai => self.by_ai.clone(),
            is_there => self.text.is_some(), is_open => self.is_public && self.text.as_deref().is_some_and(|text| claims::unfilled(text) > 0),
        }
    }

    /// What a customer would read of it that should be looked at twice.
    pub(super) fn claims(&self, text: &str) -> Vec<Shown> {
        let found = if self.is_public { claims::look_twice(text) } else { Vec::new() };
        found.into_iter().map(|(kind, words)| context! { kind => kind.word(), words => words }).collect()
    }

    /// Why it cannot be approved as it stands; none when it can.
    pub(super) fn why_not(&self, review: &Value) -> Option<String> {
        let can = &review["can"];
        let why = if self.takes_text && self.text.is_none() { &can["approve_text"] } else { &can["approve"] };
        match (why.as_str(), review["moved_on"].as_str()) {
            (Some(why), _) => Some(why.to_owned()),
            (None, Some(moved_on)) => Some(format!("{moved_on} since this was made")),
            (None, None) => None,
        }
    }
}
