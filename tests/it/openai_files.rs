//! Files at OpenAI, up and down, against servers that do it badly, and a batch
//! from its file to its last line against the simulator.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Multipart, Request};
use axum::http::{Response, StatusCode};
use axum::routing::{any, post};
use frontdesk::domain::resource::Resource;
use frontdesk::openai::{Client, CreateError, Line, NewBatch, OpenAiError, Settings};
use frontdesk_simulator::{Fault, Simulator};
use futures_util::stream;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

fn client(base_url: &str) -> Client {
    Client::new(Settings {
        base_url: base_url.to_owned(),
        api_key: Some("sk-secret".to_owned()),
        connect_timeout_ms: 1000,
        read_timeout_ms: 5000,
        max_body_bytes: 4096,
    })
    .unwrap()
}

async fn serve(app: Router) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    client(&base_url)
}

/// A client of a server that gives every request this answer.
async fn answering(status: u16, body: impl Into<Bytes>) -> Client {
    let body = body.into();
    serve(Router::new().fallback(any(move || async move {
        let mut answer = Response::new(Body::from(body));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        answer
    })))
    .await
}

/// A client of a server that writes these bytes and hangs up.
async fn raw(bytes: impl Into<Vec<u8>>) -> Client {
    let bytes: Arc<Vec<u8>> = Arc::new(bytes.into());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&bytes).await;
        }
    });
    client(&base_url)
}

/// An unnamed file with this text, its cursor at the end, as after writing.
fn file(text: &[u8]) -> (tokio::fs::File, u64) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text).unwrap();
    (tokio::fs::File::from_std(file), text.len() as u64)
}

#[derive(Debug, PartialEq)]
struct Sent {
    name: String,
    file_name: Option<String>,
    kind: Option<String>,
    content: Bytes,
}

/// A client of a server that takes forms, and what it was sent.
async fn taking_forms() -> (Client, mpsc::UnboundedReceiver<Vec<Sent>>) {
    let (told, forms) = mpsc::unbounded_channel();
    let take = move |mut form: Multipart| {
        let told = told.clone();
        async move {
            let mut parts = Vec::new();
            while let Some(field) = form.next_field().await.unwrap() {
                let own = |text: Option<&str>| text.map(str::to_owned);
                let name = field.name().unwrap().to_owned();
                let (file_name, kind) = (own(field.file_name()), own(field.content_type()));
                parts.push(Sent { name, file_name, kind, content: field.bytes().await.unwrap() });
            }
            told.send(parts).unwrap();
            r#"{"id":"file-abc","object":"file","purpose":"batch"}"#
        }
    };
    (serve(Router::new().route("/v1/files", post(take)).layer(DefaultBodyLimit::disable())).await, forms)
}

#[tokio::test]
async fn an_upload_arrives_whole_with_its_purpose_and_its_day_to_go_away() {
    let (client, mut forms) = taking_forms().await;
    let (input, bytes) = file(b"{\"custom_id\":\"T-1\"}\n");
    assert_eq!(client.upload_batch_file("bat_1.jsonl", input, bytes).await.unwrap(), "file-abc");
    let part = |name: &str, content: &'static [u8]| Sent {
        name: name.to_owned(),
        file_name: None,
        kind: None,
        content: Bytes::from_static(content),
    };
    let file = Sent {
        file_name: Some("bat_1.jsonl".to_owned()),
        kind: Some("application/jsonl".to_owned()),
        ..part("file", b"{\"custom_id\":\"T-1\"}\n")
    };
    let expected = vec![
        part("purpose", b"batch"),
        part("expires_after[anchor]", b"created_at"),
        part("expires_after[seconds]", b"2592000"),
        file,
    ];
    assert_eq!(forms.recv().await.unwrap(), expected);
}

#[tokio::test]
async fn only_the_bytes_that_were_announced_are_sent() {
    let (client, mut forms) = taking_forms().await;
    let (input, _) = file(b"first\nsecond\n");
    client.upload_batch_file("a.jsonl", input, 6).await.unwrap();
    assert_eq!(forms.recv().await.unwrap().pop().unwrap().content, "first\n");
}

