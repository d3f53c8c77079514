//! The client: one request, one answer. It repeats nothing by itself, because
//! retrying is a state of the job in the database and creating twice costs twice.

use std::fmt;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Url, redirect};

use crate::domain::event::is_path_safe;
use crate::domain::resource::Resource;

use super::error::{Answer, CreateError, OpenAiError};
use super::types::FaultJson;
use super::{headers, read};

/// How many idle connections are kept: as many as there may be requests at once.
const IDLE_CONNECTIONS: usize = 512;

/// Room made for a body before the first byte of it is seen.
const MAX_RESERVED_BYTES: usize = 256 * 1024;

/// How much of an error's body is read for its code.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// How to reach OpenAI.
#[derive(Clone)]
pub struct Settings {
    /// With the version, as `https://api.openai.com/v1`. Plain `http` only to a
    /// loopback address.
    pub base_url: String,
    /// Sent as a bearer token; nothing is sent when there is none.
    pub api_key: Option<String>,
    /// Limit for making a connection, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Limit for each wait for bytes, in milliseconds; a whole answer gets twice
    /// this beyond the connection, so that a trickle ends as well.
    pub read_timeout_ms: u64,
    /// Largest answer that is read, in bytes.
    pub max_body_bytes: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            base_url: "https://api.openai.com/v1".to_owned(),
            api_key: None,
            connect_timeout_ms: 5_000,
            read_timeout_ms: 30_000,
            max_body_bytes: 8 * 1024 * 1024,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("base_url", &self.base_url)
            .field("api_key", &self.api_key.as_ref().map(|_| "set"))
            .field("connect_timeout_ms", &self.connect_timeout_ms)
            .field("read_timeout_ms", &self.read_timeout_ms)
            .field("max_body_bytes", &self.max_body_bytes)
            .finish()
    }
}

/// One fetched object. `Debug` shows ids and sizes only.
#[derive(Clone, PartialEq)]
pub struct Fetched {
    /// The object in our words.
    pub resource: Resource,
    /// The JSON as it came, kept beside: it has what our words leave out.
    pub raw: String,
    /// OpenAI's `x-request-id`, for its support.
    pub request_id: Option<String>,
    /// When OpenAI advises to ask again, in milliseconds from now, at most one hour.
    pub poll_after_ms: Option<i64>,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("id", &self.resource.id())
            .field("raw_bytes", &self.raw.len())
            .field("request_id", &self.request_id)
            .field("poll_after_ms", &self.poll_after_ms)
            .finish()
    }
}

/// Talks to OpenAI. Cheap to clone: clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) http: reqwest::Client,
    /// For whole files, without the limits that are meant for short answers:
    /// whoever sends with it sets its own.
    pub(super) transfers: reqwest::Client,
    pub(super) base_url: String,
    pub(super) max_body_bytes: usize,
    /// Limit for each wait for bytes.
    pub(super) wait: Duration,
    /// Limit for a whole short answer.
    pub(super) whole: Duration,
}

impl Client {
    /// A client with these settings. Makes no connection yet.
    ///
    /// # Errors
    /// `Settings`, when the address or the key cannot be used.
    pub fn new(settings: Settings) -> Result<Client, OpenAiError> {
        let loopback = check_base_url(&settings.base_url)?;
        let connect = Duration::from_millis(settings.connect_timeout_ms);
        let read = Duration::from_millis(settings.read_timeout_ms);
        crate::tls::install_provider();
        let whole = connect.saturating_add(read.saturating_mul(2));
        let builder = || -> Result<reqwest::ClientBuilder, OpenAiError> {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("frontdesk/", env!("CARGO_PKG_VERSION")))
                .default_headers(default_headers(settings.api_key.as_deref())?)
                .redirect(redirect::Policy::none())
                .retry(reqwest::retry::never())
                .http1_only()
                .https_only(!loopback)
                .connect_timeout(connect);
            Ok(if loopback { builder.no_proxy() } else { builder })
        };
        let short = builder()?.pool_max_idle_per_host(IDLE_CONNECTIONS).read_timeout(read).timeout(whole);
        Ok(Client {
            http: built(short)?,
            transfers: built(builder()?)?,
            base_url: settings.base_url.trim().trim_end_matches('/').to_owned(),
            max_body_bytes: settings.max_body_bytes,
            wait: read,
            whole,
        })
    }

    /// Fetches a response.
    ///
    /// # Errors
    /// Anything of [`OpenAiError`] but `Settings`.
    pub async fn response(&self, id: &str) -> Result<Fetched, OpenAiError> {
        let request = self.by_id(Method::GET, "responses", id, "")?;
        self.fetch(request, Some(id), read_response).await
    }

    /// Fetches a batch.
    ///
    /// # Errors
    /// As [`Client::response`].
    pub async fn batch(&self, id: &str) -> Result<Fetched, OpenAiError> {
        let request = self.by_id(Method::GET, "batches", id, "")?;
        self.fetch(request, Some(id), read_batch).await
    }

    /// Cancels a background response; cancelling again is harmless.
    ///
    /// # Errors
    /// As [`Client::response`].
    pub async fn cancel_response(&self, id: &str) -> Result<Fetched, OpenAiError> {
        let request = self.by_id(Method::POST, "responses", id, "/cancel")?;
        self.fetch(request, Some(id), read_response).await
    }

    /// Starts a response with this body. Sent once, whatever happens.
    ///
    /// # Errors
    /// Sorted by whether something may have been started.
    pub async fn create_response(&self, body: &serde_json::Value) -> Result<Fetched, CreateError> {
        let request = self
            .http
            .post(format!("{}/responses", self.base_url))
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        Ok(self.fetch(request, None, read_response).await?)
    }

    pub(super) fn by_id(
        &self,
        method: Method,
        kind: &str,
        id: &str,
        verb: &str,
    ) -> Result<RequestBuilder, OpenAiError> {
        Ok(self.http.request(method, self.url_by_id(kind, id, verb)?))
    }

    pub(super) fn url_by_id(&self, kind: &str, id: &str, verb: &str) -> Result<String, OpenAiError> {
        if !is_path_safe(id) {
            return Err(OpenAiError::BadId);
        }
        Ok(format!("{}/{kind}/{id}{verb}", self.base_url))
    }

    pub(super) async fn fetch(
        &self,
        request: RequestBuilder,
        id: Option<&str>,
        read: impl Fn(&str) -> Result<Resource, OpenAiError>,
    ) -> Result<Fetched, OpenAiError> {
        let answer = request.send().await.map_err(|error| unsent(&error))?;
        let head = answer.headers();
        let request_id = headers::request_id(head);
        let poll_after_ms = headers::poll_after_ms(head);
        if !answer.status().is_success() {
            return Err(refusal(answer, id.is_some()).await);
        }
        let bytes = body(answer, self.max_body_bytes).await?;
        let raw = String::from_utf8(bytes).map_err(|_| OpenAiError::Unreadable { line: 0, column: 0 })?;
        let resource = read(&raw)?;
        if id.is_some_and(|id| id != resource.id()) {
            return Err(OpenAiError::OtherId);
        }
        Ok(Fetched { resource, raw, request_id, poll_after_ms })
    }
}

