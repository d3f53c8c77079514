//! Work that no webhook tells of: found by asking, applied once, and told when
//! it has no end.

use frontdesk::store::{Found, PageRequest, Submission, TakeChecks};
use frontdesk::worker::Worker;
use serde_json::{Value, json};

use crate::fake_openai::{Answer, completed, ended};
use crate::harness::{ALL, DEADLINE_MS, LATE_MS, TestDesk};

const EVERY_MS: i64 = 30_000;

fn good(n: usize) -> Value {
    completed(&format!("resp_{n}"), "The parcel is late.", &json!({"fd_submission": format!("sub_{n}")}))
}

fn moving(n: usize) -> Answer {
    Answer::json(&ended(&format!("resp_{n}"), "in_progress", json!([]), &json!({})))
}

/// `count` submissions that OpenAI has accepted, each with a ticket of its own.
async fn started(count: usize) -> TestDesk {
    let desk = TestDesk::open().await;
    for n in 0..count {
        start(&desk, n).await;
    }
    desk
}

async fn start(desk: &TestDesk, n: usize) {
    let (ticket, id, resource) = (format!("T-{n}"), format!("sub_{n}"), format!("resp_{n}"));
    desk.ticket(&ticket, "Where is my parcel?").await;
    desk.started(&id, &ticket, "summary", &resource).await;
    desk.openai.put(&good(n));
}

/// What becomes of late work in one look: asked, and what that queued is worked.
async fn look(worker: &Worker) -> usize {
    let asked = worker.reconcile_once().await.unwrap();
    worker.work_until_idle().await.unwrap();
    asked
}

async fn submission(desk: &TestDesk, n: usize) -> Submission {
    desk.store.submission(format!("sub_{n}")).await.unwrap().unwrap()
}

async fn notes(desk: &TestDesk, n: usize) -> usize {
    desk.read_ticket(&format!("T-{n}")).await.messages.len() - 1
}

#[tokio::test]
async fn work_that_no_webhook_tells_of_is_asked_for_when_it_is_late_and_applied() {
    let desk = started(1).await;
    let worker = desk.worker();
    desk.clock.advance(LATE_MS - 1);
    assert_eq!(look(&worker).await, 0, "not before it is late");
    desk.clock.advance(1);
    assert_eq!(look(&worker).await, 1);
    let job = desk.job("resp_0").await;
    assert_eq!((job.key.as_str(), job.event_type.as_str()), ("poll/resp_0", "response.polled"));
    assert_eq!((job.outcome.as_deref(), job.delivery_id), (Some("applied"), None));
    assert_eq!(desk.openai.calls("resp_0"), 1, "the job has the result and asks nobody");
    let found = submission(&desk, 0).await;
    assert_eq!((found.state.as_str(), found.found_by.as_deref(), found.polls), ("ended", Some("poll"), 1));
    assert_eq!((found.check_at_ms, notes(&desk, 0).await), (None, 1));
    desk.clock.advance(DEADLINE_MS);
    assert_eq!(look(&worker).await, 0, "what has ended is not asked for again");
    assert!(desk.alerts_about("default").await.is_empty());
}

#[tokio::test]
async fn a_webhook_and_a_poll_of_the_same_work_change_the_ticket_once_whichever_is_first() {
    // The webhook before the look: nobody is asked.
    let desk = started(1).await;
    let worker = desk.worker();
    desk.clock.advance(LATE_MS);
    desk.tell("resp_0").await;
    assert_eq!(worker.reconcile_once().await.unwrap(), 0, "its job is under way");
    desk.work().await;
    assert_eq!((submission(&desk, 0).await.found_by.as_deref(), notes(&desk, 0).await), (Some("webhook"), 1));
    assert_eq!(desk.jobs_of("resp_0").await.len(), 1);

    // After it: its job finds the work done.
    let desk = started(1).await;
    let worker = desk.worker();
    desk.clock.advance(LATE_MS);
    look(&worker).await;
    desk.tell("resp_0").await;
    desk.work().await;
    assert_eq!((submission(&desk, 0).await.found_by.as_deref(), notes(&desk, 0).await), (Some("poll"), 1));

    // Between the look and its job, in both orders of work.
    let desk = started(1).await;
    let worker = desk.worker();
    desk.clock.advance(LATE_MS);
    worker.reconcile_once().await.unwrap();
    desk.tell("resp_0").await;
    desk.work_to_the_end(&worker).await;
    let mut outcomes: Vec<_> = desk.jobs_of("resp_0").await.into_iter().map(|job| job.outcome.unwrap()).collect();
    outcomes.sort();
    assert_eq!(outcomes, ["applied", "ignored"]);
    assert_eq!(notes(&desk, 0).await, 1);
}

