//! Nothing that people ask takes longer because more lies behind it: the same
//! questions to a young database and to one with ten times its history take the
//! same number of steps of SQLite's machine. No clock is looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, PoisonError};

use tempfile::TempDir;

use super::sql::Connection;
use super::{
    Claim, Company, Content, DeliveryFilter, Engine, FailedFilter, LOOKED_AT, Location, PageRequest, QueueFilter, Step,
    Store, Which, Window,
};
use crate::domain::batch::Filter;
use crate::domain::job::State;
use crate::domain::{review, submission};

#[allow(dead_code, reason = "the benchmark uses the rest")]
#[path = "../../bench/src/growth/fill.rs"]
mod fill;

use fill::{History, SQLITE, ids};

const NOW_MS: i64 = 1_800_000_000_000;
/// How much history there is: more than a page looks at in the young one as well.
const YOUNG: i64 = 10_000;
const OLD: i64 = 50_000;
const PAGE: PageRequest = PageRequest { limit: 5, cursor: None };
/// What a row takes at most that a page looks at and leaves out.
const STEPS_OF_A_ROW: u64 = 40;

/// A store that counts the steps of its reads and writes.
struct Counting {
    store: Store,
    total: i64,
    steps: Arc<AtomicU64>,
    _folder: TempDir,
}

impl Counting {
    async fn with(total: i64) -> Counting {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("desk.db");
        let location = Location::Sqlite(path.clone());
        Store::migrate(&location).unwrap();
        let history = History { total, fresh: 1_000, now_ms: NOW_MS };
        let sql = rusqlite::Connection::open(&path).unwrap();
        sql.execute_batch("PRAGMA synchronous = OFF; BEGIN").unwrap();
        for statement in history.part(&SQLITE, 0, total).into_iter().chain(history.close(&SQLITE)) {
            sql.execute_batch(&statement).unwrap_or_else(|error| panic!("{error}\n{statement}"));
        }
        sql.execute_batch("COMMIT").unwrap();
        let store = Store::open(&location, false).unwrap();
        let steps = Arc::new(AtomicU64::new(0));
        let counting = Counting { store, total, steps, _folder: folder };
        counting.watch().await;
        counting
    }

    /// Counts on every connection of the store.
    async fn watch(&self) {
        let count = |connection: &Connection, steps: &Arc<AtomicU64>| {
            let steps = Arc::clone(steps);
            let handler = move || {
                steps.fetch_add(1, Ordering::Relaxed);
                false
            };
            connection.sqlite().unwrap().progress_handler(1, Some(handler)).unwrap();
        };
        let Engine::Sqlite { at_hand } = &self.store.shared.engine else { panic!("a file") };
        for connection in at_hand.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            count(connection, &self.steps);
        }
        let (steps, both) = (Arc::clone(&self.steps), Arc::new(Barrier::new(2)));
        let hook = |both: Arc<Barrier>, steps: Arc<AtomicU64>| {
            self.store.readers.run(Company::Reader, move |connection: &Connection| {
                // Each reader takes one of the two.
                both.wait();
                count(connection, &steps);
                Ok(())
            })
        };
        let hooked = tokio::join!(hook(Arc::clone(&both), Arc::clone(&steps)), hook(both, Arc::clone(&steps)));
        hooked.0.unwrap();
        hooked.1.unwrap();
        self.store
            .write(move |connection| {
                count(connection, &steps);
                Ok(())
            })
            .await
            .unwrap();
    }

    /// The steps that a question takes the second time, when statements are ready.
    async fn steps<T>(&self, ask: impl AsyncFn(&Counting) -> T) -> (u64, T) {
        for _ in 0..2 {
            ask(self).await;
        }
        let before = self.steps.load(Ordering::Relaxed);
        let answer = ask(self).await;
        (self.steps.load(Ordering::Relaxed) - before, answer)
    }

    /// A page from the middle of the list that numbers its rows like deliveries.
    fn middle(&self) -> PageRequest {
        PageRequest { cursor: Some(self.total / 2), ..PAGE }
    }

    fn one_in_the_middle(&self) -> (String, String) {
        ids(self.total / 2 / 1000 * 1000 + 22)
    }
}

