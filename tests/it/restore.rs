//! Putting a copy in the place of the database, and noticing one that somebody
//! else has put there.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use frontdesk::domain::person::Role;
use frontdesk::store::{
    Erasure, Location, Marked, NewTicket, NotInIt, Restoration, RestoreError, Restored, Restoring, SCHEMA_VERSION,
    Store,
};
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::harness::START_MS;
use crate::support::database::TestDatabase;
use crate::support::postgres;

const HOUR_MS: i64 = 3_600_000;

const MIGRATIONS: [(&str, &str); 2] = [
    ("begin", include_str!("../../migrations/sqlite/0001_begin.sql")),
    ("owners", include_str!("../../migrations/sqlite/0002_owners.sql")),
];

struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A database with one ticket of this name that somebody has worked with, closed.
    async fn database(&self, name: &str, ticket: &str) -> PathBuf {
        let path = self.path(name);
        let store = store_at(&path, true);
        assert_eq!(store.notice_restore(START_MS).await, Ok(None));
        add_ticket(&store, ticket).await;
        closed(store, &path).await;
        path
    }

    /// With a copy of it.
    async fn copied(&self) -> (PathBuf, PathBuf) {
        let (database, copy) = (self.database("desk.db", "T-old").await, self.path("copy.db"));
        Store::backup(&database, &copy, START_MS).unwrap();
        (database, copy)
    }

    fn names(&self) -> Vec<String> {
        let list = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = list.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn store_at(path: &Path, migrate: bool) -> Store {
    Store::open(&Location::Sqlite(path.to_owned()), migrate).unwrap()
}

async fn add_ticket(store: &Store, id: &str) {
    let (id, subject, queue) = (Some(id.to_owned()), "Lamp".to_owned(), "support".to_owned());
    let new = NewTicket { id, subject, queue, tags: Vec::new(), messages: Vec::new() };
    store.create_ticket(new, START_MS).await.unwrap();
}

fn tickets(path: &Path) -> Vec<String> {
    let sql = Connection::open(path).unwrap();
    let mut list = sql.prepare("SELECT id FROM tickets ORDER BY seq").unwrap();
    list.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

fn asked(from: &Path, to: &Path, keep: Option<PathBuf>) -> Restoring {
    let (from, to) = (from.to_owned(), to.to_owned());
    Restoring { from, to, keep, migrate: false, actor: "ada".to_owned(), now_ms: START_MS + HOUR_MS }
}

fn restore(from: &Path, to: &Path, keep: Option<PathBuf>) -> Result<Restoration, RestoreError> {
    Store::restore(&asked(from, to, keep))
}

const RESTORED: Restored = Restored { at_ms: START_MS + HOUR_MS, copied_at_ms: Some(START_MS) };

/// Once nobody has it open any more: a store's threads end a moment after it.
async fn closed(store: Store, path: &Path) {
    drop(store);
    let sql = Connection::open(path).unwrap();
    while sql.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0)).is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_copy_becomes_the_database_marked_checked_and_for_its_owner_only() {
    let place = Place::new();
    let (_, copy) = place.copied().await;
    let to = place.path("again.db");
    let done = restore(&copy, &to, None).unwrap();
    let marked = Marked { restored: RESTORED, starts_in_doubt: 0 };
    assert_eq!((done.marked, done.copied_at_ms, done.kept), (Some(marked), Some(START_MS), None));
    let found = std::fs::metadata(&to).unwrap();
    assert_eq!((found.permissions().mode() & 0o777, found.nlink(), found.len()), (0o600, 1, done.bytes));
    assert!(!place.names().iter().any(|name| name.contains("restoring")), "{:?}", place.names());
    let store = store_at(&to, false);
    assert_eq!(store.restored().await, Ok(Some(RESTORED)));
    assert_eq!(store.notice_restore(START_MS + 2 * HOUR_MS).await, Ok(None), "it knows that already");
    assert_eq!(tickets(&to), ["T-old"]);
}

#[tokio::test]
async fn a_database_that_is_there_is_replaced_only_when_asked_for_and_kept() {
    let place = Place::new();
    let (database, copy) = place.copied().await;
    let store = store_at(&database, true);
    add_ticket(&store, "T-new").await;
    closed(store, &database).await;
    assert!(matches!(restore(&copy, &database, None), Err(RestoreError::Exists(_))));
    assert_eq!(tickets(&database), ["T-old", "T-new"]);
    let keep = place.path("desk.db.replaced");
    let done = restore(&copy, &database, Some(keep.clone())).unwrap();
    assert_eq!(done.kept, Some(keep.clone()));
    assert_eq!(
        (tickets(&database), tickets(&keep)),
        (vec!["T-old".to_owned()], vec!["T-old".to_owned(), "T-new".to_owned()])
    );
}

#[tokio::test]
async fn a_database_that_was_killed_keeps_what_was_only_in_its_log() {
    let place = Place::new();
    let (database, copy) = place.copied().await;
    let store = store_at(&database, true);
    add_ticket(&store, "T-new").await;
    // As a kill leaves it: the file and its log, and nobody who has it open.
    let killed = place.path("killed.db");
    for ending in ["", "-wal"] {
        std::fs::copy(place.path(&format!("desk.db{ending}")), place.path(&format!("killed.db{ending}"))).unwrap();
    }
    let keep = place.path("kept.db");
    restore(&copy, &killed, Some(keep.clone())).unwrap();
    assert_eq!((tickets(&killed), tickets(&keep).len()), (vec!["T-old".to_owned()], 2));
    assert!(!place.path("killed.db-wal").exists(), "an old log would be read into the new database");
}

#[tokio::test]
async fn what_people_did_since_the_copy_and_must_do_again_is_told_of_the_replaced_one() {
    let place = Place::new();
    let database = place.database("desk.db", "T-old").await;
    let store = store_at(&database, true);
    for name in ["left", "stays"] {
        assert!(
            store
                .create_token(name.to_owned(), Role::Lead, format!("secret {name}"), "test".to_owned(), START_MS)
                .await
                .unwrap()
        );
    }
    let copy = place.path("copy.db");
    Store::backup(&database, &copy, START_MS).unwrap();
    let erasure = Erasure::new("T-old".to_owned(), "ada".to_owned(), "asked".to_owned(), START_MS + 1).unwrap();
    store.erase_ticket(erasure).await.unwrap().unwrap();
    assert!(store.revoke_token("left".to_owned(), "test".to_owned(), START_MS + 1).await.unwrap());
    closed(store, &database).await;
    let done = restore(&copy, &database, Some(place.path("kept.db"))).unwrap();
    let knows = NotInIt { entries: 2, erased: vec!["T-old".to_owned()], revoked: vec!["left".to_owned()] };
    assert_eq!(done.not_in_it, Some(knows));
}

#[tokio::test]
async fn while_somebody_works_with_the_database_nothing_is_restored_over_it() {
    let place = Place::new();
    let (database, copy) = place.copied().await;
    let store = store_at(&database, true);
    let keep = place.path("kept.db");
    assert!(matches!(restore(&copy, &database, Some(keep.clone())), Err(RestoreError::InUse(_))));
    add_ticket(&store, "T-new").await;
    assert_eq!(tickets(&database), ["T-old", "T-new"]);
    assert!(!keep.exists() && !place.path("desk.db.restoring").exists());
}

#[tokio::test]
async fn a_copy_that_is_damaged_newer_or_none_of_ours_is_refused_and_leaves_everything_as_it_is() {
    let place = Place::new();
    let (database, copy) = place.copied().await;
    let keep = || Some(place.path("kept.db"));
    let refused = |from: &str| restore(&place.path(from), &database, keep()).unwrap_err();
    assert!(matches!(refused("none.db"), RestoreError::Missing(_)));
    assert!(matches!(refused("desk.db"), RestoreError::Same(_)));
    std::fs::write(place.path("text.db"), "no database, but long enough to look like a file with something in it")
        .unwrap();
    assert!(matches!(refused("text.db"), RestoreError::NotOurs(_)));
    Connection::open(place.path("other.db")).unwrap().execute_batch("CREATE TABLE recipes (cake TEXT)").unwrap();
    assert!(matches!(refused("other.db"), RestoreError::NotOurs(_)));
    let mut bytes = std::fs::read(&copy).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xa5);
    std::fs::write(place.path("spoiled.db"), &bytes).unwrap();
    assert!(matches!(refused("spoiled.db"), RestoreError::Damaged(_)));
    std::fs::write(place.path("cut.db"), &bytes[..half]).unwrap();
    assert!(matches!(refused("cut.db"), RestoreError::Damaged(_)));
    std::fs::copy(&copy, place.path("newer.db")).unwrap();
    let newer = Connection::open(place.path("newer.db")).unwrap();
    newer.execute("INSERT INTO migrations (version, name, sha256) VALUES (99, 'later', '')", []).unwrap();
    drop(newer);
    assert!(matches!(refused("newer.db"), RestoreError::Newer(99)));
    let left: Vec<String> =
        place.names().into_iter().filter(|name| name.contains("desk.db") || name.contains("kept")).collect();
    assert_eq!((left, tickets(&database)), (vec!["desk.db".to_owned()], vec!["T-old".to_owned()]));
}

