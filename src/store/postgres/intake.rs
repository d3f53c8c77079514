//! Deliveries in groups: one thread takes whatever is waiting and stores it with
//! a handful of statements over many rows, in one transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::outage::Outage;
use super::pool::Line;
use crate::domain::delivery::{NewDelivery, Receipt};
use crate::store::sql::{Company, Connection, Settings};
use crate::store::units::spawn;
use crate::store::{StoreError, beat, inbox};

/// Rows of one transaction at most: past some hundreds a larger group only makes
/// the first one wait longer.
const MAX_GROUP: usize = 256;

/// How many may wait. Past it the front desk answers 503.
const DEPTH: usize = 4096;

/// A group that has taken longer says that the database does not answer: who
/// comes then is told at once, and does not wait in the same line.
const STUCK_AFTER: Duration = Duration::from_secs(2);

/// Nobody waits longer. Should the commit succeed after all, the sender's next
/// try is a duplicate.
const PATIENCE: Duration = Duration::from_secs(3);

struct Waiting {
    delivery: Arc<NewDelivery>,
    reply: Reply<Receipt>,
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

enum Asked {
    Store(Waiting),
    /// Whether something can be stored.
    Beat(Reply<()>),
}

/// Takes deliveries in.
#[derive(Clone)]
pub(in crate::store) struct Intake {
    queue: mpsc::Sender<Asked>,
    at_work: Arc<AtWork>,
    outage: Arc<Outage>,
}

/// Since when the thread has been busy with one group.
struct AtWork {
    started: Instant,
    /// In ms after `started`; 0: it waits for deliveries.
    since_ms: AtomicU64,
}

impl AtWork {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    fn begin(&self) {
        self.since_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    fn end(&self) {
        self.since_ms.store(0, Ordering::Relaxed);
    }

    fn is_stuck(&self) -> bool {
        let since_ms = self.since_ms.load(Ordering::Relaxed);
        since_ms != 0 && Duration::from_millis(self.now_ms().saturating_sub(since_ms)) > STUCK_AFTER
    }
}

impl Intake {
    /// Starts the thread.
    pub(super) fn start(settings: &Settings, outage: &Arc<Outage>) -> Result<Intake, StoreError> {
        let (queue, waiting) = mpsc::channel(DEPTH);
        let line = Line::of(settings, outage, None);
        let at_work = Arc::new(AtWork { started: Instant::now(), since_ms: AtomicU64::new(0) });
        let seen = Arc::clone(&at_work);
        spawn("store-intake", move || take_in(line, waiting, &seen))?;
        Ok(Intake { queue, at_work, outage: Arc::clone(outage) })
    }

    /// Stores one; refuses at once when too many are waiting, or those before it
    /// have had no answer for too long.
    pub(in crate::store) async fn record(&self, delivery: Arc<NewDelivery>) -> Result<Receipt, StoreError> {
        if self.at_work.is_stuck() {
            return Err(self.no_answer());
        }
        let (reply, answer) = oneshot::channel();
        self.ask(Asked::Store(Waiting { delivery, reply }))?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answer) => answer.map_err(|_| StoreError::Closed)?,
            Err(_) => Err(self.no_answer()),
        }
    }

    /// Commits a write that changes nothing.
    pub(in crate::store) async fn beat(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Asked::Beat(reply))?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    fn ask(&self, asked: Asked) -> Result<(), StoreError> {
        self.queue.try_send(asked).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Full,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }

    fn no_answer(&self) -> StoreError {
        let error = StoreError::Unreachable("it does not answer".to_owned());
        self.outage.failed(&error);
        error
    }
}

fn take_in(mut line: Line, mut asked: mpsc::Receiver<Asked>, at_work: &AtWork) {
    let (mut next, mut group) = (Vec::with_capacity(MAX_GROUP), Vec::with_capacity(MAX_GROUP));
    while asked.blocking_recv_many(&mut next, MAX_GROUP) > 0 {
        at_work.begin();
        for asked in next.drain(..) {
            match asked {
                Asked::Store(waiting) => group.push(waiting),
                Asked::Beat(reply) => drop(reply.send(line.run(Company::Anybody, beat))),
            }
        }
        if !group.is_empty() {
            store(&mut line, &mut group);
        }
        at_work.end();
    }
}

fn store(line: &mut Line, group: &mut Vec<Waiting>) {
    let deliveries: Vec<_> = group.iter().map(|waiting| Arc::clone(&waiting.delivery)).collect();
    match record(line, &deliveries) {
        Ok(receipts) => answer(group, receipts.into_iter().map(Ok)),
        Err(error) if group.len() == 1 || !error.is_of_one_unit() => {
            answer(group, std::iter::repeat_with(|| Err(error.clone())));
        }
        // One delivery spoiled the statement for the others: each gets its own.
        Err(_) => {
            let alone = deliveries.into_iter().map(|delivery| {
                let receipts = record(line, &[delivery])?;
                receipts.into_iter().next().ok_or(StoreError::Closed)
            });
            answer(group, alone);
        }
    }
}

fn answer(group: &mut Vec<Waiting>, answers: impl Iterator<Item = Result<Receipt, StoreError>>) {
    for (waiting, answer) in group.drain(..).zip(answers) {
        // Whoever has gone away will send it again, and learn that it is here.
        let _ = waiting.reply.send(answer);
    }
}

fn record(line: &mut Line, deliveries: &[Arc<NewDelivery>]) -> Result<Vec<Receipt>, StoreError> {
    let mut receipts = Vec::new();
    line.run(Company::Anybody, |connection: &Connection| {
        receipts = inbox::record_many(connection, deliveries)?;
        Ok(())
    })?;
    Ok(receipts)
}
