//! What is known of a batch, and of one line of it, and what people are told.

use super::{Answer, JobFacts, Next, Trail, answer, in_words, next, next_of_job};
use crate::domain::batch::{Counts, Fate, LineResult, Origin, State};
use crate::domain::job;

/// So many parts of a batch are named in one line.
const NAMED: usize = 3;

/// Of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchFacts {
    /// `bat_…`; of another program OpenAI's own id.
    pub id: String,
    /// Where it stands.
    pub state: State,
    /// In this state since, in ms.
    pub since_ms: i64,
    /// Where it comes from.
    pub origin: Origin,
    /// Who asked for it.
    pub actor: String,
    /// In ms.
    pub created_at_ms: i64,
    /// The batch whose lines were not executed.
    pub again_of: Option<String>,
    /// The batch that has what was not executed in this one.
    pub again: Option<String>,
    /// By name.
    pub counts: Counts,
    /// Why a person decides: `size` or `drift`.
    pub waits_for: Option<String>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// Who paused it; `frontdesk` after too many failures.
    pub paused_by: Option<String>,
    /// In ms.
    pub paused_at_ms: Option<i64>,
    /// Who had it undone.
    pub undone_by: Option<String>,
    /// Why it failed, or why a part of it is missing.
    pub error: Option<String>,
    /// Lines that failed and that nobody has tried again or discarded.
    pub open_failures: i64,
    /// What its lines need and a person has paused, and who.
    pub held_up: Option<String>,
    /// Its parts at OpenAI, in order.
    pub parts: Vec<PartFacts>,
    /// The one that was asked for, from 1; none when all of them were.
    pub part: Option<i64>,
}

/// Of a part of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct PartFacts {
    /// From 1.
    pub number: i64,
    /// `sub_…`; of another program OpenAI's own id.
    pub id: String,
    /// OpenAI's id, once known.
    pub resource_id: Option<String>,
    /// When its results had been read, in ms.
    pub read_at_ms: Option<i64>,
    /// Where its start stands; none for work of another program.
    pub start: Option<String>,
    /// When OpenAI is asked if no webhook has come, in ms.
    pub check_at_ms: Option<i64>,
    /// Past it somebody is told, in ms.
    pub deadline_ms: Option<i64>,
    /// Why it was not started.
    pub error: Option<String>,
    /// Whether its end was found by asking; none while it has not ended.
    pub by_poll: Option<bool>,
}

impl PartFacts {
    fn is_lost(&self) -> bool {
        matches!(self.start.as_deref(), Some("lost" | "refused" | "ended"))
    }
}

/// Of a line of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFacts {
    /// Its place, from 1.
    pub number: i64,
    /// What OpenAI's files say.
    pub result: LineResult,
    /// What became of it.
    pub fate: Option<Fate>,
    /// A code.
    pub reason: Option<String>,
}

impl LineFacts {
    fn because(&self) -> String {
        self.reason.as_deref().map_or_else(String::new, |reason| format!(" ({reason})"))
    }

    /// How it came to nothing, as `OpenAI did not execute it`; none while it may
    /// come to something, or has.
    fn loss(&self) -> Option<String> {
        let because = self.because();
        Some(match (self.fate, self.result, self.reason.as_deref()) {
            (Some(Fate::Skipped), _, Some("erased")) => "it was left out: its ticket was erased".to_owned(),
            (Some(Fate::Skipped), _, Some("expired")) => {
                "it was left out: nobody let the batch go on before its content was erased".to_owned()
            }
            (Some(Fate::Skipped), ..) => format!("it was left out{because}"),
            (Some(Fate::Failed), ..) => format!("it failed{because}"),
            (_, LineResult::Failed, Some("not_executed")) => "OpenAI did not execute it".to_owned(),
            (_, LineResult::Failed, _) => format!("it failed at OpenAI{because}"),
            (_, LineResult::Missing, _) => "neither of OpenAI's files speaks of it".to_owned(),
            (_, LineResult::Unknown, _) => format!("it belongs to no ticket that was asked for{because}"),
            (_, LineResult::Duplicate, _) => "its custom_id was there before; that line counts".to_owned(),
            (_, LineResult::Unreadable, _) => format!("it could not be read{because}"),
            _ => return None,
        })
    }
}

