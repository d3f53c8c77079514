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
    pub connect_timeout: Wait,
    pub read_timeout: Wait,
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
}

impl Helpdesk {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let needs = [("url", self.url.is_some()), ("token", self.token.is_some()), ("user", self.user.is_some())];
        match self.kind {
            Kind::Builtin => match needs.iter().find(|(_, is_set)| *is_set) {
                Some((name, _)) => Err(wrong(format!("helpdesk.{name} is set, but helpdesk.kind is \"builtin\""))),
                None => Ok(()),
            },
            Kind::RequestTracker => match needs.iter().find(|(_, is_set)| !is_set) {
                Some((name, _)) => Err(wrong(format!("helpdesk.{name} is missing; docs/helpdesks.md says what it is"))),
                None => Ok(()),
            },
        }
    }
}
