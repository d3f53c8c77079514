//! The policy, from a file or the built-in one, to decisions.

mod examples;
mod refusals;
mod stricter;

use super::{BUILT_IN, Found, Notes, Outcome, Policy};
use crate::domain::decision::{Decision, Hold, Proposal};
use crate::domain::effect::{Effect, Priority, Route};
use crate::domain::hold::HoldReason;
use crate::domain::ticket::{Author, Message, Ticket, Visibility};

pub(super) fn ticket(text: &str) -> Ticket {
    Ticket {
        id: "T-1".into(),
        subject: "Question".into(),
        status: "open".into(),
        queue: "support".into(),
        priority: "normal".into(),
        tags: vec![],
        revision: 3,
        changed_at_ms: None,
        messages: vec![Message { author: Author::Customer, visibility: Visibility::Public, body: text.into() }],
    }
}

fn route(confidence: Option<f64>) -> Proposal {
    let route = Route { intent: Some("shipping".into()), priority: Some(Priority::High), ..Route::default() };
    Proposal { effects: vec![Effect::Route(route)], confidence, ..Proposal::default() }
}

fn reply(confidence: Option<f64>) -> Proposal {
    Proposal { reply: Some("Dear customer".into()), output: "Dear customer".into(), confidence, ..Proposal::default() }
}

fn note() -> Proposal {
    Proposal { effects: vec![Effect::Note { text: "Summary".into() }], output: "Summary".into(), ..Proposal::default() }
}

fn of(more: &str) -> Policy {
    Policy::read(&format!("version = 2\n{more}"), &["call_notes"]).expect("loads")
}

fn hold(decision: Decision) -> Hold {
    match decision {
        Decision::Hold(hold) => hold,
        Decision::Apply(effects) => panic!("applied: {effects:?}"),
    }
}

fn reason(decision: Decision) -> Option<HoldReason> {
    match decision {
        Decision::Hold(hold) => Some(hold.reason),
        Decision::Apply(_) => None,
    }
}

fn classified(policy: &Policy, text: &str) -> Option<HoldReason> {
    reason(policy.decide("classification", route(Some(0.9)), &ticket(text), None))
}

fn topics(policy: &Policy, proposal: &Proposal, ticket: &Ticket) -> Vec<String> {
    policy.detect(None, proposal, Some(ticket)).topics()
}

#[test]
fn the_built_in_policy_loads_and_nothing_in_it_publishes() {
    let policy = Policy::built_in().expect("loads");
    assert_eq!(policy, Policy::default());
    assert!(policy.is_built_in() && !policy.kill_switch() && !BUILT_IN.contains("\nkill_switch = true"));
    assert!(policy.workflows().values().all(|rules| rules.publish == super::Publish::Never));
    assert!(policy.rules().iter().all(|rule| rule.outcome == Outcome::Review && rule.id.contains('/')));
    assert_eq!(policy.owner("refund"), Some("billing"));
    assert_eq!(policy.owner("parcel"), None);
    assert_eq!(Policy::read(BUILT_IN, &[]).expect("a copy of it loads").sha256(), policy.sha256());
}

#[test]
fn a_policy_that_could_not_be_read_lets_nothing_happen() {
    assert_eq!(classified(&Policy::closed(), "where is my parcel?"), Some(HoldReason::LowConfidence));
    assert_eq!(reason(Policy::closed().decide("summary", note(), &ticket("hello"), None)), Some(HoldReason::Policy));
}

#[test]
fn a_sure_classification_of_a_plain_ticket_is_applied_and_an_unsure_or_silent_one_held() {
    let policy = Policy::default();
    let decide = |confidence| policy.decide("classification", route(confidence), &ticket("where is my parcel?"), None);
    assert!(matches!(decide(Some(0.8)), Decision::Apply(_)));
    for confidence in [Some(0.79), None, Some(f64::NAN)] {
        assert_eq!(reason(decide(confidence)), Some(HoldReason::LowConfidence), "{confidence:?}");
    }
}

