//! All that a running simulator knows.

use crate::batch::Batch;
use crate::chance::Dice;
use crate::files::File;
use crate::logs::{DeliveryLog, Requests, Ring};
use crate::settings::{Settings, StartError, Tuning, check_rates};
use crate::shelf::Shelf;
use crate::signing::Signer;
use crate::sync::{Pending, lock};
use crate::wire;
use crate::work::Response;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Webhooks under way at once.
const SENDERS: usize = 64;

/// So much background work may be under way; more is refused with 429.
pub(crate) const MOST_PENDING: usize = 100_000;

/// Resources of a kind that are kept.
const MOST_KEPT: usize = 200_000;

/// Bytes that are kept of responses, and as many again of files.
const MOST_BYTES: usize = 1 << 30;

pub(crate) struct State {
    pub(crate) seed: u64,
    pub(crate) api_key: Option<String>,
    pub(crate) work_ms: (u64, u64),
    pub(crate) first_retry_ms: u64,
    pub(crate) max_retries: u32,
    pub(crate) new_id_per_attempt: bool,
    pub(crate) signer: Signer,
    pub(crate) client: reqwest::Client,
    pub(crate) senders: Semaphore,
    /// Told of every attempt that was made.
    pub(crate) delivered: Notify,
    pub(crate) pending: Arc<Pending>,
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) responses: Shelf<Response>,
    pub(crate) files: Shelf<File>,
    pub(crate) batches: Shelf<Batch>,
    pub(crate) requests: Requests,
    pub(crate) deliveries: Ring<DeliveryLog>,
    tuning: RwLock<Arc<Tuning>>,
    repeats: Mutex<HashMap<u64, u64>>,
    serial: AtomicU64,
}

impl State {
    pub(crate) fn new(settings: &Settings) -> Result<State, StartError> {
        let signer = Signer::new(&settings.webhook_secret).map_err(StartError::Setting)?;
        check_rates(&settings.faults).map_err(StartError::Setting)?;
        if settings.work_ms.0 > settings.work_ms.1 {
            let (low, high) = settings.work_ms;
            let hint = format!("work takes from {low} to {high} ms; give the shorter time first");
            return Err(StartError::Setting(hint));
        }
        let timeout = Duration::from_millis(settings.webhook_timeout_ms.max(1));
        let client = wire::client(timeout, SENDERS).map_err(StartError::Client)?;
        Ok(State {
            seed: settings.seed,
            api_key: settings.api_key.clone(),
            work_ms: settings.work_ms,
            first_retry_ms: settings.first_retry_ms,
            max_retries: settings.max_retries,
            new_id_per_attempt: settings.new_id_per_attempt,
            signer,
            client,
            senders: Semaphore::new(SENDERS),
            delivered: Notify::new(),
            pending: Arc::default(),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            responses: Shelf::new(MOST_KEPT, MOST_BYTES),
            files: Shelf::new(MOST_KEPT, MOST_BYTES),
            batches: Shelf::new(MOST_KEPT, MOST_BYTES),
            requests: Requests::default(),
            deliveries: Ring::default(),
            tuning: RwLock::new(Arc::new(tuning(settings))),
            repeats: Mutex::default(),
            serial: AtomicU64::new(0),
        })
    }

    /// The settings that can change, as they are now.
    pub(crate) fn tuning(&self) -> Arc<Tuning> {
        Arc::clone(&self.tuning.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes them for all that comes later.
    pub(crate) fn tune(&self, change: impl FnOnce(&mut Tuning)) {
        let mut held = self.tuning.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Tuning::clone(&held);
        change(&mut changed);
        *held = Arc::new(changed);
    }

    /// The id for the n-th resource that was made from the same bytes. It looks like OpenAI's, yet
    /// its time is made up: ids must not change from run to run.
    pub(crate) fn id(&self, prefix: &str, from: &Origin, turn: u64) -> String {
        let turn = from.repeat.wrapping_add(turn).to_be_bytes();
        let names = [prefix.as_bytes(), &from.hash.to_be_bytes(), turn.as_slice()];
        let mut dice = Dice::new(self.seed, &names);
        let time = 0x6840_0000 + (dice.next() & 0x00ff_ffff);
        format!("{prefix}{time:08x}{}", dice.hex(40))
    }

    /// Where a resource comes from: its bytes, and how many the same bytes have made before.
    pub(crate) fn origin(&self, bytes: &[u8]) -> Origin {
        let hash = Dice::new(self.seed, &[bytes]).next();
        let mut repeats = lock(&self.repeats);
        if repeats.len() > MOST_KEPT {
            // Ids that are still on a shelf are found taken there, so nothing is made twice.
            repeats.clear();
        }
        let count = repeats.entry(hash).or_default();
        let repeat = *count;
        *count += 1;
        Origin { hash, repeat }
    }

    /// How long the work on a resource takes.
    pub(crate) fn work_time(&self, id: &str) -> Duration {
        let (low, high) = self.work_ms;
        Duration::from_millis(Dice::new(self.seed, &[id.as_bytes(), b"work"]).between(low, high))
    }

    /// The next `x-request-id`.
    pub(crate) fn request_id(&self) -> String {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        format!("req_{}", Dice::new(self.seed, &[&serial.to_be_bytes(), b"request"]).hex(32))
    }
}

/// See [`State::origin`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    hash: u64,
    repeat: u64,
}

fn tuning(settings: &Settings) -> Tuning {
    Tuning {
        webhook_url: settings.webhook_url.clone(),
        access: crate::settings::Access::Open,
        faults: settings.faults.clone(),
        script: settings.script.clone(),
    }
}
