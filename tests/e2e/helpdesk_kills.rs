//! kill -9 of the process between writing to a real Request Tracker and recording it,
//! again and again: each note is there once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use frontdesk_simulator::{Settings, Simulator};

use crate::helpdesk::{given, ours, settings, ticket};
use crate::process::Place;
use crate::wire::{Message, ask, until};

const QUICK: &str =
    "[worker]\nlease = \"1s\"\nheartbeat = \"300ms\"\npoll = \"100ms\"\n[retry]\nfirst = \"100ms\"\nattempts = 100\n";

/// Passes everything on; kills who asked as soon as a note is written.
struct Between {
    to: String,
    http: reqwest::Client,
    /// The process to kill; 0 for none.
    pid: AtomicU32,
    kills: AtomicUsize,
}

async fn pass(State(between): State<Arc<Between>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let (path, writes) = (parts.uri.path_and_query().unwrap().clone(), parts.uri.path().ends_with("/comment"));
    let mut headers = parts.headers;
    headers.remove(header::HOST);
    headers.remove(header::CONTENT_LENGTH);
    let asked = between.http.request(parts.method, format!("{}{path}", between.to)).headers(headers).body(body);
    let Ok(answer) = asked.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    for name in [header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::CONNECTION] {
        headers.remove(name);
    }
    let body = answer.bytes().await.unwrap();
    let pid = between.pid.load(Ordering::SeqCst);
    if writes && pid > 0 {
        // Before it hears of it.
        between.pid.store(0, Ordering::SeqCst);
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
        between.kills.fetch_add(1, Ordering::SeqCst);
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_writing_and_before_recording_each_note_is_there_once() {
    let kills: usize = std::env::var("FRONTDESK_HELPDESK_KILLS").map_or(50, |text| text.parse().unwrap());
    frontdesk::tls::install_provider();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let to = given("FRONTDESK_TEST_RT_URL");
    let between = Arc::new(Between { to: to.clone(), http, pid: AtomicU32::new(0), kills: AtomicUsize::new(0) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(pass).with_state(Arc::clone(&between));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let simulator = Simulator::start(Settings::default()).await.unwrap();
    let place = Place::new().with("OPENAI_BASE_URL", &simulator.base_url());
    place.write("frontdesk.toml", &format!("{QUICK}{}", settings().replace(&to, &url)));
    let mut tickets = Vec::new();
    for _ in 0..kills {
        let id = ticket("Are you open on Monday?").await;
        let mut server = place.serve(&[]);
        between.pid.store(server.child.id(), Ordering::SeqCst);
        assert_eq!(ask(server.addr, &Message::summary_of(&id).bytes()).await.unwrap().status, 200);
        until("the end of the process", async || server.child.try_wait().unwrap().map(drop)).await;
        tickets.push(id);
    }
    let server = place.serve(&[]);
    let moving = "SELECT count(*) FROM jobs WHERE state IN ('queued','processing','failed_retryable')";
    until("the end of all jobs", async || (place.sql().number(moving) == 0).then_some(())).await;
    assert_eq!(server.stop(), 0);
    for id in &tickets {
        assert_eq!(ours(id, "Comment").await.len(), 1, "ticket {id}");
    }
    let (applied, again) = (
        place.sql().number("SELECT count(*) FROM jobs WHERE outcome = 'applied'"),
        place.sql().number("SELECT count(*) FROM jobs WHERE claims > 1"),
    );
    assert_eq!((between.kills.load(Ordering::SeqCst), applied), (kills, i64::try_from(kills).unwrap()));
    println!("kills {kills}, notes {}, written twice 0, claimed again {again}", tickets.len());
}
