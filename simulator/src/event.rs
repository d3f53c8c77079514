//! Event bodies as OpenAI writes them, and ids that look like its own.

use crate::clock;
use std::fmt::Write as _;

/// Every event type that OpenAI's SDKs name.
pub const TYPES: [&str; 34] = [
    "response.completed",
    "response.failed",
    "response.incomplete",
    "response.cancelled",
    "batch.completed",
    "batch.failed",
    "batch.expired",
    "batch.cancelled",
    "fine_tuning.job.succeeded",
    "fine_tuning.job.failed",
    "fine_tuning.job.cancelled",
    "eval.run.succeeded",
    "eval.run.failed",
    "eval.run.canceled",
    "realtime.call.incoming",
    "live.call.incoming",
    "live.transport.incoming",
    "live.transport.connected",
    "video.completed",
    "video.failed",
    "agent.environment.ready",
    "agent.environment.failed",
    "agent.environment.suspended",
    "agent.environment.expired",
    "agent.session.created",
    "agent.session.in_progress",
    "agent.session.idle",
    "agent.session.failed",
    "agent.session.action_required",
    "safety.alert.created",
    "safety.org_alert.created",
    "safety.warning_issued",
    "safety.deactivation_issued",
    "safety_identifier.blocked",
];

/// One event about one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `evt_…`
    pub id: String,
    /// Such as `response.completed`.
    pub event_type: String,
    /// The id of the response, batch or other object.
    pub resource_id: String,
    /// The exact bytes to sign and send.
    pub body: String,
}

impl Event {
    /// A new event with a fresh id, dated now.
    pub fn new(event_type: &str, resource_id: &str) -> Event {
        Event::with_id(new_id("evt_"), event_type, resource_id)
    }

    /// The event of that id, dated now.
    pub fn with_id(id: String, event_type: &str, resource_id: &str) -> Event {
        let body = body(&id, clock::now_s(), event_type, resource_id);
        Event { id, event_type: event_type.to_owned(), resource_id: resource_id.to_owned(), body }
    }
}

/// The body of an event, with OpenAI's order of keys and its `", "` and `": "`.
pub fn body(event_id: &str, created_at: i64, event_type: &str, resource_id: &str) -> String {
    format!(
        r#"{{"id": {}, "object": "event", "created_at": {created_at}, "type": {}, "data": {}}}"#,
        quoted(event_id),
        quoted(event_type),
        data(event_type, resource_id),
    )
}

/// A few types name their resource otherwise than `id`, and say more about it.
fn data(event_type: &str, resource_id: &str) -> String {
    let id = quoted(resource_id);
    match event_type {
        "realtime.call.incoming" => {
            format!(r#"{{"call_id": {id}, "sip_headers": [{{"name": "From", "value": "sip:+1"}}]}}"#)
        }
        "live.call.incoming" => format!(r#"{{"session_id": {id}, "sip_headers": []}}"#),
        "live.transport.incoming" => {
            format!(r#"{{"type": "sip", "session_id": {id}, "sip_headers": []}}"#)
        }
        "live.transport.connected" => format!(r#"{{"type": "webrtc", "session_id": {id}}}"#),
        "agent.session.created" | "agent.session.in_progress" | "agent.session.idle" | "agent.session.failed" => {
            format!(r#"{{"id": {id}, "environment_type": "none"}}"#)
        }
        "agent.session.action_required" => {
            format!(r#"{{"id": {id}, "required_action": {{"type": "function_call"}}}}"#)
        }
        "safety_identifier.blocked" => {
            format!(r#"{{"safety_identifier": {id}, "safety_category": "bio"}}"#)
        }
        _ => format!(r#"{{"id": {id}}}"#),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// How the ids of resources start, by the type of the event about them.
pub fn resource_prefix(event_type: &str) -> &'static str {
    let family = event_type.split('.').next().unwrap_or_default();
    match family {
        "response" => "resp_",
        "batch" => "batch_",
        "fine_tuning" => "ftjob-",
        "eval" => "evalrun_",
        "realtime" => "rtc_",
        "live" => "sess_",
        "video" => "video_",
        "safety" => "alert_",
        _ => "obj_",
    }
}

/// A fresh id: the prefix, the hexadecimal time, and chance, as in `wh_685c059ae39c81…`.
pub fn new_id(prefix: &str) -> String {
    let mut noise = [0_u8; 12];
    // Without randomness the time down to the nanosecond still tells ids apart.
    if getrandom::fill(&mut noise).is_err() {
        noise.copy_from_slice(&clock::now().as_nanos().to_be_bytes()[4..]);
    }
    let mut id = format!("{prefix}{:08x}", clock::now_s());
    for byte in noise {
        let _ = write!(id, "{byte:02x}");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::{Event, TYPES, new_id};

    #[test]
    fn every_type_makes_a_body_that_is_json_and_names_its_resource() {
        for event_type in TYPES {
            let event = Event::new(event_type, "thing_\"1\"");
            let value: serde_json::Value = serde_json::from_str(&event.body).unwrap();
            assert_eq!(value["type"], event_type);
            assert_eq!(value["id"], event.id.as_str());
            let data = value["data"].as_object().unwrap();
            assert!(data.values().any(|value| value == "thing_\"1\""));
        }
    }

    #[test]
    fn ids_differ_and_start_with_the_time() {
        let (one, two) = (new_id("wh_"), new_id("wh_"));
        assert_ne!(one, two);
        assert_eq!(one.len(), "wh_".len() + 32);
        let seconds = i64::from_str_radix(&one[3..11], 16).unwrap();
        assert!((crate::clock::now_s() - seconds).abs() < 60);
    }
}
