//! From files to a policy: what a file may not say, and how a team's file is
//! laid over the built-in one. It can add topics, words and rules, and raise
//! floors; nothing in it takes anything away.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use toml::Spanned;

use super::detect::{Condition, Fact, When};
use super::file::{self, File, Place};
use super::lexicon::{Lexicon, Phrase, Words};
use super::{Action, Label, Notes, Outcome, Policy, PolicyError, Publish, Rule, WorkflowRules};
use crate::domain::effect::Priority;
use crate::domain::person::Role;

const MIN_CONFIDENCE: f64 = 0.8;
const UNDO_MS: i64 = 5_000;

/// The built-in policy, with a team's laid over it.
pub(super) fn policy(built_in: &str, team: Option<&str>, workflows: &[&str]) -> Result<Policy, PolicyError> {
    let base = file::read(built_in)?;
    let mut builder = Builder::new(
        Place { text: built_in },
        base.workflow.keys().map(String::as_str).chain(workflows.iter().copied()).map(str::to_owned).collect(),
    );
    builder.add(&base)?;
    if let Some(text) = team {
        builder.place = Place { text };
        builder.add(&file::read(text)?)?;
    }
    Ok(builder.done())
}

/// Who decides when nobody is named.
pub(super) fn reviewers_for(outcome: Outcome) -> Vec<String> {
    let role = match outcome {
        Outcome::ReviewByRole | Outcome::Block => Role::Lead,
        _ => Role::Agent,
    };
    vec![role.word().to_owned()]
}

struct Builder<'a> {
    place: Place<'a>,
    known: BTreeSet<String>,
    sections: BTreeMap<String, file::Workflow>,
    policy: Policy,
}

type Checked = Result<(), PolicyError>;

