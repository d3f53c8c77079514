//! Responses that exist by their ids alone: `resp_made_{workflow}_{ticket}`. Nothing is kept for
//! them, so that a benchmark can read as many as it likes.

use crate::output::answer::end;
use crate::output::shape::{Facts, ended};
use crate::plan::Plan;
use bytes::Bytes;
use serde_json::{Value, json};

const PREFIX: &str = "resp_made_";

/// When they all were made: they are the same on every read.
const CREATED_AT: i64 = 1_767_225_600;

const WORKFLOWS: [&str; 6] = ["summary", "classification", "draft_reply", "call_report", "quality_check", "extraction"];

/// The response of that id, if it is of this kind.
pub(crate) fn response(id: &str, seed: u64) -> Option<Bytes> {
    let (workflow, ticket) = parts(id.strip_prefix(PREFIX)?)?;
    let request = request(workflow, ticket);
    let ending = end(&request, seed, id, &Plan::default());
    let facts = Facts { id, created_at: CREATED_AT, background: true };
    Some(ended(facts, &request, ending, CREATED_AT + 20).to_string().into())
}

/// Workflow and ticket. A known workflow counts first; else the last underscore before a digit.
fn parts(name: &str) -> Option<(&str, &str)> {
    let known = WORKFLOWS.iter().find_map(|workflow| {
        let ticket = name.strip_prefix(workflow)?.strip_prefix('_')?;
        Some((&name[..workflow.len()], ticket))
    });
    let split = || {
        let digit = name.find(|letter: char| letter.is_ascii_digit()).unwrap_or(name.len());
        let at = name[..digit].rfind('_')?;
        Some((&name[..at], &name[at + 1..]))
    };
    known.or_else(split).filter(|(workflow, ticket)| !workflow.is_empty() && !ticket.is_empty())
}

fn request(workflow: &str, ticket: &str) -> Value {
    let input = format!(
        "<ticket>\nSubject: Question about order {ticket}\ncustomer: The lamp from order {ticket} \
         arrived on Monday. It does not switch on although the cable is new. I tried another \
         socket and the light stays off. What should I do next?\n</ticket>"
    );
    let mut request = json!({
        "model": "gpt-5.6",
        "input": input,
        "metadata": {"ticket_id": ticket, "workflow": workflow},
    });
    if let Some(schema) = schema(workflow) {
        request["text"] = json!({"format": {"type": "json_schema", "name": workflow,
            "strict": true, "schema": schema}});
    }
    request
}

fn schema(workflow: &str) -> Option<Value> {
    let text = json!({"type": "string"});
    let texts = json!({"type": "array", "items": text});
    let share = json!({"type": "number", "minimum": 0, "maximum": 1});
    let properties = match workflow {
        "classification" => json!({"intent": text, "confidence": share, "topics": texts,
            "priority": {"enum": ["low", "normal", "high", "urgent"]}}),
        "draft_reply" => json!({"reply": text, "confidence": share, "topics": texts}),
        "call_report" => json!({"outcome": text, "summary": text, "follow_ups": texts}),
        "quality_check" => json!({"findings": texts,
            "score": {"type": "integer", "minimum": 0, "maximum": 100}}),
        "extraction" => json!({"order_id": text, "product": text}),
        _ => return None,
    };
    Some(json!({"type": "object", "properties": properties}))
}

#[cfg(test)]
mod tests {
    use super::{parts, response};
    use serde_json::Value;

    #[test]
    fn the_id_names_the_workflow_and_the_ticket() {
        assert_eq!(parts("summary_T-1001"), Some(("summary", "T-1001")));
        assert_eq!(parts("draft_reply_T-1001"), Some(("draft_reply", "T-1001")));
        assert_eq!(parts("summary_a_1"), Some(("summary", "a_1")));
        assert_eq!(parts("my_own_T-1_2"), Some(("my_own", "T-1_2")));
        assert_eq!(parts("summary_"), None);
        assert_eq!(parts("x"), None);
    }

    #[test]
    fn the_response_is_complete_and_always_the_same() {
        let body = response("resp_made_classification_T-7", 1).unwrap();
        assert_eq!(Some(&body), response("resp_made_classification_T-7", 1).as_ref());
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["status"], "completed");
        assert_eq!(value["metadata"]["ticket_id"], "T-7");
        assert_eq!(value["metadata"]["workflow"], "classification");
        let text = value["output"][1]["content"][0]["text"].as_str().unwrap();
        let answer: Value = serde_json::from_str(text).unwrap();
        assert!(answer["confidence"].as_f64().unwrap() >= 0.82);
        assert!(response("resp_123", 1).is_none());
    }
}