#[tokio::test]
async fn the_log_of_a_database_that_is_gone_is_not_read_into_the_restored_one() {
    let place = Place::new();
    let (_, copy) = place.copied().await;
    std::fs::write(place.path("gone.db-wal"), "left over").unwrap();
    assert!(matches!(restore(&copy, &place.path("gone.db"), None), Err(RestoreError::LeftOver(_))));
    assert!(!place.path("gone.db").exists());
}

#[tokio::test]
async fn what_a_killed_restore_leaves_is_in_nobody_s_way_and_never_written_over_when_it_is_the_database() {
    let place = Place::new();
    let (_, copy) = place.copied().await;
    let to = place.path("again.db");
    std::fs::write(place.path("again.db.restoring"), "half a file").unwrap();
    std::fs::write(place.path("again.db.restoring-journal"), "half a journal").unwrap();
    restore(&copy, &to, None).unwrap();
    // Killed between giving it its name and taking the other one away.
    std::fs::hard_link(&to, place.path("again.db.restoring")).unwrap();
    assert!(matches!(restore(&place.path("none.db"), &to, Some(place.path("kept.db"))), Err(RestoreError::Missing(_))));
    std::fs::write(place.path("text.db"), "no database").unwrap();
    assert!(restore(&place.path("text.db"), &to, Some(place.path("kept.db"))).is_err());
    assert_eq!(tickets(&to), ["T-old"]);
}

