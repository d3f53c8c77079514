//! Why an attempt did not succeed, and whether trying again can help.

use std::fmt;

/// What went wrong, as a closed list: the text of `last_error` begins with
/// this code, metrics are labelled with it, and alerts are grouped by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// OpenAI refused the API key (401, 403).
    OpenAiAuth,
    /// OpenAI says the account has no quota left.
    OpenAiQuota,
    /// OpenAI asked us to slow down (429).
    OpenAiRateLimited,
    /// OpenAI answered 5xx, 408 or 409.
    OpenAiServer,
    /// The connection to OpenAI failed or timed out.
    OpenAiUnreachable,
    /// OpenAI refused the request for a reason that will not pass (other 4xx).
    OpenAiRefused,
    /// OpenAI's answer could not be read (truncated, not JSON, too large).
    OpenAiUnreadable,
    /// The webhook came before the resource had ended.
    NotEndedYet,
    /// OpenAI no longer has the resource (404).
    LostToRetention,
    /// The resource ended as `failed` at OpenAI.
    ResourceFailed,
    /// The resource was cancelled at OpenAI.
    ResourceCancelled,
    /// The helpdesk could not be reached or answered with a passing error.
    HelpdeskUnavailable,
    /// The helpdesk asks for quiet.
    HelpdeskBusy,
    /// The helpdesk refused the change for good.
    HelpdeskRefused,
    /// It is not known whether a customer was sent a reply.
    ReplyUnknown,
    /// The ticket does not exist in the helpdesk.
    TicketMissing,
    /// The workflow is not, or no longer, in the configuration.
    WorkflowMissing,
    /// A person has paused the workflow or what it depends on.
    Paused,
    /// Our own database could not be read or written.
    Store,
    /// A worker stopped answering in the middle of the job, on its last attempt.
    LeaseLost,
    /// A bug of ours; the job is kept for a person.
    Internal,
}

impl Cause {
    /// Every cause, in the order of the enum.
    pub const ALL: [Cause; 21] = [
        Cause::OpenAiAuth,
        Cause::OpenAiQuota,
        Cause::OpenAiRateLimited,
        Cause::OpenAiServer,
        Cause::OpenAiUnreachable,
        Cause::OpenAiRefused,
        Cause::OpenAiUnreadable,
        Cause::NotEndedYet,
        Cause::LostToRetention,
        Cause::ResourceFailed,
        Cause::ResourceCancelled,
        Cause::HelpdeskUnavailable,
        Cause::HelpdeskBusy,
        Cause::HelpdeskRefused,
        Cause::ReplyUnknown,
        Cause::TicketMissing,
        Cause::WorkflowMissing,
        Cause::Paused,
        Cause::Store,
        Cause::LeaseLost,
        Cause::Internal,
    ];

    /// The stable name used in the database, the API, metrics and logs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Cause::OpenAiAuth => "openai_auth",
            Cause::OpenAiQuota => "openai_quota",
            Cause::OpenAiRateLimited => "openai_rate_limited",
            Cause::OpenAiServer => "openai_server",
            Cause::OpenAiUnreachable => "openai_unreachable",
            Cause::OpenAiRefused => "openai_refused",
            Cause::OpenAiUnreadable => "openai_unreadable",
            Cause::NotEndedYet => "not_ended_yet",
            Cause::LostToRetention => "lost_to_retention",
            Cause::ResourceFailed => "resource_failed",
            Cause::ResourceCancelled => "resource_cancelled",
            Cause::HelpdeskUnavailable => "helpdesk_unavailable",
            Cause::HelpdeskBusy => "helpdesk_busy",
            Cause::HelpdeskRefused => "helpdesk_refused",
            Cause::ReplyUnknown => "reply_unknown",
            Cause::TicketMissing => "ticket_missing",
            Cause::WorkflowMissing => "workflow_missing",
            Cause::Paused => "paused",
            Cause::Store => "store",
            Cause::LeaseLost => "lease_lost",
            Cause::Internal => "internal",
        }
    }

    /// The cause with this code, if there is one.
    #[must_use]
    pub fn parse(code: &str) -> Option<Cause> {
        Cause::ALL.into_iter().find(|cause| cause.code() == code)
    }

    /// True when the cause is OpenAI refusing *us* rather than this one job:
    /// every other job would meet the same refusal, so claiming pauses and no
    /// attempt is burned.
    #[must_use]
    pub fn pauses(self) -> bool {
        matches!(self, Cause::OpenAiAuth | Cause::OpenAiQuota)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why an attempt did not succeed. Each adapter sorts its own errors into
/// this once (`From<OpenAiError> for Failure`), so that the pipeline is plain `?`.
///
/// `detail` is in our own words: an HTTP status, a code, a count. It never holds
/// a body, ticket text or model output, because it is logged and shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Trying again can help.
    #[error("{cause}: {detail}")]
    Retryable {
        /// What went wrong.
        cause: Cause,
        /// One line in our own words.
        detail: String,
        /// The other side asked for at least this many milliseconds of quiet.
        retry_after_ms: Option<i64>,
    },
    /// Trying again cannot help; a person must look.
    #[error("{cause}: {detail}")]
    Final {
        /// What went wrong.
        cause: Cause,
        /// One line in our own words.
        detail: String,
    },
}

impl Failure {
    /// A failure that may pass.
    pub fn retryable(cause: Cause, detail: impl Into<String>) -> Failure {
        Failure::Retryable { cause, detail: detail.into(), retry_after_ms: None }
    }

    /// A failure that will not pass.
    pub fn last(cause: Cause, detail: impl Into<String>) -> Failure {
        Failure::Final { cause, detail: detail.into() }
    }

    /// One line in our own words.
    #[must_use]
    pub fn detail(&self) -> &str {
        match self {
            Failure::Retryable { detail, .. } | Failure::Final { detail, .. } => detail,
        }
    }

    /// What went wrong.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Failure::Retryable { cause, .. } | Failure::Final { cause, .. } => *cause,
        }
    }
}
