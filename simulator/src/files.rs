//! Uploaded files, and those that batches write.

use crate::plan::Reads;
use crate::state::{Origin, State};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

/// One file.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) id: String,
    pub(crate) purpose: String,
    pub(crate) content: Bytes,
    pub(crate) reads: Reads,
    name: String,
    created_at: i64,
    /// So many seconds after its making it would go away; here it stays.
    expires_after_s: Option<i64>,
}

impl File {
    pub(crate) fn object(&self) -> Value {
        json!({
            "id": self.id,
            "object": "file",
            "bytes": self.content.len(),
            "created_at": self.created_at,
            "expires_at": self.expires_after_s.map(|after| self.created_at + after),
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": null,
        })
    }
}

/// Keeps a file under an id that follows from its origin.
pub(crate) fn keep(
    state: &State,
    origin: &Origin,
    purpose: &str,
    name: &str,
    content: Bytes,
    expires_after_s: Option<i64>,
    reads: impl Fn() -> Reads,
) -> Arc<File> {
    state.files.put(content.len(), |turn| {
        let id = state.id("file-", origin, turn);
        let file = File {
            id: id.clone(),
            purpose: purpose.to_owned(),
            content: content.clone(),
            reads: reads(),
            name: name.to_owned(),
            created_at: crate::clock::now_s(),
            expires_after_s,
        };
        (id, file)
    })
}
