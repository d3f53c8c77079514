//! Tests of Frontdesk from the outside.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod openai_client;
mod openai_read;
mod vectors;