#[test]
fn detection_is_a_union_of_words_labels_and_what_the_model_named() {
    let policy = Policy::default();
    let plain = Proposal::default();
    let named = |topic: &str| Proposal { topics: vec![topic.into()], ..Proposal::default() };
    assert_eq!(topics(&policy, &named("Legal"), &ticket("hello")), ["legal"]);
    assert_eq!(topics(&policy, &named("refund_request"), &ticket("hello")), ["refund"]);
    let tagged = Ticket { tags: vec!["billing dispute".into()], queue: "refund".into(), ..ticket("hello") };
    assert_eq!(topics(&policy, &plain, &tagged), ["refund", "billing_dispute"]);
    let said = Proposal { reply: Some("We refunded you".into()), ..Proposal::default() };
    assert_eq!(topics(&policy, &said, &ticket("hello")), ["refund"]);
    let intent = Route { intent: Some("account_access".into()), ..Route::default() };
    let intent = Proposal { effects: vec![Effect::Route(intent)], ..Proposal::default() };
    assert_eq!(topics(&policy, &intent, &ticket("hello")), ["account_access"]);
    let written = Proposal { effects: vec![Effect::Note { text: "my lawyer".into() }], ..Proposal::default() };
    assert_eq!(topics(&policy, &written, &ticket("hello")), ["legal"]);
    assert_eq!(topics(&policy, &named("parcel"), &ticket("hello")), [] as [&str; 0]);
}

#[test]
fn an_agent_s_words_count_and_our_own_notes_do_not() {
    let mut told = ticket("Your refund is on its way");
    told.messages[0].author = Author::Agent;
    assert_eq!(topics(&Policy::default(), &Proposal::default(), &told), ["refund"]);
    told.messages[0].author = Author::Frontdesk;
    assert!(topics(&Policy::default(), &Proposal::default(), &told).is_empty());
}

#[test]
fn matches_name_rule_place_and_span_and_never_the_words() {
    let policy = Policy::default();
    let mut told = ticket("Ü: I want a REFUND. Refund me!");
    told.tags.push("refund".into());
    let held = hold(policy.decide("draft_reply", reply(None), &told, None));
    let place = |at: usize| (held.matches[at].rule.as_str(), held.matches[at].place.as_str(), held.matches[at].span);
    assert_eq!(place(0), ("topic/refund", "message/1", Some((13, 19))));
    assert_eq!(held.matches.len(), 3, "two words, and the tag once: {:?}", held.matches);
    let found = policy.detect(None, &reply(None), Some(&told));
    assert_eq!(Found::words(&found.hits()[0], &reply(None), Some(&told)).as_deref(), Some("REFUND"));
    assert!(!serde_json::to_string(&held.matches).unwrap().contains("REFUND"));
}

#[test]
fn a_sensitive_classification_is_held_and_a_sensitive_note_is_marked() {
    assert_eq!(classified(&Policy::default(), "refund please"), Some(HoldReason::Sensitive));
    let Decision::Apply(effects) = Policy::default().decide("summary", note(), &ticket("refund please"), None) else {
        panic!("not applied")
    };
    assert_eq!(effects, [Effect::Note { text: "Summary\n\nSensitive: refund".into() }]);
    let strict = of("[[topic]]\nid = \"refund\"\nowner = \"billing\"\nnotes = \"review\"");
    let held = strict.decide("summary", note(), &ticket("refund please"), None);
    assert_eq!(reason(held), Some(HoldReason::Sensitive));
}

#[test]
fn a_reply_is_never_more_than_a_draft_and_not_even_that_when_sensitive() {
    let decide = |text| hold(Policy::default().decide("draft_reply", reply(Some(0.9)), &ticket(text), Some(3)));
    let (plain, sensitive) = (decide("hello"), decide("refund"));
    assert_eq!((plain.reason, plain.meanwhile.len()), (HoldReason::CustomerFacing, 1));
    assert_eq!(plain.proposed(), [("reply".to_owned(), "Dear customer".to_owned())]);
    assert_eq!((sensitive.reason, sensitive.meanwhile.len()), (HoldReason::Sensitive, 0));
    assert_eq!((plain.undo_ms, sensitive.undo_ms), (5_000, 10_000));
}

