//! What AI is used for: one pure file a workflow. A workflow is the recipe from
//! a ticket to a prompt and from an output to a proposal; it decides nothing.

mod call_report;
mod classification;
mod custom;
mod draft_reply;
mod extraction;
mod prompt;
mod quality_check;
mod schema;
mod starts;
mod summary;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::domain::custom::{CustomWorkflow, Extraction};
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
    /// The model; none for the usual one.
    pub model: Option<String>,
    /// What it may change on a ticket, and the work it may start.
    pub effects: Vec<MayChange>,
    /// The workflow that it starts when it is applied.
    pub starts: Option<String>,
    /// Where a text of a reviewer's own goes; none when there is no text in it.
    pub text_slot: Option<Slot>,
    read: Reader,
}

/// One thing that a workflow may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MayChange {
    /// The slot it fills.
    pub slot: Slot,
    /// In a few words, for people.
    pub what: String,
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
    effects: &'static [(Slot, &'static str)],
    starts: Option<&'static str>,
    text_slot: Option<Slot>,
    read: fn(&Response, &Settings) -> Reading<Proposal>,
}

/// What teams may tune, and the workflows of their own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Which queue a classification sends an intent to. An intent that is not
    /// here leaves the queue alone.
    pub queues: BTreeMap<String, String>,
    /// The model of a workflow that comes with Frontdesk, by its name.
    pub models: BTreeMap<String, String>,
    /// What `extraction` finds.
    pub extraction: Extraction,
    /// Workflows of a team's own, by name.
    pub custom: BTreeMap<String, CustomWorkflow>,
}

/// A workflow that cannot be built from the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {what}")]
pub struct WorkflowError {
    /// The setting, as `workflows.custom.vip.schema`.
    pub setting: String,
    /// What is wrong with it, and what to do.
    pub what: String,
}

fn wrong(setting: impl Into<String>, what: impl Into<String>) -> WorkflowError {
    WorkflowError { setting: setting.into(), what: what.into() }
}

const RECIPES: [Recipe; 5] =
    [summary::RECIPE, classification::RECIPE, draft_reply::RECIPE, call_report::RECIPE, quality_check::RECIPE];

/// All workflows there are.
#[derive(Clone)]
pub struct Catalogue(Arc<Vec<Workflow>>);

impl Catalogue {
    /// The workflows that come with Frontdesk, tuned, and those of the team.
    ///
    /// # Errors
    /// The setting that makes no sense, and why.
    pub fn new(settings: &Settings) -> Result<Catalogue, WorkflowError> {
        let mut all: Vec<Workflow> = RECIPES.into_iter().map(|recipe| recipe.tuned(settings.clone())).collect();
        all.push(extraction::workflow(&settings.extraction)?);
        for (name, stated) in &settings.custom {
            if all.iter().any(|workflow| workflow.name == *name) {
                let what = "a workflow of this name comes with Frontdesk; choose another name";
                return Err(wrong(custom::setting(name), what));
            }
            all.push(custom::named(name, stated)?);
        }
        starts::must_come_to_an_end(&all)?;
        Ok(Catalogue(Arc::new(all)))
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
            model: settings.models.get(self.name).cloned(),
            effects: self
                .effects
                .iter()
                .map(|(slot, what)| MayChange { slot: *slot, what: (*what).to_owned() })
                .collect(),
            starts: self.starts.map(str::to_owned),
            text_slot: self.text_slot,
            read: Box::new(move |response| read(response, &settings)),
        }
    }
}

impl Workflow {
    /// The body of the request that starts this workflow for a ticket.
    /// `model` is the usual one; `metadata` is what finds the way back.
    #[must_use]
    pub fn request(&self, model: &str, ticket: &Ticket, metadata: &BTreeMap<&str, &str>) -> Value {
        let mut body = self.body(model, ticket);
        body["background"] = json!(true);
        // Said aloud: in projects with short retention the default is gone after minutes.
        body["store"] = json!(true);
        body["metadata"] = json!(metadata);
        body
    }

    /// The body of the line of a batch that runs this workflow for a ticket. The
    /// batch's output file holds all of it, so OpenAI keeps nothing beside.
    #[must_use]
    pub fn batch_request(&self, model: &str, ticket: &Ticket) -> Value {
        let mut body = self.body(model, ticket);
        body["store"] = json!(false);
        body
    }

    fn body(&self, model: &str, ticket: &Ticket) -> Value {
        let mut body = json!({
            "model": self.model.as_deref().unwrap_or(model),
            "input": [
                {"role": "developer", "content": self.instructions},
                {"role": "user", "content": prompt::ticket_as_data(ticket)},
            ],
        });
        if let Some(schema) = &self.schema {
            let strict = self.is_strict();
            body["text"] =
                json!({"format": {"type": "json_schema", "name": self.name, "strict": strict, "schema": schema}});
        }
        body
    }

    /// Whether OpenAI can be asked to follow the schema to the letter.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.schema.as_ref().is_some_and(schema::is_strict)
    }

    /// What a response of this workflow proposes.
    #[must_use]
    pub fn read(&self, response: &Response) -> Reading<Proposal> {
        (self.read)(response)
    }
}
