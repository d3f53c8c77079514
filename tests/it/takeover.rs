//! A standby that takes over between two looks of the reconciler.

use frontdesk::store::{ClaimedJob, Location, Store};

use crate::harness::{START_MS, event, signed};
use crate::store_contract::claim_at;
use crate::support::cluster::{Cluster, url_of_both};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_work_is_handed_out_by_a_standby_that_took_over_before_it_is_marked() {
    let primary = Cluster::start();
    let standby = primary.replica();
    let both = Location::parse(&url_of_both(&primary.url(), &standby)).unwrap();
    let store = Store::open(&both, true).unwrap();
    assert_eq!(store.notice_restore(START_MS).await, Ok(None));
    for n in 1..=2 {
        let body = event(&format!("evt_{n}"), "response.completed", &format!("resp_{n}"));
        store.record(signed("default", &format!("wh_{n}"), &body, START_MS)).await.unwrap();
    }
    assert_eq!(claimed(&store).await.len(), 1);
    assert_eq!(store.restored().await, Ok(None));
    primary.kill9();
    standby.promote();
    assert_eq!(claimed(&store).await.len(), 1);
    let restored = store.restored().await.unwrap().unwrap();
    assert_eq!(restored.at_ms, START_MS, "marked by the claim itself");
}

/// One job, as soon as a server takes writes.
async fn claimed(store: &Store) -> Vec<ClaimedJob> {
    loop {
        if let Ok(jobs) = store.claim(claim_at(START_MS, 1)).await {
            return jobs;
        }
        tokio::task::yield_now().await;
    }
}
