//! A few lines of a batch as a person reads them before deciding: what each
//! proposes, computed from its kept result. Nothing is stored.

use super::Trial;
use crate::domain::output::Reading;
use crate::domain::ticket::Ticket;
use crate::openai;
use crate::store::{Batch, DeskTicket, Line, Store, StoreError};

/// A line of a batch, and what it would change.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// The line.
    pub line: Line,
    /// What would be written or proposed, as slot and text.
    pub proposed: Vec<(String, String)>,
    /// As [`Tried::outcome`](super::Tried::outcome); none when its result cannot be read any more.
    pub would: Option<&'static str>,
    /// Why a person would be asked, or why it cannot be read.
    pub detail: Option<String>,
}

impl Trial {
    /// Some usable lines from all over a batch, with what each proposes for its
    /// ticket as that is now.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn sample(&self, store: &Store, batch: &Batch, limit: usize) -> Result<Vec<Sampled>, StoreError> {
        let mut sampled = Vec::new();
        for (line, raw) in store.batch_sample(batch.id.clone(), limit).await? {
            let ticket = match &line.ticket_id {
                Some(id) => store.ticket(id.clone()).await?.map(DeskTicket::for_deciding),
                None => None,
            };
            sampled.push(self.sampled(&batch.workflow, line, raw.as_deref(), ticket.as_ref()));
        }
        Ok(sampled)
    }

    fn sampled(&self, workflow: &str, line: Line, raw: Option<&str>, ticket: Option<&Ticket>) -> Sampled {
        let unread =
            |line, why: &str| Sampled { line, proposed: Vec::new(), would: None, detail: Some(why.to_owned()) };
        let Some(workflow) = self.workflows.named(workflow) else {
            return unread(line, "its workflow is not in the settings any more");
        };
        let Some(raw) = raw else { return unread(line, "its result has been erased") };
        let Ok(response) = openai::read::response(raw) else { return unread(line, "its result cannot be read") };
        let Some(ticket) = ticket else { return unread(line, "the helpdesk has no such ticket") };
        match workflow.read(&response) {
            Reading::Unclean { reason, detail } => {
                let words = response.texts.into_iter().map(|text| ("output".to_owned(), text.body)).collect();
                Sampled { line, proposed: words, would: Some("review"), detail: Some(format!("{reason}: {detail}")) }
            }
            Reading::Clean(proposal) => {
                let tried = self.judge(workflow, ticket, &proposal, None);
                let effects =
                    proposal.effects.iter().map(|effect| (effect.slot().word().to_owned(), effect.in_words()));
                let reply = proposal.reply.iter().map(|text| ("reply".to_owned(), text.clone()));
                Sampled {
                    proposed: effects.chain(reply).collect(),
                    would: Some(tried.outcome),
                    detail: tried.reason.map(|reason| reason.code().to_owned()),
                    line,
                }
            }
        }
    }
}