/// Far more than what sockets hold in between.
const LARGE: u64 = 48 * 1024 * 1024;

/// Takes an upload: after its first bytes it says so and waits, then it tells
/// the announced length and the last line that it got.
async fn slow_taker(mut sent: Request, begun: oneshot::Sender<()>, go_on: oneshot::Receiver<()>) -> (u64, Vec<u8>) {
    use futures_util::StreamExt as _;
    let announced = sent.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let mut body = std::mem::replace(sent.body_mut(), Body::empty()).into_data_stream();
    let mut tail = body.next().await.unwrap().unwrap().to_vec();
    begun.send(()).unwrap();
    go_on.await.unwrap();
    while let Some(chunk) = body.next().await {
        tail.extend_from_slice(&chunk.unwrap());
        tail.drain(..tail.len().saturating_sub(200));
    }
    (announced, tail)
}

#[tokio::test]
async fn a_large_file_is_streamed_and_not_held_in_memory() {
    let (begun, has_begun) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel();
    let (told, result) = oneshot::channel();
    let once = Arc::new(std::sync::Mutex::new(Some((begun, may_go_on, told))));
    let client = serve(Router::new().fallback(any(move |sent: Request| {
        let (begun, may_go_on, told) = once.lock().unwrap().take().unwrap();
        async move {
            told.send(slow_taker(sent, begun, may_go_on).await).unwrap();
            r#"{"id":"file-large"}"#
        }
    })))
    .await;
    let input = tempfile::tempfile().unwrap();
    input.set_len(LARGE).unwrap();
    let sent = tokio::fs::File::from_std(input.try_clone().unwrap());
    let upload = tokio::spawn(async move { client.upload_batch_file("a.jsonl", sent, LARGE).await });
    has_begun.await.unwrap();
    // By its place, because both handles share one cursor.
    input.write_all_at(b"written later", LARGE - 13).unwrap();
    go_on.send(()).unwrap();
    assert_eq!(upload.await.unwrap().unwrap(), "file-large");
    let (announced, tail) = result.await.unwrap();
    assert!((LARGE..LARGE + 2000).contains(&announced), "{announced}");
    let later = tail.windows(13).any(|window| window == b"written later");
    assert!(later, "the end was read from the disk only when its turn came");
}

