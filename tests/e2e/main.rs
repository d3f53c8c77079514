//! Frontdesk as the outside sees it: over its port, through its API, by its
//! command line, and killed in the middle of its work.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod alerts;
mod api;
mod api_tickets;
mod api_work;
mod article;
mod batch_api;
mod batch_cli;
mod batches;
mod cli;
mod cli_refusals;
mod cli_serve;
mod desk;
mod doctor;
mod events;
mod faults;
mod front_desk;
mod front_limits;
mod front_stop;
mod helpdesk;
mod helpdesk_kills;
mod insights;
mod kill;
mod late_work;
mod moving;
mod openapi;
mod operators;
mod policy;
mod privacy;
mod process;
mod queue;
mod records;
mod restore;
mod reviews;
mod sign_in;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod wire;
