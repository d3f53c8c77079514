//! Locks without poison, and waiting until nothing is left to do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The lock, whether or not another holder panicked: no section here leaves its data half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts what is still under way.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    count: AtomicUsize,
    none: Notify,
}

impl Pending {
    /// One more thing to do, until the token is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Todo {
        self.count.fetch_add(1, Ordering::SeqCst);
        Todo(Arc::clone(self))
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Resolves when nothing is under way.
    pub(crate) async fn idle(&self) {
        loop {
            let none = self.none.notified();
            tokio::pin!(none);
            // Listening starts before the look, or the last end could slip in between.
            none.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            none.await;
        }
    }
}

/// One thing that is under way.
#[derive(Debug)]
pub(crate) struct Todo(Arc<Pending>);

impl Drop for Todo {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pending;
    use std::sync::Arc;

    #[tokio::test]
    async fn idle_waits_for_the_last_one() {
        let pending = Arc::new(Pending::default());
        pending.idle().await;
        let (one, two) = (pending.begin(), pending.begin());
        let waiting = tokio::spawn({
            let pending = Arc::clone(&pending);
            async move { pending.idle().await }
        });
        drop(one);
        assert!(!waiting.is_finished());
        drop(two);
        waiting.await.unwrap();
    }
}
