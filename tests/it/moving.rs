//! From a file to PostgreSQL: everything is there, or nothing is; and the desk
//! goes on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use frontdesk::domain::ticket::Author;
use frontdesk::store::{
    AuditAt, Compared, DeliveryFilter, Erasure, Location, MoveError, Moved, Moving, Progress, Store, StoreError,
};
use rusqlite::Connection;

use crate::audit::made_busy;
use crate::fake_openai::completed;
use crate::harness::{ALL, OVERDUE_MS, START_MS, TestDesk};
use crate::support::database::TestDatabase;

/// What is of one database only.
const STAYS: [&str; 5] = ["leases", "migrations", "nodes", "sign_ins", "ticket_writers"];

fn moving<'a>(from: &'a Path, to: &'a TestDatabase) -> Moving<'a> {
    let at = AuditAt { now_ms: START_MS, overdue_ms: OVERDUE_MS };
    Moving { from, to: to.location.server().unwrap(), at }
}

fn move_to(from: &Path, to: &TestDatabase) -> Result<Moved, MoveError> {
    Store::move_to(&moving(from, to), &mut |_| {})
}

fn check(from: &Path, to: &TestDatabase) -> Vec<Compared> {
    Store::compare_with(&moving(from, to), &mut |_| {}).unwrap()
}

fn differing(tables: &[Compared]) -> Vec<&str> {
    tables.iter().filter(|table| !table.is_same).map(|table| table.table.as_str()).collect()
}

/// A migrated file that nobody has open.
struct File {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl File {
    fn with(rows: &str) -> File {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("desk.db");
        Store::migrate(&Location::Sqlite(path.clone())).unwrap();
        Connection::open(&path).unwrap().execute_batch(rows).unwrap();
        File { path, _folder: folder }
    }

