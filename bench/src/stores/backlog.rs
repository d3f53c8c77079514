//! A backlog that one, two and four processes work off together, and what is stored by then.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::bench::Options;
use crate::cost::Cost;
use crate::delivery::Deliveries;
use crate::drain::{fill, wait_processed};
use crate::results::{Results, System};
use crate::stack::{Counted, Frontdesk, Receiver, Sizes};

/// Tables with less than this for a delivery are not shown, in bytes.
const SHOWN: f64 = 10.0;

/// The metric's name.
pub fn metric(workers: usize) -> String {
    format!("backlog, {workers} worker process{}", if workers == 1 { "" } else { "es" })
}

/// How many processes work together.
pub const WORKERS: [usize; 3] = [1, 2, 4];

/// Measures one desk; every ticket gets one delivery.
pub fn measure(desk: &mut Frontdesk, workers: usize, options: &Options, results: &mut Results) -> Result<()> {
    let jobs = options.tickets;
    desk.reset()?;
    let empty = desk.home().sizes()?;
    desk.start_intake()?;
    fill(desk, &Arc::new(Deliveries::new(3, jobs)), jobs)?;
    desk.stop()?;
    if workers == 1 {
        stored(desk, "acknowledged", &empty, jobs, results)?;
    }
    let before = desk.home().counted()?;
    work_off(desk, workers, jobs, results)?;
    if let (Some(before), Some(now)) = (before, desk.home().counted()?) {
        report(&metric(workers), before, now, jobs, desk.system(), results);
    }
    if workers == 1 {
        stored(desk, "worked off", &empty, jobs, results)?;
    }
    check(desk, jobs)
}

fn work_off(desk: &mut Frontdesk, workers: usize, jobs: u64, results: &mut Results) -> Result<()> {
    let (system, name) = (desk.system(), metric(workers));
    let cost = Cost::start(&desk.components())?;
    let begin = Instant::now();
    desk.start(&vec!["worker"; workers])?;
    wait_processed(desk, jobs)?;
    let elapsed = begin.elapsed().as_secs_f64();
    cost.finish(&desk.components(), jobs, &format!("a job, {name}"), system, results)?;
    results.add(name.clone(), "jobs/s", system, jobs as f64 / elapsed);
    if workers > 1 {
        let shares = desk.counted("frontdesk_attempts_total")?;
        let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
        let even = shares.iter().sum::<f64>() / workers as f64;
        results.add(format!("{name}, least share : even share"), "times", system, least / even);
    }
    desk.stop()
}

/// Adds what the server has counted meanwhile.
fn report(name: &str, before: Counted, now: Counted, jobs: u64, system: System, results: &mut Results) {
    let jobs = jobs as f64;
    let mut add = |what: &str, unit, value| results.add(format!("{name}, {what}"), unit, system, value);
    add("transactions a job", "", (now.commits - before.commits) / jobs);
    add("rolled back in 1,000 jobs", "", (now.roll_backs - before.roll_backs) * 1e3 / jobs);
    add("deadlocks", "", now.deadlocks - before.deadlocks);
    add("server's log a job", "B", (now.log_bytes - before.log_bytes) / jobs);
}

/// Adds what is stored for a delivery more than when there was none.
fn stored(desk: &Frontdesk, when: &str, empty: &Sizes, jobs: u64, results: &mut Results) -> Result<()> {
    let (system, sizes) = (desk.system(), desk.home().sizes()?);
    let grown = |what: &String| (sizes[what] - empty.get(what).unwrap_or(&0.0)) / jobs as f64;
    results.add(format!("stored, {when}"), "B", system, sizes.keys().map(grown).sum());
    for what in sizes.keys().filter(|what| grown(what) >= SHOWN) {
        results.add(format!("stored, {when}, {what}"), "B", system, grown(what));
    }
    Ok(())
}

/// Every ticket has its note, none has two, and nothing ended silently.
fn check(desk: &Frontdesk, jobs: u64) -> Result<()> {
    let notes = desk.home().number("SELECT count(*) FROM messages WHERE author = 'frontdesk'")?;
    let tickets = desk.home().number("SELECT count(DISTINCT ticket_id) FROM messages WHERE author = 'frontdesk'")?;
    ensure!(notes == tickets && tickets as u64 == jobs, "{notes} notes on {tickets} tickets from {jobs} jobs");
    desk.run(&["audit"]).map(drop)
}
