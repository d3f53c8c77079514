//! The file that everything is kept in.

use std::os::unix::fs::PermissionsExt;

use frontdesk::domain::delivery::Receipt;
use frontdesk::store::{Location, Store, StoreError};

use crate::harness::{START_MS, event, signed};

fn delivery(n: u32) -> frontdesk::domain::delivery::NewDelivery {
    let body = event(&format!("evt_{n}"), "response.completed", &format!("resp_{n}"));
    signed("default", &format!("wh_{n}"), &body, START_MS)
}

#[tokio::test]
async fn nothing_is_acknowledged_into_a_file_that_was_removed_or_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    let store = Store::open(&Location::Sqlite(path.clone()), true).unwrap();
    assert_eq!(store.record(delivery(1)).await, Ok(Receipt::Queued));
    std::fs::rename(&path, dir.path().join("moved.db")).unwrap();
    assert_eq!(store.record(delivery(2)).await, Err(StoreError::Gone));
    assert_eq!(store.ping().await, Err(StoreError::Gone));
    std::fs::write(&path, "another file").unwrap();
    assert_eq!(store.record(delivery(2)).await, Err(StoreError::Gone));
    std::fs::rename(dir.path().join("moved.db"), &path).unwrap();
    assert_eq!(store.record(delivery(2)).await, Ok(Receipt::Queued), "the right file is back");
}

#[tokio::test]
async fn the_database_and_its_side_files_are_readable_by_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    let store = Store::open(&Location::Sqlite(path.clone()), true).unwrap();
    store.record(delivery(1)).await.unwrap();
    for name in ["desk.db", "desk.db-wal", "desk.db-shm"] {
        let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_database_in_memory_is_refused_because_it_forgets_what_it_acknowledged() {
    let refused = Store::open(&Location::Sqlite(":memory:".into()), true).err().map(|error| error.to_string());
    assert!(refused.unwrap().contains("a file is needed"));
}

#[tokio::test]
async fn a_second_webhook_about_an_event_that_nobody_handles_names_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Location::Sqlite(dir.path().join("desk.db")), true).unwrap();
    let body = event("evt_1", "response.daydreamed", "resp_1");
    for id in ["wh_1", "wh_2"] {
        assert_eq!(store.record(signed("default", id, &body, START_MS)).await, Ok(Receipt::Stored));
    }
    let first = store.delivery("wh_1".to_owned()).await.unwrap().unwrap();
    let second = store.delivery("wh_2".to_owned()).await.unwrap().unwrap();
    assert_eq!((first.duplicate_of, second.duplicate_of.as_deref()), (None, Some("wh_1")));
}
