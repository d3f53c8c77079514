//! A whole desk for one test: a fresh database, a clock that is moved by hand,
//! a scripted OpenAI. Dropping it fails the test when the work it leaves behind
//! is not what the rules allow.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use frontdesk::clock::{Clock, HandClock};
use frontdesk::domain::delivery::{NewDelivery, Receipt};
use frontdesk::domain::job::RetryPolicy;
use frontdesk::domain::policy::Policy;
use frontdesk::domain::secret::Secret;
use frontdesk::domain::submission::{MetadataKeys, Patience};
use frontdesk::domain::ticket::Author;
use frontdesk::domain::verify::Verifier;
use frontdesk::helpdesk::{Builtin, Helpdesk, Outside};
use frontdesk::openai::client::Client;
use frontdesk::store::{
    AuditAt, DeskTicket, Job, Location, NewSubmission, NewTicket, PageRequest, Restoration, Restoring, Review, Store,
};
use frontdesk::submit::{self, Submitter};
use frontdesk::telemetry::Metrics;
use frontdesk::worker::{Keeping, Limits, Settings, Step, Worker};
use frontdesk::workflows::{self, Catalogue};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::fake_openai::FakeOpenAi;
use super::{canary, invariants};
use crate::support::database::{Sql, TestDatabase};

/// When every test begins.
pub const START_MS: i64 = 1_780_000_000_000;
pub const LEASE_MS: i64 = 30_000;
/// When a webhook is late, and when somebody is told.
pub const LATE_MS: i64 = 600_000;
pub const DEADLINE_MS: i64 = 3_600_000;
pub const OVERDUE_MS: i64 = 900_000;
pub const PATIENCE: Patience = Patience { after_ms: LATE_MS, every_ms: 30_000, deadline_ms: DEADLINE_MS };
/// When a review has waited too long.
pub const REVIEW_OVERDUE_MS: i64 = 4 * 3_600_000;
pub const RETENTION_MS: i64 = 30 * 86_400_000;
pub const KEY: &[u8] = b"a signing key of the test desks!";
pub const ALL: PageRequest = PageRequest { limit: 500, cursor: None };

/// How many histories a test plays that makes them up: on a server a quarter, which
/// takes as long as all of them on a file. FRONTDESK_INTERLEAVINGS asks for more.
pub fn histories(on_a_file: u32) -> u32 {
    let asked = std::env::var("FRONTDESK_INTERLEAVINGS").ok().and_then(|cases| cases.parse().ok());
    asked.unwrap_or(if TestDatabase::is_on_a_server() { on_a_file / 4 } else { on_a_file })
}

/// A verified delivery, made the only way there is: by signing and verifying.
pub fn signed(project: &str, webhook_id: &str, body: &str, now_ms: i64) -> NewDelivery {
    signed_by(KEY, project, webhook_id, body, now_ms)
}

