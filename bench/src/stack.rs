//! What is measured, behind two traits: anything that acknowledges a delivery, and a whole stack
//! that also works it into a ticket.

mod article;
mod bare;
mod frontdesk;
mod home;

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde::Deserialize;

pub use article::Article;
pub use bare::{Bare, Kind, serve};
pub use frontdesk::Frontdesk;
pub use home::{Counted, Home, Server, Sizes};

use crate::process::Component;
use crate::results::System;
use crate::wire::{self, Connection};

/// Something that answers deliveries with 200.
pub trait Receiver {
    /// Its column in the table.
    fn system(&self) -> System;
    /// Stops it, empties its store and makes fresh tickets.
    fn reset(&mut self) -> Result<()>;
    /// Starts what receives, and nothing that works; returns once it is ready.
    fn start_intake(&mut self) -> Result<()>;
    /// Where deliveries go.
    fn address(&self) -> SocketAddr;
    /// All addresses that deliveries may go to, where there are several.
    fn addresses(&self) -> Vec<SocketAddr> {
        vec![self.address()]
    }
    /// Its processes.
    fn components(&self) -> Vec<Component>;
    /// Stops its processes.
    fn stop(&mut self) -> Result<()>;
}

/// A stack that turns deliveries into notes on tickets.
pub trait Desk: Receiver {
    /// After `start_intake` and load: starts what works, and says when that process was started.
    fn start_workers(&mut self) -> Result<Instant>;
    /// Starts everything; returns once it is ready.
    fn start_all(&mut self) -> Result<()>;
    /// Starts what receives on an empty store and on a filled one: milliseconds until ready.
    fn start_up_times(&mut self) -> Result<Vec<(&'static str, f64)>>;
    /// How tickets are read.
    fn reader(&self) -> Reader;
    /// How many deliveries are done, by the stack's own count.
    fn processed(&mut self) -> Result<u64>;
    /// How far a batch has come.
    fn batch(&mut self, id: &str) -> Result<Step>;
    /// Lets a waiting batch be applied.
    fn approve(&mut self, id: &str, version: u64) -> Result<()>;
}

/// How far a batch has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is being read or applied, or not known yet.
    Working,
    /// Every line is entered; a person must say that it may be applied.
    Waiting {
        /// The version that person has seen.
        version: u64,
    },
    /// Every line is on its ticket.
    Applied {
        /// How many tickets were changed.
        tickets: u64,
    },
    /// It came to another end.
    Failed(String),
}

/// Reads tickets over the system's API.
#[derive(Clone)]
pub struct Reader {
    /// Where.
    pub address: SocketAddr,
    /// The path before the ticket's id.
    pub path: &'static str,
    /// The token, where one is needed.
    pub bearer: Option<String>,
    /// Who writes the note.
    pub author: &'static str,
}

#[derive(Deserialize)]
struct Ticket {
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    author: String,
}

impl Reader {
    /// How many notes are on the ticket.
    pub fn notes(&self, connection: &mut Connection, ticket: &str) -> Result<usize> {
        let path = format!("{}{ticket}", self.path);
        let request = wire::get(self.address, &path, self.bearer.as_deref());
        let ticket: Ticket = serde_json::from_slice(connection.expect_success(&request)?)?;
        let ours = ticket.messages.iter().filter(|message| message.author == self.author);
        Ok(ours.count())
    }

    /// Checks that each of some tickets, spread over all, has exactly one note.
    pub fn check_spread(&self, tickets: u64) -> Result<()> {
        let mut connection = Connection::new(self.address);
        for number in (1..=tickets).step_by((tickets / 200).max(1) as usize) {
            let ticket = format!("T-{number}");
            let notes = self.notes(&mut connection, &ticket)?;
            ensure!(notes == 1, "{ticket} has {notes} notes, not one");
        }
        Ok(())
    }
}
