//! How long an acknowledgement takes at fixed rates: an open loop, timed from when each delivery
//! was due, with only the receiving part of each stack running.

use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::bench::Options;
use crate::delivery::Deliveries;
use crate::load;
use crate::results::Results;
use crate::stack::Receiver;
use crate::wire::Connection;

/// Deliveries a second.
pub const RATES: [u64; 3] = [100, 1000, 5000];

/// Threads that make the calls; more than are ever busy at a rate that is sustained.
const CALLERS: usize = 128;

/// The metric's name at a rate.
pub fn metric(rate: u64, percentile: &str) -> String {
    format!("ack {percentile} at {rate}/s")
}

/// Measures one receiver, on an empty store each time.
pub fn measure(receiver: &mut dyn Receiver, options: &Options, results: &mut Results) -> Result<()> {
    let system = receiver.system();
    for rate in RATES {
        receiver.reset()?;
        receiver.start_intake()?;
        let address = receiver.address();
        let source = Arc::new(Deliveries::new(2, options.tickets));
        load::warm_up(address, &source, 64)?;
        let mut run = load::open(rate, options.length(), CALLERS, || {
            let mut connection = Connection::open(address);
            let source = &source;
            move |_| {
                let answer = connection.exchange(&source.request(source.draw(), address))?;
                ensure!(answer.status == 200, "answered {}", answer.status);
                Ok(())
            }
        })?;
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            let value = if run.sustained { run.samples.percentile(share) } else { f64::NAN };
            results.add(metric(rate, name), "ms", system, value);
        }
        receiver.stop()?;
    }
    Ok(())
}
