//! What happens in the demo: how work is started, what people then do, and how
//! it should end. The cases themselves are in `cases`.

use frontdesk_simulator::Fault;

use super::ending::Actual;

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
    Batch,
    /// A signed event of this type about nothing.
    Event,
    /// A webhook that nobody signed with our secret.
    Forged,
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
        let (state, outcome, reason, on_ticket): (&str, &str, &str, &[&str]) = match self.expect {
            Expect::Applied(slots) => ("processed", "applied", "", slots),
            Expect::AppliedAs(way, slots) => ("processed", "applied", way, slots),
            Expect::Held(reason) => ("processed", "held", reason, &[]),
            Expect::HeldWithDraft => ("processed", "held", "customer_facing", &["draft"]),
            Expect::Rejected(reason) => ("processed", "rejected", reason, &[]),
            Expect::Stale(why) => ("processed", "stale", why, &[]),
            Expect::Superseded(slots) => ("processed", "superseded", "", slots),
            Expect::Failed(cause) => ("failed_final", "", cause, &[]),
            Expect::Received => ("received", "", "", &[]),
            Expect::Told(notice) => ("received", "", notice, &[]),
            Expect::Refused => ("refused", "", "", &[]),
        };
        actual.state == state
            && actual.outcome == outcome
            && (reason.is_empty() || actual.reason == reason)
            && actual.on_ticket == on_ticket
    }
}
