//! Tests of Frontdesk from the outside.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod vectors;