#[test]
fn work_made_from_an_older_revision_is_held_whatever_it_is() {
    let decide = |seen| Policy::default().decide("classification", route(Some(0.9)), &ticket("hello"), Some(seen));
    assert_eq!((reason(decide(2)), reason(decide(3))), (Some(HoldReason::ChangedSince), None));
}

#[test]
fn a_reply_is_published_only_when_the_workflow_may_and_nothing_speaks_against_it() {
    let policy = of("[workflow.draft_reply]\npublish = \"auto\"");
    let open = ticket("where is my parcel?");
    let Decision::Apply(effects) = policy.decide("draft_reply", reply(Some(0.8)), &open, Some(3)) else {
        panic!("not published")
    };
    let permissions: Vec<_> = effects.iter().map(|effect| effect.permission().expect("leave").word()).collect();
    assert_eq!(permissions, ["policy/2"]);
    let against = [
        ("a topic", reply(Some(0.9)), ticket("refund"), Some(3), HoldReason::Sensitive),
        ("no confidence", reply(None), open.clone(), Some(3), HoldReason::CustomerFacing),
        ("little confidence", reply(Some(0.79)), open.clone(), Some(3), HoldReason::LowConfidence),
        ("a changed ticket", reply(Some(0.9)), open.clone(), Some(2), HoldReason::ChangedSince),
        ("an unknown revision", reply(Some(0.9)), open.clone(), None, HoldReason::CustomerFacing),
        (
            "a closed ticket",
            reply(Some(0.9)),
            Ticket { status: "closed".into(), ..open.clone() },
            Some(3),
            HoldReason::CustomerFacing,
        ),
    ];
    for (what, proposal, ticket, seen, why) in against {
        assert_eq!(reason(policy.decide("draft_reply", proposal, &ticket, seen)), Some(why), "{what}");
    }
    let other = policy.decide("summary", reply(Some(0.9)), &open, Some(3));
    assert_eq!(reason(other), Some(HoldReason::CustomerFacing), "another workflow");
    let off = of("kill_switch = true\n[workflow.draft_reply]\npublish = \"auto\"");
    let held = hold(off.decide("draft_reply", reply(Some(0.9)), &open, Some(3)));
    assert_eq!((held.reason, held.meanwhile.len()), (HoldReason::Policy, 0), "the kill switch");
}

#[test]
fn with_the_kill_switch_on_nothing_happens_and_no_draft_is_put_on_a_ticket() {
    let policy = of("kill_switch = true");
    for (workflow, proposal) in [("summary", note()), ("classification", route(Some(0.9)))] {
        assert_eq!(reason(policy.decide(workflow, proposal, &ticket("hello"), None)), Some(HoldReason::Policy));
    }
    assert!(hold(policy.decide("draft_reply", reply(None), &ticket("hello"), None)).meanwhile.is_empty());
}

#[test]
fn a_workflow_does_what_its_section_says_and_the_defaults_speak_for_the_rest() {
    let policy = of("[workflow.summary]\naction = \"review\"\nundo = \"1m\"\nresubmit = false");
    let held = hold(policy.decide("summary", note(), &ticket("hello"), None));
    assert_eq!((held.reason, held.undo_ms), (HoldReason::Policy, 60_000));
    assert!(!policy.resubmits("summary") && policy.resubmits("classification"));
    assert_eq!(reason(policy.decide("call_notes", note(), &ticket("hello"), None)), Some(HoldReason::Policy));
    let open = of("[defaults]\naction = \"apply\"\nmin_confidence = 0.95\n[workflow.call_notes]\nmin_confidence = 0.5");
    assert_eq!(reason(open.decide("call_notes", note(), &ticket("hello"), None)), None);
    assert_eq!(classified(&open, "hello"), Some(HoldReason::LowConfidence));
    assert_eq!(reason(open.decide("call_notes", route(Some(0.5)), &ticket("hello"), None)), None);
    let closed = of("[defaults]\naction = \"review\"\n[workflow.summary]\naction = \"apply\"");
    assert_eq!(
        classified(&closed, "hello"),
        Some(HoldReason::Policy),
        "a default of one's own speaks for all but the named"
    );
    assert_eq!(reason(closed.decide("summary", note(), &ticket("hello"), None)), None);
}

