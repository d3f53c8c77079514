//! From an output to a proposal, as the team's plan says. A property that is
//! null or missing changes nothing.

use serde_json::{Map, Value};

use super::super::words::{MAX_FILE_BYTES, MAX_TEXT_BYTES, is_label, label, labels, prose, share};
use super::plan::{Plan, file_name};
use crate::domain::custom::{FieldsFrom, TextFrom};
use crate::domain::decision::Proposal;
use crate::domain::effect::{Effect, Priority, Route};

const MAX_FIELDS: usize = 100;

/// An output that is what it was asked to be.
pub(super) enum Output {
    /// The output of a workflow without a schema.
    Plain(String),
    /// An object of the schema.
    Object(Map<String, Value>),
}

impl Plan {
    /// What this output proposes; an error names the property, never its value.
    pub(super) fn propose(&self, output: &Output) -> Result<Proposal, String> {
        let plan = &self.effects;
        let mut effects = Vec::new();
        effects.extend(
            output.text(plan.note.as_ref())?.map(|text| Effect::Note { text: format!("{}\n\n{text}", self.title) }),
        );
        effects.extend(self.route(output)?.map(Effect::Route));
        effects.extend(self.fields(output)?.map(|fields| Effect::Fields { fields }));
        if let Some(property) = &plan.attachment {
            let text = output.prose(property, MAX_FILE_BYTES)?;
            effects.extend(text.map(|text| Effect::Attachment { name: file_name(property), text }));
        }
        effects.extend(plan.start.clone().map(|workflow| Effect::Start { workflow }));
        Ok(Proposal {
            effects,
            reply: output.text(plan.reply.as_ref())?,
            confidence: self.confidence(output)?,
            topics: output.labels(plan.topics.as_deref())?,
            output: output.in_words(),
        })
    }

    fn route(&self, output: &Output) -> Result<Option<Route>, String> {
        let plan = &self.effects;
        let priority = output.label(plan.priority.as_deref())?;
        let priority = priority.map(|word| Priority::parse(&word).ok_or("priority is not low, normal, high or urgent"));
        let route = Route {
            intent: output.label(plan.intent.as_deref())?,
            priority: priority.transpose()?,
            queue: output.label(plan.queue.as_deref())?,
            tags: output.labels(plan.tags.as_deref())?,
            confidence: None,
        };
        Ok((route != Route::default()).then_some(route))
    }

    fn confidence(&self, output: &Output) -> Result<Option<f64>, String> {
        let Some(value) = self.effects.confidence.as_deref().and_then(|name| output.get(name)) else { return Ok(None) };
        value.as_f64().ok_or("confidence is not a number".to_owned()).and_then(share).map(Some)
    }

    fn fields(&self, output: &Output) -> Result<Option<Map<String, Value>>, String> {
        let (Some(from), Output::Object(object)) = (&self.effects.fields, output) else { return Ok(None) };
        let is_field = |name: &String| match from {
            FieldsFrom::Named(names) => names.contains(name),
            FieldsFrom::Word(_) => !self.is_used(name),
        };
        let found = object.iter().filter(|(name, value)| is_field(name) && !value.is_null());
        let fields: Map<String, Value> = found.map(|(name, value)| (name.clone(), value.clone())).collect();
        if fields.len() > MAX_FIELDS || !fields.keys().all(|name| is_label(name)) {
            return Err("the fields are not a few with short names".to_owned());
        }
        let bytes: usize = fields.values().map(|value| value.to_string().len()).sum();
        match bytes {
            0 => Ok(None),
            bytes if bytes > MAX_TEXT_BYTES => {
                Err(format!("the fields have {bytes} bytes, {MAX_TEXT_BYTES} are allowed"))
            }
            _ => Ok(Some(fields)),
        }
    }
}

impl Output {
    fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Output::Plain(_) => None,
            Output::Object(object) => object.get(name).filter(|value| !value.is_null()),
        }
    }

    fn string(&self, name: &str) -> Result<Option<&str>, String> {
        let text = self.get(name).map(|value| value.as_str().ok_or_else(|| format!("{name} is not a text")));
        text.transpose()
    }

    fn prose(&self, name: &str, max_bytes: usize) -> Result<Option<String>, String> {
        prose(name, self.string(name)?.unwrap_or_default(), max_bytes)
    }

    fn text(&self, from: Option<&TextFrom>) -> Result<Option<String>, String> {
        match (from, self) {
            (Some(TextFrom::Whole(true)), Output::Plain(text)) => Ok(Some(text.clone())),
            (Some(TextFrom::Property(name)), _) => self.prose(name, MAX_TEXT_BYTES),
            _ => Ok(None),
        }
    }

    fn label(&self, name: Option<&str>) -> Result<Option<String>, String> {
        let Some(name) = name else { return Ok(None) };
        self.string(name)?.map(|word| label(name, word.to_owned())).transpose()
    }

    fn labels(&self, name: Option<&str>) -> Result<Vec<String>, String> {
        let Some((name, value)) = name.and_then(|name| Some((name, self.get(name)?))) else { return Ok(Vec::new()) };
        let words =
            value.as_array().and_then(|words| words.iter().map(|word| word.as_str().map(str::to_owned)).collect());
        labels(name, words.ok_or_else(|| format!("{name} is not a list of texts"))?)
    }

    /// The values without the names: those are the team's words, and must not be
    /// taken for the model's when words are searched for what is sensitive.
    fn in_words(&self) -> String {
        match self {
            Output::Plain(text) => text.clone(),
            Output::Object(object) => {
                let mut words = Vec::new();
                object.values().for_each(|value| add_words(value, &mut words));
                words.join("\n")
            }
        }
    }
}

fn add_words(value: &Value, words: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::String(text) => words.push(text.clone()),
        Value::Bool(_) | Value::Number(_) => words.push(value.to_string()),
        Value::Array(items) => items.iter().for_each(|item| add_words(item, words)),
        Value::Object(object) => object.values().for_each(|part| add_words(part, words)),
    }
}
