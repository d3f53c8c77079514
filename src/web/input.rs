//! Reading what comes in: bodies, query strings and ids, each with an error
//! that says what to change.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Query, Request};
use axum::http::request::Parts;
use bytes::Bytes;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use super::problem::Problem;
use crate::store::{PageRequest, QueueFilter};

/// A JSON body of a known shape.
pub(super) struct Input<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Input<T>, Problem> {
        parse(&read(request, state).await?)
    }
}

/// No body at all is none.
impl<S: Send + Sync, T: DeserializeOwned> OptionalFromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Input<T>>, Problem> {
        let body = read(request, state).await?;
        if body.trim_ascii().is_empty() { Ok(None) } else { parse(&body).map(Some) }
    }
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(error) if error.status() == 413 => {
            Problem::new(413, "Too large", "the body is larger than what is taken here")
        }
        _ => Problem::invalid("the body could not be read"),
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<Input<T>, Problem> {
    // A list would be taken for the fields in their order.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::invalid("the body must be a JSON object"));
    }
    serde_json::from_slice(body).map(Input).map_err(|error| Problem::invalid(format!("the body: {error}")))
}

/// The query string of a list. An empty value, as a form sends it for a field
/// that nobody filled in, is none.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ListQuery {
    #[serde(deserialize_with = "given")]
    limit: Option<usize>,
    #[serde(deserialize_with = "given")]
    cursor: Option<String>,
    #[serde(deserialize_with = "given")]
    pub(super) status: Option<String>,
    #[serde(deserialize_with = "given")]
    pub(super) state: Option<String>,
    #[serde(rename = "type", deserialize_with = "given")]
    pub(super) kind: Option<String>,
    #[serde(deserialize_with = "given")]
    pub(super) q: Option<String>,
    #[serde(deserialize_with = "given")]
    pub(super) ticket: Option<String>,
    #[serde(deserialize_with = "given")]
    pub(super) reason: Option<String>,
    #[serde(deserialize_with = "given")]
    pub(super) subject: Option<String>,
    #[serde(deserialize_with = "given")]
    pub(super) actor: Option<String>,
    #[serde(deserialize_with = "given")]
    pub(super) outcome: Option<String>,
    #[serde(deserialize_with = "given")]
    pub(super) hours: Option<i64>,
    #[serde(deserialize_with = "given")]
    pub(super) days: Option<i64>,
    #[serde(deserialize_with = "given")]
    pub(super) what: Option<String>,
    #[serde(deserialize_with = "given")]
    pub(super) topic: Option<String>,
    #[serde(deserialize_with = "given")]
    pub(super) workflow: Option<String>,
    #[serde(deserialize_with = "given")]
    pub(super) claimed_by: Option<String>,
}

fn given<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(value: D) -> Result<Option<T>, D::Error> {
    match String::deserialize(value)?.as_str() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(D::Error::custom),
    }
}

impl ListQuery {
    /// How many are asked for.
    pub(super) fn limit_or(&self, usual: usize, most: usize) -> Result<usize, Problem> {
        let limit = self.limit.unwrap_or(usual);
        if !(1..=most).contains(&limit) {
            return Err(Problem::invalid(format!("limit must be between 1 and {most}")));
        }
        Ok(limit)
    }

    /// Which of the reviews that wait are asked for.
    pub(super) fn queue(self) -> Result<QueueFilter, Problem> {
        if self.ticket.is_some() {
            return Err(Problem::invalid("state=waiting takes reason, topic, workflow and claimed_by, not ticket"));
        }
        let ListQuery { reason, topic, workflow, claimed_by, .. } = self;
        Ok(QueueFilter { reason, topic, workflow, claimed_by })
    }

    /// Which part of the list is asked for.
    pub(super) fn page(&self) -> Result<PageRequest, Problem> {
        let limit = self.limit_or(PageRequest::DEFAULT_LIMIT, PageRequest::MAX_LIMIT)?;
        let cursor = match &self.cursor {
            None => None,
            Some(text) => match text.parse() {
                Ok(number) if number >= 0 => Some(number),
                _ => return Err(Problem::invalid("cursor must be a next_cursor of this list")),
            },
        };
        Ok(PageRequest { limit, cursor })
    }
}

/// A query string, with a problem document when it cannot be read.
pub(super) struct Asked(pub(super) ListQuery);

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Asked, Problem> {
        let query = Query::<ListQuery>::from_request_parts(parts, state).await;
        query
            .map(|Query(query)| Asked(query))
            .map_err(|error| Problem::invalid(format!("the query: {}", error.body_text())))
    }
}
