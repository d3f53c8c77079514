//! Alerts from the outside: told by a running process, tested and listed by the
//! command line, parked deliveries put away by a person.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use frontdesk::app::Roles;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::desk::{Desk, has_keys, is_problem, is_time};
use crate::process::Place;
use crate::wire::{Message, until};

const SECRET: &str = "whsec_dGhlIHNlY3JldCBvZiBhbGVydHMgaW4gdGVzdHM=";

type Told = Arc<Mutex<Vec<Value>>>;

/// A web server that takes messages, at `/fine`, and refuses them elsewhere.
async fn hook() -> (String, Told) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let told = Told::default();
    let take = |State(told): State<Told>, body: String| async move {
        told.lock().unwrap().push(serde_json::from_str(&body).unwrap());
    };
    let app = Router::new()
        .route("/fine", axum::routing::post(take))
        .fallback(|| async { (StatusCode::NOT_FOUND, "never-to-be-shown") })
        .with_state(Arc::clone(&told));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, told)
}

#[tokio::test]
async fn a_running_worker_tells_of_an_alert_and_of_its_end() {
    let (url, told) = hook().await;
    let settings = format!("[alerts.webhook]\nurl = \"{url}/fine\"\nsecret = \"{SECRET}\"\n");
    let desk = Desk::with(&settings, Roles::ALL).await;
    desk.app.store.raise_alert("store", "a test".to_owned(), "in our words".to_owned(), 1).await.unwrap();
    until("the alert to be told", async || (told.lock().unwrap().len() == 1).then_some(())).await;
    desk.app.store.close_alert("store", "a test".to_owned(), 2).await.unwrap();
    until("its end to be told", async || (told.lock().unwrap().len() == 2).then_some(())).await;
    let told = told.lock().unwrap().clone();
    assert_eq!((&told[0]["type"], &told[1]["type"]), (&json!("alert.opened"), &json!("alert.recovered")));
    assert_eq!(desk.get("/alerts").await["items"], json!([]));
    // The receiver has it a moment before the sender has written that down.
    let sends = until("both to be written down as sent", async || {
        let sends = desk.get("/alerts?state=all").await["items"][0]["sends"].as_array().unwrap().clone();
        sends.iter().all(|send| send["state"] == "sent").then_some(sends)
    })
    .await;
    assert_eq!(sends.iter().map(|send| send["word"].as_str().unwrap()).collect::<Vec<_>>(), ["opened", "recovered"]);
    let shown = desk.get("/alerts?state=all").await["items"][0].clone();
    has_keys(
        &shown,
        &["id", "kind", "subject", "detail", "notice", "opened_at", "last_at", "closed_at", "times", "sends"],
    );
    is_time(&shown["closed_at"]);
    assert!(desk.metrics().await.contains("frontdesk_alert_sends_total{channel=\"webhook\",result=\"sent\"} 2"));
    desk.app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_channels_are_tested_from_the_command_line() {
    let place = Place::new();
    place.run(&["alerts", "test"]).fails(1, &["no channel is set", "config example"]);
    place.run(&["alerts", "test", "--channel", "slack"]).fails(1, &["[alerts.slack]"]);
    let (url, told) = hook().await;
    place.write("url", &format!("{url}/never-to-be-shown\n"));
    place.write(
        "frontdesk.toml",
        &format!("[alerts.webhook]\nurl = \"{url}/fine\"\nsecret = \"{SECRET}\"\n[alerts.slack]\nurl_file = \"url\"\n"),
    );
    place.run(&["config", "check"]).succeeds();
    let ran = place.run(&["alerts", "test", "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let ends = ran.json()["items"].clone();
    assert_eq!(ends[0], json!({"channel": "slack", "result": "failed", "error": "HTTP 404"}));
    assert_eq!(ends[1], json!({"channel": "webhook", "result": "sent", "error": null}));
    assert!(!ran.out.contains("never-to-be-shown") && !ran.err.contains("never-to-be-shown"), "{ran:?}");
    place.run(&["alerts", "test", "--channel", "webhook"]).succeeds();
    assert_eq!(told.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_lead_puts_a_parked_delivery_away_through_the_api() {
    let desk = Desk::without_workers().await;
    let message = Message::of("video.completed", "video_1");
    desk.accept(&message).await;
    let path =
        format!("/deliveries/{}/dismiss", desk.get("/deliveries").await["items"][0]["delivery_id"].as_str().unwrap());
    is_problem(&desk.post("lead", &path, json!({"reason": " "})).await, 400);
    let put_away = desk.post("lead", &path, json!({"reason": "not ours"})).await;
    assert_eq!(put_away.status, 200);
    let shown = put_away.json();
    assert_eq!((&shown["status"], &shown["dismissed_by"]), (&json!("received"), &json!("lead")));
    is_time(&shown["dismissed_at"]);
    is_problem(&desk.post("lead", &path, json!({"reason": "not ours"})).await, 409);
    assert_eq!(desk.get("/stats").await["states"]["received"]["count"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parked_deliveries_are_put_away_from_the_command_line() {
    let place = Place::new();
    let server = place.serve(&["--roles", "intake"]);
    place.json(&["trigger", "video.completed", "--to", &server.url(), "--count", "3"]);
    let listed = place.json(&["deliveries", "list", "--status", "received"]);
    let id = listed["items"][0]["delivery_id"].as_str().unwrap().to_owned();
    let one = ["deliveries", "dismiss", &id, "--reason", "seen"];
    assert_eq!(place.json(&one), json!({"dismissed": 1}));
    place.run(&one).fails(1, &[&id, "dismissed already"]);
    let all = ["deliveries", "dismiss", "--type", "video.completed", "--reason", "seen"];
    assert_eq!(place.json(&all), json!({"dismissed": 2}));
    assert_eq!(place.json(&all), json!({"dismissed": 0}));
    assert_eq!(server.stop(), 0);
}
