//! Work through the API: from a submission to the note, and what went wrong on the way.

use frontdesk::app::Roles;
use frontdesk_simulator::{Access, Fault, Scripted};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::desk::{Desk, has_keys, is_problem, is_time};
use crate::support::database::TestDatabase;
use crate::wire::{Message, until};

const DELIVERY: [&str; 14] = [
    "delivery_id",
    "event_id",
    "event_type",
    "resource_id",
    "project",
    "status",
    "received_at",
    "attempt_count",
    "ticket_id",
    "workflow",
    "last_error",
    "job_id",
    "outcome",
    "duplicate_of",
];
const REVIEW: [&str; 16] = [
    "id",
    "version",
    "state",
    "reason",
    "detail",
    "topics",
    "ticket_id",
    "resource_id",
    "workflow",
    "proposed",
    "output",
    "claimed_by",
    "claimed_until",
    "created_at",
    "decided_by",
    "decided_at",
];
const WHY: [&str; 12] = [
    "id",
    "ticket_id",
    "submission_id",
    "resource_id",
    "event_id",
    "delivery_ids",
    "job_id",
    "answers",
    "status",
    "outcome",
    "last_error",
    "owner",
];

async fn submit(desk: &Desk, workflow: &str, ticket: &str) -> Value {
    let answer = desk.post("agent", "/submissions", json!({"workflow": workflow, "ticket_id": ticket})).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    has_keys(&answer.json(), &["submission_id", "resource_id"]);
    answer.json()
}

/// The `why` of an id, once its work has an end.
async fn ended(desk: &Desk, id: &str) -> Value {
    until("the work to end", async || {
        let why = desk.get(&format!("/why/{id}")).await;
        matches!(why["status"].as_str(), Some("processed" | "failed_final")).then_some(why)
    })
    .await
}

