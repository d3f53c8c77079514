//! A helpdesk as a test sees it: from the customer's side, the team's and ours.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::HeaderMap;
use frontdesk::clock::Clock;
use frontdesk::helpdesk::{Connector, Happened};

/// What the suite needs of a helpdesk besides its connector.
#[async_trait]
pub trait System: Send + Sync {
    /// Where it listens.
    fn url(&self) -> String;
    /// A connector that reaches it at `url`.
    fn connector(&self, url: &str, clock: Clock) -> Arc<dyn Connector>;
    /// A customer opens a ticket in the first queue.
    async fn ticket(&self, subject: &str, words: &str) -> String;
    async fn customer_writes(&self, id: &str, words: &str);
    async fn agent_notes(&self, id: &str, words: &str);
    /// Internal notes of our user.
    async fn notes(&self, id: &str) -> Vec<String>;
    /// What a customer was sent by our user.
    async fn replies(&self, id: &str) -> Vec<String>;
    /// Names and contents of files that our user has attached.
    async fn files(&self, id: &str) -> Vec<(String, String)>;
    /// Queue, priority in our word, and what customers are said to want.
    async fn route(&self, id: &str) -> (String, String, String);
    async fn tags(&self, id: &str) -> Vec<String>;
    /// Drafts that wait in the helpdesk itself; none where it has no drafts.
    async fn drafts(&self, _id: &str) -> Option<Vec<String>> {
        None
    }
    /// A person of the team writes a draft, or over the one there is.
    async fn agent_drafts(&self, _id: &str, _words: &str) {}
    /// The webhook of this, done by our own user or by somebody else, as it arrives;
    /// none when the helpdesk does not tell it. Signed with `standin::SECRET`.
    fn tells(&self, what: Happened, ticket: &str, by_us: bool, now_ms: i64) -> Option<(HeaderMap, String)>;
    /// What its webhooks are signed with.
    fn secret(&self) -> String {
        super::standin::SECRET.to_owned()
    }
    /// Whether its webhooks are signed, not only let in by a word.
    fn signs(&self) -> bool {
        true
    }
    /// Whether the time is part of what is signed.
    fn signs_times(&self) -> bool {
        true
    }
    /// An id that no ticket has.
    fn nowhere(&self) -> &'static str;
}
