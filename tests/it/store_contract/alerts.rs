//! Alerts and tokens: what operators are told, and who may ask.

use frontdesk::domain::failure::Cause;
use frontdesk::domain::person::{Person, Role};
use frontdesk::store::{Discarded, NewSubmission};

use super::{Fresh, for_every_store, gave_up, placement};
use crate::harness::START_MS;

for_every_store! {
    an_alert_opens_once_closes_once_and_can_open_again,
    alerts_of_another_kind_or_subject_are_others,
    many_who_raise_one_alert_at_once_are_told_of_one_opening,
    an_alert_about_failed_jobs_is_over_when_a_person_has_dealt_with_the_last_of_them,
    a_discard_ends_the_submission_that_the_job_came_from,
    a_token_is_stored_as_a_hash_and_found_by_its_secret,
    a_revoked_token_is_nobodys,
    a_name_is_taken_once,
}

impl Fresh {
    async fn raise(&self, kind: &'static str, subject: &str, at_ms: i64) -> bool {
        let detail = format!("at {at_ms}");
        self.store.raise_alert(kind, subject.to_owned(), detail, at_ms).await.unwrap()
    }

    async fn close(&self, kind: &'static str, subject: &str) -> bool {
        self.store.close_alert(kind, subject.to_owned(), START_MS + 10).await.unwrap()
    }
}

async fn an_alert_opens_once_closes_once_and_can_open_again(fresh: Fresh) {
    assert!(!fresh.close("openai_auth", "default").await, "there is none yet");
    assert!(fresh.raise("openai_auth", "default", START_MS).await);
    assert!(!fresh.raise("openai_auth", "default", START_MS + 1).await);
    let alerts = fresh.store.open_alerts().await.unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!((alerts[0].opened_at_ms, alerts[0].last_at_ms, alerts[0].times), (START_MS, START_MS + 1, 2));
    assert_eq!(alerts[0].detail, format!("at {}", START_MS + 1));
    assert!(fresh.close("openai_auth", "default").await);
    assert!(!fresh.close("openai_auth", "default").await);
    assert!(fresh.store.open_alerts().await.unwrap().is_empty());
    assert!(fresh.raise("openai_auth", "default", START_MS + 20).await, "it is news again");
    let alerts = fresh.store.open_alerts().await.unwrap();
    assert_eq!((alerts.len(), alerts[0].opened_at_ms, alerts[0].times), (1, START_MS + 20, 1));
}

async fn alerts_of_another_kind_or_subject_are_others(fresh: Fresh) {
    for (kind, subject) in [("openai_auth", "default"), ("openai_auth", "second"), ("openai_quota", "default")] {
        assert!(fresh.raise(kind, subject, START_MS).await);
    }
    assert!(fresh.close("openai_auth", "second").await);
    assert_eq!(fresh.store.open_alerts().await.unwrap().len(), 2);
}

async fn many_who_raise_one_alert_at_once_are_told_of_one_opening(fresh: Fresh) {
    let raises = (0..20).map(|n| {
        let store = fresh.store.clone();
        tokio::spawn(async move {
            store.raise_alert("openai_auth", "default".to_owned(), String::new(), START_MS + n).await.unwrap()
        })
    });
    let mut opened = 0;
    for raise in raises.collect::<Vec<_>>() {
        opened += usize::from(raise.await.unwrap());
    }
    assert_eq!(opened, 1);
    assert_eq!(fresh.store.open_alerts().await.unwrap()[0].times, 20);
}