/// Asks both, and compares: as many steps, within what one more level of an index
/// costs, and for so many pages that look at all rows that they may.
macro_rules! same_effort {
    ($($test:ident { $($name:ident $(in $pages:literal)?: |$desk:ident| $ask:expr;)+ })+) => {$(
        #[tokio::test]
        async fn $test() {
            let (young, old) = (Counting::with(YOUNG).await, Counting::with(OLD).await);
            let mut grown = Vec::new();
            $(
                let ask = async |$desk: &Counting| $ask;
                let ((few, _), (many, _)) = (young.steps(ask).await, old.steps(ask).await);
                assert!(few > 0, "nothing was counted");
                let pages: u64 = 0 $(+ $pages)?;
                let looked_at = LOOKED_AT.unsigned_abs() * STEPS_OF_A_ROW * pages;
                if many > few + few / 10 + 200 + looked_at {
                    grown.push(format!("{}: {many} steps with five times the history, {few} without", stringify!($name)));
                }
            )+
            assert!(grown.is_empty(), "{}", grown.join("\n"));
        }
    )+};
}

fn of_status(status: State) -> DeliveryFilter {
    DeliveryFilter { status: Some(status), ..DeliveryFilter::default() }
}

fn of_type(event_type: &str) -> DeliveryFilter {
    DeliveryFilter { event_type: Some(event_type.to_owned()), ..DeliveryFilter::default() }
}

fn with_text(text: String) -> DeliveryFilter {
    DeliveryFilter { text: Some(text), ..DeliveryFilter::default() }
}

fn claim(now_ms: i64, which: Which) -> Claim {
    Claim {
        worker: "w".to_owned(),
        project: "default".to_owned(),
        limit: 32,
        which,
        lease_ms: 30_000,
        now_ms,
        max_attempts: 12,
    }
}

