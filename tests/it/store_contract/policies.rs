//! Policies that have decided, and what they decided.

use frontdesk::store::{Change, Settlement, UsedPolicy};

use super::{DONE, Fresh, for_every_store, ignored, placement};
use crate::harness::START_MS;

for_every_store! {
    a_policy_is_kept_once_and_a_version_stands_for_one_text,
    past_decisions_are_those_that_were_applied_or_held_and_are_still_kept,
}

fn policy(version: i64, text: &str) -> UsedPolicy {
    UsedPolicy { version, sha256: format!("sha of {text}"), text: text.to_owned() }
}

async fn a_policy_is_kept_once_and_a_version_stands_for_one_text(fresh: Fresh) {
    let store = &fresh.store;
    for at in [1, 2] {
        assert!(store.use_policy(policy(2, "a"), false, at).await.unwrap(), "used before is no clash");
    }
    assert!(!store.use_policy(policy(2, "b"), false, 3).await.unwrap(), "another text under the same version");
    assert!(store.use_policy(policy(3, "b"), false, 4).await.unwrap());
    assert!(store.use_policy(policy(3, "c"), true, 5).await.unwrap(), "where it may differ");
    let sql = fresh.sql();
    let question = "SELECT version, text, first_used_at FROM policies ORDER BY version, text";
    let rows: Vec<(i64, String, i64)> =
        sql.rows(question, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert_eq!(rows, [(2, "a".into(), 1), (3, "b".into(), 4), (3, "c".into(), 5)]);
}

async fn past_decisions_are_those_that_were_applied_or_held_and_are_still_kept(fresh: Fresh) {
    fresh.ticket("T-1").await;
    fresh.queued(3).await;
    for job in fresh.claim_at(START_MS, 3).await {
        let resource = job.resource_id.clone();
        let kept = fresh.store.keep_result("default".to_owned(), resource.clone(), "{}".to_owned(), START_MS).await;
        kept.unwrap().committed().await.unwrap();
        let end = if resource == "resp_2" { ignored() } else { Settlement::Applied { changes: Vec::<Change>::new() } };
        let settled = fresh.store.settle(job, Some(placement("T-1", None)), end, START_MS + 5).await.unwrap();
        assert_eq!(settled, DONE);
    }
    let past = fresh.store.past_decisions(START_MS, 10).await.unwrap();
    let ids: Vec<&str> = past.iter().map(|decision| decision.resource_id.as_str()).collect();
    assert_eq!(ids, ["resp_1", "resp_0"]);
    assert_eq!((past[0].outcome.as_str(), past[0].ticket_id.as_str(), past[0].at_ms), ("applied", "T-1", START_MS + 5));
    assert_eq!(fresh.store.past_decisions(START_MS, 1).await.unwrap().len(), 1);
    assert!(fresh.store.past_decisions(START_MS + 6, 10).await.unwrap().is_empty());
    fresh.sql().execute("UPDATE results SET raw = NULL WHERE resource_id = 'resp_1'", []).unwrap();
    assert_eq!(
        fresh.store.past_decisions(START_MS, 10).await.unwrap().len(),
        1,
        "an erased result cannot be decided again"
    );
}
