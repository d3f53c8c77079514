//! Named values found in a conversation. What is looked for is a setting.

use super::custom;
use super::{Workflow, WorkflowError};
use crate::domain::custom::{CustomEffects, CustomWorkflow, Extraction, FieldsFrom};

const NAME: &str = "extraction";
/// Goes up with every change to the prompt or to the schema below.
const PROMPT_VERSION: &str = "1";
const INSTRUCTIONS: &str = "You find facts in support tickets. Fill in what the ticket says and nothing else: null for what it \
    does not say, no guesses. Copy numbers and names exactly as they are written.";

/// What is found unless the settings say otherwise.
const SCHEMA: &str = r#"{
  "type": "object",
  "additionalProperties": false,
  "required": ["order_number", "product", "language", "sentiment"],
  "properties": {
    "order_number": {"type": ["string", "null"], "description": "as the customer writes it"},
    "product": {"type": ["string", "null"], "description": "the product it is about"},
    "language": {"type": ["string", "null"], "description": "the customer's language, as en or pt-BR"},
    "sentiment": {"type": ["string", "null"], "enum": ["negative", "neutral", "positive", null]}
  }
}"#;

/// The workflow with the schema of the settings.
pub(super) fn workflow(extraction: &Extraction) -> Result<Workflow, WorkflowError> {
    let Extraction { model, schema, schema_file } = extraction.clone();
    let stated = CustomWorkflow {
        about: Some("finds named values and puts them into the ticket's fields".to_owned()),
        version: schema.is_none().then(|| PROMPT_VERSION.to_owned()),
        model,
        prompt: Some(INSTRUCTIONS.to_owned()),
        schema: schema.or_else(|| Some(SCHEMA.to_owned())),
        schema_file,
        effects: CustomEffects { fields: Some(FieldsFrom::Word("all".to_owned())), ..CustomEffects::default() },
        ..CustomWorkflow::default()
    };
    custom::workflow("workflows.extraction", NAME, &stated)
}
