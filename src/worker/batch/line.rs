//! What happens to one line. The same is asked when a batch is read, for the
//! preview, and when the line is applied, on the ticket as it is then.

use crate::domain::batch::Changed;
use crate::domain::decision::Decision;
use crate::domain::hold::HoldReason;
use crate::domain::resource::Response;
use crate::domain::ticket::Ticket;
use crate::store::{CHANGED_SINCE, LineFacts, Settlement};
use crate::worker::Worker;
use crate::worker::decide::Decided;
use crate::worker::place::Placed;

impl Worker {
    /// A line goes the way of every response, but for what only a batch knows.
    pub(in crate::worker) fn decide_line(&self, line: &LineFacts, response: &Response, placed: &Placed<'_>) -> Decided {
        let (ticket, workflow) = match &placed.target {
            Ok((ticket, workflow)) => (ticket, workflow),
            Err(_) => return Decided::Do(self.decide_response(response, placed, None)),
        };
        if line.is_ambiguous {
            let texts = response.texts.iter().map(|text| text.body.as_str()).collect::<Vec<_>>().join("\n\n");
            let detail = "OpenAI's files hold two different results for it".to_owned();
            let reason = HoldReason::AmbiguousOutput;
            let hold = self.policy.hold(reason, detail, Some(&workflow.name), Some(ticket), Some(texts));
            return Decided::Do(Decision::Hold(hold));
        }
        let has_changed = has_changed(line, ticket);
        if has_changed && self.settings.batch.changed == Changed::Skip {
            return Decided::End(Settlement::Ignored { reason: CHANGED_SINCE.to_owned() });
        }
        // Of another program's work only its time is known: any revision before this one says the same.
        let seen = if has_changed { Some(ticket.revision - 1) } else { line.placement.ticket_revision };
        Decided::Do(self.decide_response(response, placed, seen))
    }
}

/// Whether a person has changed the ticket since the batch was made. OpenAI gives
/// the second in which it was made, so a change within it does not count.
fn has_changed(line: &LineFacts, ticket: &Ticket) -> bool {
    let place = &line.placement;
    match (place.ticket_revision, place.made_at_ms, ticket.changed_at_ms) {
        (Some(seen), _, _) => ticket.revision > seen,
        (None, Some(made_at_ms), Some(changed_at_ms)) => changed_at_ms > made_at_ms + 999,
        _ => false,
    }
}
