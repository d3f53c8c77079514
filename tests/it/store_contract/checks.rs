//! The database refuses rows that the types cannot hold, whoever writes them.

use frontdesk::store::{SCHEMA_VERSION, Store, StoreError};

use super::{Fresh, for_every_store, placement};
use crate::harness::START_MS;

for_every_store! {
    a_job_in_an_impossible_state_is_refused,
    other_impossible_rows_are_refused,
    the_gates_are_unique_keys,
    a_database_that_this_program_does_not_know_is_not_opened,
}

/// Each statement breaks a rule on a row that is otherwise there and good.
fn refused(fresh: &Fresh, statements: &[&str]) {
    fresh.sql().with(|connection| {
        if connection.sqlite().is_some() {
            connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        }
        for statement in statements {
            let error = StoreError::from(connection.execute(statement, []).expect_err(statement));
            let is_of_a_rule = match &error {
                StoreError::Sqlite { code, .. } => *code == 19,
                StoreError::Postgres { code, .. } => code.starts_with("23"),
                _ => false,
            };
            assert!(is_of_a_rule, "{statement}: {error}");
        }
    });
}

async fn a_job_in_an_impossible_state_is_refused(fresh: Fresh) {
    fresh.queued(1).await;
    refused(
        &fresh,
        &[
            "UPDATE jobs SET state = 'received'",
            "UPDATE jobs SET state = 'anything'",
            "UPDATE jobs SET claimable_at = NULL",
            "UPDATE jobs SET worker = 'w'",
            "UPDATE jobs SET outcome = 'applied'",
            "UPDATE jobs SET outcome = 'discarded'",
            "UPDATE jobs SET state = 'processing'",
            "UPDATE jobs SET state = 'processing', worker = 'w', claimable_at = NULL",
            "UPDATE jobs SET state = 'failed_retryable'",
            "UPDATE jobs SET state = 'failed_retryable', error_cause = 'internal', outcome = 'held'",
            "UPDATE jobs SET state = 'failed_final', claimable_at = NULL",
            "UPDATE jobs SET state = 'failed_final', error_cause = 'internal'",
            "UPDATE jobs SET state = 'failed_final', claimable_at = NULL, error_cause = 'internal', outcome = 'applied'",
            "UPDATE jobs SET state = 'processed', claimable_at = NULL, outcome = 'discarded'",
            "UPDATE jobs SET state = 'processed', claimable_at = NULL, outcome = 'anything'",
            "UPDATE jobs SET state = 'processed', outcome = 'applied'",
            "UPDATE jobs SET state = 'processed', claimable_at = NULL",
        ],
    );
}

async fn other_impossible_rows_are_refused(fresh: Fresh) {
    fresh.queued(1).await;
    fresh.ticket("T-1").await;
    let effect = "INSERT INTO effects (project, resource_id, ticket_id, slot, ref, state, job_id, planned_at, applied_at) VALUES ";
    let message = "INSERT INTO messages (ticket_id, author, visibility, body, created_at) VALUES ";
    refused(
        &fresh,
        &[
            "UPDATE deliveries SET job_key = NULL",
            &format!("{effect} ('p', 'r', 'T-1', 'note', 'fd_1', 'applied', 1, 1, NULL)"),
            &format!("{effect} ('p', 'r', 'T-1', 'note', 'fd_1', 'applying', 1, 1, 1)"),
            &format!("{effect} ('p', 'r', 'T-1', 'note', 'fd_1', 'done', 1, 1, 1)"),
            &format!("{effect} ('p', 'r', 'T-1', 'note', 'fd_1', 'applying', 77, 1, NULL)"),
            &format!("{message} ('T-1', 'frontdesk', 'public', 'seen by a customer', 1)"),
            &format!("{message} ('T-1', 'nobody', 'internal', '', 1)"),
            &format!("{message} ('T-9', 'agent', 'internal', '', 1)"),
            "UPDATE tickets SET priority = 'very high'",
            "INSERT INTO tokens (name, role, hash, created_at) SELECT 'n', 'root', body_sha256, 1 FROM deliveries",
            "INSERT INTO submissions (id, project, ticket_id, workflow, prompt_version, ticket_revision, state, created_at, actor)
             VALUES ('sub_1', 'p', 'T-1', 'w', '1', 1, 'started', 1, 'a')",
        ],
    );
}

async fn the_gates_are_unique_keys(fresh: Fresh) {
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    let intent = frontdesk::store::Intent {
        project: "default".to_owned(),
        resource_id: "resp_0".to_owned(),
        ticket_id: placement("T-1", None).ticket_id,
        effect: frontdesk::domain::effect::Effect::Note { text: "one".to_owned() },
        job_id: job.id(),
    };
    fresh.store.plan(None, vec![intent], START_MS).await.unwrap();
    refused(
        &fresh,
        &[
            "INSERT INTO deliveries (project, delivery_id, job_key, body_sha256, signed_at, secret_hint, received_at)
             SELECT project, delivery_id, job_key, body_sha256, signed_at, secret_hint, received_at FROM deliveries",
            "INSERT INTO jobs (project, key, event_type, resource_id, state, since, queued_at, claimable_at, forget_at)
             SELECT project, key, event_type, resource_id, 'queued', since, queued_at, 1, forget_at FROM jobs",
            "INSERT INTO effects (project, resource_id, ticket_id, slot, ref, state, job_id, planned_at)
             SELECT project, resource_id, ticket_id, slot, 'fd_other', state, job_id, planned_at FROM effects",
        ],
    );
}

async fn a_database_that_this_program_does_not_know_is_not_opened(fresh: Fresh) {
    let path = fresh.database.location.clone();
    assert_eq!(Store::migrate(&path).unwrap().to, SCHEMA_VERSION);
    let empty = fresh.database.empty_one();
    assert!(
        matches!(Store::open(&empty.location, false), Err(StoreError::Open(_))),
        "older, and not allowed to migrate"
    );
    fresh.sql().execute("UPDATE migrations SET sha256 = 'edited' WHERE version = 1", []).unwrap();
    assert!(matches!(Store::open(&path, true), Err(StoreError::Open(_))), "a migration was changed");
    let newer = format!("INSERT INTO migrations VALUES ({}, 'newer', '')", SCHEMA_VERSION + 1);
    fresh.sql().execute(&newer, []).unwrap();
    let oldest = format!("UPDATE marks SET value = {} WHERE name = 'schema/oldest'", SCHEMA_VERSION + 1);
    fresh.sql().execute(&oldest, []).unwrap();
    for migrate in [true, false] {
        assert!(matches!(Store::open(&path, migrate), Err(StoreError::Open(_))), "newer than this program");
    }
}
