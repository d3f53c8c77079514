//! The two files of a batch as OpenAI writes them for `/v1/responses`: each line repeats the request's
//! instructions, tools and schema around a short answer. The same number of lines gives the same bytes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::delivery::mix;

const TEMPLATE: &str = include_str!("line.json");

/// One line in so many is irregular, each in a way of its own.
const IRREGULAR: u64 = 100;

/// Coprime to any number of lines in use: the order of the lines is never that of the input.
const STRIDE: u64 = 7919;

/// A batch's files, and what is in them.
#[derive(Debug, Clone)]
pub struct Files {
    /// The output file.
    pub output: PathBuf,
    /// The error file.
    pub errors: PathBuf,
    /// Requests in the batch: one for each of the tickets `T-1`, `T-2`, …
    pub lines: u64,
    /// Tickets whose answer can be applied with nobody asked.
    pub usable: u64,
    /// Bytes of the output file.
    pub bytes: u64,
}

/// What is on a request's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// In the error file, with status 400.
    Rejected,
    /// Status 0 and an empty body.
    Nothing,
    Missing,
    /// Cut off half way.
    Unreadable,
    Twice,
    Refused,
    Incomplete,
    Unsure,
    Sensitive,
    /// Under an id that nobody asked for.
    Unknown,
}

impl Kind {
    fn of(number: u64) -> Self {
        if number % IRREGULAR != 17 {
            return Kind::Plain;
        }
        match number / IRREGULAR % 10 {
            0 => Kind::Rejected,
            1 => Kind::Nothing,
            2 => Kind::Missing,
            3 => Kind::Unreadable,
            4 => Kind::Twice,
            5 => Kind::Refused,
            6 => Kind::Incomplete,
            7 => Kind::Unsure,
            8 => Kind::Sensitive,
            _ => Kind::Unknown,
        }
    }
}

/// Writes both files of a batch of so many lines into `folder`.
pub fn write(folder: &Path, lines: u64) -> Result<Files> {
    let path = |kind: &str| folder.join(format!("batch-{lines}-{kind}.jsonl"));
    let mut files = Files { output: path("output"), errors: path("errors"), lines, usable: 0, bytes: 0 };
    let mut output = BufWriter::new(File::create(&files.output)?);
    let mut errors = BufWriter::new(File::create(&files.errors)?);
    let template: Vec<&str> = TEMPLATE.lines().collect();
    let template = template.join(" ");
    for place in 0..lines {
        let number = place * STRIDE % lines + 1;
        let kind = Kind::of(number);
        let text = line(&template, number, kind);
        match kind {
            Kind::Missing => {}
            Kind::Rejected => writeln!(errors, "{text}")?,
            Kind::Unreadable => writeln!(output, "{}", &text[..text.len() / 2])?,
            Kind::Twice => write!(output, "{text}\n{text}\n")?,
            _ => writeln!(output, "{text}")?,
        }
        files.usable += u64::from(matches!(kind, Kind::Plain | Kind::Twice));
    }
    output.into_inner()?.sync_all()?;
    errors.into_inner()?.sync_all()?;
    files.bytes = files.output.metadata()?.len();
    Ok(files)
}

