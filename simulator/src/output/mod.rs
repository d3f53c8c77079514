//! What the model says: made from the input, the same for the same seed and input.

pub(crate) mod answer;
mod keywords;
mod known;
mod schema;
pub(crate) mod shape;
pub(crate) mod text;
pub(crate) mod ticket;

use crate::chance::Dice;
use crate::fault::Fault;
use crate::plan::Plan;
use serde_json::{Value, json};
use ticket::Ticket;

/// Makes the answers to one request.
pub(crate) struct Maker<'a> {
    seed: u64,
    ticket: &'a Ticket,
    text: String,
    /// 0 for the answer itself, 1 for one that contradicts it.
    variant: u64,
    low_confidence: bool,
    sensitive: bool,
}

impl<'a> Maker<'a> {
    pub(crate) fn new(seed: u64, ticket: &'a Ticket, plan: &Plan) -> Self {
        Self {
            seed,
            ticket,
            text: ticket.text(),
            variant: 0,
            low_confidence: plan.has(Fault::LowConfidence),
            sensitive: plan.has(Fault::Sensitive),
        }
    }

    /// The same, of another opinion.
    pub(crate) fn other(mut self) -> Self {
        self.variant += 1;
        self
    }

    fn dice(&self, name: &str) -> Dice {
        let names = [self.text.as_bytes(), &self.variant.to_be_bytes(), name.as_bytes()];
        Dice::new(self.seed, &names)
    }

    /// The text of the answer, in the format that the request asks for.
    pub(crate) fn answer(&self, request: &Value) -> String {
        match Format::of(request) {
            Format::Schema(schema) => schema::Walk::new(self, schema).value().to_string(),
            Format::Json => json!({"summary": self.summary()}).to_string(),
            Format::Text if wants_reply(request) => self.reply(),
            Format::Text => self.summary(),
        }
    }
}

/// What kind of text a request asks for.
pub(crate) enum Format<'a> {
    /// JSON under this schema.
    Schema(&'a Value),
    /// Any JSON object.
    Json,
    /// Prose.
    Text,
}

impl Format<'_> {
    pub(crate) fn of(request: &Value) -> Format<'_> {
        let format = &request["text"]["format"];
        match format["type"].as_str() {
            Some("json_schema") => Format::Schema(&format["schema"]),
            Some("json_object") => Format::Json,
            _ => Format::Text,
        }
    }
}

/// Prose is a reply when the request says so, and a summary otherwise.
fn wants_reply(request: &Value) -> bool {
    let workflow = request["metadata"]["workflow"].as_str().unwrap_or_default();
    let told = request["instructions"].as_str().unwrap_or_default().to_lowercase();
    workflow.contains("reply") || (told.contains("reply") && !told.contains("summar"))
}
