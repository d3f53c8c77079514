//! How every helpdesk outside is written to, so that each effect is there once:
//! the intent is in our database first; after an unknown outcome the ticket is
//! looked at before anything is written again; after a change of fields it is
//! read back.

use std::sync::Arc;

use super::connector::{Capabilities, Checked, Connector, Drafts, Patch, Sought, Write};
use super::heard::{Happening, Heard, NotHeard, Told};
use super::{HelpdeskError, text};
use crate::domain::effect::Effect;
use crate::domain::ticket::Ticket;

/// Their clock and ours may differ by this much, in ms.
const CLOCKS_MS: i64 = 120_000;

/// A helpdesk outside.
#[derive(Clone)]
pub struct Outside {
    connector: Arc<dyn Connector>,
}

impl Outside {
    /// The one that this speaks to.
    #[must_use]
    pub fn new(connector: Arc<dyn Connector>) -> Outside {
        Outside { connector }
    }

    /// What it offers.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.connector.capabilities()
    }

    /// What the helpdesk tells by a webhook, if it was the helpdesk.
    ///
    /// # Errors
    /// Why it is not believed, or not understood.
    pub fn heard(&self, told: &Told<'_>) -> Result<Heard, NotHeard> {
        self.connector.heard(told)
    }

    /// What has happened since then.
    ///
    /// # Errors
    /// Why it could not be read; [`HelpdeskError::NotOffered`] where nobody need ask.
    pub async fn happened(&self, since_ms: i64) -> Result<Vec<Happening>, HelpdeskError> {
        self.connector.happened(since_ms).await
    }

    pub(super) async fn ticket(&self, id: &str) -> Result<Ticket, HelpdeskError> {
        self.connector.ticket(id).await
    }

    /// Fields bear no mark: those that are as they should be count as written.
    pub(super) async fn find(
        &self,
        ticket_id: &str,
        reference: &str,
        effect: &Effect,
        since_ms: i64,
    ) -> Result<Option<String>, HelpdeskError> {
        match Patch::of(effect) {
            Some(patch) => {
                let lacks = self.connector.lacks(ticket_id, &patch).await?;
                Ok(lacks.is_none().then(|| reference.to_owned()))
            }
            None => {
                let reply = match effect {
                    Effect::Reply(reply) => Some(reply.text()),
                    _ => None,
                };
                let draft = match effect {
                    Effect::Draft { text } => Some(text.as_str()),
                    _ => None,
                };
                let sought = Sought { reference, reply, draft, since_ms: since_ms - CLOCKS_MS };
                self.connector.find(ticket_id, sought).await
            }
        }
    }

    pub(super) async fn write(
        &self,
        ticket_id: &str,
        reference: &str,
        effect: &Effect,
    ) -> Result<String, HelpdeskError> {
        let write = self.as_write(reference, effect)?;
        if let Write::Set(patch) = write {
            let external_id = self.connector.write(ticket_id, Write::Set(patch.clone())).await?;
            return self.must_have(ticket_id, &patch).await.map(|()| external_id);
        }
        self.connector.write(ticket_id, write).await
    }

    /// A note and fields, in one change, read back.
    pub(super) async fn write_together(
        &self,
        ticket_id: &str,
        reference: &str,
        note: &Effect,
        set: &Effect,
    ) -> Result<String, HelpdeskError> {
        let (Write::Note { text, reference }, Some(patch)) = (self.as_write(reference, note)?, Patch::of(set)) else {
            return Err(HelpdeskError::NotOffered("these two in one change"));
        };
        let write = Write::NoteAndSet { text, reference, patch: patch.clone() };
        let external_id = self.connector.write(ticket_id, write).await?;
        self.must_have(ticket_id, &patch).await?;
        Ok(external_id)
    }

    /// A 200 is no proof.
    async fn must_have(&self, ticket_id: &str, patch: &Patch) -> Result<(), HelpdeskError> {
        match self.connector.lacks(ticket_id, patch).await? {
            None => Ok(()),
            Some(part) => Err(HelpdeskError::Refused(format!("it took the change, and {part} is as it was"))),
        }
    }

    pub(super) async fn withdraw(&self, ticket_id: &str, reference: &str, text: &str) -> Result<(), HelpdeskError> {
        self.connector.withdraw(ticket_id, reference, text).await
    }

    /// Looks whether everything works: credentials, names, and on a ticket a note
    /// that is written, found again and, where that can be done, removed.
    pub async fn check(&self, ticket: Option<&str>, reference: &str, now_ms: i64) -> Vec<Checked> {
        let mut checked = self.connector.examine(ticket).await;
        if let Some(id) = ticket {
            checked.extend(self.check_on(id, reference, now_ms).await);
        }
        checked
    }

    async fn check_on(&self, id: &str, reference: &str, now_ms: i64) -> Vec<Checked> {
        let mut checked = Vec::new();
        let read = self.connector.ticket(id).await;
        let said = |ticket: Ticket| format!("{} messages, in {}", ticket.messages.len(), ticket.queue);
        let is_read = read.is_ok();
        checked.push(Checked::of(format!("reading ticket {id}"), read.map(said)));
        if !is_read || !self.capabilities().notes {
            return checked;
        }
        let text = text::marked("A test of Frontdesk. It can be deleted.", reference);
        let written = self.connector.write(id, Write::Note { text, reference }).await;
        let external_id = written.as_ref().ok().cloned();
        checked.push(Checked::of("writing a note that only the team sees", written));
        let Some(external_id) = external_id else { return checked };
        let sought = Sought { reference, reply: None, draft: None, since_ms: now_ms - CLOCKS_MS };
        let found = match self.connector.find(id, sought).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err("it is not there, or not by our user: look at helpdesk.user, and at the clocks".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        checked.push(Checked::of("finding it again by its mark", found));
        checked.push(match self.connector.remove(id, &external_id).await {
            Err(HelpdeskError::NotOffered(_)) => {
                Checked::of("removing it", Ok::<_, String>("this helpdesk removes nothing: delete it by hand"))
            }
            removed => Checked::of("removing it", removed.map(|()| "done")),
        });
        checked
    }

    /// An effect as this helpdesk can have it.
    fn as_write<'a>(&self, reference: &'a str, effect: &'a Effect) -> Result<Write<'a>, HelpdeskError> {
        let offers = self.capabilities();
        let note = |said: &str| match offers.notes {
            true => Ok(Write::Note { text: text::marked(said, reference), reference }),
            false => Err(HelpdeskError::NotOffered("notes that only the team sees")),
        };
        match effect {
            Effect::Note { text } => note(text),
            Effect::Draft { text } if offers.drafts == Drafts::AsNote => note(&text::draft_as_note(text)),
            Effect::Draft { text } => Ok(Write::Draft { text, reference }),
            Effect::Reply(reply) => Ok(Write::Reply { text: reply.text(), reference }),
            Effect::Attachment { name, text } if offers.files => Ok(Write::File {
                name,
                content: text,
                text: text::marked(&format!("Attached: {name}"), reference),
                reference,
            }),
            Effect::Attachment { name, text } => note(&format!("{name}\n\n{text}")),
            Effect::Route(_) | Effect::Fields { .. } => Ok(Write::Set(Patch::of(effect).unwrap_or_default())),
            Effect::Start { .. } => Err(HelpdeskError::NotOffered("starting work")),
        }
    }
}
