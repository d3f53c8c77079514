//! Late work: taken by one, noted once, and never past what has ended.

use frontdesk::domain::failure::{Cause, Failure};
use frontdesk::domain::submission::State;
use frontdesk::store::{Check, Closed, Found, Hanging, PageRequest, StoreError, TakeChecks, Unanswered};

use super::ledger::new;
use super::{Fresh, for_every_store, ignored, retry};
use crate::harness::{ALL, START_MS};

for_every_store! {
    only_started_work_of_the_project_that_is_due_is_taken_longest_due_first,
    what_was_taken_is_not_taken_again_before_its_lease_ends,
    work_with_a_job_under_way_is_put_off_and_work_whose_job_has_ended_is_not,
    an_ended_result_is_kept_and_queued_once,
    what_goes_on_is_counted_and_queues_nothing,
    a_finding_that_comes_late_changes_nothing_but_the_kept_result,
    a_start_without_an_answer_is_unknown_when_it_is_due_and_lost_at_its_deadline,
    a_refusal_that_is_told_late_is_still_a_refusal,
    hanging_work_is_counted_by_project_with_the_oldest,
    results_in_a_row_are_counted_until_a_delivery_of_the_project,
    submissions_page_newest_first_and_are_found_by_state_and_ticket,
    only_what_hangs_is_closed_and_the_trail_says_by_whom,
}

/// When the submissions of these tests are due.
const DUE_MS: i64 = START_MS + 1_000;
const DEADLINE_MS: i64 = START_MS + 2_000;
const LEASE_END_MS: i64 = START_MS + 50_000;
const LATER_MS: i64 = START_MS + 60_000;

impl Fresh {
    async fn submitted(&self, n: usize) {
        self.store.begin_submission(new(&format!("sub_{n}"), &format!("T-{n}"))).await.unwrap();
        let ids = (format!("sub_{n}"), format!("resp_{n}"));
        self.store.submission_started("default".to_owned(), ids.0, ids.1, START_MS).await.unwrap();
    }

    async fn take(&self, project: &str, limit: usize, now_ms: i64) -> Vec<Check> {
        let take =
            TakeChecks { project: project.to_owned(), limit, now_ms, lease_until_ms: LEASE_END_MS, later_ms: LATER_MS };
        let mut taken = self.store.take_checks(take).await.unwrap();
        taken.sort_by(|a, b| a.id.cmp(&b.id));
        taken
    }

    async fn state(&self, id: &str) -> String {
        self.store.submission(id.to_owned()).await.unwrap().unwrap().state
    }

    async fn found(&self, check: &Check, found: Found) -> bool {
        self.store.checked(check.clone(), found, LATER_MS, DUE_MS).await.unwrap()
    }

    fn jobs(&self) -> i64 {
        self.sql().query_row("SELECT count(*) FROM jobs", [], |row| row.get(0)).unwrap()
    }
}

fn ids(checks: &[Check]) -> Vec<&str> {
    checks.iter().map(|check| check.id.as_str()).collect()
}

async fn only_started_work_of_the_project_that_is_due_is_taken_longest_due_first(fresh: Fresh) {
    for n in 0..4 {
        fresh.submitted(n).await;
    }
    fresh.store.begin_submission(new("sub_starting", "T-9")).await.unwrap();
    fresh.sql().execute_batch("UPDATE submissions SET check_at = check_at + 1 WHERE id = 'sub_0';").unwrap();
    assert!(fresh.take("default", 9, DUE_MS - 1).await.is_empty());
    assert!(fresh.take("second", 9, DUE_MS).await.is_empty());
    assert_eq!(ids(&fresh.take("default", 2, DUE_MS + 1).await), ["sub_1", "sub_2"]);
    assert_eq!(ids(&fresh.take("default", 9, DUE_MS + 1).await), ["sub_0", "sub_3"]);
}

