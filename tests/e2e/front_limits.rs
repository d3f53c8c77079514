//! Requests that are too large, too slow or too many.

use std::time::{Duration, Instant};

use frontdesk::app::Roles;
use frontdesk_simulator::DEMO_SECRET;

use crate::desk::Desk;
use crate::wire::{Message, ROUTE, Wire, ask, request, until};

const LIMIT: usize = 256 * 1024;
const INTAKE: Roles = Roles { worker: false, ..Roles::ALL };

fn body_of(bytes: usize) -> Vec<u8> {
    let mut body = br#"{"id":"evt_big","type":"response.completed","data":{"id":"resp_big"},"pad":""#.to_vec();
    body.resize(bytes - 2, b'x');
    body.extend_from_slice(b"\"}");
    body
}

/// The same request in chunks, without a length.
fn chunked(message: &Message) -> Vec<u8> {
    let mut bytes = format!("POST {ROUTE} HTTP/1.1\r\nhost: desk\r\ntransfer-encoding: chunked\r\n").into_bytes();
    for (name, value) in message.headers() {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    for piece in message.body.chunks(10_000) {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

#[tokio::test]
async fn exactly_256_kib_are_read_with_and_without_a_length() {
    let desk = Desk::with("", INTAKE).await;
    let message = Message::with_body(&body_of(LIMIT));
    desk.accept(&message).await;
    assert_eq!(ask(desk.addr, &chunked(&message)).await.unwrap().status, 200);
    assert_eq!(desk.get(&format!("/deliveries/{}", message.id)).await["copies"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_more_is_413_with_and_without_a_length_however_much_follows() {
    let desk = Desk::with("", INTAKE).await;
    for size in [LIMIT + 1, LIMIT + 4096, 2 * LIMIT, 1 << 20, 4 << 20] {
        let message = Message::with_body(&body_of(size));
        for bytes in [message.bytes(), chunked(&message)] {
            // The sender insists on writing all of it before it reads, as most do.
            let mut wire = Wire::open(desk.addr).await;
            let written = wire.write(&bytes).await;
            let answer = wire.answer().await;
            assert_eq!(answer.map(|answer| answer.status), Some(413), "{size}: {written:?}");
            assert!(written.is_ok(), "{size}: the connection was reset under the sender: {written:?}");
        }
    }
    assert_eq!(desk.count("SELECT count(*) FROM deliveries"), 0);
    assert!(desk.metrics().await.contains("body_too_large"));
    desk.accept(&Message::summary_of("T-1")).await;
}

#[tokio::test]
async fn a_body_that_trickles_is_cut_off() {
    let desk = Desk::with("[http]\nbody_timeout = \"300ms\"\n", INTAKE).await;
    let message = Message::summary_of("T-1");
    let bytes = message.bytes();
    let mut wire = Wire::open(desk.addr).await;
    let started = Instant::now();
    wire.write(&bytes[..bytes.len() - 60]).await.unwrap();
    let mut answer = None;
    // A byte now and then does not buy more time.
    for byte in &bytes[bytes.len() - 60..] {
        let _ = wire.write(&[*byte]).await;
        if let Ok(came) = tokio::time::timeout(Duration::from_millis(50), wire.answer()).await {
            answer = Some(came);
            break;
        }
    }
    assert!(answer.expect("cut off").is_none_or(|answer| answer.status == 408));
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(desk.count("SELECT count(*) FROM deliveries"), 0);
    assert!(wire.answer().await.is_none(), "the connection is closed");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_a_delivery() {
    let desk = Desk::with("", INTAKE).await;
    let bytes = Message::summary_of("T-1").bytes();
    let mut wire = Wire::open(desk.addr).await;
    wire.write(&bytes[..bytes.len() - 5]).await.unwrap();
    drop(wire);
    until("the refusal to be counted", async || desk.metrics().await.contains("body_broken").then_some(())).await;
    assert_eq!(desk.count("SELECT count(*) FROM deliveries"), 0);
}

#[tokio::test]
async fn silent_half_sent_and_idle_connections_are_closed() {
    let desk = Desk::with("[http]\nheader_timeout = \"300ms\"\n", INTAKE).await;
    let started = Instant::now();
    let mut silent = Wire::open(desk.addr).await;
    let mut half = Wire::open(desk.addr).await;
    half.write(b"POST /webhooks/openai HTTP/1.1\r\nhost: d").await.unwrap();
    let mut kept = Wire::open(desk.addr).await;
    kept.write(&request("GET", "/health/live", &[], b"")).await.unwrap();
    assert_eq!(kept.answer().await.unwrap().status, 200);
    for wire in [&mut silent, &mut half, &mut kept] {
        assert!(wire.answer().await.is_none_or(|answer| answer.status == 408));
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn heads_out_of_measure_are_refused_and_hurt_nobody() {
    let desk = Desk::with("", INTAKE).await;
    let many: String = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect();
    let cases = [
        format!("GET /health/live HTTP/1.1\r\nhost: d\r\n{many}\r\n"),
        format!("GET /health/live HTTP/1.1\r\nhost: d\r\nx: {}\r\n\r\n", "y".repeat(100_000)),
        format!("GET /{} HTTP/1.1\r\nhost: d\r\n\r\n", "y".repeat(100_000)),
        format!("{} / HTTP/1.1\r\nhost: d\r\n\r\n", "Y".repeat(100_000)),
        "POST /webhooks/openai HTTP/1.1\r\nhost: d\r\ncontent-length: -1\r\n\r\n".to_owned(),
        "POST /webhooks/openai HTTP/1.1\r\nhost: d\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc".to_owned(),
        "\0\0\0\0\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
    ];
    for case in &cases {
        let answer = ask(desk.addr, case.as_bytes()).await;
        let told = &case[..case.len().min(60)];
        assert!(answer.is_none_or(|answer| (400..500).contains(&answer.status)), "{told}");
    }
    desk.accept(&Message::summary_of("T-1")).await;
}

#[tokio::test]
async fn requests_may_follow_each_other_on_one_connection_or_be_pipelined() {
    let desk = Desk::with("", INTAKE).await;
    let mut wire = Wire::open(desk.addr).await;
    for number in 0..5 {
        wire.write(&Message::summary_of(&format!("T-{number}")).bytes()).await.unwrap();
        assert_eq!(wire.answer().await.unwrap().status, 200);
    }
    let good = Message::summary_of("T-9").bytes();
    let bad = Message::summary_of("T-9").signed_with("whsec_d3Jvbmcgc2VjcmV0LCB3cm9uZyBzZWNyZXQhIQ==").bytes();
    wire.write(&[good.as_slice(), &bad, &request("GET", ROUTE, &[], b""), &good].concat()).await.unwrap();
    for status in [200, 400, 405, 200] {
        assert_eq!(wire.answer().await.unwrap().status, status);
    }
    assert_eq!(desk.count("SELECT count(*) FROM deliveries"), 6);
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_a_place() {
    let desk = Desk::with("[http]\nmax_connections = 2\n", INTAKE).await;
    let mut first = Wire::open(desk.addr).await;
    let mut second = Wire::open(desk.addr).await;
    for wire in [&mut first, &mut second] {
        wire.write(&request("GET", "/health/live", &[], b"")).await.unwrap();
        assert_eq!(wire.answer().await.unwrap().status, 200);
    }
    let mut third = Wire::open(desk.addr).await;
    third.write(&Message::summary_of("T-1").bytes()).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(300), third.answer()).await.is_err(), "there was no place");
    drop(first);
    assert_eq!(third.answer().await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_made_durable_is_503_and_can_be_sent_again() {
    let desk = Desk::with("", INTAKE).await;
    let (one, two) = (Message::summary_of("T-1"), Message::summary_of("T-2").signed_with(DEMO_SECRET));
    let Some(file) = desk.file() else { return };
    let lock = rusqlite::Connection::open(file).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let ready = request("GET", "/health/ready", &[], b"");
    let (first, second, ready) = tokio::join!(desk.send(&one), desk.send(&two), ask(desk.addr, &ready));
    for answer in [&first, &second] {
        assert_eq!(answer.status, 503);
        assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    }
    assert_eq!(ready.unwrap().status, 503);
    assert!(desk.metrics().await.contains("not_durable"));
    lock.execute_batch("ROLLBACK").unwrap();
    desk.accept(&one).await;
    desk.accept(&two).await;
    assert_eq!(desk.count("SELECT count(*) FROM deliveries"), 2);
    assert_eq!(desk.count("SELECT count(*) FROM jobs"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_asks_and_never_reads_does_not_keep_its_place() {
    let desk = Desk::with("[http]\nmax_connections = 2\nheader_timeout = \"300ms\"\n", INTAKE).await;
    let asked = request("GET", "/metrics", &[], b"").repeat(2_000);
    let mut greedy = Vec::new();
    for _ in 0..2 {
        let mut stream = tokio::net::TcpStream::connect(desk.addr).await.unwrap();
        let all = asked.clone();
        greedy.push(tokio::spawn(async move {
            // Writes for as long as it is let, and reads nothing.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &all).await;
            std::future::pending::<()>().await;
        }));
    }
    let answer = until("a place is free again", async || {
        ask(desk.addr, &request("GET", "/health/live", &[("connection", "close")], b"")).await
    })
    .await;
    assert_eq!(answer.status, 200);
    greedy.iter().for_each(tokio::task::JoinHandle::abort);
}
