//! What will go wrong with one resource, settled when it is created.

use crate::chance::Dice;
use crate::fault::Fault;
use crate::settings::Tuning;
use crate::sync::lock;
use std::collections::VecDeque;
use std::sync::Mutex;

/// How often a fault in reading strikes before reading works.
const READS: usize = 2;

/// The faults that were drawn or scripted for one resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan(Vec<Fault>);

impl Plan {
    /// By script if the pairs match one, else by the rates; the same for the same key.
    pub(crate) fn draw(tuning: &Tuning, seed: u64, key: &str, pair: impl Fn(&str) -> Option<String>) -> Plan {
        let scripted = tuning.script.iter().find(|entry| pair(&entry.key).is_some_and(|value| value == entry.value));
        if let Some(entry) = scripted {
            return Plan(entry.faults.clone());
        }
        let strikes = |fault: Fault, rate: f64| {
            let names = [key.as_bytes(), b"fault", fault.name().as_bytes()];
            rate > 0.0 && Dice::new(seed, &names).unit() < rate
        };
        let drawn = tuning.faults.iter().filter(|(fault, rate)| strikes(*fault, *rate));
        Plan(drawn.map(|(fault, _)| *fault).collect())
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }

    /// The first of these that strikes: an end or a shape can only be one of them.
    pub(crate) fn first_of(&self, faults: &[Fault]) -> Option<Fault> {
        faults.iter().copied().find(|fault| self.has(*fault))
    }

    /// Without the given faults.
    pub(crate) fn without(mut self, faults: &[Fault]) -> Plan {
        self.0.retain(|fault| !faults.contains(fault));
        self
    }

    /// The reads that will go wrong, in their order.
    pub(crate) fn reads(&self) -> Reads {
        let kinds = [Fault::RateLimited, Fault::ServerError, Fault::Truncated, Fault::Slow, Fault::LateModel];
        let due = kinds.into_iter().filter(|fault| self.has(*fault));
        Reads(Mutex::new(due.flat_map(|fault| [fault; READS]).collect()))
    }
}

/// Reads of one resource that are still to go wrong.
#[derive(Debug, Default)]
pub(crate) struct Reads(Mutex<VecDeque<Fault>>);

impl Reads {
    /// What goes wrong with this read. Pretending to be unfinished needs an end to hide.
    pub(crate) fn next(&self, ended: bool) -> Option<Fault> {
        let mut due = lock(&self.0);
        if !ended && due.front() == Some(&Fault::LateModel) {
            return None;
        }
        due.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::Plan;
    use crate::fault::Fault;
    use crate::settings::{Scripted, Tuning};

    #[test]
    fn rates_are_met_and_the_same_key_draws_the_same() {
        let tuning = Tuning { faults: vec![(Fault::Drop, 0.25)], ..Tuning::default() };
        let struck = |seed| {
            (0..4000)
                .map(|key| Plan::draw(&tuning, seed, &format!("resp_{key}"), |_| None))
                .map(|plan| plan.has(Fault::Drop))
                .collect::<Vec<bool>>()
        };
        let hits = struck(1).into_iter().filter(|hit| *hit).count();
        assert!((900..1100).contains(&hits), "{hits}");
        assert_eq!(struck(1), struck(1));
        assert_ne!(struck(1), struck(2));
    }

    #[test]
    fn a_script_overrules_the_rates() {
        let scripted = Scripted { key: "t".into(), value: "1".into(), faults: vec![Fault::Failed] };
        let tuning = Tuning { faults: vec![(Fault::Drop, 1.0)], script: vec![scripted], ..Tuning::default() };
        let plan = |value: &str| Plan::draw(&tuning, 1, "key", |key| (key == "t").then(|| value.to_owned()));
        assert_eq!(plan("1"), Plan(vec![Fault::Failed]));
        assert_eq!(plan("2"), Plan(vec![Fault::Drop]));
    }

    #[test]
    fn faults_in_reading_wear_off() {
        let reads = Plan(vec![Fault::LateModel, Fault::RateLimited]).reads();
        assert_eq!(reads.next(false), Some(Fault::RateLimited));
        assert_eq!(reads.next(true), Some(Fault::RateLimited));
        assert_eq!(reads.next(false), None);
        assert_eq!(reads.next(true), Some(Fault::LateModel));
        assert_eq!(reads.next(true), Some(Fault::LateModel));
        assert_eq!(reads.next(true), None);
    }
}
