//! What the tests inside the process and the tests of the real binary share.
#![allow(dead_code, reason = "each of them uses a part of it")]

pub mod cluster;
pub mod database;
mod owner;
pub mod pgbouncer;
pub mod postgres;
pub mod tls;
