//! Decides what happens to a fetched response. Nothing is written here.

use super::Worker;
use super::attempt::Halt;
use super::place::Placed;
use crate::domain::decision::Decision;
use crate::domain::failure::{Cause, Failure};
use crate::domain::hold::HoldReason;
use crate::domain::output::Reading;
use crate::domain::resource::{Response, Status};
use crate::store::{ClaimedJob, Settlement};

/// Codes of a failed response that may pass when the work is started anew; the
/// response itself never recovers. Source: OpenAI's OpenAPI document 2.3.0.
const PASSING: [&str; 3] = ["server_error", "rate_limit_exceeded", "vector_store_timeout"];

/// What happens to a result.
pub(super) enum Decided {
    /// It is to be carried out.
    Do(Decision),
    /// There is nothing to carry out on the ticket.
    End(Settlement),
}

impl Worker {
    /// Endings that nobody can use are failures, or are started once more;
    /// everything else is applied or waits for a person.
    pub(super) fn decide(&self, job: &ClaimedJob, response: &Response, placed: &Placed<'_>) -> Result<Decided, Halt> {
        if let Some(line) = &job.line {
            return Ok(self.decide_line(line, response, placed));
        }
        if let Some(again) = self.start_again_if_passing(job, response, placed) {
            return Ok(Decided::End(again));
        }
        must_be_usable(response)?;
        let seen = placed.placement.as_ref().and_then(|placement| placement.ticket_revision);
        Ok(Decided::Do(self.decide_response(response, placed, seen)))
    }

    /// Once only: what was started in place of failed work and fails as well is
    /// for a person.
    fn start_again_if_passing(&self, job: &ClaimedJob, response: &Response, placed: &Placed<'_>) -> Option<Settlement> {
        let code = response.error_code.as_deref().filter(|_| response.status == Status::Failed)?;
        let placement = placed.placement.as_ref().filter(|placement| placement.retry_of.is_none())?;
        let (_, workflow) = placed.target.as_ref().ok()?;
        let passing = PASSING.contains(&code) && self.policy.resubmits(&workflow.name);
        passing.then(|| self.start_again(job, placement, code))
    }

    pub(super) fn decide_response(&self, response: &Response, placed: &Placed<'_>, seen: Option<i64>) -> Decision {
        let output = || {
            Some(response.texts.iter().map(|text| text.body.as_str()).collect::<Vec<_>>().join("\n\n"))
                .filter(|text| !text.is_empty())
        };
        let (ticket, workflow) = match &placed.target {
            Ok(target) => target,
            Err(why) => {
                let hold = self.policy.hold(HoldReason::Unplaced, why.clone(), None, None, output());
                return Decision::Hold(hold);
            }
        };
        match workflow.read(response) {
            Reading::Clean(proposal) => self.policy.decide(&workflow.name, proposal, ticket, seen),
            Reading::Unclean { reason, detail } => {
                Decision::Hold(self.policy.hold(reason, detail, Some(&workflow.name), Some(ticket), output()))
            }
        }
    }
}

fn must_be_usable(response: &Response) -> Result<(), Failure> {
    match &response.status {
        Status::Failed => {
            let code = response.error_code.as_deref().unwrap_or("no code");
            Err(Failure::last(Cause::ResourceFailed, format!("OpenAI ended it as failed ({})", code_only(code))))
        }
        Status::Cancelled => Err(Failure::last(Cause::ResourceCancelled, "cancelled at OpenAI")),
        _ => Ok(()),
    }
}

/// OpenAI's codes are an open list: shown only as the plain words they should be.
pub(super) fn code_only(code: &str) -> String {
    code.chars().take(64).map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '?' }).collect()
}
