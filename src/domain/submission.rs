//! Our record that work was started at OpenAI, for which ticket and workflow.

/// The metadata key that holds our submission's id. It is what finds the way
/// back when the webhook overtakes the answer to our own call.
pub const SUBMISSION_KEY: &str = "fd_submission";

/// Names of the metadata keys that place work, whoever started it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataKeys {
    /// Holds the ticket's id.
    pub ticket: String,
    /// Holds the workflow's name.
    pub workflow: String,
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
    /// When the work was made from the ticket, in ms: of two results the one
    /// made later is the newer one, whichever comes first.
    pub made_at_ms: Option<i64>,
    /// Which prompt, when we know it.
    pub prompt_version: Option<String>,
    /// The failed resource that this work takes the place of.
    pub retry_of: Option<String>,
}
