//! What is forgotten, and what is not.

use frontdesk::domain::decision::Hold;
use frontdesk::domain::effect::{Effect, Slot};
use frontdesk::domain::hold::HoldReason;
use frontdesk::domain::person::{Person, Role};
use frontdesk::domain::review::{Action, Refused, RejectReason};
use frontdesk::store::{Act, Change, Content, Erasure, Intent, NewReview, NotErased, Settlement, Step, Stepped};

use super::{Fresh, for_every_store, gave_up, ignored, placement};
use crate::harness::{LEASE_MS, START_MS};

for_every_store! {
    old_bodies_go_and_what_can_be_looked_up_stays,
    a_body_whose_job_still_moves_stays_until_it_has_ended,
    a_backlog_is_erased_in_steps,
    an_old_result_goes_and_its_resource_can_be_fetched_again,
    the_text_of_a_change_goes_once_it_is_made_and_never_before,
    a_review_that_nobody_decided_expires_and_somebody_is_told,
    a_decided_review_keeps_its_content_while_it_can_be_taken_back_or_carried_out,
    where_only_ids_are_kept_the_end_of_the_job_takes_its_content_along,
    where_only_ids_are_kept_a_lost_lease_leaves_no_result,
    a_ticket_that_is_worked_on_is_not_erased_and_the_jobs_are_named,
    a_ticket_that_nobody_knows_is_not_erased,
    an_erasure_takes_an_approval_back_that_no_worker_has_begun,
}

const LATER: i64 = START_MS + 1_000_000;

fn step(content: Content) -> Step {
    Step { content, before_ms: LATER, ids_only: Vec::new(), now_ms: LATER }
}

impl Fresh {
    async fn step(&self, content: Content) -> Stepped {
        self.store.erase_step(step(content)).await.unwrap()
    }

    async fn step_ids_only(&self, content: Content) -> Stepped {
        let step = Step { ids_only: vec!["default".to_owned()], before_ms: 0, ..step(content) };
        self.store.erase_step(step).await.unwrap()
    }

    fn count(&self, query: &str) -> i64 {
        self.sql().query_row(query, [], |row| row.get(0)).unwrap()
    }

    async fn keep(&self, resource_id: &str) {
        let kept = self.store.keep_result("default".into(), resource_id.into(), "{}".into(), START_MS).await.unwrap();
        kept.committed().await.unwrap();
    }

    /// A held job with a reply that waits, `rev_1`, on ticket T-1.
    async fn held(&self) {
        self.queued(1).await;
        let job = self.claim_one(START_MS).await;
        let hold = Hold {
            reply: Some("Hello".to_owned()),
            output: Some("{}".to_owned()),
            topics: vec!["refund".to_owned()],
            ..Hold::because(HoldReason::Sensitive, "sensitive: refund")
        };
        let review = NewReview { text_slot: Some(Slot::Reply), ..NewReview::of("rev_1", hold) };
        let held = Settlement::Held { review: Box::new(review), changes: Vec::<Change>::new() };
        self.store.settle(job, Some(placement("T-1", None)), held, START_MS).await.unwrap();
    }

    async fn act(&self, action: Action) -> Result<(), Refused> {
        let person = Person { name: "lena".to_owned(), role: Role::Agent };
        let act = Act { review: "rev_1".to_owned(), version: None, person, action, lease_ms: LEASE_MS, now_ms: LATER };
        self.store.act_on_review(act).await.unwrap().expect("the review exists").map(drop)
    }

    async fn erase(&self, ticket_id: &str) -> Result<Vec<(&'static str, usize)>, NotErased> {
        let asked = Erasure::new(ticket_id.to_owned(), "ana".to_owned(), "asked for".to_owned(), LATER).unwrap();
        self.store.erase_ticket(asked).await.unwrap().map(|erased| erased.counts)
    }
}

async fn old_bodies_go_and_what_can_be_looked_up_stays(fresh: Fresh) {
    fresh.queued(1).await;
    fresh.deliver("wh_again", "evt_0", "resp_0").await;
    let job = fresh.claim_one(START_MS).await;
    fresh.settle(job, ignored(), START_MS).await;
    let young = Step { before_ms: START_MS, ..step(Content::Bodies) };
    assert_eq!(fresh.store.erase_step(young).await.unwrap(), Stepped::default());
    assert_eq!(fresh.step(Content::Bodies).await, Stepped { erased: 2, expired: 0, more: false });
    assert_eq!(fresh.count("SELECT count(*) FROM deliveries WHERE body IS NULL AND length(body_sha256) = 32"), 2);
    assert_eq!(fresh.store.delivery("wh_0".to_owned()).await.unwrap().unwrap().event_id.as_deref(), Some("evt_0"));
    assert_eq!(fresh.step(Content::Bodies).await, Stepped::default());
}