impl<'a> Builder<'a> {
    fn new(place: Place<'a>, known: BTreeSet<String>) -> Builder<'a> {
        let policy = Policy {
            kill_switch: false,
            min_confidence: MIN_CONFIDENCE,
            undo_ms: UNDO_MS,
            lexicon: Lexicon::default(),
            labels: HashMap::new(),
            ..Policy::closed()
        };
        Builder { place, known, sections: BTreeMap::new(), policy }
    }

    fn wrong(&self, at: Range<usize>, what: impl Into<String>) -> PolicyError {
        self.place.wrong(Some(at), what)
    }

    fn add(&mut self, file: &File) -> Checked {
        self.policy.version = self.version(file)?;
        self.policy.text = self.place.text.to_owned();
        self.policy.kill_switch = file.kill_switch;
        self.defaults(file)?;
        for (name, section) in &file.workflow {
            self.workflow(name, section)?;
        }
        self.ids_are_unique(file)?;
        for topic in &file.topic {
            self.topic(topic)?;
        }
        for rule in &file.rule {
            self.rule(rule)?;
        }
        Ok(())
    }

    fn version(&self, file: &File) -> Result<i64, PolicyError> {
        match &file.version {
            Some(version) if *version.get_ref() >= 1 => Ok(*version.get_ref()),
            Some(version) => Err(self.wrong(version.span(), "version must be 1 or more; raise it with every change")),
            None => {
                Err(self.place.wrong(None, "version is missing; write `version = 1`, and raise it with every change"))
            }
        }
    }

    fn defaults(&mut self, file: &File) -> Checked {
        let defaults = &file.defaults;
        if let Some(action) = defaults.action {
            self.policy.action = action;
            // Said for every workflow that this file does not name.
            self.sections.values_mut().for_each(|section| section.action = None);
        }
        if let Some(confidence) = &defaults.min_confidence {
            self.policy.min_confidence = self.confidence(confidence)?;
        }
        if let Some(outcome) = &defaults.on_unknown {
            self.must_be_a_floor(outcome, "on_unknown", Outcome::Review)?;
            self.policy.rules[0] = Rule::unknown(*outcome.get_ref());
        }
        self.policy.undo_ms = defaults.undo.map_or(self.policy.undo_ms, |undo| undo.ms());
        Ok(())
    }

    fn confidence(&self, confidence: &Spanned<f64>) -> Result<f64, PolicyError> {
        let value = *confidence.get_ref();
        if (0.0..=1.0).contains(&value) {
            return Ok(value);
        }
        Err(self.wrong(confidence.span(), "min_confidence must be between 0 and 1"))
    }

    fn workflow(&mut self, name: &str, section: &Spanned<file::Workflow>) -> Checked {
        if !self.known.contains(name) {
            let names: Vec<&str> = self.known.iter().map(String::as_str).collect();
            let what = format!(
                "[workflow.{}]: there is no such workflow; there are {}",
                name.escape_debug(),
                names.join(", ")
            );
            return Err(self.wrong(section.span(), what));
        }
        let said = section.get_ref();
        if let Some(confidence) = &said.min_confidence {
            self.confidence(confidence)?;
        }
        if (said.publish, said.action) == (Some(Publish::Auto), Some(Action::Review)) {
            let what = format!(
                "[workflow.{name}]: publish = \"auto\" sends without a person, action = \"review\" asks for one; take one of them out"
            );
            return Err(self.wrong(section.span(), what));
        }
        let below = self.sections.entry(name.to_owned()).or_default();
        // To let a workflow publish is to let it act.
        let acts = said.publish.filter(|publish| *publish == Publish::Auto).map(|_| Action::Apply);
        *below = file::Workflow {
            action: said.action.or(acts).or(below.action),
            min_confidence: said.min_confidence.clone().or(below.min_confidence.take()),
            publish: said.publish.or(below.publish),
            undo: said.undo.or(below.undo),
            resubmit: said.resubmit.or(below.resubmit),
        };
        Ok(())
    }

    fn ids_are_unique(&self, file: &File) -> Checked {
        let topics = file.topic.iter().map(|topic| ("topic", &topic.get_ref().id, topic.span()));
        let rules = file.rule.iter().map(|rule| ("rule", &rule.get_ref().id, rule.span()));
        let mut seen = BTreeSet::new();
        for (kind, id, span) in topics.chain(rules) {
            if !is_id(id) {
                return Err(self.wrong(span, format!("{kind} id {id:?}: 1 to 64 small letters, digits, _ or -")));
            }
            if !seen.insert((kind, id)) {
                return Err(self
                    .wrong(span, format!("there are two {kind}s with the id {id:?}; give one another, or join them")));
            }
        }
        Ok(())
    }

    fn must_be_a_floor(&self, said: &Spanned<Outcome>, what: &str, least: Outcome) -> Checked {
        if *said.get_ref() >= least {
            return Ok(());
        }
        let text =
            format!("{what} = \"{}\" would weaken the floor; the least is \"{}\"", said.get_ref().word(), least.word());
        Err(self.wrong(said.span(), text))
    }

    fn topic(&mut self, said: &Spanned<file::Topic>) -> Checked {
        let (topic, span) = (said.get_ref(), said.span());
        let id = format!("topic/{}", topic.id);
        let owner = topic.owner.as_deref().map(str::trim).filter(|owner| !owner.is_empty());
        if owner.is_none() {
            let what =
                format!("topic {:?} has no owner; name the queue or team that looks after it: owner = \"…\"", topic.id);
            return Err(self.wrong(span, what));
        }
        let below = self.policy.rules.iter().position(|rule| rule.id == id);
        let least = below.map_or(Outcome::Review, |at| self.policy.rules[at].outcome);
        if let Some(floor) = &topic.floor {
            self.must_be_a_floor(floor, &format!("topic {:?}: floor", topic.id), least)?;
        }
        let floor = topic.floor.as_ref().map_or(least, |floor| *floor.get_ref());
        let reviewers = self.reviewers(&topic.reviewers, floor, &span)?;
        let notes = self.notes(topic, floor, &span)?;
        let at = below.unwrap_or(self.policy.rules.len());
        let rule = Rule {
            topic: Some(topic.id.clone()),
            owner: owner.map(str::to_owned),
            outcome: if topic.second_approver { floor.max(Outcome::TwoPerson) } else { floor },
            notes,
            reviewers,
            second_approver: topic.second_approver || floor == Outcome::TwoPerson,
            undo_ms: topic.undo.map(|undo| undo.ms()),
            ..Rule::new(id, floor)
        };
        match below {
            Some(at) => self.policy.rules[at].raise(rule),
            None => self.policy.rules.push(rule),
        }
        self.detection(topic, at, &span)
    }

    fn notes(&self, topic: &file::Topic, floor: Outcome, span: &Range<usize>) -> Result<Notes, PolicyError> {
        match topic.notes {
            Some(Notes::Apply) if floor == Outcome::Block => {
                let what = format!("topic {:?}: a blocked topic holds notes too; take out notes = \"apply\"", topic.id);
                Err(self.wrong(span.clone(), what))
            }
            Some(notes) => Ok(notes),
            None if floor > Outcome::Review => Ok(Notes::Review),
            None => Ok(Notes::Apply),
        }
    }

    fn reviewers(&self, said: &[String], outcome: Outcome, span: &Range<usize>) -> Result<Vec<String>, PolicyError> {
        if said.iter().any(|who| who.trim().is_empty()) {
            return Err(
                self.wrong(span.clone(), "an empty name is among the reviewers; write agent, lead, admin or a name")
            );
        }
        if outcome == Outcome::Block && said.iter().any(|who| who == Role::Agent.word()) {
            return Err(self.wrong(span.clone(), "what is blocked is for leads: take \"agent\" out of the reviewers"));
        }
        Ok(if said.is_empty() { reviewers_for(outcome) } else { said.to_vec() })
    }

    /// What makes a topic fire: its name, its labels, its words.
    fn detection(&mut self, topic: &file::Topic, at: usize, span: &Range<usize>) -> Checked {
        let labels = [
            (Label::Any, std::slice::from_ref(&topic.id)),
            (Label::Intent, topic.intents.as_slice()),
            (Label::Queue, topic.queues.as_slice()),
            (Label::Tag, topic.tags.as_slice()),
        ];
        for (kind, label) in labels.iter().flat_map(|(kind, labels)| labels.iter().map(move |label| (*kind, label))) {
            let name = self.label(label, span)?;
            self.policy.labels.entry(name).or_default().push((kind, at));
        }
        for phrase in topic.words.values().flatten() {
            let read = Phrase::parse(phrase.get_ref()).map_err(|what| self.wrong(phrase.span(), what))?;
            self.policy.lexicon.add(at, read);
        }
        self.policy.rules[at].phrases += topic.words.values().map(Vec::len).sum::<usize>();
        self.must_not(topic, span)
    }

    /// What the model's own text must not say: a rule of its own, which blocks.
    fn must_not(&mut self, topic: &file::Topic, span: &Range<usize>) -> Checked {
        let Some(first) = topic.output_must_not.first() else { return Ok(()) };
        if topic.output_must_not.iter().any(|phrase| phrase.get_ref().trim().is_empty()) {
            return Err(self.wrong(first.span(), "output_must_not holds an empty text; take it out"));
        }
        let words = topic.output_must_not.iter().map(|phrase| phrase.get_ref().clone()).collect::<Vec<_>>();
        let when = When { only_of_model: true, ..When::default() };
        let rule = Rule { when, ..Rule::new(format!("topic/{}/output_must_not", topic.id), Outcome::Block) };
        self.push_with_words(rule, &words, span)
    }

    fn label(&self, label: &str, span: &Range<usize>) -> Result<String, PolicyError> {
        let name = Words::of(label).as_label();
        if name.is_empty() {
            return Err(self.wrong(span.clone(), format!("{label:?} is no label: it needs a letter or a digit")));
        }
        Ok(name)
    }

    fn rule(&mut self, said: &Spanned<file::Rule>) -> Checked {
        let (rule, span) = (said.get_ref(), said.span());
        self.must_be_a_floor(&rule.action, &format!("rule {:?}: action", rule.id), Outcome::Review)?;
        let outcome = *rule.action.get_ref();
        let reviewers = self.reviewers(&rule.reviewers, outcome, &span)?;
        let when = self.when(&rule.when, &span)?;
        let words = rule.when.words.as_ref().map(|words| words.0.clone());
        if words.is_none() && when.conditions.is_empty() {
            return Err(self.wrong(
                span,
                format!("rule {:?}: `when` is empty; it would hold everything: kill_switch does that", rule.id),
            ));
        }
        let new = Rule { reviewers, when, ..Rule::new(format!("rule/{}", rule.id), outcome) };
        self.push_with_words(new, words.as_deref().unwrap_or_default(), &span)
    }

    fn push_with_words(&mut self, rule: Rule, words: &[String], span: &Range<usize>) -> Checked {
        let at = self.policy.rules.len();
        for word in words {
            let phrase = Phrase::parse(word).map_err(|what| self.wrong(span.clone(), what))?;
            self.policy.lexicon.add(at, phrase);
        }
        self.policy.rules.push(Rule { phrases: words.len(), ..rule });
        Ok(())
    }

    fn when(&self, said: &file::When, span: &Range<usize>) -> Result<When, PolicyError> {
        let facts = [
            (Fact::Workflow, &said.workflow),
            (Fact::Queue, &said.queue),
            (Fact::Tag, &said.tag),
            (Fact::Intent, &said.intent),
            (Fact::Priority, &said.priority),
        ];
        let mut conditions = Vec::new();
        for (fact, words) in facts {
            let Some(words) = words else { continue };
            if words.0.is_empty() {
                return Err(self.wrong(span.clone(), format!("`when`: the list for {} is empty", fact.word())));
            }
            let strange = |word: &&String| match fact {
                Fact::Workflow => !self.known.contains(*word),
                Fact::Priority => Priority::parse(word).is_none(),
                _ => false,
            };
            if let Some(word) = words.0.iter().find(strange) {
                return Err(self.wrong(span.clone(), format!("`when`: there is no {} {word:?}", fact.word())));
            }
            let one_of = words.0.iter().map(|word| self.label(word, span)).collect::<Result<_, _>>()?;
            conditions.push(Condition { fact, one_of });
        }
        match &said.words {
            Some(words) if words.0.is_empty() => Err(self.wrong(span.clone(), "`when`: match is an empty list")),
            words => Ok(When { conditions, needs_words: words.is_some(), only_of_model: false }),
        }
    }

    fn done(self) -> Policy {
        let base = self.policy.defaults();
        let workflows = self.sections.into_iter().map(|(name, said)| {
            let rules = WorkflowRules {
                action: said.action.unwrap_or(base.action),
                min_confidence: said.min_confidence.map_or(base.min_confidence, Spanned::into_inner),
                publish: said.publish.unwrap_or(Publish::Never),
                undo_ms: said.undo.map_or(base.undo_ms, |undo| undo.ms()),
                resubmit: said.resubmit.unwrap_or(true),
            };
            (name, rules)
        });
        Policy { workflows: workflows.collect(), ..self.policy }
    }
}

impl Rule {
    /// Lays more over a topic; it only gets stricter.
    fn raise(&mut self, over: Rule) {
        self.outcome = self.outcome.max(over.outcome);
        self.owner = over.owner;
        if over.notes == Notes::Review {
            self.notes = Notes::Review;
        }
        self.reviewers = super::decide::both(&self.reviewers, &over.reviewers);
        self.second_approver |= over.second_approver;
        self.undo_ms = self.undo_ms.max(over.undo_ms);
    }
}

fn is_id(id: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    (1..=64).contains(&id.len()) && id.bytes().all(fits)
}
