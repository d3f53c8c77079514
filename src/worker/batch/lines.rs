//! What one line of OpenAI's files means, as it is entered.

use crate::domain::batch::{change_set, ticket_of};
use crate::domain::decision::Decision;
use crate::domain::hold::HoldReason;
use crate::domain::resource::{Response, Status};
use crate::domain::submission::Placement;
use crate::domain::ticket::{Ticket, valid_ticket_id};
use crate::helpdesk::HelpdeskError;
use crate::openai::Line;
use crate::store::{LineEntry, LineFacts, LineRead, Part};
use crate::worker::Worker;
use crate::worker::attempt::Halt;
use crate::worker::decide::Decided;
use crate::worker::place::Placed;

/// What the lines of one part have in common.
pub(super) struct Judge {
    pub(super) part: Part,
    pub(super) workflow: String,
    /// Another program started it.
    pub(super) elsewhere: bool,
    pub(super) made_at_ms: Option<i64>,
}

/// Reasons are counted by name: a file of odd numbers must not make a row of each.
fn api_error(status: i64) -> String {
    match status {
        0 | 100..=599 => format!("api_error_{status}"),
        _ => "api_error_other".to_owned(),
    }
}

impl Worker {
    /// What a line says and what would become of it now.
    pub(super) async fn judge(&self, judge: &Judge, found: String, line: Line) -> Result<LineEntry, Halt> {
        let custom_id = line.custom_id().map(str::to_owned);
        let read = match line {
            Line::Unreadable { why, custom_id: None } => LineRead::Unreadable { reason: why },
            // Whose line it is can be told: that one has failed.
            Line::Unreadable { why, .. } => LineRead::Failed { reason: why.to_owned() },
            Line::Failed { status, .. } => LineRead::Failed { reason: api_error(status) },
            Line::NotExecuted { .. } => LineRead::Failed { reason: "not_executed".to_owned() },
            Line::Answered { custom_id, body, response } => {
                self.judge_answer(judge, &custom_id, body, &response).await?
            }
        };
        // A thousand lines may come in one piece; others want to work as well.
        tokio::task::yield_now().await;
        Ok(LineEntry { found, custom_id, read })
    }

    async fn judge_answer(
        &self,
        judge: &Judge,
        custom_id: &str,
        raw: String,
        response: &Response,
    ) -> Result<LineRead, Halt> {
        if matches!(response.status, Status::Failed | Status::Cancelled | Status::Expired) {
            return Ok(LineRead::Failed { reason: "response_failed".to_owned() });
        }
        let Some(facts) = self.facts_of(judge, custom_id).await? else {
            return Ok(LineRead::Unknown { reason: "not_asked_for" });
        };
        let ticket_id = facts.placement.ticket_id.clone();
        if !valid_ticket_id(&ticket_id) {
            return Ok(LineRead::Unknown { reason: "no_ticket_id" });
        }
        let ticket = match self.helpdesk.ticket(&ticket_id).await {
            Ok(ticket) => ticket,
            Err(HelpdeskError::NoTicket) => return Ok(LineRead::Unknown { reason: "no_ticket" }),
            Err(error) => return Err(error.into()),
        };
        let (held, labels) = self.foresee(&facts, response, ticket);
        Ok(LineRead::Usable { ticket_id, raw, held, labels })
    }

    async fn facts_of(&self, judge: &Judge, custom_id: &str) -> Result<Option<LineFacts>, Halt> {
        if !judge.elsewhere {
            return Ok(self.store.line_facts(judge.part.clone(), custom_id.to_owned()).await?);
        }
        let placement = Placement {
            ticket_id: ticket_of(custom_id).to_owned(),
            workflow: judge.workflow.clone(),
            submission_id: None,
            ticket_revision: None,
            made_at_ms: judge.made_at_ms,
            prompt_version: None,
            retry_of: None,
        };
        Ok(Some(LineFacts { placement, is_ambiguous: false, is_called_off: false }))
    }

    /// Whether a person would have to look, and what would change if not.
    fn foresee(&self, facts: &LineFacts, response: &Response, ticket: Ticket) -> (Option<HoldReason>, Vec<String>) {
        let placement = Some(facts.placement.clone());
        let target = match self.workflows.named(&facts.placement.workflow) {
            Some(workflow) => Ok((ticket, workflow)),
            None => Err("the workflow is not there any more".to_owned()),
        };
        match self.decide_line(facts, response, &Placed { placement, target }) {
            Decided::Do(Decision::Apply(effects)) => (None, change_set::labels(&effects)),
            Decided::Do(Decision::Hold(hold)) => (Some(hold.reason), Vec::new()),
            Decided::End(_) => (Some(HoldReason::ChangedSince), Vec::new()),
        }
    }
}
