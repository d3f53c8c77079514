//! What OpenAI did not execute is sent again, once.

use serde_json::{Value, json};

use super::tickets;
use crate::harness::TestDesk;
use crate::worker::batches::{classified, not_executed};

/// How the n-th batch at OpenAI ends: these lines answered, those not executed.
async fn expires(desk: &TestDesk, batch: usize, answered: &[&str], left: &[&str]) {
    let file = |name: &str, lines: Vec<String>| -> Value {
        if lines.is_empty() {
            return Value::Null;
        }
        let id = format!("file-{name}-{batch}");
        desk.openai.put_file(&id, &(lines.join("\n") + "\n"));
        json!(id)
    };
    let output = file("out", answered.iter().map(|id| classified(id, "shipping", "high")).collect());
    let error = file("err", left.iter().map(|id| not_executed(id)).collect());
    let made = desk.openai.batches()[batch - 1].clone();
    desk.openai.put(
        &json!({"id": format!("batch_{batch}"), "object": "batch", "status": "expired", "created_at": 1_780_000_000,
        "metadata": made["metadata"], "output_file_id": output, "error_file_id": error}),
    );
    desk.tell(&format!("batch_{batch}")).await;
    desk.work().await;
}

#[tokio::test]
async fn lines_that_were_not_executed_or_are_in_no_file_become_one_more_batch() {
    let desk = TestDesk::open().await;
    desk.tickets(4).await;
    let id = desk.ask(tickets(&["T-1", "T-2", "T-3", "T-4"])).await;
    desk.work().await;
    expires(&desk, 1, &["T-1"], &["T-4", "T-2"]).await;
    assert_eq!(desk.lines_at_openai(), [vec!["T-1", "T-2", "T-3", "T-4"], vec!["T-2", "T-3", "T-4"]]);
    let batches = desk.store.batches(None, crate::harness::ALL).await.unwrap().items;
    let again = &batches[0];
    assert_eq!(
        (again.origin.word(), again.again_of.as_deref(), again.actor.as_str()),
        ("requeue", Some(id.as_str()), "ada")
    );
    assert_eq!((batches.len(), again.state.word()), (2, "submitted"));
    // And not a third time.
    expires(&desk, 2, &["T-2"], &["T-3"]).await;
    assert_eq!(desk.openai.batches().len(), 2);
    assert_eq!(desk.batch_of(&again.id).await.state.word(), "applied");
}

#[tokio::test]
async fn nothing_is_sent_again_where_the_settings_say_so() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.requeue = false;
    desk.tickets(2).await;
    desk.ask(tickets(&["T-1", "T-2"])).await;
    desk.work().await;
    expires(&desk, 1, &["T-1"], &["T-2"]).await;
    assert_eq!(desk.openai.batches().len(), 1);
}

#[tokio::test]
async fn another_event_about_the_first_batch_sends_nothing_again() {
    let desk = TestDesk::open().await;
    desk.tickets(2).await;
    desk.ask(tickets(&["T-1", "T-2"])).await;
    desk.work().await;
    expires(&desk, 1, &["T-1"], &["T-2"]).await;
    desk.deliver("wh_again", "evt_again", "batch.completed", "batch_1").await;
    desk.work().await;
    assert_eq!(desk.openai.batches().len(), 2);
}
