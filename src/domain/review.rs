//! What people may do with a held result, and in which order. Pure: it is given
//! a review as it stands, a person and the time, and says what becomes of it.
//!
//! ```text
//! open ──claim──▶ claimed ──approve──▶ approved ──undo──▶ claimed
//!   ▲  ◀─release─┘   │  └───reject──▶ rejected ──undo──▶ claimed
//!   └───escalate─────┘                    (undo: only within its window)
//! open, claimed, approved (not carried out yet) ──the ticket moved on──▶ stale
//! open, claimed ──its content was erased──▶ expired
//! ```
//!
//! A claim is a lease: once it is over, the review is open to everybody again.

mod amended;
mod refused;
mod together;
mod words;

pub use amended::{Amended, Reroute, TextSlot};
pub use refused::Refused;
pub use together::{NotTogether, Together};
pub use words::{RejectReason, State};

use super::claims;
use super::permission::Permission;
use super::person::{Person, Role};

/// Longest text of a reviewer's own, in characters.
const MAX_TEXT_CHARS: usize = 50_000;
/// Longest reason in their words, in characters.
const MAX_SAID_CHARS: usize = 500;

/// A review, as far as deciding about it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// `rev_…`
    pub id: String,
    /// Goes up with every action; a decision about an older one is refused.
    pub version: i64,
    /// Where it stands.
    pub state: State,
    /// Roles and names that may decide.
    pub reviewers: Vec<String>,
    /// One, or two different people.
    pub approvals_needed: i64,
    /// Who has approved it already, of two.
    pub first_approved_by: Option<String>,
    /// Who has it.
    pub claimed_by: Option<String>,
    /// Until when, in ms.
    pub claimed_until_ms: Option<i64>,
    /// Until when the decision can be taken back, in ms.
    pub undo_until_ms: Option<i64>,
    /// How long an approval of this one can be taken back, in ms.
    pub undo_ms: i64,
    /// Who decided.
    pub decided_by: Option<String>,
    /// Why it was rejected or escalated.
    pub decision_reason: Option<String>,
    /// What a person changed or wrote, as approved.
    pub amended: Amended,
    /// Whether a ticket is known to carry it out on.
    pub is_placed: bool,
    /// Whether anything is proposed: otherwise an approval must bring a text.
    pub proposes: bool,
    /// Where the text in it goes that a person could change; none when there is none.
    pub takes_text: Option<TextSlot>,
    /// The text proposed for the customer.
    pub reply: Option<String>,
    /// Whether it sets what the ticket is about, which a person could correct.
    pub routes: bool,
}

/// What a person does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Takes it, or keeps it longer.
    Claim,
    /// Puts it back.
    Release,
    /// Says yes, as proposed or with something in its place.
    Approve(Amended),
    /// Says no.
    Reject {
        /// From the list.
        reason: RejectReason,
        /// In their words.
        said: String,
    },
    /// Hands it to the leads.
    Escalate {
        /// In their words.
        said: String,
    },
    /// Takes a decision back.
    Undo,
}

impl Action {
    /// Yes, as it stands.
    #[must_use]
    pub fn yes() -> Action {
        Action::Approve(Amended::default())
    }

    /// Yes, with this text in place of the proposed one.
    #[must_use]
    pub fn yes_with(text: impl Into<String>) -> Action {
        Action::Approve(Amended { text: Some(text.into()), route: None })
    }

    /// Whether what is said with it is of a sane length.
    fn is_brief(&self) -> bool {
        let fits = |text: &str, most: usize| text.chars().nth(most).is_none();
        match self {
            Action::Approve(Amended { text: Some(text), .. }) => fits(text, MAX_TEXT_CHARS),
            Action::Reject { said, .. } | Action::Escalate { said } => fits(said, MAX_SAID_CHARS),
            _ => true,
        }
    }

    /// The word used in the audit trail.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Action::Claim => "review.claim",
            Action::Release => "review.release",
            Action::Approve(_) => "review.approve",
            Action::Reject { .. } => "review.reject",
            Action::Escalate { .. } => "review.escalate",
            Action::Undo => "review.undo",
        }
    }
}

