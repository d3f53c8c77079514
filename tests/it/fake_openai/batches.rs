//! The part of the stand-in that takes batches: files go up, batches are made of
//! them and stand in the list. A test says how they end.

use std::collections::VecDeque;

use axum::Json;
use axum::body::Body;
use axum::extract::{Multipart, Query, State};
use axum::http::{HeaderMap, Response};
use serde_json::{Value, json};

use super::{Answer, FakeOpenAi};

/// What was uploaded and made.
#[derive(Default)]
pub(super) struct Batches {
    files: Vec<String>,
    made: Vec<Value>,
    /// What uploads are answered with, one each, before they are taken again.
    upload_answers: VecDeque<Answer>,
    /// So many of the next batches are made, and nobody hears of it.
    silent: usize,
    /// So many of the newest batches are not in the list yet.
    unlisted: usize,
}

impl FakeOpenAi {
    /// The batches that were made, in order; the n-th has the id `batch_n`.
    pub fn batches(&self) -> Vec<Value> {
        self.shelf().batches.made.clone()
    }

    /// How many files were uploaded.
    pub fn uploads(&self) -> usize {
        self.shelf().batches.files.len()
    }

    /// The lines of a batch's input, from 1.
    pub fn input_of(&self, batch: usize) -> Vec<Value> {
        let shelf = self.shelf();
        let file = shelf.batches.made[batch - 1]["input_file_id"].as_str().unwrap();
        let number: usize = file.strip_prefix("file-").unwrap().parse().unwrap();
        shelf.batches.files[number - 1].lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The next uploads get these answers instead of being taken.
    pub fn answer_uploads(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shelf().batches.upload_answers.extend(answers);
    }

    /// The next batches are made, and the call ends without a word of it.
    pub fn be_silent_about(&self, batches: usize) {
        self.shelf().batches.silent = batches;
    }

    /// The list does not show the newest batches yet.
    pub fn do_not_list(&self, batches: usize) {
        self.shelf().batches.unlisted = batches;
    }

    fn refusal(&self, headers: &HeaderMap) -> Option<Answer> {
        let key = headers.get("authorization").map_or("", |value| value.to_str().unwrap());
        self.shelf().refused.get(key).cloned()
    }
}

pub(super) async fn upload(
    State(openai): State<FakeOpenAi>,
    headers: HeaderMap,
    mut form: Multipart,
) -> Response<Body> {
    let (mut purpose, mut text) = (String::new(), String::new());
    while let Some(field) = form.next_field().await.unwrap() {
        let is_file = field.name() == Some("file");
        let is_purpose = field.name() == Some("purpose");
        let value = field.text().await.unwrap();
        if is_file {
            text = value;
        } else if is_purpose {
            purpose = value;
        }
    }
    assert_eq!(purpose, "batch");
    let refusal = openai.refusal(&headers);
    let mut shelf = openai.shelf();
    if let Some(answer) = refusal.or_else(|| shelf.batches.upload_answers.pop_front()) {
        return answer.build();
    }
    shelf.batches.files.push(text);
    Answer::json(&json!({"id": format!("file-{}", shelf.batches.files.len()), "object": "file"})).build()
}

pub(super) async fn create(
    State(openai): State<FakeOpenAi>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response<Body> {
    let refusal = openai.refusal(&headers);
    let mut shelf = openai.shelf();
    if let Some(answer) = refusal.or_else(|| shelf.start_answers.pop_front()) {
        return answer.build();
    }
    let id = format!("batch_{}", shelf.batches.made.len() + 1);
    let made = json!({"id": id, "object": "batch", "endpoint": body["endpoint"], "status": "validating",
        "created_at": 1_780_000_000, "input_file_id": body["input_file_id"], "metadata": body["metadata"]});
    shelf.batches.made.push(made.clone());
    shelf.answers.entry(id).or_insert_with(|| VecDeque::from([Answer::json(&made)]));
    if shelf.batches.silent > 0 {
        shelf.batches.silent -= 1;
        return Answer::error(502, "bad_gateway").build();
    }
    Answer::json(&made).build()
}

pub(super) async fn list(
    State(openai): State<FakeOpenAi>,
    Query(query): Query<Vec<(String, String)>>,
) -> Response<Body> {
    let shelf = openai.shelf();
    let after = query.iter().find(|(key, _)| key == "after").map(|(_, id)| id.as_str());
    let shown = shelf.batches.made.len().saturating_sub(shelf.batches.unlisted);
    let newest_first = shelf.batches.made[..shown].iter().rev();
    let rest: Vec<&Value> = match after {
        None => newest_first.collect(),
        Some(after) => newest_first.skip_while(|batch| batch["id"] != after).skip(1).collect(),
    };
    Answer::json(&json!({"object": "list", "data": rest, "has_more": false})).build()
}
