//! OpenAI finishes work and no webhook ever arrives: with the real server, the
//! real command line and a simulator that loses every webhook.

use frontdesk_simulator::{Fault, Simulator};
use serde_json::json;

use crate::desk::{Desk, has_keys, is_problem, is_time};
use crate::process::Place;
use crate::wire::{ask, request, until};
use frontdesk::app::Roles;

const QUICK: &str = "[reconcile]\nafter = \"1s\"\nevery = \"200ms\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submitted_work_is_applied_though_every_webhook_is_lost() {
    let faults = vec![(Fault::Drop, 1.0)];
    let settings = frontdesk_simulator::Settings { work_ms: (1, 20), faults, ..Default::default() };
    let simulator = Simulator::start(settings).await.unwrap();
    let place = Place::new().with("OPENAI_BASE_URL", &simulator.base_url());
    place.write("frontdesk.toml", QUICK);
    let server = place.serve(&[]);
    simulator.set_webhook_url(Some(server.url()));
    let made = place.run(&["token", "create", "--name", "reader", "--role", "agent"]).succeeds();
    let bearer = format!("Bearer {}", made.out.trim());
    let ticket = json!({"id": "T-1", "subject": "Lamp", "messages": [{"author": "customer", "body": "It is dark."}]});
    let new = request("POST", "/api/v1/tickets", &[("authorization", &bearer)], ticket.to_string().as_bytes());
    assert_eq!(ask(server.addr, &new).await.unwrap().status, 201);

    let started = place.json(&["submit", "summary", "--ticket", "T-1"]);
    let id = started["submission_id"].as_str().unwrap();
    let ended = until("the submission to end", async || {
        let shown = place.json(&["submissions", "show", id]);
        (shown["state"] == "ended").then_some(shown)
    })
    .await;
    assert_eq!((&ended["found_by"], &ended["resource_id"]), (&json!("poll"), &started["resource_id"]));
    assert!(ended["polls"].as_i64().unwrap() >= 1 && ended["check_at"].is_null(), "{ended}");
    is_time(&ended["ended_at"]);
    let jobs = place.json(&["jobs", "list"]);
    assert_eq!(jobs["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&jobs["items"][0]["outcome"], &jobs["items"][0]["event_type"]),
        (&json!("applied"), &json!("response.polled"))
    );
    assert!(place.json(&["deliveries", "list"])["items"].as_array().unwrap().is_empty());
    let notes = request("GET", "/api/v1/tickets/T-1", &[("authorization", &bearer)], b"");
    assert_eq!(ask(server.addr, &notes).await.unwrap().json()["messages"].as_array().unwrap().len(), 2);

    let listed = place.json(&["submissions", "list", "--state", "ended", "--ticket", "T-1"]);
    let path = "/api/v1/submissions?state=ended&ticket=T-1";
    let api = request("GET", path, &[("authorization", &bearer)], b"");
    assert_eq!(listed, ask(server.addr, &api).await.unwrap().json());
    assert_eq!(listed["items"], json!([ended]));
    place.run(&["submissions", "forget", id, "--reason", "why not"]).fails(1, &[id]);
    place.run(&["submissions", "forget", "sub_nobodys", "--reason", "why not"]).fails(1, &["sub_nobodys"]);
    place.run(&["submissions", "list", "--state", "nonsense"]).fails(2, &["planned", "lost"]);
    assert_eq!(server.stop(), 0);
}

#[tokio::test]
async fn a_lead_closes_what_hangs_and_an_agent_may_not() {
    let desk = Desk::with("", Roles { worker: false, ..Roles::ALL }).await;
    desk.ticket("T-1").await;
    desk.simulator.set_webhook_url(None);
    let started = desk.post("agent", "/submissions", json!({"workflow": "summary", "ticket_id": "T-1"})).await.json();
    let path = format!("/submissions/{}", started["submission_id"].as_str().unwrap());
    let shown = desk.get(&path).await;
    has_keys(
        &shown,
        &[
            "id",
            "project",
            "ticket_id",
            "workflow",
            "prompt_version",
            "state",
            "resource_id",
            "created_at",
            "started_at",
            "ended_at",
            "deadline_at",
            "check_at",
            "polls",
            "found_by",
            "origin",
            "retry_of",
            "last_error",
            "actor",
        ],
    );
    assert_eq!(
        (&shown["state"], &shown["origin"], &shown["actor"]),
        (&json!("started"), &json!("person"), &json!("agent"))
    );
    let close = format!("{path}/close");
    is_problem(&desk.post("agent", &close, json!({"reason": "gone"})).await, 403);
    is_problem(&desk.post("lead", &close, json!({"reason": " "})).await, 400);
    is_problem(&desk.post("lead", &close, json!({"reason": "x".repeat(501)})).await, 400);
    is_problem(&desk.post("lead", &close, json!({"reason": "gone"})).await, 409);
    is_problem(&desk.post("lead", "/submissions/sub_nobodys/close", json!({"reason": "gone"})).await, 404);
    desk.database().execute("UPDATE submissions SET deadline_at = 1", []).unwrap();
    let closed = desk.post("lead", &close, json!({"reason": "gone"})).await;
    assert_eq!((closed.status, &closed.json()["state"]), (200, &json!("ended")));
    is_problem(&desk.post("lead", &close, json!({"reason": "gone"})).await, 409);
    assert_eq!(desk.get("/submissions?state=started").await["items"], json!([]));
    is_problem(&desk.call("agent", "GET", "/submissions?state=nonsense", "").await, 400);
    is_problem(&desk.call("agent", "GET", "/submissions/sub_nobodys", "").await, 404);
    assert_eq!(desk.get("/stats").await["found_first"], json!({}));
}
