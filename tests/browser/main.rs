//! The console in a real browser: what people see, and that they can work with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, missing_docs, dead_code)]

mod batches;
mod browser;
#[path = "../e2e/desk.rs"]
mod desk;
mod looks;
mod markup;
mod place;
mod queue;
mod sign_in;
#[path = "../support/mod.rs"]
mod support;
#[path = "../e2e/wire.rs"]
mod wire;