async fn what_was_taken_is_not_taken_again_before_its_lease_ends(fresh: Fresh) {
    fresh.submitted(0).await;
    assert_eq!(fresh.take("default", 9, DUE_MS).await.len(), 1);
    assert!(fresh.take("default", 9, LEASE_END_MS - 1).await.is_empty());
    assert_eq!(fresh.take("default", 9, LEASE_END_MS).await.len(), 1);
}

async fn work_with_a_job_under_way_is_put_off_and_work_whose_job_has_ended_is_not(fresh: Fresh) {
    fresh.queued(3).await;
    for job in fresh.claim_at(START_MS, 2).await {
        // Settled before its submission was known: nothing ended it.
        let ending = if job.resource_id == "resp_0" { ignored() } else { retry(LATER_MS, true) };
        fresh.settle(job, ending, START_MS).await;
    }
    for n in 0..3 {
        fresh.submitted(n).await;
    }
    let has_job: Vec<bool> = fresh.take("default", 9, DUE_MS).await.iter().map(|check| check.has_job).collect();
    assert_eq!(has_job, [false, true, true]);
    let at = async |id: &str| fresh.store.submission(id.to_owned()).await.unwrap().unwrap().check_at_ms;
    assert_eq!((at("sub_0").await, at("sub_1").await), (Some(LEASE_END_MS), Some(LATER_MS)));
}

async fn an_ended_result_is_kept_and_queued_once(fresh: Fresh) {
    fresh.submitted(0).await;
    let check = fresh.take("default", 9, DUE_MS).await.remove(0);
    assert!(fresh.found(&check, Found::Ended("{}".to_owned())).await);
    assert!(!fresh.found(&check, Found::Ended("other".to_owned())).await, "its job is under way");
    let job = fresh.claim_one(DUE_MS).await;
    assert_eq!((job.event_type.as_str(), job.resource_id.as_str()), ("response.polled", "resp_0"));
    assert_eq!((job.kept.as_deref(), job.work.as_str()), (Some("{}"), "resp_0"));
    assert_eq!(job.placement.as_ref().unwrap().submission_id.as_deref(), Some("sub_0"));
    let placed = job.placement.clone();
    fresh.store.settle(job, placed, ignored(), DUE_MS).await.unwrap();
    let ended = fresh.store.submission("sub_0".to_owned()).await.unwrap().unwrap();
    assert_eq!(
        (ended.state.as_str(), ended.found_by.as_deref(), ended.ended_at_ms),
        ("ended", Some("poll"), Some(DUE_MS))
    );
}

async fn what_goes_on_is_counted_and_queues_nothing(fresh: Fresh) {
    fresh.submitted(0).await;
    let check = fresh.take("default", 9, DUE_MS).await.remove(0);
    for polls in 1..=3 {
        assert!(!fresh.found(&check, Found::Moving).await);
        let moving = fresh.store.submission("sub_0".to_owned()).await.unwrap().unwrap();
        assert_eq!((moving.polls, moving.check_at_ms), (polls, Some(LATER_MS)));
    }
    assert_eq!(fresh.jobs(), 0);
    assert!(fresh.found(&check, Found::Gone).await, "its job asks once more");
    assert!(fresh.claim_one(DUE_MS).await.kept.is_none());
}

async fn a_finding_that_comes_late_changes_nothing_but_the_kept_result(fresh: Fresh) {
    fresh.submitted(0).await;
    let check = fresh.take("default", 9, DUE_MS).await.remove(0);
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    let placed = job.placement.clone();
    fresh.store.settle(job, placed, ignored(), START_MS).await.unwrap();
    for found in [Found::Moving, Found::Gone, Found::Ended("{}".to_owned())] {
        assert!(!fresh.found(&check, found).await);
    }
    let ended = fresh.store.submission("sub_0".to_owned()).await.unwrap().unwrap();
    assert_eq!((ended.state.as_str(), ended.polls, ended.check_at_ms), ("ended", 0, None));
    assert_eq!((ended.found_by.as_deref(), fresh.jobs()), (Some("webhook"), 1));
}

