//! From a delivery to its ticket while many other jobs wait, one process doing everything.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::bench::Options;
use crate::delivery::Deliveries;
use crate::drain::fill;
use crate::results::Results;
use crate::stack::{Desk, Frontdesk, Receiver};
use crate::ticket;

/// Deliveries a second.
const RATE: u64 = 50;

/// Not counted.
const WARM_UP: Duration = Duration::from_secs(2);

/// How much sooner OpenAI forgets the results of the deliveries that are timed than those of the
/// ones that wait, in seconds: as when webhooks come an hour late. What is forgotten first is worked first.
const EARLIER: u64 = 3600;

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backlog {
    /// Nothing.
    Empty,
    /// Jobs that failed once and are not due for a day.
    NotDue,
    /// Jobs that are due and less urgent; they are worked off meanwhile.
    LessUrgent,
}

impl Backlog {
    /// All.
    pub const ALL: [Backlog; 3] = [Backlog::Empty, Backlog::NotDue, Backlog::LessUrgent];
}

/// Tickets for those that wait, and others for those that are timed.
pub fn tickets(options: &Options) -> u64 {
    options.waiting + timed(options)
}

fn timed(options: &Options) -> u64 {
    RATE * (options.seconds + WARM_UP.as_secs())
}

fn metric(backlog: Backlog, waiting: u64, percentile: &str) -> String {
    let what = match backlog {
        Backlog::Empty => "nothing waits".to_owned(),
        Backlog::NotDue => format!("{waiting} not due"),
        Backlog::LessUrgent => format!("{waiting} less urgent"),
    };
    format!("delivery to ticket {percentile} at {RATE}/s, {what}")
}

/// Measures one desk beside one backlog.
pub fn measure(desk: &mut Frontdesk, backlog: Backlog, options: &Options, results: &mut Results) -> Result<()> {
    let system = desk.system();
    desk.reset()?;
    if backlog != Backlog::Empty {
        wait_in_line(desk, backlog, options)?;
    }
    desk.start_all()?;
    let source = Deliveries::new(4, timed(options)).made_before(EARLIER);
    ticket::run(desk, &source, RATE, WARM_UP)?;
    let mut counted = ticket::run(desk, &source, RATE, options.length())?;
    ensure!(counted.failed == 0, "{system}: {} of {} failed", counted.failed, counted.offered);
    if backlog == Backlog::LessUrgent {
        let done = desk.processed()?;
        ensure!(done < options.waiting, "the backlog was gone too early: give a larger --waiting or fewer --seconds");
    }
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let value = if counted.sustained { counted.samples.percentile(share) } else { f64::NAN };
        results.add(metric(backlog, options.waiting, name), "ms", system, value);
    }
    desk.stop()
}

/// Has jobs queued about the tickets after those that are timed.
fn wait_in_line(desk: &mut Frontdesk, backlog: Backlog, options: &Options) -> Result<()> {
    desk.start_intake()?;
    let source = Arc::new(Deliveries::new(10, options.waiting).after(timed(options)));
    fill(desk, &source, options.waiting)?;
    desk.stop()?;
    if backlog == Backlog::NotDue {
        let changed = desk.home().change(
            "UPDATE jobs SET state = 'failed_retryable', claims = 1, attempts = 1, error_cause = 'openai_unavailable',
                             claimable_at = claimable_at + 86400000",
        )?;
        ensure!(changed == options.waiting, "{changed} jobs were put off");
    }
    Ok(())
}