#[tokio::test]
async fn a_webhook_that_comes_while_openai_is_being_asked_queues_the_only_job() {
    let desk = started(1).await;
    let go_on = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    desk.openai.script("resp_0", [Answer::json(&good(0)).that_waits(&go_on)]);
    let worker = desk.worker();
    desk.clock.advance(LATE_MS);
    let webhook = async {
        desk.openai.next_call().await;
        desk.tell("resp_0").await;
        go_on.add_permits(2);
    };
    let (asked, ()) = tokio::join!(worker.reconcile_once(), webhook);
    assert_eq!(asked.unwrap(), 1);
    desk.work().await;
    assert_eq!(desk.job("resp_0").await.outcome.as_deref(), Some("applied"));
    assert_eq!(desk.openai.calls("resp_0"), 1, "the job uses what the look has fetched");
    assert_eq!((submission(&desk, 0).await.found_by.as_deref(), notes(&desk, 0).await), (Some("webhook"), 1));
}

#[tokio::test]
async fn several_workers_at_once_and_webhooks_among_them_apply_each_result_once() {
    let desk = started(20).await;
    desk.clock.advance(LATE_MS);
    let workers = [desk.worker(), desk.worker(), desk.worker()];
    let webhooks = async {
        for n in (0..20).step_by(2) {
            desk.tell(&format!("resp_{n}")).await;
        }
    };
    let looks = futures_util::future::join_all(workers.iter().map(look));
    let (asked, ()) = tokio::join!(looks, webhooks);
    assert!(asked.iter().sum::<usize>() <= 20, "nothing is asked for twice: {asked:?}");
    desk.work_to_the_end(&workers[0]).await;
    for n in 0..20 {
        assert_eq!(notes(&desk, n).await, 1, "{n}");
        assert_eq!(submission(&desk, n).await.state, "ended");
    }
}

#[tokio::test]
async fn two_workers_that_look_at_once_ask_once() {
    let desk = started(1).await;
    desk.openai.script("resp_0", [moving(0)]);
    desk.clock.advance(LATE_MS);
    let (one, two) = (desk.worker(), desk.worker());
    let (first, second) = tokio::join!(one.reconcile_once(), two.reconcile_once());
    assert_eq!(first.unwrap() + second.unwrap(), 1);
    assert_eq!((desk.openai.calls("resp_0"), submission(&desk, 0).await.polls), (1, 1));
}

#[tokio::test]
async fn work_that_goes_on_is_asked_for_again_later_and_never_sooner_than_openai_advises() {
    let desk = started(1).await;
    let worker = desk.worker();
    let advised = moving(0).with("openai-poll-after-ms", "45000");
    desk.openai.script("resp_0", [moving(0), advised, moving(0), Answer::error(500, "oops"), Answer::json(&good(0))]);
    desk.clock.advance(LATE_MS);
    for wait in [EVERY_MS, 2 * EVERY_MS, 4 * EVERY_MS, 8 * EVERY_MS] {
        assert_eq!(look(&worker).await, 1);
        assert_eq!(submission(&desk, 0).await.check_at_ms, Some(desk.now_ms() + wait));
        desk.clock.advance(wait - 1);
        assert_eq!(look(&worker).await, 0);
        desk.clock.advance(1);
    }
    assert_eq!(look(&worker).await, 1);
    assert_eq!((submission(&desk, 0).await.polls, notes(&desk, 0).await), (5, 1));
}

#[tokio::test]
async fn a_long_advice_of_openai_is_kept() {
    let desk = started(1).await;
    let worker = desk.worker();
    desk.openai.script("resp_0", [moving(0).with("openai-poll-after-ms", "900000")]);
    desk.clock.advance(LATE_MS);
    assert_eq!(look(&worker).await, 1);
    assert_eq!(submission(&desk, 0).await.check_at_ms, Some(desk.now_ms() + 900_000));
}

