//! Start-up time, memory at rest and under load, and CPU time for a delivery from its
//! acknowledgement to its ticket, with everything running.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::bench::Options;
use crate::cost::Cost;
use crate::delivery::Deliveries;
use crate::drain::wait_processed;
use crate::load::{self, WARM_UP};
use crate::process::Component;
use crate::results::{Results, System};
use crate::stack::Desk;
use crate::wire::Connection;

/// Deliveries a second: what both stacks sustain with their workers running.
const RATE: u64 = 100;

/// MB by component.
pub type Sizes = Vec<(&'static str, f64)>;

/// How long a stack is watched doing nothing.
const REST_FOR: Duration = Duration::from_secs(2);

/// The metric's name.
pub const REST: &str = "memory at rest";

/// The metric's name for a start on a kind of database.
pub fn ready_metric(store: &str) -> String {
    format!("start to ready, {store}")
}

/// Measures one stack; `simulator` is charged beside it.
pub fn measure(desk: &mut dyn Desk, simulator: Component, options: &Options, results: &mut Results) -> Result<()> {
    let (system, count) = (desk.system(), RATE * options.seconds);
    let wanted = count + RATE * WARM_UP.as_secs();
    ensure!(options.tickets >= wanted, "footprint needs --tickets {wanted} or more");
    for (store, ready) in desk.start_up_times()? {
        results.add(ready_metric(store), "ms", system, ready);
    }
    desk.reset()?;
    desk.start_all()?;
    rest(desk, results)?;
    let source = Deliveries::new(5, options.tickets);
    offer(desk, &source, WARM_UP)?;
    wait_processed(desk, wanted - count)?;
    let cost = Cost::start(&desk.components())?;
    let outside = simulator.usage()?.cpu;
    let ((), peak) = watch(desk, |desk| offer(desk, &source, options.length()))?;
    wait_processed(desk, wanted)?;
    let what = "a delivery to its ticket";
    cost.finish(&desk.components(), count, what, system, results)?;
    let outside = (simulator.usage()?.cpu - outside) * 1e6 / count as f64;
    results.add(format!("CPU {what}, simulator's"), "us", system, outside);
    report(&format!("memory at {RATE}/s"), &peak, system, results);
    desk.stop()
}

/// Memory and CPU of a stack that has started and has nothing to do.
fn rest(desk: &dyn Desk, results: &mut Results) -> Result<()> {
    let components = desk.components();
    let spent = || components.iter().map(|part| Ok(part.usage()?.cpu)).sum::<Result<f64>>();
    thread::sleep(Duration::from_secs(1));
    let before = spent()?;
    thread::sleep(REST_FOR);
    let idle = (spent()? - before) * 1e3 / REST_FOR.as_secs_f64();
    results.add("CPU at rest", "ms/s", desk.system(), idle);
    report(REST, &sizes(&components)?, desk.system(), results);
    Ok(())
}

fn offer(desk: &dyn Desk, source: &Deliveries, length: Duration) -> Result<()> {
    let address = desk.address();
    let run = load::open(RATE, length, 64, || {
        let mut connection = Connection::open(address);
        move |_| {
            connection.expect_success(&source.request(source.draw(), address))?;
            Ok(())
        }
    })?;
    ensure!(run.sustained, "{} did not sustain {RATE}/s", desk.system());
    Ok(())
}

/// Does the work and returns the largest size of each component meanwhile.
pub fn watch<T>(desk: &mut dyn Desk, work: impl FnOnce(&mut dyn Desk) -> Result<T>) -> Result<(T, Sizes)> {
    let components = desk.components();
    let over = AtomicBool::new(false);
    components.iter().for_each(Component::forget_peak);
    thread::scope(|scope| {
        let watching = scope.spawn(|| -> Result<_> {
            let mut peak = sizes(&components)?;
            while !over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(250));
                for (high, component) in peak.iter_mut().zip(&components) {
                    high.1 = high.1.max(component.peak()?);
                }
            }
            Ok(peak)
        });
        let worked = work(desk);
        over.store(true, Ordering::Relaxed);
        let peak = watching.join().unwrap_or_else(|_| anyhow::bail!("the watch panicked"));
        Ok((worked?, peak?))
    })
}

/// How large each component is now.
pub fn sizes(components: &[Component]) -> Result<Sizes> {
    let size = |component: &Component| Ok((component.name, component.usage()?.memory));
    components.iter().map(size).collect()
}

/// Adds the sum of the sizes, then each.
pub fn report(metric: &str, sizes: &[(&'static str, f64)], system: System, results: &mut Results) {
    let sum = sizes.iter().map(|(_, size)| size).sum();
    results.add(metric, "MB", system, sum);
    if sizes.len() > 1 {
        for (name, size) in sizes {
            results.add(format!("{metric}, {name}"), "MB", system, *size);
        }
    }
}
