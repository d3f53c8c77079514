//! What people look at: pages without gaps, and counts that agree with the rows.

use std::collections::BTreeMap;

use frontdesk::domain::decision::Hold;
use frontdesk::domain::failure::Cause;
use frontdesk::domain::hold::HoldReason;
use frontdesk::domain::job::State;
use frontdesk::store::{Change, DeliveryFilter, NewReview, PageRequest, Settlement};

use super::{Fresh, for_every_store, gave_up, ignored, placement, retry};
use crate::harness::{ALL, START_MS, signed};

for_every_store! {
    deliveries_page_without_gap_or_repeat_while_more_arrive,
    jobs_page_without_gap_or_repeat_while_more_arrive,
    reviews_and_tickets_page_without_gap_or_repeat_while_more_arrive,
    a_page_is_never_larger_than_the_limit_nor_than_the_most,
    deliveries_are_found_by_state_type_and_any_of_their_ids,
    counts_agree_with_the_rows_through_every_state,
    an_unknown_id_is_nothing,
    the_trail_of_a_piece_of_work_is_the_same_from_each_of_its_ids,
}

/// Walks a list to its end in pages of two, and changes the list on the way.
macro_rules! walk {
    ($fresh:ident, $insert:expr, |$page:ident| $list:expr, |$item:ident| $key:expr) => {{
        let mut seen = Vec::new();
        let mut cursor = None;
        let mut round = 100;
        loop {
            let $page = PageRequest { limit: 2, cursor };
            let page = $list.await.unwrap();
            assert!(page.items.len() <= 2);
            seen.extend(page.items.into_iter().map(|$item| $key));
            let insert: usize = round;
            ($insert)(insert).await;
            round += 1;
            cursor = page.next;
            if cursor.is_none() {
                break seen;
            }
        }
    }};
}

impl Fresh {
    async fn arrive(&self, n: usize) {
        self.deliver(&format!("wh_{n}"), &format!("evt_{n}"), &format!("resp_{n}")).await;
    }

    async fn hold(&self, n: usize) {
        self.arrive(n).await;
        let job = self.claim_one(START_MS).await;
        let review = NewReview::of(format!("rev_{n}"), Hold::because(HoldReason::Batch, ""));
        self.settle(job, Settlement::Held { review: Box::new(review), changes: Vec::new() }, START_MS).await;
    }
}

fn newest_first(prefix: &str) -> Vec<String> {
    (0..7).rev().map(|n| format!("{prefix}{n}")).collect()
}

async fn deliveries_page_without_gap_or_repeat_while_more_arrive(fresh: Fresh) {
    fresh.queued(7).await;
    let all = DeliveryFilter::default;
    let seen = walk!(fresh, |n| fresh.arrive(n), |page| fresh.store.deliveries(all(), page), |item| item.delivery_id);
    assert_eq!(seen, newest_first("wh_"));
}

async fn jobs_page_without_gap_or_repeat_while_more_arrive(fresh: Fresh) {
    fresh.queued(7).await;
    let seen = walk!(fresh, |n| fresh.arrive(n), |page| fresh.store.jobs(None, page), |item| item.resource_id);
    assert_eq!(seen, newest_first("resp_"));
    let queued = Some(State::Queued);
    let seen = walk!(fresh, |n: usize| fresh.arrive(n + 100), |page| fresh.store.jobs(queued, page), |item| item.id);
    assert!(seen.is_sorted_by(|a, b| a > b) && seen.len() == 11, "{seen:?}");
}

async fn reviews_and_tickets_page_without_gap_or_repeat_while_more_arrive(fresh: Fresh) {
    for n in 0..7 {
        fresh.hold(n).await;
        fresh.ticket(&format!("T-{n}")).await;
    }
    let seen = walk!(fresh, |n| fresh.hold(n), |page| fresh.store.reviews(None, None, None, page), |item| item.id);
    assert_eq!(seen, newest_first("rev_"));
    let insert = async |n: usize| fresh.ticket(&format!("T-{n}")).await;
    let seen = walk!(fresh, insert, |page| fresh.store.tickets(page), |item| item.id);
    assert_eq!(seen, newest_first("T-"));
}

async fn a_page_is_never_larger_than_the_limit_nor_than_the_most(fresh: Fresh) {
    fresh.queued(3).await;
    for (limit, items) in [(0, 1), (1, 1), (3, 3), (usize::MAX, 3)] {
        let page = fresh.store.jobs(None, PageRequest { limit, cursor: None }).await.unwrap();
        assert_eq!((page.items.len(), page.next.is_some()), (items, items < 3), "limit {limit}");
    }
}

