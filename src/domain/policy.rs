//! What may happen without a person. Review is the default; everything here
//! only says when something *else* may happen.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::decision::{Decision, Hold, Proposal};
use super::effect::Effect;
use super::hold::HoldReason;
use super::ticket::{Author, Ticket};

/// The rules in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// A classification below this goes to review.
    pub min_confidence: f64,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy { min_confidence: 0.8 }
    }
}

/// Sensitive topics and the words that give them away, in lower case. A word
/// matches as a whole word, a phrase as whole words in a row.
const TOPICS: [(&str, &[&str]); 6] = [
    (
        "refund",
        &[
            "refund",
            "refunds",
            "refunded",
            "refunding",
            "money back",
            "reimburse",
            "reimbursed",
            "reimbursement",
            "chargeback",
            "charge back",
        ],
    ),
    (
        "billing_dispute",
        &[
            "billing dispute",
            "dispute",
            "disputed",
            "disputing",
            "overcharged",
            "overcharge",
            "charged twice",
            "double charged",
            "charged me twice",
            "billed twice",
            "wrongly charged",
            "unauthorized charge",
            "unauthorised charge",
            "incorrect charge",
        ],
    ),
    (
        "account_access",
        &[
            "account access",
            "access my account",
            "into my account",
            "access to my account",
            "password",
            "passwords",
            "locked out",
            "account locked",
            "account is locked",
            "cannot log in",
            "can't log in",
            "can not log in",
            "cannot login",
            "can't login",
            "cannot sign in",
            "can't sign in",
            "two factor",
            "2fa",
            "hacked",
            "reset link",
            "verification code",
            "login code",
        ],
    ),
    (
        "healthcare",
        &[
            "healthcare",
            "health care",
            "medical",
            "medication",
            "medicine",
            "prescription",
            "diagnosis",
            "diagnosed",
            "patient",
            "patients",
            "hospital",
            "doctor",
            "symptom",
            "symptoms",
            "health insurance",
            "hipaa",
        ],
    ),
    (
        "legal",
        &[
            "legal",
            "legally",
            "lawyer",
            "lawyers",
            "attorney",
            "lawsuit",
            "sue",
            "suing",
            "sued",
            "legal action",
            "court",
            "subpoena",
            "solicitor",
        ],
    ),
    (
        "compliance",
        &[
            "compliance",
            "gdpr",
            "ccpa",
            "hipaa",
            "delete my data",
            "data deletion",
            "data protection",
            "personal data",
            "regulator",
            "regulatory",
        ],
    ),
];

/// The sensitive topics found anywhere: named by the model, in the ticket's
/// words, in the output's words, in its queue or tags. The model can add a
/// topic and never remove one.
#[must_use]
pub fn sensitive_topics(proposal: &Proposal, ticket: &Ticket) -> Vec<String> {
    let mut found = [false; TOPICS.len()];
    let said =
        ticket.messages.iter().filter(|message| message.author != Author::Frontdesk).map(|message| &message.body);
    for text in said.chain([&ticket.subject, &proposal.output]).chain(&proposal.reply) {
        mark_said(text, &mut found);
    }
    let intent = proposal.effects.iter().filter_map(|effect| match effect {
        Effect::Route(route) => route.intent.as_ref(),
        _ => None,
    });
    for label in proposal.topics.iter().chain(&ticket.tags).chain(intent).chain([&ticket.queue]) {
        mark_named(label, &mut found);
    }
    TOPICS.iter().zip(found).filter(|(_, found)| *found).map(|((topic, _), _)| (*topic).to_owned()).collect()
}

