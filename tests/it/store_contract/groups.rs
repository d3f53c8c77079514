//! Group commit: many callers, one transaction, and nobody pays for another.

use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use frontdesk::domain::delivery::Receipt;
use frontdesk::store::{NewSubmission, Store, StoreError};
use rusqlite::Connection;

use super::{Fresh, for_every_store};
use crate::harness::{ALL, START_MS, event, signed};
use crate::support::postgres;

for_every_store! {
    what_was_answered_is_there_after_the_database_is_opened_again,
}

// One writer, which a test can stop.
mod on_one_writer {
    use super::Fresh;

    #[tokio::test]
    async fn one_unit_that_fails_inside_a_group_does_not_spoil_the_others() {
        super::one_unit_that_fails_inside_a_group_does_not_spoil_the_others(Fresh::sqlite()).await;
    }

    #[tokio::test]
    async fn a_delivery_goes_before_what_the_back_office_has_handed_over() {
        super::a_delivery_goes_before_what_the_back_office_has_handed_over(Fresh::sqlite()).await;
    }

    #[tokio::test]
    async fn a_full_queue_says_so_at_once_and_takes_deliveries_again_afterwards() {
        super::a_full_queue_says_so_at_once_and_takes_deliveries_again_afterwards(Fresh::sqlite()).await;
    }
}

mod on_a_server {
    use super::Fresh;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_parked_event_that_comes_twice_in_one_group_has_a_first_and_a_copy() {
        super::a_parked_event_that_comes_twice_in_one_group_has_a_first_and_a_copy(Fresh::postgres()).await;
    }

    #[tokio::test]
    async fn statements_go_on_when_a_newer_process_has_added_a_column() {
        super::statements_go_on_when_a_newer_process_has_added_a_column(Fresh::postgres()).await;
    }
}

