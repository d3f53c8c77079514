//! What happens in the demo: at least one of every ending, and how each should end.

use frontdesk_simulator::Fault;

use super::stage::Actual;

/// One piece of work, and how it should end.
pub(super) struct Case {
    /// The ticket; none for work without one.
    pub(super) ticket: Option<&'static str>,
    /// `summary`, `classification` or `draft_reply`; nothing for bare events.
    pub(super) workflow: &'static str,
    /// What goes on at OpenAI, in a few words.
    pub(super) story: &'static str,
    /// The ticket's subject and first message.
    pub(super) text: (&'static str, &'static str),
    pub(super) faults: &'static [Fault],
    pub(super) start: Start,
    pub(super) expect: Expect,
}

/// How the work is started.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// By Frontdesk.
    Submit,
    /// By Frontdesk, and the customer writes again before the result is there.
    SubmitThenWrite,
    /// By Frontdesk, and OpenAI then refuses the key for a while.
    SubmitThenLockOut,
    /// By another program, with the ticket in its metadata.
    Elsewhere,
    /// By another program that names no ticket.
    ElsewhereUnplaced,
    /// A batch of another program.
    Batch,
    /// A signed event of this type about nothing.
    Event,
    /// A webhook that nobody signed with our secret.
    Forged,
}

