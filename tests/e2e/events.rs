//! Live pages: the stream that says when there is something new.

use frontdesk::app::Roles;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use crate::desk::{Desk, has_keys, is_problem, token};
use crate::process::Place;
use crate::wire::{Message, Wire, request, until};

const STREAM: &str = "/api/v1/events";

async fn listen(addr: SocketAddr, token: &str) -> Wire {
    let mut wire = Wire::open(addr).await;
    let bearer = format!("Bearer {token}");
    wire.write(&request("GET", STREAM, &[("authorization", &bearer)], b"")).await.unwrap();
    wire
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_listens_hears_how_it_stands_and_then_of_what_is_new() {
    let desk = Desk::without_workers().await;
    let mut pages = [listen(desk.addr, &token("agent")).await, listen(desk.addr, &token("lead")).await];
    for page in &mut pages {
        let first = page.event().await.unwrap();
        has_keys(&first, &["deliveries", "reviews", "audit_trail", "open_reviews", "failed", "alerts"]);
        assert_eq!(first["deliveries"], 0);
    }
    desk.accept(&Message::summary_of("T-1")).await;
    for page in &mut pages {
        assert_eq!(page.event().await.unwrap()["deliveries"], 1);
    }
    is_problem(&desk.call("nobody", "GET", STREAM, "").await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_outlives_the_limits_of_time_that_requests_have() {
    let settings = "[http]\nheader_timeout = \"300ms\"\nbody_timeout = \"300ms\"\n";
    let desk = Desk::with(settings, Roles { worker: false, ..Roles::ALL }).await;
    let mut page = listen(desk.addr, &token("agent")).await;
    page.event().await.unwrap();
    // Three silent connections, one after the other, are closed for taking too long.
    for _ in 0..3 {
        let mut silent = Wire::open(desk.addr).await;
        silent.write(b"GET / HTTP/1.1\r\n").await.unwrap();
        while silent.answer().await.is_some() {}
    }
    desk.accept(&Message::summary_of("T-1")).await;
    assert_eq!(page.event().await.expect("still open")["deliveries"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_take_a_part_of_the_connections_and_whoever_leaves_makes_room() {
    let desk = Desk::with("[http]\nmax_connections = 8\n", Roles { worker: false, ..Roles::ALL }).await;
    let mut first = listen(desk.addr, &token("agent")).await;
    let mut second = listen(desk.addr, &token("agent")).await;
    assert!(first.event().await.is_some() && second.event().await.is_some());
    is_problem(&listen(desk.addr, &token("agent")).await.answer().await.unwrap(), 503);
    drop(first);
    until("room for another", async || {
        let mut another = listen(desk.addr, &token("agent")).await;
        (another.status().await == Some(200)).then_some(another)
    })
    .await;
    assert_eq!(desk.get("/stats").await["deliveries"], json!(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_does_not_hold_up_a_process_that_stops() {
    let place = Place::new();
    let server = place.serve(&[]);
    let made = place.json(&["token", "create", "--name", "page", "--role", "agent"]);
    let mut page = listen(server.addr, made["token"].as_str().unwrap()).await;
    assert!(page.event().await.is_some());
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    while page.event().await.is_some() {}
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), stopped).await.expect("it stops").unwrap(), 0);
}
