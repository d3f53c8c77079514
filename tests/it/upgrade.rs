//! A database that version 1 has written, with rows in every state, is brought
//! up to date with nothing lost and nothing wrongly accused.

use frontdesk::domain::person::{Person, Role};
use frontdesk::domain::review::{Action, Refused, RejectReason};
use frontdesk::store::{Act, AuditAt, Claim, Store, Which};
use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};

use crate::harness::{ALL, OVERDUE_MS, START_MS};

const MIGRATIONS: [(&str, &str); 3] = [
    ("begin", include_str!("../../migrations/sqlite/0001_begin.sql")),
    ("owners", include_str!("../../migrations/sqlite/0002_owners.sql")),
    ("batches", include_str!("../../migrations/sqlite/0003_batches.sql")),
];

/// Times: `?` stands for the begin of the tests.
const ROWS: &str = "
INSERT INTO tickets (id, seq, subject, queue, created_at, updated_at) VALUES ('T-1', 1, 'Parcel', 'support', ?, ?);
INSERT INTO jobs (id, project, key, event_id, event_type, resource_id, delivery_id, state, since, queued_at, claimable_at, forget_at, claims,
                  attempts, worker, outcome, reason, error_cause, error_detail, ticket_id, workflow, submission_id) VALUES
  (1, 'default', 'event/e1', 'e1', 'response.completed', 'r1', 'w1', 'queued', ?, ?, ?, ? + 1000, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (2, 'default', 'event/e2', 'e2', 'response.completed', 'r2', 'w2', 'processing', ?, ?, ? + 30000, ? + 2000, 1, 1, 'w', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (3, 'default', 'event/e3', 'e3', 'response.completed', 'r3', 'w3', 'processed', ?, ?, NULL, ?, 1, 1, NULL, 'applied', NULL, NULL, NULL, 'T-1', 'summary', 's3'),
  (4, 'default', 'event/e4', 'e4', 'response.completed', 'r4', 'w4', 'processed', ?, ?, NULL, ?, 1, 1, NULL, 'held', 'customer_facing', NULL, NULL, 'T-1', 'draft_reply', NULL),
  (5, 'default', 'event/e5', 'e5', 'response.completed', 'r5', 'w5', 'processed', ?, ?, NULL, ?, 1, 1, NULL, 'ignored', 'nothing', NULL, NULL, NULL, NULL, NULL),
  (6, 'default', 'event/e6', 'e6', 'response.completed', 'r6', 'w6', 'failed_retryable', ?, ?, ?, ?, 1, 1, NULL, NULL, NULL, 'openai_server', 'HTTP 500', NULL, NULL, NULL),
  (7, 'default', 'event/e7', 'e7', 'response.failed', 'r7', 'w7', 'failed_final', ?, ?, NULL, ?, 1, 1, NULL, NULL, NULL, 'resource_failed', 'x', NULL, NULL, 's7'),
  (8, 'default', 'event/e8', 'e8', 'response.failed', 'r8', 'w8', 'failed_final', ?, ?, NULL, ?, 1, 1, NULL, 'discarded', 'lena: no', 'resource_failed', 'x', NULL, NULL, NULL);
INSERT INTO alerts (kind, subject, detail, opened_at, last_at) VALUES ('resource_failed', 'default', 'x', ?, ?);
INSERT INTO effects (project, resource_id, ticket_id, slot, ref, payload, state, job_id, external_id, planned_at, applied_at) VALUES
  ('default', 'r3', 'T-1', 'note', 'fd_3', '{\"do\":\"note\",\"text\":\"n\"}', 'applied', 3, 'message/1', ?, ?),
  ('default', 'r4', 'T-1', 'draft', 'fd_4', '{\"do\":\"draft\",\"text\":\"d\"}', 'applied', 4, 'draft/1', ?, ?),
  ('default', 'r2', 'T-1', 'note', 'fd_2', '{\"do\":\"note\",\"text\":\"n2\"}', 'applying', 2, NULL, ?, NULL);
INSERT INTO messages (ticket_id, author, visibility, body, ref, created_at) VALUES
  ('T-1', 'frontdesk', 'internal', 'n', 'fd_3', ?), ('T-1', 'customer', 'public', 'Hello', NULL, ?), ('T-1', 'agent', 'public', 'Hi', NULL, ?);
INSERT INTO drafts (ticket_id, body, ref, created_at) VALUES ('T-1', 'd', 'fd_4', ?);
INSERT INTO reviews (id, seq, reason, detail, project, ticket_id, resource_id, workflow, job_id, proposed, output, created_at) VALUES
  ('rev_4', 1, 'customer_facing', 'a person sends it', 'default', 'T-1', 'r4', 'draft_reply', 4, '[{\"slot\":\"reply\",\"text\":\"d\"}]', 'd', ?);
INSERT INTO submissions (id, project, ticket_id, workflow, prompt_version, ticket_revision, state, resource_id, created_at, started_at, ended_at, error_cause, actor) VALUES
  ('s1', 'default', 'T-1', 'summary', '1', 1, 'starting', NULL, ?, NULL, NULL, NULL, 'lena'),
  ('s2', 'default', 'T-1', 'summary', '1', 1, 'started', 'r20', ?, ?, NULL, NULL, 'lena'),
  ('s3', 'default', 'T-1', 'summary', '1', 1, 'ended', 'r3', ?, ?, ?, NULL, 'lena'),
  ('s5', 'default', 'T-1', 'summary', '1', 1, 'refused', NULL, ?, NULL, NULL, 'openai_refused', 'lena'),
  ('s6', 'default', 'T-1', 'summary', '1', 1, 'unknown', NULL, ?, NULL, NULL, 'openai_server', 'lena'),
  ('s7', 'default', 'T-1', 'summary', '1', 1, 'ended', 'r7', ?, ?, ?, NULL, 'lena');
INSERT INTO deliveries (project, delivery_id, event_id, event_type, resource_id, job_key, body, body_sha256, signed_at, secret_hint, received_at, note)
  SELECT 'default', delivery_id, event_id, event_type, resource_id, key, x'7b7d', x'00', ?, 'h', ?, NULL FROM jobs;
INSERT INTO deliveries (project, delivery_id, event_id, event_type, resource_id, body_sha256, signed_at, secret_hint, received_at, note)
  VALUES ('default', 'w9', 'e9', 'eval.run.failed', 'eval_1', x'00', ?, 'h', ?, 'nobody handles this type');
";

fn of_version_1(path: &std::path::Path) {
    let old = Connection::open(path).unwrap();
    old.execute_batch(
        "CREATE TABLE migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT",
    )
    .unwrap();
    apply(&old, 1);
    old.execute_batch(&ROWS.replace('?', &START_MS.to_string())).unwrap();
}

fn apply(old: &Connection, version: u8) {
    let (name, sql) = MIGRATIONS[usize::from(version) - 1];
    old.execute_batch(sql).unwrap();
    let digest: String = Sha256::digest(sql).iter().map(|byte| format!("{byte:02x}")).collect();
    old.execute("INSERT INTO migrations VALUES (?1, ?2, ?3)", params![version, name, digest]).unwrap();
}

#[tokio::test]
async fn rows_of_version_1_in_every_state_are_kept_and_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    of_version_1(&path);
    let store = Store::open(&frontdesk::store::Location::Sqlite(path.clone()), true).unwrap();
    let sql = Connection::open(&path).unwrap();
    let broken: i64 = sql.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    assert_eq!(broken, 0);
    let counts: (i64, i64, i64, i64, i64) = sql
        .query_row(
            "SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM effects), (SELECT count(*) FROM messages),
                    (SELECT count(*) FROM submissions), (SELECT count(*) FROM reviews)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
        )
        .unwrap();
    assert_eq!(counts, (8, 3, 3, 6, 1));
    let rules = async |now_ms| {
        let found = store.audit(AuditAt { now_ms, overdue_ms: OVERDUE_MS }).await.unwrap().findings;
        found.into_iter().map(|finding| finding.thing).collect::<Vec<_>>()
    };
    assert_eq!(rules(START_MS).await, Vec::<&str>::new(), "nothing is accused of what nobody knew of then");
    let old = rules(START_MS + OVERDUE_MS + 1).await;
    assert!(!old.is_empty() && old.iter().all(|thing| *thing == "job"), "only what nobody works: {old:?}");
    assert_eq!(store.tell_parked(|_| Some("eval_ended"), START_MS).await.unwrap(), [], "old ones are no news");

    let claim = Claim {
        worker: "w".to_owned(),
        project: "default".to_owned(),
        limit: 10,
        which: Which::SoonestForgotten,
        lease_ms: 30_000,
        now_ms: START_MS + 60_000,
        max_attempts: 5,
    };
    let mut claimed: Vec<String> = store.claim(claim).await.unwrap().into_iter().map(|job| job.resource_id).collect();
    claimed.sort();
    assert_eq!(claimed, ["r1", "r2", "r6"]);
    let lost = store.age_unanswered(START_MS + 10_000_000, START_MS + 5_000_000).await.unwrap().lost;
    assert_eq!(lost.len(), 2, "s1 and s6: nobody ever heard of them");
}

#[tokio::test]
async fn a_review_of_version_1_can_be_rejected_and_offers_nothing_to_approve() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    of_version_1(&path);
    let store = Store::open(&frontdesk::store::Location::Sqlite(path.clone()), true).unwrap();
    let act = |action| Act {
        review: "rev_4".to_owned(),
        version: None,
        person: Person { name: "lena".to_owned(), role: Role::Agent },
        action,
        lease_ms: 1,
        now_ms: START_MS,
    };
    let refused = store.act_on_review(act(Action::yes())).await.unwrap().unwrap();
    assert_eq!(refused, Err(Refused::NothingToApprove));
    let no = Action::Reject { reason: RejectReason::OutOfDate, said: "out of date".to_owned() };
    assert_eq!(store.act_on_review(act(no)).await.unwrap().unwrap().unwrap().state, "rejected");
    assert_eq!(store.reviews(None, None, None, ALL).await.unwrap().items.len(), 1);
}

