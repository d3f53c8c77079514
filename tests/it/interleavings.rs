//! Everything at once: random histories of work that is started, ends, is told
//! of early, late, twice or not at all, of workers that crash after any step, of
//! people who approve, take back, reject, and of tickets that move on meanwhile.
//!
//! The oracle knows no states and no tables. It remembers what it did and looks
//! at the tickets: every text at most once, nothing public that a person has not
//! approved (and not taken back), nothing from an ending that is of no use, and
//! everything owned at the end.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk::domain::person::{Person, Role};
use frontdesk::domain::review::{Action, Amended, RejectReason};
use frontdesk::domain::ticket::{Author, Visibility};
use frontdesk::store::{Act, TicketPatch};
use frontdesk::worker::Step;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fake_openai::{Answer, ended, message};
use crate::harness::{LATE_MS, TestDesk, histories};

const TICKETS: [&str; 2] = ["T-1", "T-2"];
const WORKFLOWS: [&str; 3] = ["summary", "classification", "draft_reply"];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Started {
    /// By us, with OpenAI's answer written down.
    Known,
    /// By us, and the process died before the answer came.
    Interrupted,
    /// By another program.
    Elsewhere,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    Clean,
    Unsure,
    Incomplete,
    Refused,
    FailedPassing,
    FailedForGood,
    Cancelled,
    Forgotten,
}

#[derive(Debug, Clone)]
enum Op {
    Start(usize, usize, Started),
    End(usize, Ending),
    /// A new webhook-id about the n-th work; with another event when true.
    Tell(usize, bool),
    /// The last webhook-id about it once more.
    Repeat(usize),
    /// Its webhooks are never delivered.
    Lose(usize),
    Work,
    Crash(usize, usize),
    /// The same, and the rest of the lease passes.
    CrashAndWait(usize, usize),
    Wait(i64),
    Reconcile,
    Approve(usize, bool),
    Reject(usize),
    Undo(usize),
    CustomerWrites(usize),
    AgentReplies(usize),
    Close(usize),
    Reclassify(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let which = any::<usize>();
    let started =
        prop_oneof![3 => Just(Started::Known), 1 => Just(Started::Interrupted), 2 => Just(Started::Elsewhere)];
    let ending = prop_oneof![
        6 => Just(Ending::Clean), 1 => Just(Ending::Unsure), 1 => Just(Ending::Incomplete), 1 => Just(Ending::Refused),
        2 => Just(Ending::FailedPassing), 1 => Just(Ending::FailedForGood), 1 => Just(Ending::Cancelled),
        1 => Just(Ending::Forgotten),
    ];
    let op = prop_oneof![
        4 => (0..TICKETS.len(), 0..WORKFLOWS.len(), started).prop_map(|(t, w, s)| Op::Start(t, w, s)),
        5 => (which, ending).prop_map(|(n, ending)| Op::End(n, ending)),
        6 => (which, any::<bool>()).prop_map(|(n, other)| Op::Tell(n, other)),
        2 => which.prop_map(Op::Repeat),
        1 => which.prop_map(Op::Lose),
        5 => Just(Op::Work),
        3 => (0..Step::ALL.len(), 1..3_usize).prop_map(|(step, nth)| Op::Crash(step, nth)),
        2 => (0..Step::ALL.len(), 1..3_usize).prop_map(|(step, nth)| Op::CrashAndWait(step, nth)),
        3 => (1..40_000_i64).prop_map(Op::Wait),
        2 => Just(Op::Reconcile),
        6 => (which, any::<bool>()).prop_map(|(n, edits)| Op::Approve(n, edits)),
        1 => which.prop_map(Op::Reject),
        2 => which.prop_map(Op::Undo),
        1 => (0..TICKETS.len()).prop_map(Op::CustomerWrites),
        1 => (0..TICKETS.len()).prop_map(Op::AgentReplies),
        1 => (0..TICKETS.len()).prop_map(Op::Close),
        1 => (0..TICKETS.len()).prop_map(Op::Reclassify),
    ];
    prop::collection::vec(op, 1..60)
}

/// One piece of work, as the oracle remembers it.
struct Piece {
    resource: String,
    workflow: String,
    metadata: Value,
    ending: Option<Ending>,
    told: usize,
    lost: bool,
}

struct History {
    desk: TestDesk,
    pieces: Vec<Piece>,
    /// What people have approved and not taken back: review to its text, when they changed it.
    approved: BTreeMap<String, Option<String>>,
    /// The text that a reviewer has written last, by resource.
    written: BTreeMap<String, String>,
    /// Drafts that were there, and not sent, when their ticket moved on.
    outdated: BTreeSet<String>,
    last_told: BTreeMap<usize, (String, String)>,
    resubmitted: usize,
}

impl History {
    async fn begin() -> History {
        let desk = TestDesk::open().await;
        for ticket in TICKETS {
            desk.ticket(ticket, "Where is my parcel?").await;
        }
        let (approved, written, last_told) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        History { desk, pieces: Vec::new(), approved, written, outdated: BTreeSet::new(), last_told, resubmitted: 0 }
    }