fn line(template: &str, number: u64, kind: Kind) -> String {
    let hex = |of: u64| format!("{:016x}{:016x}", mix(number * 16 + of), mix(number * 16 + of + 8));
    let ticket = match kind {
        Kind::Unknown => format!("nobody-asked-{number}"),
        _ => format!("T-{number}"),
    };
    match kind {
        Kind::Rejected => {
            return shell(
                &hex(0),
                &ticket,
                400,
                r#"{"error": {"message": "max_output_tokens is too large.", "type": "invalid_request_error", "param": "max_output_tokens", "code": null}}"#,
            );
        }
        Kind::Nothing => return shell(&hex(0), &ticket, 0, "{}"),
        _ => {}
    }
    let (status, incomplete) = match kind {
        Kind::Incomplete => ("incomplete", r#"{"reason": "max_output_tokens"}"#),
        _ => ("completed", "null"),
    };
    let (asked, said) = (700 + mix(number) % 900, 25 + mix(number) % 20);
    let mut text = template.to_owned();
    let fields = [
        ("@a@", hex(0)),
        ("@b@", hex(1)),
        ("@c@", hex(2)),
        ("@d@", hex(3)),
        ("@e@", hex(4)),
        ("@ticket@", ticket),
        ("@status@", status.to_owned()),
        ("@incomplete@", incomplete.to_owned()),
        ("@content@", content(number, kind)),
        ("@in@", asked.to_string()),
        ("@out@", said.to_string()),
        ("@total@", (asked + said).to_string()),
    ];
    for (name, value) in fields {
        text = text.replace(name, &value);
    }
    text
}

fn shell(id: &str, ticket: &str, status: u16, body: &str) -> String {
    format!(
        r#"{{"id": "batch_req_{id}", "custom_id": "{ticket}", "response": {{"status_code": {status}, "request_id": "", "body": {body}}}, "error": null}}"#
    )
}

/// The answer as a part of the message: JSON as text inside JSON.
fn content(number: u64, kind: Kind) -> String {
    if kind == Kind::Refused {
        return r#"{"type": "refusal", "refusal": "I'm sorry, but I can't help with that."}"#.to_owned();
    }
    let draw = mix(number ^ 0xba7c);
    let intent = ["shipping", "bug", "question", "cancellation", "feature_request"][(draw % 5) as usize];
    let priority = ["low", "normal", "normal", "high"][(draw / 5 % 4) as usize];
    let confidence = if kind == Kind::Unsure { 41 } else { 85 + draw / 20 % 15 };
    let topics = if kind == Kind::Sensitive { r#"\"refund\""# } else { "" };
    let answer = format!(
        r#"{{\"intent\":\"{intent}\",\"priority\":\"{priority}\",\"confidence\":0.{confidence},\"topics\":[{topics}]}}"#
    );
    let end = if kind == Kind::Incomplete { answer.len() / 2 } else { answer.len() };
    // A backslash must not be left alone at the end.
    let shown = answer[..end].trim_end_matches('\\');
    format!(r#"{{"type": "output_text", "annotations": [], "logprobs": [], "text": "{shown}"}}"#)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::*;

    fn folder() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("frontdesk-bench-lines-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn the_files_hold_every_line_and_each_irregularity_once() {
        let folder = folder();
        let files = write(&folder, 1000).unwrap();
        let output = fs::read_to_string(&files.output).unwrap();
        let errors = fs::read_to_string(&files.errors).unwrap();
        fs::remove_dir_all(folder).unwrap();
        let parsed: Vec<Option<Value>> = output.lines().map(|line| serde_json::from_str(line).ok()).collect();
        // Of a thousand one is missing and one rejected; one is there twice.
        assert_eq!((parsed.len(), errors.lines().count()), (999, 1));
        assert_eq!(parsed.iter().filter(|line| line.is_none()).count(), 1);
        assert_eq!(files.usable, 991);
        let usable = parsed.iter().flatten().filter(|line| {
            let said = line["response"]["body"]["output"][1]["content"][0]["text"].as_str();
            let answer: Option<Value> = said.and_then(|said| serde_json::from_str(said).ok());
            answer.is_some_and(|answer| answer["confidence"].as_f64() > Some(0.8) && answer["topics"][0].is_null())
        });
        // The one that is there twice, and the one under an id that nobody asked for.
        assert_eq!(usable.count() as u64, files.usable + 1 + 1);
        assert_eq!(files.bytes, output.len() as u64);
    }

    #[test]
    fn a_line_is_about_four_kilobytes_and_always_the_same() {
        let text = line(TEMPLATE, 7, Kind::Plain);
        assert!((3_700..4_000).contains(&text.len()), "{}", text.len());
        assert!(!text.contains('@'));
        assert_eq!(text, line(TEMPLATE, 7, Kind::Plain));
    }
}
