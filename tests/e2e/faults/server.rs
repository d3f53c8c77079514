//! Faults of the database.

use std::time::Duration;

use postgres::{Client, NoTls};

use super::field::{Field, try_number, until};
use super::{rounds, url_of};
use crate::support::cluster::{Cluster, Stop};
use crate::support::postgres::{apart, ask};

/// How many lines of errors a process may write in one outage, whatever is sent to it.
const LINES: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_may_be_restarted() {
    let cluster = Cluster::start();
    let mut field = Field::begin("a restarted database", &url_of(&cluster), &cluster.url()).await;
    for how in [Stop::Immediate, Stop::Fast].repeat(rounds()) {
        let wait_ms = field.dice.below(500);
        field.let_run(wait_ms).await;
        cluster.stop(how);
        field.refusing().await;
        let away_ms = 200 + field.dice.below(1_500);
        field.let_run(away_ms).await;
        cluster.restart();
        field.recovered().await;
        field.moving().await;
    }
    for node in &field.nodes {
        let lines = node.error_lines();
        assert!(lines.len() <= LINES * 2 * rounds(), "{}: {lines:#?}", lines.len());
    }
    field.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_may_be_cut() {
    let cluster = Cluster::start();
    let mut field = Field::begin("cut connections", &url_of(&cluster), &cluster.url()).await;
    for _ in 0..rounds() * 3 {
        let wait_ms = field.dice.below(500);
        field.let_run(wait_ms).await;
        assert!(cut(&cluster) > 0);
        field.recovered().await;
        field.moving().await;
    }
    field.finish().await;
}

/// Ends every connection of our processes; how many those were.
fn cut(cluster: &Cluster) -> i64 {
    let statement =
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'frontdesk'";
    cluster.ask(|client| client.query_one(statement, &[]).unwrap().get(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_may_take_all_connections() {
    let cluster = Cluster::start();
    let url = url_of(&cluster);
    let mut field = Field::begin("no connection left", &url, &cluster.url()).await;
    for _ in 0..rounds() {
        let mut others = take_all(&url);
        // Whoever has a connection works on. Now nobody of ours has one.
        until("none is left for us", || {
            cut(&cluster);
            others.extend(take_all(&url));
            let ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'frontdesk'";
            try_number(&cluster.url(), ours) == Some(0)
        })
        .await;
        field.refusing().await;
        field.let_run(1_000).await;
        apart(|| drop(others));
        field.recovered().await;
        field.moving().await;
    }
    field.finish().await;
}

/// Takes connections until there is none left.
fn take_all(url: &str) -> Vec<Client> {
    apart(|| std::iter::from_fn(|| Client::connect(url, NoTls).ok()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_somebody_holds_keeps_nobody_waiting_at_the_front_desk() {
    let cluster = Cluster::start();
    let mut field = Field::begin("a held lock", &url_of(&cluster), &cluster.url()).await;
    for _ in 0..rounds() {
        // What one of our own processes holds while it writes alone: intake does not wait for it.
        let held = hold(&cluster.url(), "SELECT pg_advisory_xact_lock(x'66640001'::int, 0)").await;
        let acks = field.load.acks() + 50;
        until("deliveries come in beside it", || field.load.acks() >= acks).await;
        drop(held);
        field.recovered().await;
        // What somebody else does to the table itself: they are told, and not kept waiting.
        let held = hold(&cluster.url(), "LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE").await;
        field.refusing().await;
        field.let_run(3_000).await;
        drop(held);
        field.recovered().await;
        field.moving().await;
    }
    field.finish().await;
}

/// Holds what a statement takes until it is dropped.
struct Held(Option<std::sync::mpsc::Sender<()>>, Option<std::thread::JoinHandle<()>>);

async fn hold(url: &str, statement: &'static str) -> Held {
    let (url, (release, released)) = (url.to_owned(), std::sync::mpsc::channel::<()>());
    let (tell, told) = tokio::sync::oneshot::channel();
    let thread = std::thread::spawn(move || {
        ask(&url, move |client| {
            let mut transaction = client.transaction().unwrap();
            transaction.batch_execute(statement).unwrap();
            tell.send(()).unwrap();
            let _ = released.recv();
        });
    });
    told.await.unwrap();
    Held(Some(release), Some(thread))
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.take());
        let _ = self.1.take().map(std::thread::JoinHandle::join);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_may_be_full() {
    let cluster = Cluster::on_small_disk(220);
    let mut field = Field::begin("a full disk", &url_of(&cluster), &cluster.url()).await;
    for _ in 0..rounds() {
        let wait_ms = field.dice.below(500);
        field.let_run(wait_ms).await;
        cluster.fill_disk();
        field.refusing().await;
        field.let_run(2_000).await;
        cluster.make_room();
        // Without room for its log PostgreSQL stops itself; whoever looks after it starts it again.
        if apart(|| Client::connect(&cluster.url(), NoTls).is_err()) {
            tokio::time::sleep(Duration::from_millis(100)).await;
            cluster.restart();
        }
        field.recovered().await;
        field.moving().await;
    }
    field.finish().await;
}
