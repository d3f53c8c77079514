//! The production checklist, gone through for real: first everything is looked
//! at, then each item is judged by a function of its own. It runs also when
//! `serve` would refuse to, and nothing it says holds a secret.

mod finding;
mod items;
mod round_trip;
mod seen;

use std::path::PathBuf;

pub use finding::{Finding, Item, State};

use crate::clock::Clock;
use crate::config::Config;
use crate::domain::policy::Policy;
use seen::Seen;

/// Where the doctor looks.
pub struct Place<'a> {
    /// The settings file; none: there is none.
    pub file: Option<PathBuf>,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The policy that the settings ask for, or why it cannot be used.
    pub policy: &'a dyn Fn(&Config) -> Result<Policy, String>,
    /// The time.
    pub clock: Clock,
}

/// Goes through the checklist, in its order.
pub async fn examine(place: &Place<'_>) -> Vec<Item> {
    items::judge(&Seen::look(place).await)
}
