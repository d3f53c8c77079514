//! What AI is used for: one pure file a workflow. A workflow is the recipe from
//! a ticket to a prompt and from an output to a proposal; it decides nothing.

mod classification;
mod draft_reply;
mod prompt;
mod summary;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::decision::Proposal;
use crate::domain::output::Reading;
use crate::domain::resource::Response;
use crate::domain::ticket::Ticket;

/// A recipe.
pub struct Workflow {
    /// Its name, in metadata, settings and lists.
    pub name: &'static str,
    /// Goes up with every change to the prompt or the schema.
    pub prompt_version: &'static str,
    /// One line for people.
    pub about: &'static str,
    instructions: &'static str,
    schema: fn() -> Option<Value>,
    read: fn(&Response, &Settings) -> Reading<Proposal>,
}

/// What teams may tune.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Which queue a classification sends an intent to. An intent that is not
    /// here leaves the queue alone.
    pub queues: BTreeMap<String, String>,
}

const ALL: [Workflow; 3] = [summary::WORKFLOW, classification::WORKFLOW, draft_reply::WORKFLOW];

/// Every workflow.
#[must_use]
pub fn all() -> &'static [Workflow] {
    &ALL
}

/// The workflow of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Workflow> {
    ALL.iter().find(|workflow| workflow.name == name)
}

impl Workflow {
    /// The body of the request that starts this workflow for a ticket.
    /// `metadata` is what finds the way back.
    #[must_use]
    pub fn request(&self, model: &str, ticket: &Ticket, metadata: &BTreeMap<&str, &str>) -> Value {
        let mut body = json!({
            "model": model,
            "background": true,
            // Said aloud: in projects with short retention the default is gone after minutes.
            "store": true,
            "input": [
                {"role": "developer", "content": self.instructions},
                {"role": "user", "content": prompt::ticket_as_data(ticket)},
            ],
            "metadata": metadata,
        });
        if let Some(schema) = (self.schema)() {
            body["text"] =
                json!({"format": {"type": "json_schema", "name": self.name, "strict": true, "schema": schema}});
        }
        body
    }

    /// What a response of this workflow proposes.
    #[must_use]
    pub fn read(&self, response: &Response, settings: &Settings) -> Reading<Proposal> {
        (self.read)(response, settings)
    }

    /// What the model is told.
    #[must_use]
    pub fn instructions(&self) -> &'static str {
        self.instructions
    }

    /// The JSON schema of the output; none for plain text.
    #[must_use]
    pub fn schema(&self) -> Option<Value> {
        (self.schema)()
    }
}

/// Longest text a workflow takes from a model, in bytes. A summary or a reply
/// beyond it is a fault, not a text.
const MAX_TEXT_BYTES: usize = 20_000;

/// Reads JSON of a given shape. The error names the place, never the content.
fn shaped<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        let kind = match error.classify() {
            serde_json::error::Category::Data => "does not have the expected shape",
            serde_json::error::Category::Eof => "ends too early",
            _ => "is not JSON",
        };
        format!("the output {kind} (line {}, column {})", error.line(), error.column())
    })
}