    fn open(&self) -> Result<Store, StoreError> {
        Store::open(&Location::Sqlite(self.path.clone()), true)
    }
}

const TICKET: &str =
    "INSERT INTO tickets (id, seq, subject, queue, created_at, updated_at) VALUES ('T-1', 1, 'Lamp', 'support', 1, 1);";

/// What no desk of the tests has by itself.
const THE_REST: &str = "
INSERT INTO alert_sends (alert_id, channel, word, next_at, since) SELECT id, 'mail', 'opened', 1, 1 FROM alerts LIMIT 1;
INSERT INTO refusals VALUES (1, 'default', 'bad_signature', 2, 1, 2, 'the secret is another');
INSERT INTO tokens VALUES ('lena', 'agent', x'00ff', 1, NULL);
INSERT INTO users VALUES ('lena', 'agent', 'a hash', 1, NULL, 2);
INSERT INTO invitations VALUES (x'01', 'lena', 1, 'ada', 4000000000000);
INSERT INTO sessions VALUES (x'02', 'lena', 1, 2, 4000000000000);
INSERT INTO samples VALUES (600000, 600000, 'deliveries', 7);
INSERT INTO pulse VALUES (1, 7) ON CONFLICT DO NOTHING;
INSERT INTO pauses VALUES ('workflow', 'nothing_of_this_name', 'lena', 'why not', 1);
INSERT INTO policies VALUES (1, 'abc', 'version = 1', 1) ON CONFLICT DO NOTHING;
INSERT INTO batch_schedules VALUES ('nightly', '0 3 * * *', 4000000000000, NULL, NULL);
INSERT INTO erase_later VALUES ('bodies', 1) ON CONFLICT DO NOTHING;
INSERT INTO marks VALUES ('far', 9223372036854775807);
INSERT INTO attachments (ticket_id, name, body, ref, created_at) VALUES ('T-1', 'a.json', '{}', 'fd_x', 1);
INSERT INTO drafts (ticket_id, body, ref, created_at) VALUES ('T-1', 'Hello', 'fd_y', 1);
INSERT INTO feedback SELECT id, 'draft_reply', '1', 'edited', 0.30000000000000004, NULL, 'lena', 1 FROM reviews LIMIT 1;
INSERT INTO feedback_days VALUES (1, 'draft_reply', '1', 'edited', '', 1, 0.30000000000000004);
INSERT INTO heard VALUES ('evt_1', 'T-1', 'created', 'starts', 'sub_1', 1);
INSERT INTO days VALUES (1, 7);
INSERT INTO nodes VALUES ('n', '1', 1, 'web', 1, 1);
INSERT INTO leases VALUES ('alerts', 'n', 2, 1);
";

async fn busy_desk() -> TestDesk {
    let mut desk = made_busy(TestDesk::open_in_a_file().await).await;
    desk.ticket("T-gone", "My address is Elm Street 5").await;
    let [gone, ada, why] = ["T-gone", "ada", "she asked for it"].map(str::to_owned);
    let erasure = Erasure::new(gone, ada, why, desk.now_ms()).unwrap();
    desk.store.erase_ticket(erasure).await.unwrap().unwrap();
    desk.sql().execute_batch(THE_REST).unwrap();
    desk.openai.put(&completed("resp_later", "Later.", &crate::fake_openai::to("T-1", "summary")));
    desk.tell("resp_later").await;
    desk.is_spoiled();
    desk
}

/// What people see, by what they asked for.
async fn seen(desk: &TestDesk) -> BTreeMap<String, String> {
    let store = &desk.store;
    let mut seen = BTreeMap::new();
    let mut ids: BTreeSet<String> =
        ["evt_odd", "wh_odd", "evt_resp_later", "batch_1", "T-gone"].map(str::to_owned).into();
    let jobs = store.jobs(None, ALL).await.unwrap();
    ids.extend(jobs.items.iter().flat_map(|job| [format!("job_{}", job.id), job.resource_id.clone()]));
    let submissions = store.submissions(None, None, ALL).await.unwrap();
    ids.extend(submissions.items.iter().map(|submission| submission.id.clone()));
    let reviews = store.reviews(None, None, None, ALL).await.unwrap();
    ids.extend(reviews.items.iter().map(|review| review.id.clone()));
    let tickets = store.tickets(ALL).await.unwrap();
    ids.extend(tickets.items.iter().map(|ticket| ticket.id.clone()));
    for id in ids {
        let trail = store.trail(id.clone()).await.unwrap();
        seen.insert(format!("why {id}"), format!("{trail:?}"));
    }
    let deliveries = store.deliveries(DeliveryFilter::default(), ALL).await.unwrap();
    let lists = [
        ("jobs", format!("{:?}", jobs.items)),
        ("submissions", format!("{:?}", submissions.items)),
        ("reviews", format!("{:?}", reviews.items)),
        ("tickets", format!("{:?}", tickets.items)),
        ("deliveries", format!("{:?}", deliveries.items)),
        ("alerts", format!("{:?}", store.alerts(false, ALL).await.unwrap().items)),
        ("trail", format!("{:?}", store.audit_trail(None, None, ALL).await.unwrap().items)),
        ("tokens", format!("{:?}", store.tokens().await.unwrap())),
        ("counts", format!("{:?}", store.counts().await.unwrap())),
        ("batch", format!("{:?}", store.batch("batch_1".to_owned()).await.unwrap())),
        ("lines", format!("{:?}", store.batch_lines("batch_1".to_owned(), None, 0, 100).await.unwrap())),
    ];
    seen.extend(lists.map(|(name, list)| (name.to_owned(), list)));
    seen
}

#[tokio::test]
async fn a_busy_desk_goes_on_on_postgresql_where_it_was() {
    let mut desk = busy_desk().await;
    let (file, to) = (desk.file_as_it_is(), TestDatabase::postgres());
    let before = seen(&desk).await;
    assert!(before.len() > 25, "{:?}", before.keys());
    let moved = move_to(&file, &to).unwrap();
    assert_eq!(differing(&moved.tables), [""; 0]);
    desk.go_on_with(to);
    let after = seen(&desk).await;
    for (asked, told) in &before {
        assert_eq!(Some(told), after.get(asked), "{asked}");
    }
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.job("resp_later").await.outcome.as_deref(), Some("applied"), "what was queued is worked");
    let written = desk.read_ticket("T-1").await.messages;
    let later = written.iter().filter(|m| m.author == Author::Frontdesk && m.body.contains("Later.")).count();
    assert_eq!(later, 1);
    assert_eq!(written.iter().filter(|m| m.body.contains("A summary.")).count(), 1, "nothing is written twice");
    let known = desk.store.counts().await.unwrap().deliveries;
    desk.tell("resp_later").await;
    assert_eq!(desk.store.counts().await.unwrap().deliveries, known, "a copy of what came before the move");
    desk.ticket("T-new", "Hello").await;
    desk.openai.put(&completed("resp_new", "New.", &crate::fake_openai::to("T-new", "summary")));
    desk.tell("resp_new").await;
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.job("resp_new").await.outcome.as_deref(), Some("applied"), "new numbers are free");
    assert_eq!(desk.store.counts().await.unwrap().deliveries, known + 1);
}