async fn a_token_is_stored_as_a_hash_and_found_by_its_secret(fresh: Fresh) {
    for role in [Role::Agent, Role::Lead, Role::Admin] {
        let (name, secret) = (format!("ada-{}", role.word()), format!("fdt_secret_{}", role.word()));
        assert!(fresh.store.create_token(name.clone(), role, secret.clone(), START_MS).await.unwrap());
        assert_eq!(fresh.store.token(&secret).await.unwrap(), Some(Person { name, role }));
    }
    assert_eq!(fresh.store.token("fdt_secret").await.unwrap(), None);
    assert_eq!(fresh.store.token("").await.unwrap(), None);
    let sql = fresh.sql();
    let mut list = sql.prepare("SELECT name || role || hex(hash) || CAST(hash AS TEXT) FROM tokens").unwrap();
    let rows: Vec<Vec<u8>> =
        list.query_map([], |row| Ok(row.get_ref(0)?.as_bytes()?.to_vec())).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| !String::from_utf8_lossy(row).contains("secret")));
}

async fn a_revoked_token_is_nobodys(fresh: Fresh) {
    let (name, secret) = ("ada".to_owned(), "fdt_secret".to_owned());
    assert!(!fresh.store.revoke_token(name.clone(), START_MS).await.unwrap(), "there is none yet");
    fresh.store.create_token(name.clone(), Role::Lead, secret.clone(), START_MS).await.unwrap();
    assert!(fresh.store.revoke_token(name.clone(), START_MS + 1).await.unwrap());
    assert_eq!(fresh.store.token(&secret).await.unwrap(), None);
    assert!(!fresh.store.revoke_token(name.clone(), START_MS + 2).await.unwrap(), "once");
    let tokens = fresh.store.tokens().await.unwrap();
    assert_eq!(tokens, [(Person { name, role: Role::Lead }, START_MS, Some(START_MS + 1))]);
}

async fn a_name_is_taken_once(fresh: Fresh) {
    let create = |secret: &str| fresh.store.create_token("ada".to_owned(), Role::Agent, secret.to_owned(), START_MS);
    assert!(create("one").await.unwrap());
    assert!(!create("two").await.unwrap());
    assert!(fresh.store.token("one").await.unwrap().is_some());
    assert!(fresh.store.token("two").await.unwrap().is_none());
}

async fn an_alert_about_failed_jobs_is_over_when_a_person_has_dealt_with_the_last_of_them(fresh: Fresh) {
    fresh.queued(3).await;
    let mut ids = Vec::new();
    for (job, cause) in fresh.claim_at(START_MS, 3).await.into_iter().zip([
        Cause::ResourceFailed,
        Cause::ResourceFailed,
        Cause::LostToRetention,
    ]) {
        ids.push(job.id());
        fresh.settle(job, gave_up(cause), START_MS).await;
    }
    let open =
        async || fresh.store.open_alerts().await.unwrap().into_iter().map(|alert| alert.kind).collect::<Vec<_>>();
    assert_eq!(open().await.len(), 2);
    fresh.store.retry_job(ids[0], "ada".to_owned(), None, START_MS).await.unwrap();
    assert_eq!(open().await.len(), 2, "another job still waits for the same cause");
    let discarded = fresh.store.discard_job(ids[1], "lead".to_owned(), "old".to_owned(), START_MS).await.unwrap();
    assert_eq!(discarded, Discarded::Done);
    assert_eq!(open().await, ["lost_to_retention"]);
}

async fn a_discard_ends_the_submission_that_the_job_came_from(fresh: Fresh) {
    let new = NewSubmission {
        id: "sub_1".to_owned(),
        project: "default".to_owned(),
        ticket_id: "T-1".to_owned(),
        workflow: "summary".to_owned(),
        prompt_version: "1".to_owned(),
        ticket_revision: 1,
        actor: "test".to_owned(),
        created_at_ms: START_MS,
        check_at_ms: START_MS,
        deadline_ms: START_MS,
    };
    fresh.store.begin_submission(new).await.unwrap();
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    let id = job.id();
    let place = Some(placement("T-1", Some("sub_1")));
    fresh.store.settle(job, place, super::retry(START_MS + 9, true), START_MS).await.unwrap();
    fresh.store.discard_job(id, "lead".to_owned(), "old".to_owned(), START_MS + 1).await.unwrap();
    let submission = fresh.store.submission("sub_1".to_owned()).await.unwrap().unwrap();
    assert_eq!(submission.state, "ended");
}
