//! `/v1/files`.

use super::error::ApiError;
use super::{clip, read};
use crate::files::{File, keep};
use crate::plan::Reads;
use crate::state::State;
use axum::body::Bytes;
use axum::extract::multipart::{Field, MultipartRejection};
use axum::extract::{DefaultBodyLimit, Multipart, Path, State as Shared};
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use bytes::BytesMut;
use serde_json::json;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The largest file: the Batch API takes no larger ones.
const MOST_BYTES: usize = 200_000_000;

/// The longest field besides the file.
const MOST_TEXT: usize = 100;

/// How long a file may be asked to be kept, in seconds.
const KEPT_S: RangeInclusive<i64> = 3_600..=2_592_000;

type Answer = Result<Response, ApiError>;

/// Uploading has a limit of its own.
pub(super) fn upload_route() -> MethodRouter<Arc<State>> {
    post(upload).layer(DefaultBodyLimit::max(MOST_BYTES + (1 << 20)))
}

async fn upload(Shared(state): Shared<Arc<State>>, form: Result<Multipart, MultipartRejection>) -> Answer {
    let mut form = form.map_err(|_| ApiError::invalid("Expected multipart/form-data."))?;
    let (mut purpose, mut content, mut anchor, mut seconds) = (None, None, None, None);
    while let Some(mut field) = form.next_field().await.map_err(|_| unreadable())? {
        match field.name() {
            Some("purpose") => purpose = Some(text(&mut field).await?),
            Some("expires_after[anchor]") => anchor = Some(text(&mut field).await?),
            Some("expires_after[seconds]") => seconds = Some(text(&mut field).await?),
            Some("file") => {
                let name = clip(field.file_name().unwrap_or("file"));
                content = Some((name, collect(&mut field, MOST_BYTES).await?));
            }
            _ => {}
        }
    }
    let purpose = purpose.ok_or_else(|| ApiError::missing("purpose"))?;
    let (name, content) = content.ok_or_else(|| ApiError::missing("file"))?;
    let expires_after = expires_after(anchor.as_deref(), seconds.as_deref())?;
    let origin = state.origin(&content);
    let file = keep(&state, &origin, &purpose, &name, content, expires_after, Reads::default);
    Ok(read::json(file.object().to_string()))
}

/// Both or neither: the anchor is the making of the file, and the seconds count from there.
fn expires_after(anchor: Option<&str>, seconds: Option<&str>) -> Result<Option<i64>, ApiError> {
    let wrong = |param| ApiError::invalid(format!("Invalid value for '{param}'.")).param(param).code("invalid_value");
    match (anchor, seconds) {
        (None, None) => Ok(None),
        (Some("created_at"), seconds) => {
            let seconds = seconds.and_then(|seconds| seconds.parse().ok()).filter(|seconds| KEPT_S.contains(seconds));
            seconds.map(Some).ok_or_else(|| wrong("expires_after[seconds]"))
        }
        _ => Err(wrong("expires_after[anchor]")),
    }
}

fn unreadable() -> ApiError {
    ApiError::invalid("The form could not be read to its end.")
}

async fn text(field: &mut Field<'_>) -> Result<String, ApiError> {
    let bytes = collect(field, MOST_TEXT).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn collect(field: &mut Field<'_>, most: usize) -> Result<Bytes, ApiError> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = field.chunk().await.map_err(|_| unreadable())? {
        if bytes.len() + chunk.len() > most {
            return Err(ApiError::too_large(format!("At most {most} bytes are allowed here.")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn find(state: &State, id: &str) -> Result<Arc<File>, ApiError> {
    let unknown = || ApiError::unknown(format!("No such File object: {}", clip(id))).param("id");
    state.files.get(id).ok_or_else(unknown)
}

pub(super) async fn retrieve(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Answer {
    Ok(read::json(find(&state, &id)?.object().to_string()))
}

pub(super) async fn content(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Answer {
    let file = find(&state, &id)?;
    let fault = file.reads.next(true);
    read::answer(fault, "application/octet-stream", file.content.clone()).await
}

pub(super) async fn delete(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Answer {
    find(&state, &id)?;
    state.files.remove(&id);
    Ok(read::json(json!({"id": id, "object": "file", "deleted": true}).to_string()))
}
