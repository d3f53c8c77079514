//! Deliveries in groups: one thread takes whatever is waiting and stores it with
//! a handful of statements over many rows, in one transaction.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::pool::Line;
use crate::domain::delivery::{NewDelivery, Receipt};
use crate::store::sql::{Company, Connection, Settings};
use crate::store::units::spawn;
use crate::store::{StoreError, inbox};

/// Rows of one transaction at most: past some hundreds a larger group only makes
/// the first one wait longer.
const MAX_GROUP: usize = 256;

/// How many may wait. Past it the front desk answers 503.
const DEPTH: usize = 4096;

struct Waiting {
    delivery: Arc<NewDelivery>,
    reply: oneshot::Sender<Result<Receipt, StoreError>>,
}

/// Takes deliveries in.
#[derive(Clone)]
pub(in crate::store) struct Intake {
    queue: mpsc::Sender<Waiting>,
}

impl Intake {
    /// Starts the thread.
    pub(super) fn start(settings: &Settings) -> Result<Intake, StoreError> {
        let (queue, waiting) = mpsc::channel(DEPTH);
        let line = Line::of(settings, None);
        spawn("store-intake", move || take_in(line, waiting))?;
        Ok(Intake { queue })
    }

    /// Stores one; refuses at once when too many are waiting.
    pub(in crate::store) async fn record(&self, delivery: Arc<NewDelivery>) -> Result<Receipt, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(Waiting { delivery, reply }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Full,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

fn take_in(mut line: Line, mut waiting: mpsc::Receiver<Waiting>) {
    let mut group = Vec::with_capacity(MAX_GROUP);
    while waiting.blocking_recv_many(&mut group, MAX_GROUP) > 0 {
        store(&mut line, &mut group);
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