#[test]
fn the_strictest_of_all_that_match_counts() {
    let policy = of("[[topic]]\nid = \"refund\"\nowner = \"billing\"\nfloor = \"two_person\"\nundo = \"30s\"\n\
         [[topic]]\nid = \"self_harm\"\nowner = \"leads\"\nfloor = \"block\"\nmatch = { en = [\"hurt myself\"] }\n\
         [[rule]]\nid = \"vip\"\nwhen = { tag = \"vip\" }\naction = \"review_by_role\"\nreviewers = [\"lead\", \"lena\"]\n");
    let two = hold(policy.decide("draft_reply", reply(None), &ticket("refund"), None));
    assert_eq!((two.approvals_needed, two.undo_ms), (2, 30_000));
    assert_eq!(two.reviewers, ["agent"]);
    let vip = |text| Ticket { tags: vec!["VIP".into()], ..ticket(text) };
    let by_role = hold(policy.decide("summary", note(), &vip("hello"), None));
    assert_eq!((by_role.reason, by_role.approvals_needed), (HoldReason::Policy, 1));
    assert_eq!(by_role.reviewers, ["lead", "lena"]);
    let both = hold(policy.decide("draft_reply", reply(None), &vip("refund"), None));
    assert_eq!((both.reviewers, both.approvals_needed), (vec!["lead".to_owned(), "lena".to_owned()], 2));
    for proposal in [note(), reply(Some(0.9)), route(Some(0.9))] {
        let output = proposal.output.clone();
        let blocked = hold(policy.decide("summary", proposal, &ticket("I will hurt myself"), Some(2)));
        assert!(blocked.effects.is_empty() && blocked.reply.is_none() && blocked.meanwhile.is_empty());
        assert_eq!((blocked.output, blocked.reviewers), (Some(output), vec!["lead".to_owned()]));
    }
}

#[test]
fn a_rule_needs_all_of_its_conditions_and_its_words() {
    let policy = of(
        "[[rule]]\nid = \"person\"\nwhen = { match = [\"real person\", \"speak to a human\"], workflow = \"classification\" }\naction = \"review\"\n\
         [[rule]]\nid = \"soon\"\nwhen = { priority = [\"urgent\", \"high\"], queue = \"press\" }\naction = \"review\"\n",
    );
    assert_eq!(classified(&policy, "I want a real person"), Some(HoldReason::Policy));
    assert_eq!(reason(policy.decide("summary", note(), &ticket("I want a real person"), None)), None);
    assert_eq!(classified(&policy, "hello"), None);
    let press = Ticket { queue: "Press".into(), ..ticket("hello") };
    let held = hold(policy.decide("classification", route(Some(0.9)), &press, None));
    assert_eq!(held.detail, "rule/soon");
    assert_eq!(reason(policy.decide("summary", note(), &press, None)), None, "the priority is normal");
}

#[test]
fn what_the_model_must_not_say_is_blocked_and_the_customer_may_say_it() {
    let policy = of("[[topic]]\nid = \"promises\"\nowner = \"leads\"\noutput_must_not = [\"we guarantee\"]");
    assert_eq!(classified(&policy, "do we guarantee it?"), None);
    let said = Proposal { reply: Some("We guarantee it".into()), ..Proposal::default() };
    let held = hold(policy.decide("draft_reply", said, &ticket("hello"), None));
    assert!(held.reply.is_none() && held.reviewers == ["lead"]);
}

