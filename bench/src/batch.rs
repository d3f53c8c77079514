//! A night's batch that another program started: from the webhook that says that it is complete until every line
//! is entered, and until every line is on its ticket; its memory; and what acknowledgements notice of it.

mod install;
mod lines;
mod parse;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::bench::Options;
use crate::cost::Cost;
use crate::delivery::Deliveries;
use crate::footprint;
use crate::load::{self, Open};
use crate::results::{Results, System};
use crate::stack::{Desk, Step};
use crate::wire::Connection;

pub use install::{Batch, install};
pub use parse::measure as measure_parsing;

/// Deliveries a second beside the batch.
pub const RATE: u64 = 200;

/// Tickets that no line of a batch is about; deliveries beside a batch are about these.
pub const OTHER_TICKETS: u64 = 10_000;

/// Threads that deliver; more than are ever busy.
const CALLERS: usize = 32;

/// Longer no batch may take.
const LONGEST: Duration = Duration::from_secs(300);

/// The metric's name, for a batch of so many lines.
pub fn metric(lines: u64, what: &str) -> String {
    format!("batch of {lines} lines, {what}")
}

/// From the webhook until every line is in the ledger.
pub const ENTERED: &str = "read and entered";

/// From the webhook until every line is on its ticket.
pub const APPLIED: &str = "read and applied";

/// The most memory at once, less that at rest.
pub const MEMORY: &str = "peak memory above rest";

/// The metric's name for what a batch does to the slowest acknowledgements.
pub fn ratio_metric() -> String {
    format!("ack p99 at {RATE}/s, beside a batch : alone")
}

/// How many lines the batches of a run have: cost should be linear in them.
pub fn sizes(lines: u64) -> [u64; 3] {
    [lines / 4, lines / 2, lines]
}

/// Measures one stack with every batch, then with the largest one beside deliveries.
pub fn measure(desk: &mut dyn Desk, batches: &[Batch], options: &Options, results: &mut Results) -> Result<()> {
    let (largest, smaller) = batches.split_last().context("no batch")?;
    for batch in smaller {
        by_itself(desk, batch, false, results)?;
    }
    by_itself(desk, largest, true, results)?;
    beside(desk, largest, options, results)
}

/// How long a batch took.
struct Night {
    entered: Option<Duration>,
    applied: Duration,
}

/// `closely`: process by process.
fn by_itself(desk: &mut dyn Desk, batch: &Batch, closely: bool, results: &mut Results) -> Result<()> {
    let (system, lines) = (desk.system(), batch.files.lines);
    desk.reset()?;
    desk.start_all()?;
    thread::sleep(Duration::from_secs(1));
    let components = desk.components();
    let rest = footprint::sizes(&components)?;
    let cost = Cost::start(&components)?;
    let (night, mut peak) = footprint::watch(desk, |desk| run(desk, batch))?;
    let rate = |took: Duration| lines as f64 / took.as_secs_f64();
    if let Some(entered) = night.entered {
        results.add(metric(lines, ENTERED), "lines/s", system, rate(entered));
    }
    results.add(metric(lines, APPLIED), "lines/s", system, rate(night.applied));
    for (high, low) in peak.iter_mut().zip(rest) {
        high.1 = (high.1 - low.1).max(0.0);
    }
    if closely {
        footprint::report(&metric(lines, MEMORY), &peak, system, results);
        cost.finish(&components, lines, "a line of a batch", system, results)?;
    } else {
        results.add(metric(lines, MEMORY), "MB", system, peak.iter().map(|(_, size)| size).sum());
    }
    desk.stop()
}

/// Tells the stack of the batch and waits for its end.
fn run(desk: &mut dyn Desk, batch: &Batch) -> Result<Night> {
    let address = desk.address();
    let told = Deliveries::new(8, 1).batch(&batch.id, address);
    let begin = Instant::now();
    Connection::new(address).expect_success(&told)?;
    let mut night = Night { entered: None, applied: Duration::ZERO };
    loop {
        match desk.batch(&batch.id)? {
            Step::Working => thread::sleep((begin.elapsed() / 50).clamp(Duration::from_millis(10), LOOK)),
            Step::Waiting { version } => {
                night.entered.get_or_insert(begin.elapsed());
                desk.approve(&batch.id, version)?;
            }
            Step::Applied { tickets } => {
                night.applied = begin.elapsed();
                let usable = batch.files.usable;
                ensure!(tickets >= usable, "applied to {tickets} tickets, not to {usable}");
                return Ok(night);
            }
            Step::Failed(state) => bail!("the batch ended as {state}"),
        }
        ensure!(begin.elapsed() < LONGEST, "the batch is not applied after {LONGEST:?}");
    }
}

/// Between two looks at most: a look costs the stack something.
const LOOK: Duration = Duration::from_millis(200);

/// Deliveries at a steady rate, first alone and then beside a batch, with everything running.
fn beside(desk: &mut dyn Desk, batch: &Batch, options: &Options, results: &mut Results) -> Result<()> {
    desk.reset()?;
    desk.start_all()?;
    let source = Deliveries::new(9, OTHER_TICKETS).after(batch.files.lines);
    let address = desk.address();
    let never = AtomicBool::new(false);
    let deliver = |over: &AtomicBool, length| {
        load::open_until(over, RATE, length, CALLERS, || {
            let mut connection = Connection::open(address);
            let source = &source;
            move |_| connection.expect_success(&source.request(source.draw(), address)).map(drop)
        })
    };
    deliver(&never, load::WARM_UP)?;
    let mut alone = deliver(&never, options.length() * 2)?;
    let over = AtomicBool::new(false);
    let (mut beside, night) = thread::scope(|scope| {
        let delivering = scope.spawn(|| deliver(&over, LONGEST));
        let night = run(desk, batch);
        over.store(true, Ordering::Relaxed);
        let delivered = delivering.join().unwrap_or_else(|_| bail!("a thread panicked"));
        Ok::<_, anyhow::Error>((delivered?, night?))
    })?;
    let (system, lines) = (desk.system(), batch.files.lines);
    let rate = lines as f64 / night.applied.as_secs_f64();
    results.add(metric(lines, &format!("{APPLIED} beside {RATE} acks/s")), "lines/s", system, rate);
    let alone = report("alone", &mut alone, system, results);
    let beside = report("beside a batch", &mut beside, system, results);
    results.add(ratio_metric(), "times", system, beside / alone);
    desk.stop()
}

/// Adds the percentiles and returns the 99th.
fn report(when: &str, run: &mut Open, system: System, results: &mut Results) -> f64 {
    let mut value = |share| if run.sustained { run.samples.percentile(share) } else { f64::NAN };
    let (middle, high) = (value(0.5), value(0.99));
    results.add(format!("ack p50 at {RATE}/s, {when}"), "ms", system, middle);
    results.add(format!("ack p99 at {RATE}/s, {when}"), "ms", system, high);
    high
}
