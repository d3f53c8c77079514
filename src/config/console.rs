//! `[console]`: how people sign in, and for how long.

use std::net::IpAddr;

use serde::Deserialize;

use super::{Config, ConfigError, Wait, wrong};
use crate::domain::person::Role;
use crate::people;

/// How people sign in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in config.example.toml")]
pub struct Console {
    pub url: Option<String>,
    pub idle: Wait,
    pub longest: Wait,
    pub invitation: Wait,
    pub proxy: Option<Proxy>,
}

/// A proxy that signs people in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in config.example.toml")]
pub struct Proxy {
    pub header: String,
    pub from: Vec<IpAddr>,
    pub others: Option<String>,
}

impl Console {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if let Some(url) = &self.url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            return Err(wrong("console.url is an address as https://desk.example.com"));
        }
        if self.idle.ms() > self.longest.ms() {
            return Err(wrong("console.idle must not be longer than console.longest"));
        }
        self.proxy.as_ref().map(Proxy::read).transpose().map(drop)
    }
}

impl Proxy {
    fn read(&self) -> Result<people::Proxy, ConfigError> {
        if self.from.is_empty() {
            return Err(wrong("console.proxy.from names no address: nobody's header would be believed"));
        }
        let header = self.header.parse().map_err(|_| wrong("console.proxy.header is not the name of a header"))?;
        let role =
            |word: &String| Role::parse(word).ok_or_else(|| wrong("console.proxy.others is agent, lead or admin"));
        Ok(people::Proxy { header, from: self.from.clone(), others: self.others.as_ref().map(role).transpose()? })
    }
}

impl Config {
    /// How people sign in.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn people(&self) -> Result<people::Settings, ConfigError> {
        let Console { url, idle, longest, invitation, proxy } = &self.console;
        Ok(people::Settings {
            idle_ms: idle.ms(),
            longest_ms: longest.ms(),
            invitation_ms: invitation.ms(),
            url: url.clone().or_else(|| self.public_url.clone()),
            proxy: proxy.as_ref().map(Proxy::read).transpose()?,
        })
    }
}