#[tokio::test]
async fn an_upload_says_whether_the_file_may_be_there() {
    let upload = async |client: Client| {
        let (input, bytes) = file(b"{}\n");
        client.upload_batch_file("a.jsonl", input, bytes).await.unwrap_err()
    };
    let refused = upload(answering(413, r#"{"error":{"code":"too_large"}}"#).await).await;
    assert_eq!(refused.to_string(), "refused: HTTP 413 too_large");
    for (status, body) in [(500, "{}"), (200, "{}"), (200, "<html>"), (200, r#"{"id":"../x"}"#)] {
        let error = upload(answering(status, body).await).await;
        assert!(matches!(error, CreateError::Unknown(_)), "{status} {body}: {error}");
    }
    assert_eq!(upload(raw("").await).await, CreateError::Unknown(OpenAiError::Broken));
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = upload(client(&format!("http://{nobody}/v1"))).await;
    assert_eq!(error, CreateError::NotSent(OpenAiError::NoConnection));
}

#[tokio::test]
async fn a_file_shorter_than_announced_is_no_upload() {
    let (client, _forms) = taking_forms().await;
    let (input, bytes) = file(b"{}\n");
    let error = client.upload_batch_file("a.jsonl", input, bytes + 1).await.unwrap_err();
    assert!(matches!(error, CreateError::Unknown(_)), "{error}");
}

#[tokio::test]
async fn what_is_deleted_already_is_deleted() {
    for status in [200, 404] {
        answering(status, "{}").await.delete_file("file-1").await.unwrap();
    }
    let error = answering(500, "{}").await.delete_file("file-1").await.unwrap_err();
    assert_eq!(error.status(), Some(500));
    let client = answering(200, "{}").await;
    assert_eq!(client.delete_file("../batches/x").await, Err(OpenAiError::BadId));
    assert!(matches!(client.file_lines("a/b").await, Err(OpenAiError::BadId)));
}

/// Numbers and texts of all lines, or the error that came.
async fn all(client: &Client) -> Result<Vec<(u64, Option<String>)>, OpenAiError> {
    let mut lines = client.file_lines("file-1").await?;
    let mut found = Vec::new();
    while let Some(line) = lines.next().await? {
        found.push((line.number, line.bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())));
    }
    Ok(found)
}

fn found(lines: &[(u64, &str)]) -> Vec<(u64, Option<String>)> {
    lines.iter().map(|(at, line)| (*at, Some((*line).to_owned()))).collect()
}

#[tokio::test]
async fn lines_come_with_their_numbers_and_bad_ones_cost_only_themselves() {
    let client = answering(200, "\u{feff}a\r\n\n\n{bad\nlast").await;
    assert_eq!(all(&client).await, Ok(found(&[(1, "a"), (4, "{bad"), (5, "last")])));
    assert_eq!(all(&answering(200, "").await).await, Ok(vec![]));

    let long = format!("a\n{}\nb\n", "x".repeat(1_000_000));
    let client = answering(200, long).await;
    assert_eq!(all(&client).await, Ok(vec![(1, Some("a".to_owned())), (2, None), (3, Some("b".to_owned()))]));
    let mut lines = client.file_lines("file-1").await.unwrap();
    lines.next().await.unwrap();
    let too_long = Line::Unreadable { why: "too_long", custom_id: None };
    assert_eq!(lines.next().await.unwrap().unwrap().read(), too_long);
}

#[tokio::test]
async fn a_file_that_was_cut_off_never_seems_to_have_ended() {
    let short = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\na\nb\n";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\na\nb\n\r\n";
    let within = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\na\nb\n";
    let unframed = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\na\nb\nhal";
    for bytes in [short, chunked, within, unframed] {
        let client = raw(bytes).await;
        assert_eq!(all(&client).await, Err(OpenAiError::Truncated), "{bytes:?}");
        let mut lines = client.file_lines("file-1").await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap().number, 1);
        assert_eq!(lines.next().await.unwrap().unwrap().number, 2);
        for _ in 0..3 {
            assert!(matches!(lines.next().await, Err(OpenAiError::Truncated)), "it never ends well later");
        }
    }
    let whole = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\na\nb\n";
    assert_eq!(all(&raw(whole).await).await, Ok(found(&[(1, "a"), (2, "b")])));
}

#[tokio::test]
async fn a_file_that_stops_coming_ends_in_a_timeout() {
    let server = Router::new().fallback(any(|| async {
        use futures_util::StreamExt as _;
        let start = stream::iter([Ok::<_, std::io::Error>("a\nb")]);
        Response::new(Body::from_stream(start.chain(stream::pending())))
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, server).await });
    let impatient = Settings { base_url, read_timeout_ms: 50, ..Settings::default() };
    let mut lines = Client::new(impatient).unwrap().file_lines("file-1").await.unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap().bytes, Some(b"a".as_slice()));
    for _ in 0..2 {
        assert!(matches!(lines.next().await, Err(OpenAiError::TimedOut)));
    }
}

#[tokio::test]
async fn a_file_that_is_gone_is_lost() {
    let Err(error) = answering(404, "{}").await.file_lines("file-1").await else { panic!() };
    assert_eq!(frontdesk::domain::failure::Failure::from(error).to_string(), "lost_to_retention: HTTP 404");
}

/// How many lines a file of OpenAI's may have.
const MOST_LINES: u64 = 50_000;

/// More lines of a kilobyte than sockets hold between a server and its client.
const BETWEEN: u64 = 40_000;

