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
    pub webhook_secret: Option<Hidden>,
    pub poll: Option<Wait>,
    pub starts: Starts,
    #[serde(default)]
    pub queues: BTreeMap<String, String>,
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// Work that begins by what happens in the helpdesk.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in config.example.toml")]
pub struct Starts {
    pub created: Option<String>,
    pub handed_over: Option<String>,
    pub solved: Option<String>,
    pub call_ended: Option<String>,
    pub redraft: bool,
    pub project: Option<String>,
    pub settle: Wait,
    pub per_ticket: i64,
    pub per_hour: i64,
    pub tokens_a_day: Option<i64>,
}

impl Starts {
    /// The workflow, by what happened; each with the setting that names it.
    #[must_use]
    pub fn workflows(&self) -> Vec<(&'static str, &String)> {
        let named = [
            ("created", &self.created),
            ("handed_over", &self.handed_over),
            ("solved", &self.solved),
            ("call_ended", &self.call_ended),
        ];
        named.into_iter().filter_map(|(what, workflow)| Some((what, workflow.as_ref()?))).collect()
    }

    fn check(&self) -> Result<(), ConfigError> {
        let least = [
            ("per_ticket", self.per_ticket),
            ("per_hour", self.per_hour),
            ("tokens_a_day", self.tokens_a_day.unwrap_or(1)),
        ];
        match least.iter().find(|(_, most)| *most < 1) {
            Some((setting, _)) => Err(wrong(format!("helpdesk.starts.{setting} must be at least 1"))),
            None => Ok(()),
        }
    }
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
    /// Freshdesk.
    Freshdesk,
    /// Front.
    Front,
    /// Any other, behind a receiver of its own.
    Generic,
    /// Help Scout.
    HelpScout,
    /// Intercom.
    Intercom,
    /// Zammad.
    Zammad,
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
            Kind::HelpScout | Kind::Zendesk => &["url", "user", "client_id", "client_secret"],
            Kind::Chatwoot => &["url", "account", "user", "token"],
            Kind::Freshdesk | Kind::Intercom | Kind::Zammad => &["url", "user", "token"],
            Kind::Front => &["url", "account", "user", "token"],
            Kind::Generic => &["url"],
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
        let builtin_with = [
            ("webhook_secret", self.webhook_secret.is_some()),
            ("poll", self.poll.is_some()),
            ("starts", !self.starts.workflows().is_empty()),
        ];
        if let Some((setting, _)) = builtin_with.iter().find(|(_, is_set)| *is_set && self.kind == Kind::Builtin) {
            return Err(wrong(format!(
                "helpdesk.{setting} is set, but helpdesk.kind is \"builtin\", which tells nothing"
            )));
        }
        if self.kind == Kind::Generic && self.webhook_secret.is_none() {
            return Err(wrong(
                "helpdesk.webhook_secret is missing; both sides sign with it; docs/helpdesks.md says how",
            ));
        }
        self.starts.check()?;
        if self.per_minute == Some(0) {
            return Err(wrong("helpdesk.per_minute is 0, so nothing would ever be asked; leave it out for no limit"));
        }
        if self.kind.has_numbered_users() && self.user_id().is_none() {
            return Err(wrong(format!("helpdesk.user is the number of our own user at {name}")));
        }
        let is_number = |text: &String| text.parse::<u64>().is_ok();
        if self.kind == Kind::Chatwoot && !self.account.as_ref().is_none_or(is_number) {
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
    fn has_numbered_users(self) -> bool {
        !matches!(self, Kind::Builtin | Kind::RequestTracker | Kind::Generic | Kind::Front)
    }

    /// As in the settings.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Builtin => "builtin",
            Kind::RequestTracker => "request_tracker",
            Kind::Zendesk => "zendesk",
            Kind::Chatwoot => "chatwoot",
            Kind::Freshdesk => "freshdesk",
            Kind::Front => "front",
            Kind::Generic => "generic",
            Kind::HelpScout => "help_scout",
            Kind::Intercom => "intercom",
            Kind::Zammad => "zammad",
        }
    }
}
