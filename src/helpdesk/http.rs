//! One request to a helpdesk, one answer, and what that means. Nothing is
//! repeated here: that is a state of the job.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Url, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::HelpdeskError;
use super::pace::Pace;
use crate::clock::Clock;

/// Largest answer that is read, in bytes.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
/// When a helpdesk that wants quiet does not say for how long, in ms.
const QUIET_MS: i64 = 30_000;
/// Longest quiet that is believed, in ms.
const MAX_QUIET_MS: i64 = 3_600_000;

/// How to reach a helpdesk.
#[derive(Clone)]
pub struct Settings {
    /// Without the path of its API. Plain `http` only to a loopback address.
    pub url: String,
    /// Sent with every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Limit for making a connection.
    pub connect_timeout: Duration,
    /// Limit for each wait for bytes; a whole answer gets twice this.
    pub read_timeout: Duration,
    /// No more requests than this in a minute, for the sake of others; none: as the
    /// helpdesk says.
    pub per_minute: Option<u32>,
}

/// Asks a helpdesk. Cheap to clone: clones share their connections and their pace.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    base: Url,
    pace: Arc<Pace>,
    clock: Clock,
}

/// What came back.
pub(super) struct Answer {
    /// Of a success.
    pub(super) headers: HeaderMap,
    /// JSON; null when there is no body.
    pub(super) body: Value,
}

impl Answer {
    /// In the shape that is expected.
    pub(super) fn shaped<T: DeserializeOwned>(self) -> Result<T, HelpdeskError> {
        serde_json::from_value(self.body)
            .map_err(|_| HelpdeskError::Unavailable("its answer has another shape".to_owned()))
    }
}

impl Http {
    /// Makes no connection yet.
    ///
    /// # Errors
    /// When the address cannot be used; says why.
    pub fn new(settings: Settings, clock: Clock) -> Result<Http, String> {
        let base =
            Url::parse(settings.url.trim().trim_end_matches('/')).map_err(|_| "the URL is not a URL".to_owned())?;
        let loopback = check(&base)?;
        crate::tls::install_provider();
        let mut headers = HeaderMap::new();
        for (name, mut value) in settings.headers {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let builder = reqwest::Client::builder()
            .user_agent(concat!("frontdesk/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .https_only(!loopback)
            .connect_timeout(settings.connect_timeout)
            .read_timeout(settings.read_timeout)
            .timeout(settings.connect_timeout + settings.read_timeout * 2);
        let builder = if loopback { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|_| "no client could be made".to_owned())?;
        Ok(Http { client, base, pace: Arc::new(Pace::new(settings.per_minute)), clock })
    }

    /// What time it is, in ms.
    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// The address of a path below the helpdesk's, each part escaped.
    pub(super) fn url(&self, parts: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }

    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Reads. Whatever happens, nothing was changed.
    pub(super) async fn read(&self, request: RequestBuilder) -> Result<Answer, HelpdeskError> {
        match self.send(request).await {
            Err(HelpdeskError::Unknown(why)) => Err(HelpdeskError::Unavailable(why)),
            answer => answer,
        }
    }

    /// Changes something, once. When it is not known whether that was done, it is
    /// [`HelpdeskError::Unknown`].
    pub(super) async fn change(&self, request: RequestBuilder) -> Result<Answer, HelpdeskError> {
        self.send(request).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, HelpdeskError> {
        let now_ms = self.clock.now_ms();
        self.pace.take(now_ms).map_err(|after_ms| HelpdeskError::Busy { after_ms })?;
        let mut response = request.send().await.map_err(|error| lost(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.pace.heard(&headers, now_ms);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
            if bytes.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(HelpdeskError::Unknown("its answer is too large".to_owned()));
            }
            bytes.extend_from_slice(&chunk);
        }
        if status.as_u16() == 429 {
            let after_ms = quiet_ms(&headers);
            self.pace.quiet_until(now_ms + after_ms);
            return Err(HelpdeskError::Busy { after_ms });
        }
        match status.as_u16() {
            200..=299 => {}
            // Another address, or a page of a proxy: not the API that was asked.
            300..=399 => return Err(HelpdeskError::Refused(format!("HTTP {status}, which leads elsewhere"))),
            401 | 403 => return Err(HelpdeskError::Forbidden(format!("HTTP {}", status.as_u16()))),
            404 | 410 => return Err(HelpdeskError::NoTicket),
            409 | 412 => return Err(HelpdeskError::Conflict),
            408 | 500..=599 => return Err(HelpdeskError::Unknown(format!("HTTP {}", status.as_u16()))),
            _ => return Err(HelpdeskError::Refused(format!("HTTP {}", status.as_u16()))),
        }
        let body = match bytes.iter().all(u8::is_ascii_whitespace) {
            true => Value::Null,
            false => serde_json::from_slice(&bytes)
                .map_err(|_| HelpdeskError::Unknown("its answer is not JSON".to_owned()))?,
        };
        Ok(Answer { headers, body })
    }
}

/// Whether it is this machine, and nobody listens in between.
fn check(base: &Url) -> Result<bool, String> {
    if !base.username().is_empty() || base.password().is_some() {
        return Err("the URL must not hold a password".to_owned());
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err("the URL must end with its path".to_owned());
    }
    let host = base.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match base.scheme() {
        "https" => Ok(loopback),
        "http" if loopback => Ok(true),
        _ => Err("the URL must begin with https:// (http:// is for this machine only)".to_owned()),
    }
}

/// A request that was not sent has changed nothing; of one that was it is not known.
fn lost(error: &reqwest::Error) -> HelpdeskError {
    match error {
        error if error.is_builder() => HelpdeskError::Refused("the request could not be made".to_owned()),
        error if error.is_connect() => HelpdeskError::Unavailable("no connection".to_owned()),
        error if error.is_timeout() => HelpdeskError::Unknown("no answer in time".to_owned()),
        _ => HelpdeskError::Unknown("the connection broke off".to_owned()),
    }
}

fn quiet_ms(headers: &HeaderMap) -> i64 {
    let said =
        headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse::<i64>().ok());
    said.map_or(QUIET_MS, |seconds| seconds.saturating_mul(1000)).clamp(1_000, MAX_QUIET_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_this_machine_and_holds_no_password() {
        let checked = |url: &str| check(&Url::parse(url).unwrap());
        assert_eq!(checked("https://desk.example.com/rt"), Ok(false));
        assert_eq!(checked("http://127.0.0.1:8480"), Ok(true));
        for url in [
            "http://desk.example.com",
            "https://a:b@desk.example.com",
            "https://desk.example.com?x=1",
            "ftp://localhost",
        ] {
            assert!(checked(url).is_err(), "{url}");
        }
    }

    #[test]
    fn quiet_is_as_long_as_the_helpdesk_says_within_reason() {
        let of = |text: &str| quiet_ms(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]));
        assert_eq!((of("7"), of("0"), of("soon"), of("999999")), (7_000, 1_000, QUIET_MS, MAX_QUIET_MS));
    }
}
