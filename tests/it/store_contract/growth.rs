//! With much history: lists come in pages that are never long in the making, and
//! nothing is missing; forgetting goes in small steps and leaves what is needed to
//! know a delivery again.

use frontdesk::domain::delivery::Receipt;
use frontdesk::domain::job::State;
use frontdesk::domain::{batch, review, submission};
use frontdesk::store::{
    AuditAt, Content, DeliveryFilter, LOOKED_AT, Page, PageRequest, Step, Stepped, StoreError, Window,
};

use super::{Fresh, for_every_store, ignored};
use crate::harness::{START_MS, event, signed};

#[allow(dead_code, reason = "the benchmark uses the rest")]
#[path = "../../../bench/src/growth/fill.rs"]
mod fill;

for_every_store! {
    a_history_is_as_the_product_leaves_it,
    every_page_together_has_each_row_once_whatever_is_asked_for,
    a_page_that_finds_nothing_says_where_to_go_on,
    what_begins_with_a_text_is_found_however_old_and_what_contains_it_page_by_page,
    states_and_batches_are_counted_as_the_rows_are,
    a_delivery_whose_body_was_erased_is_still_known,
    a_step_erases_no_more_bytes_than_it_may,
    what_was_left_behind_is_looked_at_alone,
    parked_deliveries_of_a_type_are_put_away_in_steps,
    a_replay_of_the_last_hours_begins_where_they_begin,
}

const TOTAL: i64 = 6_000;
const LATER: i64 = START_MS + 1_000_000;

impl Fresh {
    /// Six thousand deliveries and what became of them.
    fn grown(&self) {
        let history = fill::History { total: TOTAL, fresh: 1_000, now_ms: START_MS };
        let dialect = if self.database.is_postgres() { fill::POSTGRES } else { fill::SQLITE };
        for statement in history.part(&dialect, 0, TOTAL).into_iter().chain(history.close(&dialect)) {
            self.sql().execute_batch(&statement).unwrap_or_else(|error| panic!("{error:?}\n{statement}"));
        }
    }

    fn number(&self, question: &str) -> i64 {
        self.sql().query_row(question, [], |row| row.get(0)).unwrap()
    }
}

/// All pages of a list, and how many there were.
async fn whole<T>(list: impl AsyncFn(PageRequest) -> Result<Page<T>, StoreError>) -> (Vec<T>, usize) {
    let (mut all, mut page, mut pages) = (Vec::new(), PageRequest { limit: 100, cursor: None }, 0);
    loop {
        let found = list(page).await.unwrap();
        assert!(found.items.len() <= 100);
        all.extend(found.items);
        pages += 1;
        match found.next {
            Some(next) => page.cursor = Some(next),
            None => return (all, pages),
        }
    }
}

async fn a_history_is_as_the_product_leaves_it(fresh: Fresh) {
    fresh.grown();
    let audit = fresh.store.audit(AuditAt { now_ms: START_MS, overdue_ms: 900_000 }).await.unwrap();
    assert_eq!(audit.findings, []);
    let checked = [("submissions", 3_040), ("deliveries", 6_000), ("jobs", 6_000), ("reviews", 300), ("batches", 31)];
    assert_eq!(audit.checked, checked, "the audit walks in steps, and sees every row");
    fresh.sql().execute("UPDATE jobs SET reason = '' WHERE id IN (5, 5905)", []).unwrap();
    let audit = fresh.store.audit(AuditAt { now_ms: START_MS, overdue_ms: 900_000 }).await.unwrap();
    let found: Vec<&str> = audit.findings.iter().map(|finding| finding.id.as_str()).collect();
    assert_eq!(found, ["job_5", "job_5905"], "one in its first step, one in its last");
}