    async fn step(&mut self, op: &Op) {
        // Two things never happen in the same millisecond: their order would be anybody's.
        self.desk.clock.advance(1);
        match *op {
            Op::Start(ticket, workflow, started) => self.start(TICKETS[ticket], WORKFLOWS[workflow], started).await,
            Op::Work => drop(self.desk.work().await),
            Op::Crash(step, nth) => self.crash(step, nth).await,
            Op::CrashAndWait(step, nth) => {
                self.crash(step, nth).await;
                self.desk.clock.advance(30_001);
            }
            Op::Wait(ms) => self.desk.clock.advance(ms),
            Op::Reconcile => self.reconcile().await,
            Op::CustomerWrites(ticket) => self.write(TICKETS[ticket], Author::Customer).await,
            Op::AgentReplies(ticket) => self.write(TICKETS[ticket], Author::Agent).await,
            Op::Close(ticket) => self.patch(TICKETS[ticket], Some("closed"), None).await,
            Op::Reclassify(ticket) => self.patch(TICKETS[ticket], None, Some("by_hand")).await,
            Op::Approve(n, edits) => self.approve(n, edits).await,
            Op::Reject(n) => self.reject(n).await,
            Op::Undo(n) => self.undo(n).await,
            Op::End(n, ending) => self.on_piece(n, |history, n| history.end(n, ending)),
            Op::Lose(n) => self.on_piece(n, |history, n| history.pieces[n].lost |= history.pieces[n].told == 0),
            Op::Tell(n, other) if !self.pieces.is_empty() => self.tell(n % self.pieces.len(), other).await,
            Op::Repeat(n) if !self.last_told.is_empty() => self.repeat(n).await,
            Op::Tell(..) | Op::Repeat(_) => {}
        }
    }

    fn on_piece(&mut self, n: usize, act: impl FnOnce(&mut History, usize)) {
        if !self.pieces.is_empty() {
            let n = n % self.pieces.len();
            act(self, n);
        }
    }

    async fn start(&mut self, ticket: &str, workflow: &str, started: Started) {
        let n = self.pieces.len();
        let (resource, submission) = (format!("resp_{n}"), format!("sub_{n}"));
        let mut metadata = json!({"ticket_id": ticket, "workflow": workflow});
        match started {
            Started::Known => self.desk.started(&submission, ticket, workflow, &resource).await,
            Started::Interrupted => self.desk.begin(&submission, ticket, workflow).await,
            Started::Elsewhere => {}
        }
        if started != Started::Elsewhere {
            metadata["fd_submission"] = json!(submission);
        }
        // What a process did not hear of cannot be asked for: only its webhook tells.
        self.add(resource, workflow, metadata);
    }

    fn add(&mut self, resource: String, workflow: &str, metadata: Value) {
        let mut under_way = ended(&resource, "in_progress", json!([]), &metadata);
        under_way["created_at"] = json!(self.desk.now_ms() / 1000);
        self.desk.openai.put(&under_way);
        let workflow = workflow.to_owned();
        self.pieces.push(Piece { resource, workflow, metadata, ending: None, told: 0, lost: false });
    }

