//! A value that satisfies a JSON schema, made from the ticket.

use super::Maker;
use super::keywords;
use super::text::clip;
use serde_json::{Map, Value, json};

/// Nesting beyond this gets only what is required, and beyond twice this nothing.
const DEEPEST: usize = 12;

/// So many values and no more: a schema can be wide at every level.
const MOST_VALUES: usize = 5_000;

/// Walks one schema.
pub(crate) struct Walk<'a> {
    maker: &'a Maker<'a>,
    root: &'a Value,
    made: usize,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(maker: &'a Maker<'a>, root: &'a Value) -> Self {
        Self { maker, root, made: 0 }
    }

    /// The value for the whole schema.
    pub(crate) fn value(mut self) -> Value {
        self.at(self.root, "", 0)
    }

    fn at(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        self.made += 1;
        if depth > 2 * DEEPEST || self.made > MOST_VALUES {
            return Value::Null;
        }
        if let Some(fixed) = schema.get("const") {
            return fixed.clone();
        }
        if let Some(target) = self.referred(schema) {
            return self.at(&target, name, depth + 1);
        }
        if let Some(options) = schema["enum"].as_array() {
            return self.choose(options, name);
        }
        if let Some(merged) = merged(schema) {
            return self.at(&merged, name, depth + 1);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(options) = schema[key].as_array() {
                return self.option(options, name, depth);
            }
        }
        self.typed(schema, name, depth)
    }

    fn typed(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, name, depth),
            "integer" => number(schema, self.maker.number(name), true),
            "number" => number(schema, self.maker.number(name), false),
            "boolean" => json!(self.maker.dice(name).unit() < 0.5),
            "null" => Value::Null,
            _ => json!(self.string(schema, name)),
        }
    }

    fn referred(&self, schema: &Value) -> Option<Value> {
        let path = schema["$ref"].as_str()?.strip_prefix('#')?;
        self.root.pointer(path).cloned()
    }

    /// Something rather than null, and past a certain depth null rather than more.
    fn option(&mut self, options: &[Value], name: &str, depth: usize) -> Value {
        let is_null = |option: &&Value| option["type"] == "null";
        let null = options.iter().find(is_null);
        let some = options.iter().find(|option| !is_null(option));
        let chosen = if depth > DEEPEST { null.or(some) } else { some.or(null) };
        chosen.map_or(Value::Null, |schema| self.at(schema, name, depth + 1))
    }

    fn choose(&self, options: &[Value], name: &str) -> Value {
        let texts: Vec<&str> = options.iter().filter_map(Value::as_str).collect();
        let maker = self.maker;
        let wanted = match name {
            "priority" | "urgency" => vec![maker.priority()],
            "sentiment" => vec![maker.sentiment()],
            "intent" | "category" | "topic" | "topics" | "tags" => maker.topics(),
            _ => Vec::new(),
        };
        if let Some(found) = keywords::nearest(&texts, &wanted).filter(|_| !wanted.is_empty()) {
            return Value::from(found);
        }
        let at = maker.dice(name).index(options.len());
        options.get(at).cloned().unwrap_or_default()
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let required =
            |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|other| other == name));
        let mut made = Map::new();
        for (name, part) in schema["properties"].as_object().into_iter().flatten() {
            if depth <= DEEPEST || required(name) {
                made.insert(name.clone(), self.at(part, name, depth + 1));
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !made.contains_key(name) {
                made.insert(name.to_owned(), json!(self.maker.string(name)));
            }
        }
        Value::Object(made)
    }

    fn array(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        let (least, most) = (size(schema, "minItems", 0), size(schema, "maxItems", 100));
        let items = &schema["items"];
        let plain = items["enum"].is_null() && matches!(kind(items), "string");
        let wanted = if depth > DEEPEST { least } else { 2.clamp(least.min(most), most) };
        let mut made: Vec<Value> = if plain {
            self.maker.list(name).iter().map(|text| json!(fit(items, text))).collect()
        } else if let Some(options) = items["enum"].as_array() {
            self.several(options, name)
        } else {
            (0..wanted).map(|at| self.at(items, &numbered(name, at), depth + 1)).collect()
        };
        for at in made.len()..least {
            made.push(self.at(items, &numbered(name, at), depth + 1));
        }
        made.truncate(most);
        Value::Array(made)
    }

    /// Every allowed value that the ticket is about, or the nearest one.
    fn several(&self, options: &[Value], name: &str) -> Vec<Value> {
        let topics = self.maker.topics();
        let about = |option: &&Value| option.as_str().is_some_and(|text| topics.contains(&text));
        let found: Vec<Value> = options.iter().filter(about).cloned().collect();
        if found.is_empty() { vec![self.choose(options, name)] } else { found }
    }

    fn string(&self, schema: &Value, name: &str) -> String {
        match schema["format"].as_str() {
            Some("date") => return "2026-01-15".into(),
            Some("date-time") => return "2026-01-15T09:30:00Z".into(),
            Some("time") => return "09:30:00Z".into(),
            Some("email") => return self.maker.string("email"),
            Some("uri") => return "https://example.com/".into(),
            Some("uuid") => return "6f1c2b1e-3a58-4c7e-9f0b-2d4a5b6c7d8e".into(),
            _ => {}
        }
        fit(schema, &self.maker.string(name))
    }
}

