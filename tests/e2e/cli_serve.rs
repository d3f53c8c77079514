//! Frontdesk as processes: serving, stopping, sharing a database, end to end.

use std::process::Stdio;

use frontdesk_simulator::DEMO_SECRET;
use serde_json::{Value, json};

use crate::desk::has_keys;
use crate::process::{Place, free_addr, lines_of, terminate, wait};
use crate::wire::{Message, ask, request, until};

/// A place with a simulator in this process.
async fn place_with_openai() -> (Place, frontdesk_simulator::Simulator) {
    let settings = frontdesk_simulator::Settings { work_ms: (1, 20), ..Default::default() };
    let simulator = frontdesk_simulator::Simulator::start(settings).await.unwrap();
    let place = Place::new().with("OPENAI_BASE_URL", &simulator.base_url());
    (place, simulator)
}

fn new_ticket(place: &Place, id: &str) -> Vec<u8> {
    let made = place.run(&["token", "create", "--name", id, "--role", "agent"]).succeeds();
    let bearer = format!("Bearer {}", made.out.trim());
    let body = json!({"id": id, "subject": "Lamp", "messages": [{"author": "customer", "body": "It is dark."}]});
    request("POST", "/api/v1/tickets", &[("authorization", &bearer)], body.to_string().as_bytes())
}