/// A phrase of the lexicon: its topic, and the words after its first one.
type Phrase = (usize, Vec<&'static str>);

/// The lexicon by first words, so that a text is walked once.
fn lexicon() -> &'static HashMap<&'static str, Vec<Phrase>> {
    static LEXICON: OnceLock<HashMap<&'static str, Vec<Phrase>>> = OnceLock::new();
    LEXICON.get_or_init(|| {
        let mut by_first: HashMap<&str, Vec<Phrase>> = HashMap::new();
        for (topic, (_, phrases)) in TOPICS.iter().enumerate() {
            for phrase in *phrases {
                let mut words = phrase.split(' ');
                let first = words.next().unwrap_or_default();
                by_first.entry(first).or_default().push((topic, words.collect()));
            }
        }
        by_first
    })
}

/// Marks the topics whose words stand in a text. A phrase does not reach from
/// one text into the next.
fn mark_said(text: &str, found: &mut [bool; TOPICS.len()]) {
    let lower = text.replace('\u{2019}', "'").to_lowercase();
    let is_break = |c: char| !c.is_alphanumeric() && c != '\'';
    let words: Vec<&str> = lower.split(is_break).filter(|word| !word.is_empty()).collect();
    for (at, word) in words.iter().enumerate() {
        for (topic, rest) in lexicon().get(word).into_iter().flatten() {
            if words[at + 1..].starts_with(rest) {
                found[*topic] = true;
            }
        }
    }
}

/// Marks the topic that a label names: a tag, a queue, an intent, a model's topic.
fn mark_named(label: &str, found: &mut [bool; TOPICS.len()]) {
    let name = label.trim().to_lowercase().replace([' ', '-'], "_");
    for (topic, found) in TOPICS.iter().zip(found) {
        *found |= topic.0 == name;
    }
}

impl Policy {
    /// Its number; every decision keeps it.
    #[must_use]
    pub fn version(&self) -> i64 {
        1
    }

    /// Whether work of this workflow that failed at OpenAI with a code that may
    /// pass is started once more.
    #[must_use]
    pub fn resubmits(&self, _workflow: &str) -> bool {
        true
    }

    /// Sets aside what cannot be used as it is, with the reviewers and topics
    /// that its ticket and its words ask for.
    #[must_use]
    pub fn hold(
        &self,
        reason: HoldReason,
        detail: String,
        _workflow: Option<&str>,
        ticket: Option<&Ticket>,
        output: Option<String>,
    ) -> Hold {
        let proposal = Proposal { output: output.clone().unwrap_or_default(), ..Proposal::default() };
        let topics = ticket.map(|ticket| sensitive_topics(&proposal, ticket)).unwrap_or_default();
        Hold { topics, output, ..Hold::because(reason, detail) }
    }

    /// Decides what happens to a clean proposal. `seen_revision` is the ticket's
    /// revision that the work was made from, when it is known.
    #[must_use]
    pub fn decide(&self, _workflow: &str, proposal: Proposal, ticket: &Ticket, seen_revision: Option<i64>) -> Decision {
        let topics = sensitive_topics(&proposal, ticket);
        if seen_revision.is_some_and(|seen| ticket.revision > seen) {
            let why = "the ticket has changed since the work was started";
            return Decision::Hold(held(HoldReason::ChangedSince, why, topics, proposal));
        }
        if proposal.reply.is_some() {
            return Decision::Hold(self.hold_reply(topics, proposal));
        }
        let routes = proposal.effects.iter().any(|effect| matches!(effect, Effect::Route(_)));
        if let Some((reason, detail)) = routes.then(|| self.keeps_route(&topics, proposal.confidence)).flatten() {
            return Decision::Hold(held(reason, &detail, topics, proposal));
        }
        Decision::Apply(proposal.effects.into_iter().map(|effect| with_topics(effect, &topics)).collect())
    }

    /// Text for a customer always waits for a person. When nothing else speaks
    /// against it, it is put on the ticket as a draft meanwhile.
    fn hold_reply(&self, topics: Vec<String>, proposal: Proposal) -> Hold {
        if !topics.is_empty() {
            return held(HoldReason::Sensitive, &format!("sensitive: {}", topics.join(", ")), topics, proposal);
        }
        if let Some(confidence) = proposal.confidence.filter(|confidence| *confidence < self.min_confidence) {
            return held(HoldReason::LowConfidence, &self.too_unsure(confidence), topics, proposal);
        }
        let meanwhile = proposal.reply.clone().map(|text| Effect::Draft { text }).into_iter().collect();
        Hold { meanwhile, ..held(HoldReason::CustomerFacing, "a person sends it", topics, proposal) }
    }

    fn keeps_route(&self, topics: &[String], confidence: Option<f64>) -> Option<(HoldReason, String)> {
        if !topics.is_empty() {
            return Some((HoldReason::Sensitive, format!("sensitive: {}", topics.join(", "))));
        }
        match confidence {
            Some(confidence) if confidence >= self.min_confidence => None,
            Some(confidence) => Some((HoldReason::LowConfidence, self.too_unsure(confidence))),
            None => Some((HoldReason::LowConfidence, "the output says nothing of its confidence".to_owned())),
        }
    }

    fn too_unsure(&self, confidence: f64) -> String {
        format!("confidence {confidence:.2} is under {:.2}", self.min_confidence)
    }
}

fn held(reason: HoldReason, detail: &str, topics: Vec<String>, proposal: Proposal) -> Hold {
    Hold {
        topics,
        effects: proposal.effects,
        reply: proposal.reply,
        output: Some(proposal.output),
        ..Hold::because(reason, detail)
    }
}

fn with_topics(effect: Effect, topics: &[String]) -> Effect {
    match effect {
        Effect::Note { text } if !topics.is_empty() => {
            Effect::Note { text: format!("{text}\n\nSensitive: {}", topics.join(", ")) }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::effect::{Priority, Route};
    use crate::domain::ticket::{Message, Visibility};

    fn ticket(text: &str) -> Ticket {
        Ticket {
            id: "T-1".into(),
            subject: "Question".into(),
            status: "open".into(),
            queue: "support".into(),
            priority: "normal".into(),
            tags: vec![],
            revision: 3,
            messages: vec![Message { author: Author::Customer, visibility: Visibility::Public, body: text.into() }],
        }
    }

    fn route(confidence: Option<f64>) -> Proposal {
        let route = Route { intent: Some("shipping".into()), priority: Some(Priority::High), ..Route::default() };
        Proposal { effects: vec![Effect::Route(route)], confidence, ..Proposal::default() }
    }

    fn reason(decision: Decision) -> Option<HoldReason> {
        match decision {
            Decision::Hold(hold) => Some(hold.reason),
            _ => None,
        }
    }

    #[test]
    fn a_sure_classification_of_a_plain_ticket_is_applied() {
        assert!(matches!(
            Policy::default().decide("classification", route(Some(0.8)), &ticket("where is my parcel?"), None),
            Decision::Apply(_)
        ));
    }

    #[test]
    fn an_unsure_or_silent_classification_is_held() {
        for confidence in [Some(0.79), None, Some(f64::NAN)] {
            let decision =
                Policy::default().decide("classification", route(confidence), &ticket("where is my parcel?"), None);
            assert_eq!(reason(decision), Some(HoldReason::LowConfidence), "{confidence:?}");
        }
    }

    #[test]
    fn each_sensitive_topic_is_found_by_its_words_and_not_by_parts_of_words() {
        let hits = [
            ("refund", "I want my money back!"),
            ("billing_dispute", "You charged me TWICE."),
            ("account_access", "I can\u{2019}t log in"),
            ("healthcare", "my prescription is late"),
            ("legal", "I will sue"),
            ("compliance", "under GDPR, delete it"),
        ];
        for (topic, text) in hits {
            assert_eq!(sensitive_topics(&Proposal::default(), &ticket(text)), [topic], "{text}");
        }
        for text in ["what is the issue?", "a courtyard pursued", "impatiently doctored refundless"] {
            assert!(sensitive_topics(&Proposal::default(), &ticket(text)).is_empty(), "{text}");
        }
    }

    #[test]
    fn an_agent_s_words_and_the_intent_can_each_add_a_topic() {
        let mut told = ticket("hello");
        told.messages[0].author = Author::Agent;
        told.messages[0].body = "Your refund is on its way".into();
        assert_eq!(sensitive_topics(&Proposal::default(), &told), ["refund"]);
        told.messages[0].author = Author::Frontdesk;
        assert!(
            sensitive_topics(&Proposal::default(), &told).is_empty(),
            "our own notes name topics without being about them"
        );
        let route = Route { intent: Some("account_access".into()), ..Route::default() };
        let classified = Proposal { effects: vec![Effect::Route(route)], ..Proposal::default() };
        assert_eq!(sensitive_topics(&classified, &ticket("hello")), ["account_access"]);
    }

    #[test]
    fn each_topic_is_found_by_its_own_name() {
        for (topic, _) in TOPICS {
            let text = format!("a question about {}", topic.replace('_', " "));
            assert!(sensitive_topics(&Proposal::default(), &ticket(&text)).contains(&topic.to_owned()), "{topic}");
        }
    }

    #[test]
    fn the_model_the_queue_and_the_tags_can_each_add_a_topic() {
        let named = Proposal { topics: vec!["Legal".into()], ..Proposal::default() };
        assert_eq!(sensitive_topics(&named, &ticket("hello")), ["legal"]);
        let tagged = Ticket { tags: vec!["billing dispute".into()], queue: "refund".into(), ..ticket("hello") };
        assert_eq!(sensitive_topics(&Proposal::default(), &tagged), ["refund", "billing_dispute"]);
        let said = Proposal { reply: Some("We refunded you".into()), ..Proposal::default() };
        assert_eq!(sensitive_topics(&said, &ticket("hello")), ["refund"]);
    }

    #[test]
    fn a_sensitive_classification_is_held_and_a_sensitive_note_is_marked() {
        assert_eq!(
            reason(Policy::default().decide("classification", route(Some(0.99)), &ticket("refund please"), None)),
            Some(HoldReason::Sensitive)
        );
        let note = Proposal { effects: vec![Effect::Note { text: "Summary".into() }], ..Proposal::default() };
        let Decision::Apply(effects) = Policy::default().decide("summary", note, &ticket("refund please"), None) else {
            panic!("not applied")
        };
        assert_eq!(effects, [Effect::Note { text: "Summary\n\nSensitive: refund".into() }]);
    }

    #[test]
    fn a_reply_is_never_more_than_a_draft_and_not_even_that_when_sensitive() {
        let reply = || Proposal { reply: Some("Dear customer".into()), ..Proposal::default() };
        let Decision::Hold(plain) = Policy::default().decide("draft_reply", reply(), &ticket("hello"), None) else {
            panic!("not held")
        };
        assert_eq!((plain.reason, plain.meanwhile.len()), (HoldReason::CustomerFacing, 1));
        assert_eq!(plain.proposed(), [("reply".to_owned(), "Dear customer".to_owned())]);
        let Decision::Hold(sensitive) = Policy::default().decide("draft_reply", reply(), &ticket("refund"), None)
        else {
            panic!("not held")
        };
        assert_eq!((sensitive.reason, sensitive.meanwhile.len()), (HoldReason::Sensitive, 0));
    }

    #[test]
    fn work_made_from_an_older_revision_is_held_whatever_it_is() {
        assert_eq!(
            reason(Policy::default().decide("classification", route(Some(0.9)), &ticket("hello"), Some(2))),
            Some(HoldReason::ChangedSince)
        );
        assert_eq!(
            reason(Policy::default().decide("classification", route(Some(0.9)), &ticket("hello"), Some(3))),
            None
        );
    }
}