fn plural(count: i64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

impl BatchFacts {
    fn count(&self, name: &str) -> i64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    fn fate(&self, fate: Fate) -> i64 {
        self.count(&format!("fate/{}", fate.word()))
    }

    fn usable(&self) -> i64 {
        self.count("result/ok") + self.count("result/held")
    }

    /// What has become of its lines, as `400 applied, 8 held`.
    fn fates(&self) -> String {
        let of = |fate: &Fate| Some((self.fate(*fate), fate.word())).filter(|(count, _)| *count > 0);
        Fate::ALL.iter().filter_map(of).map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
    }

    /// As `bat_… for lena`.
    fn whose(&self) -> String {
        let again = self.again_of.as_ref().map_or_else(String::new, |of| format!(", again after {of}"));
        match self.origin {
            Origin::Elsewhere => format!("{} by another program", self.id),
            Origin::Schedule => format!("{} for the schedule {}", self.id, self.actor),
            Origin::Person | Origin::Requeue => format!("{} for {}{again}", self.id, self.actor),
        }
    }

    /// The parts that OpenAI has.
    fn sent(&self) -> Vec<&str> {
        self.parts.iter().filter_map(|part| part.resource_id.as_deref()).collect()
    }

    fn asked(&self) -> Option<&PartFacts> {
        self.parts.iter().find(|part| Some(part.number) == self.part)
    }

    fn was_started(&self) -> String {
        let sent = self.sent();
        if let Some(part) = self.asked().filter(|_| self.origin != Origin::Elsewhere && self.parts.len() > 1) {
            let which = format!("part {} of {}", part.number, self.whose());
            return match (&part.resource_id, part.start.as_deref(), &part.error) {
                (Some(_), ..) => format!("yes, as {which}"),
                (None, Some("refused"), Some(error)) => format!("no: OpenAI did not accept {which} ({error})"),
                (None, Some("unknown" | "starting" | "lost"), _) => {
                    format!("perhaps: the start of {which} got no answer")
                }
                _ => format!("not yet: {which} is not sent"),
            };
        }
        match (self.state, sent.len()) {
            (State::Building, 0) => format!("not yet: {} is being built", self.whose()),
            (State::Building, count) => {
                format!(
                    "in part: {} of {} at OpenAI, the rest is being built",
                    plural(len(count), "part"),
                    self.whose()
                )
            }
            (State::Failed, 0) => format!("no: {}", self.error.as_deref().unwrap_or("it failed")),
            (_, 0) if self.parts.is_empty() => "no: no ticket was found that can be sent".to_owned(),
            (_, 0) => format!("perhaps: nothing was heard of {}", self.whose()),
            (..) => format!(
                "yes, as {}: {} in {} ({})",
                self.whose(),
                plural(self.count("lines"), "line"),
                plural(len(sent.len()), "part"),
                named(&sent)
            ),
        }
    }

    fn was_ticket_updated(&self) -> String {
        let (applied, kept, undone) = (self.fate(Fate::Applied), self.fate(Fate::Kept), self.fate(Fate::Undone));
        let by = self.decided_by.as_deref().unwrap_or("a person");
        match self.state {
            State::Undone if kept == 0 => format!("no longer: it was put back on {}", plural(undone, "ticket")),
            State::Undone => format!("in part: put back on {}, left on {kept}", plural(undone, "ticket")),
            State::Rejected => format!("no: {by} rejected it"),
            State::Waiting => "no: nobody has decided yet".to_owned(),
            _ if applied + kept > 0 => format!("yes, {}: {}", plural(applied + kept, "ticket"), self.fates()),
            _ => {
                Some(self.fates()).filter(|fates| !fates.is_empty()).map_or("no".into(), |fates| format!("no: {fates}"))
            }
        }
    }

    /// What comes next where only the batch can say.
    fn next(&self, now_ms: i64) -> Next {
        let id = &self.id;
        let by = |who: &Option<String>| who.as_deref().unwrap_or("a person").to_owned();
        match self.state {
            State::Building => next(format!("{id} is built"), None, "frontdesk"),
            State::Submitted | State::Ended => self.next_at_openai(now_ms),
            State::Waiting => {
                let (tickets, why) = (plural(self.usable(), "ticket"), self.waits_for.as_deref().unwrap_or("size"));
                let acts = format!("`frontdesk batch apply {id}` or `batch reject {id}`");
                next(format!("a lead decides about {id} ({tickets}; {why}): {acts}"), None, "reviewer")
            }
            State::Applying => self.next_of_applying(now_ms),
            State::Applied if self.open_failures > 0 => {
                let failed = plural(self.open_failures, "line");
                let decide = "`frontdesk jobs list --status failed_final`, then `jobs retry` or `jobs discard`";
                next(format!("{failed} of {id} failed and wait for a person: {decide}"), None, "operator")
            }
            State::Applied => match &self.again {
                Some(again) => next(format!("it is done; what OpenAI did not execute is in {again}"), None, "nobody"),
                None => next("nothing: it is done", None, "nobody"),
            },
            State::Undone => next(format!("nothing: {} had {id} put back", by(&self.undone_by)), None, "nobody"),
            State::Rejected => {
                let why = self.error.as_deref().map_or_else(String::new, |why| format!(" ({why})"));
                next(format!("nothing: {} rejected {id}{why}", by(&self.decided_by)), None, "nobody")
            }
            State::Failed => {
                let why = self.error.as_deref().unwrap_or("no reason given");
                let again = "once the cause is mended, start it with `frontdesk batch submit`";
                next(format!("nothing: {id} failed ({why}); {again}"), None, "operator")
            }
        }
    }

    fn next_at_openai(&self, now_ms: i64) -> Next {
        let is_meant = |part: &&PartFacts| self.part.is_none_or(|asked| asked == part.number);
        let open: Vec<&PartFacts> =
            self.parts.iter().filter(|part| part.read_at_ms.is_none()).filter(is_meant).collect();
        if open.is_empty() {
            return next(format!("other parts of {} are still to come", self.id), None, "openai");
        }
        if let Some(lost) = open.iter().find(|part| part.is_lost()) {
            let forget = format!("`frontdesk submissions forget {}` lets {} go on without it", lost.id, self.id);
            return next(format!("nothing was heard of part {}; {forget}", lost.number), lost.deadline_ms, "operator");
        }
        if open.iter().all(|part| part.by_poll.is_some()) {
            return next("its results are read", None, "frontdesk");
        }
        let at_ms = open.iter().filter_map(|part| part.check_at_ms).min();
        let text = format!("OpenAI sends a webhook when it is done, and is asked for it {}", in_words(at_ms, now_ms));
        next(text, at_ms, "openai")
    }

    fn next_of_applying(&self, now_ms: i64) -> Next {
        let id = &self.id;
        if let (Some(by), Some(since)) = (&self.paused_by, self.paused_at_ms) {
            let since = format!("since {} s", (now_ms - since).max(0) / 1000);
            let acts = format!("`frontdesk batch resume {id}` or `batch undo {id}`");
            let text = if by == "frontdesk" {
                format!("{id} has stopped by itself {since}, because too many lines failed: {acts}")
            } else {
                format!("{id} is paused by {by} {since}: {acts}")
            };
            return next(text, None, "operator");
        }
        if let Some(held_up) = &self.held_up {
            return next(format!("lines of {id} wait: {held_up}"), None, "operator");
        }
        let dealt_with: i64 =
            Fate::ALL.into_iter().filter(|fate| *fate != Fate::Queued).map(|fate| self.fate(fate)).sum();
        let left = self.usable() - dealt_with;
        next(format!("workers apply {id}: {left} of {} are left", plural(self.usable(), "line")), None, "frontdesk")
    }
}

fn len(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn named(ids: &[&str]) -> String {
    let first = ids.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match ids.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// The job still moves, or has failed and waits for a person.
fn is_open(job: &JobFacts) -> bool {
    job.state != job::State::Processed && job.outcome.is_none()
}

impl Trail {
    pub(super) fn batch_was_started(&self, batch: &BatchFacts) -> Answer {
        const QUESTION: &str = "Was work started at OpenAI?";
        let at_ms = Some(batch.created_at_ms);
        let Some(line) = &self.line else { return answer(QUESTION, batch.was_started(), at_ms) };
        let which = format!("line {} of {}", line.number, batch.whose());
        let text = match line.result {
            LineResult::Unknown | LineResult::Unreadable => format!("not by Frontdesk: {which} was not asked for"),
            _ if self.resource_id.is_none() => format!("not yet, as {which}"),
            _ => format!("yes, as {which}"),
        };
        answer(QUESTION, text, at_ms)
    }

    /// The same of several parts; none where one answer says all.
    pub(super) fn parts_have_arrived(&self, batch: &BatchFacts) -> Option<Answer> {
        let first = self.deliveries.first().filter(|_| self.line.is_none() && batch.part.is_none())?;
        if batch.parts.len() < 2 {
            return None;
        }
        let ended = |by_poll| batch.parts.iter().filter(|part| part.by_poll == Some(by_poll)).count();
        let polled = match ended(true) {
            0 => String::new(),
            count => format!("; of {count} OpenAI was asked instead"),
        };
        let text =
            format!("yes, of {} of {} parts{polled}; the first as {}", ended(false), batch.parts.len(), first.id);
        Some(answer("Did the webhook arrive?", text, Some(first.received_at_ms)))
    }

    /// Why a line has no job.
    pub(super) fn line_was_queued(&self, batch: &BatchFacts) -> Option<Answer> {
        let line = self.line.as_ref().filter(|_| self.job.is_none())?;
        let text = match (line.loss(), batch.state) {
            (Some(loss), _) => format!("no: {loss}"),
            (None, State::Waiting) => format!("not yet: {} waits for a decision", batch.id),
            (None, state) => format!("no: {} is {}", batch.id, state.word()),
        };
        Some(answer("Was it queued?", text, None))
    }

    /// None where the line's own effects say it.
    pub(super) fn batch_was_applied(&self, batch: &BatchFacts) -> Option<Answer> {
        const QUESTION: &str = "Was the ticket updated?";
        let Some(line) = &self.line else { return Some(answer(QUESTION, batch.was_ticket_updated(), None)) };
        let at_ms = self.effects.iter().filter_map(|effect| effect.applied_at_ms).max();
        let slots: Vec<&str> = self
            .effects
            .iter()
            .filter(|effect| effect.applied_at_ms.is_some())
            .map(|effect| effect.slot.as_str())
            .collect();
        let (slots, ticket) = (slots.join(", "), self.ticket_id.as_deref().unwrap_or("the ticket"));
        let by = batch.undone_by.as_deref().unwrap_or("a person");
        let text = match (line.fate, line.loss()) {
            (_, Some(loss)) => format!("no: {loss}"),
            (Some(Fate::Undone), _) => format!("no longer: {slots} on {ticket} was put back for {by}"),
            (Some(Fate::Kept), _) => {
                format!("yes: {slots} on {ticket}; when {by} had {} undone, it was left{}", batch.id, line.because())
            }
            (Some(Fate::Applied), _) => format!("yes: {slots} on {ticket}, by {}", batch.id),
            (Some(Fate::Held), _) => return None,
            _ => "no".to_owned(),
        };
        Some(answer(QUESTION, text, at_ms))
    }

    pub(super) fn next_of_batch(&self, batch: &BatchFacts, now_ms: i64) -> Next {
        let open = self.job.as_ref().filter(|job| is_open(job));
        let Some(line) = &self.line else {
            let decides = batch.state == State::Waiting || (batch.paused_at_ms.is_some() && batch.undone_by.is_none());
            return match open.filter(|_| !decides) {
                Some(job) => next_of_job(job, now_ms),
                None => batch.next(now_ms),
            };
        };
        if let Some(job) = open {
            return next_of_job(job, now_ms);
        }
        let start = "start it again if it is still wanted";
        match (line.fate, line.result) {
            (Some(Fate::Held), _) => self.next_after_end(),
            (Some(Fate::Applied), _) => next("nothing: it is done", None, "nobody"),
            (Some(Fate::Undone | Fate::Kept), _) => next("nothing: the batch was undone", None, "nobody"),
            (Some(Fate::Failed), _) => next("nothing: a person discarded it", None, "nobody"),
            (Some(Fate::Skipped), _) if line.reason.as_deref() == Some("changed_since") => {
                next(format!("nothing: somebody has changed the ticket since; {start}"), None, "operator")
            }
            (Some(Fate::Skipped), _) => next(format!("nothing{}", line.because()), None, "nobody"),
            (None, LineResult::Failed | LineResult::Missing) => match (&batch.again, line.loss()) {
                (Some(again), loss) => next(
                    format!("line {}: {}; it is in {again} again", line.number, loss.unwrap_or_default()),
                    None,
                    "frontdesk",
                ),
                (None, _) => next(format!("nothing: {start}"), None, "operator"),
            },
            (None, LineResult::Duplicate) => next("nothing: the first line with its custom_id counts", None, "nobody"),
            (None, LineResult::Unknown | LineResult::Unreadable) => next("nothing", None, "nobody"),
            (Some(Fate::Queued) | None, _) => batch.next(now_ms),
        }
    }
}
