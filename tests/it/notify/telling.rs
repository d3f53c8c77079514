//! What is told, when, and how often.

use super::fakes::FakeHook;
use super::{HOUR_MS, LOOK_MS, MINUTE_MS, REMIND_MS, slack, webhook};
use crate::harness::{ALL, TestDesk};
use frontdesk::clock::Clock;
use frontdesk::notify::Sender;

const DAY_MS: i64 = 24 * HOUR_MS;

async fn desk() -> (TestDesk, FakeHook, Sender) {
    let desk = TestDesk::open().await;
    let hook = FakeHook::start().await;
    let sender = desk.sender(vec![webhook(&hook)]);
    (desk, hook, sender)
}

#[tokio::test]
async fn an_alert_is_told_once_however_often_it_is_met_and_its_end_once() {
    let (desk, hook, sender) = desk().await;
    for _ in 0..5 {
        desk.raise("overdue", "queue").await;
        desk.raise("overdue", "other").await;
        sender.look().await;
    }
    assert_eq!(hook.words(), ["opened", "opened"]);
    desk.close("overdue", "queue").await;
    for _ in 0..3 {
        sender.look().await;
    }
    let told = hook.told();
    assert_eq!(told.len(), 3);
    assert_eq!(told[2], ("alert.recovered".to_owned(), "queue".to_owned()));
}

#[tokio::test]
async fn what_was_over_before_anybody_was_told_is_not_told() {
    let (desk, hook, sender) = desk().await;
    desk.raise("overdue", "queue").await;
    desk.close("overdue", "queue").await;
    sender.look().await;
    assert!(hook.posted().is_empty());
}

#[tokio::test]
async fn a_recovery_that_happens_while_nobody_looks_is_told_by_the_next_process() {
    let (desk, hook, sender) = desk().await;
    desk.raise("overdue", "queue").await;
    sender.look().await;
    drop(sender);
    desk.close("overdue", "queue").await;
    desk.clock.advance(9 * DAY_MS);
    desk.sender(vec![webhook(&hook)]).look().await;
    assert_eq!(hook.words(), ["opened", "recovered"]);
}

#[tokio::test]
async fn an_alert_that_stays_open_is_told_again_and_each_telling_has_its_own_id() {
    let (desk, hook, sender) = desk().await;
    desk.raise("overdue", "queue").await;
    sender.look().await;
    desk.clock.advance(REMIND_MS - 1);
    sender.look().await;
    assert_eq!(hook.words(), ["opened"]);
    desk.clock.advance(1);
    sender.look().await;
    let posted = hook.posted();
    assert_eq!(hook.words(), ["opened", "opened"]);
    assert_eq!((&posted[0].json()["data"]["again"], &posted[1].json()["data"]["again"]), (&false.into(), &true.into()));
    assert_ne!(posted[0].header("webhook-id"), posted[1].header("webhook-id"));
    desk.close("overdue", "queue").await;
    sender.look().await;
    assert_eq!(hook.words(), ["opened", "opened", "recovered"]);
}

#[tokio::test]
async fn without_a_time_for_it_nothing_is_told_again() {
    let (desk, hook, _) = desk().await;
    let clock = Clock::Hand(desk.clock.clone());
    let sender = Sender::new(desk.store.clone(), clock, vec![webhook(&hook)], None, desk.metrics.clone());
    desk.raise("overdue", "queue").await;
    for _ in 0..30 {
        sender.look().await;
        desk.clock.advance(DAY_MS);
    }
    assert_eq!(hook.words(), ["opened"]);
}

#[tokio::test]
async fn what_comes_and_goes_all_day_makes_few_messages_and_the_last_one_is_true() {
    for ends_open in [true, false] {
        let (desk, hook, sender) = desk().await;
        for _ in 0..12 * 12 {
            desk.raise("openai_auth", "default").await;
            sender.look().await;
            desk.clock.advance(2 * MINUTE_MS);
            desk.close("openai_auth", "default").await;
            sender.look().await;
            desk.clock.advance(3 * MINUTE_MS);
        }
        let messages = hook.posted().len();
        assert!((4..=16).contains(&messages), "{messages} messages in twelve hours");
        if ends_open {
            desk.raise("openai_auth", "default").await;
        }
        for _ in 0..5 * 6 {
            sender.look().await;
            desk.clock.advance(10 * MINUTE_MS);
        }
        assert_eq!(hook.words().last().unwrap(), if ends_open { "opened" } else { "recovered" });
    }
}