/// Rows that did not come in the order of their keys, with gaps.
const UNORDERED: &str = "
INSERT INTO results (rowid, project, resource_id, raw, fetched_at) VALUES
  (3, 'default', 'r9', 'nine', 1), (5, 'default', 'r1', 'one', 2), (8, 'other', 'r1', NULL, 3);
INSERT INTO desk_changes (rowid, ref, ticket_id, before, after, created_at) VALUES
  (2, 'fd_z', 'T-1', '{}', '{}', 1), (4, 'fd_a', 'T-1', '{}', '{}', 2), (9, 'fd_m', 'T-1', '{}', '{}', 3);
DELETE FROM submissions WHERE id = 's3';
UPDATE submissions SET rowid = 40 WHERE id = 's1';
INSERT INTO tallies VALUES ('applied', 3), ('failed_final', 1), ('found_by_poll', 2), ('batch/result/ok', 5), ('batch/fate/applied', 4);
";

fn in_order(sql: &Connection, number: &str) -> Vec<(i64, String)> {
    let mut rows = Vec::new();
    for (table, key) in [("submissions", "id"), ("results", "resource_id || project"), ("desk_changes", "ref")] {
        let mut list = sql.prepare(&format!("SELECT {number}, {key} FROM {table} ORDER BY {number}")).unwrap();
        rows.extend(list.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap));
    }
    rows
}