/// How it should end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// On the ticket, once.
    Applied(&'static str),
    /// With a person, for this reason; nothing on the ticket.
    Held(&'static str),
    /// With a person, and a draft on the ticket.
    HeldWithDraft,
    /// Given up for this cause, with an alert.
    Failed(&'static str),
    /// Kept for a person, without a job.
    Received,
    /// Refused at the door, counted, not stored.
    Refused,
}

impl Case {
    /// Whether it ended as it should.
    pub(super) fn is_met_by(&self, actual: &Actual) -> bool {
        let (state, outcome, reason, on_ticket): (&str, &str, &str, &[&str]) = match &self.expect {
            Expect::Applied(slot) => ("processed", "applied", "", std::slice::from_ref(slot)),
            Expect::Held(reason) => ("processed", "held", reason, &[]),
            Expect::HeldWithDraft => ("processed", "held", "customer_facing", &["draft"]),
            Expect::Failed(cause) => ("failed_final", "", cause, &[]),
            Expect::Received => ("received", "", "", &[]),
            Expect::Refused => ("refused", "", "", &[]),
        };
        actual.state == state
            && actual.outcome == outcome
            && (reason.is_empty() || actual.reason == reason)
            && actual.on_ticket == on_ticket
    }
}

const LAMP: (&str, &str) = (
    "Lamp arrived without its plug",
    "Hello, I ordered the Solveig lamp last week. It arrived today, but there is no plug in the box. Can you send me one? My order is 81233.",
);
const PARCEL: (&str, &str) = (
    "Where is my parcel?",
    "My parcel was due on Monday. The tracking page has not changed since Friday. Please tell me when it will come.",
);
const CRASH: (&str, &str) = (
    "App crashes when I open reports",
    "Since yesterday's update the app closes as soon as I open the reports page. Two colleagues see the same. We need the reports on Thursday.",
);
const MONEY: (&str, &str) =
    ("I want my money back", "The chair broke after two days. I do not want a new one, I want a refund.");
const HOURS: (&str, &str) =
    ("Opening hours at Easter", "Is your shop in Leeds open on Easter Monday? I would like to look at the oak table.");

const fn submit(
    ticket: &'static str,
    workflow: &'static str,
    story: &'static str,
    text: (&'static str, &'static str),
    faults: &'static [Fault],
    expect: Expect,
) -> Case {
    Case { ticket: Some(ticket), workflow, story, text, faults, start: Start::Submit, expect }
}

const fn other(
    start: Start,
    ticket: Option<&'static str>,
    workflow: &'static str,
    story: &'static str,
    faults: &'static [Fault],
    expect: Expect,
) -> Case {
    Case { ticket, workflow, story, text: HOURS, faults, start, expect }
}

/// Every case, in the order of the table.
pub(super) static CASES: [Case; 38] = [
    submit("T-1001", "summary", "completed", LAMP, &[], Expect::Applied("note")),
    submit("T-1002", "classification", "completed", CRASH, &[], Expect::Applied("route")),
    submit("T-1003", "draft_reply", "completed", HOURS, &[], Expect::HeldWithDraft),
    submit(
        "T-1004",
        "summary",
        "completed; webhook twice, same webhook-id",
        PARCEL,
        &[Fault::DuplicateSameId],
        Expect::Applied("note"),
    ),
    submit(
        "T-1005",
        "summary",
        "completed; webhook twice, new webhook-id",
        LAMP,
        &[Fault::DuplicateNewId],
        Expect::Applied("note"),
    ),
    submit(
        "T-1006",
        "classification",
        "completed; told by two events",
        PARCEL,
        &[Fault::SecondEvent],
        Expect::Applied("route"),
    ),
    submit(
        "T-1007",
        "summary",
        "completed; webhook overtaken by others",
        CRASH,
        &[Fault::Reorder],
        Expect::Applied("note"),
    ),
    submit(
        "T-1008",
        "summary",
        "completed; also a forged and a stale copy",
        HOURS,
        &[Fault::TamperedSignature, Fault::StaleTimestamp],
        Expect::Applied("note"),
    ),
    submit(
        "T-1009",
        "summary",
        "completed; 429 on the first reads",
        LAMP,
        &[Fault::RateLimited],
        Expect::Applied("note"),
    ),
    submit(
        "T-1010",
        "classification",
        "completed; 500 on the first reads",
        PARCEL,
        &[Fault::ServerError],
        Expect::Applied("route"),
    ),
    submit(
        "T-1011",
        "summary",
        "completed; first answers cut off",
        CRASH,
        &[Fault::Truncated],
        Expect::Applied("note"),
    ),
    submit(
        "T-1012",
        "summary",
        "completed; webhook before the result",
        HOURS,
        &[Fault::LateModel],
        Expect::Applied("note"),
    ),
    submit("T-1013", "summary", "completed; slow answers", PARCEL, &[Fault::Slow], Expect::Applied("note")),
    submit(
        "T-1014",
        "classification",
        "completed; a broken message, then the whole one",
        LAMP,
        &[Fault::SeveralMessages],
        Expect::Applied("route"),
    ),
    submit(
        "T-1015",
        "classification",
        "completed; the model is unsure",
        PARCEL,
        &[Fault::LowConfidence],
        Expect::Held("low_confidence"),
    ),
    submit("T-1016", "classification", "completed; sensitive topic", MONEY, &[], Expect::Held("sensitive")),
    submit("T-1017", "draft_reply", "completed; sensitive topic", MONEY, &[], Expect::Held("sensitive")),
    submit(
        "T-1018",
        "classification",
        "completed; two answers that differ",
        CRASH,
        &[Fault::Contradictory],
        Expect::Held("ambiguous_output"),
    ),
    submit(
        "T-1019",
        "classification",
        "completed; prose instead of JSON",
        HOURS,
        &[Fault::BadJson],
        Expect::Held("invalid_output"),
    ),
    submit(
        "T-1020",
        "classification",
        "completed; JSON of another shape",
        HOURS,
        &[Fault::SchemaMismatch],
        Expect::Held("invalid_output"),
    ),
    submit("T-1021", "draft_reply", "completed; the model refuses", LAMP, &[Fault::Refusal], Expect::Held("refused")),
    submit("T-1022", "summary", "completed; a tool failed", PARCEL, &[Fault::FailedTool], Expect::Held("tool_failed")),
    submit(
        "T-1023",
        "summary",
        "completed; a tool call waits for an answer",
        PARCEL,
        &[Fault::UnansweredTool],
        Expect::Held("tool_unanswered"),
    ),
    submit(
        "T-1024",
        "summary",
        "completed; no message at all",
        CRASH,
        &[Fault::NoMessage],
        Expect::Held("empty_output"),
    ),
    Case {
        start: Start::SubmitThenWrite,
        ..submit(
            "T-1025",
            "draft_reply",
            "completed; the customer wrote again meanwhile",
            HOURS,
            &[],
            Expect::Held("changed_since"),
        )
    },
    submit("T-1026", "summary", "incomplete", LAMP, &[Fault::Incomplete], Expect::Held("incomplete")),
    submit("T-1027", "summary", "failed", CRASH, &[Fault::FailedFinal], Expect::Failed("resource_failed")),
    submit("T-1028", "summary", "cancelled", PARCEL, &[Fault::Cancelled], Expect::Failed("resource_cancelled")),
    submit(
        "T-1029",
        "summary",
        "forgotten before it was fetched (404)",
        HOURS,
        &[Fault::Expired],
        Expect::Failed("lost_to_retention"),
    ),
    Case {
        start: Start::SubmitThenLockOut,
        ..submit(
            "T-1030",
            "summary",
            "completed; OpenAI refuses the key for a while",
            LAMP,
            &[],
            Expect::Applied("note"),
        )
    },
    other(
        Start::Elsewhere,
        Some("T-1031"),
        "summary",
        "started by another program, ticket in metadata",
        &[],
        Expect::Applied("note"),
    ),
    other(
        Start::ElsewhereUnplaced,
        None,
        "summary",
        "started by another program, no ticket named",
        &[],
        Expect::Held("unplaced"),
    ),
    other(Start::Batch, None, "batch", "batch completed", &[], Expect::Held("batch")),
    other(Start::Batch, None, "batch", "batch expired", &[Fault::BatchExpired], Expect::Held("batch")),
    other(Start::Batch, None, "batch", "batch cancelled", &[Fault::BatchCancelled], Expect::Held("batch")),
    other(Start::Batch, None, "batch", "batch failed", &[Fault::BatchFailed], Expect::Failed("resource_failed")),
    other(Start::Event, None, "response.daydreamed", "an event type nobody has heard of", &[], Expect::Received),
    other(Start::Forged, None, "response.completed", "a webhook signed with another secret", &[], Expect::Refused),
];
