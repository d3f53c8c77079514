//! Our record that work was started at OpenAI, for which ticket and workflow.

/// Where a submission stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmissionState {
    /// The row is written; the call to OpenAI may or may not have been made.
    Starting,
    /// OpenAI accepted it and gave an id.
    Started,
    /// OpenAI refused it, or it was never sent: nothing runs.
    Refused,
    /// The call's outcome is not known; it may run. Never repeated blindly.
    Unknown,
    /// Its result has been dealt with; see the job.
    Ended,
}

impl SubmissionState {
    /// The word used in the database and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            SubmissionState::Starting => "starting",
            SubmissionState::Started => "started",
            SubmissionState::Refused => "refused",
            SubmissionState::Unknown => "unknown",
            SubmissionState::Ended => "ended",
        }
    }
}

/// Which ticket and workflow a resource belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The ticket's id.
    pub ticket_id: String,
    /// The workflow's name.
    pub workflow: String,
    /// Our submission, when we started the work ourselves.
    pub submission_id: Option<String>,
    /// The ticket's revision that the work was made from, when we know it.
    pub ticket_revision: Option<i64>,
}