async fn a_start_without_an_answer_is_unknown_when_it_is_due_and_lost_at_its_deadline(fresh: Fresh) {
    fresh.store.begin_submission(new("sub_0", "T-1")).await.unwrap();
    fresh.submitted(1).await;
    let age = async |later, now| fresh.store.age_unanswered(later, now).await.unwrap();
    assert_eq!(age(LATER_MS, DUE_MS - 1).await, Unanswered::default());
    let unknown = Unanswered { unknown: vec!["sub_0".to_owned()], lost: Vec::new() };
    assert_eq!(age(DUE_MS + 10, DUE_MS).await, unknown);
    assert_eq!(age(LATER_MS, DUE_MS + 10).await, unknown, "the next look is at the deadline at the latest");
    assert_eq!(age(LATER_MS, DEADLINE_MS - 1).await, Unanswered::default());
    let lost = Unanswered { unknown: Vec::new(), lost: vec!["sub_0".to_owned()] };
    assert_eq!(age(LATER_MS, DEADLINE_MS).await, lost);
    assert_eq!((fresh.state("sub_0").await, fresh.state("sub_1").await), ("lost".to_owned(), "started".to_owned()));
    let bound = fresh.store.place_by_submission("default".into(), "resp_0".into(), "sub_0".into(), DEADLINE_MS);
    assert!(bound.await.unwrap().is_some(), "a late webhook finds it all the same");
}

async fn a_refusal_that_is_told_late_is_still_a_refusal(fresh: Fresh) {
    fresh.store.begin_submission(new("sub_0", "T-1")).await.unwrap();
    fresh.store.age_unanswered(LATER_MS, DUE_MS).await.unwrap();
    assert_eq!(fresh.state("sub_0").await, "unknown");
    let failure = Failure::last(Cause::OpenAiRefused, "HTTP 400");
    fresh.store.submission_failed("sub_0".to_owned(), failure, true).await.unwrap();
    let refused = fresh.store.submission("sub_0".to_owned()).await.unwrap().unwrap();
    assert_eq!((refused.state.as_str(), refused.check_at_ms), ("refused", None));
}

async fn hanging_work_is_counted_by_project_with_the_oldest(fresh: Fresh) {
    for n in 0..5 {
        fresh.submitted(n).await;
    }
    fresh
        .sql()
        .execute_batch(
            "UPDATE submissions SET project = 'second' WHERE id IN ('sub_3','sub_4');
             UPDATE submissions SET deadline_at = deadline_at - 1 WHERE id = 'sub_1';
             UPDATE submissions SET state = 'planned', check_at = NULL WHERE id = 'sub_2';
             UPDATE submissions SET state = 'lost', check_at = NULL WHERE id = 'sub_4';",
        )
        .unwrap();
    let overdue = async |now| fresh.store.overdue_submissions(now).await.unwrap();
    let hanging =
        |project: &str, count, oldest: &str| Hanging { project: project.into(), count, oldest: oldest.into() };
    assert_eq!(overdue(DEADLINE_MS - 2).await, []);
    assert_eq!(overdue(DEADLINE_MS - 1).await, [hanging("default", 1, "sub_1")]);
    assert_eq!(overdue(DEADLINE_MS).await, [hanging("default", 3, "sub_1"), hanging("second", 1, "sub_3")]);
    assert_eq!(fresh.store.lost_submissions().await.unwrap(), [hanging("second", 1, "sub_4")]);
}