pub fn signed_by(key: &[u8], project: &str, webhook_id: &str, body: &str, now_ms: i64) -> NewDelivery {
    let secret = Secret::parse(&format!("whsec_{}", STANDARD.encode(key))).unwrap();
    let now_s = now_ms.div_euclid(1000);
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(format!("{webhook_id}.{now_s}.{body}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", webhook_id.parse().unwrap());
    headers.insert("webhook-timestamp", now_s.to_string().parse().unwrap());
    headers.insert("webhook-signature", signature.parse().unwrap());
    let verified =
        Verifier::new(vec![secret]).verify(&headers, Bytes::from(body.to_owned()), now_s).expect("well signed");
    NewDelivery::read(project, verified, now_ms, RETENTION_MS)
}

/// An event as OpenAI words it.
pub fn event(event_id: &str, kind: &str, resource_id: &str) -> String {
    json!({"id": event_id, "object": "event", "created_at": START_MS / 1000, "type": kind, "data": {"id": resource_id}})
        .to_string()
}

pub struct TestDesk {
    pub store: Store,
    pub clock: HandClock,
    pub openai: FakeOpenAi,
    pub metrics: Arc<Metrics>,
    /// Tuned by a test before it asks for a worker.
    pub settings: Settings,
    /// The same.
    pub workflows: Catalogue,
    /// Set by a test before it asks for a worker.
    pub policy: Policy,
    /// Where the tickets live, if not on the built-in desk; the same.
    pub helpdesk: Option<Outside>,
    /// One for each project; they are slow to build and cheap to clone.
    clients: BTreeMap<String, Client>,
    database: TestDatabase,
    left_over: Option<&'static str>,
    spoiled: bool,
}

impl TestDesk {
    pub async fn open() -> TestDesk {
        TestDesk::on(TestDatabase::fresh()).await
    }

    /// For tests that look into the file.
    pub async fn open_in_a_file() -> TestDesk {
        TestDesk::on(TestDatabase::sqlite()).await
    }

    async fn on(database: TestDatabase) -> TestDesk {
        let store = database.store();
        let openai = FakeOpenAi::start().await;
        let clients = ["default", "second"].map(|name| (name.to_owned(), openai.client(&format!("sk-{name}"))));
        TestDesk {
            store,
            clock: HandClock::at(START_MS),
            openai,
            clients: clients.into(),
            metrics: Arc::default(),
            settings: settings(),
            workflows: catalogue(),
            policy: Policy::default(),
            helpdesk: None,
            database,
            left_over: None,
            spoiled: false,
        }
    }

    /// Uses this API key for the default project from here on.
    pub fn use_key(&mut self, key: &str) {
        self.clients.insert("default".to_owned(), self.openai.client(key));
    }

    /// A worker as a fresh process would build it.
    pub fn worker(&self) -> Worker {
        let clock = Clock::Hand(self.clock.clone());
        Worker::new(
            self.store.clone(),
            clock,
            self.clients.clone(),
            self.helpdesk(),
            self.policy.clone(),
            self.workflows.clone(),
            self.submitter(),
            self.settings.clone(),
            Arc::clone(&self.metrics),
        )
    }

    /// Where tickets are read and written.
    pub fn helpdesk(&self) -> Helpdesk {
        match &self.helpdesk {
            Some(outside) => Helpdesk::Outside(outside.clone()),
            None => Helpdesk::Builtin(Builtin::new(self.store.clone())),
        }
    }

    /// What starts work, as a fresh process would build it.
    pub fn submitter(&self) -> Submitter {
        let settings =
            submit::Settings { model: "gpt-test".to_owned(), keys: settings().metadata_keys, patience: PATIENCE };
        let helpdesk = self.helpdesk();
        let clock = Clock::Hand(self.clock.clone());
        Submitter::new(self.store.clone(), clock, self.clients.clone(), helpdesk, self.workflows.clone(), settings)
    }

    /// A worker that stops, as a crash would, at the given occurrence (from 1) of a step.
    pub fn worker_that_stops(&self, step: Step, occurrence: usize) -> Worker {
        let seen = std::sync::atomic::AtomicUsize::new(0);
        self.worker().stop_after(Box::new(move |at| {
            at == step && seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == occurrence
        }))
    }

    /// Works until nothing is due, as a fresh process.
    pub async fn work(&self) -> usize {
        self.worker().work_until_idle().await.unwrap()
    }

    /// Works with one worker until every job has ended, moving the clock to the
    /// next time at which something is due.
    pub async fn work_to_the_end(&self, worker: &Worker) -> usize {
        let mut attempts = worker.work_until_idle().await.unwrap();
        for _ in 0..200 {
            let Some(next_ms) = self.next_due_ms() else { return attempts };
            // What is due and was not taken waits for a pause to end.
            self.clock.advance((next_ms - self.now_ms()).max(1_000));
            attempts += worker.work_until_idle().await.unwrap();
        }
        panic!("jobs go round for ever");
    }

    fn next_due_ms(&self) -> Option<i64> {
        self.sql().query_row("SELECT min(claimable_at) FROM jobs", [], |row| row.get(0)).unwrap()
    }

    pub fn now_ms(&self) -> i64 {
        Clock::Hand(self.clock.clone()).now_ms()
    }

    pub async fn deliver(&self, webhook_id: &str, event_id: &str, kind: &str, resource_id: &str) -> Receipt {
        self.deliver_to("default", webhook_id, &event(event_id, kind, resource_id)).await
    }

    pub async fn deliver_to(&self, project: &str, webhook_id: &str, body: &str) -> Receipt {
        self.store.record(signed(project, webhook_id, body, self.now_ms())).await.unwrap()
    }

    /// The usual webhook about a response: ids follow from the resource's.
    pub async fn tell(&self, resource_id: &str) -> Receipt {
        let kind = if resource_id.starts_with("batch_") { "batch.completed" } else { "response.completed" };
        self.deliver(&format!("wh_{resource_id}"), &format!("evt_{resource_id}"), kind, resource_id).await
    }

    /// A ticket with one message of a customer.
    pub async fn ticket(&self, id: &str, words: &str) {
        let new = NewTicket {
            id: Some(id.to_owned()),
            subject: "Parcel".to_owned(),
            queue: "support".to_owned(),
            tags: Vec::new(),
            messages: vec![(Author::Customer, words.to_owned())],
        };
        assert!(self.store.create_ticket(new, self.now_ms()).await.unwrap().is_some(), "{id} is taken");
    }

    pub async fn read_ticket(&self, id: &str) -> DeskTicket {
        self.store.ticket(id.to_owned()).await.unwrap().expect("the ticket exists")
    }

    /// Work that we started ourselves: the row before the call.
    pub async fn begin(&self, id: &str, ticket_id: &str, workflow: &str) {
        let new = NewSubmission {
            id: id.to_owned(),
            project: "default".to_owned(),
            ticket_id: ticket_id.to_owned(),
            workflow: workflow.to_owned(),
            prompt_version: "1".to_owned(),
            ticket_revision: self.read_ticket(ticket_id).await.revision,
            actor: "test".to_owned(),
            created_at_ms: self.now_ms(),
            check_at_ms: self.now_ms() + LATE_MS,
            deadline_ms: self.now_ms() + DEADLINE_MS,
        };
        self.store.begin_submission(new).await.unwrap();
    }

    /// Work that we started ourselves, with OpenAI's answer.
    pub async fn started(&self, id: &str, ticket_id: &str, workflow: &str, resource_id: &str) {
        self.begin(id, ticket_id, workflow).await;
        let (project, now_ms) = ("default".to_owned(), self.now_ms());
        self.store.submission_started(project, id.to_owned(), resource_id.to_owned(), now_ms).await.unwrap();
    }

    /// The only job about a resource.
    pub async fn job(&self, resource_id: &str) -> Job {
        let mut jobs = self.jobs_of(resource_id).await;
        assert_eq!(jobs.len(), 1, "jobs about {resource_id}");
        jobs.remove(0)
    }

    pub async fn jobs_of(&self, resource_id: &str) -> Vec<Job> {
        let page = self.store.jobs(None, ALL).await.unwrap();
        page.items.into_iter().filter(|job| job.resource_id == resource_id).collect()
    }

    pub async fn reviews_of(&self, resource_id: &str) -> Vec<Review> {
        let page = self.store.reviews(None, None, None, ALL).await.unwrap();
        page.items.into_iter().filter(|review| review.resource_id == resource_id).collect()
    }

    /// Kinds of the open alerts of a subject.
    pub async fn alerts_about(&self, subject: &str) -> Vec<String> {
        let alerts = self.store.open_alerts().await.unwrap();
        alerts.into_iter().filter(|alert| alert.subject == subject).map(|alert| alert.kind).collect()
    }

    /// Those of the words that are still somewhere in the database.
    pub fn found<'a>(&self, words: &[&'a str]) -> Vec<&'a str> {
        canary::found_in_database(&self.database, words)
    }

    /// The file that holds everything.
    pub fn file(&self) -> &std::path::Path {
        self.database.location.file().expect("a test of files opens a desk in a file")
    }

    /// The database, past the store.
    pub fn sql(&self) -> Sql<'_> {
        self.database.sql()
    }

    /// A copy of the database as it is now.
    pub fn backup(&self, name: &str) -> PathBuf {
        let copy = self.file().with_file_name(name);
        Store::backup(self.file(), &copy, self.now_ms()).unwrap();
        copy
    }

    /// The file as it lies there now, under another name: nobody has that open.
    pub fn file_as_it_is(&self) -> PathBuf {
        let copy = self.file().with_file_name("as-it-is.db");
        for ending in ["", "-wal"] {
            let side = |path: &Path| PathBuf::from(format!("{}{ending}", path.display()));
            std::fs::copy(side(self.file()), side(&copy)).unwrap();
        }
        copy
    }

    /// Goes on with another database.
    pub fn go_on_with(&mut self, database: TestDatabase) {
        self.store = database.store();
        self.database = database;
    }

    /// Restores the copy, and goes on with it. The helpdesk is elsewhere, so to
    /// say: its tickets stay as they are now.
    pub fn go_back_to(&mut self, copy: &Path) -> Restoration {
        let to = copy.with_extension("restored.db");
        let (now_ms, from) = (self.now_ms(), copy.to_owned());
        let asked = Restoring { from, to: to.clone(), keep: None, migrate: false, actor: "ada".to_owned(), now_ms };
        let done = Store::restore(&asked).unwrap();
        let world = self.file().to_owned();
        self.database.location = Location::Sqlite(to);
        let sql = rusqlite::Connection::open(self.file()).unwrap();
        sql.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        sql.execute("ATTACH ?1 AS world", [world.to_str().unwrap()]).unwrap();
        for table in ["tickets", "messages", "drafts", "attachments", "desk_changes"] {
            let move_over = format!("DELETE FROM {table}; INSERT INTO main.{table} SELECT * FROM world.{table}");
            sql.execute_batch(&move_over).unwrap();
        }
        self.store = self.database.store();
        done
    }

    /// Declares that the database was broken on purpose.
    pub fn is_spoiled(&mut self) {
        self.spoiled = true;
    }

    /// Declares that jobs may be left that have not ended.
    pub fn leaves_work(&mut self, why: &'static str) {
        self.left_over = Some(why);
    }
}