#[tokio::test]
async fn a_condition_that_is_back_before_its_end_was_told_still_stands() {
    let (desk, hook, sender) = desk().await;
    desk.raise("overdue", "queue").await;
    sender.look().await;
    desk.close("overdue", "queue").await;
    // The end is due, and nobody has tried to tell it.
    desk.store.plan_sends("webhook".to_owned(), None, desk.now_ms()).await.unwrap();
    desk.raise("overdue", "queue").await;
    sender.look().await;
    assert_eq!(hook.words(), ["opened"]);
    desk.close("overdue", "queue").await;
    sender.look().await;
    assert_eq!(hook.words(), ["opened", "recovered"]);
}

#[tokio::test]
async fn a_notice_is_told_once_over_each_channel_and_an_old_one_not_at_all() {
    let (desk, hook, sender) = desk().await;
    let notice = |subject: &str| {
        desk.store.notice("eval_ended", subject.to_owned(), "eval.run.succeeded".to_owned(), desk.now_ms())
    };
    notice("evalrun_old").await.unwrap();
    desk.clock.advance(DAY_MS);
    notice("evalrun_1").await.unwrap();
    for _ in 0..3 {
        sender.look().await;
        desk.clock.advance(REMIND_MS);
    }
    assert_eq!(hook.told(), [("alert.notice".to_owned(), "evalrun_1".to_owned())]);
    let later = FakeHook::start().await;
    desk.sender(vec![slack(&later)]).look().await;
    assert_eq!(later.posted().len(), 1, "a channel set up later hears of what is not a day old");
    assert!(desk.store.open_alerts().await.unwrap().is_empty(), "a notice is not open");
}

#[tokio::test]
async fn a_channel_that_fails_is_tried_again_wider_apart_also_after_a_restart_with_the_same_id() {
    let (desk, hook, sender) = desk().await;
    hook.refuse(503, 3);
    desk.raise("overdue", "queue").await;
    sender.look().await;
    sender.look().await;
    assert_eq!(hook.posted().len(), 1, "the next attempt is not due");
    for wait_s in [10, 20, 40] {
        desk.clock.advance(wait_s * 1000 - 1);
        desk.sender(vec![webhook(&hook)]).look().await;
        let before = hook.posted().len();
        desk.clock.advance(1);
        desk.sender(vec![webhook(&hook)]).look().await;
        assert_eq!(hook.posted().len(), before + 1, "after {wait_s} s");
    }
    let posted = hook.posted();
    assert!(posted.iter().all(|again| again.header("webhook-id") == posted[0].header("webhook-id")));
    desk.look_for(&sender, HOUR_MS).await;
    assert_eq!(hook.posted().len(), 4, "it went out at the fourth attempt");
}

#[tokio::test]
async fn a_channel_that_fails_holds_up_no_other_and_is_told_over_the_others() {
    let desk = TestDesk::open().await;
    let (good, bad) = (FakeHook::start().await, FakeHook::start().await);
    bad.refuse(500, 4);
    let sender = desk.sender(vec![slack(&bad), webhook(&good)]);
    desk.raise("overdue", "queue").await;
    sender.look().await;
    assert_eq!(good.words(), ["opened"]);
    desk.look_for(&sender, MINUTE_MS).await;
    assert_eq!(good.told()[1..], [("alert.opened".to_owned(), "slack".to_owned())]);
    assert_eq!(desk.alerts_about("slack").await, ["alert_channel"]);
    // The fifth attempt comes through; over the channel itself only the message is told that waited.
    desk.look_for(&sender, 10 * MINUTE_MS).await;
    assert_eq!(bad.posted().len(), 5);
    assert!(desk.alerts_about("slack").await.is_empty());
    assert_eq!(good.told().last().unwrap(), &("alert.recovered".to_owned(), "slack".to_owned()));
    let text = desk.metrics.render(&desk.store.counts().await.unwrap(), desk.now_ms());
    assert!(text.contains("frontdesk_alert_sends_total{channel=\"slack\",result=\"failed\"} 4"), "{text}");
    assert!(text.contains("frontdesk_alert_sends_total{channel=\"slack\",result=\"sent\"} 1"), "{text}");
}

