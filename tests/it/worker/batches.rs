//! Batches, from the webhook that tells of their end to the tickets.

mod acts;
mod discards;
mod ends;
mod forgetting;
mod hangs;
mod lines;
mod stages;
mod undo;
mod why;

use std::fmt::Write as _;

use frontdesk::store::{Batch, Line};
use serde_json::{Value, json};

use crate::fake_openai::{ended, message};
use crate::harness::TestDesk;

/// One line of an output file, with this HTTP status and body.
pub fn answer(custom_id: &str, status: i64, body: &Value) -> String {
    json!({"id": "batch_req_1", "custom_id": custom_id, "error": null,
           "response": {"status_code": status, "request_id": "req_1", "body": body}})
    .to_string()
}

/// A line that was answered with this output item.
pub fn answered(custom_id: &str, output: Value) -> String {
    answer(custom_id, 200, &ended(&format!("resp_{custom_id}"), "completed", output, &json!({})))
}

/// A clean classification.
pub fn classified(custom_id: &str, intent: &str, priority: &str) -> String {
    let output = json!({"intent": intent, "priority": priority, "confidence": 0.95, "topics": []});
    answered(custom_id, json!([message(&output.to_string())]))
}

/// A line that OpenAI did not come to.
pub fn not_executed(custom_id: &str) -> String {
    json!({"id": "batch_req_1", "custom_id": custom_id, "response": null,
           "error": {"code": "batch_expired", "message": "words of the other side"}})
    .to_string()
}

/// A batch of another program as OpenAI shows it.
pub fn batch(status: &str, output: Value, error: Value) -> Value {
    json!({"id": "batch_1", "object": "batch", "endpoint": "/v1/responses", "status": status, "created_at": 1_780_000_000,
           "metadata": {"workflow": "classification"}, "output_file_id": output, "error_file_id": error,
           "request_counts": {"total": 1000, "completed": 1000, "failed": 0}})
}

impl TestDesk {
    /// Makes tickets `T-1` and so on.
    pub(super) async fn tickets(&self, count: usize) {
        for number in 1..=count {
            self.ticket(&format!("T-{number}"), "Where is my parcel?").await;
        }
    }

    /// The batch of another program has ended with these files, and everything
    /// that follows is worked.
    pub async fn batch_ends(&self, status: &str, output: &[String], error: &[String]) -> Batch {
        self.files_are(status, output, error);
        self.tell("batch_1").await;
        self.work().await;
        self.batch().await
    }

    pub(super) fn files_are(&self, status: &str, output: &[String], error: &[String]) {
        let file = |id: &str, lines: &[String]| {
            let mut text = String::new();
            lines.iter().for_each(|line| writeln!(text, "{line}").unwrap());
            self.openai.put_file(id, &text);
            if lines.is_empty() { Value::Null } else { json!(id) }
        };
        let (output, error) = (file("file-out", output), file("file-err", error));
        self.openai.put(&batch(status, output, error));
    }

    pub(super) async fn batch(&self) -> Batch {
        self.store.batch("batch_1".to_owned()).await.unwrap().unwrap()
    }

    pub(super) async fn lines(&self) -> Vec<Line> {
        let batch = self.batch().await;
        self.store.batch_lines(batch.id, None, 0, 100_000).await.unwrap()
    }

    /// The outcome and the reason of the only line with this id that was asked for.
    pub(super) async fn outcome(&self, custom_id: &str) -> (String, Option<String>) {
        let lines = self.lines().await;
        let line = lines.iter().find(|line| line.custom_id.as_deref() == Some(custom_id)).expect("a line");
        (line.outcome().to_owned(), line.reason.clone())
    }

    /// What the ticket is about, and how soon.
    pub(super) async fn route(&self, ticket: &str) -> (Option<String>, String) {
        let ticket = self.read_ticket(ticket).await;
        (ticket.intent, ticket.priority)
    }
}

/// A count of the batch.
pub fn count(batch: &Batch, name: &str) -> i64 {
    batch.counts.get(name).copied().unwrap_or(0)
}

/// A job's outcome and reason, in short.
pub fn text(outcome: &str, reason: &str) -> (String, Option<String>) {
    (outcome.to_owned(), Some(reason.to_owned()).filter(|reason| !reason.is_empty()))
}
