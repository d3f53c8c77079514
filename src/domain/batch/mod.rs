//! A batch: many tickets' requests sent to OpenAI together, and the change-set
//! that comes back. Here are its words and its rules; nothing is written here.

pub mod acts;
pub mod change_set;
pub mod schedule;
mod wanted;

use std::collections::BTreeMap;

pub use wanted::{Filter, Select, Wanted};

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Its requests are being written and sent.
    Building,
    /// OpenAI has all of it.
    Submitted,
    /// It has ended at OpenAI; its lines are being read.
    Ended,
    /// A person decides about the change-set.
    Waiting,
    /// The change-set goes onto the tickets, in stages.
    Applying,
    /// Every line has been dealt with.
    Applied,
    /// What it changed has been put back.
    Undone,
    /// A person said no; nothing was changed.
    Rejected,
    /// OpenAI refused it, or its results are lost.
    Failed,
}

impl State {
    /// Every state.
    pub const ALL: [State; 9] = [
        State::Building,
        State::Submitted,
        State::Ended,
        State::Waiting,
        State::Applying,
        State::Applied,
        State::Undone,
        State::Rejected,
        State::Failed,
    ];

    /// The word used in the database, the API and the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            State::Building => "building",
            State::Submitted => "submitted",
            State::Ended => "ended",
            State::Waiting => "waiting",
            State::Applying => "applying",
            State::Applied => "applied",
            State::Undone => "undone",
            State::Rejected => "rejected",
            State::Failed => "failed",
        }
    }

    /// The state with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether it goes on by itself, or waits for a person.
    #[must_use]
    pub fn is_at_rest(self) -> bool {
        matches!(self, State::Waiting | State::Applied | State::Undone | State::Rejected | State::Failed)
    }
}

/// Where a batch comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A person asked for it.
    Person,
    /// A schedule was due.
    Schedule,
    /// OpenAI had not executed these lines of another one.
    Requeue,
    /// Another program started it.
    Elsewhere,
}

impl Origin {
    /// The word used in the database and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Origin::Person => "person",
            Origin::Schedule => "schedule",
            Origin::Requeue => "requeue",
            Origin::Elsewhere => "elsewhere",
        }
    }

    /// The origin with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Origin> {
        [Origin::Person, Origin::Schedule, Origin::Requeue, Origin::Elsewhere]
            .into_iter()
            .find(|origin| origin.word() == word)
    }
}

/// What OpenAI's files say of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineResult {
    /// Nothing yet.
    Awaited,
    /// A clean output that the policy would apply.
    Ok,
    /// An output that a person has to look at.
    Held,
    /// OpenAI refused it, failed at it, or did not execute it.
    Failed,
    /// Neither file speaks of it.
    Missing,
    /// Nobody asked for it, or it names no ticket that there is.
    Unknown,
    /// Its id was there before.
    Duplicate,
    /// It could not be read.
    Unreadable,
}

impl LineResult {
    /// Every result.
    pub const ALL: [LineResult; 8] = [
        LineResult::Awaited,
        LineResult::Ok,
        LineResult::Held,
        LineResult::Failed,
        LineResult::Missing,
        LineResult::Unknown,
        LineResult::Duplicate,
        LineResult::Unreadable,
    ];

    /// The word used in the database and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            LineResult::Awaited => "awaited",
            LineResult::Ok => "ok",
            LineResult::Held => "held",
            LineResult::Failed => "failed",
            LineResult::Missing => "missing",
            LineResult::Unknown => "unknown",
            LineResult::Duplicate => "duplicate",
            LineResult::Unreadable => "unreadable",
        }
    }

    /// The result with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<LineResult> {
        LineResult::ALL.into_iter().find(|result| result.word() == word)
    }
}

/// What became of a line whose output can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It has a job.
    Queued,
    /// It is on the ticket.
    Applied,
    /// A person was asked about it.
    Held,
    /// The ticket had moved on, or newer work had been there.
    Skipped,
    /// It was given up.
    Failed,
    /// What it changed was put back.
    Undone,
    /// An undo left it, because somebody has changed the ticket since.
    Kept,
}

impl Fate {
    /// Every fate.
    pub const ALL: [Fate; 7] =
        [Fate::Queued, Fate::Applied, Fate::Held, Fate::Skipped, Fate::Failed, Fate::Undone, Fate::Kept];

