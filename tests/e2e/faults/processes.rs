//! Faults of our own processes.

use super::field::{Field, LEASE_MS, try_number};
use super::node::Role;
use super::{rounds, url_of};
use crate::support::cluster::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_process_may_be_killed_at_any_moment() {
    let cluster = Cluster::start();
    let mut field = Field::begin("a killed process", &url_of(&cluster), &cluster.url()).await;
    for round in 0..rounds() * 2 {
        // One of each kind in turn, at chance which.
        let victim = usize::try_from(field.dice.below(2)).unwrap() + (round % 2) * 2;
        let wait_ms = field.dice.below(700);
        field.let_run(wait_ms).await;
        field.busy(victim).await;
        let process = field.nodes[victim].kill(&field.load);
        field.taken_over(process).await;
        field.moving().await;
        field.nodes[victim].start(&field.load);
        field.recovered().await;
    }
    field.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stood_still_past_its_lease_changes_nothing_when_it_goes_on() {
    let cluster = Cluster::start();
    let mut field = Field::begin("a process that stands still", &url_of(&cluster), &cluster.url()).await;
    for round in 0..rounds() * 2 {
        let victim = if round % 2 == 0 { 2 } else { 0 };
        let wait_ms = field.dice.below(700);
        field.let_run(wait_ms).await;
        field.busy(victim).await;
        let process = field.nodes[victim].signal("STOP");
        field.taken_over(process).await;
        field.moving().await;
        field.let_run(LEASE_MS.unsigned_abs()).await;
        field.nodes[victim].signal("CONT");
        field.recovered().await;
    }
    field.finish().await;
}

/// Where Debian puts what shows a program another time.
const OTHER_TIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_with_a_wrong_clock_goes_by_the_databases() {
    let library = std::path::Path::new(OTHER_TIME);
    assert!(
        library.exists(),
        "this test shows processes another time, with Debian's libfaketime: `scripts/postgres install` gets it"
    );
    let cluster = Cluster::start();
    // One of each kind is ten minutes ahead, one ten minutes behind.
    let mut field = Field::begin_with("a wrong clock", &url_of(&cluster), &cluster.url(), |number, place| {
        let by = if number % 2 == 0 { "+10m" } else { "-10m" };
        place.with("LD_PRELOAD", OTHER_TIME).with("FAKETIME", by).with("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    })
    .await;
    for round in 0..rounds() * 2 {
        let victim = 2 + round % 2;
        assert_eq!(field.nodes[victim].role, Role::Worker);
        field.busy(victim).await;
        let process = field.nodes[victim].kill(&field.load);
        field.taken_over(process).await;
        field.nodes[victim].start(&field.load);
        field.recovered().await;
    }
    // Whose time it is can be seen in what was written: none of it is minutes away.
    let far = "SELECT count(*) FROM deliveries \
               WHERE abs(received_at - extract(epoch FROM now()) * 1000) > 300000";
    assert_eq!(try_number(&field.watch, far), Some(0));
    let early = "SELECT count(*) FROM jobs WHERE started_at < queued_at OR started_at > queued_at + 300000";
    assert_eq!(try_number(&field.watch, early), Some(0));
    field.finish().await;
}
