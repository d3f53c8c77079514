//! What people look up: effects with their receipts, raw events, workflows, the
//! checklist, and a policy tried on the past.

use serde_json::{Value, json};

use crate::desk::{Desk, has_keys, is_problem, is_time};
use crate::process::{Place, free_addr};
use crate::wire::{Answer, Message, ask, request};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_effects_of_a_job_have_their_receipts_and_never_what_was_written() {
    let desk = Desk::start().await;
    desk.ticket("T-1").await;
    let message = Message::summary_of("T-1");
    desk.accept(&message).await;
    let job = desk.settled(&message.id, &["processed"]).await["job_id"].as_str().unwrap().to_owned();
    let effects = desk.get(&format!("/jobs/{job}/effects")).await;
    let items = effects["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{effects}");
    let keys = ["slot", "ticket_id", "ref", "state", "planned_at", "applied_at", "external_id", "undone_at"];
    has_keys(&items[0], &keys);
    assert_eq!(items[0].as_object().unwrap().len(), keys.len(), "{effects}");
    assert_eq!((&items[0]["slot"], &items[0]["state"]), (&json!("note"), &json!("applied")));
    is_time(&items[0]["applied_at"]);
    let note = &desk.get("/tickets/T-1").await["messages"][1];
    assert_eq!(note["ref"], items[0]["ref"]);
    is_problem(&desk.call("agent", "GET", "/jobs/job_999/effects", "").await, 404);
    is_problem(&desk.call("nobody", "GET", &format!("/jobs/{job}/effects"), "").await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raw_event_is_for_admins_and_every_look_is_in_the_trail() {
    let desk = Desk::without_workers().await;
    let message = Message::summary_of("T-1");
    desk.accept(&message).await;
    let path = format!("/deliveries/{}/body", message.id);
    for role in ["agent", "lead"] {
        is_problem(&desk.call(role, "GET", &path, "").await, 403);
    }
    let looked = || desk.count("SELECT count(*) FROM audit_trail WHERE action = 'delivery.body'");
    assert_eq!(looked(), 0);
    let shown = desk.call("admin", "GET", &path, "").await.json();
    assert_eq!(
        (&shown["body"], &shown["erased"]),
        (&json!(String::from_utf8(message.body.clone()).unwrap()), &json!(false))
    );
    assert_eq!((looked(), &shown["base64"]), (1, &json!(null)));
    is_problem(&desk.call("admin", "GET", "/deliveries/wh_none/body", "").await, 404);

    let place = Place::new().with("DATABASE_URL", &desk.database_url()).with("USER", "lena");
    let told = place.json(&["deliveries", "show", &message.id, "--body"]);
    assert_eq!(told["body"], shown["body"]);
    place.run(&["deliveries", "show", "wh_none", "--body"]).fails(1, &["wh_none"]);
    assert_eq!(desk.count("SELECT count(*) FROM audit_trail WHERE action = 'delivery.body' AND actor = 'lena'"), 1);
    assert_eq!(looked(), 2, "nothing but the two that saw it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_text_is_given_in_base64() {
    let desk = Desk::without_workers().await;
    let message = Message::with_body(&[0xff, 0x00, 0xfe]);
    desk.accept(&message).await;
    let shown = desk.call("admin", "GET", &format!("/deliveries/{}/body", message.id), "").await.json();
    assert_eq!((&shown["body"], &shown["base64"], &shown["erased"]), (&json!(null), &json!("/wD+"), &json!(false)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_workflows_say_what_each_may_change() {
    let desk = Desk::without_workers().await;
    let list = desk.get("/workflows").await;
    let summary = list["items"].as_array().unwrap().iter().find(|one| one["name"] == "summary").unwrap().clone();
    has_keys(&summary, &["about", "prompt_version", "model", "effects", "schema", "strict"]);
    assert_eq!(desk.get("/workflows/summary").await, summary);
    is_problem(&desk.call("agent", "GET", "/workflows/none", "").await, 404);
    is_problem(&desk.call("nobody", "GET", "/workflows", "").await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_policy_is_tried_on_the_past_and_nothing_changes() {
    let desk = Desk::start().await;
    desk.ticket("T-1").await;
    let message = Message::summary_of("T-1");
    desk.accept(&message).await;
    desk.settled(&message.id, &["processed"]).await;
    let replay = async |body: Value| desk.post("lead", "/policy/replay", body).await;
    let same = replay(json!({})).await.json();
    assert_eq!((&same["looked_at"], &same["unchanged"]), (&json!(1), &json!(1)), "{same}");
    let stricter = "version = 2\nkill_switch = true\n";
    let tried = replay(json!({"text": stricter, "since": "1h"})).await;
    assert_eq!(tried.status, 200, "{}", tried.text());
    assert_eq!(tried.json()["newly_held"][0]["ticket_id"], "T-1", "{}", tried.text());
    assert_eq!(desk.get("/policy").await["version"], 1);
    assert_eq!(desk.count("SELECT count(*) FROM reviews"), 0);
    let wrong = replay(json!({"text": "version = 2\n\n[[topic]]\nid = \"parcels\"\n"})).await;
    is_problem(&wrong, 400);
    assert!(wrong.text().contains("line 3"), "{}", wrong.text());
    for body in [json!({"limit": 0}), json!({"limit": 10_001}), json!({"days": 3}), json!({"since": "soon"})] {
        is_problem(&replay(body).await, 400);
    }
    is_problem(&desk.post("agent", "/policy/replay", json!({})).await, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checklist_is_for_leads_holds_no_secret_and_is_gone_through_once_for_all_who_ask() {
    let place = Place::new().with("OPENAI_BASE_URL", &format!("http://{}/v1", free_addr()));
    let server = place.serve(&[]);
    let made = place.json(&["token", "create", "--name", "mia", "--role", "lead"]);
    let agent = place.json(&["token", "create", "--name", "lena", "--role", "agent"]);
    let get = async |made: &Value| -> Answer {
        let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
        ask(server.addr, &request("GET", "/api/v1/doctor", &[("authorization", &bearer)], b"")).await.unwrap()
    };
    is_problem(&get(&agent).await, 403);
    let (first, second) = tokio::join!(get(&made), get(&made));
    assert_eq!((first.status, &first.json()), (200, &second.json()));
    let items = first.json()["items"].as_array().unwrap().clone();
    assert!(!items.is_empty());
    for item in &items {
        has_keys(item, &["item", "state", "detail", "fix"]);
    }
    assert!(items.iter().any(|item| item["state"] == "problem"), "OpenAI is not there: {items:?}");
    for secret in [crate::desk::API_KEY, frontdesk_simulator::DEMO_SECRET] {
        assert!(!first.text().contains(secret), "a secret was shown");
    }
}
