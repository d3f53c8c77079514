//! Deliveries: the first two gates.

use frontdesk::domain::delivery::Receipt;
use frontdesk::domain::job::State;
use frontdesk::store::RefusalTally;

use super::{Fresh, for_every_store};
use crate::harness::{ALL, START_MS, event, signed};

for_every_store! {
    a_delivery_is_stored_with_its_job,
    the_same_webhook_id_again_changes_nothing_and_is_counted,
    the_same_webhook_id_with_another_body_changes_nothing_and_is_counted_apart,
    the_same_webhook_id_of_two_projects_is_two_deliveries,
    an_event_under_many_webhook_ids_at_once_is_one_job,
    an_event_without_an_id_is_known_by_its_webhook_id,
    a_body_that_cannot_be_used_is_received_and_says_why,
    two_hundred_deliveries_at_once_each_get_the_right_receipt,
    refusals_add_up_by_day_project_and_cause,
}

async fn a_delivery_is_stored_with_its_job(fresh: Fresh) {
    assert_eq!(fresh.deliver("wh_1", "evt_1", "resp_1").await, Receipt::Queued);
    let delivery = fresh.store.delivery("wh_1".to_owned()).await.unwrap().unwrap();
    assert_eq!(delivery.status, State::Queued);
    assert_eq!(delivery.event_id.as_deref(), Some("evt_1"));
    assert_eq!(delivery.event_type.as_deref(), Some("response.completed"));
    assert_eq!(delivery.resource_id.as_deref(), Some("resp_1"));
    assert_eq!((delivery.received_at_ms, delivery.copies, delivery.attempt_count), (START_MS, 1, 0));
    let job = fresh.store.job(delivery.job_id.unwrap()).await.unwrap().unwrap();
    assert_eq!((job.key.as_str(), job.delivery_id.as_deref()), ("event/evt_1", Some("wh_1")));
    assert_eq!((job.status, job.next_at_ms), (State::Queued, Some(START_MS)));
}

async fn the_same_webhook_id_again_changes_nothing_and_is_counted(fresh: Fresh) {
    fresh.queued(1).await;
    for copies in 2..=4 {
        assert_eq!(fresh.deliver("wh_0", "evt_0", "resp_0").await, Receipt::Duplicate { altered: false });
        let delivery = fresh.store.delivery("wh_0".to_owned()).await.unwrap().unwrap();
        assert_eq!((delivery.copies, delivery.altered_copies), (copies, 0));
    }
    assert_eq!(fresh.store.jobs(None, ALL).await.unwrap().items.len(), 1);
}

async fn the_same_webhook_id_with_another_body_changes_nothing_and_is_counted_apart(fresh: Fresh) {
    fresh.queued(1).await;
    assert_eq!(fresh.deliver("wh_0", "evt_other", "resp_other").await, Receipt::Duplicate { altered: true });
    let delivery = fresh.store.delivery("wh_0".to_owned()).await.unwrap().unwrap();
    assert_eq!((delivery.copies, delivery.altered_copies), (2, 1));
    assert_eq!(delivery.resource_id.as_deref(), Some("resp_0"));
    let jobs = fresh.store.jobs(None, ALL).await.unwrap().items;
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].resource_id, "resp_0");
}

async fn the_same_webhook_id_of_two_projects_is_two_deliveries(fresh: Fresh) {
    let body = event("evt_1", "response.completed", "resp_1");
    for project in ["default", "second"] {
        let receipt = fresh.store.record(signed(project, "wh_1", &body, START_MS)).await.unwrap();
        assert_eq!(receipt, Receipt::Queued, "{project}");
    }
    assert_eq!(fresh.claim_at(START_MS, 10).await.len(), 1, "each project claims its own");
}

async fn an_event_under_many_webhook_ids_at_once_is_one_job(fresh: Fresh) {
    let body = event("evt_1", "response.completed", "resp_1");
    let records = (0..32).map(|n| {
        let store = fresh.store.clone();
        let delivery = signed("default", &format!("wh_{n}"), &body, START_MS);
        tokio::spawn(async move { store.record(delivery).await.unwrap() })
    });
    let mut receipts = Vec::new();
    for record in records.collect::<Vec<_>>() {
        receipts.push(record.await.unwrap());
    }
    assert_eq!(receipts.iter().filter(|receipt| **receipt == Receipt::Queued).count(), 1);
    assert_eq!(receipts.iter().filter(|receipt| **receipt == Receipt::KnownEvent).count(), 31);
    let jobs = fresh.store.jobs(None, ALL).await.unwrap().items;
    assert_eq!(jobs.len(), 1);
    for n in 0..32 {
        let delivery = fresh.store.delivery(format!("wh_{n}")).await.unwrap().unwrap();
        assert_eq!(delivery.job_id, Some(jobs[0].id), "its state is the one job's");
        let first = jobs[0].delivery_id.clone().filter(|first| *first != delivery.delivery_id);
        assert_eq!(delivery.duplicate_of, first);
    }
}

