//! How things go over time: samples of the counts.

use frontdesk::domain::failure::{Cause, Failure};
use frontdesk::domain::measure::Span;
use frontdesk::store::{NewTicket, Settlement, TicketPatch};

use super::{Fresh, for_every_store};
use crate::harness::START_MS;

for_every_store! {
    what_happened_is_told_between_two_samples,
    a_sample_is_taken_once_in_a_span_however_many_look,
    old_samples_of_ten_minutes_go_and_days_stay,
    a_persons_intent_over_none_of_a_model_is_no_override,
}

const TEN_MINUTES: i64 = 600_000;

async fn what_happened_is_told_between_two_samples(fresh: Fresh) {
    let begin = Span::TenMinutes.begin(START_MS);
    fresh.store.sample(START_MS).await.unwrap();
    fresh.queued(3).await;
    let mut jobs = fresh.claim_at(START_MS + 1_000, 3).await;
    fresh.settle(jobs.pop().unwrap(), Settlement::Applied { changes: Vec::new() }, START_MS + 4_000).await;
    let gone = Failure::last(Cause::LostToRetention, "HTTP 404");
    fresh.settle(jobs.pop().unwrap(), Settlement::GaveUp { failure: gone }, START_MS + 4_000).await;
    let failure = Failure::retryable(Cause::OpenAiServer, "HTTP 500");
    let retry = Settlement::Retry { failure, at_ms: START_MS + 9_000, counts: true };
    fresh.settle(jobs.pop().unwrap(), retry, START_MS + 4_000).await;
    let samples = fresh.store.samples(Span::TenMinutes, begin, START_MS + 5_000).await.unwrap();
    let told = samples.between();
    assert_eq!(told.len(), 1);
    let (one, counts) = (&told[0], &told[0].counts);
    assert_eq!((one.from_ms, one.to_ms), (begin, START_MS + 5_000));
    assert_eq!((counts.of("deliveries"), counts.of("applied"), counts.of("failed_final")), (3, 1, 1));
    assert_eq!((counts.of("failure/final/lost_to_retention"), counts.of("failure/retryable/openai_server")), (1, 1));
    assert_eq!(
        (counts.timed("latency"), counts.percentile("latency", 0.5)),
        (1, Some(5_000)),
        "4 s after it was queued"
    );
    fresh.store.sample(begin + TEN_MINUTES).await.unwrap();
    let samples = fresh.store.samples(Span::TenMinutes, begin, begin + TEN_MINUTES + 1).await.unwrap();
    let arrived: Vec<i64> = samples.between().iter().map(|one| one.counts.of("deliveries")).collect();
    assert_eq!(arrived, [3, 0]);
}

async fn a_sample_is_taken_once_in_a_span_however_many_look(fresh: Fresh) {
    let begin = Span::TenMinutes.begin(START_MS);
    fresh.store.sample(START_MS).await.unwrap();
    fresh.queued(2).await;
    let looks = (0..8).map(|n| {
        let store = fresh.store.clone();
        tokio::spawn(async move { store.sample(START_MS + n).await.unwrap() })
    });
    for look in looks.collect::<Vec<_>>() {
        look.await.unwrap();
    }
    let samples = fresh.store.samples(Span::TenMinutes, begin, START_MS + 10).await.unwrap();
    assert_eq!(samples.during(begin, START_MS + 10).of("deliveries"), 2, "the first one stands");
}

async fn old_samples_of_ten_minutes_go_and_days_stay(fresh: Fresh) {
    let (later, from) = (START_MS + 40 * Span::Day.ms(), Span::Day.begin(START_MS));
    fresh.store.sample(START_MS).await.unwrap();
    fresh.queued(1).await;
    fresh.store.sample(later).await.unwrap();
    let of = async |span| fresh.store.samples(span, from, later + 1).await.unwrap().during(from, later + 1);
    assert_eq!(of(Span::TenMinutes).await.of("deliveries"), 0);
    assert_eq!(of(Span::Day).await.of("deliveries"), 1);
}

async fn a_persons_intent_over_none_of_a_model_is_no_override(fresh: Fresh) {
    let ticket = NewTicket {
        id: Some("T-1".to_owned()),
        subject: "Hello".to_owned(),
        queue: "support".to_owned(),
        tags: Vec::new(),
        messages: Vec::new(),
    };
    fresh.store.create_ticket(ticket, START_MS).await.unwrap();
    for intent in ["billing", "bug"] {
        let patch = TicketPatch { intent: Some(intent.to_owned()), ..TicketPatch::default() };
        assert!(fresh.store.patch_ticket("T-1".to_owned(), patch, START_MS).await.unwrap());
    }
    let samples = fresh.store.samples(Span::Day, 0, START_MS + 1).await.unwrap();
    assert!(samples.between().iter().all(|one| one.counts.below("override/").is_empty()));
}