async fn deliveries_are_found_by_state_type_and_any_of_their_ids(fresh: Fresh) {
    fresh.queued(2).await;
    let parked = r#"{"id":"evt_parked","type":"video.completed","data":{"id":"video_1"}}"#;
    fresh.store.record(signed("default", "wh_parked", parked, START_MS)).await.unwrap();
    let job = fresh.claim_at(START_MS, 1).await.remove(0);
    fresh.store.settle(job, Some(placement("T-77", None)), ignored(), START_MS).await.unwrap();
    let found = async |filter: DeliveryFilter| {
        let page = fresh.store.deliveries(filter, ALL).await.unwrap();
        page.items.into_iter().map(|delivery| delivery.delivery_id).collect::<Vec<_>>()
    };
    let by_state = async |status| found(DeliveryFilter { status: Some(status), ..DeliveryFilter::default() }).await;
    assert_eq!(by_state(State::Received).await, ["wh_parked"]);
    assert_eq!(by_state(State::Queued).await, ["wh_1"]);
    assert_eq!(by_state(State::Processed).await, ["wh_0"]);
    assert!(by_state(State::FailedFinal).await.is_empty());
    let of_type = DeliveryFilter { event_type: Some("video.completed".to_owned()), ..DeliveryFilter::default() };
    assert_eq!(found(of_type).await, ["wh_parked"]);
    for (text, ids) in [("wh_1", ["wh_1"]), ("evt_parked", ["wh_parked"]), ("resp_0", ["wh_0"]), ("T-77", ["wh_0"])] {
        let filter = DeliveryFilter { text: Some(text.to_owned()), ..DeliveryFilter::default() };
        assert_eq!(found(filter).await, ids, "{text}");
    }
    let wild = DeliveryFilter { text: Some("%".to_owned()), ..DeliveryFilter::default() };
    assert!(found(wild).await.is_empty(), "the text is no pattern");
}

async fn counts_agree_with_the_rows_through_every_state(fresh: Fresh) {
    fresh.queued(7).await;
    fresh.store.record(signed("default", "wh_parked", "", START_MS + 1)).await.unwrap();
    let jobs = fresh.claim_at(START_MS + 2, 6).await;
    let endings = [
        ignored(),
        Settlement::Applied { changes: Vec::new() },
        retry(START_MS + 9, true),
        gave_up(Cause::Internal),
        gave_up(Cause::Internal),
    ];
    for (job, ending) in jobs.into_iter().zip(endings) {
        fresh.settle(job, ending, START_MS + 3).await;
    }
    let failed = fresh.store.jobs(Some(State::FailedFinal), ALL).await.unwrap().items;
    fresh.store.discard_job(failed[0].id, "ada".to_owned(), "no use".to_owned(), START_MS + 4).await.unwrap();
    let counts = fresh.store.counts().await.unwrap();
    let states: BTreeMap<_, _> =
        counts.states.iter().map(|count| (count.state.word(), (count.count, count.oldest_ms))).collect();
    assert_eq!(states["received"], (1, Some(START_MS + 1)));
    assert_eq!(states["queued"], (1, Some(START_MS)));
    assert_eq!(states["processing"], (1, Some(START_MS + 2)));
    assert_eq!(states["processed"], (2, None));
    assert_eq!(states["failed_retryable"], (1, Some(START_MS + 3)));
    assert_eq!(states["failed_final"], (1, Some(START_MS + 3)), "what a person has closed waits for nobody");
    let outcomes = [("applied".to_owned(), 1), ("failed_final".to_owned(), 2), ("ignored".to_owned(), 1)];
    assert_eq!(counts.outcomes, outcomes);
    assert_eq!((counts.deliveries, counts.open_reviews), (8, (0, None)));
    assert!(counts.least_forget_at_ms.is_some());
}

async fn an_unknown_id_is_nothing(fresh: Fresh) {
    assert_eq!(fresh.store.job(1).await.unwrap(), None);
    assert_eq!(fresh.store.delivery("wh_1".to_owned()).await.unwrap(), None);
    assert!(fresh.store.trail("T-1".to_owned()).await.unwrap().is_none());
    assert!(fresh.store.trail("job_1".to_owned()).await.unwrap().is_none());
    fresh.store.ping().await.unwrap();
}

async fn the_trail_of_a_piece_of_work_is_the_same_from_each_of_its_ids(fresh: Fresh) {
    fresh.ticket("T-1").await;
    fresh.queued(1).await;
    fresh.deliver("wh_again", "evt_0", "resp_0").await;
    let job = fresh.claim_one(START_MS).await;
    let id = job.id();
    let intent = frontdesk::store::Intent {
        project: "default".to_owned(),
        resource_id: "resp_0".to_owned(),
        ticket_id: "T-1".to_owned(),
        effect: frontdesk::domain::effect::Effect::Note { text: "one".to_owned() },
        job_id: id,
    };
    let reference = fresh.store.plan(None, vec![intent], START_MS).await.unwrap().planned.remove(0).reference;
    let changes = vec![Change::Made {
        reference: reference.clone(),
        external_id: "message/1".to_owned(),
        ticket_id: "T-1".to_owned(),
        effect: frontdesk::domain::effect::Effect::Note { text: String::new() },
    }];
    let applied = Settlement::Applied { changes };
    fresh.store.settle(job, Some(placement("T-1", None)), applied, START_MS + 1).await.unwrap();
    for from in ["wh_0", "wh_again", "evt_0", "resp_0", "T-1", &format!("job_{id}"), &reference] {
        let trail = fresh.store.trail(from.to_owned()).await.unwrap().expect(from);
        assert_eq!(trail.job.as_ref().map(|job| (job.id, job.state)), Some((id, State::Processed)), "from {from}");
        assert_eq!(trail.ticket_id.as_deref(), Some("T-1"), "from {from}");
        let deliveries: Vec<_> = trail.deliveries.iter().map(|delivery| delivery.id.as_str()).collect();
        assert_eq!(deliveries, ["wh_0", "wh_again"], "from {from}");
        assert_eq!(trail.effects.len(), 1, "from {from}");
    }
}