/// What an action leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing but the new standing.
    Stands,
    /// A job is queued that carries it out at this time, in ms, and not before.
    CarryOut {
        /// In ms.
        at_ms: i64,
    },
    /// The draft on the ticket is withdrawn.
    Withdraw,
    /// What was decided is taken back.
    TakeBack,
}

impl Review {
    /// What becomes of the review when `person` does `action` at `now_ms`,
    /// having looked at `version`. A claim lasts `lease_ms`.
    ///
    /// # Errors
    /// [`Refused`]; nothing changes then.
    pub fn act(
        &self,
        action: &Action,
        version: i64,
        person: &Person,
        now_ms: i64,
        lease_ms: i64,
    ) -> Result<(Review, Next), Refused> {
        if version != self.version {
            return Err(Refused::Changed { now: self.version });
        }
        let next = Review { version: self.version + 1, ..self.clone() };
        match action {
            _ if !action.is_brief() => Err(Refused::TooLong),
            Action::Undo => self.undo(next, person, now_ms, lease_ms),
            _ if !self.state.waits() => Err(Refused::Decided { state: self.state.word() }),
            _ if !person.is_among(&self.reviewers) => Err(Refused::NotAmong { reviewers: self.reviewers.join(", ") }),
            Action::Release => self.release(next, person, now_ms),
            _ => {
                self.must_be_free_for(person, now_ms)?;
                match action {
                    Action::Approve(amended) => self.approve(next, amended, person, now_ms),
                    Action::Reject { reason, said } => Ok(self.reject(next, *reason, said, person, now_ms)),
                    Action::Escalate { said } => Ok((next.escalated(said), Next::Stands)),
                    _ => Ok((next.claimed(person, now_ms + lease_ms), Next::Stands)),
                }
            }
        }
    }

    /// Leave to carry out what was approved; none for a review that is not.
    #[must_use]
    pub fn permission(&self) -> Option<Permission> {
        let by = self.decided_by.as_deref().filter(|_| self.state == State::Approved)?;
        Some(Permission::of_person(by, &self.id))
    }

    /// Who has it at `now_ms`; nobody once the lease is over.
    #[must_use]
    pub fn holder(&self, now_ms: i64) -> Option<&str> {
        let until = self.claimed_until_ms.unwrap_or(0);
        self.claimed_by.as_deref().filter(|_| self.state == State::Claimed && until > now_ms)
    }

    fn must_be_free_for(&self, person: &Person, now_ms: i64) -> Result<(), Refused> {
        match self.holder(now_ms) {
            Some(by) if by != person.name => Err(Refused::Taken { by: by.to_owned() }),
            _ => Ok(()),
        }
    }

    fn claimed(self, person: &Person, until_ms: i64) -> Review {
        Review {
            state: State::Claimed,
            claimed_by: Some(person.name.clone()),
            claimed_until_ms: Some(until_ms),
            ..self
        }
    }

    fn unclaimed(self) -> Review {
        Review { claimed_by: None, claimed_until_ms: None, ..self }
    }

    fn release(&self, next: Review, person: &Person, now_ms: i64) -> Result<(Review, Next), Refused> {
        match self.holder(now_ms) {
            None => Err(Refused::NotClaimed),
            // A lead takes over what an agent went home with.
            Some(by) if by != person.name && person.role < Role::Lead => Err(Refused::Taken { by: by.to_owned() }),
            Some(_) => Ok((Review { state: State::Open, ..next.unclaimed() }, Next::Stands)),
        }
    }