/// Keeps the writer from starting its next transaction, so that a group gathers.
fn stop_the_writer(fresh: &Fresh) -> Connection {
    let other = Connection::open(fresh.database.location.file().unwrap()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

fn submission(id: &str) -> NewSubmission {
    NewSubmission {
        id: id.to_owned(),
        project: "default".to_owned(),
        ticket_id: "T-1".to_owned(),
        workflow: "summary".to_owned(),
        prompt_version: "1".to_owned(),
        ticket_revision: 1,
        actor: "ada".to_owned(),
        created_at_ms: START_MS,
        check_at_ms: START_MS + 1_000,
        deadline_ms: START_MS + 2_000,
    }
}

async fn record(store: Store, n: usize) -> Result<Receipt, StoreError> {
    let body = event(&format!("evt_{n}"), "response.completed", &format!("resp_{n}"));
    store.record(signed("default", &format!("wh_{n}"), &body, START_MS)).await
}

async fn one_unit_that_fails_inside_a_group_does_not_spoil_the_others(fresh: Fresh) {
    fresh.store.begin_submission(submission("sub_taken")).await.unwrap();
    let stopped = stop_the_writer(&fresh);
    let mut good = Vec::new();
    let mut bad = Vec::new();
    for n in 0..40 {
        good.push(tokio::spawn(record(fresh.store.clone(), n)));
        if n % 10 == 5 {
            let store = fresh.store.clone();
            bad.push(tokio::spawn(async move { store.begin_submission(submission("sub_taken")).await }));
            let store = fresh.store.clone();
            bad.push(tokio::spawn(
                async move { store.retry_job(9_999, "ada".to_owned(), None, START_MS).await.map(drop) },
            ));
        }
    }
    // All of them are in the queue before the writer goes on.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    stopped.execute_batch("ROLLBACK").unwrap();
    for unit in good {
        assert_eq!(unit.await.unwrap(), Ok(Receipt::Queued));
    }
    for unit in bad {
        assert!(unit.await.unwrap().is_err());
    }
    assert_eq!(fresh.store.counts().await.unwrap().deliveries, 40);
    assert_eq!(fresh.claim_at(START_MS, 100).await.len(), 40);
}

async fn a_delivery_goes_before_what_the_back_office_has_handed_over(fresh: Fresh) {
    let stopped = stop_the_writer(&fresh);
    let (told, mut answered) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..200 {
        let (store, told) = (fresh.store.clone(), told.clone());
        tokio::spawn(async move {
            store.begin_submission(submission(&format!("sub_{n}"))).await.unwrap();
            told.send("back office").unwrap();
        });
    }
    let store = fresh.store.clone();
    tokio::spawn(async move {
        record(store, 0).await.unwrap();
        told.send("delivery").unwrap();
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    stopped.execute_batch("ROLLBACK").unwrap();
    let mut before = 0;
    while answered.recv().await != Some("delivery") {
        before += 1;
    }
    // Those in the same transaction may be answered before it.
    assert!(before < 50, "{before} went first");
    while answered.recv().await.is_some() {
        before += 1;
    }
    assert_eq!(before, 200, "and nobody is forgotten");
}

async fn a_full_queue_says_so_at_once_and_takes_deliveries_again_afterwards(fresh: Fresh) {
    let stopped = stop_the_writer(&fresh);
    let mut waiting = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    let body = event("evt_1", "response.completed", "resp_1");
    let refused = loop {
        let webhook_id = format!("wh_{}", waiting.len());
        let delivery = signed("default", &webhook_id, &body, START_MS);
        let store = fresh.store.clone();
        let mut unit: Pin<Box<dyn Future<Output = _>>> = Box::pin(async move { store.record(delivery).await });
        match unit.as_mut().poll(&mut context) {
            Poll::Pending => waiting.push(unit),
            Poll::Ready(answer) => break answer,
        }
        assert!(waiting.len() < 10_000, "the queue has no end");
    };
    assert_eq!(refused, Err(StoreError::Full));
    assert_eq!(fresh.store.ping().await, Err(StoreError::Full), "and the readiness check sees it");
    stopped.execute_batch("ROLLBACK").unwrap();
    let stored = waiting.len();
    for (n, unit) in waiting.into_iter().enumerate() {
        let expected = if n == 0 { Receipt::Queued } else { Receipt::KnownEvent };
        assert_eq!(unit.await, Ok(expected), "whatever was let in is stored");
    }
    assert_eq!(record(fresh.store.clone(), 99_999).await, Ok(Receipt::Queued));
    let deliveries = fresh.store.counts().await.unwrap().deliveries;
    assert_eq!(usize::try_from(deliveries).unwrap(), stored + 1, "and what was refused is not");
}

async fn a_parked_event_that_comes_twice_in_one_group_has_a_first_and_a_copy(fresh: Fresh) {
    let ((locked, is_locked), (go, may_go)) = (mpsc::channel(), mpsc::channel::<()>());
    let url = fresh.database.url();
    let holder = std::thread::spawn(move || {
        postgres::ask(&url, move |client| {
            client.batch_execute("BEGIN; LOCK TABLE deliveries IN EXCLUSIVE MODE").unwrap();
            locked.send(()).unwrap();
            may_go.recv().unwrap();
            client.batch_execute("ROLLBACK").unwrap();
        });
    });
    is_locked.recv().unwrap();
    // The first one keeps the thread; the others gather behind it.
    let first = tokio::spawn(record(fresh.store.clone(), 0));
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while fresh.sql().number(waits) == 0 {
        tokio::task::yield_now().await;
    }
    let mut context = Context::from_waker(Waker::noop());
    let body = event("evt_parked", "fine_tuning.job.failed", "ftjob_1");
    let mut both = ["wh_b", "wh_a"].map(|id| Box::pin(fresh.store.record(signed("default", id, &body, START_MS))));
    for one in &mut both {
        assert!(one.as_mut().poll(&mut context).is_pending());
    }
    go.send(()).unwrap();
    assert_eq!(first.await.unwrap(), Ok(Receipt::Queued));
    for one in both {
        assert_eq!(one.await, Ok(Receipt::Stored));
    }
    holder.join().unwrap();
    let copies = "SELECT count(*) FROM deliveries WHERE delivery_id = 'wh_b' AND duplicate_of = 'wh_a'";
    assert_eq!(fresh.sql().number(copies), 1, "they are stored in the order of their ids");
    assert_eq!(fresh.sql().number("SELECT count(*) FROM deliveries WHERE duplicate_of IS NOT NULL"), 1);
}

async fn statements_go_on_when_a_newer_process_has_added_a_column(fresh: Fresh) {
    fresh.queued(3).await;
    assert_eq!(fresh.claim_at(START_MS, 1).await.len(), 1);
    fresh.store.notice("late", "default".to_owned(), "x".to_owned(), START_MS).await.unwrap();
    assert_eq!(fresh.store.alerts(false, ALL).await.unwrap().items.len(), 1);
    for table in ["alerts", "jobs", "deliveries", "reviews", "submissions", "effects"] {
        fresh.sql().execute(&format!("ALTER TABLE {table} ADD COLUMN new_one TEXT"), []).unwrap();
    }
    // More often than there are connections.
    for n in 0..8 {
        assert_eq!(fresh.store.alerts(false, ALL).await.unwrap().items.len(), 1, "{n}");
    }
    assert_eq!(fresh.claim_at(START_MS, 1).await.len(), 1);
    assert_eq!(record(fresh.store.clone(), 77).await, Ok(Receipt::Queued));
}

async fn what_was_answered_is_there_after_the_database_is_opened_again(fresh: Fresh) {
    fresh.queued(5).await;
    fresh.claim_at(START_MS, 2).await;
    let Fresh { store, database } = fresh;
    drop(store);
    let again = database.store();
    assert_eq!(record(again.clone(), 0).await, Ok(Receipt::Duplicate { altered: false }));
    let left = again.claim(super::claim_at(START_MS, 10)).await.unwrap();
    assert_eq!(left.len(), 3, "the leases are there as well");
}
