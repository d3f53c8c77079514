//! A workflow that a team states in its settings. What is stated here is data;
//! whether it makes sense is judged where workflows are built.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// A workflow of a team's own, as its settings state it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CustomWorkflow {
    /// One line for people.
    pub about: Option<String>,
    /// The team's own number for prompt and schema; without it a hash of both.
    pub version: Option<String>,
    /// The model; none for the usual one.
    pub model: Option<String>,
    /// What the model is told. May hold `{{name}}` for a variable.
    pub prompt: Option<String>,
    /// The file that the prompt was read from.
    pub prompt_file: Option<PathBuf>,
    /// The JSON schema of the output, as text; none for plain text.
    pub schema: Option<String>,
    /// The file that the schema was read from.
    pub schema_file: Option<PathBuf>,
    /// What the placeholders of the prompt stand for.
    pub variables: BTreeMap<String, String>,
    /// Which part of the output goes where.
    pub effects: CustomEffects,
}

/// Which property of the output goes where on the ticket.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CustomEffects {
    /// An internal note.
    pub note: Option<TextFrom>,
    /// A reply, which a person sends.
    pub reply: Option<TextFrom>,
    /// What the ticket is about.
    pub intent: Option<String>,
    /// How soon: low, normal, high or urgent.
    pub priority: Option<String>,
    /// The queue it goes to.
    pub queue: Option<String>,
    /// Tags to add.
    pub tags: Option<String>,
    /// Named values.
    pub fields: Option<FieldsFrom>,
    /// A text kept with the ticket.
    pub attachment: Option<String>,
    /// A workflow to start when this one is applied.
    pub start: Option<String>,
    /// How sure the model says it is, 0 to 1.
    pub confidence: Option<String>,
    /// Sensitive topics that the model names.
    pub topics: Option<String>,
}

/// Where a text comes from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected a property's name, or true for plain text")]
pub enum TextFrom {
    /// The whole output, which is plain text.
    Whole(bool),
    /// This property.
    Property(String),
}

/// Where fields come from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected a list of properties, or \"all\"")]
pub enum FieldsFrom {
    /// `all`: every property that nothing else uses.
    Word(String),
    /// These properties.
    Named(Vec<String>),
}

/// What the built-in `extraction` finds, as a team tunes it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Extraction {
    /// The model; none for the usual one.
    pub model: Option<String>,
    /// The JSON schema of the output, as text; none for the one that comes with Frontdesk.
    pub schema: Option<String>,
    /// The file that the schema was read from.
    pub schema_file: Option<PathBuf>,
}
