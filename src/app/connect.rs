//! The helpdesk that the settings name.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::Clock;
use crate::config::{self, Config, Hidden};
use crate::domain::secret::Secret;
use crate::helpdesk::{
    Builtin, Chatwoot, Connector, Freshdesk, Front, Generic, HelpScout, Helpdesk, Http, HttpSettings, Intercom, Names,
    OauthClient, Outside, RequestTracker, Zammad, Zendesk,
};
use crate::store::Store;

/// The helpdesk that the tickets live in. Makes no connection yet.
///
/// # Errors
/// When the address or the token cannot be used; says which, never shows it.
pub fn connect(config: &Config, store: &Store, clock: &Clock) -> Result<Helpdesk> {
    Ok(match outside(config, clock)? {
        Some(desk) => Helpdesk::Outside(desk),
        None => Helpdesk::Builtin(Builtin::new(store.clone())),
    })
}

/// The one outside; none when the tickets live on the built-in desk. Makes no
/// connection yet.
///
/// # Errors
/// As [`connect`].
pub fn outside(config: &Config, clock: &Clock) -> Result<Option<Outside>> {
    let set = &config.helpdesk;
    let names = Names {
        user: set.user.clone().unwrap_or_default(),
        account: set.account.clone().unwrap_or_default(),
        queues: set.queues.clone(),
        fields: set.fields.clone(),
    };
    let connector: Arc<dyn Connector> = match set.kind {
        config::HelpdeskKind::Builtin => return Ok(None),
        config::HelpdeskKind::RequestTracker => {
            Arc::new(RequestTracker::new(http(set, clock, Some((AUTHORIZATION, "token ")))?, names))
        }
        config::HelpdeskKind::Chatwoot => {
            let header = HeaderName::from_static("api_access_token");
            Arc::new(Chatwoot::new(http(set, clock, Some((header, "")))?, names))
        }
        config::HelpdeskKind::Freshdesk => {
            Arc::new(Freshdesk::new(http(set, clock, Some((AUTHORIZATION, "Basic ")))?, names))
        }
        config::HelpdeskKind::Front => Arc::new(Front::new(http(set, clock, Some((AUTHORIZATION, "Bearer ")))?, names)),
        config::HelpdeskKind::HelpScout => {
            Arc::new(HelpScout::new(http(set, clock, None)?, clock.clone(), oauth_client(set), names))
        }
        config::HelpdeskKind::Intercom => {
            Arc::new(Intercom::new(http(set, clock, Some((AUTHORIZATION, "Bearer ")))?, names))
        }
        config::HelpdeskKind::Zammad => {
            Arc::new(Zammad::new(http(set, clock, Some((AUTHORIZATION, "Token token=")))?, names))
        }
        config::HelpdeskKind::Generic => {
            let secret = set.webhook_secret.as_ref().map(Hidden::reveal).unwrap_or_default();
            let secret = Secret::parse(secret.trim()).context("helpdesk.webhook_secret")?;
            Arc::new(Generic::new(http(set, clock, None)?, secret, names))
        }
        config::HelpdeskKind::Zendesk => {
            Arc::new(Zendesk::new(http(set, clock, None)?, clock.clone(), oauth_client(set), names))
        }
    };
    Ok(Some(Outside::new(connector)))
}

/// A client that sends the token in a header, after a scheme; or none.
fn http(set: &config::Helpdesk, clock: &Clock, by: Option<(HeaderName, &str)>) -> Result<Http> {
    let headers = by.map(|(header, scheme)| Ok::<_, anyhow::Error>((header, token(set, scheme)?))).transpose()?;
    let settings = HttpSettings {
        url: set.url.clone().unwrap_or_default(),
        headers: headers.into_iter().collect(),
        connect_timeout: wait(set.connect_timeout),
        read_timeout: wait(set.read_timeout),
        per_minute: set.per_minute,
    };
    Http::new(settings, clock.clone()).map_err(anyhow::Error::msg).context("helpdesk.url")
}

fn oauth_client(set: &config::Helpdesk) -> OauthClient {
    OauthClient {
        id: set.client_id.clone().unwrap_or_default(),
        secret: set.client_secret.as_ref().map(Hidden::reveal).unwrap_or_default().to_owned(),
    }
}

fn token(set: &config::Helpdesk, scheme: &str) -> Result<HeaderValue> {
    let token = set.token.as_ref().map(Hidden::reveal).unwrap_or_default().trim();
    // Basic credentials are a name, here the key, and a password that nobody looks at.
    let token = if scheme == "Basic " { STANDARD.encode(format!("{token}:X")) } else { token.to_owned() };
    HeaderValue::from_str(&format!("{scheme}{token}"))
        .map_err(|_| anyhow::anyhow!("helpdesk.token has characters that cannot be sent"))
}

fn wait(wait: config::Wait) -> Duration {
    Duration::from_millis(u64::try_from(wait.ms()).unwrap_or(0))
}
