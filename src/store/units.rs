//! Work for the threads that hold the database connections, and the queue in
//! which it waits for them.
//!
//! Database calls block, so they get threads of their own and never an async one.

use std::sync::{Mutex, PoisonError};
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::StoreError;
use super::sql::{Company, Connection};

/// Work for a thread with a connection: it runs, and later it answers.
pub(super) trait Unit: Send {
    /// Does the work inside a transaction. May be called again when the
    /// transaction could not be committed for the sake of others.
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError>;
    /// Tells the waiting caller. `committed` is the fate of the transaction.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// What a thread is handed.
pub(super) struct Handed {
    pub(super) unit: Box<dyn Unit>,
    /// Who else may write meanwhile.
    pub(super) company: Company,
}

struct Call<F, T> {
    work: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Unit for Call<F, T>
where
    F: FnMut(&Connection) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError> {
        self.result = Some((self.work)(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match (committed, self.result) {
            (Ok(()), Some(result)) => Ok(result),
            (Ok(()), None) => Err(StoreError::Closed),
            (Err(error), _) => Err(error),
        };
        // The caller may have gone away; what it asked for has happened anyway.
        let _ = self.reply.send(answer);
    }
}

/// A write that was handed over and has not been waited for yet.
pub(super) type Posted<T> = oneshot::Receiver<Result<T, StoreError>>;

/// A way to hand work to the threads behind it.
#[derive(Clone)]
pub(super) struct Lane {
    queue: mpsc::Sender<Handed>,
}

impl Lane {
    /// A lane on which `depth` units may wait before callers do, and its other end.
    pub(super) fn of(depth: usize) -> (Lane, mpsc::Receiver<Handed>) {
        let (queue, waiting) = mpsc::channel(depth);
        (Lane { queue }, waiting)
    }

    /// Runs `work` on a thread of this lane, waiting for a place if there is none.
    pub(super) async fn run<T, F>(&self, company: Company, work: F) -> Result<T, StoreError>
    where
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.post(company, work).await?.await.map_err(|_| StoreError::Closed)?
    }

    /// Hands `work` over and does not wait for it: with one writer, whatever is
    /// handed over later by the same caller is committed later, or together with it.
    pub(super) async fn post<T, F>(&self, company: Company, work: F) -> Result<Posted<T>, StoreError>
    where
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let unit = Box::new(Call { work, result: None, reply });
        self.queue.send(Handed { unit, company }).await.map_err(|_| StoreError::Closed)?;
        Ok(answer)
    }

    /// As [`Lane::run`], but goes before others where there is one writer, and
    /// refuses at once when the queue is full.
    pub(super) async fn hurry<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.hurry_off(work)?.await.map_err(|_| StoreError::Closed)?
    }

    /// As [`Lane::hurry`], without waiting for the end.
    pub(super) fn hurry_off<T, F>(&self, work: F) -> Result<Posted<T>, StoreError>
    where
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let unit = Box::new(Call { work, result: None, reply });
        self.queue.try_send(Handed { unit, company: Company::Anybody }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Full,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        Ok(answer)
    }
}

/// The next unit for one of several threads; none when all callers have gone.
pub(super) fn next(waiting: &Mutex<mpsc::Receiver<Handed>>) -> Option<Handed> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv()
}

/// Starts a thread of the store.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
        .map_err(|error| StoreError::Open(format!("cannot start a thread: {error}")))
}