#[tokio::test]
async fn rows_of_version_3_keep_their_order_and_what_was_counted_stays_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("desk.db");
    of_version_1(&path);
    let sql = Connection::open(&path).unwrap();
    sql.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    apply(&sql, 2);
    apply(&sql, 3);
    sql.execute_batch(UNORDERED).unwrap();
    let before = in_order(&sql, "rowid");
    assert_eq!(before.len(), 11);

    let store = Store::open(&frontdesk::store::Location::Sqlite(path.clone()), true).unwrap();
    assert_eq!(in_order(&sql, "seq"), before);
    let newest_first = store.submissions(None, None, ALL).await.unwrap().items;
    let ids: Vec<&str> = newest_first.iter().map(|submission| submission.id.as_str()).collect();
    assert_eq!(ids, ["s1", "s7", "s6", "s5", "s2"]);
    let kept: String = sql.query_row("SELECT raw FROM results WHERE resource_id = 'r9'", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, "nine");

    let was = [("applied".to_owned(), 3), ("failed_final".to_owned(), 1)];
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.outcomes, was);
    assert_eq!(counts.found_first, [("poll".to_owned(), 2)]);
    assert_eq!(
        (counts.batches.entered, counts.batches.ended),
        (vec![("ok".to_owned(), 5)], vec![("applied".to_owned(), 4)])
    );
    sql.execute_batch("INSERT INTO tallies VALUES ('applied', 7, 4), ('failed_final', 1, -1)").unwrap();
    let summed = store.counts().await.unwrap().outcomes;
    assert_eq!(summed, [("applied".to_owned(), 7), ("failed_final".to_owned(), 0)], "a count is the sum of its shards");
}