/// Items beyond the first get names of their own, so that they differ.
fn numbered(name: &str, at: usize) -> String {
    if at == 0 { name.to_owned() } else { format!("{name} {at}") }
}

/// The schema's type: the first that is not null, or what its keywords tell.
fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => {
            let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
            kinds.iter().copied().find(|kind| *kind != "null").unwrap_or("null")
        }
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "string",
    }
}

/// `allOf` made into one schema.
fn merged(schema: &Value) -> Option<Value> {
    let parts = schema["allOf"].as_array()?;
    let mut whole = schema.as_object()?.clone();
    whole.remove("allOf");
    for (key, value) in parts.iter().filter_map(Value::as_object).flatten() {
        match (whole.get_mut(key), value) {
            (Some(Value::Object(held)), Value::Object(more)) => held.extend(more.clone()),
            (Some(Value::Array(held)), Value::Array(more)) => held.extend(more.clone()),
            _ => {
                whole.insert(key.clone(), value.clone());
            }
        }
    }
    Some(Value::Object(whole))
}

fn size(schema: &Value, key: &str, otherwise: usize) -> usize {
    schema[key].as_u64().map_or(otherwise, |size| size.min(1000) as usize)
}

/// As long as the schema allows.
fn fit(schema: &Value, text: &str) -> String {
    let (least, most) = (size(schema, "minLength", 0), size(schema, "maxLength", 1000));
    let mut text = clip(text, most);
    let length = text.chars().count();
    text.extend(std::iter::repeat_n('.', least.saturating_sub(length)));
    text
}

/// A number within the schema's bounds, as near to the wished one as they allow.
fn number(schema: &Value, wish: f64, whole: bool) -> Value {
    let step = schema["multipleOf"].as_f64().filter(|step| *step > 0.0);
    let step = step.or(whole.then_some(1.0));
    let nudge = step.unwrap_or(1e-6);
    let low = schema["minimum"].as_f64();
    let low = low.or(schema["exclusiveMinimum"].as_f64().map(|bound| bound + nudge));
    let high = schema["maximum"].as_f64();
    let high = high.or(schema["exclusiveMaximum"].as_f64().map(|bound| bound - nudge));
    let mut wish = match (low, high) {
        // A wish outside both bounds would always end on one of them.
        (Some(low), Some(high)) if wish < low || wish > high => low + (high - low) * 0.75,
        _ => wish,
    };
    wish = low.map_or(wish, |low| wish.max(low));
    wish = high.map_or(wish, |high| wish.min(high));
    if let Some(step) = step {
        let steps = (wish / step).floor();
        let short = low.is_some_and(|low| steps * step < low);
        wish = (if short { steps + 1.0 } else { steps }) * step;
    }
    if whole { json!(wish as i64) } else { json!(wish) }
}
