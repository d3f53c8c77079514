//! "Where is my batch, and what became of its line?"

use frontdesk::domain::batch::acts::Act;
use frontdesk::worker::Limits;

use super::{answered, classified, not_executed};
use crate::fake_openai::message;
use crate::harness::TestDesk;
use crate::worker::building::tickets;

const STARTED: &str = "Was work started at OpenAI?";
const ARRIVED: &str = "Did the webhook arrive?";
const QUEUED: &str = "Was it queued?";
const FAILED: &str = "Did the worker fail?";
const UPDATED: &str = "Was the ticket updated?";

impl TestDesk {
    async fn batch_in(&self, id: &str) -> (Option<String>, Option<i64>) {
        let trail = self.store.trail(id.to_owned()).await.unwrap().unwrap_or_else(|| panic!("nothing known of {id}"));
        (trail.batch.map(|batch| batch.id), trail.line.map(|line| line.number))
    }
}

#[tokio::test]
async fn a_change_set_that_waits_is_a_leads_by_whichever_id_it_is_asked_for() {
    let mut desk = TestDesk::open().await;
    desk.waiting_batch(2).await;
    let job = format!("job_{}", desk.job("batch_1").await.id);
    for id in ["batch_1", "evt_batch_1", "wh_batch_1", &job] {
        assert_eq!(desk.batch_in(id).await, (Some("batch_1".to_owned()), None), "{id}");
        desk.answers(id, STARTED, "yes, as batch_1 by another program: 2 lines in 1 part").await;
        desk.answers(id, ARRIVED, "yes, as wh_batch_1").await;
        desk.answers(id, QUEUED, "yes, as job_").await;
        desk.answers(id, UPDATED, "no: nobody has decided yet").await;
    }
    for id in ["T-2", "batch_1/T-2"] {
        assert_eq!(desk.batch_in(id).await, (Some("batch_1".to_owned()), Some(2)), "{id}");
        desk.answers(id, STARTED, "yes, as line 2 of batch_1").await;
        desk.answers(id, ARRIVED, "yes, as wh_batch_1").await;
        desk.answers(id, QUEUED, "not yet: batch_1 waits for a decision").await;
        desk.answers(id, UPDATED, "no").await;
    }
    for id in ["batch_1", "T-2", "batch_1/T-2"] {
        let words = "a lead decides about batch_1 (2 tickets; size): `frontdesk batch apply batch_1`";
        desk.is_next(id, words, "reviewer").await;
    }
    assert_eq!(desk.store.trail("batch_1/T-9".to_owned()).await.unwrap(), None);
    desk.mia_says(Act::Reject { reason: None }).await;
    desk.is_next("batch_1/T-2", "mia rejected batch_1", "nobody").await;
    desk.answers("batch_1", UPDATED, "no: mia rejected it").await;
}

#[tokio::test]
async fn a_line_names_the_batch_that_changed_its_ticket_and_who_had_that_put_back() {
    let mut desk = TestDesk::open().await;
    desk.applied_batch(2).await;
    let job = format!("job_{}", desk.job("batch_1/T-1").await.id);
    for id in ["T-1", "batch_1/T-1", &job] {
        assert_eq!(desk.batch_in(id).await, (Some("batch_1".to_owned()), Some(1)), "{id}");
        desk.answers(id, UPDATED, "yes: route on T-1, by batch_1").await;
        desk.is_next(id, "nothing: it is done", "nobody").await;
    }
    desk.answers("batch_1", UPDATED, "yes, 2 tickets: 2 applied").await;
    desk.mia_says(Act::Undo).await;
    desk.is_next("batch_1", "a worker takes it", "frontdesk").await;
    desk.work_to_the_end(&desk.worker()).await;
    let undo = desk.jobs_of("batch_1").await.into_iter().find(|job| job.kind == "undo").unwrap();
    for id in ["batch_1", &format!("job_{}", undo.id)] {
        desk.answers(id, UPDATED, "no longer: it was put back on 2 tickets").await;
        desk.is_next(id, "mia had batch_1 put back", "nobody").await;
    }
    desk.answers("T-1", UPDATED, "no longer: route on T-1 was put back for mia").await;
    desk.is_next("T-1", "the batch was undone", "nobody").await;
}

#[tokio::test]
async fn a_batch_that_is_paused_says_by_whom_and_a_failed_line_what_to_do() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.pace = 60;
    desk.tickets(3).await;
    let lines: Vec<String> = (1..=3).map(|n| classified(&format!("T-{n}"), "shipping", "high")).collect();
    desk.batch_ends("completed", &lines, &[]).await;
    desk.is_next("batch_1", "workers apply batch_1: 2 of 3 lines are left", "frontdesk").await;
    desk.is_next("batch_1/T-3", "is carried out in 2 s", "frontdesk").await;
    desk.mia_says(Act::Pause { reason: None }).await;
    desk.clock.advance(90_000);
    for id in ["batch_1", "T-3"] {
        desk.is_next(id, "batch_1 is paused by mia since 90 s: `frontdesk batch resume batch_1`", "operator").await;
    }
    desk.sql().execute("UPDATE results SET raw = NULL WHERE resource_id = 'batch_1/T-2'", []).unwrap();
    desk.mia_says(Act::Resume).await;
    desk.work_to_the_end(&desk.worker()).await;
    desk.answers("T-2", FAILED, "yes: lost_to_retention").await;
    desk.answers("T-2", UPDATED, "no: it failed (lost_to_retention)").await;
    desk.is_next("T-2", "jobs retry job_", "operator").await;
    desk.is_next("batch_1", "1 line of batch_1 failed and wait for a person", "operator").await;
    let job = desk.job("batch_1/T-2").await.id;
    desk.store.discard_job(job, "mia".to_owned(), "gone".to_owned(), desk.now_ms()).await.unwrap();
    desk.is_next("T-2", "a person discarded it", "nobody").await;
    desk.is_next("batch_1", "it is done", "nobody").await;
}