/// A database as an earlier version left it.
fn of_version(path: &Path, version: usize) {
    let sql = Connection::open(path).unwrap();
    sql.execute_batch(
        "CREATE TABLE migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT",
    )
    .unwrap();
    for (number, (name, text)) in MIGRATIONS.iter().take(version).enumerate() {
        sql.execute_batch(text).unwrap();
        let hash: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        sql.execute("INSERT INTO migrations VALUES (?1, ?2, ?3)", (i64::try_from(number + 1).unwrap(), name, hash))
            .unwrap();
    }
}

#[tokio::test]
async fn a_copy_of_an_earlier_version_is_marked_when_it_is_first_worked_with() {
    let place = Place::new();
    let (old, copy, to) = (place.path("old.db"), place.path("copy.db"), place.path("again.db"));
    of_version(&old, 2);
    Store::backup(&old, &copy, START_MS).unwrap();
    let done = restore(&copy, &to, None).unwrap();
    assert_eq!((done.schema, done.marked, done.copied_at_ms), (2, None, Some(START_MS)));
    let store = store_at(&to, true);
    let marked = store.notice_restore(START_MS + HOUR_MS).await.unwrap();
    assert_eq!(marked.map(|marked| marked.restored), Some(RESTORED));
}

#[tokio::test]
async fn a_copy_too_old_for_a_mark_must_be_brought_up_to_date_at_once() {
    let place = Place::new();
    let (old, to) = (place.path("old.db"), place.path("again.db"));
    of_version(&old, 1);
    assert!(matches!(restore(&old, &to, None), Err(RestoreError::TooOld(1))));
    assert!(!to.exists());
    let done = Store::restore(&Restoring { migrate: true, ..asked(&old, &to, None) }).unwrap();
    assert_eq!(done.schema, SCHEMA_VERSION);
    assert_eq!(done.marked.map(|marked| marked.restored.at_ms), Some(START_MS + HOUR_MS));
}