async fn results_in_a_row_are_counted_until_a_delivery_of_the_project(fresh: Fresh) {
    let unheard = async || fresh.store.unheard_of("default".to_owned()).await.unwrap();
    fresh.deliver("wh_before", "evt_before", "resp_before").await;
    for n in 0..4 {
        fresh.submitted(n).await;
    }
    let checks = fresh.take("default", 9, DUE_MS).await;
    for (n, check) in checks.iter().take(3).enumerate() {
        assert_eq!(unheard().await, i64::try_from(n).unwrap());
        fresh.found(check, Found::Ended("{}".to_owned())).await;
    }
    assert_eq!((unheard().await, unheard().await), (3, 3), "asking changes nothing");
    fresh.deliver("wh_after", "evt_after", "resp_after").await;
    assert_eq!(unheard().await, 0);
    fresh.deliver("wh_more", "evt_more", "resp_more").await;
    fresh.found(&checks[3], Found::Ended("{}".to_owned())).await;
    assert_eq!(unheard().await, 1, "what arrived before it counts for nothing");
}

async fn submissions_page_newest_first_and_are_found_by_state_and_ticket(fresh: Fresh) {
    for n in 0..5 {
        fresh.submitted(n).await;
    }
    fresh.store.begin_submission(new("sub_5", "T-3")).await.unwrap();
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = fresh.store.submissions(None, None, PageRequest { limit: 4, cursor }).await.unwrap();
        seen.extend(page.items.into_iter().map(|submission| submission.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["sub_5", "sub_4", "sub_3", "sub_2", "sub_1", "sub_0"]);
    let found = async |state, ticket: Option<&str>| -> Vec<String> {
        let page = fresh.store.submissions(state, ticket.map(str::to_owned), ALL).await.unwrap();
        page.items.into_iter().map(|submission| submission.id).collect()
    };
    assert_eq!(found(None, Some("T-3")).await, ["sub_5", "sub_3"]);
    assert_eq!(found(Some(State::Starting), None).await, ["sub_5"]);
    assert_eq!(found(Some(State::Started), Some("T-3")).await, ["sub_3"]);
    assert!(found(Some(State::Lost), None).await.is_empty() && found(None, Some("T-9")).await.is_empty());
}

async fn only_what_hangs_is_closed_and_the_trail_says_by_whom(fresh: Fresh) {
    let close = async |id: &str, now_ms| {
        fresh.store.close_submission(id.to_owned(), "lena".to_owned(), "done by hand".to_owned(), now_ms).await
    };
    fresh.submitted(0).await;
    assert_eq!(close("sub_0", DEADLINE_MS - 1).await, Ok(Closed::NotHanging), "it moves within its deadline");
    assert_eq!(close("sub_0", DEADLINE_MS).await, Ok(Closed::Done));
    assert_eq!(close("sub_0", DEADLINE_MS).await, Ok(Closed::NotHanging), "once");
    assert_eq!(close("sub_nobodys", DEADLINE_MS).await, Err(StoreError::Missing("submission")));
    let closed = fresh.store.submission("sub_0".to_owned()).await.unwrap().unwrap();
    assert_eq!((closed.state.as_str(), closed.check_at_ms, closed.found_by), ("ended", None, None));
    assert_eq!(closed.error.as_deref(), Some("closed by lena: done by hand"));
    let trail = fresh.store.audit_trail(Some("sub_0".to_owned()), None, ALL).await.unwrap().items;
    assert_eq!(trail.len(), 1);
    assert_eq!((trail[0].actor.as_str(), trail[0].action.as_str()), ("lena", "submission.close"));
    assert_eq!(trail[0].detail["state"], "started");
    for (id, known) in [("sub_refused", true), ("sub_unknown", false)] {
        fresh.store.begin_submission(new(id, "T-1")).await.unwrap();
        let failure = Failure::retryable(Cause::OpenAiServer, "HTTP 500");
        fresh.store.submission_failed(id.to_owned(), failure, known).await.unwrap();
        assert_eq!(close(id, START_MS).await, Ok(Closed::Done), "{id}");
        let error = fresh.store.submission(id.to_owned()).await.unwrap().unwrap().error.unwrap();
        assert!(error.starts_with("openai_server: HTTP 500; closed by lena"), "{error}");
    }
}