    /// A resource ends once.
    fn end(&mut self, n: usize, ending: Ending) {
        let created_s = self.desk.now_ms() / 1000;
        let piece = &mut self.pieces[n];
        if piece.ending.is_some() {
            return;
        }
        piece.ending = Some(ending);
        if ending == Ending::Forgotten {
            self.desk.openai.script(&piece.resource, [Answer::error(404, "not_found")]);
            return;
        }
        let status = match ending {
            Ending::Incomplete => "incomplete",
            Ending::FailedPassing | Ending::FailedForGood => "failed",
            Ending::Cancelled => "cancelled",
            _ => "completed",
        };
        let mut response = ended(&piece.resource, status, output(piece, ending), &piece.metadata);
        response["created_at"] = json!(created_s);
        match ending {
            Ending::FailedPassing => response["error"] = json!({"code": "server_error"}),
            Ending::FailedForGood => response["error"] = json!({"code": "invalid_prompt"}),
            _ => {}
        }
        self.desk.openai.put(&response);
    }

    async fn tell(&mut self, n: usize, other: bool) {
        let piece = &mut self.pieces[n];
        if piece.lost {
            return;
        }
        piece.told += 1;
        let webhook = format!("wh_{n}_{}", piece.told);
        let event = format!("evt_{n}{}", if other { "_b" } else { "" });
        // The type is no more than a hint: what was fetched decides.
        self.desk.deliver(&webhook, &event, "response.completed", &piece.resource).await;
        self.last_told.insert(n, (webhook, event));
    }

    async fn repeat(&self, which: usize) {
        let (n, (webhook, event)) = self.last_told.iter().nth(which % self.last_told.len()).unwrap();
        self.desk.deliver(webhook, event, "response.completed", &self.pieces[*n].resource).await;
    }

    async fn crash(&self, step: usize, nth: usize) {
        self.desk.worker_that_stops(Step::ALL[step], nth).work_until_idle().await.unwrap();
    }

    async fn reconcile(&self) {
        self.desk.worker().reconcile_once().await.unwrap();
    }

    /// Whatever is drafted for the ticket and not sent yet must not be sent any more.
    async fn moves_on(&mut self, ticket: &str) {
        let seen = self.desk.read_ticket(ticket).await.messages;
        let is_sent = |resource: &str| {
            let mark = format!("-{resource}.");
            seen.iter().any(|message| message.visibility == Visibility::Public && message.body.contains(&mark))
        };
        let reviews = self.desk.store.reviews(None, Some(ticket.to_owned()), None, crate::harness::ALL).await.unwrap();
        let drafts = reviews.items.into_iter().filter(|review| review.workflow.as_deref() == Some("draft_reply"));
        let unsent = drafts.map(|review| review.resource_id).filter(|resource| !is_sent(resource));
        self.outdated.extend(unsent.collect::<Vec<_>>());
    }

    async fn write(&mut self, ticket: &str, author: Author) {
        self.moves_on(ticket).await;
        let (id, body) = (ticket.to_owned(), "One more thing.".to_owned());
        self.desk.store.add_message(id, author, Visibility::Public, body, self.desk.now_ms()).await.unwrap();
    }

    async fn patch(&mut self, ticket: &str, status: Option<&str>, intent: Option<&str>) {
        let was_open = self.desk.read_ticket(ticket).await.status == "open";
        if status.is_some() && was_open {
            self.moves_on(ticket).await;
        }
        let patch = TicketPatch {
            status: status.map(str::to_owned),
            intent: intent.map(str::to_owned),
            ..TicketPatch::default()
        };
        self.desk.store.patch_ticket(ticket.to_owned(), patch, self.desk.now_ms()).await.unwrap();
    }

    async fn review(&self, n: usize) -> Option<(String, String)> {
        let mut reviews = self.desk.store.reviews(None, None, None, crate::harness::ALL).await.unwrap().items;
        (!reviews.is_empty()).then(|| {
            let review = reviews.swap_remove(n % reviews.len());
            (review.id, review.resource_id)
        })
    }