#[tokio::test]
async fn a_message_is_given_up_after_a_day_and_the_next_telling_is_tried_anew() {
    let (desk, hook, sender) = desk().await;
    hook.refuse(500, 10_000);
    desk.raise("overdue", "queue").await;
    for _ in 0..DAY_MS / MINUTE_MS + 15 {
        sender.look().await;
        desk.clock.advance(MINUTE_MS);
    }
    let told = desk.store.alerts(true, ALL).await.unwrap();
    let alert = told.items.iter().find(|alert| alert.kind == "overdue").unwrap();
    // The day is longer than the time to the next telling, which then begins at once.
    assert_eq!(alert.sends.len(), 1);
    assert_eq!((alert.sends[0].told, alert.sends[0].sent_at_ms), (2, None));
    assert_eq!(desk.alerts_about("webhook").await, ["alert_channel"]);
    let attempts = hook.posted().len();
    assert!((90..=120).contains(&attempts), "{attempts} attempts in a day");
    desk.close("overdue", "queue").await;
    let before = hook.posted().len();
    for _ in 0..DAY_MS / MINUTE_MS + 30 {
        sender.look().await;
        desk.clock.advance(MINUTE_MS);
    }
    let late = hook.words().split_off(before);
    assert!(late.iter().all(|word| word == "opened"), "who was told nothing hears of no end: {late:?}");
}

#[tokio::test]
async fn what_waits_for_a_channel_that_is_gone_is_given_up() {
    let (desk, hook, sender) = desk().await;
    hook.refuse(500, 3);
    desk.raise("overdue", "queue").await;
    desk.look_for(&sender, MINUTE_MS).await;
    assert_eq!(desk.alerts_about("webhook").await, ["alert_channel"]);
    desk.store.keep_channels(vec!["slack"], desk.now_ms()).await.unwrap();
    assert!(desk.alerts_about("webhook").await.is_empty());
    let alerts = desk.store.alerts(true, ALL).await.unwrap();
    assert_eq!(alerts.items[0].sends[0].state, "given_up");
}

#[tokio::test]
async fn two_senders_tell_a_thing_once() {
    let (desk, hook, one) = desk().await;
    let other = desk.sender(vec![webhook(&hook)]);
    for n in 0..20 {
        desk.raise("lost_to_retention", &format!("project-{n}")).await;
    }
    tokio::join!(one.look(), other.look());
    tokio::join!(one.look(), other.look());
    let mut told = hook.told();
    told.sort();
    told.dedup();
    assert_eq!((hook.posted().len(), told.len()), (20, 20));
}

#[tokio::test]
async fn a_sender_that_dies_in_the_middle_of_a_message_is_replaced_after_its_lease() {
    let (desk, hook, sender) = desk().await;
    desk.raise("overdue", "queue").await;
    desk.store.plan_sends("webhook".to_owned(), None, desk.now_ms()).await.unwrap();
    let claimed = desk.store.claim_send("webhook".to_owned(), MINUTE_MS, desk.now_ms()).await.unwrap();
    assert!(claimed.is_some());
    desk.clock.advance(MINUTE_MS - LOOK_MS);
    sender.look().await;
    assert!(hook.posted().is_empty(), "it is another's to send");
    desk.clock.advance(LOOK_MS);
    sender.look().await;
    assert_eq!(hook.words(), ["opened"]);
    // The first one was only slow: what it says now changes nothing.
    desk.store.not_sent(&claimed.unwrap(), "late".to_owned(), None).await.unwrap();
    assert_eq!(desk.store.alerts(true, ALL).await.unwrap().items[0].sends[0].state, "sent");
}