async fn a_body_whose_job_still_moves_stays_until_it_has_ended(fresh: Fresh) {
    fresh.queued(3).await;
    let mut jobs = fresh.claim_at(START_MS, 3).await;
    fresh.settle(jobs.remove(2), ignored(), START_MS).await;
    assert_eq!(fresh.step(Content::Bodies).await.erased, 1);
    for job in jobs {
        assert_eq!(fresh.step(Content::Bodies).await.erased, 0);
        fresh.settle(job, ignored(), START_MS).await;
        assert_eq!(fresh.step(Content::Bodies).await.erased, 1, "the second walk finds what the first had passed");
    }
}

async fn a_backlog_is_erased_in_steps(fresh: Fresh) {
    fresh
        .sql()
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)
             INSERT INTO deliveries (project, delivery_id, body, body_sha256, signed_at, secret_hint, received_at, note)
             SELECT 'default', 'wh_' || i, ?1, ?1, ?2, '', ?2, 'nobody handles it' FROM n",
            (b"{}".as_slice(), START_MS),
        )
        .unwrap();
    let mut erased = Vec::new();
    loop {
        let stepped = fresh.step(Content::Bodies).await;
        erased.push(stepped.erased);
        if !stepped.more {
            break;
        }
    }
    assert!(erased.len() > 2 && erased.iter().all(|erased| *erased <= 1000), "{erased:?}");
    assert_eq!(erased.iter().sum::<usize>(), 1100);
}

async fn an_old_result_goes_and_its_resource_can_be_fetched_again(fresh: Fresh) {
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    let id = job.id();
    fresh.keep("resp_0").await;
    assert_eq!(fresh.step(Content::Results).await.erased, 0, "it is worked on");
    fresh.settle(job, gave_up(frontdesk::domain::failure::Cause::ResourceFailed), START_MS).await;
    assert_eq!(fresh.step(Content::Results).await.erased, 1);
    assert_eq!(fresh.count("SELECT count(*) FROM results WHERE raw IS NULL AND erased_at IS NOT NULL"), 1);
    fresh.store.retry_job(id, "ada".to_owned(), None, LATER).await.unwrap();
    let again = fresh.claim_one(LATER).await;
    assert_eq!(again.kept, None);
    fresh.keep("resp_0").await;
    fresh.settle(again, ignored(), LATER).await;
    assert_eq!(fresh.count("SELECT count(*) FROM results WHERE raw IS NOT NULL"), 0, "what is erased stays erased");
}

async fn the_text_of_a_change_goes_once_it_is_made_and_never_before(fresh: Fresh) {
    fresh.ticket("T-1").await;
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    let effect = Effect::Note { text: "A note.".to_owned() };
    let intent = Intent {
        project: "default".to_owned(),
        resource_id: "resp_0".to_owned(),
        ticket_id: "T-1".to_owned(),
        effect: effect.clone(),
        job_id: job.id(),
    };
    let plan = fresh.store.plan(None, vec![intent], START_MS).await.unwrap();
    assert_eq!(fresh.step(Content::Effects).await.erased, 0);
    let reference = plan.planned[0].reference.clone();
    let change = Change::WithTheEnd { reference, ticket_id: "T-1".to_owned(), effect };
    fresh.settle(job, Settlement::Applied { changes: vec![change] }, START_MS).await;
    assert_eq!(fresh.step(Content::Effects).await.erased, 1);
    assert_eq!(fresh.count("SELECT count(*) FROM effects WHERE payload IS NULL AND state = 'applied'"), 1);
    let ticket = fresh.store.ticket("T-1".to_owned()).await.unwrap().unwrap();
    assert_eq!(ticket.messages[0].body, "A note.", "the ticket is the helpdesk's");
}

async fn a_review_that_nobody_decided_expires_and_somebody_is_told(fresh: Fresh) {
    fresh.held().await;
    let young = Step { before_ms: START_MS, ..step(Content::Reviews) };
    assert_eq!(fresh.store.erase_step(young).await.unwrap(), Stepped::default());
    assert_eq!(fresh.step(Content::Reviews).await, Stepped { erased: 1, expired: 1, more: false });
    let review = fresh.store.review("rev_1".to_owned()).await.unwrap().unwrap();
    assert_eq!((review.state.as_str(), review.version, review.erased_at_ms), ("expired", 2, Some(LATER)));
    assert_eq!((review.output, review.proposed, review.text, review.ticket), (None, Vec::new(), None, None));
    assert_eq!((review.reason.as_str(), review.topics), ("sensitive", vec!["refund".to_owned()]));
    let told = "SELECT count(*) FROM alerts WHERE kind = 'review_expired' AND notice = 1 AND detail LIKE '1 review%'";
    assert_eq!(fresh.count(told), 1);
    assert_eq!(fresh.act(Action::Claim).await, Err(Refused::Decided { state: "expired" }));
    assert_eq!(fresh.step(Content::Reviews).await, Stepped::default());
}

