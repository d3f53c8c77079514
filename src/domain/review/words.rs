//! Where a review stands, and why one is rejected.

/// Where a review stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Anyone among its reviewers may take it.
    Open,
    /// Somebody has it.
    Claimed,
    /// A person said yes; a job carries it out once the undo window is over.
    Approved,
    /// A person said no.
    Rejected,
    /// The ticket moved on; what is proposed no longer fits.
    Stale,
    /// Nobody decided before its content was erased.
    Expired,
}

impl State {
    /// Every state.
    pub const ALL: [State; 6] =
        [State::Open, State::Claimed, State::Approved, State::Rejected, State::Stale, State::Expired];

    /// The word used in the database, the API and the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Claimed => "claimed",
            State::Approved => "approved",
            State::Rejected => "rejected",
            State::Stale => "stale",
            State::Expired => "expired",
        }
    }

    /// The state with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether it still waits for somebody.
    #[must_use]
    pub fn waits(self) -> bool {
        matches!(self, State::Open | State::Claimed)
    }
}

/// Why a person said no: a list, so that prompts can be mended by what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// Something in it is not true.
    WrongFacts,
    /// It promises or refuses what our rules do not.
    WrongPolicy,
    /// It does not answer what was asked.
    MissedQuestion,
    /// Not how we speak.
    Tone,
    /// It may do harm.
    Unsafe,
    /// It holds another customer's data.
    WrongCustomer,
    /// A part is missing.
    Incomplete,
    /// The ticket moved on.
    OutOfDate,
    /// Nobody needs it.
    NotNeeded,
    /// Anything else; say what.
    Other,
}

impl RejectReason {
    /// Every reason.
    pub const ALL: [RejectReason; 10] = [
        RejectReason::WrongFacts,
        RejectReason::WrongPolicy,
        RejectReason::MissedQuestion,
        RejectReason::Tone,
        RejectReason::Unsafe,
        RejectReason::WrongCustomer,
        RejectReason::Incomplete,
        RejectReason::OutOfDate,
        RejectReason::NotNeeded,
        RejectReason::Other,
    ];

    /// The word used in the database, the API and the command line.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            RejectReason::WrongFacts => "wrong_facts",
            RejectReason::WrongPolicy => "wrong_policy",
            RejectReason::MissedQuestion => "missed_question",
            RejectReason::Tone => "tone",
            RejectReason::Unsafe => "unsafe",
            RejectReason::WrongCustomer => "wrong_customer",
            RejectReason::Incomplete => "incomplete",
            RejectReason::OutOfDate => "out_of_date",
            RejectReason::NotNeeded => "not_needed",
            RejectReason::Other => "other",
        }
    }

    /// The reason that somebody means: its code, also with spaces or capitals.
    /// Anything else is `Other`, and what was said is kept beside it.
    #[must_use]
    pub fn meant(said: &str) -> RejectReason {
        let code = said.trim().to_lowercase().replace([' ', '-'], "_");
        RejectReason::ALL.into_iter().find(|reason| reason.code() == code).unwrap_or(RejectReason::Other)
    }
}
