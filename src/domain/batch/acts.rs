//! What people may do with a batch, and in which state. Pure: it is given a
//! batch as it stands and says what becomes of it.
//!
//! ```text
//! waiting ──apply──▶ applying ◀──resume──┐
//!    │                  │  └───pause──▶ applying, paused
//!    └─reject─▶ rejected │                 │
//!                        └──undo──▶ (nothing more goes onto a ticket) ──▶ undone
//!                 applied ──undo──▶ ─────────────────────────────────────▶ undone
//! ```

use super::State;

/// Longest reason in a person's words, in characters.
const MAX_REASON_CHARS: usize = 500;

/// A batch, as far as deciding about it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Goes up with every act; one about an older version is refused.
    pub version: i64,
    /// Where it stands.
    pub state: State,
    /// Nothing more goes onto a ticket until somebody says so.
    pub is_paused: bool,
    /// An undo has been asked for and has not come to its end.
    pub is_being_undone: bool,
}

/// What a person does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Says yes: the change-set goes onto the tickets.
    Apply,
    /// Says no: nothing is changed.
    Reject {
        /// In their words.
        reason: Option<String>,
    },
    /// Stops applying for a while.
    Pause {
        /// In their words.
        reason: Option<String>,
    },
    /// Lets it go on.
    Resume,
    /// Has what it changed put back.
    Undo,
}

impl Act {
    /// The word used in the audit trail.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Act::Apply => "batch.apply",
            Act::Reject { .. } => "batch.reject",
            Act::Pause { .. } => "batch.pause",
            Act::Resume => "batch.resume",
            Act::Undo => "batch.undo",
        }
    }

    /// What the person says with it.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Act::Reject { reason } | Act::Pause { reason } => reason.as_deref(),
            Act::Apply | Act::Resume | Act::Undo => None,
        }
    }
}

/// Why an act is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Somebody did something since.
    #[error("the batch has changed since: it is at version {now}; look at it again")]
    Changed {
        /// The version it is at.
        now: i64,
    },
    /// Only one that waits for a decision can be applied or rejected.
    #[error("it is {state} and waits for no decision")]
    NotWaiting {
        /// The state's word.
        state: &'static str,
    },
    /// Only one that is being applied can be paused or resumed.
    #[error("it is {state}; only one that is being applied can be paused or resumed")]
    NotApplying {
        /// The state's word.
        state: &'static str,
    },
    /// It is paused.
    #[error("it is paused already")]
    Paused,
    /// It is not paused.
    #[error("it is not paused")]
    NotPaused,
    /// It has changed no ticket, or what it changed has been put back.
    #[error("it is {state}; only one that is being applied, or has been, can be undone")]
    NothingToUndo {
        /// The state's word.
        state: &'static str,
    },
    /// An undo is under way.
    #[error("it is being undone already")]
    BeingUndone,
    /// The reason is longer than anybody needs.
    #[error("at most {MAX_REASON_CHARS} characters of a reason are taken, on one line")]
    BadReason,
}

impl Refused {
    /// Whether the request itself cannot be followed, whatever happens meanwhile.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        matches!(self, Refused::BadReason)
    }
}

impl Standing {
    /// Whether a person who has looked at `version` may do it.
    ///
    /// # Errors
    /// [`Refused`]; nothing changes then.
    pub fn may(&self, act: &Act, version: i64) -> Result<(), Refused> {
        if !act.reason().is_none_or(is_brief) {
            return Err(Refused::BadReason);
        }
        if version != self.version {
            return Err(Refused::Changed { now: self.version });
        }
        if self.is_being_undone {
            return Err(Refused::BeingUndone);
        }
        let state = self.state.word();
        match (act, self.state) {
            (Act::Apply | Act::Reject { .. }, State::Waiting) => Ok(()),
            (Act::Apply | Act::Reject { .. }, _) => Err(Refused::NotWaiting { state }),
            (Act::Pause { .. }, State::Applying) if self.is_paused => Err(Refused::Paused),
            (Act::Resume, State::Applying) if !self.is_paused => Err(Refused::NotPaused),
            (Act::Pause { .. } | Act::Resume, State::Applying) => Ok(()),
            (Act::Pause { .. } | Act::Resume, _) => Err(Refused::NotApplying { state }),
            (Act::Undo, State::Applying | State::Applied) => Ok(()),
            (Act::Undo, _) => Err(Refused::NothingToUndo { state }),
        }
    }
}

fn is_brief(reason: &str) -> bool {
    reason.chars().nth(MAX_REASON_CHARS).is_none() && !reason.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDING: Standing = Standing { version: 3, state: State::Waiting, is_paused: false, is_being_undone: false };

    fn acts() -> [Act; 5] {
        [Act::Apply, Act::Reject { reason: None }, Act::Pause { reason: None }, Act::Resume, Act::Undo]
    }

    #[test]
    fn each_state_takes_just_the_acts_that_make_sense_in_it() {
        for state in State::ALL {
            for is_paused in [false, true] {
                let standing = Standing { state, is_paused, ..STANDING };
                let taken: Vec<&str> =
                    acts().iter().filter(|act| standing.may(act, 3).is_ok()).map(|act| act.word()).collect();
                let expected: &[&str] = match (state, is_paused) {
                    (State::Waiting, _) => &["batch.apply", "batch.reject"],
                    (State::Applying, false) => &["batch.pause", "batch.undo"],
                    (State::Applying, true) => &["batch.resume", "batch.undo"],
                    (State::Applied, _) => &["batch.undo"],
                    _ => &[],
                };
                assert_eq!(taken, expected, "{state:?}, paused: {is_paused}");
            }
        }
    }

    #[test]
    fn an_act_about_another_version_is_refused_and_told_the_one_there_is() {
        for act in acts() {
            for version in [2, 4, -1] {
                assert_eq!(STANDING.may(&act, version), Err(Refused::Changed { now: 3 }), "{act:?}");
            }
        }
    }

    #[test]
    fn what_is_being_undone_takes_nothing_until_that_has_come_to_its_end() {
        for state in [State::Applying, State::Applied] {
            let standing = Standing { state, is_paused: true, is_being_undone: true, ..STANDING };
            for act in acts() {
                assert_eq!(standing.may(&act, 3), Err(Refused::BeingUndone), "{act:?}");
            }
        }
    }

    #[test]
    fn a_reason_is_one_line_of_a_sane_length() {
        let reject = |reason: String| STANDING.may(&Act::Reject { reason: Some(reason) }, 3);
        assert_eq!(reject("ä".repeat(500)), Ok(()));
        assert_eq!(reject("ä".repeat(501)), Err(Refused::BadReason));
        assert_eq!(reject("two\nlines".to_owned()), Err(Refused::BadReason));
        assert!(Refused::BadReason.is_invalid() && !Refused::Paused.is_invalid());
    }
}
