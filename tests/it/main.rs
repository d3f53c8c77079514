//! Tests of Frontdesk from the outside.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod crash;
mod fake_openai;
mod harness;
mod invariants;
mod openai_client;
mod openai_read;
mod vectors;
mod worker;