#[tokio::test]
async fn fifty_thousand_lines_pass_through_while_the_server_is_held_back() {
    let (told, mut made) = mpsc::unbounded_channel();
    let server = Router::new().fallback(any(move || {
        let told = told.clone();
        async move {
            let lines = (1..=MOST_LINES).map(move |number| {
                let _ = told.send(number);
                Ok::<_, std::io::Error>(format!("{{\"custom_id\":\"T-{number}\",\"x\":\"{}\"}}\n", "y".repeat(900)))
            });
            Response::new(Body::from_stream(stream::iter(lines)))
        }
    }));
    let client = serve(server).await;
    let mut lines = client.file_lines("file-1").await.unwrap();
    let mut last_made = 0;
    for expected in 1..=MOST_LINES {
        let line = lines.next().await.unwrap().unwrap();
        assert_eq!(line.number, expected);
        if expected % 5_000 == 0 {
            assert_eq!(line.read().custom_id(), Some(format!("T-{expected}").as_str()));
        }
        while let Ok(number) = made.try_recv() {
            last_made = number;
        }
        assert!(last_made < expected + BETWEEN, "more has been taken in than sockets hold");
    }
    assert!(lines.next().await.unwrap().is_none() && lines.next().await.unwrap().is_none());
}

fn input(count: usize) -> String {
    let line = |number| {
        json!({"custom_id": format!("T-{number}"), "method": "POST", "url": "/v1/responses",
               "body": {"model": "gpt-test", "input": format!("<ticket>words {number}</ticket>")}})
    };
    (1..=count).map(|number| format!("{}\n", line(number))).collect()
}

/// The lines of both files of a batch that the simulator has run.
async fn run(faults: Vec<(Fault, f64)>) -> Vec<Line> {
    let quick = frontdesk_simulator::Settings { work_ms: (1, 2), faults, ..Default::default() };
    let simulator = Simulator::start(quick).await.unwrap();
    let base_url = simulator.base_url();
    let client = Client::new(Settings { base_url, ..Settings::default() }).unwrap();
    let text = input(20);
    let (input, bytes) = file(text.as_bytes());
    let input_file_id = client.upload_batch_file("in.jsonl", input, bytes).await.unwrap();
    let metadata = BTreeMap::from([("fd_submission".to_owned(), "sub_1".to_owned())]);
    let new = NewBatch { input_file_id: input_file_id.clone(), endpoint: "/v1/responses".to_owned(), metadata };
    let created = client.create_batch(&new).await.unwrap().resource;
    simulator.idle().await;
    let batch = client.find_batch("fd_submission", "sub_1", 0).await.unwrap().unwrap();
    assert_eq!(batch.id, created.id());
    assert_eq!(batch.input_file_id, Some(input_file_id.clone()));
    let Resource::Batch(fetched) = client.batch(&batch.id).await.unwrap().resource else { panic!() };
    assert_eq!(fetched, batch);
    let mut found = Vec::new();
    for id in [batch.output_file_id, batch.error_file_id].into_iter().flatten() {
        let mut lines = client.file_lines(&id).await.unwrap();
        while let Some(line) = lines.next().await.unwrap() {
            found.push(line.read());
        }
    }
    client.delete_file(&input_file_id).await.unwrap();
    assert_eq!(simulator.count("DELETE", "/v1/files"), 1);
    found
}

#[tokio::test]
async fn a_batch_is_uploaded_started_found_again_and_read_to_its_last_line() {
    let lines = run(vec![]).await;
    assert_eq!(lines.len(), 20);
    assert!(lines.iter().all(|line| matches!(line, Line::Answered { .. })), "{lines:?}");

    let lines = run(vec![(Fault::BatchExpired, 1.0)]).await;
    let expired = |line: &&Line| matches!(line, Line::NotExecuted { code, .. } if code == "batch_expired");
    assert_eq!((lines.len(), lines.iter().filter(expired).count()), (20, 10));

    let lines = run(vec![(Fault::BatchIrregular, 1.0)]).await;
    let unreadable = lines.iter().filter(|line| matches!(line, Line::Unreadable { .. })).count();
    let mut failed: Vec<i64> = lines
        .iter()
        .filter_map(|line| if let Line::Failed { status, .. } = line { Some(*status) } else { None })
        .collect();
    failed.sort_unstable();
    assert_eq!((unreadable, failed), (1, vec![0, 400]));
}
