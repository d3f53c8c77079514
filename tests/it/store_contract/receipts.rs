//! Raw events, which nobody reads without an entry in the trail.

use frontdesk::store::PageRequest;

use super::{Fresh, for_every_store};
use crate::harness::{START_MS, event};

for_every_store! {
    every_look_at_a_body_is_in_the_trail_and_one_at_nothing_is_not,
    an_erased_body_is_none_and_its_hash_stays,
}

async fn looked_at(fresh: &Fresh) -> Vec<(String, String, String)> {
    let all = PageRequest { limit: 50, cursor: None };
    let trail = fresh.store.audit_trail(None, None, all).await.unwrap().items;
    trail.into_iter().map(|entry| (entry.actor, entry.action, entry.subject)).collect()
}

async fn every_look_at_a_body_is_in_the_trail_and_one_at_nothing_is_not(fresh: Fresh) {
    fresh.deliver("wh_1", "evt_1", "resp_1").await;
    let look = async |id: &str| fresh.store.body_of_delivery(id.to_owned(), "boss".to_owned(), START_MS).await.unwrap();
    let body = look("wh_1").await.unwrap();
    assert_eq!(body.bytes.as_deref(), Some(event("evt_1", "response.completed", "resp_1").as_bytes()));
    assert_eq!(look("wh_2").await, None);
    look("wh_1").await.unwrap();
    let entry = ("boss".to_owned(), "delivery.body".to_owned(), "wh_1".to_owned());
    assert_eq!(looked_at(&fresh).await, [entry.clone(), entry]);
}

async fn an_erased_body_is_none_and_its_hash_stays(fresh: Fresh) {
    fresh.deliver("wh_1", "evt_1", "resp_1").await;
    let look = async || fresh.store.body_of_delivery("wh_1".to_owned(), "boss".to_owned(), START_MS).await.unwrap();
    let before = look().await.unwrap();
    fresh.sql().execute("UPDATE deliveries SET body = NULL", []).unwrap();
    let after = look().await.unwrap();
    assert_eq!((after.bytes, after.sha256), (None, before.sha256));
}