/// The items of a list, once there are so many of them in that state.
async fn listed(place: &Place, command: &[&str], count: usize) -> Vec<Value> {
    until("a list to fill", async || {
        let items = place.json(command)["items"].as_array().unwrap().clone();
        (items.len() == count).then_some(items)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_is_ready_on_the_built_in_desk_without_any_file_and_stops_with_status_0() {
    let place = Place::new();
    let server = place.serve(&[]);
    let ready = ask(server.addr, &request("GET", "/health/ready", &[], b"")).await.unwrap();
    assert_eq!(ready.status, 200);
    for _ in 0..10 {
        assert_eq!(ask(server.addr, &Message::of("some.news", "x").bytes()).await.unwrap().status, 200);
    }
    assert_eq!(server.stop(), 0);
    assert_eq!(place.json(&["deliveries", "list"])["items"].as_array().unwrap().len(), 10);
}

#[test]
fn a_stop_right_after_the_word_ready_is_a_stop_and_not_a_kill() {
    let place = Place::new();
    for round in 0..10 {
        assert_eq!(place.serve(&[]).stop(), 0, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_takes_in_and_another_works_on_the_same_file() {
    let (place, _simulator) = place_with_openai().await;
    let intake = place.serve(&["--roles", "intake,web"]);
    assert_eq!(ask(intake.addr, &new_ticket(&place, "T-1")).await.unwrap().status, 201);
    for _ in 0..5 {
        assert_eq!(ask(intake.addr, &Message::summary_of("T-1").bytes()).await.unwrap().status, 200);
    }
    assert_eq!(listed(&place, &["jobs", "list", "--status", "queued"], 5).await.len(), 5);
    let worker = place.serve(&["--roles", "worker"]);
    let answer = ask(worker.addr, &Message::summary_of("T-1").bytes()).await.unwrap();
    assert_eq!(answer.status, 404, "a worker takes nothing in");
    assert_eq!(ask(worker.addr, &request("GET", "/health/ready", &[], b"")).await.unwrap().status, 200);
    listed(&place, &["jobs", "list", "--status", "processed"], 5).await;
    assert_eq!(ask(intake.addr, &Message::summary_of("T-1").bytes()).await.unwrap().status, 200);
    listed(&place, &["jobs", "list", "--status", "processed"], 6).await;
    assert_eq!((worker.stop(), intake.stop()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn triggered_deliveries_become_what_they_should() {
    let (place, _simulator) = place_with_openai().await;
    let server = place.serve(&[]);
    let url = server.url();
    let trigger = |more: &[&str]| place.json(&[&["trigger", "response.completed", "--to", &url], more].concat());
    assert_eq!(ask(server.addr, &new_ticket(&place, "T-1")).await.unwrap().status, 201);

    let plain = trigger(&["--count", "5"]);
    assert_eq!((&plain["sent"], &plain["accepted"]), (&json!(5), &json!(5)));
    has_keys(&plain["items"][0], &["webhook_id", "event_id", "resource_id", "status"]);
    let lost = listed(&place, &["jobs", "list", "--status", "failed_final"], 5).await;
    assert!(lost[0]["last_error"].as_str().unwrap().starts_with("lost_to_retention"));

    let same_id = trigger(&["--count", "5", "--same-id", "--id", "resp_made_summary_T-1"]);
    assert_eq!(same_id["accepted"], 5);
    let id = same_id["items"][0]["webhook_id"].as_str().unwrap();
    assert_eq!(same_id["items"][4]["webhook_id"], id);
    assert_eq!(place.json(&["deliveries", "show", id])["copies"], 5);

    let same_event = trigger(&["--count", "5", "--same-event", "--id", "resp_made_draft_reply_T-1"]);
    let event = same_event["items"][0]["event_id"].as_str().unwrap();
    let copies = listed(&place, &["deliveries", "list", "--q", event], 5).await;
    let first = copies[4]["delivery_id"].as_str().unwrap();
    assert!(copies[..4].iter().all(|copy| copy["duplicate_of"] == first && copy["job_id"] == copies[4]["job_id"]));

    listed(&place, &["jobs", "list", "--status", "processed"], 2).await;
    assert_eq!(place.json(&["jobs", "list"])["items"].as_array().unwrap().len(), 7);
    let wrong = Place::new().with("OPENAI_WEBHOOK_SECRET", "whsec_d3Jvbmcgc2VjcmV0LCB3cm9uZyBzZWNyZXQhIQ==");
    let forged = wrong.run(&["trigger", "response.completed", "--to", &url]);
    assert_eq!(forged.code, 1);
    assert!(forged.out.contains("400") && forged.out.contains("0 of 1 accepted"), "{forged:?}");
    assert_eq!(server.stop(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_and_the_api_show_the_same() {
    let (place, simulator) = place_with_openai().await;
    let server = place.serve(&[]);
    simulator.set_webhook_url(Some(server.url()));
    let made = place.run(&["token", "create", "--name", "reader", "--role", "agent"]).succeeds();
    let bearer = format!("Bearer {}", made.out.trim());
    assert_eq!(ask(server.addr, &new_ticket(&place, "T-1")).await.unwrap().status, 201);
    let started = place.json(&["submit", "draft_reply", "--ticket", "T-1"]);
    has_keys(&started, &["submission_id", "resource_id"]);
    let resource = started["resource_id"].as_str().unwrap().to_owned();
    listed(&place, &["reviews", "list", "--state", "open"], 1).await;
    let why = place.json(&["why", &resource]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (job, delivery, review) = (text(&why["job_id"]), text(&why["delivery_ids"][0]), text(&why["review_id"]));
    let pairs = [
        (vec!["deliveries", "list"], "/deliveries".to_owned()),
        (vec!["deliveries", "show", &delivery], format!("/deliveries/{delivery}")),
        (vec!["jobs", "list"], "/jobs".to_owned()),
        (vec!["jobs", "show", &job], format!("/jobs/{job}")),
        (vec!["reviews", "list"], "/reviews".to_owned()),
        (vec!["reviews", "show", &review], format!("/reviews/{review}")),
        (vec!["why", "T-1"], "/why/T-1".to_owned()),
    ];
    for (command, path) in pairs {
        let api = request("GET", &format!("/api/v1{path}"), &[("authorization", &bearer)], b"");
        assert_eq!(place.json(&command), ask(server.addr, &api).await.unwrap().json(), "{path}");
        let plain = place.run(&command).succeeds();
        assert!(!plain.out.contains('\u{1b}') && !plain.out.contains('─') && !plain.out.is_empty(), "{plain:?}");
    }
    let submission = text(&started["submission_id"]);
    for id in ["T-1", &resource, &text(&why["event_id"]), &delivery, &job, &submission, &review] {
        let told = place.run(&["why", id]).succeeds();
        assert!(told.out.contains("next:") && told.out.contains("owner: reviewer"), "{id}: {told:?}");
        assert_eq!(place.json(&["why", id])["job_id"], job);
    }
    place.run(&["why", "nothing_like_it"]).fails(1, &["nothing_like_it"]);
    place.run(&["submit", "summary", "--ticket", "T-9"]).fails(1, &["T-9"]);
    place.run(&["submit", "poetry", "--ticket", "T-1"]).fails(1, &["poetry", "summary"]);
    assert_eq!(server.stop(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_jobs_are_retried_and_discarded_from_the_command_line() {
    let (place, _simulator) = place_with_openai().await;
    let server = place.serve(&[]);
    place.json(&["trigger", "response.completed", "--to", &server.url()]);
    listed(&place, &["jobs", "list", "--status", "failed_final"], 1).await;
    place.run(&["jobs", "retry", "job_1"]).succeeds();
    listed(&place, &["jobs", "list", "--status", "failed_final"], 1).await;
    let closed = place.json(&["jobs", "discard", "1", "--reason", "a test"]);
    assert_eq!((&closed["id"], &closed["outcome"]), (&json!("job_1"), &json!("discarded")));
    place.run(&["jobs", "discard", "job_1", "--reason", "a test"]).fails(1, &["job_1"]);
    assert_eq!(server.stop(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulator_server_and_submit_work_together_as_three_processes() {
    let addr = free_addr().to_string();
    let place = Place::new().with("FRONTDESK_LISTEN", &addr);
    let url = format!("http://{addr}/webhooks/openai");
    let mut openai = place
        .command(&["simulate", "--listen", "127.0.0.1:0", "--webhook-url", &url])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let line = lines_of(openai.stdout.take().unwrap()).recv_timeout(crate::wire::PATIENCE).unwrap();
    let base = line.strip_prefix("OPENAI_BASE_URL=").unwrap();
    let place = place.with("OPENAI_BASE_URL", base);
    let server = place.serve(&[]);
    assert_eq!(ask(server.addr, &new_ticket(&place, "T-1")).await.unwrap().status, 201);
    let told = place.run(&["submit", "summary", "--ticket", "T-1"]).succeeds();
    assert!(told.out.contains("frontdesk why T-1"), "{told:?}");
    let jobs = listed(&place, &["jobs", "list", "--status", "processed"], 1).await;
    assert_eq!((&jobs[0]["outcome"], &jobs[0]["ticket_id"]), (&json!("applied"), &json!("T-1")));
    assert_eq!(server.stop(), 0);
    terminate(&openai);
    assert_eq!(wait(&mut openai), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_may_come_from_files_and_the_log_shows_none() {
    let place = Place::new().without("OPENAI_WEBHOOK_SECRET");
    place.write("secret", &format!("{DEMO_SECRET}\n"));
    let place = place.with("OPENAI_WEBHOOK_SECRET_FILE", "secret").with("FRONTDESK_LOG", "trace");
    let mut command = place.command(&["serve"]);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let lines = lines_of(child.stderr.take().unwrap());
    let mut log = String::new();
    let addr = loop {
        let line = lines.recv_timeout(crate::wire::PATIENCE).unwrap();
        log.push_str(&line);
        if let Some((_, rest)) = line.split_once("frontdesk is ready address=") {
            break rest.split(' ').next().unwrap().parse().unwrap();
        }
    };
    let message =
        Message::with_body(br#"{"id":"evt_1","type":"a.b","data":{"id":"x"},"text":"content-of-a-customer"}"#);
    assert_eq!(ask(addr, &message.bytes()).await.unwrap().status, 200);
    assert_eq!(ask(addr, &request("POST", &message.path, &[], b"content-of-a-stranger")).await.unwrap().status, 400);
    terminate(&child);
    assert_eq!(wait(&mut child), 0);
    log.extend(lines.iter());
    let signature = message.headers()[2].1.clone();
    for secret in [&DEMO_SECRET[6..], crate::desk::API_KEY, "content-of", &signature] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_any_more_stops_nothing() {
    let (place, _simulator) = place_with_openai().await;
    let place = place.with("FRONTDESK_LOG", "debug");
    let addr = free_addr();
    let place = place.with("FRONTDESK_LISTEN", &addr.to_string());
    let mut child = place.command(&["serve"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    drop(child.stderr.take());
    until("serve to listen", async || tokio::net::TcpStream::connect(addr).await.is_ok().then_some(())).await;
    let forged = Message::summary_of("T-1").signed_with("whsec_d3Jvbmcgc2VjcmV0LCB3cm9uZyBzZWNyZXQhIQ==");
    for round in 1..=2 {
        assert_eq!(ask(addr, &forged.bytes()).await.unwrap().status, 400);
        assert_eq!(ask(addr, &Message::of("response.completed", "resp_x").bytes()).await.unwrap().status, 200);
        until("the refusal to be written down", async || {
            let sum = "SELECT CAST(coalesce(sum(count), 0) AS BIGINT) FROM refusals";
            (place.sql().number(sum) == round).then_some(())
        })
        .await;
        listed(&place, &["jobs", "list", "--status", "failed_final"], usize::try_from(round).unwrap()).await;
    }
    terminate(&child);
    assert_eq!(wait(&mut child), 0);
}
