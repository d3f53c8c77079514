//! Results set aside for a person: one review a resource.

use frontdesk::domain::decision::Hold;
use frontdesk::domain::hold::HoldReason;
use frontdesk::domain::job::State;
use frontdesk::domain::review;
use frontdesk::store::{Change, NewReview, PageRequest, Proposed, Settled, Settlement};

use super::{DONE, Fresh, for_every_store, placement};
use crate::harness::{ALL, LEASE_MS, START_MS};

for_every_store! {
    a_held_job_opens_a_review_with_all_that_a_person_needs,
    a_result_that_could_not_be_placed_has_a_review_without_a_ticket,
    several_events_of_one_resource_open_one_review,
    a_stale_worker_opens_no_review,
    reviews_are_listed_by_state_newest_first,
}

fn held(id: &str) -> Settlement {
    let hold = Hold {
        topics: vec!["refund".to_owned()],
        reply: Some("Hello".to_owned()),
        output: Some("{}".to_owned()),
        ..Hold::because(HoldReason::Sensitive, "sensitive: refund")
    };
    Settlement::Held { review: Box::new(NewReview::of(id, hold)), changes: Vec::<Change>::new() }
}

async fn a_held_job_opens_a_review_with_all_that_a_person_needs(fresh: Fresh) {
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    let id = job.id();
    let settled = fresh.store.settle(job, Some(placement("T-1", None)), held("rev_1"), START_MS + 3).await.unwrap();
    assert_eq!(settled, DONE);
    let review = fresh.store.review("rev_1".to_owned()).await.unwrap().unwrap();
    assert_eq!((review.version, review.state.as_str(), review.reason.as_str()), (1, "open", "sensitive"));
    assert_eq!((review.detail.as_str(), review.topics), ("sensitive: refund", vec!["refund".to_owned()]));
    assert_eq!((review.ticket_id.as_deref(), review.workflow.as_deref()), (Some("T-1"), Some("summary")));
    assert_eq!((review.resource_id.as_str(), review.project.as_str()), ("resp_0", "default"));
    assert_eq!(review.proposed, [Proposed { slot: "reply".to_owned(), text: "Hello".to_owned() }]);
    assert_eq!((review.output.as_deref(), review.created_at_ms), (Some("{}"), START_MS + 3));
    let job = fresh.store.job(id).await.unwrap().unwrap();
    assert_eq!((job.status, job.outcome.as_deref()), (State::Processed, Some("held")));
    assert_eq!(job.reason.as_deref(), Some("sensitive"));
    assert_eq!(fresh.store.review("rev_2".to_owned()).await.unwrap(), None);
}

async fn a_result_that_could_not_be_placed_has_a_review_without_a_ticket(fresh: Fresh) {
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    fresh.settle(job, held("rev_1"), START_MS).await;
    let review = fresh.store.review("rev_1".to_owned()).await.unwrap().unwrap();
    assert_eq!((review.ticket_id, review.workflow), (None, None));
}

async fn several_events_of_one_resource_open_one_review(fresh: Fresh) {
    for n in 1..=3 {
        fresh.deliver(&format!("wh_{n}"), &format!("evt_{n}"), "resp_1").await;
    }
    for (n, job) in fresh.claim_at(START_MS, 3).await.into_iter().enumerate() {
        assert_eq!(fresh.settle(job, held(&format!("rev_{n}")), START_MS).await, DONE);
    }
    let reviews = fresh.store.reviews(None, None, None, ALL).await.unwrap().items;
    assert_eq!(reviews.len(), 1);
    assert_eq!(reviews[0].id, "rev_0", "the first one stays");
}

async fn a_stale_worker_opens_no_review(fresh: Fresh) {
    fresh.queued(1).await;
    let stale = fresh.claim_one(START_MS).await;
    fresh.claim_one(START_MS + LEASE_MS).await;
    assert_eq!(fresh.settle(stale, held("rev_1"), START_MS + LEASE_MS).await, Settled::Fenced);
    assert!(fresh.store.reviews(None, None, None, ALL).await.unwrap().items.is_empty());
}

async fn reviews_are_listed_by_state_newest_first(fresh: Fresh) {
    fresh.queued(3).await;
    for (n, job) in fresh.claim_at(START_MS, 3).await.into_iter().enumerate() {
        fresh.settle(job, held(&format!("rev_{n}")), START_MS).await;
    }
    let open = fresh
        .store
        .reviews(Some(review::State::Open), None, None, PageRequest { limit: 2, cursor: None })
        .await
        .unwrap();
    let ids: Vec<_> = open.items.iter().map(|review| review.id.as_str()).collect();
    assert_eq!(ids, ["rev_2", "rev_1"]);
    assert!(open.next.is_some());
    assert!(fresh.store.reviews(Some(review::State::Approved), None, None, ALL).await.unwrap().items.is_empty());
    assert_eq!(fresh.store.counts().await.unwrap().open_reviews, (3, Some(START_MS)));
}
