//! What the watchers make of parked deliveries and old reviews, and that no
//! word of a customer, a model or a secret is ever told.

use serde_json::json;

use super::fakes::{FakeHook, FakeSmtp};
use super::{email, slack, webhook};
use crate::fake_openai::{Answer, completed, ended, to};
use crate::harness::{ALL, REVIEW_OVERDUE_MS, TestDesk, event};
use frontdesk::domain::delivery::Receipt;
use frontdesk::domain::job::State;

impl TestDesk {
    async fn parked(&self, n: usize, event_type: &str, resource_id: &str) {
        let body = event(&format!("evt_{n}"), event_type, resource_id);
        assert_eq!(self.deliver_to("default", &format!("wh_{n}"), &body).await, Receipt::Stored);
    }

    async fn notices(&self) -> Vec<(String, String, String)> {
        let alerts = self.store.alerts(false, ALL).await.unwrap().items;
        let notices = alerts.into_iter().filter(|alert| alert.notice);
        notices.map(|alert| (alert.kind, alert.subject, alert.detail)).collect()
    }

    async fn received(&self) -> i64 {
        let counts = self.store.counts().await.unwrap();
        counts.states.iter().find(|count| count.state == State::Received).unwrap().count
    }

    async fn detail_of(&self, subject: &str) -> Option<String> {
        let alerts = self.store.open_alerts().await.unwrap();
        alerts.into_iter().find(|alert| alert.subject == subject).map(|alert| alert.detail)
    }
}

#[tokio::test]
async fn fine_tuning_and_evals_are_recorded_and_told_once_each() {
    let desk = TestDesk::open().await;
    let types = [
        ("fine_tuning.job.succeeded", "fine_tuning_ended"),
        ("fine_tuning.job.failed", "fine_tuning_ended"),
        ("fine_tuning.job.cancelled", "fine_tuning_ended"),
        ("eval.run.succeeded", "eval_ended"),
        ("eval.run.failed", "eval_ended"),
        ("eval.run.canceled", "eval_ended"),
    ];
    for (n, (event_type, _)) in types.iter().enumerate() {
        desk.parked(n, event_type, &format!("res_{n}")).await;
    }
    // The same event under another webhook-id.
    let copy = event("evt_0", "fine_tuning.job.succeeded", "res_0");
    desk.deliver_to("default", "wh_copy", &copy).await;
    desk.worker().watch().await;
    desk.worker().watch().await;
    let mut notices = desk.notices().await;
    notices.sort_by(|a, b| a.1.cmp(&b.1));
    let expected = |(n, (event_type, kind)): (usize, &(&str, &str))| {
        ((*kind).to_owned(), format!("res_{n}"), (*event_type).to_owned())
    };
    assert_eq!(notices, types.iter().enumerate().map(expected).collect::<Vec<_>>());
    assert!(desk.store.open_alerts().await.unwrap().is_empty(), "nothing waits for a person");
    assert_eq!(desk.store.delivery("wh_0".to_owned()).await.unwrap().unwrap().status, State::Received);
}

#[tokio::test]
async fn an_unknown_type_and_an_unreadable_body_are_alerts_until_a_person_dismisses_them() {
    let desk = TestDesk::open().await;
    for n in 0..2 {
        desk.parked(n, "video.completed", &format!("video_{n}")).await;
    }
    desk.deliver_to("default", "wh_torn", "{\"torn\":").await;
    let worker = desk.worker();
    worker.watch().await;
    assert_eq!(desk.alerts_about("video.completed").await, ["received"]);
    assert_eq!(desk.detail_of("video.completed").await.unwrap(), "2 deliveries without a job");
    assert_eq!(desk.detail_of("unreadable").await.unwrap(), "1 delivery without a job");
    assert_eq!(desk.received().await, 3);

    desk.parked(7, "video.completed", "video_7").await;
    worker.watch().await;
    assert_eq!(desk.detail_of("video.completed").await.unwrap(), "3 deliveries without a job");

    let dismiss =
        |id: &str| desk.store.dismiss_delivery(id.to_owned(), "lena".to_owned(), "seen".to_owned(), desk.now_ms());
    assert!(dismiss("wh_0").await.unwrap());
    assert!(!dismiss("wh_0").await.unwrap(), "once is enough");
    assert!(dismiss("wh_nobody").await.is_err());
    assert_eq!(desk.received().await, 3);
    let (actor, reason) = ("lena".to_owned(), "not ours".to_owned());
    let put_away = desk.store.dismiss_type("video.completed".to_owned(), actor, reason, desk.now_ms()).await.unwrap();
    assert_eq!(put_away, 2);
    assert!(desk.alerts_about("video.completed").await.is_empty(), "the last one closes the alert");
    assert_eq!(desk.alerts_about("unreadable").await, ["received"]);
    assert!(dismiss("wh_torn").await.unwrap());
    worker.watch().await;
    assert!(desk.store.open_alerts().await.unwrap().is_empty());
    assert_eq!(desk.received().await, 0);
    let seen = desk.store.delivery("wh_torn".to_owned()).await.unwrap().unwrap();
    assert_eq!((seen.status, seen.dismissed_by.as_deref()), (State::Received, Some("lena")), "it is kept");

    let trail = desk.store.audit_trail(None, Some("lena".to_owned()), ALL).await.unwrap().items;
    let told: Vec<(&str, &str)> = trail.iter().map(|entry| (entry.action.as_str(), entry.subject.as_str())).collect();
    let one = "delivery.dismiss";
    assert_eq!(told, [(one, "wh_torn"), ("delivery.dismiss_type", "video.completed"), (one, "wh_0")]);
    assert_eq!(trail[1].detail, json!({"reason": "not ours", "count": 2}));
}

