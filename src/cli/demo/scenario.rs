//! What happens in the demo: how work is started, what people then do, and how
//! it should end. The cases themselves are in `cases`.

use frontdesk_simulator::Fault;

use super::ending::{Actual, routes};
use super::texts;

/// One piece of work, and how it should end.
pub(super) struct Case {
    /// The ticket; none for work without one.
    pub(super) ticket: Option<&'static str>,
    /// A workflow; `batch`, or an event type, for what has none.
    pub(super) workflow: &'static str,
    /// What goes on at OpenAI and with people, in a few words.
    pub(super) story: &'static str,
    /// The ticket's subject and first message.
    pub(super) text: (&'static str, &'static str),
    pub(super) faults: &'static [Fault],
    pub(super) start: Start,
    /// What happens once the result has been dealt with, one after the other.
    pub(super) then: &'static [Step],
    pub(super) expect: Expect,
}

/// How the work is started.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// By Frontdesk.
    Submit,
    /// By Frontdesk, and the customer writes again before the result is there.
    SubmitThenWrite,
    /// By Frontdesk, and OpenAI then refuses the key for a while.
    SubmitThenLockOut,
    /// By Frontdesk, and what is wrong at OpenAI is over before the next request.
    SubmitThenMend,
    /// By Frontdesk, while older work of another program is under way. The
    /// faults strike the older one.
    SubmitAfterOlder,
    /// By another program, with the ticket in its metadata.
    Elsewhere,
    /// The same, while a person has paused the workflow.
    ElsewherePaused,
    /// By another program that names no ticket.
    ElsewhereUnplaced,
    /// A batch of another program.
    Batch(Lines),
    /// A signed event of this type about nothing.
    Event,
    /// A webhook that nobody signed with our secret.
    Forged,
}

/// The lines of a batch of another program: one for each of its tickets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Lines {
    /// The number of the first ticket.
    pub(super) first: u32,
    /// How many.
    pub(super) count: u32,
    /// What its metadata names, if anything.
    pub(super) workflow: Option<&'static str>,
    /// Whether a line is there twice, which OpenAI takes none of the lines for.
    pub(super) repeats: bool,
}

impl Lines {
    /// Lines for these tickets, to classify.
    pub(super) const fn to_classify(first: u32, count: u32) -> Lines {
        Lines { first, count, workflow: Some("classification"), repeats: false }
    }

    /// The ids of its tickets.
    pub(super) fn tickets(self) -> impl Iterator<Item = String> {
        (self.first..self.first + self.count).map(texts::id)
    }
}

impl Start {
    /// Whether it stops other work meanwhile, and so is played by itself.
    pub(super) fn stops_others(self) -> bool {
        matches!(self, Start::SubmitThenLockOut | Start::ElsewherePaused)
    }
}

/// What happens to work that has come to rest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// An agent takes the review and approves it.
    Approve,
    /// An agent takes the review, changes the text and approves it.
    ApproveEdited,
    /// An agent takes the review and rejects it.
    Reject,
    /// The customer writes again.
    WriteAgain,
    /// Another event tells of the same result.
    SecondEvent,
    /// The webhook of the older work comes at last; from here on it is looked at.
    OlderComes,
}

/// How it should end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// On the ticket, each once.
    Applied(&'static [&'static str]),
    /// The same, and it went this way.
    AppliedAs(&'static str, &'static [&'static str]),
    /// With a person, for this reason; nothing on the ticket.
    Held(&'static str),
    /// With a person, and a draft on the ticket.
    HeldWithDraft,
    /// A person said no, for this reason; the draft is withdrawn.
    Rejected(&'static str),
    /// What it was made from has moved on, so; the draft is withdrawn.
    Stale(&'static str),
    /// Newer work has been here: this is on the ticket, and no more.
    Superseded(&'static [&'static str]),
    /// A batch that came to this state: what its lines came to, and how many tickets were changed.
    Batch(&'static str, &'static str, usize),
    /// A batch that OpenAI refused, for this in that line.
    BatchFailed(&'static str),
    /// Given up for this cause, with an alert.
    Failed(&'static str),
    /// Kept for a person, without a job.
    Received,
    /// Kept, and told once as this.
    Told(&'static str),
    /// Refused at the door, counted, not stored.
    Refused,
}

impl Case {
    /// Whether it ended as it should.
    pub(super) fn is_met_by(&self, actual: &Actual) -> bool {
        let none: &[&str] = &[];
        let (state, outcome, reason, on_ticket) = match self.expect {
            Expect::Applied(slots) => ("processed", "applied", "", slots),
            Expect::AppliedAs(way, slots) => ("processed", "applied", way, slots),
            Expect::Held(reason) => ("processed", "held", reason, none),
            Expect::HeldWithDraft => ("processed", "held", "customer_facing", &["draft"][..]),
            Expect::Rejected(reason) => ("processed", "rejected", reason, none),
            Expect::Stale(why) => ("processed", "stale", why, none),
            Expect::Superseded(slots) => ("processed", "superseded", "", slots),
            Expect::Batch(state, lines, changed) => {
                return actual.is(("processed", state, lines), &routes(changed));
            }
            Expect::BatchFailed(error) => ("failed_final", "failed", error, none),
            Expect::Failed(cause) => ("failed_final", "", cause, none),
            Expect::Received => ("received", "", "", none),
            Expect::Told(notice) => ("received", "", notice, none),
            Expect::Refused => ("refused", "", "", none),
        };
        actual.is((state, outcome, reason), on_ticket)
    }
}
