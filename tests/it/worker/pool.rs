//! The pool: rung awake, many at once, and nothing lost when it stops.

use std::sync::Arc;

use frontdesk::domain::job::State;
use frontdesk::worker::{Pool, Step};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::fake_openai::{Answer, completed, to};
use crate::harness::{LEASE_MS, TestDesk};

/// A desk whose pool never looks at the queue unless it is rung.
async fn desk() -> TestDesk {
    let mut desk = TestDesk::open().await;
    desk.settings.poll_ms = 3_600_000;
    desk.settings.heartbeat_ms = 3_600_000;
    desk.settings.drain_ms = 60_000;
    desk
}

async fn result(desk: &TestDesk, n: usize, until: &Arc<Semaphore>) {
    desk.ticket(&format!("T-{n}"), "Where is my parcel?").await;
    let id = format!("resp_{n}");
    let body = completed(&id, "The parcel is late.", &to(&format!("T-{n}"), "summary"));
    desk.openai.script(&id, [Answer::json(&body).that_waits(until)]);
}

#[tokio::test]
async fn a_delivery_wakes_the_pool_and_a_stop_waits_for_what_is_at_work() {
    let desk = desk().await;
    let stop = CancellationToken::new();
    let pool = tokio::spawn(Pool::new(desk.worker()).run(stop.clone()));
    let go_on = Arc::new(Semaphore::new(0));
    for n in 0..3 {
        result(&desk, n, &go_on).await;
        desk.tell(&format!("resp_{n}")).await;
        desk.openai.next_call().await;
    }
    // Three are at work at once; none has had its answer.
    stop.cancel();
    go_on.add_permits(3);
    pool.await.unwrap();
    for n in 0..3 {
        assert_eq!(desk.job(&format!("resp_{n}")).await.outcome.as_deref(), Some("applied"));
    }
}

#[tokio::test]
async fn a_pool_never_has_more_at_work_than_it_may_and_claims_more_when_there_is_room() {
    let mut desk = desk().await;
    desk.settings.concurrency = 2;
    let go_on = Arc::new(Semaphore::new(0));
    for n in 0..6 {
        result(&desk, n, &go_on).await;
        desk.tell(&format!("resp_{n}")).await;
    }
    let stop = CancellationToken::new();
    let pool = tokio::spawn(Pool::new(desk.worker()).run(stop.clone()));
    for n in 0..6 {
        desk.openai.next_call().await;
        let processing = desk.store.counts().await.unwrap().states[2];
        assert_eq!(processing.state, State::Processing);
        assert!(processing.count <= 2, "{} at work", processing.count);
        if n > 0 {
            go_on.add_permits(1);
        }
    }
    stop.cancel();
    go_on.add_permits(6);
    pool.await.unwrap();
    for n in 0..6 {
        assert_eq!(desk.job(&format!("resp_{n}")).await.outcome.as_deref(), Some("applied"), "{n}");
    }
}

#[tokio::test]
async fn a_job_whose_attempt_panics_does_not_take_the_pool_down_and_is_made_again_after_its_lease() {
    let desk = desk().await;
    let go_on = Arc::new(Semaphore::new(10));
    for n in 0..2 {
        result(&desk, n, &go_on).await;
    }
    let once = std::sync::atomic::AtomicBool::new(false);
    let worker = desk.worker().stop_after(Box::new(move |step| {
        assert!(step != Step::Decided || once.swap(true, std::sync::atomic::Ordering::SeqCst), "on purpose");
        false
    }));
    let stop = CancellationToken::new();
    let pool = tokio::spawn(Pool::new(worker).run(stop.clone()));
    desk.tell("resp_0").await;
    desk.openai.next_call().await;
    desk.tell("resp_1").await;
    desk.openai.next_call().await;
    stop.cancel();
    pool.await.unwrap();
    let states = [desk.job("resp_0").await.status, desk.job("resp_1").await.status];
    assert!(states.contains(&State::Processing) && states.contains(&State::Processed), "{states:?}");
    desk.clock.advance(LEASE_MS);
    desk.work().await;
    for n in 0..2 {
        assert_eq!(desk.job(&format!("resp_{n}")).await.outcome.as_deref(), Some("applied"));
    }
}
