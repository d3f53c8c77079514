//! The JSON schema that a team gives: what is sent to OpenAI, and what its
//! answer is held to.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use super::words::parsed;

/// Longest schema, in bytes.
const MAX_BYTES: usize = 100_000;

/// A schema of an object, ready to check outputs with.
pub(super) struct Schema {
    value: Value,
    validator: Validator,
}

impl Schema {
    /// Reads a schema. What it refers to must be inside it: nothing is fetched.
    pub(super) fn parse(text: &str) -> Result<Schema, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("the schema has {} bytes, {MAX_BYTES} are allowed", text.len()));
        }
        let value: Value = serde_json::from_str(text).map_err(|error| format!("the schema is not JSON: {error}"))?;
        // The expressions are the team's and the text is anybody's: a kind of
        // expression that cannot be made slow by its text.
        let validator = jsonschema::options()
            .with_pattern_options(PatternOptions::regex())
            .build(&value)
            .map_err(|error| format!("not a JSON schema: {}", short(&error.to_string())))?;
        if value["type"] != "object" {
            return Err("the schema must be one of an object: \"type\": \"object\" at its top".to_owned());
        }
        Ok(Schema { value, validator })
    }

    /// As it is sent.
    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    /// What it says of a property of the output.
    pub(super) fn property(&self, name: &str) -> Option<&Value> {
        self.value["properties"].get(name)
    }

    /// The properties it names, in alphabetical order.
    pub(super) fn properties(&self) -> Vec<&str> {
        self.value["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    /// The output, if it is one of this schema. The error names the rule that is
    /// broken by its place in the schema, which is the team's own text.
    pub(super) fn check(&self, text: &str) -> Result<Map<String, Value>, String> {
        let value: Value = parsed(text)?;
        if let Err(error) = self.validator.validate(&value) {
            return Err(format!("the output breaks the schema at {}", short(error.schema_path().as_str())));
        }
        match value {
            Value::Object(output) => Ok(output),
            _ => Err("the output is not an object".to_owned()),
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Whether OpenAI takes a schema in its strict mode, in which the output is
/// certain to follow it. By its documentation of structured outputs; what is not
/// plainly in it is not strict, which OpenAI then follows as well as it can.
pub(super) fn is_strict(schema: &Value) -> bool {
    schema["type"] == "object" && schema.get("anyOf").is_none() && Strict::default().takes(schema, 0)
}

const KEYWORDS: [&str; 21] = [
    "$defs",
    "$ref",
    "$schema",
    "additionalProperties",
    "anyOf",
    "const",
    "definitions",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "pattern",
    "properties",
    "required",
];
const FORMATS: [&str; 9] = ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"];
const MAX_DEPTH: usize = 10;
const MAX_PROPERTIES: usize = 5_000;
const MAX_ENUM_VALUES: usize = 1_000;

/// Walks a schema, and counts what is limited over the whole of it.
#[derive(Default)]
struct Strict {
    properties: usize,
    enum_values: usize,
}

impl Strict {
    fn takes(&mut self, schema: &Value, depth: usize) -> bool {
        let Some(rules) = schema.as_object() else { return false };
        self.enum_values += schema["enum"].as_array().map_or(0, Vec::len);
        depth <= MAX_DEPTH
            && self.enum_values <= MAX_ENUM_VALUES
            && rules.keys().all(|key| matches!(key.as_str(), "type" | "title") || KEYWORDS.contains(&key.as_str()))
            && ["type", "anyOf", "$ref"].iter().any(|key| rules.contains_key(*key))
            && rules.get("format").is_none_or(|format| format.as_str().is_some_and(|name| FORMATS.contains(&name)))
            && (!is_object(schema) || self.takes_object(schema))
            && self.takes_parts(schema, depth)
    }

    fn takes_object(&mut self, schema: &Value) -> bool {
        let names: Vec<&str> =
            schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        self.properties += names.len();
        self.properties <= MAX_PROPERTIES
            && schema["additionalProperties"] == false
            && names.iter().all(|name| required.contains(name))
    }

    fn takes_parts(&mut self, schema: &Value, depth: usize) -> bool {
        let named = ["properties", "$defs", "definitions"];
        let named = named.iter().filter_map(|key| schema[*key].as_object()).flatten().map(|(_, part)| part);
        let listed = schema["anyOf"].as_array().into_iter().flatten();
        named.chain(listed).chain(schema.get("items")).all(|part| self.takes(part, depth + 1))
    }
}

fn is_object(schema: &Value) -> bool {
    let kind = &schema["type"];
    kind == "object" || kind.as_array().is_some_and(|kinds| kinds.contains(&Value::from("object")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(schema: &Value) -> Result<Schema, String> {
        Schema::parse(&schema.to_string())
    }

    #[test]
    fn an_output_is_held_to_the_schema_and_the_error_names_the_rule_and_not_the_words() {
        let schema = parse(&json!({"type": "object", "required": ["score"], "properties": {
            "score": {"type": "integer", "maximum": 5}, "who": {"type": "string", "pattern": "^[a-z]+$"}}}))
        .expect("a schema");
        assert_eq!(schema.check(r#"{"score": 5, "who": "me"}"#).expect("fits")["score"], 5);
        let table = [
            (r#"{"score": 6}"#, "the output breaks the schema at /properties/score/maximum"),
            (r#"{"who": "me"}"#, "the output breaks the schema at /required"),
            (r#"{"score": 1, "who": "SECRET"}"#, "the output breaks the schema at /properties/who/pattern"),
            ("[]", "the output breaks the schema at /type"),
            (r#"{"score": 1"#, "the output ends too early (line 1, column 11)"),
            ("SECRET", "the output is not JSON (line 1, column 1)"),
        ];
        for (output, error) in table {
            assert_eq!(schema.check(output), Err(error.to_owned()));
        }
    }

    #[test]
    fn what_is_no_schema_of_an_object_or_refers_elsewhere_is_refused() {
        let table = [
            (json!({"type": "objct"}), "not a JSON schema"),
            (json!({"type": "object", "properties": {"a": {"pattern": "("}}}), "not a JSON schema"),
            (
                json!({"type": "object", "properties": {"a": {"$ref": "https://example.com/a.json"}}}),
                "not a JSON schema",
            ),
            (json!({"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}), "not a JSON schema"),
            (json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/no"}}}), "not a JSON schema"),
            (json!({"type": "array"}), "one of an object"),
            (json!(true), "one of an object"),
        ];
        for (schema, error) in table {
            let refused = parse(&schema).err().unwrap_or_default();
            assert!(refused.contains(error), "{schema}: {refused}");
        }
        assert!(Schema::parse("{").err().expect("refused").contains("not JSON"));
        assert!(Schema::parse(&" ".repeat(MAX_BYTES + 1)).is_err());
    }

    #[test]
    fn strict_is_what_openai_documents_as_strict() {
        let with = |part: Value| json!({"type": "object", "additionalProperties": false, "required": ["a"], "properties": {"a": part}});
        for part in [
            json!({"type": ["string", "null"], "description": "d"}),
            json!({"type": "integer", "minimum": 0, "maximum": 100}),
            json!({"type": "array", "items": {"type": "string", "enum": ["x"]}, "minItems": 1}),
            json!({"anyOf": [{"type": "null"}, {"type": "string", "format": "date"}]}),
            with(json!({"type": "boolean"})),
        ] {
            assert!(is_strict(&with(part.clone())), "{part}");
        }
        for part in [
            json!({"type": "string", "maxLength": 5}),
            json!({"type": "string", "format": "uri"}),
            json!({"allOf": [{"type": "string"}]}),
            json!({}),
            json!(true),
            json!({"type": "object", "properties": {}}),
            json!({"type": "array", "items": {"type": "object"}}),
            (0..12).fold(json!({"type": "string"}), |part, _| json!({"type": "array", "items": part})),
            json!({"type": "string", "enum": (0..1001).collect::<Vec<_>>()}),
        ] {
            assert!(!is_strict(&with(part.clone())), "{part}");
        }
        let optional =
            json!({"type": "object", "additionalProperties": false, "properties": {"a": {"type": "string"}}});
        assert!(!is_strict(&optional));
    }
}
