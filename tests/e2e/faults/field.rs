//! Several processes on one PostgreSQL under load, and what is measured of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use frontdesk::store::{Location, Store};
use frontdesk_simulator::{Settings, Simulator};
use postgres::{Client, NoTls};
use tokio::task::JoinHandle;

use super::load::{Dice, Load};
use super::node::{Node, Role};
use super::{check, rounds};
use crate::support::postgres::apart;

/// How long a claimed job is its worker's, in ms.
pub(super) const LEASE_MS: i64 = 2_000;
/// A stop for those who look again and again; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Everything there is in one test.
pub(super) struct Field {
    pub(super) load: Arc<Load>,
    pub(super) nodes: Vec<Node>,
    pub(super) dice: Dice,
    name: &'static str,
    seed: u64,
    /// Where the test itself looks, as somebody for whom PostgreSQL keeps a place.
    pub(super) watch: String,
    senders: Vec<JoinHandle<()>>,
    report: Report,
    _simulator: Simulator,
}

/// What is printed at the end.
#[derive(Default)]
struct Report {
    faults: usize,
    acknowledged_after_ms: Vec<u128>,
    settled_after_ms: Vec<u128>,
    taken_over_after_ms: Vec<i64>,
    slowest_not_now_ms: Vec<u64>,
}

impl Field {
    /// Two front desks and two workers, at work. They are told `database_url`;
    /// the test looks at `watch`.
    pub(super) async fn begin(name: &'static str, database_url: &str, watch: &str) -> Field {
        Field::begin_with(name, database_url, watch, |_, place| place).await
    }

    /// The same, each with an environment of its own.
    pub(super) async fn begin_with(
        name: &'static str,
        database_url: &str,
        watch: &str,
        environment: impl Fn(usize, crate::process::Place) -> crate::process::Place,
    ) -> Field {
        let seed: u64 = std::env::var("FRONTDESK_SEED")
            .map_or_else(|_| frontdesk::clock::Clock::System.now_ms().unsigned_abs(), |text| text.parse().unwrap());
        println!("{name}: seed {seed} (FRONTDESK_SEED repeats its choices)");
        // As soon as a job is at work, it waits for OpenAI: whoever is killed then leaves some behind.
        let faults = vec![(frontdesk_simulator::Fault::Slow, 0.3)];
        let simulator = Simulator::start(Settings { faults, ..Settings::default() }).await.unwrap();
        Store::migrate(&Location::parse(database_url).unwrap()).unwrap();
        let load = Load::new(2, 4_000 + rounds() * 4_000);
        make_tickets(watch, load.tickets);
        let roles = [Role::Intake(0), Role::Intake(1), Role::Worker, Role::Worker];
        let nodes = roles.into_iter().enumerate().map(|(number, role)| {
            let node = Node::new(role, database_url, &simulator.base_url(), |place| environment(number, place));
            node.start(&load);
            node
        });
        let nodes = nodes.collect();
        let senders = load.start(seed);
        let field = Field {
            load,
            nodes,
            dice: Dice(seed),
            name,
            seed,
            watch: watch.to_owned(),
            senders,
            report: Report::default(),
            _simulator: simulator,
        };
        field.moving().await;
        field
    }

    /// Waits until both halves are at work.
    pub(super) async fn moving(&self) {
        let (acks, settled) = (self.load.acks() + 20, self.settled().unwrap_or(0) + 10);
        until("deliveries come in", || self.load.acks() >= acks).await;
        until("work is done", || self.settled().is_some_and(|now| now >= settled)).await;
    }

