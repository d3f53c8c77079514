//! Answering the lines of a batch, and all that can be wrong with the answers.

use super::check::Line;
use crate::api::validate;
use crate::chance::Dice;
use crate::clock;
use crate::output::answer::end;
use crate::output::shape::{Facts, ended};
use crate::output::text::half;
use crate::plan::Plan;
use crate::settings::Tuning;
use serde_json::{Value, json};

/// Which lines are answered, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Every line.
    All,
    /// About half of them; the rest is left out.
    Partial,
    /// About half of them; the rest is reported as expired.
    Expired,
    /// None: every line is rejected.
    Rejected,
    /// Most of them, with every irregularity that was ever seen.
    Irregular,
}

/// The two files of a batch, and what it claims to have done.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) output: Vec<u8>,
    pub(crate) errors: Vec<u8>,
    pub(crate) total: usize,
    pub(crate) completed: usize,
    pub(crate) failed: usize,
    input_tokens: u64,
    output_tokens: u64,
}

impl Written {
    /// The tokens of all lines that were answered.
    pub(crate) fn usage(&self) -> Value {
        json!({"input_tokens": self.input_tokens, "output_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens})
    }
}

/// Writes both files. The order of the lines is never that of the input.
pub(crate) fn write(tuning: &Tuning, seed: u64, batch: &str, mut lines: Vec<Line>, extent: Extent) -> Written {
    let total = lines.len();
    let mut dice = Dice::new(seed, &[batch.as_bytes(), b"lines"]);
    dice.shuffle(&mut lines);
    let done = match extent {
        Extent::Partial | Extent::Expired => total / 2,
        Extent::Rejected => 0,
        Extent::All | Extent::Irregular => total,
    };
    let rest = lines.split_off(done);
    let mut made = Vec::new();
    let mut rejected = Vec::new();
    let mut written = Written { total, ..Written::default() };
    for line in lines {
        // As text at once: fifty thousand trees of values would take many times the room.
        let answer = answer(tuning, seed, batch, &line);
        let text = answer.to_string();
        let usage = &answer["response"]["body"]["usage"];
        written.input_tokens += usage["input_tokens"].as_u64().unwrap_or(0);
        written.output_tokens += usage["output_tokens"].as_u64().unwrap_or(0);
        if answer["response"]["status_code"] == 200 {
            made.push((line.custom_id, text));
        } else {
            rejected.push(text);
        }
    }
    match extent {
        Extent::Expired => rejected.extend(rest.iter().map(|line| expired(seed, batch, &line.custom_id))),
        Extent::Rejected => rejected.extend(rest.iter().map(|line| refused(seed, batch, &line.custom_id))),
        _ => {}
    }
    (written.completed, written.failed) = (made.len(), rejected.len());
    let mut output = match extent {
        // The counts keep claiming that all went well, as they did in the wild.
        Extent::Irregular => irregular(seed, batch, made, &mut rejected),
        _ => made.into_iter().map(|(_, text)| text).collect(),
    };
    dice.shuffle(&mut output);
    written.output = join(output);
    written.errors = join(rejected);
    written
}

fn join(lines: Vec<String>) -> Vec<u8> {
    let mut file = Vec::new();
    for line in lines {
        file.extend_from_slice(line.as_bytes());
        file.push(b'\n');
    }
    file
}

/// Ids for one line.
fn dice(seed: u64, batch: &str, custom_id: &str) -> Dice {
    Dice::new(seed, &[batch.as_bytes(), custom_id.as_bytes()])
}

fn shell(seed: u64, batch: &str, custom_id: &str, response: Value, error: Value) -> Value {
    let id = dice(seed, batch, custom_id).hex(32);
    json!({"id": format!("batch_req_{id}"), "custom_id": custom_id, "response": response, "error": error})
}

fn answer(tuning: &Tuning, seed: u64, batch: &str, line: &Line) -> Value {
    let mut names = dice(seed, batch, &line.custom_id);
    let (id, request_id) = (format!("resp_{}", names.hex(48)), format!("req_{}", names.hex(32)));
    let (status, body) = match validate::response(&line.body) {
        Err(error) => (400, error.body()),
        Ok(()) => {
            let plan = Plan::draw(tuning, seed, &id, |key| pair(line, key));
            let ending = end(&line.body, seed, &id, &plan);
            let now = clock::now_s();
            let facts = Facts { id: &id, created_at: now, background: false };
            (200, ended(facts, &line.body, ending, now))
        }
    };
    let response = json!({"status_code": status, "request_id": request_id, "body": body});
    shell(seed, batch, &line.custom_id, response, Value::Null)
}

/// What a script can tell a line by.
fn pair(line: &Line, key: &str) -> Option<String> {
    let told = line.body["metadata"][key].as_str().map(str::to_owned);
    told.or_else(|| match key {
        "custom_id" => Some(line.custom_id.clone()),
        "ticket_id" => line.custom_id.split(':').next().map(str::to_owned),
        _ => None,
    })
}

fn expired(seed: u64, batch: &str, custom_id: &str) -> String {
    let error = json!({"code": "batch_expired", "message":
        "This request could not be executed before the completion window expired."});
    shell(seed, batch, custom_id, Value::Null, error).to_string()
}

/// Rejected by the API: `error` stays null, and the status tells.
fn refused(seed: u64, batch: &str, custom_id: &str) -> String {
    let request_id = format!("req_{}", dice(seed, batch, custom_id).hex(32));
    let body = json!({"error": {"message": "max_output_tokens is too large.",
        "type": "invalid_request_error", "param": "max_output_tokens", "code": null}});
    let response = json!({"status_code": 400, "request_id": request_id, "body": body});
    shell(seed, batch, custom_id, response, Value::Null).to_string()
}

/// Spoils a line for each irregularity, as far as there are lines, and adds one nobody asked for.
fn irregular(seed: u64, batch: &str, mut made: Vec<(String, String)>, rejected: &mut Vec<String>) -> Vec<String> {
    let body = json!({"id": "resp_0", "object": "response", "status": "completed", "output": []});
    let response = json!({"status_code": 200, "request_id": "req_0", "body": body});
    let stray = shell(seed, batch, "nobody-asked-for-this", response, Value::Null);
    let mut lines = vec![stray.to_string()];
    if let Some((_, twice)) = made.pop() {
        lines.extend([twice.clone(), twice]);
    }
    if let Some((custom_id, _)) = made.pop() {
        rejected.push(refused(seed, batch, &custom_id));
    }
    if let Some((custom_id, _)) = made.pop() {
        let nothing = json!({"status_code": 0, "request_id": "", "body": {}});
        lines.push(shell(seed, batch, &custom_id, nothing, Value::Null).to_string());
    }
    // The next one is simply missing.
    made.pop();
    if let Some((_, text)) = made.pop() {
        lines.push(half(&text));
    }
    lines.extend(made.into_iter().map(|(_, text)| text));
    lines
}
