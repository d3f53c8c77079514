//! What people decide about a batch.

use frontdesk::domain::batch::acts::{Act, Refused};
use frontdesk::domain::person::{Person, Role};
use frontdesk::store::{AuditAt, Batch, BatchAct};

use super::{classified, count};
use crate::harness::{ALL, OVERDUE_MS, REVIEW_OVERDUE_MS, TestDesk};

impl TestDesk {
    /// Mia does it, having looked at this version.
    pub(super) async fn try_act(&self, act: Act, version: Option<i64>) -> Result<Batch, Refused> {
        self.mia_says_of("batch_1", act, version).await
    }

    pub(super) async fn mia_says_of(&self, id: &str, act: Act, version: Option<i64>) -> Result<Batch, Refused> {
        let person = Person { name: "mia".to_owned(), role: Role::Lead };
        let asked = BatchAct { batch: id.to_owned(), version, person, act, now_ms: self.now_ms() };
        self.store.act_on_batch(asked).await.unwrap().expect("the batch exists")
    }

    pub(super) async fn mia_says(&self, act: Act) -> Batch {
        self.try_act(act, None).await.expect("allowed")
    }

    /// A batch of so many tickets, all of the same kind, that waits for a person.
    pub(super) async fn waiting_batch(&mut self, lines: usize) -> Batch {
        self.settings.batch.preview_over = 0;
        self.tickets(lines).await;
        let output: Vec<String> = (1..=lines).map(|n| classified(&format!("T-{n}"), "shipping", "high")).collect();
        let batch = self.batch_ends("completed", &output, &[]).await;
        assert_eq!((batch.state.word(), batch.waits_for.as_deref()), ("waiting", Some("size")));
        batch
    }

    pub(super) async fn applied_batch(&mut self, lines: usize) -> Batch {
        self.waiting_batch(lines).await;
        self.mia_says(Act::Apply).await;
        self.work().await;
        let batch = self.batch().await;
        assert_eq!(batch.state.word(), "applied");
        batch
    }

    async fn trail(&self) -> Vec<(String, String)> {
        let page = self.store.audit_trail(Some("batch_1".to_owned()), None, ALL).await.unwrap();
        page.items.into_iter().rev().map(|entry| (entry.actor, entry.action)).collect()
    }
}

fn by_mia(actions: &[&str]) -> Vec<(String, String)> {
    actions.iter().map(|action| ("mia".to_owned(), (*action).to_owned())).collect()
}

#[tokio::test]
async fn a_change_set_that_waits_goes_onto_the_tickets_when_a_person_says_so() {
    let mut desk = TestDesk::open().await;
    let batch = desk.waiting_batch(3).await;
    assert_eq!(desk.route("T-1").await, (None, "normal".to_owned()));
    assert_eq!(desk.try_act(Act::Apply, Some(batch.version + 1)).await, Err(Refused::Changed { now: 1 }));
    let applying = desk.try_act(Act::Apply, Some(1)).await.unwrap();
    assert_eq!((applying.state.word(), applying.version, applying.in_flight), ("applying", 2, 3));
    assert_eq!((applying.decided_by.as_deref(), applying.decided_at_ms), (Some("mia"), Some(desk.now_ms())));
    assert_eq!(desk.try_act(Act::Apply, Some(1)).await, Err(Refused::Changed { now: 2 }));
    desk.work().await;
    assert_eq!(desk.batch().await.percent_done(), Some(100));
    assert_eq!(desk.route("T-3").await, (Some("shipping".to_owned()), "high".to_owned()));
    assert_eq!(desk.try_act(Act::Apply, None).await, Err(Refused::NotWaiting { state: "applied" }));
    assert_eq!(desk.trail().await, by_mia(&["batch.apply"]));
}

#[tokio::test]
async fn a_rejected_change_set_changes_nothing() {
    let mut desk = TestDesk::open().await;
    desk.waiting_batch(2).await;
    let rejected = desk.mia_says(Act::Reject { reason: Some("too many urgent".to_owned()) }).await;
    assert_eq!((rejected.state.word(), rejected.decided_by.as_deref()), ("rejected", Some("mia")));
    desk.work().await;
    assert_eq!(desk.route("T-1").await, (None, "normal".to_owned()));
    assert_eq!(desk.outcome("T-1").await.0, "ok");
    for act in [Act::Apply, Act::Undo, Act::Resume] {
        desk.try_act(act, None).await.expect_err("it is over");
    }
    assert_eq!(desk.trail().await, by_mia(&["batch.reject"]));
}

