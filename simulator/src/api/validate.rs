//! What a request must hold.

use super::error::ApiError;
use serde_json::{Value, json};

const MOST_PAIRS: usize = 16;
const LONGEST_KEY: usize = 64;
const LONGEST_VALUE: usize = 512;

/// Checks the body of `POST /v1/responses`, or of a batch's line.
pub(crate) fn response(request: &Value) -> Result<(), ApiError> {
    text(request, "model")?;
    match &request["input"] {
        Value::String(_) => {}
        Value::Array(items) if items.iter().all(Value::is_object) => {}
        Value::Null => return Err(ApiError::missing("input")),
        _ => {
            let message = "Invalid type for 'input': expected a string or an array of input items.";
            return Err(ApiError::invalid(message).param("input").code("invalid_type"));
        }
    }
    if request["stream"].as_bool() == Some(true) {
        let message = "Streaming is not supported here; leave out 'stream'.";
        return Err(ApiError::invalid(message).param("stream").code("unsupported_parameter"));
    }
    format(&request["text"]["format"])?;
    metadata(&request["metadata"])
}

/// A parameter that must be a string with something in it.
pub(crate) fn text<'a>(request: &'a Value, param: &str) -> Result<&'a str, ApiError> {
    match &request[param] {
        Value::Null => Err(ApiError::missing(param)),
        Value::String(text) if !text.is_empty() => Ok(text),
        _ => {
            let message = format!("Invalid type for '{param}': expected a string.");
            Err(ApiError::invalid(message).param(param).code("invalid_type"))
        }
    }
}

fn format(format: &Value) -> Result<(), ApiError> {
    if format["type"] != "json_schema" {
        return Ok(());
    }
    let name = format["name"].as_str().unwrap_or_default();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        let message = "Invalid 'text.format.name': expected 1 to 64 of a-z, A-Z, 0-9, _ and -.";
        return Err(ApiError::invalid(message).param("text.format.name").code("invalid_value"));
    }
    if !format["schema"].is_object() {
        return Err(ApiError::missing("text.format.schema"));
    }
    Ok(())
}

/// At most 16 pairs of strings, keys up to 64 and values up to 512 characters.
pub(crate) fn metadata(metadata: &Value) -> Result<(), ApiError> {
    let pairs = match metadata {
        Value::Null => return Ok(()),
        Value::Object(pairs) => pairs,
        _ => {
            let message = "Invalid type for 'metadata': expected an object.";
            return Err(ApiError::invalid(message).param("metadata").code("invalid_type"));
        }
    };
    if pairs.len() > MOST_PAIRS {
        let message = format!("Invalid 'metadata': too many properties. Expected at most {MOST_PAIRS}.");
        return Err(ApiError::invalid(message).param("metadata").code("object_above_max_properties"));
    }
    for (key, value) in pairs {
        let param = format!("metadata.{key}");
        let fits = |text: &str, most: usize| text.chars().count() <= most;
        let Some(value) = value.as_str() else {
            let message = "Invalid type in 'metadata': expected strings.";
            return Err(ApiError::invalid(message).param(&param).code("invalid_type"));
        };
        if !fits(key, LONGEST_KEY) || !fits(value, LONGEST_VALUE) {
            let message =
                format!("Invalid 'metadata': keys have at most {LONGEST_KEY} characters, values {LONGEST_VALUE}.");
            return Err(ApiError::invalid(message).param(&param).code("string_above_max_length"));
        }
    }
    Ok(())
}

/// The input as the list of items that OpenAI gives back.
pub(crate) fn input_items(request: &Value, id: impl Fn(usize) -> String) -> Vec<Value> {
    let message = |role: &Value, content: &Value, at: usize| {
        let content = match content {
            Value::String(text) => json!([{"type": "input_text", "text": text}]),
            other => other.clone(),
        };
        json!({"id": id(at), "type": "message", "status": "completed", "role": role,
            "content": content})
    };
    match &request["input"] {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(at, item)| match &item["role"] {
                Value::Null => item.clone(),
                role => message(role, &item["content"], at),
            })
            .collect(),
        text => vec![message(&json!("user"), text, 0)],
    }
}

#[cfg(test)]
mod tests {
    use super::{metadata, response};
    use serde_json::{Map, Value, json};

    #[test]
    fn requests_are_refused_by_the_parameter_that_is_wrong() {
        let told = |request: Value| {
            let error = response(&request).unwrap_err().body();
            error["error"]["param"].as_str().unwrap().to_owned()
        };
        assert_eq!(told(json!({"input": "x"})), "model");
        assert_eq!(told(json!({"model": "m"})), "input");
        assert_eq!(told(json!({"model": "m", "input": 5})), "input");
        assert_eq!(told(json!({"model": "m", "input": "x", "stream": true})), "stream");
        let format = json!({"format": {"type": "json_schema", "name": "a b", "schema": {}}});
        assert_eq!(told(json!({"model": "m", "input": "x", "text": format})), "text.format.name");
        assert!(response(&json!({"model": "m", "input": [{"role": "user"}]})).is_ok());
    }

    #[test]
    fn metadata_keeps_to_openais_limits() {
        let pairs =
            |count: usize| -> Value { (0..count).map(|at| (at.to_string(), json!("x"))).collect::<Map<_, _>>().into() };
        assert!(metadata(&pairs(16)).is_ok());
        assert!(metadata(&pairs(17)).is_err());
        assert!(metadata(&json!({"k": "ä".repeat(512)})).is_ok());
        assert!(metadata(&json!({"k": "ä".repeat(513)})).is_err());
        assert!(metadata(&json!({"k".repeat(65): "x"})).is_err());
        assert!(metadata(&json!({"k": 1})).is_err());
        assert!(metadata(&json!([])).is_err());
    }
}
