//! From a response to the one output that may be used. Whatever is not plainly
//! right is unclean, and a person looks at it.

use super::hold::HoldReason;
use super::resource::{Response, Status, Text, ToolTrouble, ToolTroubleKind};

/// What became of reading an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading<T> {
    /// The one valid output.
    Clean(T),
    /// No output to be used without a person.
    Unclean {
        /// Why.
        reason: HoldReason,
        /// One line in our own words; no model output.
        detail: String,
    },
}

impl<T> Reading<T> {
    /// Makes something of a clean output.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Reading::Clean(value) => Reading::Clean(make(value)),
            Reading::Unclean { reason, detail } => Reading::Unclean { reason, detail },
        }
    }
}

/// How many tools a detail names.
const MAX_TOOLS_NAMED: usize = 3;

/// Reads the output of a response. `try_one` is given each eligible text on its
/// own and says what it is, or what is wrong with it in our own words (position
/// and kind, no content).
///
/// Texts of the phase `final_answer` go before those without a phase;
/// commentary, and phases we do not know, never count. The same text twice
/// counts once. Of several messages usually only one is whole (in a public
/// measurement of 233,124 batch lines, 557 had several texts, none of them two
/// valid ones), so trying each on its own loses nothing and joining them breaks all.
pub fn read<T>(response: &Response, try_one: impl Fn(&str) -> Result<T, String>) -> Reading<T> {
    if let Some((reason, detail)) = unclean(response) {
        return Reading::Unclean { reason, detail };
    }
    let mut wrong = None;
    for phase in [Some("final_answer"), None] {
        let mut valid: Option<(&str, T)> = None;
        for text in eligible(&response.texts, phase) {
            match try_one(text) {
                Err(detail) => wrong = Some(detail),
                Ok(value) => match &valid {
                    None => valid = Some((text, value)),
                    Some((first, _)) if *first == text => {}
                    Some(_) => return ambiguous(),
                },
            }
        }
        if let Some((_, value)) = valid {
            return Reading::Clean(value);
        }
    }
    let (reason, detail) = match wrong {
        Some(detail) => (HoldReason::InvalidOutput, detail),
        None => (HoldReason::EmptyOutput, "no text to use".to_owned()),
    };
    Reading::Unclean { reason, detail }
}

/// What workflows for plain text use to try a text: anything but nothing, up to
/// `max_bytes`. Several different texts then are ambiguous by themselves.
pub fn plain_text(max_bytes: usize) -> impl Fn(&str) -> Result<String, String> {
    move |text| {
        let text = text.trim();
        match text.len() {
            0 => Err("the text is empty".to_owned()),
            bytes if bytes > max_bytes => Err(format!("the text has {bytes} bytes, {max_bytes} are allowed")),
            _ => Ok(text.to_owned()),
        }
    }
}

/// The texts of one phase that are not blank.
fn eligible<'a>(texts: &'a [Text], phase: Option<&'a str>) -> impl Iterator<Item = &'a str> {
    texts
        .iter()
        .filter(move |text| text.phase.as_deref() == phase)
        .map(|text| text.body.trim())
        .filter(|body| !body.is_empty())
}

fn ambiguous<T>() -> Reading<T> {
    Reading::Unclean { reason: HoldReason::AmbiguousOutput, detail: "several different texts are valid".to_owned() }
}

/// What keeps a response from being read at all.
fn unclean(response: &Response) -> Option<(HoldReason, String)> {
    match &response.status {
        Status::Completed => {}
        Status::Incomplete => {
            let why = response.incomplete_reason.as_deref().unwrap_or("no reason given");
            return Some((HoldReason::Incomplete, why.to_owned()));
        }
        other => return Some((HoldReason::Failed, format!("status {}", word(other)))),
    }
    if !response.refusals.is_empty() {
        let count = response.refusals.len();
        return Some((HoldReason::Refused, format!("refusals: {count}")));
    }
    let failed = named(&response.tools, |kind| kind == ToolTroubleKind::Failed);
    if let Some(detail) = failed {
        return Some((HoldReason::ToolFailed, detail));
    }
    named(&response.tools, |_| true).map(|detail| (HoldReason::ToolUnanswered, detail))
}

fn word(status: &Status) -> &str {
    match status {
        Status::Moving(word) | Status::Unknown(word) => word,
        Status::Completed => "completed",
        Status::Incomplete => "incomplete",
        Status::Failed => "failed",
        Status::Cancelled => "cancelled",
        Status::Expired => "expired",
    }
}

