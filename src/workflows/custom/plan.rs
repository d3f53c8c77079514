//! Which part of the output goes where: checked once, when it is stated.

use super::super::schema::Schema;
use super::super::{MayChange, WorkflowError, wrong};
use crate::domain::custom::{CustomEffects, FieldsFrom, TextFrom};
use crate::domain::effect::Slot;

/// The team's effects, checked.
pub(super) struct Plan {
    /// The first line of a note.
    pub(super) title: String,
    pub(super) effects: CustomEffects,
}

/// A property that an effect takes, and the types it may have; none for any.
struct Use<'a> {
    key: &'static str,
    property: &'a str,
    kinds: &'static [&'static str],
}

/// The key under `effects`, and what is wrong with it.
type Fault = (&'static str, String);

const TEXT: &[&str] = &["string"];
const LIST: &[&str] = &["array"];
const NUMBER: &[&str] = &["number", "integer"];
const ANY: &[&str] = &[];

impl Plan {
    /// Refuses what no output could ever satisfy.
    pub(super) fn new(
        setting: &str,
        name: &str,
        effects: &CustomEffects,
        schema: Option<&Schema>,
    ) -> Result<Plan, WorkflowError> {
        let setting = format!("{setting}.effects");
        let plan = Plan { title: format!("AI {}, not verified", name.replace('_', " ")), effects: effects.clone() };
        if plan.may_change().is_empty() {
            return Err(wrong(
                setting,
                "it changes nothing; set note, reply, fields or another, as note = \"summary\"",
            ));
        }
        let done = schema.map_or_else(|| plan.must_be_plain(), |schema| plan.must_fit(schema));
        done.map_err(|(key, what)| wrong(format!("{setting}.{key}"), what))?;
        Ok(plan)
    }

    fn must_be_plain(&self) -> Result<(), Fault> {
        if let Some(used) = self.uses().first() {
            return Err((used.key, "without a schema the output is plain text, which has no properties".to_owned()));
        }
        if self.effects.fields.is_some() {
            return Err(("fields", "without a schema the output is plain text, which has no fields".to_owned()));
        }
        let whole = |from: &Option<TextFrom>| *from == Some(TextFrom::Whole(true));
        let goes_to = [&self.effects.note, &self.effects.reply].into_iter().filter(|from| whole(from)).count();
        match goes_to {
            1 => Ok(()),
            _ => Err(("note", "without a schema set note = true or reply = true, one of them".to_owned())),
        }
    }

    fn must_fit(&self, schema: &Schema) -> Result<(), Fault> {
        let CustomEffects { note, reply, fields, .. } = &self.effects;
        for (key, from) in [("note", note), ("reply", reply)] {
            if matches!(from, Some(TextFrom::Whole(_))) {
                return Err((key, "with a schema name the property, as \"summary\"".to_owned()));
            }
        }
        match fields {
            Some(FieldsFrom::Word(word)) if word != "all" => {
                return Err(("fields", "a list of properties, or \"all\"".to_owned()));
            }
            Some(FieldsFrom::Named(names)) if names.is_empty() => {
                return Err(("fields", "the list is empty; name properties, or leave it out".to_owned()));
            }
            _ => {}
        }
        self.uses().iter().try_for_each(|used| used.must_fit(schema))
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let CustomEffects { note, reply, intent, priority, queue, tags, attachment, confidence, topics, .. } =
            &self.effects;
        let one = [
            ("note", property(note.as_ref()), TEXT),
            ("reply", property(reply.as_ref()), TEXT),
            ("intent", intent.as_deref(), TEXT),
            ("priority", priority.as_deref(), TEXT),
            ("queue", queue.as_deref(), TEXT),
            ("tags", tags.as_deref(), LIST),
            ("attachment", attachment.as_deref(), TEXT),
            ("confidence", confidence.as_deref(), NUMBER),
            ("topics", topics.as_deref(), LIST),
        ];
        let one = one.into_iter().filter_map(|(key, property, kinds)| Some(Use { key, property: property?, kinds }));
        one.chain(self.named_fields().iter().map(|name| Use { key: "fields", property: name, kinds: ANY })).collect()
    }

    /// Whether something else than `fields` takes this property.
    pub(super) fn is_used(&self, name: &str) -> bool {
        self.uses().iter().any(|used| used.property == name && used.key != "fields")
    }

    fn named_fields(&self) -> &[String] {
        match &self.effects.fields {
            Some(FieldsFrom::Named(names)) => names,
            _ => &[],
        }
    }

    /// What it may change, for people.
    pub(super) fn may_change(&self) -> Vec<MayChange> {
        let effects = &self.effects;
        let routes = [
            ("intent", effects.intent.is_some()),
            ("priority", effects.priority.is_some()),
            ("queue", effects.queue.is_some()),
            ("tags", effects.tags.is_some()),
        ];
        let routes: Vec<&str> = routes.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect();
        let fields = effects.fields.as_ref().map(|fields| match fields {
            FieldsFrom::Named(names) => names.join(", "),
            FieldsFrom::Word(_) => "every property of the output that nothing else uses".to_owned(),
        });
        let all = [
            (Slot::Note, effects.note.as_ref().map(|_| "an internal note".to_owned())),
            (Slot::Draft, effects.reply.as_ref().map(|_| "a draft that a person reads, changes and sends".to_owned())),
            (Slot::Reply, effects.reply.as_ref().map(|_| "the reply to the customer".to_owned())),
            (Slot::Route, (!routes.is_empty()).then(|| routes.join(", "))),
            (Slot::Fields, fields),
            (Slot::Attachment, effects.attachment.as_ref().map(|name| format!("the file {}", file_name(name)))),
            (Slot::Start, effects.start.clone()),
        ];
        all.into_iter().filter_map(|(slot, what)| Some(MayChange { slot, what: what? })).collect()
    }

    /// Where a reviewer's own text goes: to the customer before the team.
    pub(super) fn text_slot(&self) -> Option<Slot> {
        let reply = self.effects.reply.as_ref().map(|_| Slot::Reply);
        reply.or(self.effects.note.as_ref().map(|_| Slot::Note))
    }
}

impl Use<'_> {
    fn must_fit(&self, schema: &Schema) -> Result<(), Fault> {
        let Some(part) = schema.property(self.property) else {
            let known = schema.properties().join(", ");
            return Err((self.key, format!("the schema has no property {:?}; it has: {known}", self.property)));
        };
        let stated: Vec<&str> = match &part["type"] {
            serde_json::Value::String(kind) => vec![kind],
            serde_json::Value::Array(kinds) => kinds.iter().filter_map(serde_json::Value::as_str).collect(),
            // Told in another way, as by an enum: the output tells.
            _ => return Ok(()),
        };
        if self.kinds.is_empty() || stated.iter().any(|kind| self.kinds.contains(kind)) {
            return Ok(());
        }
        let (is, needed) = (stated.join(" or "), self.kinds.join(" or "));
        Err((self.key, format!("the property {:?} is of type {is}; {needed} is needed", self.property)))
    }
}

/// The property that a text comes from, if it comes from one.
pub(super) fn property(from: Option<&TextFrom>) -> Option<&str> {
    match from {
        Some(TextFrom::Property(name)) => Some(name),
        _ => None,
    }
}

/// The name of the file that a property is kept as.
pub(super) fn file_name(property: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    property.chars().take(64).map(plain).collect::<String>() + ".txt"
}
