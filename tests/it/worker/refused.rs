//! OpenAI refuses the key or the quota: nothing is given up, and all goes on by itself.

use frontdesk::domain::job::State;

use crate::fake_openai::{Answer, completed, to};
use crate::harness::{TestDesk, event};

const JOBS: usize = 6;

/// A desk whose default project has waiting jobs and a refused key.
async fn refused(refusal: Answer) -> TestDesk {
    let desk = TestDesk::open().await;
    desk.openai.refuse("sk-default", refusal);
    for n in 0..JOBS {
        desk.ticket(&format!("T-{n}"), "Where is my parcel?").await;
        let id = format!("resp_{n}");
        desk.openai.put(&completed(&id, "The parcel is late.", &to(&format!("T-{n}"), "summary")));
        desk.tell(&id).await;
    }
    desk
}

fn refusals() -> [(Answer, &'static str); 4] {
    [
        (Answer::error(401, "invalid_api_key"), "openai_auth"),
        (Answer::error(403, "forbidden"), "openai_auth"),
        (Answer::error(429, "insufficient_quota"), "openai_quota"),
        (Answer::text(402, ""), "openai_quota"),
    ]
}

#[tokio::test]
async fn a_refused_key_or_quota_pauses_burns_no_attempt_and_goes_on_by_itself() {
    for (refusal, alert) in refusals() {
        let desk = refused(refusal).await;
        let worker = desk.worker();
        worker.work_until_idle().await.unwrap();
        // A day of refusals: far more tries than a job has attempts.
        for _ in 0..40 {
            desk.clock.advance(40_000);
            let calls = desk.openai.all_calls();
            worker.work_until_idle().await.unwrap();
            assert!(desk.openai.all_calls() - calls <= 1, "one probe now and then");
        }
        for n in 0..JOBS {
            let job = desk.job(&format!("resp_{n}")).await;
            let burned: i64 =
                desk.sql().query_row("SELECT attempts FROM jobs WHERE id = ?1", [job.id], |row| row.get(0)).unwrap();
            assert_eq!((job.status, burned), (State::FailedRetryable, 0), "{alert}");
            assert!(job.last_error.unwrap().starts_with(alert));
        }
        let alerts = desk.store.open_alerts().await.unwrap();
        assert_eq!(alerts.len(), 1);
        assert_eq!((alerts[0].kind.as_str(), alerts[0].subject.as_str()), (alert, "default"));
        desk.openai.accept("sk-default");
        desk.clock.advance(40_000);
        worker.work_until_idle().await.unwrap();
        for n in 0..JOBS {
            let job = desk.job(&format!("resp_{n}")).await;
            assert_eq!(job.outcome.as_deref(), Some("applied"), "{alert}");
            let calls = i64::try_from(desk.openai.calls(&format!("resp_{n}"))).unwrap();
            assert_eq!(
                job.attempt_count, calls,
                "{alert}: the calls that were really made, the refused ones among them"
            );
        }
        assert!(desk.alerts_about("default").await.is_empty(), "the alert is closed");
    }
}

#[tokio::test]
async fn a_fresh_process_that_finds_openai_recovered_closes_the_alert_of_the_one_before() {
    let desk = refused(Answer::error(401, "invalid_api_key")).await;
    desk.work().await;
    assert_eq!(desk.alerts_about("default").await, ["openai_auth"]);
    desk.openai.accept("sk-default");
    desk.work_to_the_end(&desk.worker()).await;
    assert!(desk.alerts_about("default").await.is_empty());
}

#[tokio::test]
async fn a_server_that_fails_while_the_key_is_refused_is_no_recovery() {
    for (status, body) in [(500, "oops"), (502, "<html>"), (200, "<html>")] {
        let mut desk = refused(Answer::error(401, "invalid_api_key")).await;
        let worker = desk.worker();
        worker.work_until_idle().await.unwrap();
        let calls = desk.openai.all_calls();
        desk.openai.refuse("sk-default", Answer::text(status, body));
        desk.clock.advance(10_000);
        worker.work_until_idle().await.unwrap();
        assert_eq!(desk.openai.all_calls() - calls, 1, "{status}: only the probe was let through");
        assert_eq!(desk.alerts_about("default").await, ["openai_auth"], "{status}");
        desk.leaves_work("the key is still refused");
    }
}

#[tokio::test]
async fn the_pause_of_one_project_does_not_touch_another() {
    let mut desk = refused(Answer::error(401, "invalid_api_key")).await;
    let worker = desk.worker();
    worker.work_until_idle().await.unwrap();
    desk.ticket("T-other", "Where is my parcel?").await;
    desk.openai.put(&completed("resp_other", "The parcel is late.", &to("T-other", "summary")));
    desk.deliver_to("second", "wh_other", &event("evt_other", "response.completed", "resp_other")).await;
    worker.work_until_idle().await.unwrap();
    assert_eq!(desk.job("resp_other").await.outcome.as_deref(), Some("applied"));
    assert_eq!(desk.alerts_about("default").await, ["openai_auth"], "the other project's success closes nothing");
    assert!(desk.alerts_about("second").await.is_empty());
    desk.leaves_work("the default project is paused");
}

#[tokio::test]
async fn a_project_that_is_no_longer_configured_keeps_its_jobs() {
    let mut desk = TestDesk::open().await;
    desk.deliver_to("third", "wh_1", &event("evt_1", "response.completed", "resp_1")).await;
    assert_eq!(desk.work().await, 0);
    assert_eq!(desk.job("resp_1").await.status, State::Queued);
    desk.leaves_work("nobody works for this project");
}

#[tokio::test]
async fn one_resource_that_openai_refuses_does_not_stand_in_the_way_of_the_others() {
    let desk = TestDesk::open().await;
    desk.openai.script("resp_bad", (0..200).map(|_| Answer::error(403, "forbidden")));
    desk.tell("resp_bad").await;
    let worker = desk.worker();
    worker.work_until_idle().await.unwrap();
    for n in 0..3 {
        desk.ticket(&format!("T-{n}"), "Where is my parcel?").await;
        let id = format!("resp_{n}");
        desk.openai.put(&completed(&id, "The parcel is late.", &to(&format!("T-{n}"), "summary")));
        desk.tell(&id).await;
    }
    for _ in 0..6 {
        desk.clock.advance(40_000);
        worker.work_until_idle().await.unwrap();
    }
    for n in 0..3 {
        assert_eq!(desk.job(&format!("resp_{n}")).await.outcome.as_deref(), Some("applied"), "resp_{n}");
    }
    let bad = desk.job("resp_bad").await;
    assert_eq!(bad.status, State::FailedFinal, "while the others were accepted it was refused three times");
    assert!(bad.last_error.unwrap().starts_with("openai_refused: HTTP 403"));
    assert_eq!(desk.openai.calls("resp_bad"), 3);
    assert_eq!(desk.alerts_about("default").await, ["openai_refused"], "the key is good");
}

#[tokio::test]
async fn a_resource_that_is_refused_alone_stays_a_question_of_the_key_until_others_are_accepted() {
    let mut desk = TestDesk::open().await;
    desk.openai.script("resp_bad", (0..200).map(|_| Answer::error(403, "forbidden")));
    desk.tell("resp_bad").await;
    let worker = desk.worker();
    for _ in 0..20 {
        worker.work_until_idle().await.unwrap();
        desk.clock.advance(40_000);
    }
    assert_eq!(desk.job("resp_bad").await.status, State::FailedRetryable);
    assert_eq!(desk.alerts_about("default").await, ["openai_auth"]);
    desk.leaves_work("nothing shows that the key is good");
}
