//! Named values found in a conversation. What is looked for is a setting.

use super::custom::{self, HeldTo};
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
    // A team's schema counts for everybody. Ours is only a suggestion: another program may look for other things.
    let held_to = if schema.is_some() { HeldTo::ItsOwn } else { HeldTo::TheStarters };
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
    custom::workflow("workflows.extraction", NAME, &stated, held_to)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{all_are_invalid, catalogue, proposal, said};
    use super::super::words::MAX_TEXT_BYTES;
    use super::*;
    use crate::domain::effect::Effect;
    use crate::domain::output::Reading;
    use crate::domain::resource::Response;

    const NOTHING: &str = r#"{"order_number": null, "product": null, "language": null, "sentiment": null}"#;

    #[test]
    fn what_was_found_becomes_fields_and_what_was_not_leaves_them_alone() {
        let text = r#"{"order_number": "81233", "product": null, "language": "en", "sentiment": "negative"}"#;
        let Effect::Fields { fields } = &proposal("extraction", text).effects[0] else { panic!("no fields") };
        assert_eq!(json!(fields), json!({"order_number": "81233", "language": "en", "sentiment": "negative"}));
        assert!(proposal("extraction", NOTHING).effects.is_empty());
    }

    #[test]
    fn what_breaks_the_schema_is_not_used() {
        let texts = [
            NOTHING.replace("null}", "\"SECRET\"}"),
            NOTHING.replace("null}", "null, \"SECRET\": 1}"),
            r#"{"order_number": "SECRET"}"#.to_owned(),
            "[]".to_owned(),
            "SECRET".to_owned(),
            NOTHING.replacen("null", &format!("\"{}\"", "SECRET".repeat(MAX_TEXT_BYTES)), 1),
        ];
        all_are_invalid("extraction", &texts);
    }

    #[test]
    fn another_program_may_look_for_other_things_and_is_held_to_its_own_schema() {
        let catalogue = catalogue();
        let read = |text: &str, schema: Option<&str>| {
            let response = Response { schema: schema.map(str::to_owned), ..said(text) };
            catalogue.named(NAME).expect("there").read(&response)
        };
        let clean = |reading| matches!(reading, Reading::Clean(_));
        let order = r#"{"type": "object", "properties": {"order_id": {"type": "string"}}}"#;
        assert!(clean(read(r#"{"order_id": "A-1"}"#, Some(order))));
        assert!(!clean(read(r#"{"order_id": 1}"#, Some(order))));
        assert!(!clean(read(r#"{"order_id": "A-1"}"#, Some(r#"{"type": "object", "pattern": "("}"#))));
        assert!(clean(read(r#"{"order_id": "A-1"}"#, None)), "nobody says what was asked for");
        for text in ["SECRET", "[]", "{\"a\\nb\": 1}"] {
            assert!(!clean(read(text, None)), "{text}");
        }
    }

    #[test]
    fn a_team_says_what_is_found_and_the_version_follows_the_schema() {
        let with = |schema: &str| {
            let schema = Some(schema.to_owned());
            workflow(&Extraction { schema, ..Extraction::default() })
        };
        let invoice = r#"{"type": "object", "properties": {"invoice": {"type": "integer"}}}"#;
        let workflow = with(invoice).expect("built");
        let Reading::Clean(proposal) = workflow.read(&said(r#"{"invoice": 7, "more": [{"a": 1}]}"#)) else { panic!() };
        let Effect::Fields { fields } = &proposal.effects[0] else { panic!("no fields") };
        assert_eq!(json!(fields), json!({"invoice": 7, "more": [{"a": 1}]}));
        assert!(matches!(workflow.read(&said(r#"{"invoice": "7"}"#)), Reading::Unclean { .. }));
        assert!(matches!(workflow.read(&said(r#"{"a\nb": 7}"#)), Reading::Unclean { .. }), "a name is a label too");
        assert_ne!(workflow.prompt_version, with(&invoice.replace("invoice", "bill")).expect("built").prompt_version);
        let refused = with("{").err().expect("refused").to_string();
        assert!(refused.starts_with("workflows.extraction.schema: the schema is not JSON"), "{refused}");
    }
}
