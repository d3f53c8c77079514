//! Random histories of two batches over the same tickets: told of early, late and
//! twice, read and applied by workers that crash after any step, paused, applied,
//! rejected and undone by people, while agents and customers go on working.
//!
//! The oracle looks at the tickets only. Every value tells who wrote it, so it can
//! say at any time whether a batch has gone over a person, or has come back.

use std::collections::BTreeMap;

use frontdesk::domain::batch::State;
use frontdesk::domain::batch::acts::Act;
use frontdesk::domain::person::{Person, Role};
use frontdesk::domain::ticket::{Author, Visibility};
use frontdesk::store::{BatchAct, TicketPatch};
use frontdesk::worker::Step;
use proptest::prelude::*;
use serde_json::json;

use crate::fake_openai::{ended, message};
use crate::harness::{LEASE_MS, TestDesk, histories};

const TICKETS: usize = 6;
const BATCHES: usize = 2;

/// The steps a worker may stop after, those of reading a batch among them.
const STEPS: [Step; 9] = [
    Step::Claimed,
    Step::Retrieved,
    Step::Kept,
    Step::Entered,
    Step::Placed,
    Step::Decided,
    Step::Planned,
    Step::Written,
    Step::Applied,
];

#[derive(Debug, Clone)]
enum Op {
    /// Another event about it, or the same once more.
    Tell(usize, bool),
    Work,
    Crash(usize, usize),
    Wait(i64),
    Apply(usize),
    Reject(usize),
    Pause(usize),
    Resume(usize),
    Undo(usize),
    /// An agent says what the ticket is about.
    Classifies(usize),
    /// The customer writes once more.
    Writes(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (batch, ticket) = (0..BATCHES, 0..TICKETS);
    let op = prop_oneof![
        4 => (batch.clone(), any::<bool>()).prop_map(|(batch, again)| Op::Tell(batch, again)),
        5 => Just(Op::Work),
        5 => (0..STEPS.len(), 1..6_usize).prop_map(|(step, nth)| Op::Crash(step, nth)),
        4 => (1..40_000_i64).prop_map(Op::Wait),
        4 => batch.clone().prop_map(Op::Apply),
        1 => batch.clone().prop_map(Op::Reject),
        2 => batch.clone().prop_map(Op::Pause),
        2 => batch.clone().prop_map(Op::Resume),
        2 => batch.prop_map(Op::Undo),
        2 => ticket.clone().prop_map(Op::Classifies),
        1 => ticket.prop_map(Op::Writes),
    ];
    prop::collection::vec(op, 1..50)
}

fn batch_id(batch: usize) -> String {
    format!("batch_{batch}")
}

fn ticket_id(ticket: usize) -> String {
    format!("T-{ticket}")
}

struct History {
    desk: TestDesk,
    events: usize,
    /// What each ticket was about when it was looked at last.
    seen: BTreeMap<usize, Option<String>>,
    /// Tickets that a person has changed, with what an agent said last.
    touched: BTreeMap<usize, Option<String>>,
}

impl History {
    async fn begin() -> History {
        let mut desk = TestDesk::open().await;
        // A batch of six waits for a person, and goes on two lines at a time.
        desk.settings.batch.preview_over = 3;
        desk.settings.batch.window = 2;
        desk.settings.batch.pace = 600;
        for ticket in 0..TICKETS {
            desk.ticket(&ticket_id(ticket), "Where is my parcel?").await;
        }
        desk.clock.advance(2_000);
        for batch in 0..BATCHES {
            put(&desk, batch);
        }
        desk.clock.advance(2_000);
        History { desk, events: 0, seen: BTreeMap::new(), touched: BTreeMap::new() }
    }

    async fn step(&mut self, op: &Op) {
        self.desk.clock.advance(1);
        match *op {
            Op::Tell(batch, again) => self.tell(batch, again).await,
            Op::Work => drop(self.desk.work().await),
            Op::Crash(step, nth) => {
                self.desk.worker_that_stops(STEPS[step], nth).work_until_idle().await.unwrap();
                self.desk.clock.advance(LEASE_MS + 1);
            }
            Op::Wait(ms) => self.desk.clock.advance(ms),
            Op::Apply(batch) => self.act(batch, Act::Apply).await,
            Op::Reject(batch) => self.act(batch, Act::Reject { reason: None }).await,
            Op::Pause(batch) => self.act(batch, Act::Pause { reason: None }).await,
            Op::Resume(batch) => self.act(batch, Act::Resume).await,
            Op::Undo(batch) => self.act(batch, Act::Undo).await,
            Op::Classifies(ticket) => self.classify(ticket).await,
            Op::Writes(ticket) => self.write(ticket).await,
        }
        self.look().await;
        crate::invariants::of_rows(self.desk.sql());
    }

    async fn tell(&mut self, batch: usize, again: bool) {
        self.events += usize::from(!again || self.events == 0);
        let (webhook, event) = (format!("wh_{}_{again}", self.events), format!("evt_{batch}_{}", self.events));
        self.desk.deliver(&webhook, &event, "batch.completed", &batch_id(batch)).await;
    }

    /// What the rules refuse changes nothing, which the oracle sees.
    async fn act(&self, batch: usize, act: Act) {
        let person = Person { name: "mia".to_owned(), role: Role::Lead };
        let asked = BatchAct { batch: batch_id(batch), version: None, person, act, now_ms: self.desk.now_ms() };
        drop(self.desk.store.act_on_batch(asked).await.unwrap());
    }

