//! The OpenAI client against a server that answers badly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::routing::any;
use frontdesk::domain::event::is_path_safe;
use frontdesk::domain::failure::{Cause, Failure};
use frontdesk::domain::resource::{Resource, Status};
use frontdesk::openai::client::{Client, Settings};
use frontdesk::openai::error::{CreateError, OpenAiError};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const RESPONSE: &str = r#"{"id":"resp_1","object":"response","status":"completed","output":[]}"#;

struct Server {
    base_url: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    /// A server that gives every request this answer.
    async fn answering<F, R>(answer: F) -> Server
    where
        F: Fn(String, HeaderMap) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let requests = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&requests);
        let app = Router::new().fallback(any(move |request: axum::extract::Request| {
            seen.fetch_add(1, Ordering::SeqCst);
            let path = format!("{} {}", request.method(), request.uri());
            answer(path, request.headers().clone())
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Server { base_url, requests }
    }

    async fn fixed(status: u16, headers: &'static [(&'static str, &'static str)], body: &'static str) -> Server {
        Server::answering(move |_, _| async move { reply(status, headers, body) }).await
    }

    fn client(&self) -> Client {
        Client::new(settings(&self.base_url)).unwrap()
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn reply(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Response<Body> {
    let mut reply = Response::new(Body::from(body));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        reply.headers_mut().insert(*name, value.parse().unwrap());
    }
    reply
}

fn settings(base_url: &str) -> Settings {
    Settings {
        base_url: base_url.to_owned(),
        api_key: Some("sk-secret".to_owned()),
        connect_timeout_ms: 1000,
        read_timeout_ms: 5000,
        max_body_bytes: 4096,
    }
}

/// A server that writes these bytes to the first connection and closes it.
async fn raw(bytes: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(bytes.as_bytes()).await;
        }
    });
    base_url
}

fn retry_after_ms(failure: &Failure) -> Option<i64> {
    match failure {
        Failure::Retryable { retry_after_ms, .. } => *retry_after_ms,
        Failure::Final { .. } => None,
    }
}

#[tokio::test]
async fn a_response_is_fetched_with_its_raw_json_and_request_id() {
    let server = Server::answering(|path, headers| async move {
        assert_eq!(path, "GET /v1/responses/resp_1");
        assert_eq!(headers[header::AUTHORIZATION], "Bearer sk-secret");
        assert!(headers[header::USER_AGENT].to_str().unwrap().starts_with("frontdesk/"));
        assert!(!headers.contains_key(header::ACCEPT_ENCODING));
        reply(200, &[("x-request-id", "req_1"), ("openai-poll-after-ms", "1500")], RESPONSE)
    })
    .await;
    let fetched = server.client().response("resp_1").await.unwrap();
    assert_eq!(fetched.raw, RESPONSE);
    assert_eq!(fetched.request_id.as_deref(), Some("req_1"));
    assert_eq!(fetched.poll_after_ms, Some(1500));
    assert!(!format!("{fetched:?}").contains("completed"));
    let Resource::Response(response) = fetched.resource else { panic!() };
    assert_eq!(response.status, Status::Completed);
}

