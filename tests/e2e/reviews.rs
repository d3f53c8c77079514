//! Deciding reviews as the outside does: by the API and by the command line.

use serde_json::{Value, json};

use crate::desk::{Desk, has_keys, is_problem, is_time};
use crate::process::Place;
use crate::wire::until;

/// A draft that waits for a person.
async fn drafted(desk: &Desk, ticket: &str) -> Value {
    desk.ticket(ticket).await;
    let work = json!({"workflow": "draft_reply", "ticket_id": ticket});
    assert_eq!(desk.post("agent", "/submissions", work).await.status, 202);
    until("a review", async || {
        let list = desk.get(&format!("/reviews?state=open&ticket={ticket}")).await;
        list["items"].as_array().unwrap().first().cloned()
    })
    .await
}

fn path(review: &Value, action: &str) -> String {
    format!("/reviews/{}/{action}", review["id"].as_str().unwrap())
}

async fn act(desk: &Desk, role: &str, review: &Value, action: &str, body: Value) -> Value {
    let answer = desk.post(role, &path(review, action), body).await;
    assert_eq!(answer.status, 200, "{action}: {}", answer.text());
    answer.json()
}

async fn sent(desk: &Desk, ticket: &str) -> Vec<Value> {
    let messages = desk.get(&format!("/tickets/{ticket}")).await["messages"].clone();
    let by_agent = |message: &&Value| message["author"] == "agent" && message["visibility"] == "public";
    messages.as_array().unwrap().iter().filter(by_agent).cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_approvals_at_once_one_is_taken_and_the_reply_is_sent_once() {
    let desk = Desk::start().await;
    let review = drafted(&desk, "T-1").await;
    assert_eq!((&review["state"], &review["reason"]), (&json!("open"), &json!("customer_facing")));
    assert_eq!(review["ticket"]["messages"][0]["body"], "It is dark.");
    let approve = path(&review, "approve");
    let body = json!({"version": review["version"], "text": "Here is a new lamp."});
    let answers = futures_util::future::join_all((0..10).map(|_| desk.post("agent", &approve, body.clone()))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409, 409, 409]);
    for refused in answers.iter().filter(|answer| answer.status == 409) {
        is_problem(refused, 409);
    }
    let job = until("the reply to be sent", async || sent(&desk, "T-1").await.first().cloned()).await;
    assert_eq!(job["body"], "Here is a new lamp.");
    assert!(job["ref"].as_str().unwrap().starts_with("fd_"));
    assert_eq!(sent(&desk, "T-1").await.len(), 1);
    let after = desk.get(&format!("/reviews/{}", review["id"].as_str().unwrap())).await;
    assert_eq!((&after["state"], &after["decided_by"]), (&json!("approved"), &json!("agent")));
    is_time(&after["decided_at"]);
    let feedback = &desk.get("/feedback").await["items"][0];
    has_keys(feedback, &["workflow", "prompt_version", "kept", "edited", "rejected", "mean_distance", "reasons"]);
    assert_eq!(feedback["edited"], 1);
    assert_eq!(desk.get("/tickets/T-1").await["drafts"][0]["state"], "sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_seen_kept_refused_to_others_and_released() {
    let desk = Desk::start().await;
    let review = drafted(&desk, "T-1").await;
    let claimed = act(&desk, "agent", &review, "claim", json!({"version": 1})).await;
    assert_eq!(
        (&claimed["state"], &claimed["claimed_by"], &claimed["version"]),
        (&json!("claimed"), &json!("agent"), &json!(2))
    );
    is_time(&claimed["claimed_until"]);
    let kept = act(&desk, "agent", &review, "heartbeat", json!({})).await;
    assert_eq!(kept["version"], 2, "keeping a claim is no action");
    is_problem(&desk.post("lead", &path(&review, "heartbeat"), json!({})).await, 409);
    is_problem(&desk.post("lead", &path(&review, "approve"), json!({"version": 2})).await, 409);
    is_problem(&desk.post("agent", &path(&review, "claim"), json!({"version": 1})).await, 409);
    let released = act(&desk, "agent", &review, "release", json!({"version": 2})).await;
    assert_eq!((&released["state"], &released["claimed_by"]), (&json!("open"), &json!(null)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_can_be_taken_back_and_escalation_is_for_leads() {
    let desk = Desk::start().await;
    let review = drafted(&desk, "T-1").await;
    let approved = act(&desk, "agent", &review, "approve", json!({"version": 1})).await;
    is_time(&approved["undo_until"]);
    let again = act(&desk, "agent", &review, "undo", json!({"version": 2})).await;
    assert_eq!(again["state"], "claimed");
    let up = act(&desk, "agent", &review, "escalate", json!({"version": 3, "reason": "over my limit"})).await;
    assert_eq!(
        (&up["state"], &up["escalated_by"], &up["reviewers"]),
        (&json!("open"), &json!("agent"), &json!(["lead"]))
    );
    is_problem(&desk.post("agent", &path(&review, "reject"), json!({"version": 4, "reason": "tone"})).await, 403);
    let rejected = act(&desk, "lead", &review, "reject", json!({"version": 4, "reason": "Wrong facts"})).await;
    assert_eq!((&rejected["state"], &rejected["decision_reason"]), (&json!("rejected"), &json!("wrong_facts")));
    assert_eq!(desk.get("/tickets/T-1").await["drafts"][0]["state"], "rejected");
    assert!(sent(&desk, "T-1").await.is_empty());
    assert_eq!(desk.count("SELECT count(*) FROM audit_trail WHERE actor IN ('agent','lead')"), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_followed_is_refused_with_what_to_do() {
    let desk = Desk::start().await;
    let review = drafted(&desk, "T-1").await;
    let cases = [
        ("approve", json!({}), 400),
        ("approve", json!({"version": "one"}), 400),
        ("approve", json!({"version": 1, "text": "  "}), 400),
        ("approve", json!({"version": 1, "else": 1}), 400),
        ("approve", json!({"version": 7}), 409),
        ("reject", json!({"version": 1}), 400),
        ("release", json!({"version": 1}), 409),
        ("undo", json!({"version": 1}), 409),
    ];
    for (action, body, status) in cases {
        is_problem(&desk.post("agent", &path(&review, action), body.clone()).await, status);
    }
    is_problem(&desk.post("agent", "/reviews/rev_none/approve", json!({"version": 1})).await, 404);
    is_problem(&desk.call("nobody", "POST", &path(&review, "approve"), "{\"version\":1}").await, 401);
    assert_eq!(desk.get(&format!("/reviews/{}", review["id"].as_str().unwrap())).await["version"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_who_writes_again_makes_the_draft_stale() {
    let desk = Desk::start().await;
    let review = drafted(&desk, "T-1").await;
    let more = json!({"author": "customer", "body": "Hello? It is still dark."});
    assert_eq!(desk.post("agent", "/tickets/T-1/messages", more).await.status, 201);
    let stale = desk.get(&format!("/reviews/{}", review["id"].as_str().unwrap())).await;
    assert_eq!((&stale["state"], &stale["stale_reason"]), (&json!("stale"), &json!("the customer wrote again")));
    is_problem(&desk.post("agent", &path(&review, "approve"), json!({"version": stale["version"]})).await, 409);
    assert_eq!(desk.get("/tickets/T-1").await["drafts"][0]["state"], "stale");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_finds_nothing_on_a_desk_that_works() {
    let desk = Desk::start().await;
    drafted(&desk, "T-1").await;
    let audit = desk.get("/audit").await;
    assert_eq!((&audit["ok"], &audit["items"]), (&json!(true), &json!([])), "{audit}");
    has_keys(&audit["checked"], &["submissions", "deliveries", "jobs", "reviews"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_does_all_that_the_api_does() {
    let desk = Desk::start().await;
    let place = Place::new().with("DATABASE_URL", &desk.database_url()).with("USER", "lena");
    let review = drafted(&desk, "T-1").await;
    let id = review["id"].as_str().unwrap();
    let run = |args: &[&str]| place.json(&[&["reviews"], args].concat());
    assert_eq!(run(&["list", "--state", "open", "--ticket", "T-1"])["items"][0]["id"], id);
    assert_eq!(run(&["list", "--reason", "refused"])["items"], json!([]));
    assert_eq!(run(&["claim", id])["claimed_by"], "lena");
    assert_eq!(run(&["release", id])["state"], "open");
    assert_eq!(run(&["approve", id, "--text", "Here you are."])["text"], "Here you are.");
    assert_eq!(run(&["undo", id])["state"], "claimed");
    let version = run(&["show", id])["version"].as_i64().unwrap();
    place.run(&["reviews", "approve", id, "--version", "1"]).fails(1, &["changed since", &version.to_string()]);
    assert_eq!(run(&["reject", id, "--reason", "tone"])["decision_reason"], "tone");
    place.run(&["reviews", "approve", id]).fails(1, &["rejected"]);
    place.run(&["reviews", "approve", "rev_none"]).fails(1, &["no review", "reviews list"]);
    place.run(&["reviews", "reject", id]).fails(2, &["--reason"]);
    assert_eq!(run(&["stats"])["items"][0]["rejected"], 1);
    assert_eq!(place.json(&["audit"])["ok"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_names_who_looks_after_the_topic_of_what_waits() {
    let desk = Desk::start().await;
    let body =
        json!({"id": "T-9", "subject": "Chair", "messages": [{"author": "customer", "body": "I want a refund."}]});
    assert_eq!(desk.post("agent", "/tickets", body).await.status, 201);
    let work = json!({"workflow": "draft_reply", "ticket_id": "T-9"});
    assert_eq!(desk.post("agent", "/submissions", work).await.status, 202);
    let why = until("a review", async || {
        let why = desk.get("/why/T-9").await;
        (!why["review_id"].is_null()).then_some(why)
    })
    .await;
    assert_eq!(why["topics"], json!([{"topic": "refund", "owner": "billing"}]));
    assert_eq!(why["owner"], "reviewer");
    let place = Place::new().with("DATABASE_URL", &desk.database_url());
    let said = place.run(&["why", "T-9"]).succeeds().out;
    assert!(said.contains("topic refund: billing"), "{said}");
}
