//! What each topic must find, and what it must leave alone.

use serde::Deserialize;

use super::{BUILT_IN, Policy, ticket};
use crate::domain::decision::Proposal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Examples {
    must_hit: Vec<String>,
    must_not_hit: Vec<String>,
}

const TOPICS: [(&str, &str); 6] = [
    ("refund", include_str!("../examples/refund.toml")),
    ("billing_dispute", include_str!("../examples/billing_dispute.toml")),
    ("account_access", include_str!("../examples/account_access.toml")),
    ("healthcare", include_str!("../examples/healthcare.toml")),
    ("legal", include_str!("../examples/legal.toml")),
    ("compliance", include_str!("../examples/compliance.toml")),
];

fn topics_in(policy: &Policy, text: &str) -> Vec<String> {
    policy.detect(None, &Proposal::default(), Some(&ticket(text))).topics()
}

#[test]
fn each_topic_finds_its_examples_and_leaves_the_others_alone() {
    let policy = Policy::built_in().expect("loads");
    let mut wrong = Vec::new();
    for (topic, text) in TOPICS {
        let examples: Examples = toml::from_str(text).expect(topic);
        assert!(examples.must_hit.len() >= 15 && examples.must_not_hit.len() >= 15, "{topic} needs more examples");
        for text in &examples.must_hit {
            if !topics_in(&policy, text).contains(&topic.to_owned()) {
                wrong.push(format!("{topic} misses: {text}"));
            }
        }
        for text in &examples.must_not_hit {
            let found = topics_in(&policy, text);
            if !found.is_empty() {
                wrong.push(format!("{found:?} found in: {text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_topic_has_examples_and_is_found_by_its_own_name() {
    let policy = Policy::built_in().expect("loads");
    let topics: Vec<&str> = policy.rules().iter().filter_map(|rule| rule.topic.as_deref()).collect();
    assert_eq!(topics, TOPICS.map(|(topic, _)| topic), "of {} bytes", BUILT_IN.len());
    for topic in topics {
        let text = format!("a question about {}", topic.replace('_', " "));
        assert!(topics_in(&policy, &text).contains(&topic.to_owned()), "{topic}");
    }
}
