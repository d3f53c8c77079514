//! What a policy file may not say.

use crate::domain::policy::Policy;

/// A file, the line that is told, and words of the message.
type Case = (&'static str, Option<usize>, &'static str);

const SETTINGS: [Case; 13] = [
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
    ("version = 2\n[workflow.draft_reply]\naction = \"review\"\npublish = \"auto\"", Some(2), "take one of them out"),
    ("version = 2\n[broken", Some(2), ""),
];

const TOPICS: [Case; 12] = [
    ("version = 2\n[[topic]]\nid = \"refund\"\nowner = \"b\"\nfloor = \"apply\"", Some(5), "weaken the floor"),
    ("version = 2\n[[topic]]\nid = \"x\"\n", Some(2), "has no owner"),
    ("version = 2\n[[topic]]\nid = \"x\"\nowner = \" \"", Some(2), "has no owner"),
    ("version = 2\n[[topic]]\nid = \"x\"\nowner = \"o\"\n[[topic]]\nid = \"x\"\nowner = \"o\"", Some(5), "two topics"),
    ("version = 2\n[[topic]]\nid = \"x\"\nowner = \"o\"\nfloor = \"strict\"", Some(5), "unknown variant"),
    ("version = 2\n[[topic]]\nid = \"x\"\nowner = \"o\"\nmatch = { en = [\"a\", \"\"] }", Some(5), "holds no word"),
    ("version = 2\n[[topic]]\nid = \"x\"\nowner = \"o\"\nmatch = { en = [\"re*\"] }", Some(5), "at least 3 letters"),
    (
        "version = 2\n[[topic]]\nid = \"x\"\nowner = \"o\"\nfloor = \"block\"\nnotes = \"apply\"",
        Some(2),
        "holds notes too",
    ),
    (
        "version = 2\n[[topic]]\nid = \"x\"\nowner = \"o\"\nfloor = \"block\"\nreviewers = [\"agent\"]",
        Some(2),
        "for leads",
    ),
    ("version = 2\n[[topic]]\nid = \"x\"\nowner = \"o\"\nreviewers = [\"\"]", Some(2), "empty name"),
    ("version = 2\n[[topic]]\nid = \"x\"\nowner = \"o\"\ntags = [\"-\"]", Some(2), "no label"),
    ("version = 2\n[[topic]]\nid = \"A b\"\nowner = \"o\"", Some(2), "small letters"),
];

const RULES: [Case; 7] = [
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
];

#[test]
fn a_policy_that_is_wrong_or_weaker_is_refused_with_the_line_and_a_hint() {
    for (text, line, hint) in SETTINGS.into_iter().chain(TOPICS).chain(RULES) {
        let error = Policy::read(text, &[]).expect_err(text);
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.text.contains(hint), "{text}: {error}");
    }
}
