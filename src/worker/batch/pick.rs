//! Which tickets become lines of a batch, and their requests, one after the
//! other: at most a page of ids and one request are in memory.

use std::collections::{HashSet, VecDeque};

use serde_json::json;

use super::build::Work;
use crate::domain::batch::{Filter, Select};
use crate::helpdesk::HelpdeskError;
use crate::store::{Building, NewLine};
use crate::worker::Worker;
use crate::worker::attempt::Halt;

/// What every line is sent to.
pub(super) const ENDPOINT: &str = "/v1/responses";

/// How many tickets are asked for at once.
const PAGE: usize = 200;

/// Bytes of a request that are taken for one token.
const BYTES_OF_A_TOKEN: i64 = 4;

/// A line that is ready to be written.
pub(super) struct Prepared {
    pub(super) line: NewLine,
    pub(super) text: Vec<u8>,
}

/// The tickets that are still to come, and what has been left out.
pub(super) struct Selection {
    batch_id: String,
    as_of_ms: i64,
    source: Source,
    is_filter: bool,
    page: VecDeque<String>,
    put_back: Option<Prepared>,
    /// How many lines there may still be.
    lines_left: i64,
    /// How many bytes.
    bytes_left: i64,
    no_ticket: i64,
    too_large: i64,
    elsewhere: i64,
    over_cap: i64,
    over_budget: i64,
}

enum Source {
    List(std::vec::IntoIter<String>),
    Desk { filter: Filter, after: Option<String> },
    End,
}

impl Selection {
    /// Everything that is wanted; what has a line by then is passed over.
    pub(super) fn of(building: &Building, batch_id: &str) -> Selection {
        let wanted = &building.wanted;
        let source = match &wanted.select {
            Select::Filter(filter) => Source::Desk { filter: filter.clone(), after: None },
            Select::Tickets(tickets) => {
                let mut seen = HashSet::with_capacity(tickets.len());
                let once: Vec<String> = tickets.iter().filter(|id| seen.insert(id.as_str())).cloned().collect();
                Source::List(once.into_iter())
            }
        };
        let of_uploaded = |size: fn(&crate::store::PartToStart) -> i64| building.uploaded.iter().map(size).sum::<i64>();
        let budget = wanted.budget_tokens.map_or(i64::MAX, |tokens| tokens.saturating_mul(BYTES_OF_A_TOKEN));
        Selection {
            batch_id: batch_id.to_owned(),
            as_of_ms: building.created_at_ms,
            source,
            is_filter: matches!(wanted.select, Select::Filter(_)),
            page: VecDeque::new(),
            put_back: None,
            lines_left: wanted.cap.unwrap_or(i64::MAX) - of_uploaded(|part| part.lines),
            bytes_left: budget - of_uploaded(|part| part.bytes),
            no_ticket: 0,
            too_large: 0,
            elsewhere: 0,
            over_cap: 0,
            over_budget: 0,
        }
    }

    /// Gives a line back that does not fit into the part any more.
    pub(super) fn put_back(&mut self, prepared: Prepared) {
        self.put_back = Some(prepared);
    }

    /// The line that was given last is larger than a whole file may be.
    pub(super) fn leave_too_large(&mut self, size: i64) {
        self.too_large += 1;
        self.lines_left += 1;
        self.bytes_left += size;
    }

    /// How many tickets were left out, by the names they are counted under.
    pub(super) fn left_out(&self) -> Vec<(&'static str, i64)> {
        vec![
            ("left_out/no_ticket", self.no_ticket),
            ("left_out/too_large", self.too_large),
            ("left_out/other_batch", self.elsewhere),
            ("left_out/cap", self.over_cap),
            ("left_out/budget", self.over_budget),
        ]
    }
}

impl Worker {
    /// The next line; none when there is no more, or no more may be sent.
    pub(super) async fn next_line(&self, work: &Work<'_>, from: &mut Selection) -> Result<Option<Prepared>, Halt> {
        if let Some(prepared) = from.put_back.take() {
            return Ok(Some(prepared));
        }
        while let Some(id) = self.next_ticket(from).await? {
            if from.lines_left <= 0 {
                from.over_cap = self.count_rest(from).await?;
                return Ok(None);
            }
            let ticket = match self.helpdesk.ticket(&id).await {
                Ok(ticket) => ticket,
                Err(HelpdeskError::NoTicket) => {
                    from.no_ticket += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let line = NewLine { ticket_id: id, revision: ticket.revision, made_at_ms: self.clock.now_ms() };
            let body = self.submitter.batch_request(work.workflow, &ticket);
            let request = json!({"custom_id": line.ticket_id, "method": "POST", "url": ENDPOINT, "body": body});
            let mut text = request.to_string().into_bytes();
            text.push(b'\n');
            let size = i64::try_from(text.len()).unwrap_or(i64::MAX);
            if size > from.bytes_left {
                from.over_budget = self.count_rest(from).await?;
                return Ok(None);
            }
            from.lines_left -= 1;
            from.bytes_left -= size;
            return Ok(Some(Prepared { line, text }));
        }
        Ok(None)
    }

    async fn next_ticket(&self, from: &mut Selection) -> Result<Option<String>, Halt> {
        while from.page.is_empty() {
            let ids = match &mut from.source {
                Source::End => return Ok(None),
                Source::List(ids) => ids.take(PAGE).collect::<Vec<_>>(),
                Source::Desk { filter, after } => {
                    let found = self.helpdesk.select(filter, from.as_of_ms, after.take(), PAGE).await?;
                    *after = found.next;
                    found.tickets
                }
            };
            // A page of the desk's may be empty with more behind it.
            let is_over = match &from.source {
                Source::Desk { after, .. } => after.is_none(),
                Source::List(_) | Source::End => ids.is_empty(),
            };
            if is_over {
                from.source = Source::End;
            }
            let mut ids = self.store.without_line(from.batch_id.clone(), ids).await?;
            if from.is_filter {
                // What is on its way already is not paid for twice; a list means what it says.
                let found = ids.len();
                ids = self.store.in_no_other_batch(from.batch_id.clone(), ids).await?;
                from.elsewhere += i64::try_from(found - ids.len()).unwrap_or(0);
            }
            from.page = ids.into();
        }
        Ok(from.page.pop_front())
    }

    /// How many tickets are left out with the one that did not fit any more.
    async fn count_rest(&self, from: &mut Selection) -> Result<i64, Halt> {
        let mut rest = 1;
        while self.next_ticket(from).await?.is_some() {
            rest += 1;
        }
        Ok(rest)
    }
}
