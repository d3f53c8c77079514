//! Labels and change-sets: what is counted, what is compared, what is no accident.

use proptest::prelude::*;
use serde_json::json;

use super::{ChangeSet, labels};
use crate::domain::batch::{Counts, Rules, WaitsFor};
use crate::domain::effect::{Effect, Priority, Route};
use crate::domain::permission::Permission;

fn route(priority: Priority, queue: &str, tags: &[&str]) -> Effect {
    Effect::Route(Route {
        intent: Some("shipping".to_owned()),
        priority: Some(priority),
        queue: Some(queue.to_owned()),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        confidence: Some(0.9),
    })
}

fn fields(value: serde_json::Value) -> Effect {
    Effect::Fields { fields: value.as_object().expect("an object").clone() }
}

fn counts(pairs: &[(&str, i64)]) -> Counts {
    pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// So many usable lines, of which some are urgent and some are held.
fn run(lines: i64, urgent: i64, held: i64) -> Counts {
    counts(&[
        ("lines", lines),
        ("result/ok", lines - held),
        ("result/held", held),
        ("set/priority/urgent", urgent),
        ("set/priority/normal", lines - urgent),
    ])
}

#[test]
fn each_change_of_a_line_has_a_name_to_be_counted_under() {
    let note = Effect::Note { text: "words".to_owned() };
    let draft = Effect::Draft { text: "words".to_owned() };
    let file = Effect::Attachment { name: "call.txt".to_owned(), text: "words".to_owned() };
    let start = Effect::Start { workflow: "quality_check".to_owned() };
    let reply = Effect::Reply(Permission::of_person("lena", "rev_1").reply("words".to_owned()));
    let found = labels(&[route(Priority::High, "logistics", &["vip", "vip"]), note, draft, file, start, reply]);
    let expected = [
        "set/attachment",
        "set/draft",
        "set/intent/shipping",
        "set/note",
        "set/priority/high",
        "set/queue/logistics",
        "set/reply",
        "set/start/quality_check",
        "set/tag/vip",
    ];
    assert_eq!(found, expected);
}

#[test]
fn fields_are_counted_by_name_and_by_value_only_where_the_value_is_one_of_a_few() {
    let found = labels(&[fields(json!({
        "vip": true, "mood": "angry", "name": "Ada Lovelace", "order": "ord-4711", "mail": "ada@example.org",
        "amount": 12, "a/b": null, "": 1, "long": "x".repeat(33),
    }))]);
    let expected = [
        "set/field/a_b",
        "set/field/amount",
        "set/field/long",
        "set/field/mail",
        "set/field/mood",
        "set/field/mood/angry",
        "set/field/name",
        "set/field/order",
        "set/field/vip",
        "set/field/vip/true",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_score_is_counted_in_steps_of_ten() {
    let steps = [(0.0, "0-9"), (9.9, "0-9"), (10.0, "10-19"), (64.0, "60-69"), (90.0, "90-100"), (100.0, "90-100")];
    for (score, step) in steps.into_iter().chain([(101.0, "(other)"), (-1.0, "(other)"), (1e300, "(other)")]) {
        assert_eq!(labels(&[fields(json!({"score": score}))]), [format!("set/score/{step}")], "{score}");
    }
    assert_eq!(labels(&[fields(json!({"quality_score": 64}))]), ["set/score/60-69"]);
    assert_eq!(labels(&[fields(json!({"underscore": 64}))]), ["set/field/underscore"]);
    assert_eq!(labels(&[fields(json!({"score": "high"}))]), ["set/field/score", "set/field/score/high"]);
}

#[test]
fn a_models_words_are_cut_and_hold_nothing_that_a_screen_would_act_on() {
    let hostile = "\u{1b}[2Ja\u{202e}b\u{200b}\r\n\tc\u{0}  d ";
    assert_eq!(labels(&[route(Priority::Low, hostile, &[" ", "\u{7}"])])[2], "set/queue/[2Jab c d");
    let long = labels(&[Effect::Start { workflow: "ä".repeat(500) }]);
    assert_eq!(long[0].chars().count(), "set/start/".len() + 48);
    let many: serde_json::Map<_, _> = (0..5_000).map(|n| (format!("f{n}"), json!(1))).collect();
    assert_eq!(labels(&[Effect::Fields { fields: many }]).len(), 100);
}

#[test]
fn a_change_set_counts_by_field_and_value_and_says_it_in_words() {
    let mut now = run(412, 170, 12);
    now.extend(counts(&[
        ("set/queue/billing", 412),
        ("set/note", 1),
        ("set/field/vip", 3),
        ("set/field/vip/true", 2),
        ("set/tag/a/b", 5),
        ("set/start/quality_check", 4),
        ("reason/sensitive", 10),
        ("reason/low_confidence", 2),
        ("result/failed", 2),
        ("result/missing", 1),
        ("reason/api_error_400", 2),
        ("reason/in_no_file", 1),
        ("fate/applied", 4),
    ]));
    let set = ChangeSet::of(&now, &run(1_000, 30, 40));
    let names: Vec<&str> = set.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["field vip", "note", "priority", "queue", "start", "tag"]);
    assert_eq!((set.ok, set.held, set.lost, set.lines_before), (400, 12, 3, 1_000));
    let urgent = &set.fields[2].values[1];
    assert_eq!((urgent.value.as_deref(), urgent.count, urgent.before), (Some("urgent"), 170, Some(0.03)));
    assert!((urgent.share - 170.0 / 412.0).abs() < 1e-9 && urgent.has_moved);
    assert_eq!(
        set.in_words(),
        [
            "3 tickets get field vip",
            "2 tickets get field vip true",
            "1 ticket get note",
            "242 tickets get priority normal",
            "170 tickets get priority urgent",
            "412 tickets to queue billing",
            "4 tickets start quality_check",
            "5 tickets get tag a/b",
            "12 tickets to review: 10 sensitive, 2 low_confidence",
            "3 lines without a result: 2 api_error_400, 1 in_no_file",
            "queue billing 0 % → 100 %",
            "priority normal 97 % → 59 %",
            "priority urgent 3 % → 41 %",
        ]
    );
}

#[test]
fn the_first_run_has_nothing_to_be_compared_with() {
    let set = ChangeSet::of(&run(40, 40, 0), &Counts::new());
    assert_eq!((set.held_share.before, set.fields[0].values[0].before), (None, None));
    assert_eq!((set.moved(0.0), set.waits_for(&Rules::default())), (vec![], None));
    let empty = ChangeSet::of(&Counts::new(), &Counts::new());
    assert_eq!((empty.waits_for(&Rules::default()), empty.in_words()), (None, vec![]));
}

#[test]
fn more_lines_than_may_be_changed_without_a_look_wait_for_their_size() {
    let rules = Rules::default();
    assert_eq!(ChangeSet::of(&run(50, 0, 10), &Counts::new()).waits_for(&rules), None);
    assert_eq!(ChangeSet::of(&run(51, 0, 51), &Counts::new()).waits_for(&rules), Some(WaitsFor::Size));
    let nothing = Rules { preview_over: 0, ..rules };
    assert_eq!(ChangeSet::of(&run(1, 0, 0), &Counts::new()).waits_for(&nothing), Some(WaitsFor::Size));
}

#[test]
fn a_share_that_moved_far_and_not_by_chance_is_drift() {
    let waits = |now: &Counts, before: &Counts| ChangeSet::of(now, before).waits_for(&Rules::default());
    let before = run(500, 15, 25);
    assert_eq!(waits(&run(50, 20, 3), &before), Some(WaitsFor::Drift), "urgent 3 % → 40 %");
    assert_eq!(waits(&run(50, 5, 3), &before), None, "urgent 3 % → 10 % is not far");
    assert_eq!(waits(&run(50, 1, 30), &before), Some(WaitsFor::Drift), "held 5 % → 60 %");
    assert_eq!(waits(&run(19, 19, 0), &before), None, "too few lines");
    assert_eq!(waits(&run(50, 50, 0), &run(49, 0, 0)), None, "too few before");
    assert_eq!(waits(&run(20, 12, 0), &run(50, 20, 0)), None, "40 % → 60 %, and it may be chance");
    let gone = counts(&[("result/ok", 50), ("set/priority/normal", 50)]);
    assert_eq!(waits(&gone, &run(500, 200, 0)), Some(WaitsFor::Drift), "urgent 40 % → 0 %");
}

fn any_effect() -> impl Strategy<Value = Effect> {
    let word = "[a-z/\\PC\u{1b}\u{202e}]{0,60}";
    prop_oneof![
        (0..4usize, word, prop::collection::vec(word, 0..3)).prop_map(|(priority, queue, tags)| {
            let priority = [Priority::Low, Priority::Normal, Priority::High, Priority::Urgent][priority];
            route(priority, &queue, &tags.iter().map(String::as_str).collect::<Vec<_>>())
        }),
        (word, any::<bool>(), any::<f64>()).prop_map(|(name, yes, score)| fields(json!({name: yes, "score": score}))),
        word.prop_map(|workflow| Effect::Start { workflow }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn labels_are_always_short_shown_as_they_are_and_counted_once(effects in prop::collection::vec(any_effect(), 0..5)) {
        let found = labels(&effects);
        let once: std::collections::BTreeSet<&String> = found.iter().collect();
        prop_assert_eq!(once.len(), found.len());
        for label in &found {
            prop_assert!(label.starts_with("set/") && label.chars().count() <= 100, "{label:?}");
            prop_assert!(!label.chars().any(char::is_control), "{label:?}");
            prop_assert!(label.splitn(3, '/').all(|part| !part.is_empty()), "{label:?}");
        }
    }

    #[test]
    fn the_shares_of_a_field_with_one_value_a_line_add_up_to_one(priorities in prop::collection::vec(0..4usize, 1..80)) {
        let mut now = counts(&[("result/ok", i64::try_from(priorities.len()).unwrap())]);
        for priority in priorities {
            let priority = [Priority::Low, Priority::Normal, Priority::High, Priority::Urgent][priority];
            for label in labels(&[route(priority, "q", &[])]) {
                *now.entry(label).or_default() += 1;
            }
        }
        let set = ChangeSet::of(&now, &now);
        for field in &set.fields {
            let sum: f64 = field.values.iter().map(|value| value.share).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9, "{}: {sum}", field.name);
        }
        prop_assert!(set.moved(0.0).is_empty(), "nothing moves from itself");
    }

    #[test]
    fn whatever_is_counted_shares_stay_shares_and_nothing_panics(
        now in prop::collection::btree_map("(result/(ok|held)|set/[a-c](/[a-c])?|reason/[a-z]{1,3})", any::<i64>(), 0..12),
        before in prop::collection::btree_map("(result/(ok|held)|set/[a-c](/[a-c])?)", any::<i64>(), 0..12),
        drift in -1.0..2.0f64,
    ) {
        let set = ChangeSet::of(&now, &before);
        for share in set.fields.iter().flat_map(|field| &field.values).chain([&set.held_share]) {
            prop_assert!((0.0..=1.0).contains(&share.share) && share.count >= 0);
            prop_assert!(share.before.is_none_or(|before| (0.0..=1.0).contains(&before)));
        }
        let _ = (set.in_words(), set.waits_for(&Rules { drift, ..Rules::default() }));
    }
}