#[tokio::test]
async fn a_copy_put_in_place_by_hand_is_noticed_once_whatever_it_was_put_there_with() {
    let place = Place::new();
    let (database, copy) = place.copied().await;
    // Over the old file, which stays the same one to the system.
    std::fs::write(&database, std::fs::read(&copy).unwrap()).unwrap();
    let store = store_at(&database, true);
    let marked = store.notice_restore(START_MS + HOUR_MS).await.unwrap();
    assert_eq!(marked.map(|marked| marked.restored), Some(RESTORED));
    assert_eq!(store.notice_restore(START_MS + 2 * HOUR_MS).await, Ok(None), "not again at the next start");
    assert_eq!(store.restored().await, Ok(Some(RESTORED)));
}

#[tokio::test]
async fn a_file_copied_without_our_command_is_noticed_and_a_renamed_or_reopened_one_is_not() {
    let place = Place::new();
    let database = place.database("desk.db", "T-old").await;
    let (moved, copied) = (place.path("moved.db"), place.path("copied.db"));
    std::fs::copy(&database, &copied).unwrap();
    std::fs::rename(&database, &moved).unwrap();
    for _ in 0..2 {
        let same = store_at(&moved, true);
        assert_eq!(same.notice_restore(START_MS + HOUR_MS).await, Ok(None));
    }
    let other = store_at(&copied, true);
    let marked = other.notice_restore(START_MS + HOUR_MS).await.unwrap().unwrap();
    assert_eq!(marked.restored, Restored { at_ms: START_MS + HOUR_MS, copied_at_ms: None });
}

#[tokio::test]
async fn a_person_can_say_that_it_was_restored() {
    let place = Place::new();
    let store = store_at(&place.database("desk.db", "T-old").await, true);
    assert_eq!(store.restored().await, Ok(None));
    let marked = store.mark_restored("ada".to_owned(), START_MS + HOUR_MS).await.unwrap();
    assert_eq!(store.restored().await, Ok(Some(marked.restored)));
    let later = store.mark_restored("ada".to_owned(), START_MS + 2 * HOUR_MS).await.unwrap();
    assert_eq!(later.restored.at_ms, START_MS + 2 * HOUR_MS, "the last one counts");
}

#[tokio::test]
async fn a_database_of_postgresql_that_was_copied_into_another_is_noticed() {
    let first = TestDatabase::postgres();
    let store = first.store();
    assert_eq!(store.notice_restore(START_MS).await, Ok(None));
    drop(store);
    first.server().terminate_all();
    let copy = postgres::Database::from_template(first.server().name(), |_| panic!("the first one is the template"));
    let store = Store::open(&Location::parse(&copy.url()).unwrap(), false).unwrap();
    let marked = store.notice_restore(START_MS + HOUR_MS).await.unwrap().unwrap();
    assert_eq!(marked.restored, Restored { at_ms: START_MS + HOUR_MS, copied_at_ms: None });
    assert_eq!(store.notice_restore(START_MS + 2 * HOUR_MS).await, Ok(None));
}
