//! Tries the policy on made-up outputs, as a drill.

use super::super::finding::{Finding, ok, problem, warning};
use super::super::seen::Settings;
use crate::domain::decision::{Decision, Proposal};
use crate::domain::policy::Policy;
use crate::domain::ticket::{Author, Message, Ticket, Visibility};

/// The floor of the contract with those who run this: none of these goes out by itself.
const TOPICS: [&str; 6] = ["refund", "billing_dispute", "account_access", "healthcare", "legal", "compliance"];

/// A reply about each sensitive topic and one about none, by every workflow
/// that the policy names. Each is as good as a reply can be: nothing but the
/// policy keeps it back.
pub(super) fn sensitive_outputs_are_held(settings: &Settings, _: i64) -> Finding {
    let policy = match &settings.policy {
        Ok(policy) => policy,
        Err(why) => return problem(why, "mend the policy or the workflows; `frontdesk policy check` says more"),
    };
    let mut workflows: Vec<&str> = policy.workflows().keys().map(String::as_str).collect();
    // One that nobody named: what the defaults say.
    workflows.push("doctor");
    let slips = |topic: &&str| workflows.iter().any(|workflow| !is_held(policy, workflow, topic));
    let slipped: Vec<&str> = TOPICS.into_iter().filter(slips).collect();
    if !slipped.is_empty() {
        return problem(
            format!("a reply about {} would not wait for a person", slipped.join(", ")),
            "mend the policy, and look at what went out since it changed",
        );
    }
    let version = policy.version();
    let publishing: Vec<&str> = workflows.into_iter().filter(|workflow| !is_held(policy, workflow, "")).collect();
    if !publishing.is_empty() {
        return warning(
            format!(
                "policy {version}: {} may send replies to customers by itself; sensitive ones wait",
                publishing.join(", ")
            ),
            "be sure that this is meant; publish = \"never\" ends it, kill_switch = true stops all of it at once",
        );
    }
    let switch =
        if policy.kill_switch() { "; the kill switch is on, so nothing at all happens without a person" } else { "" };
    ok(format!(
        "policy {version}: tried, and replies about {} wait for a person, as does every other{switch}",
        TOPICS.join(", ")
    ))
}

fn is_held(policy: &Policy, workflow: &str, topic: &str) -> bool {
    let ticket = ticket();
    let proposal = Proposal {
        effects: Vec::new(),
        reply: Some("We will see to it.".to_owned()),
        confidence: Some(1.0),
        topics: if topic.is_empty() { Vec::new() } else { vec![topic.to_owned()] },
        output: "We will see to it.".to_owned(),
    };
    matches!(policy.decide(workflow, proposal, &ticket, Some(ticket.revision)), Decision::Hold(_))
}

fn ticket() -> Ticket {
    Ticket {
        id: "T-1".to_owned(),
        subject: "Lamp".to_owned(),
        status: "open".to_owned(),
        queue: "support".to_owned(),
        priority: "normal".to_owned(),
        tags: Vec::new(),
        revision: 1,
        changed_at_ms: None,
        messages: vec![Message {
            author: Author::Customer,
            visibility: Visibility::Public,
            body: "It is dark.".to_owned(),
        }],
    }
}
