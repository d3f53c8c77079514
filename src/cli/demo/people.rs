//! People at work, over the API, as a program of theirs would use it.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

/// One person at the API.
pub(super) struct Person {
    web: reqwest::Client,
    /// As `http://127.0.0.1:8080/api/v1`.
    api: String,
    token: String,
}

impl Person {
    pub(super) fn new(web: reqwest::Client, api: String, token: String) -> Person {
        Person { web, api, token }
    }

    /// Takes a review as it stands and decides it: `approve` or `reject`, with
    /// what else is said.
    pub(super) async fn decide(&self, review: &str, word: &str, said: &[(&str, &str)]) -> Result<()> {
        let path = format!("reviews/{review}");
        let open = self.ask(Method::GET, &path, None).await?;
        let claimed =
            self.ask(Method::POST, &format!("{path}/claim"), Some(json!({"version": open["version"]}))).await?;
        let mut decision = json!({"version": claimed["version"]});
        for (name, value) in said {
            decision[*name] = json!(value);
        }
        self.ask(Method::POST, &format!("{path}/{word}"), Some(decision)).await?;
        Ok(())
    }

    /// Pauses a workflow.
    pub(super) async fn pause(&self, workflow: &str) -> Result<()> {
        let pause = json!({"kind": "workflow", "name": workflow, "reason": "shown in the demo"});
        self.ask(Method::POST, "pauses", Some(pause)).await?;
        Ok(())
    }

    /// Ends the pause of a workflow.
    pub(super) async fn resume(&self, workflow: &str) -> Result<()> {
        self.ask(Method::DELETE, &format!("pauses/workflow/{workflow}"), None).await?;
        Ok(())
    }

    /// Writes a note on a ticket.
    pub(super) async fn note(&self, ticket: &str, text: &str) -> Result<()> {
        let note = json!({"author": "agent", "visibility": "internal", "body": text});
        self.ask(Method::POST, &format!("tickets/{ticket}/messages"), Some(note)).await?;
        Ok(())
    }

    /// Changes fields of a ticket.
    pub(super) async fn change(&self, ticket: &str, fields: &Value) -> Result<()> {
        self.ask(Method::PATCH, &format!("tickets/{ticket}"), Some(fields.clone())).await?;
        Ok(())
    }

    /// What a batch would change, in words.
    pub(super) async fn preview(&self, batch: &str) -> Result<Vec<String>> {
        let shown = self.ask(Method::GET, &format!("batches/{batch}"), None).await?;
        let words = shown["change_set"]["in_words"].as_array().context("a batch without a change-set")?;
        Ok(words.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Takes a batch as it stands and decides about it: `apply`, `pause`, `undo`…
    pub(super) async fn decide_batch(&self, batch: &str, word: &str) -> Result<()> {
        let path = format!("batches/{batch}");
        let shown = self.ask(Method::GET, &path, None).await?;
        self.ask(Method::POST, &format!("{path}/{word}"), Some(json!({"version": shown["version"]}))).await?;
        Ok(())
    }

    /// The answer to a request; null when it has no body.
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let mut request = self.web.request(method, format!("{}/{path}", self.api)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.with_context(|| path.to_owned())?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "the API answered {status} to {path}");
        if text.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&text)?) }
    }
}
