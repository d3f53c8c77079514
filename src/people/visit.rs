//! Who asks, as far as a request says so by itself: by a cookie, or by what a
//! trusted proxy wrote into it. Both come along whoever made the browser ask, so
//! what changes something must come from a page of ours.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};

use super::People;
use crate::domain::person::{Person, valid_user_name};
use crate::store::StoreError;

/// Somebody whom this process has let in already. It is put into a request by
/// the pages, which ask the API in the name of who looks at them; nothing that
/// comes over a network can carry it.
#[derive(Debug, Clone)]
pub struct LetIn(pub Person);

/// A cookie that only this host may set, and only over TLS (RFC 6265bis, 4.1.3.2).
const COOKIE_TLS: &str = "__Host-frontdesk_session";
const COOKIE: &str = "frontdesk_session";

impl People {
    /// Who is signed in at the browser that asks.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn visitor(&self, parts: &Parts) -> Result<Option<Person>, StoreError> {
        if let Some(person) = self.named_by_proxy(parts).await? {
            return Ok(Some(person));
        }
        match self.secret(&parts.headers) {
            Some(secret) => self.signed_in(secret).await,
            None => Ok(None),
        }
    }

    /// Whether a request that would change something may have been made by a page
    /// of somebody else. The rule of Go's `net/http.CrossOriginProtection` (1.25):
    /// browsers say where a request comes from, and what says nothing is none.
    #[must_use]
    pub fn is_from_elsewhere(&self, parts: &Parts) -> bool {
        if parts.method.is_safe() {
            return false;
        }
        let said = |name| parts.headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
        let origin = said("origin");
        if let (Some(origin), Some(url)) = (origin, self.settings.url.as_deref())
            && origin.eq_ignore_ascii_case(url.trim_end_matches('/'))
        {
            return false;
        }
        match (said("sec-fetch-site"), origin) {
            (Some("same-origin" | "none"), _) => false,
            (Some(_), _) => true,
            (None, None) => false,
            (None, Some(origin)) => {
                let host = origin.split_once("://").map(|(_, host)| host);
                host.is_none() || host != said("host")
            }
        }
    }

    /// What the browser holds of a session.
    #[must_use]
    pub fn secret<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let ours = self.cookie_name(headers);
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == ours).map(|(_, value)| value)
    }

    /// The header by which the browser that asked with `headers` holds a session; no
    /// secret: it lets it go.
    #[must_use]
    pub fn cookie(&self, headers: &HeaderMap, secret: Option<&str>) -> Option<HeaderValue> {
        let (value, age_s) = secret.map_or(("", 0), |secret| (secret, self.settings.longest_ms / 1000));
        let name = self.cookie_name(headers);
        let secure = if name == COOKIE_TLS { "; Secure" } else { "" };
        HeaderValue::from_str(&format!("{name}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}")).ok()
    }

    /// The address that somebody asks from, for counting failures.
    #[must_use]
    pub fn address(&self, parts: &Parts) -> String {
        let peer = peer(parts);
        // The last of the last line is the proxy's own; those before may be anybody's.
        let said = || {
            parts
                .headers
                .get_all("x-forwarded-for")
                .iter()
                .next_back()?
                .to_str()
                .ok()?
                .rsplit(',')
                .next()?
                .trim()
                .parse()
                .ok()
        };
        let address = if self.is_proxy(peer) { said().or(peer) } else { peer };
        address.map_or_else(|| "unknown".to_owned(), |address: IpAddr| address.to_string())
    }

    /// The address of a page of ours, as people type it. `asked` is what this
    /// process listens on.
    #[must_use]
    pub fn link(&self, asked: &str, path: &str) -> String {
        let base = self.settings.url.as_deref().unwrap_or(asked);
        format!("{}{path}", base.trim_end_matches('/'))
    }

    async fn named_by_proxy(&self, parts: &Parts) -> Result<Option<Person>, StoreError> {
        let Some(proxy) = self.settings.proxy.as_ref().filter(|_| self.is_proxy(peer(parts))) else {
            return Ok(None);
        };
        let mut said = parts.headers.get_all(&proxy.header).iter();
        // Two of them: one is the proxy's, and nobody knows which.
        let (Some(name), None) = (said.next(), said.next()) else { return Ok(None) };
        let Some(name) = name.to_str().ok().map(str::trim).filter(|name| valid_user_name(name)) else {
            return Ok(None);
        };
        match self.store.user(name.to_owned()).await? {
            Some(user) => Ok(user.disabled_at_ms.is_none().then_some(user.person)),
            None => Ok(proxy.others.map(|role| Person { name: name.to_owned(), role })),
        }
    }

    fn is_proxy(&self, peer: Option<IpAddr>) -> bool {
        let trusted = self.settings.proxy.as_ref().map(|proxy| &proxy.from);
        peer.is_some_and(|peer| trusted.is_some_and(|from| from.contains(&peer)))
    }

    /// Somebody who came by another way than the one people are told of, as over
    /// this machine itself, is not on TLS, and their browser would not take it.
    fn cookie_name(&self, headers: &HeaderMap) -> &'static str {
        let said = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let https = self.settings.url.as_deref().and_then(|url| url.strip_prefix("https://"));
        let is_ours = |ours: &str, host: &str| ours.trim_end_matches('/').eq_ignore_ascii_case(host);
        // A proxy may put another host in the place of ours; the browser says where it is itself.
        let origin = said(header::ORIGIN).and_then(|origin| origin.strip_prefix("https://"));
        let is_there = https.is_some_and(|ours| {
            [said(header::HOST), origin].into_iter().flatten().any(|host| is_ours(ours, host))
                || said(header::COOKIE).is_some_and(|held| held.contains(COOKIE_TLS))
        });
        if is_there { COOKIE_TLS } else { COOKIE }
    }
}

fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical())
}
