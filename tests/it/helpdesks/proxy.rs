//! What lies between us and a helpdesk, and goes wrong when a test says so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

/// What becomes of a request that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is carried out; its answer breaks off.
    AnswerLost,
    /// It never arrives, and nobody is told.
    Lost,
    /// It is told to wait for so many seconds.
    Busy(u32),
}

#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    to: String,
    http: reqwest::Client,
    faults: Mutex<VecDeque<Fault>>,
    /// How many changes were asked for.
    changes: Mutex<usize>,
}

impl Proxy {
    /// Listens, and passes on to `to`. Gives the address to ask.
    pub async fn to(to: String) -> (Proxy, String) {
        frontdesk::tls::install_provider();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let proxy = Proxy(Arc::new(Inner { to, http, faults: Mutex::default(), changes: Mutex::default() }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (proxy, url)
    }

    /// The next requests that change something go wrong so, in this order.
    pub fn fail(&self, faults: &[Fault]) {
        self.0.faults.lock().unwrap().extend(faults);
    }

    pub fn changes(&self) -> usize {
        *self.0.changes.lock().unwrap()
    }
}

async fn pass(State(Proxy(inner)): State<Proxy>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let changes = is_change(&parts, &body);
    let fault = if changes { inner.faults.lock().unwrap().pop_front() } else { None };
    *inner.changes.lock().unwrap() += usize::from(changes);
    match fault {
        Some(Fault::Lost) => return broken(StatusCode::OK),
        Some(Fault::Busy(seconds)) => {
            return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())], "busy")
                .into_response();
        }
        _ => {}
    }
    let path = parts.uri.path_and_query().unwrap().as_str();
    let mut headers = parts.headers;
    headers.remove(header::HOST);
    headers.remove(header::CONTENT_LENGTH);
    let asked = inner.http.request(parts.method, format!("{}{path}", inner.to)).headers(headers).body(body);
    let answer = asked.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.unwrap();
    if fault == Some(Fault::AnswerLost) {
        return broken(status);
    }
    answered(status, headers, body)
}

/// Signing in is no change, and a receiver is asked by `POST` for everything.
fn is_change(parts: &Parts, body: &[u8]) -> bool {
    let asks = [&br#""type":"ticket.read""#[..], br#""type":"ping""#];
    let is_question = asks.iter().any(|ask| body.windows(ask.len()).any(|part| part == *ask));
    !parts.method.is_safe() && !parts.uri.path().contains("/oauth") && !is_question
}

fn answered(status: StatusCode, mut headers: HeaderMap, body: Bytes) -> Response {
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::CONNECTION);
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Begins, and breaks off.
fn broken(status: StatusCode) -> Response {
    let ends = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("broken off")) });
    let mut response = Response::new(Body::from_stream(ends));
    *response.status_mut() = status;
    response
}
