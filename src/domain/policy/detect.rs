//! Finding what the rules speak of, as a union: topics that the model named,
//! words in the ticket and in the output, queue, tags, intent. Any of them is
//! enough, and none can take away what another has found.

use std::borrow::Cow;

use super::lexicon::Words;
use super::{Label, Notes, Outcome, Policy, Rule};
use crate::domain::decision::{Match, Proposal};
use crate::domain::effect::{Effect, Route};
use crate::domain::ticket::{Author, Ticket};

/// Longest text that is searched, ticket and output together, in bytes. Beyond
/// it the search counts as failed, and that as sensitive.
const MAX_SEARCHED_BYTES: usize = 4 * 1024 * 1024;

/// Hits that are kept; a rule that fires is kept beyond it.
const MAX_HITS: usize = 200;

/// Labels of the model that are read, and the length of one in characters.
const MAX_LABELS: usize = 50;
const MAX_LABEL_CHARS: usize = 64;

/// Words of a model that names no topic but says that there may be one.
const UNSURE: [&str; 3] = ["sensitive", "unknown", "unsure"];

/// What must hold for a rule besides its words.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct When {
    /// All of them.
    pub(super) conditions: Vec<Condition>,
    /// Whether its words must stand somewhere as well.
    pub(super) needs_words: bool,
    /// Whether only the model's words count.
    pub(super) only_of_model: bool,
}

/// One fact that must be one of a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    pub(super) fact: Fact,
    pub(super) one_of: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    Workflow,
    Queue,
    Tag,
    Intent,
    Priority,
}

impl Fact {
    pub(super) fn word(self) -> &'static str {
        match self {
            Fact::Workflow => "workflow",
            Fact::Queue => "queue",
            Fact::Tag => "tag",
            Fact::Intent => "intent",
            Fact::Priority => "priority",
        }
    }
}

/// One place where a rule hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Which of [`Policy::rules`].
    pub rule: usize,
    /// `subject`, `message/3` (from 1), `output`, `reply`, `queue`, `tag`, `intent`, `topics`…
    pub place: String,
    /// Begin and end in bytes of that text; none for a label.
    pub span: Option<(usize, usize)>,
}

/// What was found in a ticket and an output.
#[derive(Debug, Clone, PartialEq)]
pub struct Found<'a> {
    policy: &'a Policy,
    fired: Vec<bool>,
    hits: Vec<Hit>,
}

impl<'a> Found<'a> {
    fn nothing(policy: &'a Policy) -> Found<'a> {
        Found { policy, fired: vec![false; policy.rules.len()], hits: Vec::new() }
    }

    fn hit(&mut self, rule: usize, place: &str, span: Option<(usize, usize)>) {
        let hit = Hit { rule, place: place.to_owned(), span };
        // Two phrases of a rule may stand in the same words.
        if !self.fired[rule] || (self.hits.len() < MAX_HITS && !self.hits.contains(&hit)) {
            self.hits.push(hit);
        }
        self.fired[rule] = true;
    }

    /// Every hit, in the order of the rules.
    #[must_use]
    pub fn hits(&self) -> &[Hit] {
        &self.hits
    }

    /// The rules that fired.
    pub fn rules(&self) -> impl Iterator<Item = &'a Rule> {
        self.policy.rules.iter().zip(&self.fired).filter(|(_, fired)| **fired).map(|(rule, _)| rule)
    }

    /// Names of the topics found.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        self.rules().filter_map(|rule| rule.topic.clone()).collect()
    }

    /// Whether something could not be searched.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.fired.first().is_some_and(|fired| *fired)
    }

    /// The strictest of what fired; with `notes_only` of what holds notes too.
    #[must_use]
    pub fn outcome(&self, notes_only: bool) -> Outcome {
        let counts = |rule: &&Rule| !notes_only || rule.notes == Notes::Review;
        self.rules().filter(counts).map(|rule| rule.outcome).max().unwrap_or(Outcome::Apply)
    }

    /// As reviews keep it: ids and places, never the words.
    #[must_use]
    pub fn matches(&self) -> Vec<Match> {
        let name = |hit: &Hit| Match {
            rule: self.policy.rules[hit.rule].id.clone(),
            place: hit.place.clone(),
            span: hit.span,
        };
        self.hits.iter().map(name).collect()
    }
}