    /// Lets the load run on for so long.
    pub(super) async fn let_run(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// The fault is over: measures until somebody is acknowledged and a job is settled again.
    pub(super) async fn recovered(&mut self) {
        let ended = Instant::now();
        let acks = self.load.acks();
        until("a delivery is acknowledged again", || self.load.acks() > acks).await;
        let acknowledged = ended.elapsed();
        let mut before = None;
        until("a job is settled again", || {
            let now = self.settled();
            before = before.or(now);
            now > before
        })
        .await;
        self.report.faults += 1;
        self.report.acknowledged_after_ms.push(acknowledged.as_millis());
        self.report.settled_after_ms.push(ended.elapsed().as_millis());
        self.report.slowest_not_now_ms.push(self.load.take_slowest_not_now_ms());
    }

    /// Waits until this node has jobs at work, if it works jobs.
    pub(super) async fn busy(&self, node: usize) {
        if self.nodes[node].role == Role::Worker {
            let process = self.nodes[node].process();
            until("it has work", || !self.held_by(process).is_empty()).await;
        }
    }

    /// Waits until others have taken over what this node had claimed: never
    /// before its lease has ended, and as soon as it has.
    pub(super) async fn taken_over(&mut self, of_process: u32) {
        let held = self.held_by(of_process);
        for (id, claims, lease_end_ms) in held {
            let mut taken_ms = None;
            until("a lost lease is taken over", || {
                taken_ms = self.claimed_since(id, claims);
                taken_ms.is_some()
            })
            .await;
            // It may have been settled in the moment in which its worker was killed.
            let Some(taken_ms) = taken_ms.flatten() else { continue };
            assert!(taken_ms >= lease_end_ms, "seed {}: job {id} was taken before its lease had ended", self.seed);
            self.report.taken_over_after_ms.push(taken_ms - lease_end_ms);
        }
    }

    fn held_by(&self, process: u32) -> Vec<(i64, i64, i64)> {
        let question = "SELECT id, claims, claimable_at FROM jobs WHERE state = 'processing' AND worker LIKE $1";
        let pattern = format!("%-{process}-%");
        let rows = crate::support::postgres::ask(&self.watch, |client| client.query(question, &[&pattern]).unwrap());
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    /// When it was claimed anew: none while it was not, and nothing in it when it ended under that claim.
    fn claimed_since(&self, id: i64, claims: i64) -> Option<Option<i64>> {
        let question = "SELECT claims, started_at, state IN ('processed','failed_final','failed_retryable') FROM jobs WHERE id = $1";
        let row = apart(|| Client::connect(&self.watch, NoTls).ok()?.query_one(question, &[&id]).ok())?;
        let (now, started_ms, ended): (i64, i64, bool) = (row.get(0), row.get(1), row.get(2));
        match now > claims {
            true => Some(Some(started_ms)),
            false => ended.then_some(None),
        }
    }

    /// How many jobs have ended; none while the database does not say.
    pub(super) fn settled(&self) -> Option<i64> {
        try_number(&self.watch, "SELECT count(*) FROM jobs WHERE state = 'processed'")
    }

    /// Waits for somebody to be told 503.
    pub(super) async fn refusing(&self) {
        let refusals = self.load.refusals();
        until("deliveries are answered with 503", || self.load.refusals() > refusals).await;
    }

    /// Lets everything end, and checks it.
    pub(super) async fn finish(mut self) {
        self.load.stop();
        for sender in self.senders.drain(..) {
            sender.await.unwrap();
        }
        let moving = "SELECT count(*) FROM jobs WHERE state IN ('queued','processing','failed_retryable')";
        until("all jobs have ended", || try_number(&self.watch, moving) == Some(0)).await;
        check::check(&self.watch, &self.load, self.seed);
        let errors: usize = self.nodes.iter().map(Node::errors).sum();
        let Report { faults, acknowledged_after_ms, settled_after_ms, taken_over_after_ms, slowest_not_now_ms } =
            &self.report;
        println!(
            "{}: faults {faults}, events {}, acknowledged {} ids, 503 {}, unanswered {}, lost 0, doubled 0, second claims {}, error lines {errors}",
            self.name,
            self.load.events(),
            self.load.acknowledged.lock().unwrap().len(),
            self.load.refusals(),
            self.load.no_answer.load(std::sync::atomic::Ordering::Relaxed),
            try_number(&self.watch, "SELECT count(*) FROM jobs WHERE claims > 1").unwrap(),
        );
        println!(
            "{}: from the end of a fault to the first acknowledgement {}",
            self.name,
            spread(acknowledged_after_ms)
        );
        println!("{}: from the end of a fault to the first settled job {}", self.name, spread(settled_after_ms));
        println!("{}: from the end of a lost lease to the next claim {}", self.name, spread(taken_over_after_ms));
        println!("{}: the slowest 503 of a fault {}", self.name, spread(slowest_not_now_ms));
        for node in &self.nodes {
            assert_eq!(node.stop(), 0, "seed {}", self.seed);
        }
    }
}

fn spread<T: Copy + Ord + std::fmt::Display>(numbers: &[T]) -> String {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    match sorted.last() {
        None => "-".to_owned(),
        Some(most) => format!(
            "median {} ms, most {most} ms, of {} (a lease has {LEASE_MS} ms)",
            sorted[sorted.len() / 2],
            sorted.len()
        ),
    }
}

fn make_tickets(url: &str, count: usize) {
    let count = i64::try_from(count).unwrap();
    let statement = "INSERT INTO tickets (id, seq, subject, queue, created_at, updated_at) \
                     SELECT 'T-' || n, n + 1, 'Lamp', 'support', 1, 1 FROM generate_series(0, $1::bigint - 1) AS n";
    crate::support::postgres::ask(url, |client| client.execute(statement, &[&count]).unwrap());
}

/// A number that the database says, when it can be asked.
pub(super) fn try_number(url: &str, question: &str) -> Option<i64> {
    apart(|| Client::connect(url, NoTls).ok()?.query_one(question, &[]).ok()?.try_get(0).ok())
}

/// Looks again and again.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
