//! Submissions: the row before the call, and the two orders of answer and webhook.

use frontdesk::domain::failure::{Cause, Failure};
use frontdesk::domain::submission::Placement;
use frontdesk::store::{NewSubmission, Submission};

use super::{Fresh, for_every_store, gave_up, ignored, placement};
use crate::harness::{LEASE_MS, START_MS};

for_every_store! {
    a_submission_is_written_before_the_call_and_once,
    the_answer_before_the_webhook_places_the_job_at_its_claim,
    the_webhook_before_the_answer_binds_by_the_id_in_the_metadata,
    a_submission_is_bound_once_and_only_in_its_own_project,
    a_resource_is_bound_to_one_submission,
    a_call_that_failed_says_whether_anything_may_run,
    a_failure_that_is_reported_late_does_not_undo_what_the_webhook_proved,
    a_submission_whose_outcome_was_unknown_is_proved_by_its_webhook,
    a_submission_ends_with_its_job_however_that_ends,
    a_submission_ends_with_a_job_that_was_lost_with_its_last_lease,
}

pub fn new(id: &str, ticket_id: &str) -> NewSubmission {
    NewSubmission {
        id: id.to_owned(),
        project: "default".to_owned(),
        ticket_id: ticket_id.to_owned(),
        workflow: "summary".to_owned(),
        prompt_version: "1".to_owned(),
        ticket_revision: 4,
        actor: "ada".to_owned(),
        created_at_ms: START_MS,
        check_at_ms: START_MS + 1_000,
        deadline_ms: START_MS + 2_000,
    }
}

impl Fresh {
    async fn begin(&self, id: &str) {
        self.store.begin_submission(new(id, "T-1")).await.unwrap();
    }

    async fn started(&self, id: &str, resource_id: &str) {
        let (project, resource_id) = ("default".to_owned(), resource_id.to_owned());
        self.store.submission_started(project, id.to_owned(), resource_id, START_MS + 1).await.unwrap();
    }

    async fn bind(&self, project: &str, id: &str, resource_id: &str) -> Option<Placement> {
        let (project, resource_id) = (project.to_owned(), resource_id.to_owned());
        self.store.place_by_submission(project, resource_id, id.to_owned(), START_MS + 2).await.unwrap()
    }

    async fn submission(&self, id: &str) -> Submission {
        self.store.submission(id.to_owned()).await.unwrap().unwrap()
    }

    async fn failed(&self, id: &str, known: bool) {
        let failure = Failure::retryable(Cause::OpenAiServer, "HTTP 500");
        self.store.submission_failed(id.to_owned(), failure, known).await.unwrap();
    }
}

async fn a_submission_is_written_before_the_call_and_once(fresh: Fresh) {
    fresh.begin("sub_1").await;
    let submission = fresh.submission("sub_1").await;
    assert_eq!((submission.state.as_str(), submission.resource_id, submission.started_at_ms), ("starting", None, None));
    assert!(fresh.store.begin_submission(new("sub_1", "T-2")).await.is_err(), "the id is taken");
    assert_eq!(fresh.submission("sub_1").await.ticket_id, "T-1");
    assert_eq!(fresh.store.submission("sub_2".to_owned()).await.unwrap(), None);
}

async fn the_answer_before_the_webhook_places_the_job_at_its_claim(fresh: Fresh) {
    fresh.begin("sub_1").await;
    fresh.started("sub_1", "resp_0").await;
    let submission = fresh.submission("sub_1").await;
    assert_eq!((submission.state.as_str(), submission.started_at_ms), ("started", Some(START_MS + 1)));
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    let expected = Placement {
        ticket_revision: Some(4),
        made_at_ms: Some(START_MS),
        prompt_version: Some("1".to_owned()),
        ..placement("T-1", Some("sub_1"))
    };
    assert_eq!(job.placement, Some(expected));
}

async fn the_webhook_before_the_answer_binds_by_the_id_in_the_metadata(fresh: Fresh) {
    fresh.begin("sub_1").await;
    let bound = fresh.bind("default", "sub_1", "resp_0").await.unwrap();
    assert_eq!((bound.ticket_id.as_str(), bound.submission_id.as_deref()), ("T-1", Some("sub_1")));
    fresh.started("sub_1", "resp_0").await;
    let submission = fresh.submission("sub_1").await;
    assert_eq!(
        (submission.state.as_str(), submission.started_at_ms),
        ("started", Some(START_MS + 2)),
        "as it was found"
    );
    assert!(fresh.bind("default", "sub_1", "resp_0").await.is_some(), "asking again finds it again");
}