#[tokio::test]
async fn a_gate_that_is_shut_lets_no_question_through_but_a_probe_that_opens_it_again() {
    let desk = started(3).await;
    let worker = desk.worker();
    desk.openai.refuse("sk-default", Answer::error(401, "invalid_api_key"));
    desk.clock.advance(LATE_MS);
    let asked = worker.reconcile_once().await.unwrap();
    assert_eq!((asked, desk.alerts_about("default").await), (3, vec!["openai_auth".to_owned()]));
    desk.clock.advance(9_999);
    assert_eq!(worker.reconcile_once().await.unwrap(), 0, "refused");
    desk.clock.advance(EVERY_MS);
    // The pool has nothing to probe with, and leaves the probe to the one who has.
    worker.work_until_idle().await.unwrap();
    assert_eq!(worker.reconcile_once().await.unwrap(), 1, "one probe");
    desk.openai.accept("sk-default");
    desk.clock.advance(10 * EVERY_MS);
    assert_eq!(look(&worker).await, 3);
    assert!(desk.alerts_about("default").await.is_empty());
    for n in 0..3 {
        assert_eq!((submission(&desk, n).await.state.as_str(), notes(&desk, n).await), ("ended", 1));
    }
}

#[tokio::test]
async fn the_quiet_that_openai_asks_for_is_kept_by_the_reconciler() {
    let desk = started(1).await;
    let worker = desk.worker();
    desk.clock.advance(LATE_MS);
    let quiet = Answer::error(429, "rate_limit_exceeded").with("retry-after", "50");
    desk.openai.script("resp_0", [quiet, Answer::json(&good(0))]);
    assert_eq!(look(&worker).await, 1);
    start(&desk, 1).await;
    desk.sql().execute("UPDATE submissions SET check_at = 1 WHERE id = 'sub_1'", []).unwrap();
    desk.clock.advance(49_999);
    assert_eq!(look(&worker).await, 0);
    desk.clock.advance(1);
    assert_eq!(look(&worker).await, 2);
}

#[tokio::test]
async fn while_a_person_has_paused_openai_nothing_is_asked_and_what_is_late_is_told() {
    let desk = started(1).await;
    let worker = desk.worker();
    let pause = || frontdesk::store::Pausable::OpenAi;
    desk.store.pause(pause(), "lena".to_owned(), "an incident".to_owned(), desk.now_ms()).await.unwrap();
    desk.clock.advance(DEADLINE_MS);
    assert_eq!(look(&worker).await, 0);
    assert_eq!(desk.alerts_about("default").await, ["submission_overdue"]);
    desk.store.resume(pause(), "lena".to_owned(), desk.now_ms()).await.unwrap();
    assert_eq!(look(&worker).await, 1);
    look(&worker).await;
    assert!(desk.alerts_about("default").await.is_empty());
}

#[tokio::test]
async fn a_start_without_an_answer_is_tied_by_its_webhook_however_late() {
    for wait in [0, LATE_MS, DEADLINE_MS] {
        let desk = TestDesk::open().await;
        desk.ticket("T-0", "Where is my parcel?").await;
        // The process died during the call.
        desk.begin("sub_0", "T-0", "summary").await;
        let worker = desk.worker();
        desk.clock.advance(LATE_MS);
        assert_eq!(look(&worker).await, 0, "there is no id to ask for");
        assert_eq!(submission(&desk, 0).await.state, "unknown");
        desk.clock.advance(wait);
        look(&worker).await;
        desk.openai.put(&good(0));
        desk.tell("resp_0").await;
        desk.work().await;
        let found = submission(&desk, 0).await;
        assert_eq!((found.state.as_str(), found.found_by.as_deref()), ("ended", Some("webhook")), "{wait}");
        assert_eq!((found.resource_id.as_deref(), notes(&desk, 0).await), (Some("resp_0"), 1));
        look(&worker).await;
        assert!(desk.alerts_about("default").await.is_empty(), "{wait}");
    }
}

#[tokio::test]
async fn a_start_without_answer_and_webhook_is_lost_at_its_deadline_and_told_until_a_person_closes_it() {
    let desk = TestDesk::open().await;
    desk.ticket("T-0", "Where is my parcel?").await;
    desk.begin("sub_0", "T-0", "summary").await;
    let worker = desk.worker();
    let mut looks = 0;
    while submission(&desk, 0).await.state != "lost" {
        assert!(desk.alerts_about("default").await.is_empty());
        desk.clock.advance(LATE_MS);
        look(&worker).await;
        looks += 1;
    }
    assert_eq!(looks, DEADLINE_MS / LATE_MS);
    let lost = submission(&desk, 0).await;
    assert_eq!((lost.check_at_ms, lost.polls), (None, 0));
    assert!(lost.error.unwrap().contains("not answered"));
    let alerts = desk.store.open_alerts().await.unwrap();
    assert_eq!((alerts[0].kind.as_str(), alerts[0].subject.as_str()), ("submission_lost", "default"));
    assert!(alerts[0].detail.starts_with("1 ") && alerts[0].detail.ends_with("sub_0"), "{}", alerts[0].detail);
    let closed = desk.store.close_submission("sub_0".into(), "lena".into(), "started by hand".into(), desk.now_ms());
    assert_eq!(closed.await.unwrap(), frontdesk::store::Closed::Done);
    look(&worker).await;
    assert!(desk.alerts_about("default").await.is_empty());
}

