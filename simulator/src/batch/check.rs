//! Whether an input file can be worked on.

use serde_json::{Value, json};
use std::collections::HashSet;

const MOST_LINES: usize = 50_000;

/// No more errors than these are listed.
const MOST_ERRORS: usize = 100;

const URL: &str = "/v1/responses";

/// One request of a batch.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) custom_id: String,
    pub(crate) body: Value,
}

/// The requests in a file, or all that is wrong with it.
pub(crate) fn lines(content: &[u8]) -> Result<Vec<Line>, Vec<Value>> {
    let mut check = Check::default();
    let mut lines = Vec::new();
    for (number, text) in content.split(|byte| *byte == b'\n').enumerate() {
        if text.trim_ascii().is_empty() {
            continue;
        }
        if check.errors.len() >= MOST_ERRORS {
            break;
        }
        if lines.len() >= MOST_LINES {
            check.error("too_many_tasks", "There are more than 50,000 requests.", Value::Null);
            break;
        }
        lines.extend(check.line(number + 1, text));
    }
    if lines.is_empty() && check.errors.is_empty() {
        check.error("empty_file", "The batch input file is empty.", Value::Null);
    }
    if check.errors.is_empty() { Ok(lines) } else { Err(check.errors) }
}

/// What a batch says that exceeds what may be enqueued.
pub(crate) fn over_the_limit() -> Vec<Value> {
    vec![error("token_limit_exceeded", "Enqueued token limit reached for this model.", None)]
}

fn error(code: &str, message: &str, line: Option<usize>) -> Value {
    json!({"code": code, "message": message, "param": null, "line": line})
}

#[derive(Default)]
struct Check {
    errors: Vec<Value>,
    ids: HashSet<String>,
    model: Option<Value>,
}

impl Check {
    fn error(&mut self, code: &str, message: &str, line: Value) {
        let line = line.as_u64().map(|line| line as usize);
        self.errors.push(error(code, message, line));
    }

    fn line(&mut self, number: usize, text: &[u8]) -> Option<Line> {
        let Ok(mut value) = serde_json::from_slice::<Value>(text) else {
            self.error("invalid_json_line", "This line is not parseable as valid JSON.", number.into());
            return None;
        };
        let Some(custom_id) = value["custom_id"].as_str().map(str::to_owned) else {
            self.error("missing_required_parameter", "Missing required parameter: 'custom_id'.", number.into());
            return None;
        };
        if let Some((code, message)) = self.fault(&value, &custom_id) {
            self.error(code, &message, number.into());
            return None;
        }
        Some(Line { custom_id, body: value["body"].take() })
    }

    fn fault(&mut self, value: &Value, custom_id: &str) -> Option<(&'static str, String)> {
        if !self.ids.insert(custom_id.to_owned()) {
            let message = format!("The custom_id '{custom_id}' appears more than once.");
            return Some(("duplicate_custom_id", message));
        }
        if value["method"] != "POST" {
            return Some(("invalid_method", "Only POST is supported.".into()));
        }
        if value["url"] != URL {
            return Some(("url_mismatch", format!("The url must be {URL}, as the batch's endpoint.")));
        }
        if !value["body"].is_object() {
            return Some(("missing_required_parameter", "Missing required parameter: 'body'.".into()));
        }
        let model = &value["body"]["model"];
        let first = self.model.get_or_insert_with(|| model.clone());
        let differs = first != model;
        differs.then(|| ("model_mismatch", "All requests must name the same model.".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::lines;

    fn line(id: &str, url: &str, model: &str) -> String {
        format!(r#"{{"custom_id":"{id}","method":"POST","url":"{url}","body":{{"model":"{model}","input":"x"}}}}"#)
    }

    #[test]
    fn each_error_names_its_code_and_line() {
        let good = line("a", "/v1/responses", "m");
        let file = [
            good.clone(),
            good,
            line("b", "/v1/embeddings", "m"),
            String::new(),
            "{half".into(),
            line("c", "/v1/responses", "other"),
        ];
        let errors = lines(file.join("\n").as_bytes()).unwrap_err();
        let told: Vec<(&str, u64)> =
            errors.iter().map(|error| (error["code"].as_str().unwrap(), error["line"].as_u64().unwrap())).collect();
        let expected =
            [("duplicate_custom_id", 2), ("url_mismatch", 3), ("invalid_json_line", 5), ("model_mismatch", 6)];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_good_file_passes_and_an_empty_one_does_not() {
        let file = format!("{}\n\n{}\n", line("a", "/v1/responses", "m"), line("b", "/v1/responses", "m"));
        assert_eq!(lines(file.as_bytes()).unwrap().len(), 2);
        assert_eq!(lines(b"\n \n").unwrap_err()[0]["code"], "empty_file");
        assert!(lines(&vec![b'x'; 400]).is_err());
        let many = "{\n".repeat(1000);
        assert_eq!(lines(many.as_bytes()).unwrap_err().len(), super::MOST_ERRORS);
    }
}
