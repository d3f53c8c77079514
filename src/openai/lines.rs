//! What a line of a batch's output or error file says. Any bytes may stand in
//! it; a bad line costs nothing but itself.

use std::fmt;

use serde_json::value::RawValue;

use crate::domain::resource::{Response, Status};

use super::error::OpenAiError;
use super::lenient::Object;
use super::read::{self, code};
use super::types::{CodeJson, FaultJson, LineAnswerJson, LineJson};

/// Longest `custom_id` that is taken, in bytes. OpenAI documents no limit.
const MAX_CUSTOM_ID_BYTES: usize = 512;

/// One line. `Debug` shows ids, codes and sizes only.
#[derive(Clone, PartialEq)]
pub enum Line {
    /// The request was answered.
    Answered {
        /// Which request of the input file.
        custom_id: String,
        /// The answer's JSON as it stands in the line. [`read::response`] reads it again.
        body: String,
        /// The same in our words. It has ended, well or not.
        response: Box<Response>,
    },
    /// OpenAI ran the request and refused it, or failed.
    Failed {
        /// Which request of the input file.
        custom_id: String,
        /// HTTP status; 0 has been seen where OpenAI failed inside.
        status: i64,
        /// OpenAI's `error.code`, else its `error.type`. An open list.
        code: Option<String>,
    },
    /// The request was never run.
    NotExecuted {
        /// Which request of the input file.
        custom_id: String,
        /// Why, as `batch_expired` or `batch_cancelled`. An open list.
        code: String,
    },
    /// The line says nothing that can be used.
    Unreadable {
        /// A short code for people: `not_text`, `not_json`, `not_an_object`,
        /// `no_custom_id`, `bad_custom_id`, `no_answer`, `no_body`, `bad_body`,
        /// `body_without_id`, `not_ended` or `too_long`.
        why: &'static str,
        /// Which request of the input file, when that much can be read.
        custom_id: Option<String>,
    },
}

impl Line {
    /// Which request of the input file it is about.
    #[must_use]
    pub fn custom_id(&self) -> Option<&str> {
        match self {
            Line::Answered { custom_id, .. } | Line::Failed { custom_id, .. } | Line::NotExecuted { custom_id, .. } => {
                Some(custom_id)
            }
            Line::Unreadable { custom_id, .. } => custom_id.as_deref(),
        }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Answered { custom_id, body, .. } => write!(f, "Answered({custom_id:?}, {} bytes)", body.len()),
            Line::Failed { custom_id, status, code } => write!(f, "Failed({custom_id:?}, {status}, {code:?})"),
            Line::NotExecuted { custom_id, code } => write!(f, "NotExecuted({custom_id:?}, {code:?})"),
            Line::Unreadable { why, custom_id } => write!(f, "Unreadable({why}, {custom_id:?})"),
        }
    }
}

/// Reads a line of either file; which of the two it stands in means nothing.
#[must_use]
pub fn line(bytes: &[u8]) -> Line {
    let unreadable = |why| Line::Unreadable { why, custom_id: None };
    let Ok(text) = std::str::from_utf8(bytes) else { return unreadable("not_text") };
    let Ok(Object(read)) = serde_json::from_str::<Object<LineJson<'_>>>(text) else { return unreadable("not_json") };
    if !text.trim_start().starts_with('{') {
        return unreadable("not_an_object");
    }
    let LineJson { custom_id, response, error } = read;
    match custom_id.into_string() {
        None => unreadable("no_custom_id"),
        Some(id) if id.len() > MAX_CUSTOM_ID_BYTES || id.chars().any(char::is_control) => unreadable("bad_custom_id"),
        Some(id) => said(id, &response.0, error.and_then(fault)),
    }
}

/// What the line says about this request. Only a plain 200 is a success, and an
/// error beside it takes that away.
fn said(custom_id: String, answer: &LineAnswerJson<'_>, fault: Option<String>) -> Line {
    match (answer.status_code.0, fault) {
        (None, Some(code)) => Line::NotExecuted { custom_id, code },
        (None, None) => Line::Unreadable { why: "no_answer", custom_id: Some(custom_id) },
        (Some(200), None) => answered(custom_id, answer.body),
        (Some(status), fault) => Line::Failed { custom_id, status, code: fault.or_else(|| told(answer.body?)) },
    }
}

fn answered(custom_id: String, body: Option<&RawValue>) -> Line {
    let why = match body.map(|body| (body, read::response(body.get()))) {
        None => "no_body",
        // A struct is also read from an array, field by field.
        Some((body, _)) if !body.get().starts_with('{') => "bad_body",
        Some((_, Err(OpenAiError::NoId))) => "body_without_id",
        Some((_, Err(_))) => "bad_body",
        // A line is never written again: what has no end here has none at all.
        Some((_, Ok(Response { status: Status::Moving(_) | Status::Unknown(_), .. }))) => "not_ended",
        Some((body, Ok(response))) => {
            return Line::Answered { custom_id, body: body.get().to_owned(), response: Box::new(response) };
        }
    };
    Line::Unreadable { why, custom_id: Some(custom_id) }
}