    async fn classify(&mut self, ticket: usize) {
        let intent = format!("agent_{}", self.desk.now_ms());
        let patch = TicketPatch { intent: Some(intent.clone()), ..TicketPatch::default() };
        self.desk.store.patch_ticket(ticket_id(ticket), patch, self.desk.now_ms()).await.unwrap();
        self.touched.insert(ticket, Some(intent));
    }

    async fn write(&mut self, ticket: usize) {
        let (id, now_ms) = (ticket_id(ticket), self.desk.now_ms());
        let (author, seen) = (Author::Customer, Visibility::Public);
        self.desk.store.add_message(id, author, seen, "One more thing".to_owned(), now_ms).await.unwrap();
        self.touched.entry(ticket).or_insert(None);
    }

    /// No batch goes onto a ticket that a person has changed since it was made;
    /// only an undo may lead back from one batch's value to the other's.
    async fn look(&mut self) {
        for ticket in 0..TICKETS {
            let now = self.desk.read_ticket(&ticket_id(ticket)).await.intent;
            let before = self.seen.insert(ticket, now.clone()).flatten();
            let by_batch = |value: &Option<String>| value.as_ref().is_some_and(|value| value.starts_with("batch_"));
            if let Some(said) = self.touched.get(&ticket) {
                let stays = now == before || now == *said || (by_batch(&before) && !self.is_first(ticket, &now));
                assert!(stays, "ticket {ticket} went from {before:?} to {now:?} though a person had said {said:?}");
                if said.is_some() {
                    assert_eq!(now, *said, "what an agent says stays");
                }
            }
        }
    }

    /// Whether this is a value that has never been on the ticket.
    fn is_first(&self, ticket: usize, value: &Option<String>) -> bool {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM desk_changes WHERE ticket_id = ?1 AND after LIKE '%' || ?2 || '%')";
        let Some(value) = value else { return false };
        self.desk.sql().query_row(sql, (ticket_id(ticket), value), |row| row.get(0)).unwrap()
    }

    /// Everybody does what is left for them to do.
    async fn finish(&mut self) {
        for batch in 0..BATCHES {
            self.tell(batch, false).await;
        }
        for _ in 0..3 {
            self.desk.work_to_the_end(&self.desk.worker()).await;
            for batch in 0..BATCHES {
                self.act(batch, Act::Apply).await;
                self.act(batch, Act::Resume).await;
            }
            self.desk.work_to_the_end(&self.desk.worker()).await;
            self.look().await;
        }
    }

    async fn judge(&self) {
        for batch in 0..BATCHES {
            let ended = self.desk.store.batch(batch_id(batch)).await.unwrap().unwrap();
            assert!(ended.state.is_at_rest() && ended.state != State::Waiting, "{:?}", ended.state);
            for ticket in 0..TICKETS {
                let intent = self.desk.read_ticket(&ticket_id(ticket)).await.intent;
                let is_its = intent == Some(format!("batch_{batch}_{ticket}"));
                let gone = matches!(ended.state, State::Undone | State::Rejected | State::Failed);
                assert!(!(gone && is_its), "batch {batch} is {:?} and still on ticket {ticket}", ended.state);
            }
        }
        for ticket in (0..TICKETS).filter(|ticket| !self.touched.contains_key(ticket)) {
            // The second of two that are both on it is the newer one.
            let mut newest = None;
            for batch in 0..BATCHES {
                if self.is_applied(batch, ticket).await {
                    newest = Some(format!("batch_{batch}_{ticket}"));
                }
            }
            assert_eq!(self.desk.read_ticket(&ticket_id(ticket)).await.intent, newest);
        }
    }

    async fn is_applied(&self, batch: usize, ticket: usize) -> bool {
        let lines = self.desk.store.batch_lines(batch_id(batch), Some("applied".to_owned()), 0, TICKETS).await.unwrap();
        lines.iter().any(|line| line.ticket_id == Some(ticket_id(ticket)))
    }
}

/// A batch that has ended, each ticket with a value of its own.
fn put(desk: &TestDesk, batch: usize) {
    let mut lines = String::new();
    for ticket in 0..TICKETS {
        let output =
            json!({"intent": format!("batch_{batch}_{ticket}"), "priority": "high", "confidence": 0.95, "topics": []});
        let body = ended("resp_x", "completed", json!([message(&output.to_string())]), &json!({}));
        let line =
            json!({"custom_id": ticket_id(ticket), "response": {"status_code": 200, "body": body}, "error": null});
        lines += &format!("{line}\n");
    }
    let file = format!("file-{batch}");
    desk.openai.put_file(&file, &lines);
    let made_at_s = desk.now_ms() / 1000 + i64::try_from(batch).unwrap();
    desk.openai.put(&json!({"id": batch_id(batch), "object": "batch", "status": "completed", "created_at": made_at_s,
                            "metadata": {"workflow": "classification"}, "output_file_id": file, "error_file_id": ""}));
}

#[test]
fn whatever_happens_to_two_batches_no_person_is_overwritten_and_what_is_undone_is_gone() {
    let cases = histories(24);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config =
        ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::default() };
    proptest::test_runner::TestRunner::new(config)
        .run(&ops(), |ops| {
            runtime.block_on(async {
                let mut history = History::begin().await;
                for op in &ops {
                    history.step(op).await;
                }
                history.finish().await;
                history.judge().await;
            });
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn what_a_killed_worker_had_written_down_does_not_go_over_what_an_agent_says_meanwhile() {
    let mut history = History::begin().await;
    for op in [Op::Tell(0, false), Op::Work, Op::Apply(0), Op::Crash(6, 1), Op::Classifies(0)] {
        history.step(&op).await;
    }
    history.finish().await;
    history.judge().await;
}