/// The troubled tools by name, the first few of them.
fn named(tools: &[ToolTrouble], which: impl Fn(ToolTroubleKind) -> bool) -> Option<String> {
    let all: Vec<&ToolTrouble> = tools.iter().filter(|trouble| which(trouble.kind)).collect();
    let named: Vec<String> =
        all.iter().take(MAX_TOOLS_NAMED).map(|trouble| format!("{} ({})", trouble.tool, trouble.detail)).collect();
    match all.len().saturating_sub(MAX_TOOLS_NAMED) {
        _ if all.is_empty() => None,
        0 => Some(named.join(", ")),
        more => Some(format!("{} and {more} more", named.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::resource::Usage;

    fn response(texts: &[(Option<&str>, &str)]) -> Response {
        Response {
            id: "resp_1".to_owned(),
            status: Status::Completed,
            error_code: None,
            incomplete_reason: None,
            metadata: BTreeMap::new(),
            texts: texts
                .iter()
                .map(|(phase, body)| Text { phase: phase.map(str::to_owned), body: (*body).to_owned() })
                .collect(),
            refusals: Vec::new(),
            tools: Vec::new(),
            unknown_items: Vec::new(),
            created_at_s: None,
            model: None,
            schema: None,
            usage: Usage::default(),
        }
    }

    /// Valid are numbers.
    fn number(text: &str) -> Result<i64, String> {
        text.parse().map_err(|_| format!("not a number, {} bytes", text.len()))
    }

    fn reason<T: std::fmt::Debug>(reading: Reading<T>) -> HoldReason {
        match reading {
            Reading::Unclean { reason, .. } => reason,
            Reading::Clean(value) => panic!("clean: {value:?}"),
        }
    }

    const FINAL: Option<&str> = Some("final_answer");
    const TALK: Option<&str> = Some("commentary");

    #[test]
    fn the_single_valid_text_is_the_output() {
        let table: [&[(Option<&str>, &str)]; 7] = [
            &[(None, "1")],
            &[(None, " 1\n")],
            &[(None, "{\"half"), (None, "1")],
            &[(None, "1"), (None, "half"), (None, "1")],
            &[(TALK, "2"), (FINAL, "1"), (TALK, "3")],
            &[(None, "2"), (FINAL, "1")],
            &[(FINAL, "half"), (None, "1"), (Some("new_phase"), "2")],
        ];
        for texts in table {
            assert_eq!(read(&response(texts), number), Reading::Clean(1), "{texts:?}");
        }
    }

    #[test]
    fn two_different_valid_texts_are_ambiguous() {
        for phase in [None, FINAL] {
            let reading = read(&response(&[(phase, "1"), (phase, "2")]), number);
            assert_eq!(reason(reading), HoldReason::AmbiguousOutput);
        }
    }

    #[test]
    fn when_none_is_valid_the_last_try_says_why() {
        let reading = read(&response(&[(None, "x"), (TALK, "1"), (None, "xyz")]), number);
        let detail = "not a number, 3 bytes".to_owned();
        let reason = HoldReason::InvalidOutput;
        assert_eq!(reading, Reading::Unclean { reason, detail });
    }

    #[test]
    fn without_a_text_the_output_is_empty() {
        let table: [&[(Option<&str>, &str)]; 3] = [&[], &[(None, " \n")], &[(TALK, "1")]];
        for texts in table {
            assert_eq!(reason(read(&response(texts), number)), HoldReason::EmptyOutput);
        }
    }

    #[test]
    fn a_response_that_did_not_end_well_is_never_read() {
        let untouched = |_: &str| -> Result<i64, String> { panic!("it was read") };
        let mut response = response(&[(None, "1")]);
        response.incomplete_reason = Some("max_output_tokens".to_owned());
        for (status, expected) in [
            (Status::Incomplete, HoldReason::Incomplete),
            (Status::Failed, HoldReason::Failed),
            (Status::Cancelled, HoldReason::Failed),
            (Status::Moving("queued".to_owned()), HoldReason::Failed),
            (Status::Unknown("paused".to_owned()), HoldReason::Failed),
        ] {
            response.status = status;
            assert_eq!(reason(read(&response, untouched)), expected);
        }
    }

    #[test]
    fn refusals_go_before_tools_and_failed_tools_before_unanswered_ones() {
        let mut response = response(&[(None, "1")]);
        let trouble = |kind| ToolTrouble { tool: "function_call".to_owned(), kind, detail: "completed".to_owned() };
        response.tools = vec![trouble(ToolTroubleKind::AwaitingApproval)];
        assert_eq!(reason(read(&response, number)), HoldReason::ToolUnanswered);
        response.tools.push(trouble(ToolTroubleKind::Failed));
        assert_eq!(reason(read(&response, number)), HoldReason::ToolFailed);
        response.refusals = vec!["I cannot".to_owned()];
        let reading = read(&response, number);
        assert!(!format!("{reading:?}").contains("I cannot"));
        assert_eq!(reason(reading), HoldReason::Refused);
    }

    #[test]
    fn a_detail_names_a_few_tools_and_counts_the_rest() {
        let mut response = response(&[]);
        let trouble =
            ToolTrouble { tool: "mcp_call".to_owned(), kind: ToolTroubleKind::Failed, detail: "http_error".to_owned() };
        response.tools = vec![trouble; 5];
        let Reading::Unclean { detail, .. } = read(&response, number) else { panic!() };
        let one = "mcp_call (http_error)";
        assert_eq!(detail, format!("{one}, {one}, {one} and 2 more"));
    }

    #[test]
    fn plain_texts_are_ambiguous_unless_one_is_final() {
        let try_one = plain_text(10);
        let clean = |texts| read(&response(texts), &try_one);
        assert_eq!(clean(&[(None, " hello ")]), Reading::Clean("hello".to_owned()));
        assert_eq!(clean(&[(None, "a"), (FINAL, "b")]), Reading::Clean("b".to_owned()));
        assert_eq!(reason(clean(&[(None, "a"), (None, "b")])), HoldReason::AmbiguousOutput);
        assert_eq!(reason(clean(&[(None, "a much longer text")])), HoldReason::InvalidOutput);
        assert_eq!(reason(clean(&[(None, " ")])), HoldReason::EmptyOutput);
    }
}
