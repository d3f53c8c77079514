//! Sending webhooks: signed, again and again until someone says 2xx.

use crate::chance::Dice;
use crate::clock;
use crate::event;
use crate::fault::Fault;
use crate::logs::DeliveryLog;
use crate::plan::Plan;
use crate::signing::Signer;
use crate::state::State;
use crate::wire::{self, Letter};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// No wait between two attempts is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How old the delivery of a stale timestamp pretends to be.
const STALE_S: i64 = 600;

/// What one delivery carries, and how it goes about it.
#[derive(Clone)]
struct Delivery {
    webhook_id: String,
    event_id: String,
    event_type: String,
    resource_id: String,
    body: Bytes,
    /// The fault to which this copy is owed.
    fault: Option<Fault>,
    age_s: i64,
    forged: bool,
    retries: u32,
}

/// Starts all deliveries that the end of a resource causes.
pub(crate) fn announce(state: &Arc<State>, event_type: &str, resource_id: &str, plan: &Plan) {
    if state.tuning().webhook_url.is_none() {
        return;
    }
    let mint = Mint::new(state, resource_id);
    let due = mint.delivery(state, event_type, resource_id);
    for copy in copies(state, &mint, &due, plan) {
        start(state, copy, None);
    }
    if plan.has(Fault::Drop) {
        return;
    }
    let hold = plan.first_of(&[Fault::Reorder, Fault::Delay]);
    start(state, due, hold);
}

/// The deliveries that come on top of the one that is due.
fn copies(state: &State, mint: &Mint, due: &Delivery, plan: &Plan) -> Vec<Delivery> {
    let kinds = [
        Fault::DuplicateSameId,
        Fault::DuplicateNewId,
        Fault::SecondEvent,
        Fault::TamperedSignature,
        Fault::StaleTimestamp,
        Fault::UnknownType,
        Fault::UnreadableBody,
    ];
    let struck = kinds.into_iter().filter(|fault| plan.has(*fault));
    struck.map(|fault| copy(state, mint, due, fault)).collect()
}

fn copy(state: &State, mint: &Mint, due: &Delivery, fault: Fault) -> Delivery {
    let (kind, resource) = (due.event_type.as_str(), due.resource_id.as_str());
    let same = due.clone();
    let webhook_id = mint.id("wh_", fault.name());
    let mut made = match fault {
        Fault::DuplicateSameId => same,
        Fault::SecondEvent => mint.named(state, fault.name(), kind, resource),
        Fault::UnknownType => mint.named(state, fault.name(), "response.rethought", resource),
        Fault::UnreadableBody => Delivery { webhook_id, body: Bytes::from_static(b"{\"id\": \"evt_"), ..same },
        // A forgery names a resource that does not exist: whoever believes it, shows.
        Fault::TamperedSignature => Delivery {
            forged: true,
            retries: 0,
            ..mint.named(state, fault.name(), kind, &format!("{resource}_forged"))
        },
        Fault::StaleTimestamp => Delivery { webhook_id, age_s: STALE_S, retries: 0, ..same },
        _ => Delivery { webhook_id, ..same },
    };
    made.fault = Some(fault);
    made
}

/// Makes the ids of one resource's deliveries: dated now, the rest from the seed.
struct Mint {
    seed: u64,
    resource_id: String,
    now_s: i64,
}

impl Mint {
    fn new(state: &State, resource_id: &str) -> Self {
        Self { seed: state.seed, resource_id: resource_id.to_owned(), now_s: clock::now_s() }
    }

    fn id(&self, prefix: &str, name: &str) -> String {
        let names = [self.resource_id.as_bytes(), prefix.as_bytes(), name.as_bytes()];
        let rest = Dice::new(self.seed, &names).hex(24);
        format!("{prefix}{:08x}{rest}", self.now_s)
    }

    fn delivery(&self, state: &State, event_type: &str, resource_id: &str) -> Delivery {
        self.named(state, "due", event_type, resource_id)
    }