fn read_response(raw: &str) -> Result<Resource, OpenAiError> {
    read::response(raw).map(Resource::Response)
}

pub(super) fn read_batch(raw: &str) -> Result<Resource, OpenAiError> {
    read::batch(raw).map(Resource::Batch)
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, OpenAiError> {
    builder
        .build()
        .map_err(|_| OpenAiError::Settings("the HTTP client cannot be built; are CA certificates installed?"))
}

/// Reads a body up to `limit_bytes`.
pub(super) async fn body(mut answer: reqwest::Response, limit_bytes: usize) -> Result<Vec<u8>, OpenAiError> {
    let too_large = OpenAiError::TooLarge { limit_bytes };
    let announced = match answer.content_length().map(usize::try_from) {
        Some(Ok(length)) if length <= limit_bytes => length,
        Some(_) => return Err(too_large),
        None => 0,
    };
    let mut bytes = Vec::with_capacity(announced.min(MAX_RESERVED_BYTES));
    while let Some(chunk) = answer.chunk().await.map_err(|error| unread(&error))? {
        if bytes.len().saturating_add(chunk.len()) > limit_bytes {
            return Err(too_large);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The error that an answer other than 2xx is. Its body is only read for the code,
/// and does without when it cannot be read.
pub(super) async fn refusal(answer: reqwest::Response, by_id: bool) -> OpenAiError {
    let status = answer.status().as_u16();
    let head = answer.headers();
    let request_id = headers::request_id(head);
    let retry_after_ms = headers::retry_after_ms(head);
    let should_retry = headers::should_retry(head);
    let bytes = body(answer, MAX_ERROR_BYTES).await.unwrap_or_default();
    let code = serde_json::from_slice::<FaultJson<'_>>(&bytes)
        .ok()
        .and_then(|FaultJson { error }| error.0.code.get().or(error.0.kind.get()).map(read::code));
    OpenAiError::Status(Box::new(Answer { status, code, request_id, retry_after_ms, should_retry, by_id }))
}

/// An error before the answer began. Only a failed connection is sure to have
/// sent nothing.
pub(super) fn unsent(error: &reqwest::Error) -> OpenAiError {
    if error.is_connect() {
        OpenAiError::NoConnection
    } else if error.is_timeout() {
        OpenAiError::TimedOut
    } else if error.is_builder() {
        OpenAiError::Settings("the request cannot be built")
    } else {
        OpenAiError::Broken
    }
}

/// An error in the middle of the answer.
pub(super) fn unread(error: &reqwest::Error) -> OpenAiError {
    if error.is_timeout() { OpenAiError::TimedOut } else { OpenAiError::Truncated }
}

/// Whether the address is on this machine.
fn check_base_url(base_url: &str) -> Result<bool, OpenAiError> {
    let url = Url::parse(base_url.trim()).map_err(|_| OpenAiError::Settings("the base URL is not a URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(OpenAiError::Settings("the base URL must not hold a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(OpenAiError::Settings("the base URL must end with its path"));
    }
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => Ok(loopback),
        "http" if loopback => Ok(true),
        _ => Err(OpenAiError::Settings("the base URL must begin with https:// (http:// is for this machine only)")),
    }
}

fn default_headers(api_key: Option<&str>) -> Result<HeaderMap, OpenAiError> {
    let mut headers = HeaderMap::new();
    if let Some(key) = api_key {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", key.trim()))
            .map_err(|_| OpenAiError::Settings("the API key has characters that cannot be sent"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}
