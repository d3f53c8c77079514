//! The policy, from a file or the built-in one, to decisions.

use proptest::prelude::*;

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
    assert_eq!(held.matches.len(), 4, "two words, the tag by its name and by its word: {:?}", held.matches);
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
    assert_eq!((plain.undo_ms, sensitive.undo_ms), (5_000, 20_000));
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
fn a_policy_that_is_wrong_or_weaker_is_refused_with_the_line_and_a_hint() {
    let topic = "[[topic]]\nid = \"x\"\n";
    let cases = [
        ("", None, "version is missing"),
        ("version = 0", Some(1), "1 or more"),
        ("version = 2\nkil_switch = true", Some(2), "unknown field `kil_switch`"),
        ("version = 2\n[defaults]\nmin_confidence = 1.1", Some(3), "between 0 and 1"),
        ("version = 2\n[defaults]\nmin_confidence = nan", Some(3), "between 0 and 1"),
        ("version = 2\n[defaults]\non_unknown = \"apply\"", Some(3), "weaken"),
        ("version = 2\n[defaults]\nundo = \"soon\"", Some(3), "a number and a unit"),
        ("version = 2\n[workflow.summry]\naction = \"apply\"", Some(2), "there is no such workflow; there are"),
        ("version = 2\n[workflow.summary]\naction = \"aply\"", Some(3), "unknown variant `aply`"),
        ("version = 2\n[workflow.summary]\nmin_confidence = -1", Some(3), "between 0 and 1"),
        ("version = 2\n[workflow.summary]\n\npublsh = \"auto\"", Some(4), "unknown field"),
        (
            "version = 2\n[workflow.draft_reply]\naction = \"review\"\npublish = \"auto\"",
            Some(2),
            "take one of them out",
        ),
        ("version = 2\n[[topic]]\nid = \"refund\"\nowner = \"b\"\nfloor = \"apply\"", Some(5), "weaken the floor"),
        ("version = 2\n[[rule]]\nid = \"r\"\nwhen = { tag = \"x\" }\naction = \"apply\"", Some(5), "weaken the floor"),
        ("version = 2\n[[rule]]\nid = \"r\"\nwhen = {}\naction = \"review\"", Some(2), "`when` is empty"),
        (
            "version = 2\n[[rule]]\nid = \"r\"\nwhen = { tag = [] }\naction = \"review\"",
            Some(2),
            "the list for tag is empty",
        ),
        (
            "version = 2\n[[rule]]\nid = \"r\"\nwhen = { brand = \"x\" }\naction = \"review\"",
            Some(4),
            "unknown field `brand`",
        ),
        (
            "version = 2\n[[rule]]\nid = \"r\"\nwhen = { priority = \"soon\" }\naction = \"review\"",
            Some(2),
            "there is no priority",
        ),
        (
            "version = 2\n[[rule]]\nid = \"r\"\nwhen = { workflow = \"nope\" }\naction = \"review\"",
            Some(2),
            "there is no workflow",
        ),
        ("version = 2\n[[rule]]\nid = \"r\"\nwhen = { match = [\"\"] }\naction = \"review\"", Some(2), "holds no word"),
        ("version = 2\n[broken", Some(2), ""),
        (&format!("version = 2\n{topic}"), Some(2), "has no owner"),
        (&format!("version = 2\n{topic}owner = \" \""), Some(2), "has no owner"),
        (&format!("version = 2\n{topic}owner = \"o\"\n{topic}owner = \"o\""), Some(5), "two topics"),
        (&format!("version = 2\n{topic}owner = \"o\"\nfloor = \"strict\""), Some(5), "unknown variant"),
        (&format!("version = 2\n{topic}owner = \"o\"\nmatch = {{ en = [\"a\", \"\"] }}"), Some(5), "holds no word"),
        (&format!("version = 2\n{topic}owner = \"o\"\nmatch = {{ en = [\"re*\"] }}"), Some(5), "at least 3 letters"),
        (
            &format!("version = 2\n{topic}owner = \"o\"\nfloor = \"block\"\nnotes = \"apply\""),
            Some(2),
            "holds notes too",
        ),
        (
            &format!("version = 2\n{topic}owner = \"o\"\nfloor = \"block\"\nreviewers = [\"agent\"]"),
            Some(2),
            "for leads",
        ),
        (&format!("version = 2\n{topic}owner = \"o\"\nreviewers = [\"\"]"), Some(2), "empty name"),
        (&format!("version = 2\n{topic}owner = \"o\"\ntags = [\"-\"]"), Some(2), "no label"),
        ("version = 2\n[[topic]]\nid = \"A b\"\nowner = \"o\"", Some(2), "small letters"),
    ];
    for (text, line, hint) in cases {
        let error = Policy::read(text, &[]).expect_err(text);
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.text.contains(hint), "{text}: {error}");
    }
}

#[test]
fn a_team_s_file_adds_to_the_built_in_one_and_takes_nothing_away() {
    let policy = of("[[topic]]\nid = \"refund\"\nowner = \"cash desk\"\nmatch = { en = [\"dosh back\"] }");
    assert_eq!(classified(&policy, "dosh back"), Some(HoldReason::Sensitive));
    assert_eq!(classified(&policy, "a refund"), Some(HoldReason::Sensitive));
    assert_eq!(policy.owner("refund"), Some("cash desk"));
    assert_eq!((policy.version(), policy.rules().len()), (2, Policy::default().rules().len()));
}

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
                let person = crate::domain::person::Person { name: "lena".into(), role };
                person.is_among(&hold.reviewers)
            };
            crate::domain::person::Role::ALL.into_iter().all(|role| {
                // Nobody but an admin is let in where the lists have nobody in common.
                role == crate::domain::person::Role::Admin || !may(one, role) || may(other, role)
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
