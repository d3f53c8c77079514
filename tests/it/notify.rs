//! Telling people of alerts.

mod channels;
mod fakes;
mod telling;
mod watching;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use frontdesk::clock::Clock;
use frontdesk::domain::secret::Secret;
use frontdesk::notify::{Channel, EmailSettings, Sender};

use crate::harness::TestDesk;
use fakes::{FakeHook, FakeSmtp};

/// When an alert that is still open is told again.
const REMIND_MS: i64 = 4 * 3_600_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
/// How often a running sender looks.
const LOOK_MS: i64 = 5_000;

/// The signing secret of the test webhooks.
fn secret() -> String {
    format!("whsec_{}", STANDARD.encode(b"canary-alert-signing-key-of-32-b"))
}

fn webhook(hook: &FakeHook) -> Channel {
    Channel::webhook(&hook.url, Secret::parse(&secret()).unwrap()).unwrap()
}

fn slack(hook: &FakeHook) -> Channel {
    Channel::slack(&hook.url).unwrap()
}

fn email(smtp: &FakeSmtp) -> Channel {
    Channel::email(EmailSettings {
        smtp: smtp.url.clone(),
        credentials: Some(("ada".to_owned(), "canary-password".to_owned())),
        from: "Frontdesk <frontdesk@example.com>".to_owned(),
        to: vec!["ops@example.com".to_owned(), "Lena <lena@example.com>".to_owned()],
    })
    .unwrap()
}

impl TestDesk {
    /// A sender as a fresh process would build it.
    fn sender(&self, channels: Vec<Channel>) -> Sender {
        let clock = Clock::Hand(self.clock.clone());
        Sender::new(self.store.clone(), clock, channels, Some(REMIND_MS), Arc::clone(&self.metrics))
    }

    async fn raise(&self, kind: &'static str, subject: &str) {
        self.store.raise_alert(kind, subject.to_owned(), "in our words".to_owned(), self.now_ms()).await.unwrap();
    }

    async fn close(&self, kind: &'static str, subject: &str) {
        self.store.close_alert(kind, subject.to_owned(), self.now_ms()).await.unwrap();
    }

    /// Looks as a running sender does, until `ms` have gone by.
    async fn look_for(&self, sender: &Sender, ms: i64) {
        for _ in 0..ms / LOOK_MS {
            self.clock.advance(LOOK_MS);
            sender.look().await;
        }
    }
}
