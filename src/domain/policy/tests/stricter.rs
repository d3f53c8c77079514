//! Whatever is added to a policy, it only gets stricter.

use proptest::prelude::*;

use super::{note, of, reply, route, ticket, topics};
use crate::domain::decision::{Decision, Hold, Proposal};
use crate::domain::person::{Person, Role};
use crate::domain::policy::{Found, Policy};

/// How strict a decision is, each part of it by itself.
fn strictness(decision: &Decision) -> (u8, i64, i64) {
    match decision {
        Decision::Apply(effects) if effects.iter().any(|effect| effect.permission().is_some()) => (0, 0, 0),
        Decision::Apply(_) => (1, 0, 0),
        Decision::Hold(hold) => {
            let offers = !hold.effects.is_empty() || hold.reply.is_some();
            let level = match (hold.meanwhile.is_empty(), offers) {
                (false, _) => 2,
                (true, true) => 3,
                (true, false) => 4,
            };
            (level, hold.approvals_needed, hold.undo_ms)
        }
    }
}

fn is_as_strict(one: &Decision, other: &Decision) -> bool {
    let (a, b) = (strictness(one), strictness(other));
    let who = match (one, other) {
        (Decision::Hold(one), Decision::Hold(other)) => {
            let may = |hold: &Hold, role| {
                let person = Person { name: "lena".into(), role };
                person.is_among(&hold.reviewers)
            };
            Role::ALL.into_iter().all(|role| {
                // Nobody but an admin is let in where the lists have nobody in common.
                role == Role::Admin || !may(one, role) || may(other, role)
            })
        }
        _ => true,
    };
    a.0 >= b.0 && a.1 >= b.1 && a.2 >= b.2 && who
}

fn addition() -> impl Strategy<Value = String> {
    let floor = prop::sample::select(vec!["review", "review_by_role", "two_person", "block"]);
    let topic = prop::sample::select(vec!["refund", "legal", "parcels", "vip_customers"]);
    let words = prop::sample::select(vec!["parcel", "refund", "hello", "where .. my", "tele*"]);
    let who = prop::sample::select(vec!["", "lead", "admin", "lena", "omar"]);
    (any::<bool>(), floor, topic, words, who, any::<bool>()).prop_map(|(rule, floor, topic, word, who, second)| {
        let reviewers = if who.is_empty() { String::new() } else { format!("reviewers = [\"{who}\"]\n") };
        if rule {
            return format!("[[rule]]\nid = \"r_{topic}\"\nwhen = {{ match = \"{word}\" }}\naction = \"{floor}\"\n{reviewers}");
        }
        format!("[[topic]]\nid = \"{topic}\"\nowner = \"o\"\nfloor = \"{floor}\"\nsecond_approver = {second}\n{reviewers}match = {{ en = [\"{word}\"] }}\n")
    })
}

fn proposal() -> impl Strategy<Value = Proposal> {
    let kind = prop::sample::select(vec![note(), route(Some(0.9)), route(Some(0.1)), reply(Some(0.9)), reply(None)]);
    (kind, prop::collection::vec(prop::sample::select(vec!["refund", "legal", "parcel", "unknown"]), 0..3))
        .prop_map(|(proposal, topics)| Proposal { topics: topics.into_iter().map(str::to_owned).collect(), ..proposal })
}

fn text() -> impl Strategy<Value = String> {
    let words = vec!["hello", "parcel", "refund", "where", "is", "my", "lawyer", "telephone", "Passwort"];
    prop::collection::vec(prop::sample::select(words), 0..8).prop_map(|words| words.join(" "))
}

proptest! {
    // Each case reads whole policies.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn adding_a_rule_or_a_topic_never_makes_a_decision_less_strict(
        base in prop::option::of(addition()), more in addition(), proposal in proposal(), text in text(),
        workflow in prop::sample::select(vec!["summary", "classification", "draft_reply"]),
        publish in any::<bool>(),
    ) {
        let head = format!("version = 2\n[workflow.draft_reply]\npublish = \"{}\"\n", if publish { "auto" } else { "never" });
        let first = format!("{head}{}", base.clone().unwrap_or_default());
        let (Ok(less), Ok(full)) = (Policy::read(&first, &[]), Policy::read(&format!("{first}{more}"), &[])) else {
            // The same topic twice is refused.
            return Ok(());
        };
        let decide = |policy: &Policy| policy.decide(workflow, proposal.clone(), &ticket(&text), Some(3));
        let (with, without) = (decide(&full), decide(&less));
        prop_assert!(is_as_strict(&with, &without), "{more}: {with:?} is weaker than {without:?}");
    }

    #[test]
    fn a_model_that_names_fewer_topics_is_never_believed_over_the_words(
        proposal in proposal(), text in text(), workflow in prop::sample::select(vec!["summary", "classification", "draft_reply"]),
    ) {
        let policy = of("[workflow.draft_reply]\npublish = \"auto\"");
        let silent = Proposal { topics: vec![], ..proposal.clone() };
        let words = topics(&policy, &silent, &ticket(&text));
        let all = topics(&policy, &proposal, &ticket(&text));
        prop_assert!(words.iter().all(|topic| all.contains(topic)));
        let named = policy.decide(workflow, proposal, &ticket(&text), Some(3));
        prop_assert!(is_as_strict(&named, &policy.decide(workflow, silent, &ticket(&text), Some(3))));
    }

    #[test]
    fn any_text_can_be_searched(text in "\\PC{0,60}", noise in any::<String>()) {
        let policy = Policy::default();
        for text in [text, noise] {
            for hit in policy.detect(None, &Proposal::default(), Some(&ticket(&text))).hits() {
                prop_assert!(Found::words(hit, &Proposal::default(), Some(&ticket(&text))).is_some(), "{hit:?}");
            }
        }
    }
}
