//! Several processes on one database: who is there, who leads, who works beside whom.

use frontdesk::store::{Claim, Duty, Node, SCHEMA_VERSION, SEEN_MS, Settlement, Store, StoreError, Which};

use super::{Fresh, claim_at, for_every_store, placement};
use crate::harness::{LEASE_MS, START_MS};

for_every_store! {
    a_duty_is_one_processs_until_its_lease_ends_or_it_goes,
    several_that_ask_at_once_get_one_leader,
    a_process_is_there_until_it_goes_or_is_silent,
    a_newer_schema_is_used_where_it_says_so_and_refused_where_not,
    several_processes_that_claim_at_once_never_get_the_same_job,
    jobs_of_one_ticket_that_end_at_once_all_end,
}

async fn lead(fresh: &Fresh, holder: &str, now_ms: i64) -> bool {
    fresh.store.lead(Duty::Reconcile, holder.to_owned(), LEASE_MS, now_ms).await.unwrap()
}

async fn a_duty_is_one_processs_until_its_lease_ends_or_it_goes(fresh: Fresh) {
    assert!(lead(&fresh, "a", START_MS).await);
    assert!(!lead(&fresh, "b", START_MS + 1).await);
    assert!(lead(&fresh, "a", START_MS + LEASE_MS - 1).await, "it goes on");
    assert!(!lead(&fresh, "b", START_MS + LEASE_MS).await, "from then on");
    assert!(lead(&fresh, "b", START_MS + 2 * LEASE_MS - 1).await, "it went without a word");
    assert!(!lead(&fresh, "a", START_MS + 2 * LEASE_MS).await, "and does not come back over the other");
    let other = fresh.store.lead(Duty::Schedules, "a".to_owned(), LEASE_MS, START_MS).await;
    assert!(other.unwrap(), "each duty has its own");
    fresh.store.node_is_gone("b".to_owned()).await.unwrap();
    assert!(lead(&fresh, "a", START_MS + 2 * LEASE_MS + 1).await, "at once when it says that it goes");
}

async fn several_that_ask_at_once_get_one_leader(fresh: Fresh) {
    let asked = (0..20).map(|n| {
        let store = fresh.store.clone();
        tokio::spawn(async move { store.lead(Duty::Tidy, format!("n{n}"), LEASE_MS, START_MS).await.unwrap() })
    });
    let mut leaders = 0;
    for asked in asked.collect::<Vec<_>>() {
        leaders += usize::from(asked.await.unwrap());
    }
    assert_eq!(leaders, 1);
}

fn node(name: &str, seen_at_ms: i64) -> Node {
    Node {
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        schema: SCHEMA_VERSION,
        roles: "intake".to_owned(),
        started_at_ms: START_MS,
        seen_at_ms,
        leads: Vec::new(),
    }
}

async fn a_process_is_there_until_it_goes_or_is_silent(fresh: Fresh) {
    for (name, seen_at_ms) in [("a", START_MS), ("b", START_MS + 1), ("c", START_MS + 2), ("a", START_MS + 10)] {
        fresh.store.node_is_here(node(name, seen_at_ms)).await.unwrap();
    }
    assert!(lead(&fresh, "a", START_MS).await);
    fresh.store.node_is_gone("c".to_owned()).await.unwrap();
    let names = |nodes: Vec<Node>| nodes.into_iter().map(|node| (node.name, node.leads.join(","))).collect::<Vec<_>>();
    let there = names(fresh.store.nodes(START_MS + 11).await.unwrap());
    assert_eq!(there, [("a".to_owned(), "reconcile".to_owned()), ("b".to_owned(), String::new())]);
    let later = names(fresh.store.nodes(START_MS + 1 + SEEN_MS).await.unwrap());
    assert_eq!(later, [("a".to_owned(), String::new())], "its lease is over, and b is silent");
}

async fn a_newer_schema_is_used_where_it_says_so_and_refused_where_not(fresh: Fresh) {
    let newer = SCHEMA_VERSION + 1;
    fresh.sql().execute("INSERT INTO migrations (version, name, sha256) VALUES (?1, 'newer', '')", [newer]).unwrap();
    for migrate in [true, false] {
        assert!(Store::open(&fresh.database.location, migrate).is_ok(), "it only adds");
    }
    fresh.sql().execute("UPDATE marks SET value = ?1 WHERE name = 'schema/oldest'", [newer]).unwrap();
    for migrate in [true, false] {
        let opened = Store::open(&fresh.database.location, migrate);
        assert!(matches!(opened, Err(StoreError::Open(_))), "something was taken away");
    }
}

async fn several_processes_that_claim_at_once_never_get_the_same_job(fresh: Fresh) {
    fresh.queued(60).await;
    let others = [fresh.database.store(), fresh.database.store(), fresh.store.clone()];
    let claims = (0..12).map(|n| {
        let store = others[n % 3].clone();
        let which = if n % 2 == 0 { Which::SoonestForgotten } else { Which::LongestUntried };
        tokio::spawn(async move { store.claim(Claim { which, ..claim_at(START_MS, 7) }).await.unwrap() })
    });
    let mut taken = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        taken.extend(claim.await.unwrap().iter().map(|job| (job.id(), job.claim())));
    }
    // Who goes past locked rows may find too few: the rest is there for the next.
    taken.extend(fresh.claim_at(START_MS, 60).await.iter().map(|job| (job.id(), job.claim())));
    taken.sort_unstable();
    assert_eq!(taken.len(), 60);
    assert!(taken.iter().all(|(_, claim)| *claim == 1));
    taken.dedup();
    assert_eq!(taken.len(), 60);
}

async fn jobs_of_one_ticket_that_end_at_once_all_end(fresh: Fresh) {
    fresh.ticket("T-1").await;
    fresh.queued(40).await;
    let others = [fresh.database.store(), fresh.store.clone()];
    let ends = fresh.claim_at(START_MS, 40).await.into_iter().enumerate().map(|(n, job)| {
        let store = others[n % 2].clone();
        let end = Settlement::Applied { changes: Vec::new() };
        tokio::spawn(async move { store.settle(job, Some(placement("T-1", None)), end, START_MS + 5).await })
    });
    for end in ends.collect::<Vec<_>>() {
        end.await.unwrap().unwrap();
    }
    let outcomes = fresh.store.counts().await.unwrap().outcomes;
    assert_eq!(outcomes, [("applied".to_owned(), 40)], "counted in shards, added up");
}