    fn named(&self, state: &State, name: &str, event_type: &str, resource_id: &str) -> Delivery {
        let event_id = self.id("evt_", name);
        let body = event::body(&event_id, self.now_s, event_type, resource_id);
        Delivery {
            webhook_id: self.id("wh_", name),
            event_id,
            event_type: event_type.to_owned(),
            resource_id: resource_id.to_owned(),
            body: body.into(),
            fault: None,
            age_s: 0,
            forged: false,
            retries: state.max_retries,
        }
    }
}

fn start(state: &Arc<State>, delivery: Delivery, hold: Option<Fault>) {
    let todo = state.pending.begin();
    let state = Arc::clone(state);
    let tracker = state.tracker.clone();
    tracker.spawn(async move {
        let work = async {
            hold_back(&state, hold, &delivery.webhook_id).await;
            deliver(&state, delivery).await;
        };
        state.stop.run_until_cancelled(work).await;
        drop(todo);
    });
}

/// Waits as the fault says: for a later delivery to overtake, or for long.
async fn hold_back(state: &State, hold: Option<Fault>, webhook_id: &str) {
    let longest = state.work_ms.1.max(50);
    match hold {
        Some(Fault::Reorder) => {
            let overtaken = state.delivered.notified();
            // With nothing else under way there is nobody to wait for.
            let _ = tokio::time::timeout(Duration::from_millis(2 * longest), overtaken).await;
        }
        Some(Fault::Delay) => {
            let mut dice = Dice::new(state.seed, &[webhook_id.as_bytes(), b"delay"]);
            let wait = dice.between(3 * longest, 6 * longest);
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        _ => {}
    }
}

async fn deliver(state: &State, mut delivery: Delivery) {
    for attempt in 1..=delivery.retries.saturating_add(1) {
        if attempt > 1 {
            tokio::time::sleep(backoff(state, &delivery, attempt)).await;
            if state.new_id_per_attempt {
                let mint = Mint::new(state, &delivery.resource_id);
                let name = format!("{} attempt {attempt}", delivery.webhook_id);
                delivery.webhook_id = mint.id("wh_", &name);
            }
        }
        // Read anew each time: the receiver may have moved.
        let Some(url) = state.tuning().webhook_url.clone() else {
            return;
        };
        let outcome = attempt_once(state, &url, &delivery).await;
        let accepted = matches!(outcome, Ok(200..=299));
        log(state, &delivery, attempt, outcome);
        state.delivered.notify_waiters();
        if accepted {
            return;
        }
    }
}

async fn attempt_once(state: &State, url: &str, delivery: &Delivery) -> Result<u16, String> {
    let _turn = state.senders.acquire().await.map_err(|_| "stopped".to_string())?;
    let letter = Letter { url, webhook_id: &delivery.webhook_id, body: delivery.body.clone(), age_s: delivery.age_s };
    if delivery.forged {
        let key = Dice::new(state.seed, &[b"forged"]).hex(32).into_bytes();
        return wire::post(&state.client, &Signer::from_key(key), letter).await;
    }
    wire::post(&state.client, &state.signer, letter).await
}

/// Twice as long each time, give or take a quarter.
fn backoff(state: &State, delivery: &Delivery, attempt: u32) -> Duration {
    let doubled = 1_u64.checked_shl(attempt.saturating_sub(2)).unwrap_or(u64::MAX);
    let base = Duration::from_millis(state.first_retry_ms.saturating_mul(doubled)).min(LONGEST_WAIT);
    let names = [delivery.webhook_id.as_bytes(), &attempt.to_be_bytes()];
    base.mul_f64(0.75 + 0.5 * Dice::new(state.seed, &names).unit())
}

fn log(state: &State, delivery: &Delivery, attempt: u32, outcome: Result<u16, String>) {
    state.deliveries.push(DeliveryLog {
        webhook_id: delivery.webhook_id.clone(),
        event_id: delivery.event_id.clone(),
        event_type: delivery.event_type.clone(),
        resource_id: delivery.resource_id.clone(),
        attempt,
        status: outcome.as_ref().ok().copied(),
        error: outcome.err(),
        fault: delivery.fault,
    });
}
