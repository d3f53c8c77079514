//! Durable acknowledgements a second: a closed loop at several numbers of connections, with only
//! the receiving part of each stack running.

use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::bench::Options;
use crate::cost::Cost;
use crate::delivery::Deliveries;
use crate::load::{self, Until, WARM_UP};
use crate::results::Results;
use crate::stack::Receiver;

/// One sender; a few; a busy hour; a burst.
pub const CONNECTIONS: [usize; 4] = [1, 8, 32, 128];

/// The metric's name at a number of connections.
pub fn rate_metric(connections: usize) -> String {
    format!("acks at {connections} connections")
}

/// Measures one receiver, on an empty store each time.
pub fn measure(receiver: &mut dyn Receiver, options: &Options, results: &mut Results) -> Result<()> {
    CONNECTIONS.into_iter().try_for_each(|connections| measure_at(receiver, connections, "", options, results))
}

/// Measures one receiver at a number of connections; `apart` is added to the names of the rows.
pub fn measure_at(
    receiver: &mut dyn Receiver,
    connections: usize,
    apart: &str,
    options: &Options,
    results: &mut Results,
) -> Result<()> {
    let system = receiver.system();
    receiver.reset()?;
    receiver.start_intake()?;
    let source = Arc::new(Deliveries::new(1, options.tickets));
    let until = Until::Elapsed { warm_up: WARM_UP, counted: options.length() };
    let cost = Cost::start(&receiver.components())?;
    let mut run = load::closed(&receiver.addresses(), &source, connections, until)?;
    let what = format!("an ack at {connections} connections{apart}");
    cost.finish(&receiver.components(), run.acknowledged, &what, system, results)?;
    ensure!(run.refused == 0, "{system} refused {} deliveries", run.refused);
    let metric = rate_metric(connections) + apart;
    results.add(metric.clone(), "1/s", system, run.rate);
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        results.add(format!("{metric} {name}"), "ms", system, run.samples.percentile(share));
    }
    receiver.stop()
}
