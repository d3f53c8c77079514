//! Sending one signed webhook.

use crate::clock;
use crate::signing::Signer;
use bytes::Bytes;
use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use std::time::Duration;

/// What OpenAI's deliveries call themselves.
const AGENT: &str = "OpenAI/1.0 (+https://platform.openai.com/docs/webhooks)";

/// How much of a receiver's answer is read, so that its connection can be used again.
const ANSWER_LIMIT: usize = 64 * 1024;

/// A client that follows no redirect and goes straight to its target.
pub(crate) fn client(timeout: Duration, connections: usize) -> Result<Client, String> {
    // A second installation fails, and is no matter.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(timeout)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(connections)
    };
    builder()
        .build()
        // A machine with no certificates can still send to http://.
        .or_else(|_| builder().tls_certs_only([]).build())
        .map_err(|error| reason(&error))
}

/// One delivery: the body under an id, dated when it is sent or as told.
pub(crate) struct Letter<'a> {
    pub(crate) url: &'a str,
    pub(crate) webhook_id: &'a str,
    pub(crate) body: Bytes,
    pub(crate) age_s: i64,
}

/// Sends a letter; the status, or in a few words why there is none.
pub(crate) async fn post(client: &Client, signer: &Signer, letter: Letter<'_>) -> Result<u16, String> {
    let headers = headers(signer, &letter)?;
    let mut answer =
        client.post(letter.url).headers(headers).body(letter.body).send().await.map_err(|error| reason(&error))?;
    let status = answer.status().as_u16();
    let mut read = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        read += chunk.len();
        if read > ANSWER_LIMIT {
            break;
        }
    }
    Ok(status)
}

fn headers(signer: &Signer, letter: &Letter<'_>) -> Result<HeaderMap, String> {
    let timestamp_s = clock::now_s() - letter.age_s;
    let signature = signer.sign(letter.webhook_id, timestamp_s, &letter.body);
    let mut headers = HeaderMap::with_capacity(5);
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in [
        ("webhook-id", letter.webhook_id),
        ("webhook-timestamp", timestamp_s.to_string().as_str()),
        ("webhook-signature", signature.as_str()),
    ] {
        let value = HeaderValue::from_str(value).map_err(|_| format!("{name} is not a header"))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

/// The cause in a few words; the URL may hold a secret and is left out.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".into();
    }
    if error.is_connect() {
        return "could not connect".into();
    }
    if error.is_builder() {
        return "not a URL that can be posted to".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string().chars().take(200).collect()
}
