//! Whether OpenAI accepts a project's calls just now.
//!
//! A refused key or an empty quota is not the fault of the job that met it:
//! every other job would meet it too. So claiming pauses, one job probes now
//! and then, and all go on by themselves when it passes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many jobs may be claimed for a project now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowance {
    /// As many as there is room for.
    All,
    /// One, to see whether OpenAI accepts us again.
    Probe,
    /// None before this time, in ms.
    NoneUntil(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// OpenAI asked for quiet until then; jobs go on afterwards.
    Quiet {
        until_ms: i64,
    },
    /// OpenAI refuses us.
    Refused {
        probe_at_ms: i64,
        wait_ms: i64,
    },
}

/// So many refusals of one resource, with others accepted in between, and it is
/// the resource that is refused and not us.
const REFUSALS_OF_ONE: u32 = 3;

/// Resources whose refusals are remembered at most. What is forgotten is counted anew.
const REMEMBERED: usize = 1000;

/// How often OpenAI has forbidden one resource, and how many calls it had accepted by then.
struct Forbidden {
    times: u32,
    accepted: u64,
}

/// The gate of one project.
pub(super) struct Gate {
    state: Mutex<State>,
    /// Whether OpenAI has accepted us in this process yet. A process before it
    /// may have left an alert open.
    proven: AtomicBool,
    /// Calls that OpenAI has accepted.
    accepted: AtomicU64,
    forbidden: Mutex<HashMap<String, Forbidden>>,
    first_ms: i64,
    max_ms: i64,
}

impl Gate {
    pub(super) fn new(first_ms: i64, max_ms: i64) -> Gate {
        Gate {
            state: Mutex::new(State::Open),
            proven: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            forbidden: Mutex::default(),
            first_ms,
            max_ms,
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many jobs may be claimed at `now_ms`.
    pub(super) fn allowance(&self, now_ms: i64) -> Allowance {
        self.with(|state| match *state {
            State::Open => Allowance::All,
            State::Quiet { until_ms } if now_ms < until_ms => Allowance::NoneUntil(until_ms),
            State::Quiet { .. } => {
                *state = State::Open;
                Allowance::All
            }
            State::Refused { probe_at_ms, .. } if now_ms < probe_at_ms => Allowance::NoneUntil(probe_at_ms),
            State::Refused { .. } => Allowance::Probe,
        })
    }

    /// A probe is being made. The next one is set before its answer is known, so
    /// that a probe whose worker dies does not leave the gate shut.
    pub(super) fn probe(&self, now_ms: i64) {
        self.with(|state| {
            if let State::Refused { wait_ms, .. } = *state {
                let wait_ms = (wait_ms * 2).min(self.max_ms);
                *state = State::Refused { probe_at_ms: now_ms + wait_ms, wait_ms };
            }
        });
    }

    /// Whether OpenAI refuses us.
    pub(super) fn is_shut(&self) -> bool {
        self.with(|state| matches!(state, State::Refused { .. }))
    }

    /// OpenAI refused us. True when it had accepted us before.
    pub(super) fn refuse(&self, now_ms: i64) -> bool {
        self.with(|state| match state {
            State::Refused { .. } => false,
            State::Open | State::Quiet { .. } => {
                *state = State::Refused { probe_at_ms: now_ms + self.first_ms, wait_ms: self.first_ms };
                true
            }
        })
    }

    /// OpenAI asked for quiet.
    pub(super) fn quiet(&self, until_ms: i64) {
        self.with(|state| match state {
            State::Refused { .. } => {}
            State::Quiet { until_ms: earlier } => *earlier = until_ms.max(*earlier),
            State::Open => *state = State::Quiet { until_ms },
        });
    }

    /// OpenAI forbids this resource. True when it has done so several times and
    /// accepted other calls in between: then it means this resource only.
    pub(super) fn forbids_only(&self, resource_id: &str) -> bool {
        let accepted = self.accepted.load(Ordering::SeqCst);
        let mut forbidden = self.forbidden.lock().unwrap_or_else(PoisonError::into_inner);
        if forbidden.len() >= REMEMBERED && !forbidden.contains_key(resource_id) {
            forbidden.clear();
        }
        let of_it = forbidden.entry(resource_id.to_owned()).or_insert(Forbidden { times: 0, accepted });
        if of_it.times == 0 || accepted > of_it.accepted {
            *of_it = Forbidden { times: of_it.times + 1, accepted };
        }
        of_it.times >= REFUSALS_OF_ONE
    }

    /// OpenAI answered us. True when it had refused us before, or may have
    /// refused the process before this one.
    pub(super) fn accept(&self) -> bool {
        self.accepted.fetch_add(1, Ordering::SeqCst);
        let first = !self.proven.swap(true, Ordering::SeqCst);
        let refused = self.with(|state| match state {
            State::Refused { .. } => {
                *state = State::Open;
                true
            }
            State::Open | State::Quiet { .. } => false,
        });
        refused || first
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowance, Gate};

    #[test]
    fn a_refusal_lets_one_probe_through_at_doubling_distances_until_one_succeeds() {
        let gate = Gate::new(1_000, 3_000);
        assert_eq!(gate.allowance(0), Allowance::All);
        assert!(gate.refuse(0), "the first refusal is news");
        assert!(!gate.refuse(1), "the second is not");
        assert_eq!(gate.allowance(999), Allowance::NoneUntil(1_000));
        assert_eq!(gate.allowance(1_000), Allowance::Probe);
        assert_eq!(gate.allowance(1_000), Allowance::Probe, "whoever has something to ask makes it");
        gate.probe(1_000);
        assert_eq!(gate.allowance(1_001), Allowance::NoneUntil(3_000));
        assert_eq!(gate.allowance(3_000), Allowance::Probe);
        gate.probe(3_000);
        assert_eq!(gate.allowance(3_001), Allowance::NoneUntil(6_000), "the wait is capped");
        assert!(gate.accept(), "the recovery is news");
        assert!(!gate.accept());
        assert_eq!(gate.allowance(3_002), Allowance::All);
    }

    #[test]
    fn the_first_good_answer_of_a_process_is_news_since_the_one_before_may_have_been_refused() {
        let gate = Gate::new(1_000, 3_000);
        assert!(gate.accept());
        assert!(!gate.accept());
    }

    #[test]
    fn a_resource_is_forbidden_alone_once_others_were_accepted_in_between_three_times() {
        let gate = Gate::new(1_000, 3_000);
        for _ in 0..10 {
            assert!(!gate.forbids_only("resp_1"), "nothing else was accepted: it may be us");
        }
        gate.accept();
        assert!(!gate.forbids_only("resp_1"), "the second time");
        assert!(!gate.forbids_only("resp_1"), "nothing since");
        assert!(!gate.forbids_only("resp_2"), "another has its own count");
        gate.accept();
        assert!(gate.forbids_only("resp_1"), "the third time");
        assert!(gate.forbids_only("resp_1"), "and from then on");
    }

    #[test]
    fn quiet_ends_by_itself_and_never_opens_a_refused_gate() {
        let gate = Gate::new(1_000, 3_000);
        gate.quiet(500);
        assert_eq!(gate.allowance(499), Allowance::NoneUntil(500));
        assert_eq!(gate.allowance(500), Allowance::All);
        gate.refuse(600);
        gate.quiet(700);
        assert_eq!(gate.allowance(701), Allowance::NoneUntil(1_600));
    }
}
