//! Sends what is due, over each channel by itself: one that fails holds up no
//! other. What is due lies in the database, so a restart loses nothing and two
//! processes do not both send.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::message::Message;
use super::{Channel, NotSent};
use crate::clock::Clock;
use crate::domain::alert::next_attempt_ms;
use crate::store::{ALERT_CHANNEL, DueSend, Store, StoreError};
use crate::telemetry::{Metrics, trouble};

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long a message is ours to send, in ms: longer than any attempt takes.
const LEASE_MS: i64 = 60_000;

/// So many failed attempts at one message, and the channel itself is an alert,
/// told over the others.
const ATTEMPTS_BEFORE_ALERT: i64 = 3;

/// Most messages over one channel in one look.
const AT_ONCE: usize = 50;

/// The channels of a process.
pub struct Sender {
    store: Store,
    clock: Clock,
    channels: Vec<Channel>,
    remind_ms: Option<i64>,
    metrics: Arc<Metrics>,
}

impl Sender {
    /// A sender for these channels. An alert that is still open `remind_ms` after
    /// it was told is told again.
    #[must_use]
    pub fn new(
        store: Store,
        clock: Clock,
        channels: Vec<Channel>,
        remind_ms: Option<i64>,
        metrics: Arc<Metrics>,
    ) -> Sender {
        Sender { store, clock, channels, remind_ms, metrics }
    }

    /// Sends until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let names = self.channels.iter().map(Channel::name).collect();
        if let Err(error) = self.store.keep_channels(names, self.clock.now_ms()).await {
            trouble!(error, "what waits for channels that are gone could not be given up");
        }
        join_all(self.channels.iter().map(|channel| self.serve(channel, &stop))).await;
    }

    async fn serve(&self, channel: &Channel, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.look_at(channel, stop).await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Sends what is due now over every channel, once. For tests: no loop, no waiting.
    pub async fn look(&self) {
        let never = CancellationToken::new();
        join_all(self.channels.iter().map(|channel| self.look_at(channel, &never))).await;
    }

    async fn look_at(&self, channel: &Channel, stop: &CancellationToken) {
        if let Err(error) = self.send_due(channel, stop).await {
            trouble!(error, channel = channel.name(), "alerts could not be looked at for sending");
        }
    }

    async fn send_due(&self, channel: &Channel, stop: &CancellationToken) -> Result<(), StoreError> {
        let name = channel.name();
        self.store.plan_sends(name.to_owned(), self.remind_ms, self.clock.now_ms()).await?;
        for _ in 0..AT_ONCE {
            if stop.is_cancelled() {
                break;
            }
            let now_ms = self.clock.now_ms();
            let Some(send) = self.store.claim_send(name.to_owned(), LEASE_MS, now_ms).await? else { break };
            match channel.send(&Message::of(&send, now_ms)).await {
                Ok(()) => self.is_out(name, &send).await?,
                Err(why) => return self.is_not_out(name, &send, &why).await,
            }
        }
        Ok(())
    }

    async fn is_out(&self, channel: &'static str, send: &DueSend) -> Result<(), StoreError> {
        self.metrics.alert_sent(channel, "sent");
        self.store.sent(channel.to_owned(), send, self.clock.now_ms()).await?;
        tracing::info!(channel, alert = send.alert.kind, subject = send.alert.subject, word = send.word.word(), "told");
        Ok(())
    }

    async fn is_not_out(&self, channel: &'static str, send: &DueSend, why: &NotSent) -> Result<(), StoreError> {
        self.metrics.alert_sent(channel, "failed");
        let now_ms = self.clock.now_ms();
        let next_at_ms = next_attempt_ms(send.attempt, send.since_ms, now_ms);
        self.store.not_sent(send, why.to_string(), next_at_ms).await?;
        let (kind, attempt) = (&send.alert.kind, send.attempt);
        if next_at_ms.is_none() {
            tracing::error!(channel, alert = kind, subject = send.alert.subject, attempt, %why, "an alert could not be told, and is given up");
        } else {
            tracing::warn!(channel, alert = kind, attempt, %why, "an alert could not be told; trying again");
        }
        if attempt >= ATTEMPTS_BEFORE_ALERT || next_at_ms.is_none() {
            let detail = format!("messages do not go out: {why}");
            if self.store.raise_alert(ALERT_CHANNEL, channel.to_owned(), detail.clone(), now_ms).await? {
                tracing::error!(alert = ALERT_CHANNEL, subject = channel, detail, "alert");
            }
        }
        Ok(())
    }
}