#[tokio::test]
async fn each_table_is_copied_whole() {
    let desk = busy_desk().await;
    let (file, to) = (desk.file_as_it_is(), TestDatabase::postgres());
    let names: BTreeSet<String> = desk
        .sql()
        .rows("SELECT name FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0))
        .unwrap()
        .into_iter()
        .collect();
    let mut steps = Vec::new();
    let moved =
        Store::move_to(&moving(&file, &to), &mut |step: Progress<'_>| steps.push((step.done, step.of))).unwrap();
    let mut copied: BTreeSet<String> = moved.tables.iter().map(|table| table.table.clone()).collect();
    copied.extend(STAYS.map(str::to_owned));
    assert_eq!(copied, names);
    for table in &moved.tables {
        assert!(table.source > 0, "{}: put a row into it for this test", table.table);
        assert_eq!(table.source, table.target, "{}", table.table);
    }
    let of = moved.tables.iter().map(|table| table.source).sum();
    assert_eq!(steps.last(), Some(&(of, of)));
    assert!(steps.iter().all(|(done, all)| done <= all && *all == of), "{steps:?}");
}

#[tokio::test]
async fn every_value_survives() {
    let texts = ["", "tab\t, newline\n, \\N, \\., \"quotes\", 'more'", "Zoë → 日本 🙂\u{fffd}", "nul\0s\0", "%_?1$1"];
    let file = File::with(TICKET);
    let source = Connection::open(&file.path).unwrap();
    for (number, text) in texts.iter().enumerate() {
        let (ref_, at) = (format!("fd_{number}"), [0, -1, i64::MAX, i64::MIN, 1][number]);
        let row = rusqlite::params![number as i64 + 1, text, ref_, at];
        source
            .execute("INSERT INTO drafts (id, ticket_id, body, ref, created_at) VALUES (?1, 'T-1', ?2, ?3, ?4)", row)
            .unwrap();
    }
    let all_bytes: Vec<u8> = (0..=255).collect();
    for (name, hash) in [("empty", Vec::new()), ("all", all_bytes.clone())] {
        source.execute("INSERT INTO tokens VALUES (?1, 'agent', ?2, ?3, NULL)", (name, hash, i64::MAX)).unwrap();
    }
    for (name, real) in [("a", 0.1), ("b", f64::MAX), ("c", f64::MIN_POSITIVE), ("d", -0.0), ("e", f64::INFINITY)] {
        let row = rusqlite::params![name, real];
        source.execute("INSERT INTO feedback_days VALUES (1, ?1, '', 'kept', '', 1, ?2)", row).unwrap();
    }
    drop(source);
    let to = TestDatabase::postgres();
    let moved = move_to(&file.path, &to).unwrap();
    assert_eq!(moved.replaced, 1);
    let drafts = to
        .sql()
        .rows("SELECT body, created_at FROM drafts ORDER BY id", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let expected: Vec<(String, i64)> =
        texts.iter().map(|text| text.replace('\0', "\u{fffd}")).zip([0, -1, i64::MAX, i64::MIN, 1]).collect();
    assert_eq!(drafts, expected);
    let tokens: Vec<(Vec<u8>, i64, Option<i64>)> = to
        .sql()
        .rows("SELECT hash, created_at, revoked_at FROM tokens ORDER BY name", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(tokens, [(all_bytes, i64::MAX, None), (Vec::new(), i64::MAX, None)]);
    let reals: Vec<f64> =
        to.sql().rows("SELECT distance FROM feedback_days ORDER BY workflow", [], |row| row.get(0)).unwrap();
    assert_eq!(reals, [0.1, f64::MAX, f64::MIN_POSITIVE, -0.0, f64::INFINITY]);
}

#[tokio::test]
async fn the_highest_number_there_can_be_does_not_stop_a_move() {
    let file = File::with(&format!(
        "{TICKET} INSERT INTO drafts (id, ticket_id, body, ref, created_at) VALUES (9223372036854775807, 'T-1', '', 'fd', 1);"
    ));
    let to = TestDatabase::postgres();
    move_to(&file.path, &to).unwrap();
    let numbers = |table: &str| {
        to.sql()
            .query_row(&format!("SELECT nextval(pg_get_serial_sequence('{table}', 'seq'))"), [], |row| {
                row.get::<_, i64>(0)
            })
            .unwrap()
    };
    assert_eq!((numbers("tickets"), numbers("reviews")), (2, 1));
}

/// A fault of the server: it writes something else than it was given, or nothing.
fn plant(to: &TestDatabase, table: &str, body: &str) {
    to.sql()
        .execute_batch(&format!(
            "CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
             CREATE TRIGGER planted BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION planted();
             ALTER TABLE {table} ENABLE ALWAYS TRIGGER planted"
        ))
        .unwrap();
}

fn rows(to: &TestDatabase, table: &str) -> i64 {
    to.sql().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn what_the_target_did_not_keep_as_it_was_stops_the_move_and_leaves_nothing() {
    for body in ["RETURN NULL;", "NEW.subject = 'Lamp '; RETURN NEW;", "NEW.changed_at = 0; RETURN NEW;"] {
        let (file, to) = (File::with(TICKET), TestDatabase::postgres());
        plant(&to, "tickets", body);
        let refused = move_to(&file.path, &to).unwrap_err();
        assert!(refused.to_string().starts_with("tickets (1 rows, "), "{refused}");
        assert!(!refused.to_string().contains("Lamp"), "{refused}");
        assert_eq!((rows(&to, "tickets"), rows(&to, "tallies")), (0, 0), "{body}");
        to.sql().execute_batch("DROP FUNCTION planted CASCADE").unwrap();
        move_to(&file.path, &to).unwrap();
        assert_eq!(rows(&to, "tickets"), 1);
    }
}

#[tokio::test]
async fn a_value_that_the_target_refuses_is_not_shown() {
    let (file, to) = (File::with(TICKET), TestDatabase::postgres());
    to.sql().execute_batch("ALTER TABLE tickets ADD CONSTRAINT no_lamps CHECK (subject <> 'Lamp')").unwrap();
    let refused = move_to(&file.path, &to).unwrap_err().to_string();
    assert!(refused.contains("refused by no_lamps") && !refused.contains("Lamp"), "{refused}");
    assert_eq!(rows(&to, "tickets"), 0);
}

#[tokio::test]
async fn a_difference_is_found_afterwards_and_named() {
    let desk = busy_desk().await;
    let (file, to) = (desk.file_as_it_is(), TestDatabase::postgres());
    move_to(&file, &to).unwrap();
    assert_eq!(differing(&check(&file, &to)), [""; 0]);
    for (fault, table) in [
        ("UPDATE tickets SET subject = subject || ' ' WHERE id = 'T-1'", "tickets"),
        ("DELETE FROM policies", "policies"),
        ("UPDATE tallies SET count = count + 1 WHERE name = 'deliveries'", "tallies"),
        ("INSERT INTO marks VALUES ('more', 1)", "marks"),
    ] {
        to.sql().execute_batch(fault).unwrap();
        assert!(differing(&check(&file, &to)).contains(&table), "{fault}");
    }
    assert_eq!(differing(&check(&file, &to)), ["marks", "policies", "tallies", "tickets"]);
}

#[tokio::test]
async fn a_target_with_content_or_with_somebody_who_works_on_it_is_refused() {
    let file = File::with(TICKET);
    let to = TestDatabase::postgres();
    to.sql().execute_batch("INSERT INTO tokens VALUES ('ada', 'admin', '\\x00', 1, NULL)").unwrap();
    let refused = move_to(&file.path, &to).unwrap_err();
    assert!(matches!(&refused, MoveError::TargetHasContent { table, .. } if table == "tokens"), "{refused}");
    assert_eq!(rows(&to, "tickets"), 0);
    let to = TestDatabase::postgres();
    let node = "INSERT INTO nodes SELECT 'n', '1', 1, 'web', 1, CAST(extract(epoch FROM now()) * 1000 AS BIGINT)";
    to.sql().execute_batch(node).unwrap();
    let refused = move_to(&file.path, &to).unwrap_err();
    assert!(matches!(refused, MoveError::TargetInUse(_)), "{refused}");
    let empty = to.empty_one();
    empty.sql().execute_batch("CREATE TABLE somebodys (a int); INSERT INTO somebodys VALUES (1)").unwrap();
    let refused = move_to(&file.path, &empty).unwrap_err();
    assert!(matches!(&refused, MoveError::TargetHasContent { table, .. } if table == "somebodys"), "{refused}");
    assert!(empty.sql().query_row("SELECT 1 FROM tickets", [], |_| Ok(())).is_err(), "nothing was made in it");
}

#[tokio::test]
async fn an_empty_database_is_brought_up_to_date_first() {
    let file = File::with(TICKET);
    let to = TestDatabase::postgres().empty_one();
    let to = if to.is_postgres() { to } else { unreachable!() };
    assert!(!move_to(&file.path, &to).unwrap().was_there);
    assert_eq!(rows(&to, "tickets"), 1);
}

#[tokio::test]
async fn a_file_that_somebody_has_open_is_refused_even_when_nothing_is_done_with_it() {
    let (file, to) = (File::with(TICKET), TestDatabase::postgres());
    let somebody = Connection::open(&file.path).unwrap();
    somebody.query_row("SELECT count(*) FROM tickets", [], |_| Ok(())).unwrap();
    let refused = move_to(&file.path, &to).unwrap_err();
    assert!(matches!(refused, MoveError::SourceInUse(_)), "{refused}");
    drop(somebody);
    move_to(&file.path, &to).unwrap();
}

#[tokio::test]
async fn nobody_can_write_into_the_file_while_it_is_moved() {
    let (file, to) = (File::with(TICKET), TestDatabase::postgres());
    let mut tried = Vec::new();
    Store::move_to(&moving(&file.path, &to), &mut |_| {
        let other = Connection::open(&file.path).unwrap();
        other.busy_timeout(std::time::Duration::ZERO).unwrap();
        tried.push(other.execute("UPDATE tickets SET subject = 'x'", []).is_err());
    })
    .unwrap();
    assert!(!tried.is_empty() && tried.iter().all(|refused| *refused));
}

#[tokio::test]
async fn a_file_that_was_moved_is_not_used_again_until_that_is_undone() {
    let (file, to) = (File::with(TICKET), TestDatabase::postgres());
    move_to(&file.path, &to).unwrap();
    let refused = file.open().err().unwrap().to_string();
    for word in ["has been moved to postgres://", "DATABASE_URL still names the file", "frontdesk move --undo"] {
        assert!(refused.contains(word), "{refused}");
    }
    let again = move_to(&file.path, &TestDatabase::postgres()).unwrap_err();
    assert!(matches!(again, MoveError::SourceMoved(_)), "{again}");
    let refused = Store::migrate(&Location::Sqlite(file.path.clone())).unwrap_err().to_string();
    assert!(refused.contains("has been moved to"), "{refused}");
    assert!(Store::undo_move(&file.path, "ada", START_MS).unwrap());
    assert!(!Store::undo_move(&file.path, "ada", START_MS).unwrap());
    let restored = file.open().unwrap().restored().await.unwrap();
    assert_eq!(restored.map(|restored| restored.at_ms), Some(START_MS), "others may have worked on the server since");
}

/// As if whoever moved it had not come to the mark.
fn unmark(path: &Path) {
    let sql = Connection::open(path).unwrap();
    assert_eq!(sql.execute("DELETE FROM marks WHERE name LIKE 'moved/%'", []).unwrap(), 1);
}

#[tokio::test]
async fn whoever_died_before_the_mark_only_marks_the_next_time() {
    let (file, to) = (File::with(TICKET), TestDatabase::postgres());
    move_to(&file.path, &to).unwrap();
    unmark(&file.path);
    let moved = move_to(&file.path, &to).unwrap();
    assert!(moved.was_there);
    assert!(file.open().is_err(), "it is marked now");
    assert_eq!(rows(&to, "tickets"), 1);
    unmark(&file.path);
    to.sql().execute_batch("UPDATE tickets SET subject = 'Chair'").unwrap();
    let refused = move_to(&file.path, &to).unwrap_err();
    assert!(matches!(refused, MoveError::TargetHasContent { .. }), "{refused}");
}

#[tokio::test]
async fn a_move_is_no_restore_but_a_file_that_was_put_there_by_hand_stays_a_restored_one() {
    let file = File::with(TICKET);
    let store = file.open().unwrap();
    assert_eq!(store.notice_restore(START_MS).await.unwrap(), None);
    assert_eq!(store.restored().await.unwrap(), None);
    drop(store);
    let to = TestDatabase::postgres();
    until_free(&file.path, &to);
    let store = to.store();
    assert_eq!(store.notice_restore(START_MS).await.unwrap(), None, "another place is not another time");
    assert_eq!(store.restored().await.unwrap(), None);

    let by_hand = file.path.with_file_name("by-hand.db");
    std::fs::copy(&file.path, &by_hand).unwrap();
    unmark(&by_hand);
    let to = TestDatabase::postgres();
    move_to(&by_hand, &to).unwrap();
    assert!(to.store().restored().await.unwrap().is_some());
}

/// Moves as soon as the threads of a store that was dropped have let go of the file.
fn until_free(from: &Path, to: &TestDatabase) {
    loop {
        match move_to(from, to) {
            Err(MoveError::SourceInUse(_)) => std::thread::yield_now(),
            done => return drop(done.unwrap()),
        }
    }
}

#[tokio::test]
async fn an_older_file_is_to_be_migrated_first_and_a_file_of_another_program_is_refused() {
    let (file, to) = (File::with(""), TestDatabase::postgres());
    Connection::open(&file.path).unwrap().execute_batch("DELETE FROM migrations WHERE version > 3").unwrap();
    let refused = move_to(&file.path, &to).unwrap_err().to_string();
    assert!(refused.contains("run `frontdesk migrate`"), "{refused}");
    let refused = move_to(&file.path.with_file_name("none.db"), &to).unwrap_err().to_string();
    assert!(refused.contains("there is no database at"), "{refused}");
}

#[tokio::test]
async fn it_goes_straight_to_the_server_and_not_through_a_pooler() {
    let (file, to) = (File::with(TICKET), TestDatabase::postgres());
    let pooler = to.server().pgbouncer();
    let through = Location::parse(&pooler.url()).unwrap();
    let moving = Moving { to: through.server().unwrap(), ..moving(&file.path, &to) };
    let refused = Store::move_to(&moving, &mut |_| {}).unwrap_err();
    assert!(matches!(refused, MoveError::Pooled), "{refused}");
}
