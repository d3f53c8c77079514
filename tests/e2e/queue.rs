//! Clearing the queue of reviews: the next one, and many at once.

use frontdesk_simulator::{Fault, Scripted};
use serde_json::{Value, json};

use crate::desk::{Desk, has_keys, is_problem};
use crate::process::Place;
use crate::wire::until;

/// The review of what this workflow makes of a new ticket.
async fn waiting(desk: &Desk, workflow: &str, ticket: &str) -> Value {
    desk.ticket(ticket).await;
    let work = json!({"workflow": workflow, "ticket_id": ticket});
    assert_eq!(desk.post("agent", "/submissions", work).await.status, 202);
    until("a review", async || {
        let list = desk.get(&format!("/reviews?state=open&ticket={ticket}")).await;
        list["items"].as_array().unwrap().first().cloned()
    })
    .await
}

/// Classifications of these tickets that the model is not sure of.
async fn unsure(desk: &Desk, tickets: &[&str]) -> Vec<Value> {
    let faults = || vec![Fault::LowConfidence];
    let script = |ticket: &&str| Scripted { key: "ticket_id".into(), value: (*ticket).into(), faults: faults() };
    desk.simulator.set_script(tickets.iter().map(script).collect());
    let mut reviews = Vec::new();
    for ticket in tickets {
        reviews.push(waiting(desk, "classification", ticket).await);
    }
    for review in &reviews {
        assert_eq!((&review["reason"], &review["confidence"]), (&json!("low_confidence"), &json!(0.4)), "{review}");
    }
    reviews
}

fn items(reviews: &[&Value]) -> Value {
    reviews.iter().map(|review| json!({"id": review["id"], "version": review["version"]})).collect()
}

