//! Plays OpenAI: sends harmless signed tests to our own public address, as a
//! stranger would reach it, and looks whether they arrive in our database.

use std::time::{Duration, Instant};

use reqwest::redirect;

use crate::clock::Clock;
use crate::config::{DEFAULT_PROJECT, ProjectSettings};
use crate::domain::id::new_id;
use crate::domain::secret::Secret;
use crate::domain::verify::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
use crate::store::Store;
use crate::tls;

/// OpenAI waits a few seconds; nothing here is worth more.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of the tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trip {
    /// `public_url` is not set.
    NoAddress,
    /// The project has no signing secret.
    NoSecret,
    /// The address is neither https nor on this machine: no signature is sent there.
    NotPrivate,
    /// The tests were sent.
    Made(Box<Made>),
}

/// What the tests showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    /// Where they went.
    pub(super) url: String,
    /// The status that a well signed test got, or what went wrong.
    pub(super) good: Result<u16, String>,
    /// How long that took, in ms.
    pub(super) took_ms: u128,
    /// The same test again.
    pub(super) again: Result<u16, String>,
    /// A test with the signature of another secret.
    pub(super) forged: Result<u16, String>,
    /// How often the good one is in our database; none when it is not there, or
    /// there is no database to look into.
    pub(super) copies: Option<i64>,
}

/// The address that OpenAI posts a project's webhooks to.
pub(super) fn endpoint(public_url: &str, project: &str) -> String {
    let base = public_url.trim_end_matches('/');
    if project == DEFAULT_PROJECT {
        format!("{base}/webhooks/openai")
    } else {
        format!("{base}/webhooks/openai/{project}")
    }
}

pub(super) async fn make(
    public_url: Option<&str>,
    project: &ProjectSettings,
    store: Option<&Store>,
    clock: &Clock,
) -> Trip {
    let Some(public_url) = public_url else { return Trip::NoAddress };
    let Some(secret) = project.secrets.first() else { return Trip::NoSecret };
    let url = endpoint(public_url, &project.name);
    if !is_private(&url) {
        return Trip::NotPrivate;
    }
    let sender = match Sender::new(url, clock) {
        Ok(sender) => sender,
        Err(error) => return Trip::Made(Box::new(Made::failed(public_url, error))),
    };
    Trip::Made(Box::new(sender.tests(secret, store).await))
}

fn is_private(url: &str) -> bool {
    is_here(url) || url.starts_with("https://")
}

/// Whether the address is on this machine.
fn is_here(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

struct Sender<'a> {
    http: reqwest::Client,
    url: String,
    clock: &'a Clock,
}

impl Sender<'_> {
    fn new(url: String, clock: &Clock) -> Result<Sender<'_>, String> {
        tls::install_provider();
        let mut builder = reqwest::Client::builder();
        if is_here(&url) {
            builder = builder.no_proxy();
        }
        let http = builder
            .user_agent(concat!("frontdesk-doctor/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(PATIENCE)
            .build()
            .map_err(|_| "the HTTP client cannot be built; are CA certificates installed?".to_owned())?;
        Ok(Sender { http, url, clock })
    }

    async fn tests(&self, secret: &Secret, store: Option<&Store>) -> Made {
        let made = (new_id("wh_doctor"), new_id("wh_doctor"), new_id("evt_doctor"), stranger());
        let (Ok(id), Ok(other), Ok(event), Some(stranger)) = made else {
            return Made::failed(&self.url, "this machine gives no random numbers".to_owned());
        };
        // Odd spacing and an escape: whoever reads and writes the JSON again spoils the signature.
        let body = format!(
            "{{ \"id\":\"{event}\",  \"object\": \"event\",\"created_at\" : {}, \"type\":\"frontdesk.doctor\", \"data\": {{\"id\":\"doctor\\u005ftest\"}} }}\n",
            self.clock.now_s()
        );
        let began = Instant::now();
        let good = self.send(&id, secret, &body).await;
        let took_ms = began.elapsed().as_millis();
        let again = self.send(&id, secret, &body).await;
        let forged = self.send(&other, &stranger, &body).await;
        let mut copies = None;
        if let Some(store) = store {
            copies = store.put_test_away(id, self.clock.now_ms()).await.ok().flatten();
            // One that should not have been taken must not lie around either.
            let _ = store.put_test_away(other, self.clock.now_ms()).await;
        }
        Made { url: self.url.clone(), good, took_ms, again, forged, copies }
    }

    async fn send(&self, id: &str, secret: &Secret, body: &str) -> Result<u16, String> {
        let now_s = self.clock.now_s();
        let signature = sign(secret, id, now_s, body.as_bytes()).unwrap_or_default();
        let request = self
            .http
            .post(&self.url)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .header(ID_HEADER, id)
            .header(TIMESTAMP_HEADER, now_s.to_string())
            .header(SIGNATURE_HEADER, signature)
            .body(body.to_owned());
        match request.send().await {
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(error) if error.is_timeout() => Err("no answer within 10 s".to_owned()),
            Err(error) if error.is_connect() => Err("no connection".to_owned()),
            Err(_) => Err("the connection broke".to_owned()),
        }
    }
}

/// A secret that nobody else knows.
fn stranger() -> Option<Secret> {
    let random = new_id("key").ok()?;
    Secret::parse(&format!("whsec_{}", &random.trim_start_matches("key_")[..24])).ok()
}

impl Made {
    fn failed(url: &str, error: String) -> Made {
        let not_sent = || Err(error.clone());
        Made { url: url.to_owned(), good: not_sent(), took_ms: 0, again: not_sent(), forged: not_sent(), copies: None }
    }
}
