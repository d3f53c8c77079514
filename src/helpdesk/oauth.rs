//! Signing in as an OAuth client by its own credentials (RFC 6749, 4.4).

use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::RequestBuilder;
use serde::Deserialize;

use super::HelpdeskError;
use super::http::{Answer, Http};
use crate::clock::Clock;

/// How long a token lasts whose end is not told, in seconds.
const LASTS_S: i64 = 3_600;
/// How much earlier than it ends a token is renewed, in ms.
const BEFORE_MS: i64 = 300_000;

/// An OAuth client.
#[derive(Clone)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its secret. Never shown.
    pub secret: String,
}

/// The token that is held, for all who ask in this process.
pub(super) struct Tokens {
    clock: Clock,
    /// The token, and when it is renewed, in ms.
    held: Mutex<Option<(String, i64)>>,
}

impl Tokens {
    pub(super) fn new(clock: Clock) -> Tokens {
        Tokens { clock, held: Mutex::new(None) }
    }

    /// Asks with a token; `sign_in` is how one is asked for. One that is refused is
    /// renewed once: nothing was done by then.
    pub(super) async fn ask(
        &self,
        http: &Http,
        sign_in: impl Fn() -> RequestBuilder,
        request: RequestBuilder,
        changes: bool,
    ) -> Result<Answer, HelpdeskError> {
        let again = request.try_clone();
        let send = async |request: RequestBuilder| {
            let request = request.bearer_auth(self.token(http, sign_in()).await?);
            if changes { http.change(request).await } else { http.read(request).await }
        };
        match (send(request).await, again) {
            (Err(HelpdeskError::Forbidden(why)), Some(again)) if why.ends_with("401") => {
                *self.held() = None;
                send(again).await
            }
            (answer, _) => answer,
        }
    }

    /// A token that is good for a while.
    pub(super) async fn token(&self, http: &Http, sign_in: RequestBuilder) -> Result<String, HelpdeskError> {
        let now_ms = self.clock.now_ms();
        if let Some((token, until_ms)) = self.held().as_ref()
            && *until_ms > now_ms
        {
            return Ok(token.clone());
        }
        let given: Given = http.read(sign_in).await?.shaped()?;
        let lasts_ms = given.expires_in.unwrap_or(LASTS_S).saturating_mul(1000);
        *self.held() = Some((given.access_token.clone(), now_ms + (lasts_ms - BEFORE_MS).max(0)));
        Ok(given.access_token)
    }

    fn held(&self) -> MutexGuard<'_, Option<(String, i64)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    expires_in: Option<i64>,
}
