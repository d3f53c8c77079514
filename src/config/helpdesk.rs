//! `[helpdesk]`: where the tickets live.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ConfigError, Hidden, Wait, wrong};

/// Where the tickets live.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in config.example.toml")]
pub struct Helpdesk {
    pub kind: Kind,
    pub url: Option<String>,
    pub token: Option<Hidden>,
    pub user: Option<String>,
    pub account: Option<String>,
    pub client_id: Option<String>,
    pub client_secret: Option<Hidden>,
    pub connect_timeout: Wait,
    pub read_timeout: Wait,
    pub per_minute: Option<u32>,
    #[serde(default)]
    pub queues: BTreeMap<String, String>,
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// Which helpdesk it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The one that comes with Frontdesk.
    Builtin,
    /// Request Tracker 5.
    RequestTracker,
    /// Zendesk Support.
    Zendesk,
    /// Chatwoot.
    Chatwoot,
}

impl Helpdesk {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let set = [
            ("url", self.url.is_some()),
            ("user", self.user.is_some()),
            ("token", self.token.is_some()),
            ("account", self.account.is_some()),
            ("client_id", self.client_id.is_some()),
            ("client_secret", self.client_secret.is_some()),
        ];
        let needed: &[&str] = match self.kind {
            Kind::Builtin => &[],
            Kind::RequestTracker => &["url", "user", "token"],
            Kind::Zendesk => &["url", "user", "client_id", "client_secret"],
            Kind::Chatwoot => &["url", "account", "user", "token"],
        };
        let name = self.kind.word();
        for (setting, is_set) in set {
            match (needed.contains(&setting), is_set) {
                (true, false) => {
                    return Err(wrong(format!("helpdesk.{setting} is missing; docs/helpdesks.md says what it is")));
                }
                (false, true) => {
                    return Err(wrong(format!("helpdesk.{setting} is set, but helpdesk.kind is \"{name}\"")));
                }
                _ => {}
            }
        }
        if self.per_minute == Some(0) {
            return Err(wrong("helpdesk.per_minute is 0, so nothing would ever be asked; leave it out for no limit"));
        }
        if matches!(self.kind, Kind::Zendesk | Kind::Chatwoot) && self.user_id().is_none() {
            return Err(wrong(format!("helpdesk.user is the number of our own user at {name}")));
        }
        let is_number = |text: &String| text.parse::<u64>().is_ok();
        if !self.account.as_ref().is_none_or(is_number) {
            return Err(wrong("helpdesk.account is the number of the account"));
        }
        Ok(())
    }
}

impl Helpdesk {
    /// The number of our own user, where it has one.
    #[must_use]
    pub fn user_id(&self) -> Option<i64> {
        self.user.as_ref()?.trim().parse().ok()
    }
}

impl Kind {
    /// As in the settings.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Builtin => "builtin",
            Kind::RequestTracker => "request_tracker",
            Kind::Zendesk => "zendesk",
            Kind::Chatwoot => "chatwoot",
        }
    }
}
