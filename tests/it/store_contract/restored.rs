//! A database that knows that it was restored.

use frontdesk::domain::effect::Effect;
use frontdesk::store::{Intent, Restored, Standing, Work};

use super::{Fresh, for_every_store};
use crate::harness::START_MS;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

for_every_store! {
    a_database_that_is_worked_with_for_the_first_time_is_not_a_restored_one,
    a_person_says_that_it_was_restored_and_the_last_time_counts,
    an_intent_of_older_work_may_be_there_and_one_of_newer_work_is_new,
    an_identity_that_is_another_one_is_noticed_once,
    a_ticket_made_after_the_restore_is_not_the_one_that_older_work_names,
}

async fn a_database_that_is_worked_with_for_the_first_time_is_not_a_restored_one(fresh: Fresh) {
    for _ in 0..2 {
        assert_eq!(fresh.store.notice_restore(START_MS).await, Ok(None));
    }
    assert_eq!(fresh.store.restored().await, Ok(None));
}

async fn a_person_says_that_it_was_restored_and_the_last_time_counts(fresh: Fresh) {
    for at_ms in [START_MS, START_MS + HOUR_MS] {
        let marked = fresh.store.mark_restored("ada".to_owned(), at_ms).await.unwrap();
        assert_eq!(marked.restored, Restored { at_ms, copied_at_ms: None });
        assert_eq!(fresh.store.restored().await, Ok(Some(marked.restored)));
    }
    assert_eq!(fresh.store.notice_restore(START_MS).await, Ok(None), "it is known already");
}

async fn an_intent_of_older_work_may_be_there_and_one_of_newer_work_is_new(fresh: Fresh) {
    fresh.queued(5).await;
    let job_id = fresh.claim_at(START_MS, 1).await[0].id();
    let standing = async |made_at_ms: Option<i64>, resource: &str| {
        let (project, resource_id, ticket_id) = ("default".to_owned(), resource.to_owned(), "T-1".to_owned());
        let work = made_at_ms.map(|made_at_ms| Work {
            project: project.clone(),
            resource_id: resource_id.clone(),
            ticket_id: ticket_id.clone(),
            workflow: "summary".to_owned(),
            made_at_ms,
        });
        let effect = Effect::Note { text: "It is late.".to_owned() };
        let intent = Intent { project, resource_id, ticket_id, effect, job_id };
        fresh.store.plan(work, vec![intent], START_MS).await.unwrap().planned[0].standing
    };
    assert_eq!(standing(Some(START_MS - HOUR_MS), "resp_0").await, Standing::New, "nothing was restored");
    fresh.store.mark_restored("ada".to_owned(), START_MS).await.unwrap();
    assert_eq!(standing(Some(START_MS - MINUTE_MS), "resp_1").await, Standing::MayBeThere);
    assert_eq!(standing(None, "resp_2").await, Standing::MayBeThere, "nobody knows how old it is");
    assert_eq!(standing(Some(START_MS + 4 * MINUTE_MS), "resp_3").await, Standing::MayBeThere, "clocks differ");
    assert_eq!(standing(Some(START_MS + 5 * MINUTE_MS), "resp_4").await, Standing::New);
}

async fn an_identity_that_is_another_one_is_noticed_once(fresh: Fresh) {
    assert_eq!(fresh.store.notice_restore(START_MS).await, Ok(None));
    let changed = fresh.sql().execute("UPDATE marks SET name = 'identity/another' WHERE name LIKE 'identity/%'", []);
    assert_eq!(changed.unwrap(), 1);
    let marked = fresh.store.notice_restore(START_MS + HOUR_MS).await.unwrap().unwrap();
    assert_eq!(marked.restored, Restored { at_ms: START_MS + HOUR_MS, copied_at_ms: None });
    assert_eq!(fresh.store.notice_restore(START_MS + 2 * HOUR_MS).await, Ok(None));
}

async fn a_ticket_made_after_the_restore_is_not_the_one_that_older_work_names(fresh: Fresh) {
    let another =
        async |ticket: &str, made_at_ms| fresh.store.is_another_ticket(ticket.to_owned(), made_at_ms).await.unwrap();
    fresh.sql().execute_batch(&format!(
        "INSERT INTO tickets (id, seq, subject, queue, created_at, updated_at) VALUES ('T-old', 1, '', 'q', {START_MS}, {START_MS}),
         ('T-new', 2, '', 'q', {0}, {0})", START_MS + 2 * HOUR_MS)).unwrap();
    assert!(!another("T-new", Some(START_MS)).await, "nothing was restored");
    fresh.store.mark_restored("ada".to_owned(), START_MS + HOUR_MS).await.unwrap();
    assert!(another("T-new", Some(START_MS)).await && another("T-new", None).await);
    assert!(!another("T-old", Some(START_MS)).await);
    assert!(!another("T-new", Some(START_MS + 2 * HOUR_MS)).await);
}
