//! This process, as the others on its database see it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::store::{Node, SCHEMA_VERSION, Store};

/// How often it says that it is there.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// A name unlike every other's: machine, process, and some chance, because
/// containers share machine names and numbers.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn name() -> Result<String, getrandom::Error> {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let machine: String =
        machine.trim().chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').take(40).collect();
    let machine = if machine.is_empty() { "node" } else { &machine };
    let chance = crate::domain::id::new_id("")?;
    Ok(format!("{machine}-{}-{}", std::process::id(), &chance[1..5]))
}

/// Says that it is there until told to stop, and then that it is gone.
pub async fn be_seen(store: Store, clock: Clock, name: String, roles: String, stop: CancellationToken) {
    let started_at_ms = clock.now_ms();
    loop {
        let node = Node {
            name: name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            schema: SCHEMA_VERSION,
            roles: roles.clone(),
            started_at_ms,
            seen_at_ms: clock.now_ms(),
            leads: Vec::new(),
        };
        if let Err(error) = store.node_is_here(node).await {
            tracing::debug!(%error, "could not say that this process is here");
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(SAY_EVERY) => {}
        }
    }
    if let Err(error) = store.node_is_gone(name).await {
        tracing::debug!(%error, "could not say that this process is gone; its leases will end");
    }
}