#[test]
fn a_search_that_could_not_be_made_counts_as_sensitive() {
    let policy = Policy::default();
    let long = ticket(&"x ".repeat(2_200_000));
    for (workflow, proposal) in [("summary", note()), ("classification", route(Some(0.9)))] {
        assert_eq!(reason(policy.decide(workflow, proposal, &long, None)), Some(HoldReason::Sensitive));
    }
    for label in ["unknown", "Sensitive", "", "a\nb", &"x".repeat(65)] {
        let named = Proposal { topics: vec![label.into()], ..route(Some(0.9)) };
        let decision = policy.decide("classification", named, &ticket("hello"), None);
        assert_eq!(reason(decision), Some(HoldReason::Sensitive), "{label:?}");
    }
    let many = Proposal { topics: (0..51).map(|n| format!("t{n}")).collect(), ..route(Some(0.9)) };
    assert_eq!(reason(policy.decide("classification", many, &ticket("hello"), None)), Some(HoldReason::Sensitive));
    let strict = of("[defaults]\non_unknown = \"block\"");
    assert!(hold(strict.decide("summary", note(), &long, None)).effects.is_empty());
}

#[test]
fn what_cannot_be_used_is_held_with_the_topics_of_its_ticket() {
    let policy = of("[[topic]]\nid = \"legal\"\nowner = \"law\"\nfloor = \"two_person\"\nreviewers = [\"lead\"]");
    let held = policy.hold(HoldReason::Incomplete, "cut off".into(), Some("summary"), Some(&ticket("my lawyer")), None);
    assert_eq!((held.topics, held.approvals_needed, held.output), (vec!["legal".to_owned()], 2, None));
    assert_eq!(held.reviewers, ["lead"]);
}

#[test]
fn a_team_s_file_adds_to_the_built_in_one_and_takes_nothing_away() {
    let policy = of("[[topic]]\nid = \"refund\"\nowner = \"cash desk\"\nmatch = { en = [\"dosh back\"] }");
    assert_eq!(classified(&policy, "dosh back"), Some(HoldReason::Sensitive));
    assert_eq!(classified(&policy, "a refund"), Some(HoldReason::Sensitive));
    assert_eq!(policy.owner("refund"), Some("cash desk"));
    assert_eq!((policy.version(), policy.rules().len()), (2, Policy::default().rules().len()));
}

#[test]
fn a_topic_s_notes_follow_its_floor_unless_it_says_otherwise() {
    let notes = |more: &str| {
        let policy = of(&format!("[[topic]]\nid = \"parcels\"\nowner = \"o\"\n{more}"));
        policy.rules().iter().find(|rule| rule.id == "topic/parcels").map(|rule| rule.notes)
    };
    assert_eq!(notes(""), Some(Notes::Apply));
    assert_eq!(notes("floor = \"two_person\""), Some(Notes::Review));
    assert_eq!(notes("floor = \"two_person\"\nnotes = \"apply\""), Some(Notes::Apply));
}

#[test]
fn the_example_of_the_page_loads_and_the_page_names_every_key_of_it() {
    let page = include_str!("../../../../docs/policy.md");
    let example = page.split("```toml policy\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let policy = Policy::read(example, &[]).expect("loads");
    let outcome = |id: &str| policy.rules().iter().find(|rule| rule.id == id).map(|rule| rule.outcome);
    assert_eq!((policy.version(), outcome("topic/legal")), (2, Some(Outcome::TwoPerson)));
    assert_eq!(outcome("topic/self_harm"), Some(Outcome::Block));
    for outcome in [Outcome::Apply, Outcome::Review, Outcome::ReviewByRole, Outcome::TwoPerson, Outcome::Block] {
        assert!(page.contains(&format!("| `{}` |", outcome.word())), "{}", outcome.word());
    }
}
