//! A process may stop after any step; whoever comes next finishes the work,
//! and everything is there once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use frontdesk::domain::job::State;
use frontdesk::domain::ticket::{Author, Visibility};
use frontdesk::worker::Step;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::fake_openai::{Answer, completed, ended, message, to};
use super::harness::{LEASE_MS, TestDesk};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Note,
    Route,
    Draft,
    Hold,
}

const KINDS: [Kind; 4] = [Kind::Note, Kind::Route, Kind::Draft, Kind::Hold];

impl Kind {
    fn response(self, id: &str, ticket: &str) -> Value {
        match self {
            Kind::Note => completed(id, &format!("Summary of {ticket}"), &to(ticket, "summary")),
            Kind::Route => {
                let output = json!({"intent": "shipping", "priority": "high", "confidence": 0.9, "topics": ["parcel"]});
                completed(id, &output.to_string(), &to(ticket, "classification"))
            }
            Kind::Draft => {
                let output = json!({"reply": format!("Hello from {ticket}"), "confidence": 0.95, "topics": []});
                completed(id, &output.to_string(), &to(ticket, "draft_reply"))
            }
            Kind::Hold => ended(id, "incomplete", json!([message("Half a")]), &to(ticket, "summary")),
        }
    }

    /// Everything is there, and once.
    async fn assert_done(self, desk: &TestDesk, id: &str, ticket_id: &str) {
        let ticket = desk.read_ticket(ticket_id).await;
        let notes = ticket.messages.iter().filter(|message| message.author == Author::Frontdesk).count();
        let job = desk.job(id).await;
        assert_eq!(job.status, State::Processed, "{id}");
        let reviews = desk.reviews_of(id).await.len();
        let counts = (notes, ticket.drafts.len(), reviews, job.outcome.as_deref());
        let expected = match self {
            Kind::Note => (1, 0, 0, Some("applied")),
            Kind::Route => (0, 0, 0, Some("applied")),
            Kind::Draft => (0, 1, 1, Some("held")),
            Kind::Hold => (0, 0, 1, Some("held")),
        };
        assert_eq!(counts, expected, "notes, drafts, reviews and outcome of {id}");
        let routed = if self == Kind::Route { ("logistics", "high") } else { ("support", "normal") };
        assert_eq!((ticket.queue.as_str(), ticket.priority.as_str()), routed, "{id}");
    }
}

/// A ticket, a result for it and the word of it; returns the two ids.
async fn arrange(desk: &TestDesk, kind: Kind, case: &str) -> (String, String) {
    let (id, ticket) = (format!("resp_{case}"), format!("T-{case}"));
    desk.ticket(&ticket, "Where is my parcel?").await;
    desk.openai.put(&kind.response(&id, &ticket));
    desk.tell(&id).await;
    (id, ticket)
}

/// How often OpenAI is asked when processes stop after these steps and one
/// finishes: never again once the result is kept.
fn calls_after(steps: &[Step]) -> usize {
    let before_kept = steps.iter().take_while(|step| matches!(step, Step::Claimed | Step::Retrieved));
    1 + before_kept.filter(|step| **step == Step::Retrieved).count()
}