/// A piece of text that is searched, by its place.
struct Piece<'a> {
    place: String,
    text: Cow<'a, str>,
    /// Whether the model wrote it.
    of_model: bool,
}

impl Policy {
    /// Everything that the rules speak of. `workflow` is none when it is not known.
    #[must_use]
    pub fn detect(&self, workflow: Option<&str>, proposal: &Proposal, ticket: Option<&Ticket>) -> Found<'_> {
        let mut found = Found::nothing(self);
        let pieces = pieces(proposal, ticket);
        if pieces.iter().map(|piece| piece.text.len()).sum::<usize>() > MAX_SEARCHED_BYTES {
            found.hit(0, "policy", None);
        } else {
            pieces.iter().for_each(|piece| self.search(piece, &mut found));
        }
        let labels = Labels::of(workflow, proposal, ticket);
        self.name_labels(&labels, proposal, &mut found);
        self.settle_rules(&labels, &mut found);
        found.hits.sort_by_key(|hit| hit.rule);
        found
    }

    fn search(&self, piece: &Piece<'_>, found: &mut Found<'_>) {
        self.lexicon.search(&Words::of(&piece.text), |rule, span| {
            if piece.of_model || !self.rules[rule].when.only_of_model {
                found.hit(rule, &piece.place, Some(span));
            }
        });
    }

    /// A label fires the topic of its name, the topics that list it, and those
    /// whose words stand in it.
    fn name_labels(&self, labels: &Labels, proposal: &Proposal, found: &mut Found<'_>) {
        for (kind, place, label) in &labels.named {
            let words = Words::of(label);
            for (wanted, rule) in self.labels.get(&words.as_label()).into_iter().flatten() {
                if *wanted == Label::Any || *kind == Label::Any || wanted == kind {
                    found.hit(*rule, place, None);
                }
            }
            self.lexicon.search(&words, |rule, _| {
                if self.rules[rule].topic.is_some() {
                    found.hit(rule, place, None);
                }
            });
        }
        if proposal.topics.len() > MAX_LABELS || proposal.topics.iter().any(|label| says_nothing(label)) {
            found.hit(0, "topics", None);
        }
    }

    /// A rule fires when all of its conditions hold; only then its words count.
    fn settle_rules(&self, labels: &Labels, found: &mut Found<'_>) {
        for (at, rule) in self.rules.iter().enumerate() {
            let when = &rule.when;
            if when.conditions.is_empty() {
                continue;
            }
            let holds = when.conditions.iter().all(|condition| labels.hold(condition));
            if holds && (found.fired[at] || !when.needs_words) {
                when.conditions.iter().for_each(|condition| found.hit(at, condition.fact.word(), None));
            } else {
                found.fired[at] = false;
                found.hits.retain(|hit| hit.rule != at);
            }
        }
    }
}

/// Whether the model's label cannot be read, or says that it does not know.
fn says_nothing(label: &str) -> bool {
    let length = label.chars().count();
    let unreadable = label.trim().is_empty() || length > MAX_LABEL_CHARS || label.chars().any(char::is_control);
    unreadable || UNSURE.contains(&label.trim().to_lowercase().as_str())
}

