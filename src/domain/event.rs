//! What OpenAI says happened, read out of a verified body.

use serde::Deserialize;

/// The event types that become a job. Every other type is stored as `received`.
/// Source of the names: OpenAI's webhook guide and SDKs.
pub const HANDLED: [&str; 8] = [
    "response.completed",
    "response.failed",
    "response.incomplete",
    "response.cancelled",
    "batch.completed",
    "batch.failed",
    "batch.expired",
    "batch.cancelled",
];

/// The event types of work that is not for a ticket: stored as `received`, and
/// told once. The second half of a pair is the word for it.
/// Source of the names: as above.
pub const TOLD: [(&str, &str); 6] = [
    ("fine_tuning.job.succeeded", "fine_tuning_ended"),
    ("fine_tuning.job.failed", "fine_tuning_ended"),
    ("fine_tuning.job.cancelled", "fine_tuning_ended"),
    ("eval.run.succeeded", "eval_ended"),
    ("eval.run.failed", "eval_ended"),
    ("eval.run.canceled", "eval_ended"),
];

/// The word under which an event type is told once, if it is.
#[must_use]
pub fn told_as(event_type: &str) -> Option<&'static str> {
    TOLD.iter().find(|(name, _)| *name == event_type).map(|(_, word)| *word)
}

/// Longest event id, event type or resource id that is kept as such.
const MAX_NAME_BYTES: usize = 200;

/// An event as it was read. Every part may be missing: a signed body that we
/// cannot use is still kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `evt_…`
    pub id: Option<String>,
    /// As `response.completed`.
    pub kind: Option<String>,
    /// Unix seconds; when the resource changed, not when this was sent.
    pub created_at_s: Option<i64>,
    /// `data.id`, when it is an id that may stand in a path.
    pub resource_id: Option<String>,
    /// Why no job can be made of it; none when one can.
    pub unusable: Option<&'static str>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default, deserialize_with = "text")]
    id: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "seconds")]
    created_at: Option<i64>,
    #[serde(default, deserialize_with = "data")]
    data: Option<String>,
}

/// Anything at all; only texts of a sane length are kept.
fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) if is_name(&text) => Some(text),
        _ => None,
    })
}

fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[allow(clippy::cast_possible_truncation, reason = "a float second is only ever rounded down")]
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|s| s as i64)),
        _ => None,
    })
}

fn data<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.get("id").and_then(serde_json::Value::as_str).map(str::to_owned))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME_BYTES && text.bytes().all(|b| b.is_ascii_graphic())
}

/// True for an id that may go into a URL path: 1 to 128 letters, digits, `_`, `-`.
#[must_use]
pub fn is_path_safe(id: &str) -> bool {
    !id.is_empty() && id.len() <= 128 && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

impl Event {
    /// Reads a verified body. Never fails: what cannot be used says why.
    #[must_use]
    pub fn read(body: &[u8]) -> Event {
        // Some senders put a byte order mark first; JSON parsers refuse it.
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        // A struct is also read from an array, field by field; an event is an object.
        let is_object = body.trim_ascii_start().starts_with(b"{");
        let Some(wire) = serde_json::from_slice::<Wire>(body).ok().filter(|_| is_object) else {
            return Event {
                id: None,
                kind: None,
                created_at_s: None,
                resource_id: None,
                unusable: Some("the body is not a JSON object"),
            };
        };
        let resource_id = wire.data.clone().filter(|id| is_path_safe(id));
        let unusable = match (&wire.kind, &wire.data, &resource_id) {
            (None, _, _) => Some("the event has no type"),
            (Some(kind), _, _) if !HANDLED.contains(&kind.as_str()) => Some("nobody handles this type"),
            (_, None, _) => Some("the event names no resource (no data.id)"),
            (_, Some(_), None) => Some("data.id is not an id"),
            _ => None,
        };
        Event { id: wire.id, kind: wire.kind, created_at_s: wire.created_at, resource_id, unusable }
    }
}

#[cfg(test)]
mod tests {
    use super::Event;

    #[test]
    fn the_official_body_is_read_whole() {
        let event = Event::read(br#"{"id": "evt_1", "object": "event", "created_at": 1750861210, "type": "response.completed", "data": {"id": "resp_123"}}"#);
        assert_eq!(event.id.as_deref(), Some("evt_1"));
        assert_eq!(event.resource_id.as_deref(), Some("resp_123"));
        assert_eq!(event.created_at_s, Some(1_750_861_210));
        assert_eq!(event.unusable, None);
    }

    #[test]
    fn whatever_cannot_be_used_says_why() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "the body is not a JSON object"),
            (b"{\"id\":", "the body is not a JSON object"),
            (b"[1]", "the body is not a JSON object"),
            (b"{\"id\":\"\xff\"}", "the body is not a JSON object"),
            (br#"{"id":"evt_1"}"#, "the event has no type"),
            (br#"{"id":"evt_1","type":7,"data":{"id":"resp_1"}}"#, "the event has no type"),
            (br#"{"type":"video.completed","data":{"id":"video_1"}}"#, "nobody handles this type"),
            (br#"{"type":"response.completed","data":{"call_id":"c"}}"#, "the event names no resource (no data.id)"),
            (br#"{"type":"response.completed","data":{"id":"../files/f/content?x="}}"#, "data.id is not an id"),
        ];
        for (body, why) in cases {
            assert_eq!(Event::read(body).unusable, Some(why), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn odd_values_beside_a_good_event_do_not_hurt_it() {
        let event = Event::read(
            br#"{"id":17,"type":"batch.completed","created_at":"soon","data":{"id":"batch_1","more":[]},"extra":null}"#,
        );
        assert_eq!((event.id, event.created_at_s, event.unusable), (None, None, None));
        assert_eq!(event.resource_id.as_deref(), Some("batch_1"));
    }

    #[test]
    fn a_byte_order_mark_is_not_a_reason_to_park() {
        assert_eq!(
            Event::read(b"\xef\xbb\xbf{\"type\":\"batch.failed\",\"data\":{\"id\":\"batch_1\"}}").unusable,
            None
        );
    }
}