#[tokio::test]
async fn the_doctor_s_test_is_no_alert_and_is_put_away() {
    let desk = TestDesk::open().await;
    desk.parked(1, "frontdesk.doctor", "doctor_test").await;
    desk.worker().watch().await;
    assert!(desk.store.open_alerts().await.unwrap().is_empty());
    let put_away = async |id: &str| desk.store.put_test_away(id.to_owned(), desk.now_ms()).await.unwrap();
    assert_eq!(put_away("wh_1").await, Some(1));
    assert_eq!(desk.received().await, 0);
    desk.parked(2, "video.completed", "video_2").await;
    assert_eq!((put_away("wh_2").await, put_away("wh_3").await), (None, None), "nothing but its own test");
    assert_eq!(desk.received().await, 1);
}

#[tokio::test]
async fn a_delivery_with_a_job_cannot_be_dismissed() {
    let mut desk = TestDesk::open().await;
    desk.tell("resp_1").await;
    let dismissed =
        desk.store.dismiss_delivery("wh_resp_1".to_owned(), "lena".to_owned(), "x".to_owned(), desk.now_ms());
    assert!(!dismissed.await.unwrap());
    desk.leaves_work("nobody worked");
}

#[tokio::test]
async fn a_review_that_nobody_decides_is_an_alert_by_its_age_until_somebody_does() {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    for n in 1..=2 {
        let refused = json!([{"type": "message", "role": "assistant", "status": "completed",
                              "content": [{"type": "refusal", "refusal": "no"}]}]);
        desk.openai.put(&ended(&format!("resp_{n}"), "completed", refused, &to("T-1", "summary")));
        desk.tell(&format!("resp_{n}")).await;
        desk.work().await;
    }
    let worker = desk.worker();
    desk.clock.advance(REVIEW_OVERDUE_MS);
    worker.watch().await;
    assert!(desk.alerts_about("default").await.is_empty());
    desk.clock.advance(1);
    worker.watch().await;
    worker.watch().await;
    assert_eq!(desk.alerts_about("default").await, ["review_overdue"]);
    assert!(desk.detail_of("default").await.unwrap().starts_with("2 reviews wait too long, the oldest since 20"));
    assert_eq!(desk.store.open_alerts().await.unwrap()[0].times, 1, "what stands as it stood is not counted again");
    desk.sql().execute("UPDATE reviews SET state = 'expired'", []).unwrap();
    worker.watch().await;
    assert!(desk.alerts_about("default").await.is_empty());
}

const CANARY: &str = "canary-words";

/// Work that goes wrong in many ways, with words in it that must not get out.
async fn play(desk: &TestDesk) {
    desk.ticket("T-1", CANARY).await;
    let mut failed = ended("resp_1", "failed", json!([]), &to("T-1", "summary"));
    failed["error"] = json!({"code": format!("{CANARY} with spaces"), "message": CANARY});
    desk.openai.put(&failed);
    desk.openai.put(&completed("resp_2", CANARY, &json!({"note": CANARY})));
    desk.openai.put(&completed("resp_3", CANARY, &to("T-gone", "summary")));
    let error = json!({"error": {"message": CANARY, "code": format!("{CANARY}, a text")}});
    desk.openai.script("resp_4", [Answer::text(400, &error.to_string())]);
    desk.openai.script("resp_5", [Answer::text(200, CANARY)]);
    for n in 1..=5 {
        desk.tell(&format!("resp_{n}")).await;
    }
    desk.deliver_to("default", "wh_torn", CANARY).await;
    let body = json!({"id": "evt_x", "type": "video.completed", "data": {"id": CANARY, "more": CANARY}});
    desk.deliver_to("default", "wh_x", &body.to_string()).await;
    let worker = desk.worker();
    desk.work_to_the_end(&worker).await;
    desk.clock.advance(REVIEW_OVERDUE_MS + 1);
    worker.watch().await;
}

#[tokio::test]
async fn no_word_of_a_customer_a_model_or_a_secret_is_ever_told() {
    let desk = TestDesk::open().await;
    play(&desk).await;
    let (hook, slack_hook, smtp) = (FakeHook::start().await, FakeHook::start().await, FakeSmtp::start().await);
    slack_hook.refuse(500, 1);
    smtp.refuse(1);
    let sender = desk.sender(vec![webhook(&hook), slack(&slack_hook), email(&smtp)]);
    for _ in 0..8 {
        sender.look().await;
        desk.clock.advance(30_000);
    }
    let mut told: Vec<String> = hook.posted().iter().chain(&slack_hook.posted()).map(|p| p.body.clone()).collect();
    told.extend(smtp.mails());
    assert!(told.len() >= 12, "all of it was told: {}", told.len());
    let errors = "SELECT coalesce(error, '') FROM alert_sends";
    told.extend(desk.sql().rows(errors, [], |row| row.get::<_, String>(0)).unwrap());
    for text in told {
        for word in ["canary", "sk-default"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
    }
}