#[tokio::test]
async fn what_has_no_end_in_time_is_one_alert_however_many_there_are_and_is_over_by_itself() {
    let desk = started(5).await;
    let worker = desk.worker();
    for n in 0..5 {
        desk.openai.script(&format!("resp_{n}"), [moving(n)]);
    }
    desk.clock.advance(DEADLINE_MS - 1);
    look(&worker).await;
    assert!(desk.alerts_about("default").await.is_empty());
    desk.clock.advance(1);
    look(&worker).await;
    assert_eq!(desk.alerts_about("default").await, ["submission_overdue"]);
    assert!(desk.store.open_alerts().await.unwrap()[0].detail.starts_with("5 "));
    desk.clock.advance(DEADLINE_MS);
    for n in 0..5 {
        desk.openai.put(&good(n));
    }
    assert_eq!(look(&worker).await, 5, "it is asked for past its deadline too");
    look(&worker).await;
    assert_eq!(desk.alerts_about("default").await, ["openai_quiet"], "the one is over, and another is true");
}

#[tokio::test]
async fn work_of_a_project_that_is_not_in_the_configuration_is_told_as_well() {
    let desk = started(1).await;
    desk.sql().execute("UPDATE submissions SET project = 'gone'", []).unwrap();
    desk.clock.advance(DEADLINE_MS);
    let worker = desk.worker();
    assert_eq!(look(&worker).await, 0);
    assert_eq!(desk.alerts_about("gone").await, ["submission_overdue"]);
    desk.store.close_submission("sub_0".into(), "lena".into(), "over".into(), desk.now_ms()).await.unwrap();
    look(&worker).await;
    assert!(desk.alerts_about("gone").await.is_empty());
}

#[tokio::test]
async fn what_openai_has_forgotten_before_it_was_asked_ends_as_lost_to_retention() {
    let desk = started(1).await;
    desk.openai.script("resp_0", [Answer::error(404, "not_found")]);
    desk.clock.advance(LATE_MS);
    look(&desk.worker()).await;
    let job = desk.job("resp_0").await;
    assert!(job.last_error.unwrap().starts_with("lost_to_retention"));
    assert_eq!(desk.alerts_about("default").await, ["lost_to_retention"]);
    assert_eq!(submission(&desk, 0).await.state, "ended");
}

#[tokio::test]
async fn three_results_in_a_row_without_a_webhook_are_an_alert_until_a_delivery_arrives() {
    let desk = started(4).await;
    let worker = desk.worker();
    desk.clock.advance(LATE_MS);
    for n in 2..4 {
        desk.openai.script(&format!("resp_{n}"), [moving(n), Answer::json(&good(n))]);
    }
    look(&worker).await;
    desk.clock.advance(EVERY_MS);
    look(&worker).await;
    assert!(desk.alerts_about("default").await.is_empty(), "their webhooks may be on their way");
    desk.clock.advance(EVERY_MS);
    look(&worker).await;
    assert_eq!(desk.alerts_about("default").await, ["openai_quiet"]);
    let others = r#"{"id":"evt_x","type":"video.completed","data":{"id":"video_1"}}"#;
    desk.deliver_to("second", "wh_second", others).await;
    look(&worker).await;
    assert_eq!(desk.alerts_about("default").await, ["openai_quiet"], "another project's delivery says nothing");
    desk.deliver_to("default", "wh_x", others).await;
    look(&worker).await;
    assert!(desk.alerts_about("default").await.is_empty(), "any delivery shows that the way is open");
}

#[tokio::test]
async fn results_found_by_asking_with_deliveries_in_between_are_no_silence() {
    let desk = started(6).await;
    let worker = desk.worker();
    for n in 0..6 {
        desk.openai.script(&format!("resp_{n}"), [moving(n), Answer::json(&good(n))]);
    }
    desk.clock.advance(LATE_MS);
    look(&worker).await;
    desk.sql()
        .execute("UPDATE submissions SET check_at = check_at + 60000 * CAST(substr(id, 5) AS INTEGER)", [])
        .unwrap();
    for n in 0..6 {
        desk.clock.advance(2 * EVERY_MS);
        look(&worker).await;
        if n % 2 == 1 {
            desk.tell(&format!("resp_{n}")).await;
        }
        look(&worker).await;
        assert!(desk.alerts_about("default").await.is_empty(), "{n}");
    }
    desk.work().await;
}