    async fn act(&self, review: &str, action: Action) -> bool {
        let act = Act {
            review: review.to_owned(),
            version: None,
            person: Person { name: "lena".to_owned(), role: Role::Admin },
            action,
            lease_ms: 60_000,
            now_ms: self.desk.now_ms(),
        };
        self.desk.store.act_on_review(act).await.unwrap().unwrap().is_ok()
    }

    async fn approve(&mut self, n: usize, edits: bool) {
        let Some((review, resource)) = self.review(n).await else { return };
        let text = edits.then(|| format!("EDITED-{resource}."));
        if self.act(&review, Action::Approve(Amended { text: text.clone(), route: None })).await {
            // What a reviewer wrote stays in the review, also when the approval was taken back.
            if let Some(text) = text {
                self.written.insert(resource.clone(), text);
            }
            let text = self.written.get(&resource).cloned();
            self.approved.insert(resource, text);
        }
    }

    async fn reject(&self, n: usize) {
        let Some((review, _)) = self.review(n).await else { return };
        self.act(&review, Action::Reject { reason: RejectReason::Tone, said: "tone".to_owned() }).await;
    }

    async fn undo(&mut self, n: usize) {
        let Some((review, resource)) = self.review(n).await else { return };
        if self.act(&review, Action::Undo).await {
            self.approved.remove(&resource);
        }
    }

    /// Everything ends, is told of or found, and is worked to its end.
    async fn finish(&mut self) {
        let mut next = 0;
        loop {
            while next < self.pieces.len() {
                self.end(next, Ending::Clean);
                if self.pieces[next].told == 0 && !self.pieces[next].lost {
                    self.tell(next, false).await;
                }
                next += 1;
            }
            self.desk.work_to_the_end(&self.desk.worker()).await;
            self.desk.clock.advance(LATE_MS);
            self.reconcile().await;
            self.desk.work_to_the_end(&self.desk.worker()).await;
            let started = self.desk.openai.started();
            for (n, body) in started.iter().enumerate().skip(self.resubmitted) {
                let workflow = body["metadata"]["workflow"].as_str().unwrap().to_owned();
                self.add(format!("resp_new_{}", n + 1), &workflow, body["metadata"].clone());
            }
            self.resubmitted = started.len();
            if next == self.pieces.len() {
                return;
            }
        }
    }

    async fn judge(&self) {
        let mut internal: Vec<String> = Vec::new();
        let mut public: Vec<String> = Vec::new();
        let mut drafts: Vec<String> = Vec::new();
        for id in TICKETS {
            let ticket = self.desk.read_ticket(id).await;
            for message in ticket.messages.into_iter().filter(|message| message.reference.is_some()) {
                if message.visibility == Visibility::Public { &mut public } else { &mut internal }.push(message.body);
            }
            drafts.extend(ticket.drafts.into_iter().map(|draft| draft.body));
        }
        for piece in &self.pieces {
            let of =
                |texts: &[String]| texts.iter().filter(|text| text.contains(&format!("-{}.", piece.resource))).count();
            let (notes, sent, drafted) = (of(&internal), of(&public), of(&drafts));
            assert!(
                notes <= 1 && sent <= 1 && drafted <= 1,
                "{}: {notes} notes, {sent} sent, {drafted} drafts",
                piece.resource
            );
            self.judge_public(piece, &public, sent).await;
            if !matches!(piece.ending, Some(Ending::Clean)) && !self.approved.contains_key(&piece.resource) {
                assert_eq!((notes, sent, drafted), (0, 0, 0), "{} ended as {:?}", piece.resource, piece.ending);
            }
            self.judge_owner(piece).await;
        }
    }

