//! What must be true when everything has ended.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk::store::{AuditAt, Location, Store};

use super::field::try_number;
use super::load::{Acknowledged, Load};
use crate::support::postgres::ask;

/// Nothing acknowledged is lost, nothing was done twice, nothing ended silently.
pub(super) fn check(url: &str, load: &Load, seed: u64) {
    let events = deliveries(url, load, seed);
    jobs(url, &events, load.events(), seed);
    notes(url, load.events(), seed);
    let now_ms = try_number(url, "SELECT CAST(extract(epoch FROM now()) * 1000 AS BIGINT)").unwrap();
    let audit = Store::audit_at(&Location::parse(url).unwrap(), AuditAt { now_ms, overdue_ms: 60_000 }).unwrap();
    assert_eq!(audit.findings, [], "seed {seed}");
}

/// Which events are stored.
fn deliveries(url: &str, load: &Load, seed: u64) -> BTreeSet<String> {
    let question = "SELECT delivery_id, event_id, encode(body_sha256, 'hex') FROM deliveries";
    let rows = ask(url, |client| client.query(question, &[]).unwrap());
    let stored: BTreeMap<String, Acknowledged> =
        rows.iter().map(|row| (row.get(0), Acknowledged { event: row.get(1), sha256: row.get(2) })).collect();
    let acknowledged = load.acknowledged.lock().unwrap();
    assert!(acknowledged.len() >= load.events(), "seed {seed}");
    for (delivery, told) in acknowledged.iter() {
        assert_eq!(stored.get(delivery), Some(told), "seed {seed}: {delivery} was acknowledged and is lost");
    }
    stored.into_values().map(|one| one.event).collect()
}

fn jobs(url: &str, events: &BTreeSet<String>, expected: usize, seed: u64) {
    let question = "SELECT event_id, state || '/' || coalesce(outcome, '') FROM jobs";
    let rows = ask(url, |client| client.query(question, &[]).unwrap());
    assert_eq!(rows.len(), expected, "seed {seed}: every event has one job");
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<BTreeSet<String>>(), *events, "seed {seed}");
    for row in &rows {
        let (event, end): (&str, &str) = (row.get(0), row.get(1));
        assert_eq!(end, "processed/applied", "seed {seed}: {event}");
    }
}

fn notes(url: &str, expected: usize, seed: u64) {
    let question = "SELECT ticket_id, count(*) FROM messages WHERE author = 'frontdesk' GROUP BY ticket_id";
    let rows = ask(url, |client| client.query(question, &[]).unwrap());
    assert_eq!(rows.len(), expected, "seed {seed}: every ticket has its note");
    for row in &rows {
        let (ticket, count): (&str, i64) = (row.get(0), row.get(1));
        assert_eq!(count, 1, "seed {seed}: {ticket} has its note more than once");
    }
}
