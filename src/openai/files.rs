//! Files at OpenAI: what a batch reads, and what it writes. Neither is ever in
//! memory as a whole.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::TRANSFER_ENCODING;
use reqwest::multipart::{Form, Part};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use crate::domain::event::is_path_safe;

use super::client::{Client, body, refusal, unread, unsent};
use super::error::{CreateError, OpenAiError};
use super::read::unreadable;
use super::split::{RawLine, Splitter};
use super::types::FileJson;

/// So long OpenAI keeps an input file, in seconds: what is forgotten about there
/// goes away by itself. It is the most that OpenAI allows.
const KEPT_S: u32 = 2_592_000;

/// An upload that is slower than this, in bytes per second, is given up.
const SLOWEST_UPLOAD: u64 = 256 * 1024;

/// Reading one file may take so long, whoever is slow.
const LONGEST_DOWNLOAD: Duration = Duration::from_secs(3600);

/// How much is read from the disk at once, in bytes.
const UPLOAD_CHUNK: usize = 64 * 1024;

impl Client {
    /// Uploads this many bytes of a file, from its beginning, as the input of a
    /// batch, and returns OpenAI's id of it. Sent once, whatever happens; a copy
    /// of unknown outcome costs nothing and goes away after thirty days.
    ///
    /// # Errors
    /// Sorted by whether the file may be there.
    pub async fn upload_batch_file(&self, name: &str, mut file: File, bytes: u64) -> Result<String, CreateError> {
        file.rewind().await.map_err(|_| OpenAiError::OurFile)?;
        let stream = ReaderStream::with_capacity(file.take(bytes), UPLOAD_CHUNK);
        let part = Part::stream_with_length(reqwest::Body::wrap_stream(stream), bytes)
            .file_name(name.to_owned())
            .mime_str("application/jsonl")
            .map_err(|_| OpenAiError::Settings("the request cannot be built"))?;
        let form = Form::new()
            .text("purpose", "batch")
            .text("expires_after[anchor]", "created_at")
            .text("expires_after[seconds]", KEPT_S.to_string())
            .part("file", part);
        let request = self
            .transfers
            .post(format!("{}/files", self.base_url))
            .timeout(self.whole.saturating_add(time_to_upload(bytes)))
            .multipart(form);
        let answer = request.send().await.map_err(|error| unsent(&error))?;
        if !answer.status().is_success() {
            return Err(refusal(answer, false).await.into());
        }
        Ok(file_id(&body(answer, self.max_body_bytes).await?)?)
    }

    /// Deletes a file; one that is not there any more is deleted too.
    ///
    /// # Errors
    /// Anything of [`OpenAiError`] but `Settings`.
    pub async fn delete_file(&self, id: &str) -> Result<(), OpenAiError> {
        let request = self.by_id(Method::DELETE, "files", id, "")?;
        let answer = request.send().await.map_err(|error| unsent(&error))?;
        let status = answer.status();
        if !status.is_success() && status.as_u16() != 404 {
            return Err(refusal(answer, true).await);
        }
        Ok(())
    }

    /// Reads a file line by line.
    ///
    /// # Errors
    /// Anything of [`OpenAiError`] but `Settings`.
    pub async fn file_lines(&self, id: &str) -> Result<Lines, OpenAiError> {
        let url = self.url_by_id("files", id, "/content")?;
        let request = self.transfers.get(url).timeout(LONGEST_DOWNLOAD);
        let sent = tokio::time::timeout(self.whole, request.send()).await.map_err(|_| OpenAiError::TimedOut)?;
        let answer = sent.map_err(|error| unsent(&error))?;
        if !answer.status().is_success() {
            return Err(refusal(answer, true).await);
        }
        Ok(Lines::new(answer, self.max_body_bytes, self.wait))
    }
}

/// The client's limits are for short messages: its limit for a wait begins with
/// the request and does not see that an upload goes on, and its limit for the
/// whole would cut off a large file on a good line. So an upload gets this much
/// more time for its size, and the waits within it get no limit of their own.
fn time_to_upload(bytes: u64) -> Duration {
    Duration::from_secs(bytes.div_ceil(SLOWEST_UPLOAD))
}

fn file_id(bytes: &[u8]) -> Result<String, OpenAiError> {
    let read: FileJson<'_> = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
    read.id.into_string().filter(|id| is_path_safe(id)).ok_or(OpenAiError::NoId)
}

/// The lines of a file, as they arrive. At most one of them is in memory, and
/// the other side waits while we do.
pub struct Lines {
    answer: reqwest::Response,
    splitter: Splitter,
    /// Limit for each wait for bytes. Ours, because that of the HTTP client runs
    /// on while we work on a line.
    wait: Duration,
    /// Whether HTTP tells a file that has ended from one that was cut off.
    framed: bool,
    ended: bool,
    /// Why it cannot go on. After this error the connection would only look ended.
    broken: Option<OpenAiError>,
}

impl Lines {
    fn new(answer: reqwest::Response, limit_bytes: usize, wait: Duration) -> Lines {
        let framed = answer.content_length().is_some() || answer.headers().contains_key(TRANSFER_ENCODING);
        Lines { answer, splitter: Splitter::new(limit_bytes), wait, framed, ended: false, broken: None }
    }

    /// The next line that is not blank; none at the end of the file. To drop a
    /// call that still waits loses nothing.
    ///
    /// # Errors
    /// `Truncated` when the file is not whole, `TimedOut` when nothing more
    /// comes. An error repeats itself.
    pub async fn next(&mut self) -> Result<Option<RawLine<'_>>, OpenAiError> {
        while !self.splitter.advance() {
            match self.chunk().await? {
                Some(chunk) => self.splitter.feed(chunk),
                None => return self.last(),
            }
        }
        Ok(Some(self.splitter.line()))
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, OpenAiError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        if self.ended {
            return Ok(None);
        }
        let read = match tokio::time::timeout(self.wait, self.answer.chunk()).await {
            Ok(read) => read.map_err(|error| unread(&error)),
            Err(_) => Err(OpenAiError::TimedOut),
        };
        self.ended = matches!(read, Ok(None));
        self.broken = read.as_ref().err().cloned();
        read
    }

    fn last(&mut self) -> Result<Option<RawLine<'_>>, OpenAiError> {
        if !self.splitter.finish() {
            return Ok(None);
        }
        if !self.framed {
            self.broken = Some(OpenAiError::Truncated);
            return Err(OpenAiError::Truncated);
        }
        Ok(Some(self.splitter.line()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_for_an_upload_grows_with_its_size() {
        assert_eq!(time_to_upload(1), Duration::from_secs(1));
        assert_eq!(time_to_upload(200_000_000), Duration::from_secs(763));
    }

    #[test]
    fn the_id_of_a_file_must_be_one() {
        assert_eq!(file_id(br#"{"id":"file-a_1","object":"file"}"#).unwrap(), "file-a_1");
        for odd in [r#"{"id":"../x"}"#, r#"{"id":7}"#, "{}"] {
            assert_eq!(file_id(odd.as_bytes()), Err(OpenAiError::NoId), "{odd}");
        }
        assert!(matches!(file_id(b"<html>"), Err(OpenAiError::Unreadable { .. })));
    }
}
