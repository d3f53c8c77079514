//! Batches at OpenAI: starting one, finding one again, and stopping one.

use std::collections::BTreeMap;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use crate::domain::event::is_path_safe;
use crate::domain::resource::Batch;

use super::client::{Client, Fetched, body, read_batch, refusal, unsent};
use super::error::{CreateError, OpenAiError};
use super::lenient::Object;
use super::read::{batch_of, unreadable};
use super::types::BatchesJson;

/// How much our clock may be ahead of OpenAI's, in seconds.
const CLOCKS_DIFFER_S: i64 = 600;

/// How many batches a page holds; OpenAI gives no more.
const PAGE: usize = 100;

/// So many pages are read to find one batch: more than can be made in a day.
const MAX_PAGES: usize = 500;

/// A batch to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// An uploaded file with its lines.
    pub input_file_id: String,
    /// What every line is sent to, as `/v1/responses`.
    pub endpoint: String,
    /// Comes back with the batch, not with its webhook; 16 pairs at most.
    pub metadata: BTreeMap<String, String>,
}

impl Client {
    /// Starts a batch. Sent once, whatever happens; after an unknown outcome
    /// [`Client::find_batch`] tells.
    ///
    /// # Errors
    /// Sorted by whether it may have been started.
    pub async fn create_batch(&self, new: &NewBatch) -> Result<Fetched, CreateError> {
        let NewBatch { input_file_id, endpoint, metadata } = new;
        let asked = json!({"input_file_id": input_file_id, "endpoint": endpoint,
            "completion_window": "24h", "metadata": metadata});
        let request = self
            .http
            .post(format!("{}/batches", self.base_url))
            .header(CONTENT_TYPE, "application/json")
            .body(asked.to_string());
        Ok(self.fetch(request, None, read_batch).await?)
    }

    /// The newest batch whose metadata has this pair, among those made since this
    /// time (Unix seconds; ten minutes before it count too, as clocks differ).
    ///
    /// # Errors
    /// Anything of [`OpenAiError`] but `Settings`. None is only said when the
    /// list was read to its end or to that time.
    pub async fn find_batch(&self, key: &str, value: &str, since_s: i64) -> Result<Option<Batch>, OpenAiError> {
        let since_s = since_s.saturating_sub(CLOCKS_DIFFER_S);
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let Page { batches, last } = self.batches(after.as_deref()).await?;
            for batch in batches {
                if batch.metadata.get(key).is_some_and(|found| found == value) {
                    return Ok(Some(batch));
                }
                if batch.created_at_s.is_some_and(|made| made < since_s) {
                    return Ok(None);
                }
                after = Some(batch.id);
            }
            if last {
                return Ok(None);
            }
        }
        Err(OpenAiError::Endless { pages: MAX_PAGES })
    }

    /// Cancels a batch; it takes up to ten minutes to end, and what is done by
    /// then is kept. Cancelling again is harmless.
    ///
    /// # Errors
    /// Anything of [`OpenAiError`] but `Settings`.
    pub async fn cancel_batch(&self, id: &str) -> Result<Fetched, OpenAiError> {
        let request = self.by_id(Method::POST, "batches", id, "/cancel")?;
        self.fetch(request, Some(id), read_batch).await
    }

    async fn batches(&self, after: Option<&str>) -> Result<Page, OpenAiError> {
        let mut url = format!("{}/batches?limit={PAGE}", self.base_url);
        if let Some(after) = after {
            if !is_path_safe(after) {
                return Err(OpenAiError::NoId);
            }
            url.push_str("&after=");
            url.push_str(after);
        }
        let answer = self.http.get(url).send().await.map_err(|error| unsent(&error))?;
        if !answer.status().is_success() {
            return Err(refusal(answer, false).await);
        }
        page(&body(answer, self.max_body_bytes).await?)
    }
}

/// A part of the list, the newest first.
#[derive(Debug, PartialEq)]
struct Page {
    batches: Vec<Batch>,
    last: bool,
}

fn page(bytes: &[u8]) -> Result<Page, OpenAiError> {
    let read: BatchesJson<'_> = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
    let last = read.data.is_empty() || read.has_more.is_some_and(|more| more.get() == "false");
    let batches: Vec<Batch> = read.data.into_iter().filter_map(|Object(batch)| batch_of(batch)).collect();
    if batches.is_empty() && !last {
        return Err(OpenAiError::NoId);
    }
    Ok(Page { batches, last })
}
