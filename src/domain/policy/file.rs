//! A policy as it stands in its file. Unknown keys and unknown words are refused
//! here; what the rest may not say is refused in `build`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::domain::wait::Wait;

/// What a rule or a topic leads to, from the least to the most strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It happens.
    Apply,
    /// A person looks at it.
    Review,
    /// One of certain people looks at it.
    ReviewByRole,
    /// Two people look at it.
    TwoPerson,
    /// A lead looks at it, and no words of the model are offered.
    Block,
}

impl Outcome {
    /// The word used in policy files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Apply => "apply",
            Outcome::Review => "review",
            Outcome::ReviewByRole => "review_by_role",
            Outcome::TwoPerson => "two_person",
            Outcome::Block => "block",
        }
    }
}

/// What a workflow may do when nothing speaks against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Change the ticket.
    Apply,
    /// Ask a person.
    Review,
}

/// Whether a workflow may send to customers without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Publish {
    /// A person sends.
    Never,
    /// The policy may, when nothing speaks against it.
    Auto,
}

/// What a topic does to internal notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notes {
    /// They are written, with the topic named on them.
    Apply,
    /// They wait for a person too.
    Review,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) version: Option<Spanned<i64>>,
    #[serde(default)]
    pub(super) kill_switch: bool,
    #[serde(default)]
    pub(super) defaults: Defaults,
    #[serde(default)]
    pub(super) workflow: BTreeMap<String, Spanned<Workflow>>,
    #[serde(default)]
    pub(super) topic: Vec<Spanned<Topic>>,
    #[serde(default)]
    pub(super) rule: Vec<Spanned<Rule>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Defaults {
    pub(super) action: Option<Action>,
    pub(super) min_confidence: Option<Spanned<f64>>,
    pub(super) on_unknown: Option<Spanned<Outcome>>,
    pub(super) undo: Option<Wait>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Workflow {
    pub(super) action: Option<Action>,
    pub(super) min_confidence: Option<Spanned<f64>>,
    pub(super) publish: Option<Publish>,
    pub(super) undo: Option<Wait>,
    pub(super) resubmit: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Topic {
    pub(super) id: String,
    pub(super) owner: Option<String>,
    pub(super) floor: Option<Spanned<Outcome>>,
    pub(super) notes: Option<Notes>,
    #[serde(default)]
    pub(super) reviewers: Vec<String>,
    #[serde(default)]
    pub(super) second_approver: bool,
    pub(super) undo: Option<Wait>,
    #[serde(default)]
    pub(super) intents: Vec<String>,
    #[serde(default)]
    pub(super) queues: Vec<String>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    /// By language; all languages are searched.
    #[serde(default, rename = "match")]
    pub(super) words: BTreeMap<String, Vec<Spanned<String>>>,
    #[serde(default)]
    pub(super) output_must_not: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) when: When,
    pub(super) action: Spanned<Outcome>,
    #[serde(default)]
    pub(super) reviewers: Vec<String>,
}

/// All that is named must hold; of a list, one of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    pub(super) workflow: Option<Words>,
    pub(super) queue: Option<Words>,
    pub(super) tag: Option<Words>,
    pub(super) intent: Option<Words>,
    pub(super) priority: Option<Words>,
    #[serde(rename = "match")]
    pub(super) words: Option<Words>,
}

/// One text or a list of them.
pub(super) struct Words(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Words, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Words, E> {
        Ok(Words(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Words, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = items.next_element()? {
            words.push(word);
        }
        Ok(Words(words))
    }
}

/// Why a policy cannot be used: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// Of the file, from 1; none when it is about the whole of it.
    pub line: Option<usize>,
    /// In our words.
    pub text: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl std::error::Error for PolicyError {}

/// Makes errors that say their line.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) text: &'a str,
}

impl Place<'_> {
    pub(super) fn wrong(self, at: Option<Range<usize>>, what: impl Into<String>) -> PolicyError {
        let line = at.map(|span| self.text[..span.start.min(self.text.len())].matches('\n').count() + 1);
        PolicyError { line, text: what.into() }
    }
}

pub(super) fn read(text: &str) -> Result<File, PolicyError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let message = error.message().lines().next().unwrap_or_default();
        let hint = if message.contains("unknown") { "; `frontdesk policy show` prints a whole policy" } else { "" };
        Place { text }.wrong(error.span(), format!("{message}{hint}"))
    })
}
