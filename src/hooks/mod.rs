//! What a helpdesk tells us, by webhook or when asked: checked, remembered, and
//! turned into planned work. It changes no ticket and calls no OpenAI.

mod asking;
mod endpoint;

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

pub use asking::ask_until;
pub use endpoint::router;

use crate::clock::Clock;
use crate::helpdesk::{Heard, Outside};
use crate::store::{Became, NewHeard, Starts, Store, StoreError};
use crate::telemetry::Metrics;

/// Longest id of a ticket or an event that is taken, in bytes.
const MAX_ID_BYTES: usize = 128;

/// What hears.
pub struct Hooks {
    store: Store,
    clock: Clock,
    desk: Outside,
    secret: Vec<u8>,
    starts: Starts,
    metrics: Arc<Metrics>,
}

impl Hooks {
    /// For this helpdesk. Without a secret no webhook is believed.
    #[must_use]
    pub fn new(
        store: Store,
        clock: Clock,
        desk: Outside,
        secret: Vec<u8>,
        starts: Starts,
        metrics: Arc<Metrics>,
    ) -> Arc<Hooks> {
        Arc::new(Hooks { store, clock, desk, secret, starts, metrics })
    }

    /// Takes in one thing. `otherwise` is its id when the helpdesk gives none.
    ///
    /// # Errors
    /// When it could not be written down.
    pub async fn take_in(
        &self,
        heard: Heard,
        otherwise: &str,
        asked_for_ms: Option<i64>,
    ) -> Result<Option<Became>, StoreError> {
        let id = heard.id.unwrap_or_else(|| otherwise.to_owned());
        if !is_id(&heard.ticket) || !is_id(&id) {
            return Ok(None);
        }
        let what = heard.what.word();
        let new = NewHeard { id, ticket_id: heard.ticket, what, by_us: heard.by_us, asked_for_ms };
        let became = self.store.hear(new, self.starts.clone(), self.clock.now_ms()).await?;
        self.metrics.helpdesk_told(what, became.word());
        Ok(Some(became))
    }
}

/// Ids stand in lists, addresses and logs.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ID_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The id of what comes without one: the same bytes are the same event.
fn hash(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    digest.iter().take(16).fold(String::from("sha256-"), |id, byte| format!("{id}{byte:02x}"))
}
