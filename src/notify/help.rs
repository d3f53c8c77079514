//! What to do about an alert, in one line: the last column of the table in
//! docs/operations.md, in short. A test holds the two lists together.

/// What to do about alerts of this kind.
pub(super) fn help(kind: &str) -> &'static str {
    match kind {
        "openai_auth" => "mend the key's rights at OpenAI, or set another and restart; the jobs go on by themselves.",
        "openai_quota" => "pay, or raise the limit at OpenAI; the jobs go on by themselves.",
        "openai_rate_limited" => "nothing, unless it lasts; then 'frontdesk jobs retry'.",
        "openai_server" => "wait until OpenAI is well, then 'frontdesk jobs retry'.",
        "openai_unreachable" => "look at the network, then 'frontdesk jobs retry'.",
        "openai_refused" => "read the status in last_error: 'frontdesk jobs list --status failed_final'.",
        "openai_unreadable" => "look at what is between us and OpenAI, and at openai.max_body_bytes.",
        "not_ended_yet" => "look at the work at OpenAI, then 'frontdesk jobs retry'.",
        "lost_to_retention" => "start the work again; OpenAI no longer has the result.",
        "resource_failed" => "start the work again, or mend the request; OpenAI's code is in last_error.",
        "resource_cancelled" => "nothing; it was cancelled at OpenAI.",
        "helpdesk_unavailable" => "look at the helpdesk, then 'frontdesk jobs retry'.",
        "starts_capped" => "look at 'frontdesk helpdesk events'; [helpdesk.starts] has the limits.",
        "helpdesk_busy" => "nothing; it goes on when the helpdesk lets us.",
        "helpdesk_refused" => "read last_error: 'frontdesk jobs list --status failed_final'.",
        "reply_unknown" => "look at the ticket; 'frontdesk jobs retry' sends the reply, 'discard' does not.",
        "ticket_missing" => "discard the job; its ticket went away.",
        "workflow_missing" => "put the workflow back into the settings, or discard the job.",
        "paused" => "end the pause.",
        "store" => "look at the disk of the database.",
        "lease_lost" => "look at the log of that time; the worker died on every attempt.",
        "internal" => "report it; it is a bug.",
        "overdue" => "is the key good? are there too few workers?",
        "unknown_project" => "put the project back into the settings, or discard its jobs.",
        "submission_overdue" => "'frontdesk why' with the id above; 'frontdesk submissions forget' gives one up.",
        "submission_lost" => "look at OpenAI's list of responses, then 'frontdesk submissions forget'.",
        "openai_quiet" => "is the webhook endpoint there at OpenAI, with all events? does the proxy let it through?",
        "received" => {
            "look at them with 'frontdesk deliveries list --status received', then 'frontdesk deliveries dismiss'."
        }
        "fine_tuning_ended" | "eval_ended" => "nothing; look at it at OpenAI.",
        "review_overdue" => "decide them: 'frontdesk reviews list --state open'.",
        "review_expired" => "decide sooner, or keep their content longer; start the work again if it is still wanted.",
        "batch_waiting" => "look at it with 'frontdesk batch show', then 'frontdesk batch apply' or 'reject'.",
        "batch_stopped" => {
            "see why lines fail: 'frontdesk batch lines ID --outcome failed'; then resume it, or undo it."
        }
        "batch_twin" => "nothing must be done; the results of the first one are used, and the account pays for both.",
        "batch_expired" => "decide sooner, or keep reviews longer; start it again if it is still wanted.",
        "batch_lines" => "nothing must be done; 'frontdesk batch lines' names them, with the reason of each.",
        "alert_channel" => "mend the channel, then 'frontdesk alerts test'.",
        "test" => "nothing; the channel works.",
        _ => "see the table of alerts in docs/operations.md.",
    }
}