/// The code of the line's own `error`. What is empty is no error.
fn fault(error: &RawValue) -> Option<String> {
    if matches!(error.get(), "null" | "false" | "{}" | "[]" | "\"\"") {
        return None;
    }
    let read: Option<Object<CodeJson<'_>>> = serde_json::from_str(error.get()).ok();
    let named = read.and_then(|Object(error)| error.code.get().or(error.kind.get()).map(code));
    Some(named.unwrap_or_else(|| "unknown".to_owned()))
}

/// The code of the error in an answer's body.
fn told(body: &RawValue) -> Option<String> {
    let Object(FaultJson { error }) = serde_json::from_str(body.get()).ok()?;
    error.0.code.get().or(error.0.kind.get()).map(code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY: &str = r#"{"id":"resp_1","object":"response","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"hi"}]}]}"#;

    fn with_body(body: &str) -> String {
        format!(
            r#"{{"id":"batch_req_1","custom_id":"T-1","response":{{"status_code":200,"request_id":"r","body":{body}}},"error":null}}"#
        )
    }

    fn answer(response: &str, error: &str) -> String {
        format!(r#"{{"id":"batch_req_1","custom_id":"T-1","response":{response},"error":{error}}}"#)
    }

    fn failed(status: i64, code: Option<&str>) -> Line {
        Line::Failed { custom_id: "T-1".to_owned(), status, code: code.map(str::to_owned) }
    }

    fn not_executed(code: &str) -> Line {
        Line::NotExecuted { custom_id: "T-1".to_owned(), code: code.to_owned() }
    }

    fn unreadable(why: &'static str) -> Line {
        Line::Unreadable { why, custom_id: None }
    }

    fn bad_answer(why: &'static str) -> Line {
        Line::Unreadable { why, custom_id: Some("T-1".to_owned()) }
    }

    #[test]
    fn an_answer_is_kept_as_it_stands_and_reads_again() {
        let Line::Answered { custom_id, body, response } = line(with_body(&format!(" {BODY} ")).as_bytes()) else {
            panic!()
        };
        assert_eq!((custom_id.as_str(), body.as_str()), ("T-1", BODY));
        assert_eq!(response.texts[0].body, "hi");
        assert_eq!(read::response(&body).unwrap(), *response);
    }

    #[test]
    fn a_response_that_ended_badly_or_was_refused_is_an_answer_too() {
        for (body, status) in [
            (r#"{"id":"r","status":"failed","error":{"code":"server_error"}}"#, Status::Failed),
            (r#"{"id":"r","status":"incomplete"}"#, Status::Incomplete),
            (r#"{"id":"c","object":"chat.completion","choices":[]}"#, Status::Completed),
        ] {
            let read = line(with_body(body).as_bytes());
            assert!(matches!(&read, Line::Answered { response, .. } if response.status == status), "{read:?}");
        }
    }

    #[test]
    fn what_openai_refused_or_never_ran_is_told_by_its_code() {
        let refused = r#"{"status_code":400,"request_id":"r","body":{"error":{"message":"secret","type":"invalid_request_error","param":"x","code":null}}}"#;
        let limited = r#"{"status_code":429,"body":{"error":{"code":"rate_limit_exceeded"}}}"#;
        let expired = r#"{"code":"batch_expired","message":"This request could not be executed."}"#;
        let table = [
            (answer(refused, "null"), failed(400, Some("invalid_request_error"))),
            (answer(limited, "null"), failed(429, Some("rate_limit_exceeded"))),
            (answer(r#"{"status_code":0,"request_id":"","body":{}}"#, "null"), failed(0, None)),
            (answer(r#"{"status_code":500,"body":null}"#, "null"), failed(500, None)),
            (answer(r#"{"status_code":502,"body":"<html>"}"#, "null"), failed(502, None)),
            (answer(r#"{"status_code":503,"body":[{"error":1}]}"#, "null"), failed(503, None)),
            (answer(r#"{"status_code":201}"#, "null"), failed(201, None)),
            (answer(r#"{"status_code":-7}"#, "null"), failed(-7, None)),
            (answer(r#"{"status_code":400}"#, r#"{"code":"late"}"#), failed(400, Some("late"))),
            (answer(&format!(r#"{{"status_code":200,"body":{BODY}}}"#), r#"{"code":"odd"}"#), failed(200, Some("odd"))),
            (answer(&format!(r#"{{"status_code":200,"body":{BODY}}}"#), "7"), failed(200, Some("unknown"))),
            (answer("null", expired), not_executed("batch_expired")),
            (answer("null", r#"{"code":"batch_cancelled"}"#), not_executed("batch_cancelled")),
            (answer("null", r#"{"code":"something_new"}"#), not_executed("something_new")),
            (answer("null", r#"{"type":"some_type"}"#), not_executed("some_type")),
            (answer("null", r#"{"code":"Dear Mrs Smith"}"#), not_executed("not_a_code")),
            (answer("null", r#"{"message":"secret"}"#), not_executed("unknown")),
            (answer("null", "\"secret\""), not_executed("unknown")),
            (answer("{}", expired), not_executed("batch_expired")),
            (r#"{"custom_id":"T-1","error":{"code":"batch_expired"}}"#.to_owned(), not_executed("batch_expired")),
        ];
        for (text, expected) in table {
            let read = line(text.as_bytes());
            assert_eq!(read, expected, "{text}");
            assert!(!format!("{read:?}").contains("secret"));
            assert_eq!(read.custom_id(), Some("T-1"));
        }
    }

    #[test]
    fn a_line_without_an_answer_keeps_its_custom_id() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let deep_output = format!(r#"{{"id":"r","status":{deep}}}"#);
        let table = [
            (answer("null", "null"), "no_answer"),
            (answer("null", "{}"), "no_answer"),
            (answer("null", "\"\""), "no_answer"),
            (answer("\"text\"", "null"), "no_answer"),
            (answer(r#"{"status_code":"200"}"#, "null"), "no_answer"),
            (r#"{"custom_id":"T-1"}"#.to_owned(), "no_answer"),
            (answer(r#"{"status_code":200}"#, "null"), "no_body"),
            (with_body("null"), "no_body"),
            (with_body("{}"), "body_without_id"),
            (with_body(r#"{"error":{"code":"x"}}"#), "body_without_id"),
            (with_body(r#"{"object":"list","data":[]}"#), "body_without_id"),
            (with_body("7"), "bad_body"),
            (with_body(r#"["response","resp_1","completed"]"#), "bad_body"),
            (with_body(&deep), "bad_body"),
            (with_body(r#"{"id":"r","id":"s","status":"completed"}"#), "bad_body"),
            (with_body(r#"{"id":"r","status":"in_progress"}"#), "not_ended"),
            (with_body(r#"{"id":"r","status":"a_new_word"}"#), "not_ended"),
            (with_body(r#"{"id":"cmpl-1","object":"text_completion"}"#), "not_ended"),
            (with_body(&deep_output), "not_ended"),
        ];
        for (text, why) in table {
            assert_eq!(line(text.as_bytes()), bad_answer(why), "{}", &text[..text.len().min(200)]);
        }
    }

    #[test]
    fn a_line_that_names_no_request_is_unreadable() {
        let long = format!(r#"{{"custom_id":"{}","error":{{"code":"x"}}}}"#, "a".repeat(513));
        let deep = "[".repeat(1_000_000);
        let table: [(&[u8], &str); 17] = [
            (b"", "not_json"),
            (b"hello", "not_json"),
            (br#"{"custom_id":"T-1","resp"#, "not_json"),
            (br#"{"custom_id":"T-1"} {"custom_id":"T-2"}"#, "not_json"),
            (br#"{"custom_id":"T-1","custom_id":"T-2"}"#, "not_json"),
            (br#"{"custom_id":"\ud800"}"#, "not_json"),
            (deep.as_bytes(), "not_json"),
            (b"\xff\xfe", "not_text"),
            (b"{\"custom_id\":\"T-\xc3\"}", "not_text"),
            (b"null", "not_an_object"),
            (b"[\"T-1\",{},null]", "not_an_object"),
            (b"{}", "no_custom_id"),
            (br#"{"custom_id":7}"#, "no_custom_id"),
            (br#"{"custom_id":""}"#, "no_custom_id"),
            (br#"{"custom_id":"a\u0000b"}"#, "bad_custom_id"),
            (br#"{"custom_id":"a\u001b[2J"}"#, "bad_custom_id"),
            (long.as_bytes(), "bad_custom_id"),
        ];
        for (bytes, why) in table {
            assert_eq!(line(bytes), unreadable(why), "{}", String::from_utf8_lossy(&bytes[..bytes.len().min(80)]));
        }
        let longest = format!(r#"{{"custom_id":"{}"}}"#, "a".repeat(512));
        assert_eq!(line(longest.as_bytes()).custom_id().map(str::len), Some(512));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let read = line(&bytes);
            let sure = matches!(read, Line::Unreadable { custom_id: None, .. });
            prop_assert!(sure, "random bytes name no request");
        }

        #[test]
        fn a_line_that_was_cut_is_not_read(at in 0_usize..200) {
            let whole = with_body(BODY).into_bytes();
            prop_assert_eq!(line(&whole[..at % whole.len()]), unreadable("not_json"));
        }

        #[test]
        fn a_line_with_spoilt_bytes_does_not_make_it_panic(
            spoilt in proptest::collection::vec((0_usize..200, any::<u8>()), 1..6),
        ) {
            let mut bytes = with_body(BODY).into_bytes();
            let length = bytes.len();
            for (at, byte) in spoilt {
                bytes[at % length] = byte;
            }
            let read = line(&bytes);
            prop_assert!(read.custom_id().is_none_or(|id| id.len() <= length));
        }
    }
}