    /// The word used in the database and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Fate::Queued => "queued",
            Fate::Applied => "applied",
            Fate::Held => "held",
            Fate::Skipped => "skipped",
            Fate::Failed => "failed",
            Fate::Undone => "undone",
            Fate::Kept => "kept",
        }
    }

    /// The fate with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Fate> {
        Fate::ALL.into_iter().find(|fate| fate.word() == word)
    }
}

/// What a line may come to: what became of it, or else what OpenAI's files say.
#[must_use]
pub fn outcomes() -> Vec<&'static str> {
    let mut words: Vec<&str> = LineResult::ALL.map(LineResult::word).to_vec();
    words.extend(Fate::ALL.map(Fate::word).into_iter().filter(|word| LineResult::parse(word).is_none()));
    words
}

/// Why a change-set waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitsFor {
    /// It changes more tickets than may be changed without a look.
    Size,
    /// It differs from the last ones of its workflow.
    Drift,
}

impl WaitsFor {
    /// The word used in the database and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            WaitsFor::Size => "size",
            WaitsFor::Drift => "drift",
        }
    }
}

/// Counts of a batch by name: `lines`, `result/ok`, `fate/applied`,
/// `reason/refused`, `set/priority/urgent`.
pub type Counts = BTreeMap<String, i64>;

/// What is done about a line whose ticket a person has changed since it was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Changed {
    /// A person decides.
    #[default]
    Hold,
    /// It is left out.
    Skip,
}

/// What tunes batches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// A change-set with more lines than this waits for a person.
    pub preview_over: i64,
    /// So large a change of a share, 0 to 1, is drift.
    pub drift: f64,
    /// What is done about tickets that have changed.
    pub changed: Changed,
    /// Whether lines that OpenAI did not execute are sent again, once.
    pub requeue: bool,
    /// Lines a minute that are applied at most; 0: as fast as it goes.
    pub pace: i64,
    /// Lines that have jobs at the same time.
    pub window: i64,
    /// After so many failed lines applying stops by itself.
    pub stop_after: i64,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            preview_over: 50,
            drift: 0.15,
            changed: Changed::Hold,
            requeue: true,
            pace: 0,
            window: 200,
            stop_after: 10,
        }
    }
}

/// The resource id of a line: no OpenAI id holds a slash.
#[must_use]
pub fn line_id(resource_id: &str, custom_id: &str) -> String {
    format!("{resource_id}/{custom_id}")
}

/// The batch and the custom id of a line's resource id; none for any other.
#[must_use]
pub fn split_line_id(id: &str) -> Option<(&str, &str)> {
    id.split_once('/').filter(|(batch, custom_id)| !batch.is_empty() && !custom_id.is_empty())
}

/// The ticket that a `custom_id` names: itself, or what is before its first `:`.
#[must_use]
pub fn ticket_of(custom_id: &str) -> &str {
    custom_id.split_once(':').map_or(custom_id, |(ticket, _)| ticket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back() {
        assert!(State::ALL.into_iter().all(|state| State::parse(state.word()) == Some(state)));
        assert!(LineResult::ALL.into_iter().all(|result| LineResult::parse(result.word()) == Some(result)));
        assert!(Fate::ALL.into_iter().all(|fate| Fate::parse(fate.word()) == Some(fate)));
        assert_eq!((State::parse("x"), Fate::parse(""), Origin::parse("?")), (None, None, None));
    }

    #[test]
    fn a_line_is_named_by_its_batch_and_its_custom_id() {
        assert_eq!(split_line_id(&line_id("batch_1", "T-1/x:y")), Some(("batch_1", "T-1/x:y")));
        for other in ["batch_1", "resp_1", "/T-1", "batch_1/", ""] {
            assert_eq!(split_line_id(other), None, "{other}");
        }
    }

    #[test]
    fn a_custom_id_is_a_ticket_or_begins_with_one() {
        for (custom_id, ticket) in [("T-1", "T-1"), ("T-1:cls:v3", "T-1"), ("T-1:", "T-1"), (":x", ""), ("", "")] {
            assert_eq!(ticket_of(custom_id), ticket, "{custom_id}");
        }
    }
}
