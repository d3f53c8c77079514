//! Every case of the demo, in the order of the table.

use frontdesk_simulator::Fault;

use super::scenario::{Case, Expect, Lines, Start, Step};

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

const CALL: (&str, &str) = (
    "Call about the oak table",
    "The customer called: the oak table wobbles. We promised new feet by Friday, and she will tell us whether they fit.",
);

const fn submit(
    ticket: &'static str,
    workflow: &'static str,
    story: &'static str,
    text: (&'static str, &'static str),
    faults: &'static [Fault],
    expect: Expect,
) -> Case {
    Case { ticket: Some(ticket), workflow, story, text, faults, start: Start::Submit, then: &[], expect }
}

const fn other(
    start: Start,
    ticket: Option<&'static str>,
    workflow: &'static str,
    story: &'static str,
    faults: &'static [Fault],
    expect: Expect,
) -> Case {
    Case { ticket, workflow, story, text: HOURS, faults, start, then: &[], expect }
}

/// A draft that waits for a person, and what then happens to it.
const fn draft(ticket: &'static str, story: &'static str, then: &'static [Step], expect: Expect) -> Case {
    Case { then, ..submit(ticket, "draft_reply", story, HOURS, &[], expect) }
}

/// A batch of another program.
const fn batch(story: &'static str, lines: Lines, faults: &'static [Fault], expect: Expect) -> Case {
    Case { text: PARCEL, ..other(Start::Batch(lines), None, "batch", story, faults, expect) }
}

