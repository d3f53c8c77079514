//! How a simulator is set up, and what can be changed while it runs.

use crate::fault::Fault;
use std::fmt;
use std::net::SocketAddr;

/// A secret that is known to everyone, for demonstrations and tests on one machine.
pub const DEMO_SECRET: &str = "whsec_ZnJvbnRkZXNrIGRlbW8gc2VjcmV0LCBub3QgcHJpdmF0ZSE=";

/// How a simulator is set up. The defaults suit a test: any free port, no webhooks, fast work.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Where signed webhooks go; `None`: none are sent.
    pub webhook_url: Option<String>,
    /// `whsec_…`, or several separated by spaces, each of which then signs.
    pub webhook_secret: String,
    /// `Some`: the bearer token must be this one.
    pub api_key: Option<String>,
    /// The same seed and the same requests give the same outputs, resource ids and faults.
    pub seed: u64,
    /// The shortest and longest that background work takes.
    pub work_ms: (u64, u64),
    /// The first wait before a webhook is sent again; each further one is twice as long.
    pub first_retry_ms: u64,
    /// How often a webhook is sent again before it is given up.
    pub max_retries: u32,
    /// How long a receiver may take to answer a webhook.
    pub webhook_timeout_ms: u64,
    /// `false`: a retry keeps its `webhook-id`, as the specification says. `true`: each attempt
    /// has a new one. Receivers must survive both.
    pub new_id_per_attempt: bool,
    /// How often each fault strikes, from 0 to 1.
    pub faults: Vec<(Fault, f64)>,
    /// What happens to certain requests, come what may. The first match counts, and rates do
    /// not apply to it.
    pub script: Vec<Scripted>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            webhook_url: None,
            webhook_secret: DEMO_SECRET.to_owned(),
            api_key: None,
            seed: 1,
            work_ms: (150, 600),
            first_retry_ms: 200,
            max_retries: 8,
            webhook_timeout_ms: 3000,
            new_id_per_attempt: false,
            faults: Vec::new(),
            script: Vec::new(),
        }
    }
}

/// Faults for every request whose metadata holds this pair. Lines of a batch are matched by their
/// own metadata and by `custom_id`; for them `ticket_id` is what precedes the colon in `custom_id`.
#[derive(Clone, Debug, PartialEq)]
pub struct Scripted {
    /// A key of the metadata, such as `ticket_id`.
    pub key: String,
    /// Its value, such as `T-1004`.
    pub value: String,
    /// What goes wrong; empty: nothing does.
    pub faults: Vec<Fault>,
}

/// How the API receives its callers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// As usual.
    #[default]
    Open,
    /// Every call answers 401: the key was revoked.
    Unauthorized,
    /// Every call answers 403: the key may not do this.
    Forbidden,
    /// Every call answers 429 `insufficient_quota`.
    Quota,
    /// Every call answers 500.
    Down,
}

impl Access {
    /// The access of that name, as in the control plane.
    pub fn parse(name: &str) -> Option<Access> {
        Some(match name {
            "open" => Access::Open,
            "unauthorized" => Access::Unauthorized,
            "forbidden" => Access::Forbidden,
            "quota" => Access::Quota,
            "down" => Access::Down,
            _ => return None,
        })
    }
}

/// Why a simulator did not start.
#[derive(Debug)]
pub enum StartError {
    /// A setting makes no sense; says which and what to do.
    Setting(String),
    /// The address cannot be listened on.
    Listen(SocketAddr, std::io::Error),
    /// No HTTP client could be made for the webhooks.
    Client(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Setting(what) => out.write_str(what),
            StartError::Listen(address, error) => {
                write!(out, "cannot listen on {address}: {error}; choose another address or port")
            }
            StartError::Client(error) => write!(out, "cannot send webhooks: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Listen(_, error) => Some(error),
            _ => None,
        }
    }
}

/// The part of the settings that changes at run time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tuning {
    pub(crate) webhook_url: Option<String>,
    pub(crate) access: Access,
    pub(crate) faults: Vec<(Fault, f64)>,
    pub(crate) script: Vec<Scripted>,
}

/// Refuses rates outside 0 to 1.
pub(crate) fn check_rates(faults: &[(Fault, f64)]) -> Result<(), String> {
    match faults.iter().find(|(_, rate)| !(0.0..=1.0).contains(rate)) {
        Some((fault, rate)) => Err(format!("the rate of {fault} is {rate}; give one from 0 to 1")),
        None => Ok(()),
    }
}