async fn every_page_together_has_each_row_once_whatever_is_asked_for(fresh: Fresh) {
    fresh.grown();
    let store = &fresh.store;
    let of = |status, kind: Option<&str>| DeliveryFilter { status, event_type: kind.map(str::to_owned), text: None };
    for (status, kind, expected) in [
        (None, None, 6_000),
        (Some(State::Received), None, 60),
        (Some(State::FailedFinal), None, 60),
        (Some(State::Processed), None, 5_880),
        (Some(State::Queued), None, 0),
        (None, Some("batch.completed"), 30),
        (None, Some("response.completed"), 5_850),
        (Some(State::Received), Some("video.completed"), 60),
        (Some(State::Processed), Some("response.failed"), 0),
        (Some(State::Received), Some("response.completed"), 0),
    ] {
        let (found, _) = whole(async |page| store.deliveries(of(status, kind), page).await).await;
        assert!(found.is_sorted_by(|a, b| a.seq > b.seq), "{status:?} {kind:?}");
        assert_eq!(found.len(), expected, "{status:?} {kind:?}");
    }
    for (status, expected) in
        [(None, 6_000), (Some(State::Processed), 5_940), (Some(State::FailedFinal), 60), (Some(State::Received), 0)]
    {
        let (found, _) = whole(async |page| store.jobs(status, page).await).await;
        assert!(found.is_sorted_by(|a, b| a.id > b.id));
        assert_eq!(found.len(), expected, "{status:?}");
    }
    for (state, expected) in
        [(submission::State::Ended, 2_940), (submission::State::Started, 100), (submission::State::Lost, 0)]
    {
        let (found, _) = whole(async |page| store.submissions(Some(state), None, page).await).await;
        assert_eq!(found.len(), expected, "{state:?}");
    }
    for (state, reason, expected) in [
        (None, None, 300),
        (Some(review::State::Approved), None, 120),
        (Some(review::State::Approved), Some("sensitive"), 60),
        (Some(review::State::Open), Some("sensitive"), 10),
        (None, Some("customer_facing"), 120),
    ] {
        let ask = async |page| store.reviews(state, None, reason.map(str::to_owned), page).await;
        assert_eq!(whole(ask).await.0.len(), expected, "{state:?} {reason:?}");
    }
    for (actor, expected) in [(None, 180), (Some("lena"), 90), (Some("nobody"), 0)] {
        let ask = async |page| store.audit_trail(None, actor.map(str::to_owned), page).await;
        assert_eq!(whole(ask).await.0.len(), expected, "{actor:?}");
    }
    assert_eq!(whole(async |page| store.alerts(true, page).await).await.0.len(), 2);
    assert_eq!(whole(async |page| store.batches(Some(batch::State::Rejected), page).await).await.0.len(), 30);
}

async fn a_page_that_finds_nothing_says_where_to_go_on(fresh: Fresh) {
    fresh.grown();
    let nowhere = DeliveryFilter { text: Some("in no id".to_owned()), ..DeliveryFilter::default() };
    let first = fresh.store.deliveries(nowhere.clone(), PageRequest { limit: 50, cursor: None }).await.unwrap();
    assert_eq!((first.items.len(), first.next), (0, Some(TOTAL + 1 - LOOKED_AT)));
    let (found, pages) = whole(async |page| fresh.store.deliveries(nowhere.clone(), page).await).await;
    assert_eq!((found.len(), pages), (0, 3));
}

async fn what_begins_with_a_text_is_found_however_old_and_what_contains_it_page_by_page(fresh: Fresh) {
    fresh.grown();
    let (delivery, resource) = fill::ids(22);
    let with = |text: &str| DeliveryFilter { text: Some(text.to_owned()), ..DeliveryFilter::default() };
    for text in [delivery.as_str(), resource.as_str(), &resource.replace("resp_", "evt_"), &delivery[..17]] {
        let first = fresh.store.deliveries(with(text), PageRequest { limit: 50, cursor: None }).await.unwrap();
        let ids: Vec<&str> = first.items.iter().map(|found| found.delivery_id.as_str()).collect();
        assert_eq!((ids, first.next), (vec![delivery.as_str()], None), "{text}");
    }
    let of_ticket = fresh.store.deliveries(with("T-60"), PageRequest { limit: 500, cursor: None }).await.unwrap();
    assert!(of_ticket.items.iter().all(|found| found.ticket_id.as_deref().is_none_or(|id| id.starts_with("T-60"))));
    assert_eq!(of_ticket.items.len(), 20, "ten of T-60, ten of T-600");
    let (within, pages) = whole(async |page| fresh.store.deliveries(with(&delivery[3..]), page).await).await;
    assert_eq!((within.len(), within[0].seq, pages), (1, 22, 3), "in the middle of an id");
}

async fn states_and_batches_are_counted_as_the_rows_are(fresh: Fresh) {
    fresh.grown();
    let counts = fresh.store.counts().await.unwrap();
    let states: Vec<(i64, bool)> = counts.states.iter().map(|state| (state.count, state.at_least)).collect();
    assert_eq!(states, [(10, false), (0, false), (0, false), (5_940, false), (0, false), (10, false)]);
    assert_eq!((counts.deliveries, counts.open_reviews.0), (TOTAL, 10));
    let batches: Vec<_> = counts.batches.states.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(batches, [("waiting", 1), ("rejected", 30)]);
}

fn step(content: Content) -> Step {
    Step { content, before_ms: LATER, ids_only: Vec::new(), now_ms: LATER }
}