async fn a_decided_review_keeps_its_content_while_it_can_be_taken_back_or_carried_out(fresh: Fresh) {
    fresh.held().await;
    fresh.act(Action::Reject { reason: RejectReason::Other, said: "too long".to_owned() }).await.unwrap();
    let at = |now_ms| Step { before_ms: now_ms, now_ms, ..step(Content::Reviews) };
    assert_eq!(fresh.store.erase_step(at(LATER + 4_999)).await.unwrap().erased, 0, "it can be taken back");
    fresh.act(Action::Undo).await.unwrap();
    fresh.act(Action::yes()).await.unwrap();
    let done = LATER + 10_000;
    assert_eq!(fresh.store.erase_step(at(done)).await.unwrap().erased, 0, "it is to be carried out");
    let job = fresh.claim_one(done).await;
    fresh.settle(job, ignored(), done).await;
    assert_eq!(fresh.store.erase_step(at(done)).await.unwrap(), Stepped { erased: 1, expired: 0, more: false });
    assert_eq!(fresh.count("SELECT count(*) FROM reviews WHERE state = 'approved' AND decided_by = 'lena'"), 1);
}

async fn where_only_ids_are_kept_the_end_of_the_job_takes_its_content_along(fresh: Fresh) {
    for n in 0..2 {
        fresh.deliver(&format!("wh_{n}"), &format!("evt_{n}"), "resp_0").await;
    }
    let mut jobs = fresh.claim_at(START_MS, 2).await;
    fresh.keep("resp_0").await;
    for (left, job) in [(1, jobs.remove(0)), (0, jobs.remove(0))] {
        job.mark_forgets();
        fresh.settle(job, ignored(), START_MS).await;
        let kept = fresh.count("SELECT count(*) FROM results WHERE raw IS NOT NULL");
        assert_eq!(kept, left, "the second job of the resource still needs it");
    }
    assert_eq!(fresh.count("SELECT count(*) FROM deliveries WHERE body IS NOT NULL"), 0);
}

async fn where_only_ids_are_kept_a_lost_lease_leaves_no_result(fresh: Fresh) {
    fresh.queued(1).await;
    fresh.keep("resp_0").await;
    let mut now_ms = START_MS;
    while !fresh.claim_at(now_ms, 1).await.is_empty() {
        now_ms += LEASE_MS;
    }
    assert_eq!(fresh.count("SELECT count(*) FROM jobs WHERE error_cause = 'lease_lost'"), 1);
    assert_eq!(fresh.step_ids_only(Content::Results).await.erased, 1);
}

async fn a_ticket_that_is_worked_on_is_not_erased_and_the_jobs_are_named(fresh: Fresh) {
    fresh.ticket("T-1").await;
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    let id = job.id();
    let failure = super::retry(LATER, true);
    fresh.store.settle(job, Some(placement("T-1", None)), failure, START_MS).await.unwrap();
    assert_eq!(fresh.erase("T-1").await, Err(NotErased::Moving(vec![id])));
    fresh.store.discard_job(id, "ana".to_owned(), "no use".to_owned(), LATER).await.unwrap();
    assert!(fresh.erase("T-1").await.is_ok());
}

async fn a_ticket_that_nobody_knows_is_not_erased(fresh: Fresh) {
    assert_eq!(fresh.erase("T-1").await, Err(NotErased::Unknown));
    assert_eq!(fresh.count("SELECT count(*) FROM audit_trail"), 0);
}

async fn an_erasure_takes_an_approval_back_that_no_worker_has_begun(fresh: Fresh) {
    fresh.held().await;
    fresh.act(Action::yes_with("Mine")).await.unwrap();
    let counts = fresh.erase("T-1").await.unwrap();
    assert!(counts.contains(&("reviews", 1)) && counts.contains(&("reviews_expired", 1)), "{counts:?}");
    assert_eq!(fresh.claim_at(LATER + 60_000, 10).await.len(), 0);
    let review = fresh.store.review("rev_1".to_owned()).await.unwrap().unwrap();
    assert_eq!((review.state.as_str(), review.text, review.decided_by.as_deref()), ("expired", None, Some("lena")));
    assert_eq!(fresh.act(Action::Undo).await, Err(Refused::TooLate));
}