    /// Nothing public but what a person approved; and that, unless the ticket moved on.
    async fn judge_public(&self, piece: &Piece, public: &[String], sent: usize) {
        let reviews = self.desk.reviews_of(&piece.resource).await;
        let state = reviews.first().map_or("none", |review| review.state.as_str());
        match self.approved.get(&piece.resource) {
            None => assert_eq!(sent, 0, "{} was sent and nobody had approved it", piece.resource),
            Some(_) if piece.workflow != "draft_reply" => {
                assert_eq!(sent, 0, "{} is not for customers", piece.resource)
            }
            Some(_) if self.outdated.contains(&piece.resource) => {
                assert_eq!(sent, 0, "{} was sent though the ticket had moved on", piece.resource)
            }
            Some(_) if state == "stale" => assert_eq!(sent, 0, "{} was stale and sent", piece.resource),
            Some(text) => {
                assert_eq!((sent, state), (1, "approved"), "{} was approved and is not there", piece.resource);
                let words = text.clone().unwrap_or_else(|| format!("REPLY-{}.", piece.resource));
                assert!(public.contains(&words), "{}: not the approved words", piece.resource);
            }
        }
    }

    /// Whatever was told of, or could be found, has an end and an owner.
    async fn judge_owner(&self, piece: &Piece) {
        let jobs = self.desk.jobs_of(&piece.resource).await;
        let endings: BTreeSet<&str> = jobs
            .iter()
            .filter(|job| job.event_type != "review.approved")
            .map(|job| job.outcome.as_deref().unwrap_or("failed"))
            .collect();
        if endings.is_empty() {
            let ours = piece.metadata.get("fd_submission");
            assert!(piece.lost, "{} was told of and has no job", piece.resource);
            // Only what nobody here knows the id of cannot be found.
            if let Some(submission) = ours {
                let submission =
                    self.desk.store.submission(submission.as_str().unwrap().to_owned()).await.unwrap().unwrap();
                assert_eq!(submission.resource_id, None, "{} could have been found", piece.resource);
            }
            return;
        }
        // Webhooks that were far ahead of the end may have used up their attempts.
        let may_be = |words: &[&str]| {
            endings.iter().all(|ending| words.contains(ending) || *ending == "ignored" || *ending == "failed")
        };
        let allowed = match piece.ending.unwrap() {
            Ending::Clean | Ending::Unsure => may_be(&["applied", "held", "superseded"]),
            Ending::Incomplete | Ending::Refused => may_be(&["held", "superseded"]),
            Ending::FailedPassing => may_be(&["superseded"]),
            Ending::FailedForGood | Ending::Cancelled | Ending::Forgotten => may_be(&[]),
        };
        assert!(allowed, "{} ended as {:?} and its jobs as {endings:?}", piece.resource, piece.ending);
        let trail = self.desk.store.trail(piece.resource.clone()).await.unwrap().unwrap();
        assert!(!trail.why(self.desk.now_ms()).next.is_empty());
    }
}

/// What the model said, with the resource's name in it.
fn output(piece: &Piece, ending: Ending) -> Value {
    let confidence = if ending == Ending::Unsure { 0.1 } else { 0.95 };
    if ending == Ending::Refused {
        return json!([{"type": "message", "role": "assistant", "status": "completed",
                       "content": [{"type": "refusal", "refusal": "No."}]}]);
    }
    if ending == Ending::Unsure && piece.workflow == "summary" {
        // A summary has no confidence: two that differ are what is doubtful there.
        return json!([message("One."), message("Two.")]);
    }
    let text = match piece.workflow.as_str() {
        "summary" => format!("NOTE-{}.", piece.resource),
        "classification" => {
            json!({"intent": "shipping", "priority": "high", "confidence": confidence, "topics": []}).to_string()
        }
        _ => json!({"reply": format!("REPLY-{}.", piece.resource), "confidence": confidence, "topics": []}).to_string(),
    };
    json!([message(&text)])
}

#[test]
fn whatever_happens_in_whatever_order_nothing_is_lost_doubled_or_sent_without_leave() {
    let cases = histories(48);
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
                // What was sent stays sent, whatever is written later.
                for ticket in TICKETS {
                    history.write(ticket, Author::Customer).await;
                }
                history.desk.work_to_the_end(&history.desk.worker()).await;
                history.judge().await;
            });
            Ok(())
        })
        .unwrap();
}
