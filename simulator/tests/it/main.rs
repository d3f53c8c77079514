//! The simulator as its callers and receivers see it.

#![allow(clippy::unwrap_used, missing_docs, reason = "in tests a panic is the report, and names are sentences")]

mod batches;
mod catcher;
mod control;
mod faults;
mod responses;
mod webhooks;
