//! The policy, from a signed webhook to the ticket.

use std::sync::Arc;

use frontdesk::domain::policy::Policy;
use frontdesk::domain::ticket::{Author, Visibility};
use frontdesk::trial::Trial;
use serde_json::json;

use crate::fake_openai::completed;
use crate::harness::{START_MS, TestDesk, catalogue};

fn policy(more: &str) -> Policy {
    Policy::read(&format!("version = 2\n{more}"), &[]).unwrap()
}

const PUBLISH: &str = "[workflow.draft_reply]\npublish = \"auto\"\n";

/// A desk with a ticket and a reply to it that we asked for ourselves, worked.
async fn replied(policy: Policy, words: &str) -> TestDesk {
    let mut desk = TestDesk::open().await;
    desk.policy = policy;
    desk.ticket("T-1", words).await;
    desk.started("sub_1", "T-1", "draft_reply", "resp_1").await;
    let reply = json!({"reply": "It comes on Monday.", "confidence": 0.95, "topics": []}).to_string();
    desk.openai.put(&completed("resp_1", &reply, &json!({})));
    desk.tell("resp_1").await;
    desk.work().await;
    desk
}

#[tokio::test]
async fn what_the_policy_lets_out_is_on_the_ticket_once_with_its_leave() {
    let desk = replied(policy(PUBLISH), "Where is my parcel?").await;
    desk.deliver("wh_again", "evt_again", "response.completed", "resp_1").await;
    desk.work().await;
    let ticket = desk.read_ticket("T-1").await;
    let public: Vec<_> = ticket.messages.iter().filter(|message| message.author == Author::Frontdesk).collect();
    assert_eq!(public.len(), 1);
    assert_eq!((public[0].visibility, public[0].body.as_str()), (Visibility::Public, "It comes on Monday."));
    let leave: String =
        desk.sql().query_row("SELECT permission FROM effects WHERE slot = 'reply'", [], |row| row.get(0)).unwrap();
    assert_eq!(leave, "policy/2");
    let version: i64 =
        desk.sql().query_row("SELECT policy_version FROM jobs ORDER BY id LIMIT 1", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 2);
}

#[tokio::test]
async fn a_sensitive_ticket_or_the_kill_switch_keeps_it_in_and_leaves_no_draft() {
    for (policy, words, reason) in [
        (policy(PUBLISH), "I want my money back", "sensitive"),
        (policy(&format!("kill_switch = true\n{PUBLISH}")), "Where is my parcel?", "policy"),
    ] {
        let desk = replied(policy, words).await;
        let ticket = desk.read_ticket("T-1").await;
        assert_eq!((ticket.messages.len(), ticket.drafts.len()), (1, 0), "{reason}");
        assert_eq!(desk.reviews_of("resp_1").await[0].reason, reason);
    }
}

#[tokio::test]
async fn a_blocked_topic_offers_nothing_and_says_which_rule_hit_where() {
    let block =
        "[[topic]]\nid = \"self_harm\"\nowner = \"leads\"\nfloor = \"block\"\nmatch = { en = [\"hurt myself\"] }";
    let desk = replied(policy(block), "I could hurt myself").await;
    let review = desk.reviews_of("resp_1").await.remove(0);
    assert!(review.proposed.is_empty() && review.output.is_some());
    assert_eq!((review.reviewers, review.policy_version), (vec!["lead".to_owned()], Some(2)));
    let hit = review.matches.iter().find(|hit| hit.rule == "topic/self_harm").unwrap();
    assert_eq!((hit.place.as_str(), hit.span), ("message/1", Some((8, 19))));
}

#[tokio::test]
async fn a_replay_tells_what_another_policy_would_have_changed_and_changes_nothing() {
    let desk = replied(Policy::default(), "Where is my parcel?").await;
    desk.openai.put(&completed("resp_2", "A summary.", &json!({"ticket_id": "T-1", "workflow": "summary"})));
    desk.tell("resp_2").await;
    desk.work().await;
    // Written after the decisions: a replay must not see it.
    desk.clock.advance(1_000);
    let words = "I want a refund".to_owned();
    assert!(
        desk.store
            .add_message("T-1".to_owned(), Author::Customer, Visibility::Public, words, desk.now_ms())
            .await
            .unwrap()
    );
    let before = desk.read_ticket("T-1").await;

    let replay = async |policy: Policy| {
        let trial = Trial { policy: Arc::new(policy), workflows: catalogue() };
        trial.replay(&desk.store, START_MS, 100).await.unwrap()
    };
    let same = replay(Policy::default()).await;
    assert_eq!((same.looked_at, same.unchanged, same.skipped), (2, 2, 0));
    let open = replay(policy(PUBLISH)).await;
    assert_eq!((open.newly_automatic.len(), open.newly_held.len(), open.unchanged), (1, 0, 1));
    assert_eq!(
        (open.newly_automatic[0].now, open.newly_automatic[0].was.as_str()),
        ("publish", "held (customer_facing)")
    );
    let shut = replay(policy("kill_switch = true")).await;
    assert_eq!((shut.newly_automatic.len(), shut.newly_held.len(), shut.unchanged), (0, 1, 1));
    assert_eq!(shut.newly_held[0].workflow, "summary");
    assert_eq!(desk.read_ticket("T-1").await, before);
}