    fn approve(
        &self,
        next: Review,
        amended: &Amended,
        person: &Person,
        now_ms: i64,
    ) -> Result<(Review, Next), Refused> {
        let amended = amended.over(&self.amended)?;
        self.must_be_approvable(&amended)?;
        let is_the_same = amended == self.amended;
        match &self.first_approved_by {
            Some(first) if is_the_same && *first == person.name => return Err(Refused::SamePerson),
            // What two people approve is one text: a change needs the other one again.
            first if self.approvals_needed > 1 && !(first.is_some() && is_the_same) => {
                let first_approved_by = Some(person.name.clone());
                let waits = Review { state: State::Open, amended, first_approved_by, ..next.unclaimed() };
                return Ok((waits, Next::Stands));
            }
            _ => {}
        }
        let at_ms = now_ms + self.undo_ms;
        let approved = Review { state: State::Approved, amended, ..next.decided(person, at_ms) };
        Ok((approved, Next::CarryOut { at_ms }))
    }

    fn must_be_approvable(&self, amended: &Amended) -> Result<(), Refused> {
        match amended {
            _ if !self.is_placed => Err(Refused::Unplaced),
            Amended { text: Some(_), .. } if self.takes_text.is_none() => Err(Refused::NoText),
            Amended { route: Some(_), .. } if !self.routes => Err(Refused::NoRoute),
            _ if !self.proposes && self.takes_text.is_none() => Err(Refused::NothingToApprove),
            Amended { text: None, .. } if !self.proposes => Err(Refused::NothingProposed),
            _ => self.must_be_filled_in(amended),
        }
    }

    /// Nothing goes to a customer with a place in it that somebody had yet to fill in.
    fn must_be_filled_in(&self, amended: &Amended) -> Result<(), Refused> {
        let own = amended.text.as_deref().filter(|_| self.takes_text == Some(TextSlot::Reply));
        match own.or(self.reply.as_deref()).map_or(0, claims::unfilled) {
            0 => Ok(()),
            places => Err(Refused::Unfilled { places }),
        }
    }

    fn reject(&self, next: Review, reason: RejectReason, said: &str, person: &Person, now_ms: i64) -> (Review, Next) {
        let words = match (reason, said.trim()) {
            (RejectReason::Other, said) if !said.is_empty() && said != reason.code() => format!("other: {said}"),
            _ => reason.code().to_owned(),
        };
        let rejected = Review {
            state: State::Rejected,
            decision_reason: Some(words),
            ..next.decided(person, now_ms + self.undo_ms)
        };
        (rejected, Next::Withdraw)
    }

    fn decided(self, person: &Person, undo_until_ms: i64) -> Review {
        Review {
            decided_by: Some(person.name.clone()),
            undo_until_ms: Some(undo_until_ms),
            claimed_by: Some(person.name.clone()),
            claimed_until_ms: None,
            ..self
        }
    }

    fn escalated(self, said: &str) -> Review {
        // What is for admins alone goes up to nobody, and least of all down.
        let is_at_the_top = self.reviewers.iter().all(|who| Role::parse(who) == Some(Role::Admin));
        let reviewers = if is_at_the_top { self.reviewers.clone() } else { vec![Role::Lead.word().to_owned()] };
        let decision_reason = Some(said.trim().to_owned()).filter(|said| !said.is_empty());
        Review { state: State::Open, reviewers, decision_reason, ..self.unclaimed() }
    }

    fn undo(&self, next: Review, person: &Person, now_ms: i64, lease_ms: i64) -> Result<(Review, Next), Refused> {
        let decided = matches!(self.state, State::Approved | State::Rejected);
        if !decided || self.undo_until_ms.is_none_or(|until| now_ms >= until) {
            return Err(Refused::TooLate);
        }
        match &self.decided_by {
            Some(by) if *by != person.name && person.role < Role::Lead => Err(Refused::Taken { by: by.clone() }),
            _ => {
                let again = Review { decided_by: None, undo_until_ms: None, decision_reason: None, ..next };
                // A lead may stop what only others may decide, and leaves it to them.
                let again = match person.is_among(&self.reviewers) {
                    true => again.claimed(person, now_ms + lease_ms),
                    false => Review { state: State::Open, ..again.unclaimed() },
                };
                Ok((again, Next::TakeBack))
            }
        }
    }
}

#[cfg(test)]
mod tests;