async fn an_event_without_an_id_is_known_by_its_webhook_id(fresh: Fresh) {
    let body = r#"{"type":"response.completed","data":{"id":"resp_1"}}"#;
    for webhook_id in ["wh_1", "wh_2"] {
        let receipt = fresh.store.record(signed("default", webhook_id, body, START_MS)).await.unwrap();
        assert_eq!(receipt, Receipt::Queued, "nothing says that the two are one");
    }
}

async fn a_body_that_cannot_be_used_is_received_and_says_why(fresh: Fresh) {
    let bodies = [
        "",
        "not json",
        "{}",
        r#"{"type":"video.completed","data":{"id":"v"}}"#,
        r#"{"type":"batch.failed"}"#,
        r#"["evt_1","response.completed",1,{"id":"resp_1"}]"#,
    ];
    for (n, body) in bodies.iter().enumerate() {
        let receipt = fresh.store.record(signed("default", &format!("wh_{n}"), body, START_MS)).await.unwrap();
        assert_eq!(receipt, Receipt::Stored);
        let delivery = fresh.store.delivery(format!("wh_{n}")).await.unwrap().unwrap();
        assert_eq!((delivery.status, delivery.job_id), (State::Received, None));
        assert!(delivery.note.is_some(), "{body:?} says why");
    }
    let again = fresh.store.record(signed("default", "wh_0", "", START_MS)).await.unwrap();
    assert_eq!(again, Receipt::Duplicate { altered: false });
    assert!(fresh.claim_at(START_MS, 10).await.is_empty());
}

async fn two_hundred_deliveries_at_once_each_get_the_right_receipt(fresh: Fresh) {
    // 100 events; each comes twice under its webhook-id, and each fourth once
    // more under another one.
    let mut sent = Vec::new();
    for n in 0..100 {
        let body = event(&format!("evt_{n}"), "response.completed", &format!("resp_{n}"));
        for webhook_id in [format!("wh_{n}"), format!("wh_{n}")] {
            sent.push((n, webhook_id, body.clone()));
        }
        if n % 4 == 0 {
            sent.push((n, format!("wh_{n}_other"), body));
        }
    }
    let records = sent.into_iter().map(|(n, webhook_id, body)| {
        let store = fresh.store.clone();
        let delivery = signed("default", &webhook_id, &body, START_MS);
        tokio::spawn(async move { (n, store.record(delivery).await.unwrap()) })
    });
    let mut receipts = vec![Vec::new(); 100];
    for record in records.collect::<Vec<_>>() {
        let (n, receipt) = record.await.unwrap();
        receipts[n].push(receipt);
    }
    for (n, of_event) in receipts.iter().enumerate() {
        let count = |wanted: Receipt| of_event.iter().filter(|receipt| **receipt == wanted).count();
        assert_eq!(count(Receipt::Queued), 1, "event {n}: {of_event:?}");
        assert_eq!(count(Receipt::Duplicate { altered: false }), 1, "event {n}: {of_event:?}");
        assert_eq!(count(Receipt::KnownEvent), usize::from(n % 4 == 0), "event {n}: {of_event:?}");
    }
    assert_eq!(fresh.store.counts().await.unwrap().deliveries, 125);
}

async fn refusals_add_up_by_day_project_and_cause(fresh: Fresh) {
    let tally = |code, count, last_at_ms| RefusalTally {
        project: "default".to_owned(),
        code,
        count,
        last_at_ms,
        explanation: format!("the last of {count}"),
    };
    let next_day_ms = START_MS + 86_400_000;
    fresh.store.add_refusals(vec![tally("too_old", 2, START_MS), tally("too_new", 1, START_MS)]).await.unwrap();
    fresh.store.add_refusals(vec![tally("too_old", 3, START_MS + 1), tally("too_old", 5, next_day_ms)]).await.unwrap();
    let refused = fresh.store.counts().await.unwrap().refused;
    assert_eq!(refused, [("too_new".to_owned(), 1), ("too_old".to_owned(), 10)]);
    let explained: String = fresh
        .sql()
        .query_row(
            "SELECT explanation FROM refusals WHERE code = 'too_old' AND count = 5 ORDER BY day LIMIT 1",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(explained, "the last of 3");
}
