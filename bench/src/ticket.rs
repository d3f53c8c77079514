//! From sending a delivery until the note is readable on the ticket over the system's own API, with
//! everything running: an open loop in which each call sends, then reads until it sees the note.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::bench::Options;
use crate::delivery::Deliveries;
use crate::load::{self, Open};
use crate::results::Results;
use crate::stack::Desk;
use crate::wire::{Connection, PATIENCE};

const RATE: u64 = 100;

/// Between two looks at a ticket, at first.
const LOOK: Duration = Duration::from_millis(1);

/// Later looks wait this share of the time gone by, so that a slow stack is not slowed further by
/// being asked; a figure is at most this share too high, or half of `LOOK`.
const SHARE: u32 = 8;

/// The metric's name.
pub fn metric(percentile: &str) -> String {
    format!("delivery to ticket {percentile} at {RATE}/s")
}

/// Measures one stack.
pub fn measure(desk: &mut dyn Desk, options: &Options, results: &mut Results) -> Result<()> {
    let system = desk.system();
    let wanted = RATE * (options.seconds + 2);
    ensure!(options.tickets >= wanted, "ticket needs --tickets {wanted} or more");
    desk.reset()?;
    desk.start_all()?;
    let source = Deliveries::new(4, options.tickets);
    run(desk, &source, RATE, Duration::from_secs(2))?;
    let mut counted = run(desk, &source, RATE, options.length())?;
    ensure!(counted.failed == 0, "{system}: {} of {} failed", counted.failed, counted.offered);
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let value = if counted.sustained { counted.samples.percentile(share) } else { f64::NAN };
        results.add(metric(name), "ms", system, value);
    }
    desk.stop()
}

/// Offers `rate` deliveries a second, each timed until its note is there.
pub fn run(desk: &dyn Desk, source: &Deliveries, rate: u64, length: Duration) -> Result<Open> {
    let (address, reader) = (desk.address(), desk.reader());
    load::open(rate, length, 32, || {
        let mut sending = Connection::open(address);
        let mut reading = Connection::open(reader.address);
        let reader = reader.clone();
        move |_| {
            let number = source.draw();
            sending.expect_success(&source.request(number, address))?;
            let (ticket, sent) = (source.ticket(number), Instant::now());
            while reader.notes(&mut reading, &ticket)? == 0 {
                ensure!(sent.elapsed() < PATIENCE, "no note on {ticket}");
                thread::sleep(LOOK.max(sent.elapsed() / SHARE));
            }
            Ok(())
        }
    })
}