#[tokio::test]
async fn a_pause_stops_at_once_and_a_resume_goes_on_where_it_was() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.pace = 60;
    desk.waiting_batch(5).await;
    desk.mia_says(Act::Apply).await;
    desk.work().await;
    let paused = desk.mia_says(Act::Pause { reason: Some("lunch".to_owned()) }).await;
    assert_eq!((paused.paused_by.as_deref(), paused.pause_reason.as_deref()), (Some("mia"), Some("lunch")));
    assert_eq!((count(&paused, "fate/applied"), paused.in_flight), (1, 0));
    assert_eq!(desk.try_act(Act::Pause { reason: None }, None).await, Err(Refused::Paused));
    desk.clock.advance(600_000);
    assert_eq!(desk.work().await, 0);
    let at = AuditAt { now_ms: desk.now_ms(), overdue_ms: OVERDUE_MS };
    assert_eq!(desk.store.audit(at).await.unwrap().findings, [], "a person keeps it");
    let resumed = desk.mia_says(Act::Resume).await;
    assert_eq!((resumed.paused_by, resumed.in_flight, resumed.version), (None, 4, 4));
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(count(&desk.batch().await, "fate/applied"), 5);
    assert_eq!(desk.trail().await, by_mia(&["batch.apply", "batch.pause", "batch.resume"]));
}

#[tokio::test]
async fn a_batch_that_stopped_by_itself_goes_on_until_as_many_fail_once_more() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.pace = 60;
    desk.settings.batch.stop_after = 2;
    desk.waiting_batch(8).await;
    desk.mia_says(Act::Apply).await;
    desk.sql().execute("UPDATE results SET raw = NULL WHERE resource_id LIKE 'batch_1/%'", []).unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.batch().await.paused_by.as_deref(), Some("frontdesk"));
    assert!(desk.alerts_about("batch_1").await.contains(&"batch_stopped".to_owned()));
    let resumed = desk.mia_says(Act::Resume).await;
    assert_eq!((count(&resumed, "fate/failed"), resumed.paused_by), (2, None));
    assert!(!desk.alerts_about("batch_1").await.contains(&"batch_stopped".to_owned()));
    desk.work_to_the_end(&desk.worker()).await;
    let batch = desk.batch().await;
    assert_eq!((count(&batch, "fate/failed"), batch.paused_by.as_deref()), (4, Some("frontdesk")));
}

#[tokio::test]
async fn a_change_set_that_nobody_decides_is_an_alert_by_its_age_until_somebody_does() {
    let mut desk = TestDesk::open().await;
    desk.waiting_batch(2).await;
    let worker = desk.worker();
    let told = async || desk.alerts_about("batch_1").await.contains(&"batch_waiting".to_owned());
    desk.clock.advance(REVIEW_OVERDUE_MS);
    worker.watch().await;
    assert!(!told().await);
    desk.clock.advance(1);
    worker.watch().await;
    assert!(told().await);
    let alert = desk.store.open_alerts().await.unwrap().into_iter().find(|alert| alert.kind == "batch_waiting");
    assert!(alert.unwrap().detail.starts_with("a change-set of 2 tickets waits for a decision since 20"));
    desk.mia_says(Act::Reject { reason: None }).await;
    worker.watch().await;
    assert!(!told().await, "it is over by itself");
}

#[tokio::test]
async fn nobody_decides_about_a_batch_that_is_not_there() {
    let desk = TestDesk::open().await;
    let person = Person { name: "mia".to_owned(), role: Role::Lead };
    let asked =
        BatchAct { batch: "bat_none".to_owned(), version: None, person, act: Act::Apply, now_ms: desk.now_ms() };
    assert_eq!(desk.store.act_on_batch(asked).await.unwrap(), None);
}
