//! Batches that begin by the clock.

use frontdesk::domain::batch::schedule::{Schedule, When};
use frontdesk::domain::batch::{Filter, Select, Wanted};
use frontdesk::store::{Batch, TicketPatch};

use crate::harness::{ALL, START_MS, TestDesk};

const HOUR_MS: i64 = 3_600_000;

/// Every hour, those of which nobody has said what they are about.
fn hourly() -> Schedule {
    Schedule {
        name: "hourly".to_owned(),
        project: "default".to_owned(),
        workflow: "classification".to_owned(),
        when: When::read("0 * * * *", "Europe/Berlin").unwrap(),
        wanted: Wanted {
            select: Select::Filter(Filter { status: Some("open".to_owned()), unclassified: true, ..Filter::default() }),
            cap: Some(2),
            budget_tokens: None,
        },
    }
}

async fn desk() -> TestDesk {
    let mut desk = TestDesk::open().await;
    desk.settings.schedules = vec![hourly()];
    assert_eq!(desk.worker().begin_due().await.unwrap(), 0, "what is new is not due for what has been");
    desk
}

async fn batches(desk: &TestDesk) -> Vec<Batch> {
    desk.store.batches(None, ALL).await.unwrap().items
}

/// To the next full hour.
fn to_the_hour(desk: &TestDesk) {
    desk.clock.advance(HOUR_MS - desk.now_ms() % HOUR_MS);
}

#[tokio::test]
async fn a_schedule_begins_one_batch_when_its_time_has_come() {
    let desk = desk().await;
    desk.tickets(4).await;
    let patch = TicketPatch { intent: Some("billing".to_owned()), ..TicketPatch::default() };
    desk.store.patch_ticket("T-1".to_owned(), patch, desk.now_ms()).await.unwrap();
    let patch = TicketPatch { status: Some("closed".to_owned()), ..TicketPatch::default() };
    desk.store.patch_ticket("T-3".to_owned(), patch, desk.now_ms()).await.unwrap();
    assert_eq!(desk.worker().begin_due().await.unwrap(), 0, "it is not time yet");
    to_the_hour(&desk);
    assert_eq!(desk.worker().begin_due().await.unwrap(), 1);
    assert_eq!(desk.worker().begin_due().await.unwrap(), 0, "once");
    desk.work().await;
    let begun = &batches(&desk).await[0];
    assert_eq!(
        (begun.origin.word(), begun.actor.as_str(), begun.state.word()),
        ("schedule", "schedule hourly", "submitted")
    );
    assert_eq!(desk.lines_at_openai(), [["T-2", "T-4"]]);
    let seen = &desk.store.schedules().await.unwrap()[0];
    assert_eq!((seen.last_batch.as_ref(), seen.last_at_ms), (Some(&begun.id), Some(desk.now_ms())));
    assert_eq!(seen.next_at_ms, desk.now_ms() + HOUR_MS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn several_processes_begin_it_once() {
    let desk = desk().await;
    for _ in 0..5 {
        to_the_hour(&desk);
        let looks = (0..4).map(|_| {
            let worker = desk.worker();
            tokio::spawn(async move { worker.begin_due().await.unwrap() })
        });
        let begun: usize = futures_util::future::join_all(looks).await.into_iter().map(Result::unwrap).sum();
        assert_eq!(begun, 1);
    }
    desk.work().await;
    assert_eq!(batches(&desk).await.len(), 5);
}

#[tokio::test]
async fn what_was_missed_is_made_up_once_and_the_next_comes_at_its_time() {
    let desk = desk().await;
    desk.clock.advance(5 * HOUR_MS + 7);
    assert_eq!(desk.worker().begin_due().await.unwrap(), 1);
    assert_eq!(desk.worker().begin_due().await.unwrap(), 0);
    to_the_hour(&desk);
    assert_eq!(desk.worker().begin_due().await.unwrap(), 1);
    desk.work().await;
}

#[tokio::test]
async fn other_times_begin_anew_and_other_tickets_do_not() {
    let mut desk = desk().await;
    let before = desk.store.schedules().await.unwrap();
    desk.settings.schedules[0].wanted.cap = None;
    desk.worker().begin_due().await.unwrap();
    assert_eq!(desk.store.schedules().await.unwrap(), before);
    to_the_hour(&desk);
    desk.settings.schedules[0].when = When::read("30 2 * * *", "UTC").unwrap();
    assert_eq!(desk.worker().begin_due().await.unwrap(), 0);
    let next_ms = desk.store.schedules().await.unwrap()[0].next_at_ms;
    assert!(next_ms > START_MS && next_ms % HOUR_MS == HOUR_MS / 2);
}