/// Every case, in the order of the table.
pub(super) static CASES: &[Case] = &[
    submit("T-1001", "summary", "completed", LAMP, &[], Expect::Applied(&["note"])),
    submit("T-1002", "classification", "completed", CRASH, &[], Expect::Applied(&["route"])),
    submit("T-1003", "draft_reply", "completed", HOURS, &[], Expect::HeldWithDraft),
    submit(
        "T-1004",
        "summary",
        "webhook twice, same webhook-id",
        PARCEL,
        &[Fault::DuplicateSameId],
        Expect::Applied(&["note"]),
    ),
    submit(
        "T-1005",
        "summary",
        "webhook twice, new webhook-id",
        LAMP,
        &[Fault::DuplicateNewId],
        Expect::Applied(&["note"]),
    ),
    submit(
        "T-1006",
        "classification",
        "told by two events",
        PARCEL,
        &[Fault::SecondEvent],
        Expect::Applied(&["route"]),
    ),
    submit("T-1007", "summary", "webhook overtaken by others", CRASH, &[Fault::Reorder], Expect::Applied(&["note"])),
    submit(
        "T-1008",
        "summary",
        "also a forged and a stale copy",
        HOURS,
        &[Fault::TamperedSignature, Fault::StaleTimestamp],
        Expect::Applied(&["note"]),
    ),
    submit("T-1009", "summary", "429 on the first reads", LAMP, &[Fault::RateLimited], Expect::Applied(&["note"])),
    submit(
        "T-1010",
        "classification",
        "500 on the first reads",
        PARCEL,
        &[Fault::ServerError],
        Expect::Applied(&["route"]),
    ),
    submit("T-1011", "summary", "first answers cut off", CRASH, &[Fault::Truncated], Expect::Applied(&["note"])),
    submit("T-1012", "summary", "webhook before the result", HOURS, &[Fault::LateModel], Expect::Applied(&["note"])),
    submit("T-1013", "summary", "slow answers", PARCEL, &[Fault::Slow], Expect::Applied(&["note"])),
    submit(
        "T-1014",
        "classification",
        "a broken message, then a whole one",
        LAMP,
        &[Fault::SeveralMessages],
        Expect::Applied(&["route"]),
    ),
    submit(
        "T-1015",
        "classification",
        "the model is unsure",
        PARCEL,
        &[Fault::LowConfidence],
        Expect::Held("low_confidence"),
    ),
    submit("T-1016", "classification", "sensitive topic", MONEY, &[], Expect::Held("sensitive")),
    submit("T-1017", "draft_reply", "sensitive topic", MONEY, &[], Expect::Held("sensitive")),
    submit(
        "T-1018",
        "classification",
        "two answers that differ",
        CRASH,
        &[Fault::Contradictory],
        Expect::Held("ambiguous_output"),
    ),
    submit(
        "T-1019",
        "classification",
        "prose instead of JSON",
        HOURS,
        &[Fault::BadJson],
        Expect::Held("invalid_output"),
    ),
    submit(
        "T-1020",
        "classification",
        "JSON of another shape",
        HOURS,
        &[Fault::SchemaMismatch],
        Expect::Held("invalid_output"),
    ),
    submit("T-1021", "draft_reply", "the model refuses", LAMP, &[Fault::Refusal], Expect::Held("refused")),
    submit("T-1022", "summary", "a tool failed", PARCEL, &[Fault::FailedTool], Expect::Held("tool_failed")),
    submit(
        "T-1023",
        "summary",
        "a tool call waits for an answer",
        PARCEL,
        &[Fault::UnansweredTool],
        Expect::Held("tool_unanswered"),
    ),
    submit("T-1024", "summary", "no message at all", CRASH, &[Fault::NoMessage], Expect::Held("empty_output")),
    Case {
        start: Start::SubmitThenWrite,
        ..submit(
            "T-1025",
            "draft_reply",
            "the customer writes while it is at work",
            HOURS,
            &[Fault::Slow],
            Expect::Held("changed_since"),
        )
    },
    submit("T-1026", "summary", "incomplete", LAMP, &[Fault::Incomplete], Expect::Held("incomplete")),
    submit(
        "T-1027",
        "summary",
        "failed; will not pass",
        CRASH,
        &[Fault::FailedFinal],
        Expect::Failed("resource_failed"),
    ),
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
            "OpenAI refuses the key for a while",
            LAMP,
            &[Fault::Drop],
            Expect::Applied(&["note"]),
        )
    },
    other(
        Start::Elsewhere,
        Some("T-1031"),
        "summary",
        "of another program, ticket in its metadata",
        &[],
        Expect::Applied(&["note"]),
    ),
    draft("T-1032", "an agent approves the draft", &[Step::Approve], Expect::AppliedAs("approved by lena", &["reply"])),
    draft(
        "T-1033",
        "an agent edits and approves the draft",
        &[Step::ApproveEdited],
        Expect::AppliedAs("approved by lena", &["edited reply"]),
    ),
    draft("T-1034", "an agent rejects the draft", &[Step::Reject], Expect::Rejected("tone")),
    draft(
        "T-1035",
        "the customer writes before anybody decides",
        &[Step::WriteAgain],
        Expect::Stale("the customer wrote again"),
    ),
    draft(
        "T-1036",
        "approved; then another event tells of it",
        &[Step::Approve, Step::SecondEvent],
        Expect::AppliedAs("approved by lena", &["reply"]),
    ),
    Case {
        start: Start::SubmitThenMend,
        ..submit(
            "T-1037",
            "summary",
            "failed; may pass; good the second time",
            CRASH,
            &[Fault::Failed, Fault::Slow],
            Expect::AppliedAs("second try", &["note"]),
        )
    },
    submit(
        "T-1038",
        "summary",
        "failed; may pass; failed again",
        PARCEL,
        &[Fault::Failed],
        Expect::Failed("resource_failed"),
    ),
    submit(
        "T-1039",
        "summary",
        "the webhook never comes",
        LAMP,
        &[Fault::Drop],
        Expect::AppliedAs("found by asking", &["note"]),
    ),
    Case {
        start: Start::SubmitAfterOlder,
        then: &[Step::OlderComes],
        ..submit(
            "T-1040",
            "summary",
            "an older result comes after a newer one",
            HOURS,
            &[Fault::Drop],
            Expect::Superseded(&["note"]),
        )
    },
    submit(
        "T-1041",
        "call_report",
        "a quality check follows",
        CALL,
        &[],
        Expect::Applied(&["note", "note", "fields", "file"]),
    ),
    submit("T-1042", "extraction", "completed", LAMP, &[], Expect::Applied(&["fields"])),
    submit("T-1043", "warranty", "a workflow from the settings", LAMP, &[], Expect::Applied(&["note", "fields"])),
    other(
        Start::ElsewherePaused,
        Some("T-1044"),
        "extraction",
        "its workflow is paused for a while",
        &[],
        Expect::Applied(&["fields"]),
    ),
    other(
        Start::ElsewhereUnplaced,
        None,
        "summary",
        "of another program, which names no ticket",
        &[],
        Expect::Held("unplaced"),
    ),
    batch("batch completed", Lines::to_classify(2001, 4), &[], Expect::Batch("applied", "4 ok", 4)),
    batch(
        "batch expired half way",
        Lines::to_classify(2011, 4),
        &[Fault::BatchExpired],
        Expect::Batch("applied", "2 failed, 2 ok; 2 not_executed", 2),
    ),
    batch(
        "batch cancelled half way",
        Lines::to_classify(2021, 4),
        &[Fault::BatchCancelled],
        Expect::Batch("applied", "2 ok", 2),
    ),
    batch(
        "batch with a bad input file",
        Lines { repeats: true, ..Lines::to_classify(2031, 4) },
        &[],
        Expect::BatchFailed("duplicate_custom_id in line 5"),
    ),
    batch(
        "batch with lines of every irregular kind",
        Lines::to_classify(2041, 8),
        &[Fault::BatchIrregular],
        Expect::Batch(
            "applied",
            "1 duplicate, 2 failed, 4 ok, 1 unknown, 1 unreadable; 1 api_error_0, 1 api_error_400, 1 custom_id_again, 1 no_ticket, 1 not_json",
            4,
        ),
    ),
    batch(
        "batch that names no workflow",
        Lines { workflow: None, ..Lines::to_classify(2051, 2) },
        &[],
        Expect::Held("unplaced"),
    ),
    other(
        Start::Event,
        None,
        "fine_tuning.job.succeeded",
        "fine-tuning ended: kept, and told once",
        &[],
        Expect::Told("fine_tuning_ended"),
    ),
    other(Start::Event, None, "response.daydreamed", "an event type nobody has heard of", &[], Expect::Received),
    other(Start::Forged, None, "response.completed", "a webhook signed with another secret", &[], Expect::Refused),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cli::demo::ending::Actual;

    #[test]
    fn no_two_cases_share_a_ticket_or_a_story_without_one() {
        let key = |case: &Case| case.ticket.unwrap_or(case.story);
        let keys: BTreeSet<&str> = CASES.iter().map(key).collect();
        assert_eq!(keys.len(), CASES.len());
    }

    #[test]
    fn no_case_is_met_by_work_that_never_ends_or_is_on_the_ticket_twice() {
        for case in CASES {
            assert!(!case.is_met_by(&Actual::never()), "{}", case.story);
            if let Expect::Applied(slots) = case.expect {
                let ended = |on_ticket: Vec<&str>| Actual {
                    state: "processed".to_owned(),
                    outcome: "applied".to_owned(),
                    on_ticket: on_ticket.into_iter().map(str::to_owned).collect(),
                    ..Actual::default()
                };
                assert!(case.is_met_by(&ended(slots.to_vec())), "{}", case.story);
                assert!(!case.is_met_by(&ended([slots, slots].concat())), "{}", case.story);
            }
        }
    }
}
