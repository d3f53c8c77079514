//! Guard rails: what must stay true of the repository itself. Each rule is one
//! that a reader could not see to be broken by looking at a single file.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the report")]

mod commands;
mod files;
mod imports;
mod licences;
mod lists;
mod markdown;
mod permission;
mod routes;
mod tree;
