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

mod refused;
mod together;
mod words;

pub use refused::Refused;
pub use together::{NotTogether, Together};
pub use words::{RejectReason, State};

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
    /// The text as approved, when a person changed or wrote it.
    pub text: Option<String>,
    /// Whether a ticket is known to carry it out on.
    pub is_placed: bool,
    /// Whether anything is proposed: otherwise an approval must bring a text.
    pub proposes: bool,
    /// Whether there is a text in it that a person could change.
    pub takes_text: bool,
}

/// What a person does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Takes it, or keeps it longer.
    Claim,
    /// Puts it back.
    Release,
    /// Says yes, as proposed or with a text of their own.
    Approve {
        /// Instead of the proposed one.
        text: Option<String>,
    },
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
    /// Whether what is said with it is of a sane length.
    fn is_brief(&self) -> bool {
        let fits = |text: &str, most: usize| text.chars().nth(most).is_none();
        match self {
            Action::Approve { text: Some(text) } => fits(text, MAX_TEXT_CHARS),
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
            Action::Approve { .. } => "review.approve",
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
                    Action::Approve { text } => self.approve(next, text.as_deref(), person, now_ms),
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
        text: Option<&str>,
        person: &Person,
        now_ms: i64,
    ) -> Result<(Review, Next), Refused> {
        self.must_be_approvable(text)?;
        let text = text.map(|text| text.trim().to_owned()).or_else(|| self.text.clone());
        let same_text = text == self.text;
        match &self.first_approved_by {
            Some(first) if same_text && *first == person.name => return Err(Refused::SamePerson),
            // What two people approve is one text: a change needs the other one again.
            first if self.approvals_needed > 1 && !(first.is_some() && same_text) => {
                let first_approved_by = Some(person.name.clone());
                let waits = Review { state: State::Open, text, first_approved_by, ..next.unclaimed() };
                return Ok((waits, Next::Stands));
            }
            _ => {}
        }
        let at_ms = now_ms + self.undo_ms;
        let approved = Review { state: State::Approved, text, ..next.decided(person, at_ms) };
        Ok((approved, Next::CarryOut { at_ms }))
    }

    fn must_be_approvable(&self, text: Option<&str>) -> Result<(), Refused> {
        match text {
            _ if !self.is_placed => Err(Refused::Unplaced),
            Some(text) if text.trim().is_empty() => Err(Refused::EmptyText),
            Some(_) if !self.takes_text => Err(Refused::NoText),
            None if !self.proposes && self.text.is_none() => Err(Refused::NothingProposed),
            _ => Ok(()),
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
mod tests {
    use super::*;

    const LEASE: i64 = 300_000;

    fn review() -> Review {
        Review {
            id: "rev_1".into(),
            version: 1,
            state: State::Open,
            reviewers: vec!["agent".into()],
            approvals_needed: 1,
            first_approved_by: None,
            claimed_by: None,
            claimed_until_ms: None,
            undo_until_ms: None,
            undo_ms: 5_000,
            decided_by: None,
            decision_reason: None,
            text: None,
            is_placed: true,
            proposes: true,
            takes_text: true,
        }
    }

    fn person(name: &str, role: Role) -> Person {
        Person { name: name.into(), role }
    }

    fn agent(name: &str) -> Person {
        person(name, Role::Agent)
    }

    fn yes() -> Action {
        Action::Approve { text: None }
    }

    fn with(text: &str) -> Action {
        Action::Approve { text: Some(text.into()) }
    }

    fn done(review: &Review, action: &Action, by: &Person, now_ms: i64) -> (Review, Next) {
        review.act(action, review.version, by, now_ms, LEASE).expect("allowed")
    }

    fn refused(review: &Review, action: &Action, by: &Person, now_ms: i64) -> Refused {
        review.act(action, review.version, by, now_ms, LEASE).expect_err("refused")
    }

    #[test]
    fn every_action_raises_the_version_and_one_about_an_older_version_is_refused() {
        let claimed = done(&review(), &Action::Claim, &agent("lena"), 0).0;
        assert_eq!((claimed.version, claimed.state), (2, State::Claimed));
        assert_eq!(claimed.act(&yes(), 1, &agent("lena"), 0, LEASE), Err(Refused::Changed { now: 2 }));
    }

    #[test]
    fn a_claim_keeps_others_out_until_its_lease_is_over_and_is_renewed_by_its_holder() {
        let claimed = done(&review(), &Action::Claim, &agent("lena"), 0).0;
        for action in [Action::Claim, yes(), Action::Release] {
            assert_eq!(refused(&claimed, &action, &agent("omar"), LEASE - 1), Refused::Taken { by: "lena".into() });
        }
        assert_eq!(done(&claimed, &Action::Claim, &agent("lena"), 10).0.claimed_until_ms, Some(LEASE + 10));
        assert_eq!(done(&claimed, &Action::Claim, &agent("omar"), LEASE).0.claimed_by.as_deref(), Some("omar"));
        assert_eq!(done(&claimed, &Action::Release, &person("mia", Role::Lead), 0).0.state, State::Open);
        assert_eq!(refused(&review(), &Action::Release, &agent("lena"), 0), Refused::NotClaimed);
    }

    #[test]
    fn an_approval_is_carried_out_after_its_window_and_can_be_taken_back_within() {
        let (approved, next) = done(&review(), &yes(), &agent("lena"), 100);
        assert!(matches!(next, Next::CarryOut { at_ms: 5_100, .. }));
        assert!(approved.permission().is_some() && review().permission().is_none());
        assert_eq!((approved.state, approved.decided_by.as_deref()), (State::Approved, Some("lena")));
        assert_eq!(refused(&approved, &yes(), &agent("lena"), 100), Refused::Decided { state: "approved" });
        let (again, next) = done(&approved, &Action::Undo, &agent("lena"), 5_099);
        assert_eq!((again.state, next), (State::Claimed, Next::TakeBack));
        assert_eq!(refused(&approved, &Action::Undo, &agent("lena"), 5_100), Refused::TooLate);
        assert!(matches!(refused(&approved, &Action::Undo, &agent("omar"), 200), Refused::Taken { .. }));
    }

    #[test]
    fn what_was_undone_keeps_the_text_of_its_reviewer() {
        let approved = done(&review(), &with("better"), &agent("lena"), 0).0;
        assert_eq!(done(&approved, &Action::Undo, &agent("lena"), 1).0.text.as_deref(), Some("better"));
    }

    #[test]
    fn where_two_must_approve_one_person_is_not_enough_and_both_approve_one_text() {
        let two = Review { approvals_needed: 2, ..review() };
        let (first, next) = done(&two, &yes(), &agent("lena"), 0);
        assert_eq!((first.state, next), (State::Open, Next::Stands));
        assert_eq!(refused(&first, &yes(), &agent("lena"), 1), Refused::SamePerson);
        assert!(matches!(done(&first, &yes(), &agent("omar"), 1).1, Next::CarryOut { .. }));
        let (changed, next) = done(&first, &with("other words"), &agent("omar"), 1);
        assert_eq!(next, Next::Stands, "lena has not seen these words");
        assert_eq!(refused(&changed, &yes(), &agent("omar"), 2), Refused::SamePerson);
        assert!(matches!(done(&changed, &yes(), &agent("lena"), 2).1, Next::CarryOut { .. }));
    }

    #[test]
    fn only_its_reviewers_may_decide_and_after_an_escalation_only_leads() {
        let named = Review { reviewers: vec!["nurse".into()], ..review() };
        assert!(refused(&named, &yes(), &person("boss", Role::Admin), 0).is_role());
        done(&named, &yes(), &agent("nurse"), 0);
        let up = done(&review(), &Action::Escalate { said: "over my limit".into() }, &agent("lena"), 0).0;
        assert!(refused(&up, &yes(), &agent("lena"), 0).is_role());
        done(&up, &yes(), &person("mia", Role::Lead), 0);
    }

    #[test]
    fn what_is_for_admins_is_not_escalated_down_and_who_may_not_decide_does_not_keep_what_they_stopped() {
        let (admin, lead) = (person("boss", Role::Admin), person("mia", Role::Lead));
        let top = Review { reviewers: vec!["admin".into()], ..review() };
        let up = done(&top, &Action::Escalate { said: String::new() }, &admin, 0).0;
        assert!(refused(&up, &yes(), &lead, 0).is_role());
        let named = Review { reviewers: vec!["nurse".into()], ..review() };
        let stopped = done(&done(&named, &yes(), &agent("nurse"), 0).0, &Action::Undo, &lead, 1).0;
        assert_eq!((stopped.state, stopped.holder(1)), (State::Open, None));
    }

    #[test]
    fn a_text_or_a_reason_without_end_is_refused() {
        let long = "x".repeat(MAX_TEXT_CHARS + 1);
        let said = "x".repeat(MAX_SAID_CHARS + 1);
        let no = Action::Reject { reason: RejectReason::Other, said: said.clone() };
        for action in [with(&long), no, Action::Escalate { said }] {
            assert_eq!(refused(&review(), &action, &agent("lena"), 0), Refused::TooLong);
            assert!(Refused::TooLong.is_invalid());
        }
        done(&review(), &with(&long[1..]), &agent("lena"), 0);
    }

    #[test]
    fn what_proposes_nothing_is_approved_only_with_a_text() {
        let bare = Review { proposes: false, ..review() };
        assert_eq!(refused(&bare, &yes(), &agent("lena"), 0), Refused::NothingProposed);
        assert_eq!(refused(&bare, &with("  "), &agent("lena"), 0), Refused::EmptyText);
        done(&bare, &with("my own"), &agent("lena"), 0);
        let fixed = Review { takes_text: false, ..review() };
        assert_eq!(refused(&fixed, &with("words"), &agent("lena"), 0), Refused::NoText);
        let lost = Review { is_placed: false, ..review() };
        assert_eq!(refused(&lost, &with("words"), &agent("lena"), 0), Refused::Unplaced);
    }

    #[test]
    fn a_rejection_has_a_reason_from_the_list_or_says_what_else() {
        let reject = |said: &str| Action::Reject { reason: RejectReason::meant(said), said: said.into() };
        let reason = |said: &str| done(&review(), &reject(said), &agent("lena"), 0).0.decision_reason.unwrap();
        assert_eq!(reason("Wrong facts"), "wrong_facts");
        assert_eq!(reason("too long"), "other: too long");
        assert_eq!(reason("other"), "other");
    }

    #[test]
    fn nobody_acts_on_what_is_stale_or_expired() {
        for state in [State::Stale, State::Expired] {
            let over = Review { state, ..review() };
            for action in [Action::Claim, Action::Release, yes(), Action::Escalate { said: String::new() }] {
                assert_eq!(refused(&over, &action, &agent("lena"), 0), Refused::Decided { state: state.word() });
            }
            assert_eq!(refused(&over, &Action::Undo, &agent("lena"), 0), Refused::TooLate);
        }
    }
}