fn script(desk: &Desk, ticket: &str, fault: Fault) {
    let entry = Scripted { key: "ticket_id".to_owned(), value: ticket.to_owned(), faults: vec![fault] };
    desk.simulator.set_script(vec![entry]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_that_lends_connections_for_one_transaction_all_work_ends_as_it_should() {
    let database = TestDatabase::behind_a_pooler();
    let desk = Desk::on(database, "[worker]\npoll = \"20ms\"\n", Roles::ALL).await;
    let tickets: Vec<String> = (1..=12).map(|n| format!("T-{n}")).collect();
    for ticket in &tickets {
        desk.ticket(ticket).await;
    }
    let made: Vec<Value> = join_all(tickets.iter().map(|ticket| submit(&desk, "summary", ticket))).await;
    for submission in made {
        let why = ended(&desk, submission["resource_id"].as_str().unwrap()).await;
        assert_eq!(why["outcome"], "applied", "{why}");
    }
    assert_eq!(desk.count("SELECT count(*) FROM messages WHERE author = 'frontdesk'"), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_ends_as_one_internal_note_and_why_knows_it_by_every_id() {
    let desk = Desk::start().await;
    desk.ticket("T-456").await;
    let made = submit(&desk, "summary", "T-456").await;
    let resource = made["resource_id"].as_str().unwrap();
    let why = ended(&desk, resource).await;
    has_keys(&why, &WHY);
    assert_eq!(
        (&why["status"], &why["outcome"], &why["ticket_id"]),
        (&json!("processed"), &json!("applied"), &json!("T-456"))
    );
    assert_eq!(why["submission_id"], made["submission_id"]);
    assert_eq!(why["owner"], "nobody");
    assert!(why["next"].is_string());
    let answers = why["answers"].as_array().unwrap();
    assert!(answers.len() >= 6);
    for answer in answers {
        has_keys(answer, &["question", "answer", "at"]);
        if !answer["at"].is_null() {
            is_time(&answer["at"]);
        }
    }
    let ids = [
        why["event_id"].clone(),
        why["delivery_ids"][0].clone(),
        why["job_id"].clone(),
        made["submission_id"].clone(),
        json!("T-456"),
    ];
    for id in ids {
        let other = desk.get(&format!("/why/{}", id.as_str().unwrap())).await;
        assert_eq!((&other["job_id"], &other["answers"]), (&why["job_id"], &why["answers"]), "{id}");
    }
    let ticket = desk.get("/tickets/T-456").await;
    let note = &ticket["messages"][1];
    assert_eq!((&note["author"], &note["visibility"]), (&json!("frontdesk"), &json!("internal")));
    assert!(note["ref"].as_str().unwrap().starts_with("fd_"), "{note}");
    let delivery = desk.get(&format!("/deliveries/{}", why["delivery_ids"][0].as_str().unwrap())).await;
    has_keys(&delivery, &DELIVERY);
    assert_eq!((&delivery["ticket_id"], &delivery["workflow"]), (&json!("T-456"), &json!("summary")));
    assert_eq!((&delivery["attempt_count"], &delivery["last_error"]), (&json!(1), &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_of_a_second_delivery_is_that_of_the_job() {
    let desk = Desk::start().await;
    desk.ticket("T-1").await;
    let first = Message::summary_of("T-1");
    desk.accept(&first).await;
    let shown = desk.settled(&first.id, &["processed"]).await;
    assert_eq!((&shown["outcome"], &shown["ticket_id"]), (&json!("applied"), &json!("T-1")));
    let second = first.again();
    desk.accept(&second).await;
    let again = desk.get(&format!("/deliveries/{}", second.id)).await;
    assert_eq!(
        (&again["status"], &again["outcome"], &again["duplicate_of"]),
        (&json!("processed"), &json!("applied"), &json!(first.id))
    );
    let why = desk.get(&format!("/why/{}", second.id)).await;
    assert_eq!(why["delivery_ids"], json!([first.id, second.id]));
    assert_eq!(desk.count("SELECT count(*) FROM messages WHERE author = 'frontdesk'"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_waits_in_a_review_of_the_agreed_shape() {
    let desk = Desk::start().await;
    desk.ticket("T-1").await;
    let made = submit(&desk, "draft_reply", "T-1").await;
    let why = ended(&desk, made["resource_id"].as_str().unwrap()).await;
    assert_eq!((&why["outcome"], &why["owner"]), (&json!("held"), &json!("reviewer")));
    let open = desk.get("/reviews?state=open").await;
    let review = &open["items"][0];
    has_keys(review, &REVIEW);
    assert_eq!(
        (&review["state"], &review["reason"], &review["version"]),
        (&json!("open"), &json!("customer_facing"), &json!(1))
    );
    assert!(review["topics"].is_array() && review["proposed"][0]["text"].is_string(), "{review}");
    assert_eq!(review["proposed"][0]["slot"], "reply");
    is_time(&review["created_at"]);
    let id = review["id"].as_str().unwrap();
    let mut shown = desk.get(&format!("/reviews/{id}")).await;
    for more in ["can", "takes_text", "route", "moved_on"] {
        assert!(shown.as_object_mut().unwrap().remove(more).is_some(), "{more} is told of one review");
    }
    assert_eq!(&shown, review);
    assert_eq!(desk.get(&format!("/why/{id}")).await["job_id"], why["job_id"]);
    assert_eq!(desk.get("/reviews?state=approved").await["items"], json!([]));
    let ticket = desk.get("/tickets/T-1").await;
    has_keys(&ticket["drafts"][0], &["id", "body", "state", "ref"]);
    assert_eq!(ticket["messages"].as_array().unwrap().len(), 1, "nothing reaches the customer by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_cannot_be_started_says_why() {
    let desk = Desk::start().await;
    desk.ticket("T-1").await;
    let try_it = async |workflow: &str, ticket: &str| {
        desk.post("agent", "/submissions", json!({"workflow": workflow, "ticket_id": ticket})).await
    };
    is_problem(&try_it("summary", "T-9").await, 404);
    is_problem(&try_it("poetry", "T-1").await, 400);
    is_problem(&desk.post("agent", "/submissions", json!({"workflow": "summary"})).await, 400);
    is_problem(
        &desk.post("agent", "/submissions", json!({"workflow": "summary", "ticket_id": "T-1", "x": 1})).await,
        400,
    );
    for access in [Access::Unauthorized, Access::Forbidden, Access::Quota] {
        desk.simulator.set_access(access);
        is_problem(&try_it("summary", "T-1").await, 502);
    }
    desk.simulator.set_access(Access::Down);
    let unknown = try_it("summary", "T-1").await;
    assert!((500..600).contains(&unknown.status));
    is_problem(&unknown, unknown.status);
    desk.simulator.set_access(Access::Open);
    submit(&desk, "summary", "T-1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_two_500s_the_attempts_are_counted_and_the_error_is_named() {
    let desk = Desk::start().await;
    desk.ticket("T-1").await;
    script(&desk, "T-1", Fault::ServerError);
    let made = submit(&desk, "summary", "T-1").await;
    let why = ended(&desk, made["resource_id"].as_str().unwrap()).await;
    assert_eq!(why["outcome"], "applied");
    let delivery = desk.get(&format!("/deliveries/{}", why["delivery_ids"][0].as_str().unwrap())).await;
    assert_eq!(delivery["attempt_count"], 3);
    assert!(delivery["last_error"].as_str().unwrap().contains("500"), "{delivery}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_job_is_retried_by_a_lead_and_others_are_left_alone() {
    let desk = Desk::with("[retry]\nfirst = \"10ms\"\nattempts = 2\n", Roles::ALL).await;
    desk.ticket("T-1").await;
    desk.simulator.set_access(Access::Down);
    let message = Message::summary_of("T-1");
    desk.accept(&message).await;
    let failed = desk.settled(&message.id, &["failed_final"]).await;
    assert_eq!(failed["attempt_count"], 2);
    assert!(failed["last_error"].as_str().unwrap().contains("500"), "{failed}");
    let job = failed["job_id"].as_str().unwrap();
    desk.simulator.set_access(Access::Open);
    let answer = desk.post("lead", &format!("/jobs/{job}/retry"), json!({"reason": "it is up again"})).await;
    assert_eq!((answer.status, answer.json()["id"].clone()), (200, json!(job)));
    assert_eq!(desk.settled(&message.id, &["processed"]).await["outcome"], "applied");
    for action in ["retry", "discard"] {
        is_problem(&desk.post("lead", &format!("/jobs/{job}/{action}"), json!({"reason": "again"})).await, 409);
    }
    assert_eq!(desk.count("SELECT count(*) FROM messages WHERE author = 'frontdesk'"), 1);
}

#[tokio::test]
async fn a_retry_needs_no_body() {
    let desk = Desk::without_workers().await;
    desk.accept(&Message::summary_of("T-1")).await;
    for body in ["", "\n", "{}", "{\"reason\":null}"] {
        desk.database()
            .execute_batch("UPDATE jobs SET state = 'failed_final', error_cause = 'internal', claimable_at = NULL")
            .unwrap();
        let answer = desk.call("lead", "POST", "/jobs/job_1/retry", body).await;
        assert_eq!((answer.status, answer.json()["status"].clone()), (200, json!("queued")), "{body:?}");
    }
    is_problem(&desk.call("lead", "POST", "/jobs/job_1/retry", "{").await, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discard_closes_a_failed_job_for_good_with_its_reason() {
    let desk = Desk::start().await;
    let message = Message::of("response.completed", "resp_nowhere");
    desk.accept(&message).await;
    let failed = desk.settled(&message.id, &["failed_final"]).await;
    assert!(failed["last_error"].as_str().unwrap().starts_with("lost_to_retention"), "{failed}");
    assert!(desk.get("/stats").await["alerts"].as_array().unwrap().iter().any(|a| a["kind"] == "lost_to_retention"));
    let path = format!("/jobs/{}/discard", failed["job_id"].as_str().unwrap());
    for body in ["", "{}"] {
        let without = desk.call("lead", "POST", &path, body).await;
        is_problem(&without, 400);
        assert_eq!(without.json()["detail"], "a discard needs a reason");
    }
    let answer = desk.post("lead", &path, json!({"reason": "a test"})).await;
    assert_eq!(answer.status, 200);
    let job = answer.json();
    assert_eq!((&job["status"], &job["outcome"]), (&json!("failed_final"), &json!("discarded")));
    assert!(job["reason"].as_str().unwrap().contains("a test"));
    is_problem(&desk.post("lead", &path, json!({"reason": "a test"})).await, 409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_key_gives_nothing_up_and_work_goes_on_by_itself() {
    let desk = Desk::with(
        "[openai]\nprobe_first = \"50ms\"\nprobe_max = \"100ms\"\n[retry]\nfirst = \"10ms\"\nattempts = 2\n",
        Roles::ALL,
    )
    .await;
    desk.ticket("T-1").await;
    desk.simulator.set_access(Access::Unauthorized);
    let message = Message::summary_of("T-1");
    desk.accept(&message).await;
    until("some probes", async || (desk.simulator.count("GET", "/v1/responses") >= 4).then_some(())).await;
    let waiting = desk.settled(&message.id, &["failed_retryable"]).await;
    assert!(waiting["last_error"].as_str().unwrap().contains("401"), "{waiting}");
    desk.simulator.set_access(Access::Open);
    assert_eq!(desk.settled(&message.id, &["processed"]).await["outcome"], "applied");
}
