//! What operators do over the API and the command line.

use frontdesk::app::Roles;
use frontdesk_simulator::Access;
use serde_json::{Value, json};

use crate::desk::{Desk, has_keys, is_problem, is_time};
use crate::process::Place;
use crate::wire::{Message, until};

/// A desk on which `count` deliveries have failed for good.
async fn desk_with_failed(count: usize) -> Desk {
    let desk = Desk::with("[retry]\nfirst = \"1ms\"\nmax = \"2ms\"\nattempts = 1\n", Roles::ALL).await;
    desk.simulator.set_access(Access::Down);
    for _ in 0..count {
        let message = Message::summary_of("T-1");
        desk.accept(&message).await;
        desk.settled(&message.id, &["failed_final"]).await;
    }
    desk
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_jobs_are_retried_or_discarded_by_leads_after_a_look() {
    let desk = desk_with_failed(3).await;
    let bulk = |more: Value| {
        let mut body = json!({"action": "retry", "filter": {"cause": "openai_server"}, "dry_run": true});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    is_problem(&desk.post("agent", "/jobs/bulk", bulk(json!({}))).await, 403);
    for wrong in [
        json!({"filter": {}}),
        json!({"filter": {"cause": "no_such_cause"}}),
        json!({"filter": {"sinze": "2h"}}),
        json!({"filter": {"since": "soon"}}),
        json!({"filter": {"status": "queued"}}),
        json!({"action": "burn"}),
        json!({"action": "discard"}),
        json!({"action": "discard", "reason": " "}),
    ] {
        is_problem(&desk.post("lead", "/jobs/bulk", bulk(wrong)).await, 400);
    }
    let would = desk.post("lead", "/jobs/bulk", bulk(json!({}))).await.json();
    assert_eq!((&would["matched"], &would["done"]), (&json!(3), &json!(0)));
    assert_eq!(would["by_cause"], json!({"openai_server": 3}));
    assert_eq!(would["sample"].as_array().unwrap().len(), 3);
    let one = desk.post(
        "lead",
        "/jobs/bulk",
        bulk(json!({"action": "discard", "reason": "old", "limit": 1, "dry_run": false})),
    );
    assert_eq!(one.await.json()["done"], 1);
    desk.simulator.set_access(Access::Open);
    desk.ticket("T-1").await;
    let rest = desk.post("lead", "/jobs/bulk", bulk(json!({"filter": {"all": true}, "dry_run": false}))).await.json();
    assert_eq!((&rest["matched"], &rest["done"]), (&json!(2), &json!(2)));
    until("the jobs to be applied", async || {
        let states = desk.get("/stats").await["states"].clone();
        (states["processed"]["count"] == 2).then_some(())
    })
    .await;
    assert!(desk.get("/stats").await["alerts"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_made_and_ended_by_leads_and_stops_new_work() {
    let desk = Desk::start().await;
    desk.ticket("T-1").await;
    let pause = |kind: &str, name: &str, reason: &str| json!({"kind": kind, "name": name, "reason": reason});
    is_problem(&desk.post("agent", "/pauses", pause("workflow", "summary", "bad")).await, 403);
    for (kind, name, reason) in [
        ("workflow", "dance", "bad"),
        ("dependency", "postgres", "bad"),
        ("team", "a", "bad"),
        ("workflow", "summary", " "),
    ] {
        is_problem(&desk.post("lead", "/pauses", pause(kind, name, reason)).await, 400);
    }
    let made = desk.post("lead", "/pauses", pause("workflow", "summary", "bad prompt")).await;
    assert_eq!(made.status, 201);
    has_keys(&made.json(), &["kind", "name", "actor", "reason", "since"]);
    is_time(&made.json()["since"]);
    is_problem(&desk.post("lead", "/pauses", pause("workflow", "summary", "again")).await, 409);
    assert_eq!(desk.get("/pauses").await["items"][0]["actor"], "lead");
    assert!(desk.metrics().await.contains("frontdesk_pauses 1"));
    let refused = desk.post("agent", "/submissions", json!({"workflow": "summary", "ticket_id": "T-1"})).await;
    is_problem(&refused, 409);
    assert!(refused.text().contains("bad prompt"));
    is_problem(&desk.call("agent", "DELETE", "/pauses/workflow/summary", "").await, 403);
    assert_eq!(desk.call("lead", "DELETE", "/pauses/workflow/summary", "").await.status, 204);
    is_problem(&desk.call("lead", "DELETE", "/pauses/workflow/summary", "").await, 404);
    is_problem(&desk.call("lead", "DELETE", "/pauses/dance/summary", "").await, 404);
    is_problem(&desk.call("agent", "GET", "/audit-trail", "").await, 403);
    let trail = desk.call("lead", "GET", "/audit-trail?subject=workflow/summary&actor=lead", "").await.json();
    let actions: Vec<&Value> = trail["items"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["resume", "pause"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_are_worked_again_by_leads() {
    let desk = Desk::start().await;
    desk.ticket("T-1").await;
    let message = Message::summary_of("T-1");
    desk.accept(&message).await;
    desk.settled(&message.id, &["processed"]).await;
    let ticket = desk.get("/tickets/T-1").await;
    is_problem(&desk.post("agent", "/deliveries/replay", json!({"since": "1h"})).await, 403);
    is_problem(&desk.post("lead", "/deliveries/replay", json!({"until": "1h"})).await, 400);
    let usual = desk.post("lead", "/deliveries/replay", json!({"since": "1h", "until": "1ms"})).await.json();
    assert_eq!((&usual["matched"], &usual["left"]), (&json!(0), &json!(1)), "what was applied is left alone");
    let all = json!({"since": "1h", "all": true, "dry_run": true});
    assert_eq!(desk.post("lead", "/deliveries/replay", all).await.json()["done"], 0);
    let done = desk.post("lead", "/deliveries/replay", json!({"since": "1h", "all": true})).await.json();
    assert_eq!((&done["matched"], &done["again"]), (&json!(1), &json!(1)));
    until("the replay to end", async || {
        (desk.count("SELECT count(*) FROM jobs WHERE outcome = 'ignored' AND key LIKE 'replay/%'") == 1).then_some(())
    })
    .await;
    assert_eq!(desk.get("/tickets/T-1").await, ticket);
}

#[test]
fn the_command_line_does_the_same_and_names_who_did_it() {
    let place = Place::new().with("USER", "mira");
    place.run(&["migrate"]).succeeds();
    place.run(&["jobs", "retry"]).fails(1, &["--all"]);
    place.run(&["jobs", "retry", "job_1", "--all"]).fails(1, &["not both"]);
    place.run(&["jobs", "retry", "--waiting"]).fails(1, &["--all"]);
    place.run(&["jobs", "retry", "--cause", "none"]).fails(2, &["openai_auth"]);
    place.run(&["jobs", "retry", "--since", "soon"]).fails(1, &["2h"]);
    place.run(&["jobs", "discard", "--all"]).fails(2, &["--reason"]);
    assert_eq!(place.json(&["jobs", "retry", "--all", "--dry-run"])["matched"], 0);
    assert_eq!(place.json(&["jobs", "discard", "--since", "2h", "--reason", "old"])["done"], 0);
    place.run(&["deliveries", "replay"]).fails(2, &["--since"]);
    assert_eq!(place.json(&["deliveries", "replay", "--since", "1d"])["matched"], 0);
    place.run(&["pause", "workflow", "dance", "--reason", "x"]).fails(1, &["there are:", "summary"]);
    place.run(&["pause", "dependency", "dance", "--reason", "x"]).fails(1, &["openai and helpdesk"]);
    place.run(&["pause", "workflow", "summary"]).fails(2, &["--reason"]);
    let paused = place.json(&["pause", "workflow", "summary", "--reason", "bad prompt"]);
    assert_eq!((&paused["items"][0]["actor"], &paused["items"][0]["reason"]), (&json!("mira"), &json!("bad prompt")));
    place.run(&["pause", "workflow", "summary", "--reason", "x"]).fails(1, &["paused already"]);
    assert_eq!(place.json(&["resume", "workflow", "summary"])["items"], json!([]));
    place.run(&["resume", "workflow", "summary"]).fails(1, &["not paused"]);
    let trail = place.json(&["trail", "list", "--actor", "mira"]);
    let actions: Vec<&Value> = trail["items"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["resume", "pause", "deliveries.replay"]);
    assert_eq!(place.json(&["trail", "list", "--subject", "workflow/summary"])["items"].as_array().unwrap().len(), 2);
}
