//! Signed test deliveries to any endpoint.

use crate::event::{self, Event};
use crate::signing::Signer;
use crate::wire::{self, Letter};
use futures_util::StreamExt as _;
use futures_util::stream;
use std::time::{Duration, Instant};

/// What the deliveries have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Same {
    /// Nothing: every delivery is an event of its own.
    #[default]
    Nothing,
    /// One event under one `webhook-id`: the same message again and again.
    Id,
    /// One event, each time under a new `webhook-id`.
    Event,
}

/// What to send, where, and how often.
#[derive(Clone, Debug)]
pub struct TriggerSettings {
    /// The endpoint.
    pub url: String,
    /// Signs the deliveries; see [`Signer::new`].
    pub signer: Signer,
    /// Any type; [`event::TYPES`] are those that OpenAI names.
    pub event_type: String,
    /// The resource that the events are about; `None`: a new one for each event.
    pub resource_id: Option<String>,
    /// How many deliveries.
    pub count: usize,
    /// How many at once.
    pub concurrency: usize,
    /// What they have in common.
    pub same: Same,
    /// How long to wait for each answer.
    pub timeout_ms: u64,
}

impl TriggerSettings {
    /// One delivery about a new resource.
    pub fn new(url: impl Into<String>, signer: Signer, event_type: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            signer,
            event_type: event_type.into(),
            resource_id: None,
            count: 1,
            concurrency: 16,
            same: Same::Nothing,
            timeout_ms: 10_000,
        }
    }
}

/// What became of one delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// The `webhook-id` that it carried.
    pub webhook_id: String,
    /// The event inside.
    pub event_id: String,
    /// The resource that the event is about.
    pub resource_id: String,
    /// The receiver's answer, if there was one.
    pub status: Option<u16>,
    /// Why there was none.
    pub error: Option<String>,
    /// How long the answer took.
    pub took: Duration,
}

impl Sent {
    /// Whether the receiver took it: any 2xx.
    pub fn accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// Sends the deliveries and says, in order, what became of each.
pub async fn send(settings: TriggerSettings) -> Vec<Sent> {
    let at_once = settings.concurrency.clamp(1, 1024);
    let client = wire::client(Duration::from_millis(settings.timeout_ms.max(1)), at_once);
    let first = new_event(&settings);
    let first_id = event::new_id("wh_");
    stream::iter(0..settings.count)
        .map(|_| {
            let event = match settings.same {
                Same::Nothing => new_event(&settings),
                Same::Id | Same::Event => first.clone(),
            };
            let webhook_id = match settings.same {
                Same::Id => first_id.clone(),
                Same::Nothing | Same::Event => event::new_id("wh_"),
            };
            send_one(&client, &settings, event, webhook_id)
        })
        .buffered(at_once)
        .collect()
        .await
}

fn new_event(settings: &TriggerSettings) -> Event {
    let resource_id =
        settings.resource_id.clone().unwrap_or_else(|| event::new_id(event::resource_prefix(&settings.event_type)));
    Event::new(&settings.event_type, &resource_id)
}

async fn send_one(
    client: &Result<reqwest::Client, String>,
    settings: &TriggerSettings,
    event: Event,
    webhook_id: String,
) -> Sent {
    let began = Instant::now();
    let outcome = match client {
        Ok(client) => {
            let letter = Letter { url: &settings.url, webhook_id: &webhook_id, body: event.body.into(), age_s: 0 };
            wire::post(client, &settings.signer, letter).await
        }
        Err(error) => Err(error.clone()),
    };
    Sent {
        webhook_id,
        event_id: event.id,
        resource_id: event.resource_id,
        status: outcome.as_ref().ok().copied(),
        error: outcome.err(),
        took: began.elapsed(),
    }
}