async fn a_submission_is_bound_once_and_only_in_its_own_project(fresh: Fresh) {
    fresh.begin("sub_1").await;
    assert_eq!(fresh.bind("second", "sub_1", "resp_0").await, None);
    assert_eq!(fresh.submission("sub_1").await.state, "starting");
    assert!(fresh.bind("default", "sub_1", "resp_0").await.is_some());
    assert_eq!(fresh.bind("default", "sub_1", "resp_1").await, None, "not to a second resource");
    assert_eq!(fresh.bind("default", "sub_nobodys", "resp_2").await, None);
    assert_eq!(fresh.submission("sub_1").await.resource_id.as_deref(), Some("resp_0"));
}

async fn a_resource_is_bound_to_one_submission(fresh: Fresh) {
    fresh.store.begin_submission(new("sub_1", "T-1")).await.unwrap();
    fresh.store.begin_submission(new("sub_2", "T-2")).await.unwrap();
    fresh.started("sub_1", "resp_0").await;
    fresh.started("sub_2", "resp_0").await;
    let placed = fresh.bind("default", "sub_2", "resp_0").await.unwrap();
    assert_eq!(placed.ticket_id, "T-1", "whatever the metadata names, the row that is bound counts");
    assert_eq!(fresh.submission("sub_2").await.resource_id, None);
}

async fn a_call_that_failed_says_whether_anything_may_run(fresh: Fresh) {
    for (id, known, state) in [("sub_1", true, "refused"), ("sub_2", false, "unknown")] {
        fresh.begin(id).await;
        fresh.failed(id, known).await;
        let submission = fresh.submission(id).await;
        assert_eq!(submission.state, state);
        assert_eq!(submission.error.as_deref(), Some("openai_server: HTTP 500"));
    }
}

async fn a_failure_that_is_reported_late_does_not_undo_what_the_webhook_proved(fresh: Fresh) {
    fresh.begin("sub_1").await;
    fresh.bind("default", "sub_1", "resp_0").await.unwrap();
    fresh.failed("sub_1", false).await;
    let submission = fresh.submission("sub_1").await;
    assert_eq!((submission.state.as_str(), submission.error), ("started", None));
}

async fn a_submission_whose_outcome_was_unknown_is_proved_by_its_webhook(fresh: Fresh) {
    fresh.begin("sub_1").await;
    fresh.failed("sub_1", false).await;
    assert!(fresh.bind("default", "sub_1", "resp_0").await.is_some());
    let submission = fresh.submission("sub_1").await;
    assert_eq!((submission.state.as_str(), submission.error), ("started", None));
}

async fn a_submission_ends_with_its_job_however_that_ends(fresh: Fresh) {
    fresh.queued(2).await;
    for (n, ending) in [ignored(), gave_up(Cause::ResourceFailed)].into_iter().enumerate() {
        fresh.begin(&format!("sub_{n}")).await;
        fresh.started(&format!("sub_{n}"), &format!("resp_{n}")).await;
        let job = fresh.claim_at(START_MS, 1).await.remove(0);
        let placed = job.placement.clone();
        fresh.store.settle(job, placed, ending, START_MS).await.unwrap();
        assert_eq!(fresh.submission(&format!("sub_{n}")).await.state, "ended");
        fresh.started(&format!("sub_{n}"), &format!("resp_{n}")).await;
        assert_eq!(fresh.submission(&format!("sub_{n}")).await.state, "ended", "a late answer does not reopen it");
    }
}

async fn a_submission_ends_with_a_job_that_was_lost_with_its_last_lease(fresh: Fresh) {
    fresh.queued(1).await;
    fresh.begin("sub_1").await;
    fresh.started("sub_1", "resp_0").await;
    for attempt in 0..3 {
        fresh.claim_one(START_MS + attempt * LEASE_MS).await;
    }
    assert_eq!(fresh.submission("sub_1").await.state, "started");
    assert!(fresh.claim_at(START_MS + 3 * LEASE_MS, 1).await.is_empty());
    assert_eq!(fresh.submission("sub_1").await.state, "ended");
}
