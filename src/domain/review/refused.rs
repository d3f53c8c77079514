//! Why an action on a review is not taken.

use super::{MAX_SAID_CHARS, MAX_TEXT_CHARS};

/// Why an action is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Somebody did something since.
    #[error("the review has changed since: it is at version {now}; look at it again")]
    Changed {
        /// The version it is at.
        now: i64,
    },
    /// Somebody else has it.
    #[error("{by} has it; it is free again when the claim ends or is released")]
    Taken {
        /// Who.
        by: String,
    },
    /// It is past deciding.
    #[error("it is {state} and waits for nobody")]
    Decided {
        /// The state's word.
        state: &'static str,
    },
    /// This person may not.
    #[error("this one is for: {reviewers}")]
    NotAmong {
        /// Roles and names.
        reviewers: String,
    },
    /// The second approval must come from another person.
    #[error("two people must approve it, and the other one is missing")]
    SamePerson,
    /// There is nothing to release.
    #[error("nobody has it")]
    NotClaimed,
    /// Too late, or never possible.
    #[error("the decision can no longer be taken back")]
    TooLate,
    /// Nothing could be done with a yes.
    #[error("it is not known which ticket it belongs to; reject it, or start the work again")]
    Unplaced,
    /// A yes needs a text.
    #[error("nothing is proposed that could be applied: approve it with a text of your own, or reject it")]
    NothingProposed,
    /// A yes would do nothing, and there is no text to write.
    #[error("nothing is proposed that could be applied: reject it, and start the work again")]
    NothingToApprove,
    /// There is no text to change.
    #[error("there is no text in it to change")]
    NoText,
    /// It sets nothing that could be corrected.
    #[error("it does not say what the ticket is about, so there is nothing to correct")]
    NoRoute,
    /// That is no name.
    #[error("a category and a queue are one line of 1 to 100 characters")]
    NoWord,
    /// Places for somebody to fill in are still open. How many, and not what: that is the customer's.
    #[error(
        "the text has places that nobody has filled in, as {{{{name}}}} or [amount] (there: {places}); fill them in first"
    )]
    Unfilled {
        /// How many.
        places: usize,
    },
    /// The text is blank.
    #[error("the text is empty")]
    EmptyText,
    /// The text or the reason is longer than anybody needs.
    #[error("at most {MAX_TEXT_CHARS} characters of text and {MAX_SAID_CHARS} of a reason are taken")]
    TooLong,
}

impl Refused {
    /// Whether the asker is at fault by who they are or what they sent, rather
    /// than by what happened meanwhile.
    #[must_use]
    pub fn is_role(&self) -> bool {
        matches!(self, Refused::NotAmong { .. })
    }

    /// Whether the request itself cannot be followed.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        matches!(
            self,
            Refused::NothingProposed
                | Refused::NothingToApprove
                | Refused::NoText
                | Refused::NoRoute
                | Refused::NoWord
                | Refused::Unfilled { .. }
                | Refused::EmptyText
                | Refused::TooLong
        )
    }
}
