//! Starting a batch at OpenAI, and finding it again in a list that may be long.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use axum::routing::any;
use frontdesk::domain::resource::{Batch, Resource, Status, Usage};
use frontdesk::openai::{Client, CreateError, NewBatch, OpenAiError, Settings, read};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// When the batches were made: the newest, and each other one ten seconds before.
const NEWEST_S: i64 = 1_780_000_000;

type Calls = Arc<Mutex<Vec<String>>>;

/// A client of a server that answers so, and what was asked.
async fn serve<F>(answer: F) -> (Client, Calls)
where
    F: Fn(&str, &str) -> (u16, String) + Clone + Send + Sync + 'static,
{
    let calls = Calls::default();
    let seen = Arc::clone(&calls);
    let app = Router::new().fallback(any(move |request: Request| {
        let (answer, seen) = (answer.clone(), Arc::clone(&seen));
        async move {
            let asked = format!("{} {}", request.method(), request.uri());
            let body = axum::body::to_bytes(request.into_body(), 10_000).await.unwrap();
            let (status, told) = answer(&asked, std::str::from_utf8(&body).unwrap());
            seen.lock().unwrap().push(asked);
            let mut answer = Response::new(Body::from(told));
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            answer
        }
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (Client::new(Settings { base_url, ..Settings::default() }).unwrap(), calls)
}

fn batch(number: i64) -> Value {
    json!({"id": format!("batch_{number}"), "object": "batch", "status": "in_progress",
           "created_at": NEWEST_S - 10 * number, "metadata": {"fd_submission": format!("sub_{number}")}})
}

/// The page of `GET /batches?limit=100[&after=batch_N]` out of this many batches.
fn page(asked: &str, total: i64) -> String {
    let query = asked.strip_prefix("GET /v1/batches?limit=100").unwrap();
    let first = match query {
        "" => 0,
        after => after.strip_prefix("&after=batch_").unwrap().parse::<i64>().unwrap() + 1,
    };
    let until = total.min(first + 100);
    let data: Vec<Value> = (first..until).map(batch).collect();
    json!({"object": "list", "data": data, "has_more": until < total}).to_string()
}

async fn find(client: &Client, number: i64, since_s: i64) -> Option<String> {
    let found = client.find_batch("fd_submission", &format!("sub_{number}"), since_s).await.unwrap();
    found.map(|batch| batch.id)
}

#[tokio::test]
async fn a_batch_is_started_once_with_its_window_and_its_metadata() {
    let (client, calls) = serve(|asked, body| {
        assert_eq!(asked, "POST /v1/batches");
        let body: Value = serde_json::from_str(body).unwrap();
        let expected = json!({"input_file_id": "file-1", "endpoint": "/v1/responses",
            "completion_window": "24h", "metadata": {"fd_submission": "sub_1"}});
        assert_eq!(body, expected);
        (200, r#"{"id":"batch_1","status":"validating"}"#.to_owned())
    })
    .await;
    let created = client.create_batch(&new()).await.unwrap();
    assert!(matches!(created.resource, Resource::Batch(batch) if batch.id == "batch_1"));
    assert_eq!(calls.lock().unwrap().len(), 1);
}

fn new() -> NewBatch {
    NewBatch {
        input_file_id: "file-1".to_owned(),
        endpoint: "/v1/responses".to_owned(),
        metadata: BTreeMap::from([("fd_submission".to_owned(), "sub_1".to_owned())]),
    }
}

#[tokio::test]
async fn starting_a_batch_says_what_may_have_been_started_and_repeats_nothing() {
    for (status, body, unknown) in [(500, "{}", true), (200, "{}", true), (400, "{}", false), (429, "{}", false)] {
        let (client, calls) = serve(move |_, _| (status, body.to_owned())).await;
        let error = client.create_batch(&new()).await.unwrap_err();
        assert_eq!(matches!(error, CreateError::Unknown(_)), unknown, "{status}: {error}");
        assert_eq!(matches!(error, CreateError::Refused(_)), !unknown, "{status}: {error}");
        assert_eq!(calls.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_batch_is_found_on_whatever_page_it_is() {
    let (client, calls) = serve(|asked, _| (200, page(asked, 350))).await;
    for (number, pages) in [(0, 1), (99, 1), (100, 2), (349, 4)] {
        calls.lock().unwrap().clear();
        assert_eq!(find(&client, number, 0).await, Some(format!("batch_{number}")));
        assert_eq!(calls.lock().unwrap().len(), pages, "{number}");
    }
    assert_eq!(find(&client, 350, 0).await, None);
    assert_eq!(client.find_batch("other_key", "sub_1", 0).await, Ok(None));
}

#[tokio::test]
async fn looking_ends_at_batches_that_are_older_and_allows_for_clocks_that_differ() {
    let (client, calls) = serve(|asked, _| (200, page(asked, 1_000))).await;
    assert_eq!(find(&client, 60, NEWEST_S).await.as_deref(), Some("batch_60"), "ten minutes are allowed for");
    assert_eq!(find(&client, 250, NEWEST_S).await, None);
    assert_eq!(calls.lock().unwrap().len(), 2, "one page each");
}

#[tokio::test]
async fn nothing_is_concluded_from_what_is_no_list() {
    for body in ["{}", r#"{"data":null}"#, r#"{"data":{}}"#, r#"{"error":{"code":"x"}}"#, "[]", "<html>", ""] {
        let (client, _) = serve(move |_, _| (200, body.to_owned())).await;
        let error = client.find_batch("fd_submission", "sub_1", 0).await.unwrap_err();
        assert!(matches!(error, OpenAiError::Unreadable { .. } | OpenAiError::Truncated), "{body}: {error}");
    }
    let (client, _) = serve(|_, _| (200, r#"{"data":[{"status":"x"}, 7],"has_more":true}"#.to_owned())).await;
    assert_eq!(client.find_batch("k", "v", 0).await, Err(OpenAiError::NoId));
    let (client, _) = serve(|_, _| (200, r#"{"data":[{"id":"../x"}],"has_more":true}"#.to_owned())).await;
    assert_eq!(client.find_batch("k", "v", 0).await, Err(OpenAiError::NoId));
    let (client, _) = serve(|_, _| (503, String::new())).await;
    assert_eq!(client.find_batch("k", "v", 0).await.unwrap_err().status(), Some(503));
    for body in [r#"{"data":[]}"#, r#"{"data":[{}],"has_more":false}"#] {
        let (client, _) = serve(move |_, _| (200, body.to_owned())).await;
        assert_eq!(client.find_batch("k", "v", 0).await, Ok(None), "{body}");
    }
}

#[tokio::test]
async fn a_list_without_an_end_is_given_up() {
    let same = json!({"data": [batch(1)], "has_more": true}).to_string();
    let (client, calls) = serve(move |_, _| (200, same.clone())).await;
    let error = client.find_batch("fd_submission", "sub_2", 0).await.unwrap_err();
    assert_eq!(error, OpenAiError::Endless { pages: calls.lock().unwrap().len() });
}

#[tokio::test]
async fn a_batch_is_cancelled_at_its_path() {
    let (client, calls) = serve(|_, _| (200, r#"{"id":"batch_1","status":"cancelling"}"#.to_owned())).await;
    let Resource::Batch(batch) = client.cancel_batch("batch_1").await.unwrap().resource else { panic!() };
    assert_eq!(batch.status, Status::Moving("cancelling".to_owned()));
    assert_eq!(*calls.lock().unwrap(), ["POST /v1/batches/batch_1/cancel"]);
    assert_eq!(client.cancel_batch("../files").await.unwrap_err(), OpenAiError::BadId);
}

#[test]
fn a_batch_tells_where_it_came_from_and_what_it_used() {
    let read = |body: Value| -> Batch { read::batch(&body.to_string()).unwrap() };
    let batch = read(json!({"id": "batch_1", "endpoint": "/v1/responses", "input_file_id": "file-1",
        "created_at": 1_780_000_000.5, "usage": {"input_tokens": 7, "output_tokens": 9, "total_tokens": 16,
        "input_tokens_details": {"cached_tokens": 0}}}));
    assert_eq!((batch.endpoint.as_deref(), batch.input_file_id.as_deref()), (Some("/v1/responses"), Some("file-1")));
    assert_eq!(batch.created_at_s, Some(1_780_000_000));
    assert_eq!(batch.usage, Usage { input_tokens: Some(7), output_tokens: Some(9) });
    for odd in [json!(null), json!("x"), json!({"input_tokens": -1, "output_tokens": "9"}), json!([])] {
        let batch = read(json!({"id": "b", "usage": odd, "endpoint": 7, "input_file_id": "", "created_at": "x"}));
        assert_eq!(batch.usage, Usage::default(), "{odd}");
        assert_eq!((batch.endpoint, batch.input_file_id, batch.created_at_s), (None, None, None));
    }
}
