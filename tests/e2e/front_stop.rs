//! A stop loses nothing that was accepted.

use std::time::{Duration, Instant};

use frontdesk::app::Roles;

use crate::desk::Desk;
use crate::wire::{Message, Wire, request};

const INTAKE: Roles = Roles { worker: false, ..Roles::ALL };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_under_way_at_the_stop_is_answered_and_stored() {
    let desk = Desk::with("", INTAKE).await;
    let held = desk.held();
    let Desk { addr, app, .. } = desk;
    let message = Message::summary_of("T-1");
    let bytes = message.bytes();
    let (most, rest) = bytes.split_at(bytes.len() - 10);
    let mut wire = Wire::open(addr).await;
    // A first answer shows that the connection has been accepted.
    wire.write(&[&request("GET", "/health/live", &[], b""), most].concat()).await.unwrap();
    assert_eq!(wire.answer().await.unwrap().status, 200);
    let stopping = tokio::spawn(app.stop());
    // From when on nobody is let in any more.
    crate::wire::until("the door to close", async || tokio::net::TcpStream::connect(addr).await.is_err().then_some(()))
        .await;
    wire.write(rest).await.unwrap();
    assert_eq!(wire.answer().await.unwrap().status, 200);
    stopping.await.unwrap();
    assert_eq!(held.sql().number("SELECT count(*) FROM jobs"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_200_given_before_a_stop_under_load_is_in_the_database() {
    let desk = Desk::start().await;
    let held = desk.held();
    let Desk { addr, app, simulator: _simulator, .. } = desk;
    let senders: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn(async move {
                let mut accepted = Vec::new();
                loop {
                    let message = Message::of("response.completed", "resp_nowhere");
                    let Ok(mut stream) = tokio::net::TcpStream::connect(addr).await else { return accepted };
                    use tokio::io::{AsyncReadExt, AsyncWriteExt};
                    let close = message.bytes();
                    let mut read = [0; 1024];
                    if stream.write_all(&close).await.is_err() {
                        return accepted;
                    }
                    match stream.read(&mut read).await {
                        Ok(count) if read[..count].starts_with(b"HTTP/1.1 200") => accepted.push(message.id),
                        _ => return accepted,
                    }
                }
            })
        })
        .collect();
    let watch = held.sql();
    crate::wire::until("some load", async || (watch.number("SELECT count(*) FROM deliveries") > 100).then_some(()))
        .await;
    app.stop().await;
    let mut accepted = 0;
    for sender in senders {
        for id in sender.await.unwrap() {
            accepted += 1;
            let stored: i64 = watch
                .query_row("SELECT count(*) FROM deliveries WHERE delivery_id = ?1", [id.as_str()], |row| row.get(0))
                .unwrap();
            assert_eq!(stored, 1, "{id} was acknowledged and is not there");
        }
    }
    assert!(accepted > 90, "{accepted}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_busy_connections_to_make_room() {
    let desk = Desk::with("[http]\nmax_connections = 2\n", INTAKE).await;
    let Desk { addr, app, .. } = desk;
    let live = request("GET", "/health/live", &[], b"");
    let mut busy = Vec::new();
    for _ in 0..2 {
        let (mut wire, live) = (Wire::open(addr).await, live.clone());
        wire.write(&live).await.unwrap();
        assert_eq!(wire.answer().await.unwrap().status, 200);
        busy.push(tokio::spawn(
            async move { while wire.write(&live).await.is_ok() && wire.answer().await.is_some() {} },
        ));
    }
    let started = Instant::now();
    let stopped = tokio::time::timeout(Duration::from_secs(5), app.stop()).await;
    assert!(stopped.is_ok(), "still not stopped after {:?}", started.elapsed());
    for sender in busy {
        sender.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_the_jobs_that_are_at_work() {
    let desk = Desk::start().await;
    for number in 0..20 {
        desk.ticket(&format!("T-{number}")).await;
    }
    for number in 0..20 {
        desk.accept(&Message::summary_of(&format!("T-{number}"))).await;
    }
    let held = desk.held();
    let Desk { app, simulator: _simulator, .. } = desk;
    app.stop().await;
    let at_work = held.sql().number("SELECT count(*) FROM jobs WHERE state = 'processing'");
    assert_eq!(at_work, 0, "a lease was left to run out");
}