impl Drop for TestDesk {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.spoiled {
            invariants::hold(self.sql(), self.left_over);
            let at = AuditAt { now_ms: self.now_ms(), overdue_ms: OVERDUE_MS };
            let audit = Store::audit_at(&self.database.location, at).unwrap();
            if self.left_over.is_none() {
                assert_eq!(audit.findings, [], "work ended silently");
            }
        }
    }
}

pub fn catalogue() -> Catalogue {
    catalogue_with_queue("shipping", "logistics")
}

/// Where what is about `intent` goes.
pub fn catalogue_with_queue(intent: &str, queue: &str) -> Catalogue {
    let queues = BTreeMap::from([(intent.to_owned(), queue.to_owned())]);
    Catalogue::new(&workflows::Settings { queues, ..workflows::Settings::default() }).unwrap()
}

fn settings() -> Settings {
    Settings {
        name: "test".to_owned(),
        lease_ms: LEASE_MS,
        heartbeat_ms: 10_000,
        concurrency: 8,
        poll_ms: 1_000,
        drain_ms: 1_000,
        retry: RetryPolicy { first_ms: 1_000, max_ms: 60_000, attempts: 5 },
        probe_first_ms: 10_000,
        probe_max_ms: 40_000,
        overdue_ms: OVERDUE_MS,
        patience: PATIENCE,
        review_overdue_ms: REVIEW_OVERDUE_MS,
        batch: frontdesk::domain::batch::Rules::default(),
        limits: Limits::default(),
        schedules: Vec::new(),
        resubmit_after_ms: 10_000,
        keeping: Keeping {
            bodies_ms: RETENTION_MS,
            results_ms: RETENTION_MS,
            reviews_ms: 3 * RETENTION_MS,
            ids_only: BTreeSet::new(),
        },
        metadata_keys: MetadataKeys { ticket: "ticket_id".to_owned(), workflow: "workflow".to_owned() },
    }
}
