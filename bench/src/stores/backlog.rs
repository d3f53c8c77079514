//! A backlog that one, two and four processes work off together, and what is stored by then.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::bench::Options;
use crate::cost::Cost;
use crate::delivery::Deliveries;
use crate::drain::{fill, wait_processed};
use crate::results::Results;
use crate::stack::{Frontdesk, Receiver};

/// Tables with less than this for a delivery are not shown, in bytes.
const SHOWN: f64 = 10.0;

/// The metric's name.
pub fn metric(workers: usize) -> String {
    format!("backlog, {workers} worker process{}", if workers == 1 { "" } else { "es" })
}

/// Measures one desk; every ticket gets one delivery.
pub fn measure(
    desk: &mut Frontdesk,
    workers: usize,
    apart: &str,
    options: &Options,
    results: &mut Results,
) -> Result<()> {
    let (system, jobs) = (desk.system(), options.tickets);
    let name = metric(workers) + apart;
    desk.reset()?;
    let before = desk.home().sizes()?;
    desk.start_intake()?;
    fill(desk, &Arc::new(Deliveries::new(3, jobs)), jobs)?;
    desk.stop()?;
    let stored = |desk: &Frontdesk, when: &str, results: &mut Results| -> Result<()> {
        let sizes = desk.home().sizes()?;
        let grown = |what: &str| (sizes[what] - before.get(what).unwrap_or(&0.0)) / jobs as f64;
        let sum = sizes.keys().map(|what| grown(what)).sum();
        results.add(format!("stored, {when}"), "B", system, sum);
        for what in sizes.keys().filter(|what| grown(what) >= SHOWN) {
            results.add(format!("stored, {when}, {what}"), "B", system, grown(what));
        }
        Ok(())
    };
    let first = workers == 1 && apart.is_empty();
    if first {
        stored(desk, "acknowledged", results)?;
    }
    let counted = desk.home().counted()?.unwrap_or_default();
    let cost = Cost::start(&desk.components())?;
    let begin = Instant::now();
    desk.start(&vec!["worker"; workers])?;
    wait_processed(desk, jobs)?;
    let elapsed = begin.elapsed().as_secs_f64();
    cost.finish(&desk.components(), jobs, &format!("a job, {name}"), system, results)?;
    results.add(name.clone(), "jobs/s", system, jobs as f64 / elapsed);
    let shares = desk.counted("frontdesk_attempts_total")?;
    desk.stop()?;
    if let Some(now) = desk.home().counted()? {
        let a_thousand = |value: f64| value * 1e3 / jobs as f64;
        results.add(format!("{name}, transactions a job"), "", system, (now.commits - counted.commits) / jobs as f64);
        let lost = now.roll_backs - counted.roll_backs;
        results.add(format!("{name}, rolled back in 1,000 jobs"), "", system, a_thousand(lost));
        results.add(format!("{name}, deadlocks"), "", system, now.deadlocks - counted.deadlocks);
        results.add(format!("{name}, log a job"), "B", system, (now.log_bytes - counted.log_bytes) / jobs as f64);
    }
    if workers > 1 {
        let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
        let even = shares.iter().sum::<f64>() / workers as f64;
        results.add(format!("{name}, least share : even share"), "times", system, least / even);
    }
    if first {
        stored(desk, "worked off", results)?;
    }
    check(desk, jobs)
}

/// Every ticket has its note, none has two, and nothing ended silently.
fn check(desk: &Frontdesk, jobs: u64) -> Result<()> {
    let notes = desk.home().number("SELECT count(*) FROM messages WHERE author = 'frontdesk'")?;
    let tickets = desk.home().number("SELECT count(DISTINCT ticket_id) FROM messages WHERE author = 'frontdesk'")?;
    ensure!(notes == tickets && tickets as u64 == jobs, "{notes} notes on {tickets} tickets from {jobs} jobs");
    desk.run(&["audit"]).map(drop)
}