#[tokio::test]
async fn a_worker_that_stops_after_any_step_is_followed_by_one_that_finishes_everything_once() {
    for kind in KINDS {
        let desk = TestDesk::open().await;
        for (at, step) in Step::ALL.into_iter().enumerate() {
            for occurrence in 1.. {
                let (id, ticket) = arrange(&desk, kind, &format!("{at}-{occurrence}")).await;
                desk.worker_that_stops(step, occurrence).work_until_idle().await.unwrap();
                let stopped = desk.job(&id).await.status == State::Processing;
                desk.clock.advance(LEASE_MS);
                assert_eq!(desk.work().await, usize::from(stopped), "{kind:?} stopped after {step:?}");
                kind.assert_done(&desk, &id, &ticket).await;
                let calls = if stopped { calls_after(&[step]) } else { 1 };
                assert_eq!(desk.openai.calls(&id), calls, "{kind:?} stopped after {step:?}");
                if !stopped {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn two_workers_that_stop_one_after_the_other_at_any_two_steps_still_leave_one_note() {
    let desk = TestDesk::open().await;
    for (one, first) in Step::ALL.into_iter().enumerate() {
        for (two, second) in Step::ALL.into_iter().enumerate() {
            let (id, ticket) = arrange(&desk, Kind::Note, &format!("{one}-{two}")).await;
            for step in [first, second] {
                desk.worker_that_stops(step, 1).work_until_idle().await.unwrap();
                desk.clock.advance(LEASE_MS);
            }
            desk.work().await;
            Kind::Note.assert_done(&desk, &id, &ticket).await;
            assert_eq!(desk.openai.calls(&id), calls_after(&[first, second]), "stopped after {first:?} and {second:?}");
        }
    }
}

#[tokio::test]
async fn a_worker_that_stops_on_its_last_attempt_leaves_the_job_to_a_person_whose_retry_finds_the_note() {
    let mut desk = TestDesk::open().await;
    desk.settings.retry.attempts = 1;
    let (id, ticket) = arrange(&desk, Kind::Note, "1").await;
    desk.worker_that_stops(Step::Written, 1).work_until_idle().await.unwrap();
    desk.clock.advance(LEASE_MS);
    assert_eq!(desk.work().await, 0);
    let job = desk.job(&id).await;
    assert_eq!(job.status, State::FailedFinal);
    assert_eq!(desk.alerts_about("default").await, ["lease_lost"]);
    desk.store.retry_job(job.id, "ada".to_owned(), None, desk.now_ms()).await.unwrap();
    assert_eq!(desk.work().await, 1);
    Kind::Note.assert_done(&desk, &id, &ticket).await;
}

#[tokio::test]
async fn a_customer_who_writes_between_the_crash_and_the_second_attempt_leaves_no_change_half_recorded() {
    for kind in KINDS {
        for step in Step::ALL {
            let desk = TestDesk::open().await;
            desk.ticket("T-1", "Where is my parcel?").await;
            let workflow = kind.response("resp_1", "T-1")["metadata"]["workflow"].as_str().unwrap().to_owned();
            desk.started("sub_1", "T-1", &workflow, "resp_1").await;
            desk.openai.put(&kind.response("resp_1", "T-1"));
            desk.tell("resp_1").await;
            desk.worker_that_stops(step, 1).work_until_idle().await.unwrap();
            let body = "One more thing".to_owned();
            let now_ms = desk.now_ms();
            desk.store.add_message("T-1".to_owned(), Author::Customer, Visibility::Public, body, now_ms).await.unwrap();
            desk.clock.advance(LEASE_MS);
            desk.work().await;
            let job = desk.job("resp_1").await;
            assert_eq!(job.status, State::Processed);
            let ticket = desk.read_ticket("T-1").await;
            let written = ticket.messages.iter().any(|message| message.author == Author::Frontdesk)
                || !ticket.drafts.is_empty()
                || ticket.queue == "logistics";
            // What was written down before the customer wrote is carried out, unless it
            // goes over what the ticket says: on the built-in desk that is there with the
            // end of the job, and not before.
            let planned = matches!(step, Step::Planned | Step::Written | Step::Applied);
            let expected = match kind {
                Kind::Hold | Kind::Route => false,
                _ => planned,
            };
            assert_eq!(written, expected, "{kind:?} stopped after {step:?}");
            if !written || kind == Kind::Draft {
                assert_eq!(job.outcome.as_deref(), Some("held"), "{kind:?} stopped after {step:?}");
            } else {
                assert_eq!(job.outcome.as_deref(), Some("applied"), "{kind:?} stopped after {step:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_worker_that_still_waits_for_openai_when_its_lease_ends_finishes_late_and_changes_nothing_twice() {
    for kind in KINDS {
        let desk = TestDesk::open().await;
        desk.ticket("T-1", "Where is my parcel?").await;
        let answer = Answer::json(&kind.response("resp_1", "T-1"));
        let go_on = Arc::new(Semaphore::new(0));
        desk.openai.script("resp_1", [answer.clone().that_waits(&go_on), answer]);
        desk.tell("resp_1").await;
        let slow = desk.worker();
        let slow = tokio::spawn(async move { slow.work_until_idle().await.unwrap() });
        desk.openai.next_call().await;
        desk.clock.advance(LEASE_MS);
        assert_eq!(desk.work().await, 1);
        kind.assert_done(&desk, "resp_1", "T-1").await;
        let before = desk.job("resp_1").await;
        go_on.add_permits(1);
        slow.await.unwrap();
        kind.assert_done(&desk, "resp_1", "T-1").await;
        assert_eq!(desk.job("resp_1").await, before, "a late end changes nothing");
    }
}

/// A worker that stands still after a step until it is let go, and the two ends
/// to wait for it and to let it go.
fn standing_still(desk: &TestDesk, step: Step) -> (frontdesk::worker::Worker, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (reached, wait) = mpsc::channel();
    let (go_on, held) = mpsc::channel::<()>();
    let (held, once) = (std::sync::Mutex::new(held), AtomicBool::new(false));
    let worker = desk.worker().stop_after(Box::new(move |at| {
        if at == step && !once.swap(true, Ordering::SeqCst) {
            let _ = reached.send(());
            // Hands this thread's other tasks to another one first.
            let _ = tokio::task::block_in_place(|| held.lock().unwrap().recv());
        }
        false
    }));
    (worker, wait, go_on)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_worker_that_stands_still_after_any_step_until_another_has_finished_changes_nothing_twice() {
    for kind in KINDS {
        let desk = TestDesk::open().await;
        for (at, step) in Step::ALL.into_iter().enumerate() {
            let (id, ticket) = arrange(&desk, kind, &format!("{at}")).await;
            let (slow, reached, go_on) = standing_still(&desk, step);
            let slow = tokio::spawn(async move { slow.work_until_idle().await.unwrap() });
            tokio::task::spawn_blocking(move || reached.recv()).await.unwrap().ok();
            desk.clock.advance(LEASE_MS);
            desk.work().await;
            kind.assert_done(&desk, &id, &ticket).await;
            let before = desk.job(&id).await;
            let _ = go_on.send(());
            slow.await.unwrap();
            kind.assert_done(&desk, &id, &ticket).await;
            assert_eq!(desk.job(&id).await, before, "{kind:?} stood still after {step:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_second_event_of_a_resource_waits_for_a_worker_that_is_writing_the_first_ones_effects() {
    let desk = TestDesk::open().await;
    for (at, step) in [Step::Planned, Step::Written, Step::Applied].into_iter().enumerate() {
        let (id, ticket) = arrange(&desk, Kind::Note, &format!("{at}")).await;
        let (slow, reached, go_on) = standing_still(&desk, step);
        let slow = tokio::spawn(async move { slow.work_until_idle().await.unwrap() });
        tokio::task::spawn_blocking(move || reached.recv()).await.unwrap().unwrap();
        desk.deliver(&format!("wh_{at}_again"), &format!("evt_{at}_again"), "response.completed", &id).await;
        assert_eq!(desk.work().await, 1);
        let second = desk.jobs_of(&id).await.remove(0);
        assert_eq!(
            (second.status, second.attempt_count),
            (State::FailedRetryable, 0),
            "it waits, and burns no attempt"
        );
        go_on.send(()).unwrap();
        slow.await.unwrap();
        desk.work_to_the_end(&desk.worker()).await;
        let outcomes: Vec<_> = desk.jobs_of(&id).await.into_iter().map(|job| job.outcome.unwrap()).collect();
        assert_eq!(outcomes, ["ignored", "applied"], "newest first");
        assert_eq!(desk.read_ticket(&ticket).await.messages.len(), 2);
    }
}

#[tokio::test]
async fn the_second_event_of_a_resource_takes_over_from_a_worker_that_died_while_writing() {
    let desk = TestDesk::open().await;
    let (id, ticket) = arrange(&desk, Kind::Note, "1").await;
    desk.worker_that_stops(Step::Written, 1).work_until_idle().await.unwrap();
    desk.deliver("wh_again", "evt_again", "response.completed", &id).await;
    desk.work_to_the_end(&desk.worker()).await;
    let mut outcomes: Vec<_> = desk.jobs_of(&id).await.into_iter().map(|job| job.outcome.unwrap()).collect();
    outcomes.sort();
    assert_eq!(outcomes, ["applied", "ignored"]);
    assert_eq!(desk.read_ticket(&ticket).await.messages.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn two_workers_at_once_with_both_events_of_each_resource_write_everything_once() {
    let desk = TestDesk::open().await;
    for kind in KINDS {
        for case in 0..10 {
            let (id, _) = arrange(&desk, kind, &format!("{kind:?}{case}")).await;
            desk.deliver(&format!("wh_{id}_2"), &format!("evt_{id}_2"), "response.completed", &id).await;
        }
    }
    let (one, two) = (desk.worker(), desk.worker());
    let one = tokio::spawn(async move { one.work_until_idle().await.unwrap() });
    let two = tokio::spawn(async move { two.work_until_idle().await.unwrap() });
    one.await.unwrap();
    two.await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    for kind in KINDS {
        for case in 0..10 {
            let (id, ticket) = (format!("resp_{kind:?}{case}"), format!("T-{kind:?}{case}"));
            let ticket = desk.read_ticket(&ticket).await;
            let notes = ticket.messages.iter().filter(|message| message.author == Author::Frontdesk).count();
            assert_eq!(notes, usize::from(kind == Kind::Note), "{id}");
            assert_eq!(ticket.drafts.len(), usize::from(kind == Kind::Draft), "{id}");
            assert_eq!(ticket.queue == "logistics", kind == Kind::Route, "{id}");
            let reviews = usize::from(matches!(kind, Kind::Draft | Kind::Hold));
            assert_eq!(desk.reviews_of(&id).await.len(), reviews, "{id}");
        }
    }
}
