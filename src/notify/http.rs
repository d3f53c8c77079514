//! One POST to a fixed address: no redirects, no second try, the answer's body
//! never read.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Url, redirect};

use super::{NotSent, Unusable};

/// Limit for making a connection, and for all of it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);

/// An address that takes JSON.
pub(super) struct Post {
    http: Client,
    url: Url,
}

impl Post {
    /// `setting` names the address in errors, since the address may be a secret.
    pub(super) fn new(setting: &'static str, url: &str) -> Result<Post, Unusable> {
        let unusable = |why| Unusable { setting, why };
        let url = Url::parse(url.trim()).map_err(|_| unusable("it is not a URL"))?;
        let loopback = is_loopback(url.host_str().unwrap_or_default());
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            _ => return Err(unusable("it must begin with https:// (http:// is for this machine only)")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(unusable("it must not hold a name or a password"));
        }
        crate::tls::install_provider();
        let mut builder = Client::builder()
            .user_agent(concat!("frontdesk/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .https_only(!loopback)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT);
        if loopback {
            builder = builder.no_proxy();
        }
        let http =
            builder.build().map_err(|_| unusable("no HTTP client can be built; are CA certificates installed?"))?;
        Ok(Post { http, url })
    }

    /// Sends it once; any 2xx is success.
    pub(super) async fn send(&self, headers: HeaderMap, body: String) -> Result<(), NotSent> {
        let request = self
            .http
            .post(self.url.clone())
            .headers(headers)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        let answer = request.send().await.map_err(|error| not_sent(&error))?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(NotSent(format!("HTTP {}", answer.status().as_u16())))
    }
}

/// The error without its text, which names the address.
fn not_sent(error: &reqwest::Error) -> NotSent {
    let why = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke off"
    };
    NotSent(why.to_owned())
}

/// Whether a host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