#[tokio::test]
async fn what_told_of_an_end_first_is_counted_apart_from_the_outcomes() {
    let desk = started(3).await;
    let worker = desk.worker();
    desk.tell("resp_0").await;
    desk.work().await;
    desk.clock.advance(LATE_MS);
    look(&worker).await;
    let counts = desk.store.counts().await.unwrap();
    assert_eq!(counts.outcomes, [("applied".to_owned(), 3)]);
    assert_eq!(counts.found_first, [("poll".to_owned(), 2), ("webhook".to_owned(), 1)]);
    assert_eq!(counts.states[3].count, 3, "processed");
    let text = desk.metrics.render(&counts, desk.now_ms());
    assert!(text.contains("frontdesk_found_first{by=\"poll\"} 2") && text.contains("{by=\"webhook\"} 1"), "{text}");
}

#[tokio::test]
async fn a_job_that_a_person_discards_is_not_found_again_by_asking() {
    let desk = started(1).await;
    let worker = desk.worker();
    desk.openai.script("resp_0", [Answer::error(500, "oops")]);
    desk.tell("resp_0").await;
    desk.work().await;
    let job = desk.job("resp_0").await;
    desk.sql().execute("UPDATE jobs SET submission_id = NULL", []).unwrap();
    desk.store.discard_job(job.id, "lena".into(), "not needed".into(), desk.now_ms()).await.unwrap();
    desk.openai.put(&good(0));
    desk.clock.advance(DEADLINE_MS);
    assert_eq!(look(&worker).await, 0);
    assert_eq!((submission(&desk, 0).await.state.as_str(), notes(&desk, 0).await), ("ended", 0));
}

#[tokio::test]
async fn a_worker_that_dies_while_asking_leaves_the_question_to_the_next() {
    let desk = started(1).await;
    desk.clock.advance(LATE_MS);
    let take = TakeChecks {
        project: "default".to_owned(),
        limit: 10,
        now_ms: desk.now_ms(),
        lease_until_ms: desk.now_ms() + 120_000,
        later_ms: desk.now_ms() + LATE_MS,
    };
    let taken = desk.store.take_checks(take).await.unwrap();
    assert_eq!(taken.len(), 1);
    let worker = desk.worker();
    assert_eq!(look(&worker).await, 0, "somebody is asking");
    desk.clock.advance(120_000);
    assert_eq!(look(&worker).await, 1);
    // The one that was thought dead comes back with the same answer.
    let late = desk.store.checked(taken[0].clone(), Found::Ended(good(0).to_string()), desk.now_ms(), desk.now_ms());
    assert!(!late.await.unwrap(), "it has ended meanwhile");
    assert_eq!((desk.jobs_of("resp_0").await.len(), notes(&desk, 0).await), (1, 1));
}

#[tokio::test]
async fn a_batch_is_asked_for_at_its_own_address_and_pace() {
    let desk = started(1).await;
    let set = "UPDATE submissions SET kind = 'batch', resource_id = 'batch_1', deadline_at = created_at + 90000000";
    desk.sql().execute(set, []).unwrap();
    let batch = |status: &str| json!({"id": "batch_1", "object": "batch", "status": status, "metadata": {}});
    desk.openai.script("batch_1", [Answer::json(&batch("in_progress")), Answer::json(&batch("completed"))]);
    let worker = desk.worker();
    desk.clock.advance(LATE_MS);
    assert_eq!(look(&worker).await, 1);
    assert_eq!(submission(&desk, 0).await.check_at_ms, Some(desk.now_ms() + 3_600_000));
    desk.clock.advance(3_600_000);
    assert_eq!(look(&worker).await, 1);
    let job = desk.job("batch_1").await;
    assert_eq!((job.event_type.as_str(), job.outcome.as_deref()), ("batch.polled", Some("held")));
    assert_eq!(desk.store.submissions(None, None, ALL).await.unwrap().items[0].found_by.as_deref(), Some("poll"));
}

#[tokio::test]
async fn a_long_backlog_is_asked_for_in_one_look_and_one_job_each() {
    let desk = started(70).await;
    desk.clock.advance(LATE_MS);
    assert_eq!(look(&desk.worker()).await, 70);
    let page = PageRequest { limit: 500, cursor: None };
    assert!(desk.store.submissions(None, None, page).await.unwrap().items.iter().all(|found| found.state == "ended"));
}
