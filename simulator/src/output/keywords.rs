//! What a ticket is about, by its words.

use super::text::mentions;

/// Topics and the word stems that tell of them, the weightiest first.
const TOPICS: [(&str, &[&str]); 14] = [
    ("legal", &["lawyer", "attorney", "legal", "lawsuit", "sue", "court"]),
    ("compliance", &["gdpr", "hipaa", "ccpa", "compliance", "data protection", "subject access"]),
    ("healthcare", &["medical", "patient", "doctor", "prescription", "diagnosis", "medication"]),
    ("refund", &["refund", "money back", "reimburs"]),
    ("billing_dispute", &["chargeback", "charged twice", "double charge", "overcharg", "dispute", "wrong amount"]),
    (
        "account_access",
        &["password", "log in", "login", "sign in", "locked", "2fa", "two-factor", "hacked", "account access"],
    ),
    ("cancellation", &["cancel", "unsubscribe", "terminate"]),
    ("shipping", &["shipping", "shipment", "deliver", "parcel", "package", "tracking", "courier"]),
    ("bug", &["bug", "crash", "error", "broken", "not work", "doesn't work", "fails", "freez", "slow"]),
    ("billing", &["billing", "invoice", "payment", "charge", "card", "subscription", "price", "paid"]),
    ("feature_request", &["feature", "would be great", "suggest", "could you add", "wish"]),
    ("how_to", &["how do", "how can", "how to", "where can", "where do"]),
    ("feedback", &["thank", "love", "great", "happy", "disappoint"]),
    ("account", &["account", "profile", "email address", "settings"]),
];

const URGENT: [&str; 10] = [
    "urgent",
    "asap",
    "immediately",
    "emergency",
    "outage",
    "production down",
    "hacked",
    "lawyer",
    "right now",
    "is down",
];
const HIGH: [&str; 11] = [
    "crash",
    "can't",
    "cannot",
    "locked",
    "charged twice",
    "angry",
    "unacceptable",
    "refund",
    "third time",
    "still waiting",
    "lost",
];
const LOW: [&str; 6] = ["feature", "suggest", "thank", "wonder", "curious", "no rush"];

/// The topics of a text, at most three.
pub(crate) fn topics(text: &str) -> Vec<&'static str> {
    let text = text.to_lowercase();
    let told = |stems: &[&str]| stems.iter().any(|stem| mentions(&text, stem));
    let found = TOPICS.iter().filter(|(_, stems)| told(stems));
    found.map(|(topic, _)| *topic).take(3).collect()
}

/// `urgent`, `high`, `low` or `normal`.
pub(crate) fn priority(text: &str) -> &'static str {
    let text = text.to_lowercase();
    let told = |stems: &[&str]| stems.iter().any(|stem| mentions(&text, stem));
    match () {
        () if told(&URGENT) => "urgent",
        () if told(&HIGH) => "high",
        () if told(&LOW) => "low",
        () => "normal",
    }
}

/// The one of the allowed values that comes nearest to one of the wanted.
pub(crate) fn nearest(allowed: &[&str], wanted: &[&str]) -> Option<String> {
    let same = |value: &&&str| wanted.iter().any(|topic| value.eq_ignore_ascii_case(topic));
    let alike = |value: &&&str| {
        let value = value.to_lowercase();
        let stem = |topic: &&str| topic.split('_').next().unwrap_or(topic).to_owned();
        wanted.iter().any(|topic| value.contains(&stem(topic)) || topic.contains(value.as_str()))
    };
    let vague = |value: &&&str| {
        let value = value.to_lowercase();
        ["other", "general", "unknown", "normal"].iter().any(|name| value.contains(name))
    };
    let found = allowed.iter().find(same).or_else(|| allowed.iter().find(alike)).or_else(|| allowed.iter().find(vague));
    found.map(|value| (*value).to_owned())
}

#[cfg(test)]
mod tests {
    use super::{nearest, priority, topics};

    #[test]
    fn words_tell_the_topic_and_the_priority() {
        assert_eq!(topics("I want a refund, I was charged twice"), ["refund", "billing_dispute", "billing"]);
        assert_eq!(topics("The app crashes and I forgot my password"), ["account_access", "bug"]);
        assert!(topics("Hello").is_empty());
        assert_eq!(priority("URGENT: all is lost"), "urgent");
        assert_eq!(priority("I cannot open it"), "high");
        assert_eq!(priority("Thanks for all"), "low");
        assert_eq!(priority("My lamp is blue"), "normal");
    }

    #[test]
    fn an_enum_gets_its_nearest_value() {
        let allowed = ["billing_question", "refund_request", "other"];
        assert_eq!(nearest(&allowed, &["refund"]).as_deref(), Some("refund_request"));
        assert_eq!(nearest(&allowed, &["billing_dispute"]).as_deref(), Some("billing_question"));
        assert_eq!(nearest(&allowed, &["shipping"]).as_deref(), Some("other"));
        assert_eq!(nearest(&["a", "b"], &["shipping"]), None);
    }
}
