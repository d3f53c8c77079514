//! Alerts and tokens: what operators are told, and who may ask.

use frontdesk::domain::failure::Cause;
use frontdesk::domain::person::{Person, Role};
use frontdesk::store::{Alert, Changed, Discarded, NewSubmission, PageRequest};

use super::{Fresh, for_every_store, gave_up, placement};
use crate::harness::{ALL, START_MS, event, signed};

for_every_store! {
    an_alert_opens_once_closes_once_and_can_open_again,
    alerts_of_another_kind_or_subject_are_others,
    many_who_raise_one_alert_at_once_are_told_of_one_opening,
    an_alert_about_failed_jobs_is_over_when_a_person_has_dealt_with_the_last_of_them,
    a_discard_ends_the_submission_that_the_job_came_from,
    the_conditions_of_a_kind_are_set_all_at_once,
    a_notice_is_over_at_once_and_may_come_again,
    alerts_are_listed_newest_first_with_what_was_sent_of_them,
    a_message_is_claimed_by_one_and_settled_only_by_who_claimed_it_last,
    parked_deliveries_are_read_once_and_in_order,
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

async fn the_conditions_of_a_kind_are_set_all_at_once(fresh: Fresh) {
    let set = |list: &[(&str, &str)], at_ms| {
        let list = list.iter().map(|(subject, detail)| ((*subject).to_owned(), (*detail).to_owned())).collect();
        fresh.store.set_conditions("received", list, START_MS + at_ms)
    };
    fresh.raise("overdue", "a", START_MS).await;
    let changed = set(&[("a", "1"), ("b", "1")], 0).await.unwrap();
    let opened = |subject: &str| (subject.to_owned(), "1".to_owned());
    assert_eq!((changed.opened, changed.closed.len()), (vec![opened("a"), opened("b")], 0));
    assert_eq!(set(&[("a", "1"), ("b", "2")], 1).await.unwrap(), Changed::default(), "another detail is no news");
    let times = |alerts: &[Alert], subject: &str| {
        let found = alerts.iter().find(|alert| alert.kind == "received" && alert.subject == subject).unwrap();
        (found.times, found.detail.clone(), found.last_at_ms - START_MS)
    };
    let open = fresh.store.open_alerts().await.unwrap();
    assert_eq!(times(&open, "a"), (1, "1".to_owned(), 0), "what stands as it stood is not written again");
    assert_eq!(times(&open, "b"), (2, "2".to_owned(), 1));
    let changed = set(&[("b", "2")], 2).await.unwrap();
    assert_eq!((changed.opened.len(), changed.closed), (0, vec!["a".to_owned()]));
    assert_eq!(set(&[], 3).await.unwrap().closed, ["b"]);
    assert_eq!(fresh.store.open_alerts().await.unwrap()[0].kind, "overdue", "another kind is left alone");
}

async fn a_notice_is_over_at_once_and_may_come_again(fresh: Fresh) {
    for at_ms in [START_MS, START_MS + 1] {
        fresh.store.notice("eval_ended", "evalrun_1".to_owned(), "eval.run.failed".to_owned(), at_ms).await.unwrap();
    }
    assert!(fresh.store.open_alerts().await.unwrap().is_empty());
    let all = fresh.store.alerts(false, ALL).await.unwrap().items;
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|alert| alert.notice && alert.closed_at_ms == Some(alert.opened_at_ms)));
}

async fn alerts_are_listed_newest_first_with_what_was_sent_of_them(fresh: Fresh) {
    for (n, subject) in ["a", "b", "c"].iter().enumerate() {
        fresh.raise("overdue", subject, START_MS + i64::try_from(n).unwrap()).await;
    }
    fresh.close("overdue", "b").await;
    fresh.store.plan_sends("email".to_owned(), None, START_MS).await.unwrap();
    let subjects = |alerts: Vec<Alert>| alerts.into_iter().map(|alert| alert.subject).collect::<Vec<_>>();
    assert_eq!(subjects(fresh.store.alerts(true, ALL).await.unwrap().items), ["c", "a"]);
    let first = fresh.store.alerts(false, PageRequest { limit: 2, cursor: None }).await.unwrap();
    assert_eq!(first.items[0].sends.len(), 1);
    assert_eq!((first.items[0].sends[0].channel.as_str(), first.items[1].sends.len()), ("email", 0));
    assert_eq!(subjects(first.items), ["c", "b"]);
    let rest = fresh.store.alerts(false, PageRequest { limit: 2, cursor: first.next }).await.unwrap();
    assert_eq!((subjects(rest.items), rest.next), (vec!["a".to_owned()], None));
}