same_effort! {
  no_list_takes_longer_with_more_history {
    all_deliveries: |desk| for page in [PAGE, desk.middle()] {
        desk.store.deliveries(DeliveryFilter::default(), page).await.unwrap();
    };
    deliveries_of_each_state in 2: |desk| for status in State::ALL {
        for page in [PAGE, desk.middle()] {
            desk.store.deliveries(of_status(status), page).await.unwrap();
        }
    };
    deliveries_of_a_rare_and_of_an_unknown_type: |desk| for kind in ["batch.completed", "response.completed", "nobody.knows"] {
        for page in [PAGE, desk.middle()] {
            desk.store.deliveries(of_type(kind), page).await.unwrap();
        }
    };
    deliveries_of_a_type_and_a_state in 2: |desk| for kind in ["video.completed", "response.completed"] {
        for status in [State::Received, State::Processed, State::FailedFinal] {
            let filter = DeliveryFilter { status: Some(status), ..of_type(kind) };
            desk.store.deliveries(filter, PAGE).await.unwrap();
        }
    };
    deliveries_by_a_text: |desk| {
        let (delivery, resource) = desk.one_in_the_middle();
        for text in [delivery, resource, "T-7".to_owned(), "nowhere".to_owned(), "_1".to_owned()] {
            desk.store.deliveries(with_text(text), PAGE).await.unwrap();
        }
    };
  }
  no_look_up_takes_longer_with_more_history {
    one_delivery: |desk| desk.store.delivery(desk.one_in_the_middle().0).await.unwrap().unwrap();
    jobs_of_each_state: |desk| {
        for page in [PAGE, desk.middle()] {
            desk.store.jobs(None, page).await.unwrap();
            for status in State::ALL {
                desk.store.jobs(Some(status), page).await.unwrap();
            }
        }
    };
    submissions_of_each_state: |desk| {
        for page in [PAGE, desk.middle()] {
            desk.store.submissions(None, None, page).await.unwrap();
            for state in submission::State::ALL {
                desk.store.submissions(Some(state), None, page).await.unwrap();
            }
        }
        desk.store.submissions(None, Some("T-7".to_owned()), PAGE).await.unwrap();
    };
    reviews_of_each_state_and_reason in 1: |desk| {
        for page in [PAGE, desk.middle()] {
            desk.store.reviews(None, None, None, page).await.unwrap();
            for state in review::State::ALL {
                desk.store.reviews(Some(state), None, None, page).await.unwrap();
                desk.store.reviews(Some(state), None, Some("sensitive".to_owned()), page).await.unwrap();
            }
            for reason in ["sensitive", "incomplete"] {
                desk.store.reviews(None, None, Some(reason.to_owned()), page).await.unwrap();
            }
        }
        desk.store.reviews(None, Some("T-7".to_owned()), None, PAGE).await.unwrap();
    };
    the_queue_of_reviews in 2: |desk| {
        let sensitive = QueueFilter { topic: Some("nobody".to_owned()), ..QueueFilter::default() };
        for filter in [QueueFilter::default(), sensitive] {
            desk.store.waiting_reviews(filter, PAGE).await.unwrap();
        }
        desk.store.newest_numbers().await.unwrap();
    };
    reviews_that_wait: |desk| desk.store.reviews_waiting_since(NOW_MS).await.unwrap();
    alerts_and_those_that_are_open: |desk| for open_only in [false, true] {
        desk.store.alerts(open_only, PAGE).await.unwrap();
        desk.store.open_alerts().await.unwrap();
    };
    the_audit_trail: |desk| for (subject, actor) in
        [(None, None), (None, Some("lena")), (Some("T-7"), None), (Some("T-7"), Some("lena")), (None, Some("nobody"))]
    {
        desk.store.audit_trail(subject.map(str::to_owned), actor.map(str::to_owned), PAGE).await.unwrap();
    };
    tickets_and_those_of_a_batch in 2: |desk| {
        for page in [PAGE, PageRequest { cursor: Some(desk.total / 20), ..PAGE }] {
            desk.store.tickets(page).await.unwrap();
        }
        let open = Filter { status: Some("open".to_owned()), ..Filter::default() };
        desk.store.select_tickets(Filter { tag: Some("none".to_owned()), ..open.clone() }, NOW_MS, None, 20).await.unwrap();
        desk.store.select_tickets(Filter { queue: Some("billing".to_owned()), ..open }, NOW_MS, None, 20).await.unwrap();
    };
    batches_and_their_lines: |desk| {
        desk.store.batches(None, PAGE).await.unwrap();
        for state in [crate::domain::batch::State::Rejected, crate::domain::batch::State::Waiting] {
            desk.store.batches(Some(state), PAGE).await.unwrap();
        }
        for (outcome, after) in [(None, 0), (None, 5_000), (Some("ok"), 5_000), (Some("failed"), 0)] {
            desk.store.batch_lines("bat_large".to_owned(), outcome.map(str::to_owned), after, 20).await.unwrap();
        }
    };
    the_counts: |desk| desk.store.counts().await.unwrap();
    how_drafts_fared_in_the_last_week: |desk| desk.store.feedback(Some(NOW_MS - 7 * 86_400_000)).await.unwrap();
    why_from_each_id: |desk| {
        let (delivery, resource) = desk.one_in_the_middle();
        let (event, submission) = (resource.replace("resp_", "evt_"), resource.replace("resp_", "sub_"));
        let job = format!("job_{}", desk.total / 2 / 1000 * 1000 + 22);
        let approval = format!("job_{}", desk.total / 2 / 1000 * 1000 + 3);
        let review = ids(desk.total / 2 / 1000 * 1000 + 8).1.replace("resp_", "rev_");
        for id in [delivery, resource, event, submission, job, approval, review, "T-7".to_owned(), "no_such_id".to_owned()] {
            desk.store.trail(id).await.unwrap();
        }
    };
    what_is_parked: |desk| {
        desk.store.parked().await.unwrap();
        desk.store.tell_parked(|_| None, NOW_MS).await.unwrap();
    };
    failed_jobs_by_a_filter: |desk| {
        let waiting = FailedFilter { waiting: true, ..FailedFilter::default() };
        for filter in [FailedFilter::default(), waiting] {
            desk.store.failed_jobs(filter).await.unwrap();
        }
    };
    decisions_of_the_past: |desk| desk.store.past_decisions(NOW_MS - 86_400_000, 20).await.unwrap();
    what_would_be_replayed: |desk| {
        let window = Window { since_ms: NOW_MS - 3_600_000, until_ms: NOW_MS, event_type: None, status: None, all: false };
        desk.store.to_replay(window, 0, 100).await.unwrap();
    };
    what_the_doctor_and_the_watch_ask: |desk| {
        desk.store.facts(NOW_MS).await.unwrap();
        desk.store.projects_with_open_jobs().await.unwrap();
        desk.store.overdue_submissions(NOW_MS).await.unwrap();
        desk.store.lost_submissions().await.unwrap();
    };
    a_claim_that_finds_nothing: |desk| for which in [Which::SoonestForgotten, Which::LongestUntried, Which::WithoutOpenAi] {
        desk.store.claim(claim(NOW_MS, which)).await.unwrap();
    };
    a_step_of_forgetting: |desk| for content in Content::ALL {
        let step = Step { content, before_ms: NOW_MS, ids_only: vec!["default".to_owned()], now_ms: NOW_MS };
        desk.store.erase_step(step).await.unwrap();
    };
  }
}