#[tokio::test]
async fn a_batch_of_ours_is_followed_from_its_wish_to_what_openai_did_not_execute() {
    let mut desk = TestDesk::open().await;
    desk.tickets(3).await;
    desk.settings.limits = Limits { lines: 2, bytes: 200_000_000 };
    let id = desk.ask(tickets(&["T-1", "T-2", "T-3"])).await;
    desk.answers(&id, STARTED, "not yet: ").await;
    desk.is_next(&id, "a worker takes it", "frontdesk").await;
    let build = format!("job_{}", desk.job(&id).await.id);
    desk.work().await;
    let part = desk.batch_of(&id).await.parts[1].id.clone();
    for name in [id.as_str(), &build, "batch_2", &part, "T-3", "batch_2/T-3", &format!("{id}/T-3")] {
        assert_eq!(desk.batch_in(name).await.0.as_deref(), Some(id.as_str()), "{name}");
        desk.is_next(name, "OpenAI sends a webhook when it is done", "openai").await;
        desk.answers(name, ARRIVED, "no").await;
    }
    desk.answers(&id, STARTED, "for ada: 3 lines in 2 parts (batch_1, batch_2)").await;
    desk.answers("batch_2", STARTED, &format!("yes, as part 2 of {id} for ada")).await;
    let trail = desk.store.trail(part.clone()).await.unwrap().unwrap();
    assert_eq!((trail.submission.unwrap().id, trail.resource_id.as_deref()), (part, Some("batch_2")));

    desk.files_are("expired", &[classified("T-1", "shipping", "high")], &[not_executed("T-2")]);
    desk.tell("batch_1").await;
    desk.work().await;
    desk.answers(&id, ARRIVED, "yes, of 1 of 2 parts; the first as wh_batch_1").await;
    desk.is_next("batch_1", "other parts of ", "openai").await;
    let mut second = super::batch("completed", serde_json::json!("file-two"), serde_json::Value::Null);
    second["id"] = serde_json::json!("batch_2");
    desk.openai.put_file("file-two", "");
    desk.openai.put(&second);
    desk.tell("batch_2").await;
    desk.work_to_the_end(&desk.worker()).await;
    let again = desk.store.trail(id.clone()).await.unwrap().unwrap().batch.unwrap().again.expect("it is sent again");
    desk.is_next("batch_1/T-2", &format!("line 2: OpenAI did not execute it; it is in {again} again"), "frontdesk")
        .await;
    desk.answers("batch_2/T-3", UPDATED, "no: neither of OpenAI's files speaks of it").await;
    desk.answers("T-2", STARTED, &format!("{again} for ada, again after {id}")).await;
    let others = desk.store.trail("T-2".to_owned()).await.unwrap().unwrap().others;
    assert!(others.contains(&"batch_1/T-2".to_owned()), "{others:?}");
}

#[tokio::test]
async fn every_line_that_came_to_nothing_says_why() {
    let desk = TestDesk::open().await;
    desk.tickets(3).await;
    let failed = super::answer("T-2", 400, &serde_json::json!({"error": {"code": "invalid_prompt"}}));
    let held = answered("T-3", serde_json::json!([message("no JSON")]));
    let nobody = classified("T-404", "shipping", "high");
    let twice = classified("T-1", "shipping", "high");
    desk.batch_ends("completed", &[twice.clone(), twice, failed, held, nobody], &[]).await;
    desk.answers("batch_1/T-1", UPDATED, "yes: route on T-1, by batch_1").await;
    desk.answers("T-2", UPDATED, "no: it failed at OpenAI (api_error_400)").await;
    desk.answers("T-2", QUEUED, "no: it failed at OpenAI (api_error_400)").await;
    desk.is_next("T-2", "start it again", "operator").await;
    desk.answers("batch_1/T-404", UPDATED, "no: it belongs to no ticket that was asked for (no_ticket)").await;
    desk.answers("batch_1/T-404", STARTED, "not by Frontdesk: line ").await;
    desk.answers("T-3", UPDATED, "held for a person as rev_").await;
    desk.is_next("T-3", "a person decides rev_", "reviewer").await;
    let review = desk.reviews_of("batch_1/T-3").await.remove(0);
    assert_eq!(desk.batch_in(&review.id).await.0.as_deref(), Some("batch_1"));
    let why = desk.store.trail("batch_1".to_owned()).await.unwrap().unwrap();
    assert_eq!(why.why(desk.now_ms()).owner, "nobody");
}

#[tokio::test]
async fn newer_work_than_a_line_is_told_of_before_it() {
    let mut desk = TestDesk::open().await;
    desk.waiting_batch(1).await;
    desk.clock.advance(1_000);
    desk.started("sub_1", "T-1", "summary", "resp_1").await;
    desk.is_next("T-1", "OpenAI sends a webhook", "openai").await;
    let trail = desk.store.trail("T-1".to_owned()).await.unwrap().unwrap();
    assert_eq!((trail.batch, trail.others), (None, vec!["batch_1/T-1".to_owned()]));
}