async fn bulk(desk: &Desk, body: Value) -> Value {
    let answer = desk.post("lead", "/reviews/bulk", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    has_keys(&answer.json(), &["done", "items", "refused", "effects"]);
    answer.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_people_who_ask_for_the_next_at_once_each_gets_another_and_then_nobody_any() {
    let desk = Desk::start().await;
    let mut ids = Vec::new();
    for ticket in ["T-1", "T-2"] {
        ids.push(waiting(&desk, "draft_reply", ticket).await["id"].clone());
    }
    assert_eq!(desk.post("agent", "/reviews/next", json!({"topic": "refund"})).await.status, 204);
    is_problem(&desk.post("agent", "/reviews/next", json!({"colour": "red"})).await, 400);
    is_problem(&desk.call("nobody", "POST", "/reviews/next", "").await, 401);
    let next = async |role| desk.call(role, "POST", "/reviews/next", "").await;
    let (first, second) = tokio::join!(next("agent"), next("lead"));
    let mut got = [first.json(), second.json()];
    assert_eq!((&got[0]["claimed_by"], &got[1]["claimed_by"]), (&json!("agent"), &json!("lead")));
    assert_eq!((&got[0]["can"]["approve"], &got[0]["can"]["release"]), (&json!(null), &json!(null)));
    got.sort_by_key(|review| ids.iter().position(|id| *id == review["id"]));
    assert_eq!([&got[0]["id"], &got[1]["id"]], [&ids[0], &ids[1]]);
    let none = next("admin").await;
    assert_eq!((none.status, none.text().as_str()), (204, ""));
    let waits = desk.get("/reviews?state=waiting&claimed_by=lead").await;
    assert_eq!(waits["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_caller_may_not_do_says_why_before_it_is_tried() {
    let desk = Desk::start().await;
    let review = waiting(&desk, "draft_reply", "T-1").await;
    let path = format!("/reviews/{}", review["id"].as_str().unwrap());
    let claimed = desk.post("agent", &format!("{path}/claim"), json!({"version": 1})).await.json();
    assert_eq!((&claimed["can"]["approve"], &claimed["moved_on"]), (&json!(null), &json!(null)));
    let seen = desk.call("lead", "GET", &path, "").await.json();
    assert!(seen["can"]["approve"].as_str().unwrap().contains("agent has it"), "{seen}");
    assert_eq!(seen["can"]["release"], json!(null), "a lead may");
    assert!(seen["can"]["undo"].is_string(), "{seen}");
    is_problem(&desk.post("lead", &format!("{path}/approve"), json!({"version": 2})).await, 409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_are_approved_at_once_but_for_those_that_somebody_must_read() {
    let desk = Desk::start().await;
    let unsure = unsure(&desk, &["T-1", "T-2", "T-3"]).await;
    let draft = waiting(&desk, "draft_reply", "T-4").await;
    let stale = json!({"id": unsure[2]["id"], "version": 7});
    let mut asked = items(&[&unsure[0], &unsure[1], &draft, &json!({"id": "rev_none", "version": 1})]);
    asked.as_array_mut().unwrap().push(stale);

    let dry = bulk(&desk, json!({"action": "approve", "items": asked, "dry_run": true})).await;
    assert_eq!(dry["done"], 2, "{dry}");
    assert_eq!(desk.count("SELECT count(*) FROM audit_trail WHERE action = 'review.approve'"), 0);
    let done = bulk(&desk, json!({"action": "approve", "items": asked})).await;
    for part in ["done", "refused", "effects"] {
        assert_eq!(done[part], dry[part], "what was done is what was foreseen");
    }
    let refused: Vec<_> = done["refused"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(refused, [draft["id"].clone(), json!("rev_none"), unsure[2]["id"].clone()]);
    for (at, why) in ["a customer would see it", "no such review", "changed since"].iter().enumerate() {
        assert!(done["refused"][at]["why"].as_str().unwrap().contains(why), "{done}");
    }
    let counted: i64 = done["effects"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(kind, _)| kind.starts_with("priority "))
        .map(|(_, count)| count.as_i64().unwrap())
        .sum();
    assert_eq!(counted, 2, "{done}");
    until("both to be carried out", async || {
        let applied = "SELECT count(*) FROM effects WHERE slot = 'route' AND state = 'applied'";
        (desk.count(applied) == 2).then_some(())
    })
    .await;
    assert_eq!(desk.count("SELECT count(*) FROM audit_trail WHERE action = 'review.approve' AND actor = 'lead'"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_are_rejected_with_a_reason_and_each_can_be_taken_back() {
    let desk = Desk::start().await;
    let drafts = [waiting(&desk, "draft_reply", "T-1").await, waiting(&desk, "draft_reply", "T-2").await];
    let asked = items(&[&drafts[0], &drafts[1]]);
    let done = bulk(&desk, json!({"action": "reject", "reason": "tone", "items": asked})).await;
    let decided =
        items(&[&json!({"id": drafts[0]["id"], "version": 2}), &json!({"id": drafts[1]["id"], "version": 2})]);
    assert_eq!(done, json!({"done": 2, "items": decided, "refused": [], "effects": {}}));
    let path = format!("/reviews/{}", drafts[0]["id"].as_str().unwrap());
    let rejected = desk.get(&path).await;
    assert_eq!((&rejected["state"], &rejected["decision_reason"]), (&json!("rejected"), &json!("tone")));
    assert_eq!(desk.post("lead", &format!("{path}/undo"), json!({"version": 2})).await.json()["state"], "claimed");
    let back = bulk(&desk, json!({"action": "undo", "items": done["items"]})).await;
    assert_eq!((&back["done"], &back["refused"][0]["id"]), (&json!(1), &drafts[0]["id"]), "one was taken back already");
    let other = desk.get(&format!("/reviews/{}", drafts[1]["id"].as_str().unwrap())).await;
    assert_eq!(other["state"], "claimed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_decision_that_cannot_be_followed_is_refused_whole() {
    let desk = Desk::without_workers().await;
    let one = || json!([{"id": "rev_1", "version": 1}]);
    let many: Value = (0..501).map(|n| json!({"id": format!("rev_{n}"), "version": 1})).collect();
    let cases = [
        json!({"action": "approve", "items": []}),
        json!({"action": "approve", "items": many}),
        json!({"action": "approve", "items": [{"id": "rev_1", "version": 1}, {"id": "rev_1", "version": 2}]}),
        json!({"action": "approve", "items": [{"id": "rev_1"}]}),
        json!({"action": "approve", "items": one(), "reason": "tone"}),
        json!({"action": "reject", "items": one()}),
        json!({"action": "reject", "items": one(), "reason": " "}),
        json!({"action": "undo", "items": one(), "reason": "tone"}),
        json!({"action": "claim", "items": one()}),
        json!({"action": "approve", "items": one(), "all": true}),
    ];
    for body in cases {
        is_problem(&desk.post("lead", "/reviews/bulk", body).await, 400);
    }
    is_problem(&desk.post("agent", "/reviews/bulk", json!({"action": "approve", "items": one()})).await, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_takes_the_next_and_decides_many() {
    let desk = Desk::start().await;
    let place = Place::new().with("DATABASE_URL", &desk.database_url()).with("USER", "lena");
    let unsure = unsure(&desk, &["T-1", "T-2"]).await;
    let ids: Vec<&str> = unsure.iter().map(|review| review["id"].as_str().unwrap()).collect();
    let run = |args: &[&str]| place.json(&[&["reviews"], args].concat());
    assert_eq!(run(&["next", "--reason", "sensitive"]), json!(null));
    assert_eq!(run(&["next", "--after", ids[0]])["id"], ids[1]);
    let first = run(&["next"]);
    assert_eq!((&first["id"], &first["claimed_by"]), (&json!(ids[0]), &json!("lena")));
    assert!(place.run(&["reviews", "next"]).succeeds().out.contains("nothing waits"));
    let old = format!("{}:1", ids[0]);
    let dry = run(&["bulk", "approve", &old, ids[1], "--dry-run"]);
    assert_eq!((&dry["done"], &dry["refused"][0]["id"]), (&json!(1), &json!(ids[0])));
    assert_eq!(run(&["bulk", "reject", ids[0], ids[1], "--reason", "not_needed"])["done"], 2);
    assert_eq!(run(&["bulk", "undo", ids[0], ids[1]])["done"], 2);
    place.run(&["reviews", "bulk", "reject", ids[0]]).fails(2, &["--reason"]);
    place.run(&["reviews", "bulk", "approve", "rev_1:x"]).fails(2, &["version"]);
    place.run(&["reviews", "bulk", "approve", "rev_1", "rev_1"]).fails(1, &["twice"]);
    place.run(&["reviews", "bulk", "approve", "rev_1", "--reason", "tone"]).fails(1, &["only a rejection"]);
    assert_eq!(run(&["claim", ids[0]])["state"], "claimed");
    assert_eq!(run(&["approve", ids[0], "--queue", "Billing", "--priority", "urgent"])["state"], "approved");
    place.run(&["reviews", "approve", ids[1], "--priority", "soon"]).fails(2, &["low, normal, high, urgent"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_classification_is_corrected_before_it_is_applied() {
    let desk = Desk::start().await;
    let review = unsure(&desk, &["T-1"]).await.remove(0);
    let path = format!("/reviews/{}", review["id"].as_str().unwrap());
    let shown = desk.get(&path).await;
    has_keys(&shown["route"], &["intent", "priority", "queue"]);
    let proposed = shown["route"]["intent"].as_str().unwrap().to_owned();
    for route in [
        json!({"intent": ""}),
        json!({"intent": "two\nlines"}),
        json!({"priority": "soon"}),
        json!({"tags": []}),
        json!([]),
    ] {
        is_problem(&desk.post("agent", &format!("{path}/approve"), json!({"version": 1, "route": route})).await, 400);
    }
    let route = json!({"intent": "warranty", "priority": "urgent"});
    let approved = desk.post("agent", &format!("{path}/approve"), json!({"version": 1, "route": route})).await.json();
    assert_eq!(
        (&approved["route"]["intent"], &approved["route"]["queue"]),
        (&json!("warranty"), &shown["route"]["queue"])
    );
    until("it to be carried out", async || {
        let ticket = desk.get("/tickets/T-1").await;
        (ticket["intent"] == "warranty" && ticket["priority"] == "urgent").then_some(())
    })
    .await;
    let counted = format!("SELECT count(*) FROM tallies WHERE name = 'override/{proposed}'");
    until("the correction to be counted", async || (desk.count(&counted) == 1).then_some(())).await;
    let verdicts = desk.get("/feedback").await;
    let of = verdicts["items"].as_array().unwrap().iter().find(|one| one["workflow"] == "classification").unwrap();
    assert_eq!((&of["edited"], &of["kept"]), (&json!(1), &json!(0)), "{of}");
    let draft = waiting(&desk, "draft_reply", "T-2").await;
    let other = format!("/reviews/{}/approve", draft["id"].as_str().unwrap());
    is_problem(&desk.post("agent", &other, json!({"version": 1, "route": {"queue": "Billing"}})).await, 400);
}
