//! Tests of Frontdesk from the outside.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod article;
mod audit;
mod batch_histories;
mod canary;
mod cluster_support;
mod crash;
mod database_file;
mod fake_openai;
mod harness;
mod helpdesks;
mod interleavings;
mod invariants;
mod machine;
mod moving;
mod notify;
mod openai_batches;
mod openai_client;
mod openai_files;
mod openai_read;
mod postgres_connections;
mod postgres_support;
mod restore;
mod schema;
mod store_contract;
#[path = "../support/mod.rs"]
mod support;
mod takeover;
mod upgrade;
mod vectors;
mod worker;
mod workflow_page;
mod workflow_settings;