async fn a_delivery_whose_body_was_erased_is_still_known(fresh: Fresh) {
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    fresh.settle(job, ignored(), START_MS).await;
    assert_eq!(fresh.store.erase_step(step(Content::Bodies)).await.unwrap().erased, 1);
    let again = fresh.deliver("wh_0", "evt_0", "resp_0").await;
    assert_eq!(again, Receipt::Duplicate { altered: false }, "its hash is still there to compare with");
    let other = signed("default", "wh_0", &event("evt_0", "response.completed", "resp_9"), START_MS);
    assert_eq!(fresh.store.record(other).await.unwrap(), Receipt::Duplicate { altered: true });
    assert_eq!(fresh.deliver("wh_1", "evt_0", "resp_0").await, Receipt::KnownEvent);
    assert_eq!(fresh.number("SELECT count(*) FROM jobs"), 1);
}

async fn a_step_erases_no_more_bytes_than_it_may(fresh: Fresh) {
    const BODY: usize = 256 * 1024;
    fresh
        .sql()
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
             INSERT INTO deliveries (project, delivery_id, body, body_sha256, signed_at, secret_hint, received_at, note)
             SELECT 'default', 'wh_' || i, ?1, ?1, ?2, '', ?2, 'nobody handles it' FROM n",
            (vec![b'x'; BODY].as_slice(), START_MS),
        )
        .unwrap();
    for expected in [16, 16, 8] {
        let stepped = fresh.store.erase_step(step(Content::Bodies)).await.unwrap();
        assert_eq!(stepped, Stepped { erased: expected, expired: 0, more: expected == 16 });
    }
}

async fn what_was_left_behind_is_looked_at_alone(fresh: Fresh) {
    fresh.queued(4).await;
    let mut jobs = fresh.claim_at(START_MS, 3).await;
    fresh.store.erase_step(step(Content::Bodies)).await.unwrap();
    assert_eq!(fresh.number("SELECT count(*) FROM erase_later"), 4, "all four are still needed");
    fresh.settle(jobs.remove(1), ignored(), START_MS).await;
    assert_eq!(fresh.store.erase_step(step(Content::Bodies)).await.unwrap().erased, 1);
    assert_eq!(fresh.number("SELECT count(*) FROM erase_later"), 3);
    let younger = Step { before_ms: START_MS, ..step(Content::Bodies) };
    fresh.settle(jobs.remove(0), ignored(), START_MS).await;
    assert_eq!(fresh.store.erase_step(younger).await.unwrap().erased, 0, "it is to be kept longer by now");
    assert_eq!(fresh.store.erase_step(step(Content::Bodies)).await.unwrap().erased, 1);
}

async fn parked_deliveries_of_a_type_are_put_away_in_steps(fresh: Fresh) {
    fresh
        .sql()
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
             INSERT INTO deliveries (project, delivery_id, event_type, body_sha256, signed_at, secret_hint, received_at, note)
             SELECT 'default', 'wh_' || i, CASE WHEN i % 2 = 0 THEN 'video.completed' END, ?1, ?2, '', ?2 + i, 'nobody handles it' FROM n",
            (b"hash".as_slice(), START_MS),
        )
        .unwrap();
    let parked = fresh.store.parked().await.unwrap();
    let said: Vec<_> =
        parked.iter().map(|one| (one.event_type.as_str(), one.count, one.oldest_ms - START_MS)).collect();
    assert_eq!(said, [("unreadable", 600, 1), ("video.completed", 600, 2)]);
    for (kind, entries) in [("video.completed", 2), ("unreadable", 4)] {
        let dismissed = fresh.store.dismiss_type(kind.to_owned(), "ada".to_owned(), "seen".to_owned(), LATER).await;
        assert_eq!(dismissed.unwrap(), 600, "{kind}");
        assert_eq!(fresh.number("SELECT count(*) FROM audit_trail"), entries, "an entry a step");
    }
    assert_eq!(fresh.store.parked().await.unwrap(), []);
}

async fn a_replay_of_the_last_hours_begins_where_they_begin(fresh: Fresh) {
    fresh.grown();
    let hour = 3_600_000;
    let window = |since_ms, until_ms| Window { since_ms, until_ms, event_type: None, status: None, all: true };
    let last = fresh.store.to_replay(window(START_MS - hour, START_MS + 1), 0, 10_000).await.unwrap();
    assert_eq!((last.order.first(), last.order.len(), last.next), (Some(&5306), 695, None), "one every 5.184 s");
    let mut after = 0;
    let mut found = Vec::new();
    loop {
        let step = fresh.store.to_replay(window(0, START_MS - 2 * hour), after, 500).await.unwrap();
        found.extend(step.order);
        match step.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert!(found.is_sorted() && found.len() == 4_611, "{} of them", found.len());
}