async fn a_message_is_claimed_by_one_and_settled_only_by_who_claimed_it_last(fresh: Fresh) {
    let claim = |at_ms: i64| fresh.store.claim_send("email".to_owned(), 100, START_MS + at_ms);
    fresh.raise("overdue", "a", START_MS).await;
    assert!(claim(0).await.unwrap().is_none(), "nothing is planned");
    fresh.store.plan_sends("email".to_owned(), None, START_MS).await.unwrap();
    let first = claim(0).await.unwrap().expect("it is due");
    assert!(claim(99).await.unwrap().is_none(), "it is claimed");
    let second = claim(100).await.unwrap().expect("the lease is over");
    assert_eq!((first.attempt, second.attempt, first.id), (1, 2, second.id));
    fresh.store.sent("email".to_owned(), &first, START_MS + 101).await.unwrap();
    let state = async || fresh.store.alerts(true, ALL).await.unwrap().items[0].sends[0].clone();
    assert_eq!(state().await.state, "waiting");
    fresh.store.not_sent(&second, "HTTP 500".to_owned(), Some(START_MS + 300)).await.unwrap();
    let waiting = state().await;
    assert_eq!((waiting.next_at_ms, waiting.error.as_deref()), (Some(START_MS + 300), Some("HTTP 500")));
    let third = claim(300).await.unwrap().expect("it is due again");
    fresh.store.not_sent(&third, "HTTP 500".to_owned(), None).await.unwrap();
    assert_eq!(state().await.state, "given_up");
    assert!(claim(9_000).await.unwrap().is_none());
}

async fn parked_deliveries_are_read_once_and_in_order(fresh: Fresh) {
    let kind_of = |event_type: &str| (event_type == "eval.run.failed").then_some("eval_ended");
    let park = async |n: usize, event_type: &str| {
        let body = event(&format!("evt_{n}"), event_type, &format!("evalrun_{n}"));
        fresh.store.record(signed("default", &format!("wh_{n}"), &body, START_MS)).await.unwrap();
    };
    park(1, "eval.run.failed").await;
    park(2, "video.failed").await;
    park(3, "eval.run.failed").await;
    let told = fresh.store.tell_parked(kind_of, START_MS).await.unwrap();
    assert_eq!(told.iter().map(|notice| notice.subject.as_str()).collect::<Vec<_>>(), ["evalrun_1", "evalrun_3"]);
    assert!(fresh.store.tell_parked(kind_of, START_MS).await.unwrap().is_empty());
    park(4, "eval.run.failed").await;
    assert_eq!(fresh.store.tell_parked(kind_of, START_MS).await.unwrap().len(), 1);
}

async fn a_token_is_stored_as_a_hash_and_found_by_its_secret(fresh: Fresh) {
    for role in [Role::Agent, Role::Lead, Role::Admin] {
        let (name, secret) = (format!("ada-{}", role.word()), format!("fdt_secret_{}", role.word()));
        assert!(
            fresh.store.create_token(name.clone(), role, secret.clone(), "test".to_owned(), START_MS).await.unwrap()
        );
        assert_eq!(fresh.store.token(&secret).await.unwrap(), Some(Person { name, role }));
    }
    assert_eq!(fresh.store.token("fdt_secret").await.unwrap(), None);
    assert_eq!(fresh.store.token("").await.unwrap(), None);
    let sql = fresh.sql();
    let rows: Vec<(String, Vec<u8>)> =
        sql.rows("SELECT name || role, hash FROM tokens", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(rows.len(), 3);
    for (text, hash) in rows {
        assert!(!text.contains("secret") && !String::from_utf8_lossy(&hash).contains("secret"));
    }
}

async fn a_revoked_token_is_nobodys(fresh: Fresh) {
    let (name, secret) = ("ada".to_owned(), "fdt_secret".to_owned());
    assert!(!fresh.store.revoke_token(name.clone(), "test".to_owned(), START_MS).await.unwrap(), "there is none yet");
    fresh.store.create_token(name.clone(), Role::Lead, secret.clone(), "test".to_owned(), START_MS).await.unwrap();
    assert!(fresh.store.revoke_token(name.clone(), "test".to_owned(), START_MS + 1).await.unwrap());
    assert_eq!(fresh.store.token(&secret).await.unwrap(), None);
    assert!(!fresh.store.revoke_token(name.clone(), "test".to_owned(), START_MS + 2).await.unwrap(), "once");
    let tokens = fresh.store.tokens().await.unwrap();
    assert_eq!(tokens, [(Person { name, role: Role::Lead }, START_MS, Some(START_MS + 1))]);
}

async fn a_name_is_taken_once(fresh: Fresh) {
    let create = |secret: &str| {
        fresh.store.create_token("ada".to_owned(), Role::Agent, secret.to_owned(), "test".to_owned(), START_MS)
    };
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
