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

/// One sender; a busy hour; a burst.
pub const CONNECTIONS: [usize; 3] = [1, 32, 128];

/// The metric's name at a number of connections.
pub fn rate_metric(connections: usize) -> String {
    format!("acks at {connections} connections")
}

/// Measures one receiver, on an empty store each time.
pub fn measure(receiver: &mut dyn Receiver, options: &Options, results: &mut Results) -> Result<()> {
    let system = receiver.system();
    for connections in CONNECTIONS {
        receiver.reset()?;
        receiver.start_intake()?;
        let source = Arc::new(Deliveries::new(1, options.tickets));
        let until = Until::Elapsed { warm_up: WARM_UP, counted: options.length() };
        let cost = Cost::start(&receiver.components())?;
        let mut run = load::closed(receiver.address(), &source, connections, until)?;
        let what = format!("an ack at {connections} connections");
        cost.finish(&receiver.components(), run.acknowledged, &what, system, results)?;
        ensure!(run.refused == 0, "{system} refused {} deliveries", run.refused);
        results.add(rate_metric(connections), "1/s", system, run.rate);
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let metric = format!("{} {name}", rate_metric(connections));
            results.add(metric, "ms", system, run.samples.percentile(share));
        }
        receiver.stop()?;
    }
    Ok(())
}
