//! CPU time of each process over a piece of work.

use std::collections::HashMap;

use anyhow::Result;

use crate::process::Component;
use crate::results::{Results, System};

/// The readings at the start of the work.
pub struct Cost {
    before: HashMap<u32, f64>,
    load: Component,
}

impl Cost {
    /// Reads what every process has used so far, this one's load generator included.
    pub fn start(components: &[Component]) -> Result<Self> {
        let load = Component { name: "load generator", pid: std::process::id(), forks: false };
        let mut before = HashMap::new();
        for component in components.iter().chain([&load]) {
            before.insert(component.pid, component.usage()?.cpu);
        }
        Ok(Cost { before, load })
    }

    /// Adds microseconds for each of `count` pieces of work: the stack's sum, then each kind of process.
    /// A process that was not there at the start is charged with all it used.
    pub fn finish(
        self,
        components: &[Component],
        count: u64,
        what: &str,
        system: System,
        results: &mut Results,
    ) -> Result<()> {
        let spent = |component: &Component| -> Result<f64> {
            let before = self.before.get(&component.pid).copied().unwrap_or(0.0);
            Ok((component.usage()?.cpu - before) * 1e6 / count.max(1) as f64)
        };
        let mut parts: Vec<(&str, f64)> = Vec::new();
        for component in components {
            let cost = spent(component)?;
            match parts.iter_mut().find(|(name, _)| *name == component.name) {
                Some((_, sum)) => *sum += cost,
                None => parts.push((component.name, cost)),
            }
        }
        let sum = parts.iter().map(|(_, cost)| cost).sum();
        results.add(format!("CPU {what}, all its processes"), "us", system, sum);
        if parts.len() > 1 {
            for (name, cost) in parts {
                results.add(format!("CPU {what}, {name}"), "us", system, cost);
            }
        }
        let generator = spent(&self.load)?;
        results.add(format!("CPU {what}, load generator's own"), "us", system, generator);
        Ok(())
    }
}