#[tokio::test]
async fn a_batch_is_fetched_and_a_response_cancelled_at_their_paths() {
    let server = Server::answering(|path, _| async move {
        match path.as_str() {
            "GET /v1/batches/batch_1" => reply(200, &[], r#"{"id":"batch_1","status":"expired"}"#),
            "POST /v1/responses/resp_1/cancel" => reply(200, &[], r#"{"id":"resp_1","status":"cancelled"}"#),
            other => panic!("{other}"),
        }
    })
    .await;
    let client = server.client();
    let Resource::Batch(batch) = client.batch("batch_1").await.unwrap().resource else { panic!() };
    assert_eq!(batch.status, Status::Expired);
    let cancelled = client.cancel_response("resp_1").await.unwrap().resource;
    assert!(matches!(cancelled, Resource::Response(response) if response.status == Status::Cancelled));
}

#[tokio::test]
async fn too_many_requests_carry_the_quiet_asked_for() {
    let body = r#"{"error":{"message":"secret words","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
    let server = Server::fixed(429, &[("retry-after", "7"), ("x-request-id", "req_2")], body).await;
    let failure = Failure::from(server.client().response("resp_1").await.unwrap_err());
    assert_eq!(failure.cause(), Cause::OpenAiRateLimited);
    assert_eq!(retry_after_ms(&failure), Some(7000));
    assert_eq!(failure.to_string(), "openai_rate_limited: HTTP 429 rate_limit_exceeded (req_2)");
    assert_eq!(server.requests(), 1, "the client repeats nothing");
}

#[tokio::test]
async fn an_empty_account_is_told_apart_from_too_many_requests() {
    let body = r#"{"error":{"message":"…","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let server = Server::fixed(429, &[], body).await;
    let failure = Failure::from(server.client().response("resp_1").await.unwrap_err());
    assert_eq!(failure.cause(), Cause::OpenAiQuota);
}

#[tokio::test]
async fn server_errors_may_pass_and_are_not_repeated_by_the_client() {
    let server = Server::fixed(500, &[], "<html>secret</html>").await;
    let error = server.client().response("resp_1").await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"));
    assert!(matches!(Failure::from(error), Failure::Retryable { cause: Cause::OpenAiServer, .. }));
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn what_openai_no_longer_has_is_final() {
    let server = Server::fixed(404, &[], "{}").await;
    let failure = Failure::from(server.client().response("resp_1").await.unwrap_err());
    assert!(matches!(failure, Failure::Final { cause: Cause::LostToRetention, .. }));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::fixed(302, &[("location", "/v1/elsewhere")], "").await;
    let failure = Failure::from(server.client().response("resp_1").await.unwrap_err());
    assert_eq!(failure.to_string(), "openai_unreadable: HTTP 302");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn an_oversized_body_is_refused_with_and_without_its_length_announced() {
    let announced = Server::answering(|_, _| async { Response::new(Body::from(vec![b' '; 5000])) }).await;
    let streamed = Server::answering(|_, _| async {
        let chunks = (0..50).map(|_| Ok::<_, std::io::Error>(vec![b' '; 100]));
        Response::new(Body::from_stream(futures_util::stream::iter(chunks)))
    })
    .await;
    for server in [announced, streamed] {
        let error = server.client().response("resp_1").await.unwrap_err();
        assert_eq!(error, OpenAiError::TooLarge { limit_bytes: 4096 });
    }
}

#[tokio::test]
async fn a_length_that_is_too_large_is_refused_before_the_body_is_read() {
    let base_url = raw("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{").await;
    let client = Client::new(settings(&base_url)).unwrap();
    let error = client.response("resp_1").await.unwrap_err();
    assert_eq!(error, OpenAiError::TooLarge { limit_bytes: 4096 });
}

#[tokio::test]
async fn a_truncated_body_is_unreadable_and_may_pass() {
    let short = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"id\":\"resp_1\",";
    let unannounced = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"id\":\"resp_1\",";
    for bytes in [short, unannounced] {
        let client = Client::new(settings(&raw(bytes).await)).unwrap();
        let error = client.response("resp_1").await.unwrap_err();
        assert_eq!(error, OpenAiError::Truncated);
        assert!(matches!(Failure::from(error), Failure::Retryable { cause: Cause::OpenAiUnreadable, .. }));
    }
}

#[tokio::test]
async fn another_object_than_the_one_asked_for_is_unreadable() {
    let server = Server::fixed(200, &[], RESPONSE).await;
    let error = server.client().response("resp_2").await.unwrap_err();
    assert_eq!(error, OpenAiError::OtherId);
}

#[tokio::test]
async fn headers_that_never_come_end_in_a_timeout() {
    let server = Server::answering(|_, _| std::future::pending()).await;
    let impatient = Settings { read_timeout_ms: 50, ..settings(&server.base_url) };
    let client = Client::new(impatient).unwrap();
    assert_eq!(client.response("resp_1").await.unwrap_err(), OpenAiError::TimedOut);
    let created = client.create_response(&json!({})).await.unwrap_err();
    assert_eq!(created, CreateError::Unknown(OpenAiError::TimedOut));
}

#[tokio::test]
async fn a_body_that_stops_in_the_middle_ends_in_a_timeout() {
    let server = Server::answering(|_, _| async {
        use futures_util::StreamExt as _;
        let start = futures_util::stream::iter([Ok::<_, std::io::Error>("{")]);
        Response::new(Body::from_stream(start.chain(futures_util::stream::pending())))
    })
    .await;
    let impatient = Settings { read_timeout_ms: 50, ..settings(&server.base_url) };
    let error = Client::new(impatient).unwrap().response("resp_1").await.unwrap_err();
    assert_eq!(error, OpenAiError::TimedOut);
}

#[tokio::test]
async fn ids_that_are_none_are_never_sent() {
    let server = Server::fixed(200, &[], RESPONSE).await;
    let client = server.client();
    let long = "a".repeat(129);
    for id in ["", "../files/x", "a/b", "a?b", "a b", "é", "a%2e", long.as_str()] {
        assert!(!is_path_safe(id));
        assert_eq!(client.response(id).await.unwrap_err(), OpenAiError::BadId);
        assert_eq!(client.batch(id).await.unwrap_err(), OpenAiError::BadId);
        assert_eq!(client.cancel_response(id).await.unwrap_err(), OpenAiError::BadId);
    }
    assert!(is_path_safe("resp_68-A") && is_path_safe(&"a".repeat(128)));
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn creating_sends_the_body_once_and_says_what_may_have_been_started() {
    let server = Server::answering(|path, headers| async move {
        assert_eq!(path, "POST /v1/responses");
        assert_eq!(headers[header::CONTENT_TYPE], "application/json");
        reply(200, &[], r#"{"id":"resp_7","status":"queued"}"#)
    })
    .await;
    let created = server.client().create_response(&json!({"model": "m"})).await.unwrap();
    assert!(matches!(created.resource, Resource::Response(response) if response.id == "resp_7"));

    let broken = Server::fixed(500, &[("x-should-retry", "true")], "").await;
    let error = broken.client().create_response(&json!({})).await.unwrap_err();
    assert!(matches!(error, CreateError::Unknown(_)));
    assert_eq!(broken.requests(), 1);

    let refusing = Server::fixed(400, &[], r#"{"error":{"code":"invalid_prompt"}}"#).await;
    let error = refusing.client().create_response(&json!({})).await.unwrap_err();
    assert!(matches!(error, CreateError::Refused(_)));
    assert_eq!(error.to_string(), "refused: HTTP 400 invalid_prompt");
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_it_unknown_and_one_never_made_does_not() {
    let client = Client::new(settings(&raw("").await)).unwrap();
    let error = client.create_response(&json!({})).await.unwrap_err();
    assert_eq!(error, CreateError::Unknown(OpenAiError::Broken));

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", closed.local_addr().unwrap());
    drop(closed);
    let client = Client::new(settings(&base_url)).unwrap();
    let error = client.create_response(&json!({})).await.unwrap_err();
    assert_eq!(error, CreateError::NotSent(OpenAiError::NoConnection));
    let failure = Failure::from(client.response("resp_1").await.unwrap_err());
    assert_eq!(failure.cause(), Cause::OpenAiUnreachable);
}

#[test]
fn settings_that_cannot_work_are_refused_and_show_no_key() {
    let table = [
        ("https://api.openai.com/v1", true),
        ("https://api.openai.com/v1/", true),
        ("http://127.0.0.1:4010/v1", true),
        ("http://[::1]:4010/v1", true),
        ("http://localhost:4010", true),
        ("http://api.openai.com/v1", false),
        ("http://127.0.0.1.example.org", false),
        ("ftp://127.0.0.1", false),
        ("https://user:pass@api.openai.com/v1", false),
        ("https://api.openai.com/v1?x=1", false),
        ("api.openai.com", false),
    ];
    for (base_url, works) in table {
        assert_eq!(Client::new(settings(base_url)).is_ok(), works, "{base_url}");
    }
    let odd_key = Settings { api_key: Some("sk-\nsecret".to_owned()), ..Settings::default() };
    let error = Client::new(odd_key.clone()).unwrap_err();
    let client = Client::new(settings("https://api.openai.com/v1")).unwrap();
    assert!(!format!("{odd_key:?} {error} {error:?} {client:?}").contains("secret"));
}
