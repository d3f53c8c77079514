//! Tells people of alerts: over mail, a Slack-style webhook, a signed webhook.
//! What is sent holds ids, codes, counts and what to do; never a word of a
//! customer, a model or a secret.

mod email;
mod help;
mod http;
mod message;
mod sender;
mod slack;
mod webhook;

pub use email::EmailSettings;
pub use sender::Sender;

use crate::domain::secret::Secret;
use email::Email;
use message::Message;
use slack::Slack;
use webhook::Webhook;

/// A setting of a channel that cannot be used; names the setting, never shows it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("alerts.{setting}: {why}")]
pub struct Unusable {
    setting: &'static str,
    why: &'static str,
}

/// Why a message is not out, in our words: nothing of what the other side said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotSent(String);

/// One way to reach people.
pub struct Channel(Way);

enum Way {
    Email(Box<Email>),
    Slack(Slack),
    Webhook(Webhook),
}

impl Channel {
    /// Their names, as in the settings.
    pub const NAMES: [&str; 3] = ["email", "slack", "webhook"];

    /// Mail over SMTP. Makes no connection yet.
    ///
    /// # Errors
    /// When an address cannot be used, or one that is not on this machine would
    /// be spoken to in the clear.
    pub fn email(settings: EmailSettings) -> Result<Channel, Unusable> {
        Ok(Channel(Way::Email(Box::new(Email::new(settings)?))))
    }

    /// A webhook that takes `{"text": …}`.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn slack(url: &str) -> Result<Channel, Unusable> {
        Ok(Channel(Way::Slack(Slack::new(url)?)))
    }

    /// A webhook signed by Standard Webhooks.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn webhook(url: &str, secret: Secret) -> Result<Channel, Unusable> {
        Ok(Channel(Way::Webhook(Webhook::new(url, secret)?)))
    }

    /// As in the settings.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match &self.0 {
            Way::Email(_) => "email",
            Way::Slack(_) => "slack",
            Way::Webhook(_) => "webhook",
        }
    }

    /// Sends a message that only shows that the channel works.
    ///
    /// # Errors
    /// When it did not go out.
    pub async fn test(&self, now_ms: i64) -> Result<(), NotSent> {
        self.send(&Message::test(now_ms)).await
    }

    async fn send(&self, message: &Message) -> Result<(), NotSent> {
        match &self.0 {
            Way::Email(email) => email.send(message).await,
            Way::Slack(slack) => slack.send(message).await,
            Way::Webhook(webhook) => webhook.send(message).await,
        }
    }
}
