//! What AI is used for: one pure file a workflow. A workflow is the recipe from
//! a ticket to a prompt and from an output to a proposal; it decides nothing.

mod classification;
mod draft_reply;
mod prompt;
mod summary;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::domain::decision::Proposal;
use crate::domain::effect::Slot;
use crate::domain::output::Reading;
use crate::domain::resource::Response;
use crate::domain::ticket::Ticket;

/// A recipe: from a ticket to a prompt, from an output to a proposal.
pub struct Workflow {
    /// Its name, in metadata, settings and lists.
    pub name: String,
    /// Changes with every change to the prompt or the schema.
    pub prompt_version: String,
    /// One line for people.
    pub about: String,
    /// What the model is told.
    pub instructions: String,
    /// The JSON schema of the output; none for plain text.
    pub schema: Option<Value>,
    /// Where a text of a reviewer's own goes; none when there is no text in it.
    pub text_slot: Option<Slot>,
    read: Reader,
}

type Reader = Box<dyn Fn(&Response) -> Reading<Proposal> + Send + Sync>;

/// A workflow that comes with Frontdesk, as its file states it.
struct Recipe {
    name: &'static str,
    /// Goes up with every change to the prompt or the schema.
    prompt_version: &'static str,
    about: &'static str,
    instructions: &'static str,
    schema: fn() -> Option<Value>,
    text_slot: Option<Slot>,
    read: fn(&Response, &Settings) -> Reading<Proposal>,
}

/// What teams may tune.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Which queue a classification sends an intent to. An intent that is not
    /// here leaves the queue alone.
    pub queues: BTreeMap<String, String>,
}

const RECIPES: [Recipe; 3] = [summary::RECIPE, classification::RECIPE, draft_reply::RECIPE];

/// All workflows there are.
#[derive(Clone)]
pub struct Catalogue(Arc<Vec<Workflow>>);

impl Catalogue {
    /// The workflows that come with Frontdesk, tuned.
    #[must_use]
    pub fn new(settings: &Settings) -> Catalogue {
        Catalogue(Arc::new(RECIPES.into_iter().map(|recipe| recipe.tuned(settings.clone())).collect()))
    }

    /// Every workflow.
    #[must_use]
    pub fn all(&self) -> &[Workflow] {
        &self.0
    }

    /// The workflow of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Workflow> {
        self.0.iter().find(|workflow| workflow.name == name)
    }
}

impl Recipe {
    fn tuned(self, settings: Settings) -> Workflow {
        let read = self.read;
        Workflow {
            name: self.name.to_owned(),
            prompt_version: self.prompt_version.to_owned(),
            about: self.about.to_owned(),
            instructions: self.instructions.to_owned(),
            schema: (self.schema)(),
            text_slot: self.text_slot,
            read: Box::new(move |response| read(response, &settings)),
        }
    }
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
        if let Some(schema) = &self.schema {
            body["text"] =
                json!({"format": {"type": "json_schema", "name": self.name, "strict": true, "schema": schema}});
        }
        body
    }

    /// What a response of this workflow proposes.
    #[must_use]
    pub fn read(&self, response: &Response) -> Reading<Proposal> {
        (self.read)(response)
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