/// The labels of a ticket and an output.
struct Labels {
    /// Those that may name a topic: what they are, the place, the words.
    named: Vec<(Label, &'static str, String)>,
    workflow: Option<String>,
    priorities: Vec<String>,
}

impl Labels {
    fn of(workflow: Option<&str>, proposal: &Proposal, ticket: Option<&Ticket>) -> Labels {
        let mut named = Vec::new();
        let mut add = |kind, place, label: &String| {
            // One that is too long to read is no name; the model's counts as unknown.
            if label.len() <= 4 * MAX_LABEL_CHARS && !named.iter().any(|(k, _, l)| (k, l) == (&kind, label)) {
                named.push((kind, place, label.clone()));
            }
        };
        proposal.topics.iter().take(MAX_LABELS).for_each(|topic| add(Label::Any, "topics", topic));
        for route in routes(proposal) {
            route.intent.iter().for_each(|intent| add(Label::Intent, "intent", intent));
            route.queue.iter().for_each(|queue| add(Label::Queue, "queue", queue));
            route.tags.iter().for_each(|tag| add(Label::Tag, "tag", tag));
        }
        if let Some(ticket) = ticket {
            add(Label::Queue, "queue", &ticket.queue);
            ticket.tags.iter().for_each(|tag| add(Label::Tag, "tag", tag));
        }
        let proposed = routes(proposal).filter_map(|route| route.priority).map(|priority| priority.word().to_owned());
        let priorities = proposed.chain(ticket.map(|ticket| ticket.priority.clone())).collect();
        Labels { named, workflow: workflow.map(|name| Words::of(name).as_label()), priorities }
    }

    fn hold(&self, condition: &Condition) -> bool {
        let one_of = |label: &str| condition.one_of.contains(&Words::of(label).as_label());
        let any = |kind| self.named.iter().any(|(of, _, label)| *of == kind && one_of(label));
        match condition.fact {
            Fact::Workflow => self.workflow.as_ref().is_some_and(|name| condition.one_of.contains(name)),
            Fact::Queue => any(Label::Queue),
            Fact::Tag => any(Label::Tag),
            Fact::Intent => any(Label::Intent),
            Fact::Priority => self.priorities.iter().any(|priority| one_of(priority)),
        }
    }
}

fn routes(proposal: &Proposal) -> impl Iterator<Item = &Route> {
    proposal.effects.iter().filter_map(|effect| match effect {
        Effect::Route(route) => Some(route),
        _ => None,
    })
}

/// Everything that is searched. What we wrote on the ticket ourselves names
/// topics without being about them, and is left out.
fn pieces<'a>(proposal: &'a Proposal, ticket: Option<&'a Ticket>) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    if let Some(ticket) = ticket {
        pieces.push(Piece { place: "subject".to_owned(), text: Cow::from(&ticket.subject), of_model: false });
        let said = ticket.messages.iter().enumerate().filter(|(_, message)| message.author != Author::Frontdesk);
        pieces.extend(said.map(|(at, message)| Piece {
            place: format!("message/{}", at + 1),
            text: Cow::from(&message.body),
            of_model: false,
        }));
    }
    let by_model = |place: &str, text| Piece { place: place.to_owned(), text, of_model: true };
    let reply = proposal.reply.as_ref().filter(|reply| **reply != proposal.output);
    pieces.extend(reply.map(|reply| by_model("reply", Cow::from(reply))));
    pieces.push(by_model("output", Cow::from(&proposal.output)));
    let written = proposal.effects.iter().filter_map(|effect| Some((effect, text_of(effect, &proposal.output)?)));
    pieces.extend(written.map(|(effect, text)| by_model(effect.slot().word(), text)));
    pieces
}

/// The words that an effect would write. What is only the output under a heading
/// is searched once.
fn text_of<'a>(effect: &'a Effect, output: &str) -> Option<Cow<'a, str>> {
    let text = match effect {
        Effect::Note { text } | Effect::Draft { text } | Effect::Attachment { text, .. } => text,
        Effect::Reply(reply) => reply.text(),
        Effect::Fields { .. } => return Some(Cow::from(effect.in_words())),
        Effect::Route(_) | Effect::Start { .. } => return None,
    };
    Some(Cow::from(text.strip_suffix(output).unwrap_or(text))).filter(|text| !text.is_empty())
}

impl Found<'_> {
    /// The words of a hit, for a person who may read the ticket: never for a log.
    #[must_use]
    pub fn words(hit: &Hit, proposal: &Proposal, ticket: Option<&Ticket>) -> Option<String> {
        let (from, to) = hit.span?;
        let piece = pieces(proposal, ticket).into_iter().find(|piece| piece.place == hit.place)?;
        piece.text.get(from..to).map(str::to_owned)
    }
}
