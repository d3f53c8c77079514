//! Our record that work was started at OpenAI, for which ticket and workflow.

/// The metadata key that holds our submission's id. It is what finds the way
/// back when the webhook overtakes the answer to our own call.
pub const SUBMISSION_KEY: &str = "fd_submission";

/// Names of the metadata keys that place work, whoever started it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataKeys {
    /// Holds the ticket's id.
    pub ticket: String,
    /// Holds the workflow's name.
    pub workflow: String,
}

/// Which ticket and workflow a resource belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The ticket's id.
    pub ticket_id: String,
    /// The workflow's name.
    pub workflow: String,
    /// Our submission, when we started the work ourselves.
    pub submission_id: Option<String>,
    /// The ticket's revision that the work was made from, when we know it.
    pub ticket_revision: Option<i64>,
    /// When the work was made from the ticket, in ms: of two results the one
    /// made later is the newer one, whichever comes first.
    pub made_at_ms: Option<i64>,
    /// Which prompt, when we know it.
    pub prompt_version: Option<String>,
    /// The failed resource that this work takes the place of.
    pub retry_of: Option<String>,
}

/// What a submission asked OpenAI for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One background response.
    Response,
    /// A batch.
    Batch,
}

impl Kind {
    /// The word used in the database and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Response => "response",
            Kind::Batch => "batch",
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Kind> {
        [Kind::Response, Kind::Batch].into_iter().find(|kind| kind.word() == word)
    }

    /// How long OpenAI may take without being late, in ms. A batch has one
    /// completion window, `24h`; a response as we start it has none.
    #[must_use]
    pub fn window_ms(self) -> i64 {
        match self {
            Kind::Response => 0,
            Kind::Batch => 86_400_000,
        }
    }
}

/// Where a submission stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// To be started by a worker.
    Planned,
    /// The call is being made.
    Starting,
    /// OpenAI has it.
    Started,
    /// OpenAI refused it, or it was never sent.
    Refused,
    /// The call ended without an answer: it may run.
    Unknown,
    /// Its result has been dealt with, or a person closed it.
    Ended,
    /// Neither an answer nor a webhook by the deadline: nobody can find it any
    /// more. A late webhook still ends it.
    Lost,
}

impl State {
    /// Every state.
    pub const ALL: [State; 7] =
        [State::Planned, State::Starting, State::Started, State::Refused, State::Unknown, State::Ended, State::Lost];

    /// The word used in the database, the API and the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            State::Planned => "planned",
            State::Starting => "starting",
            State::Started => "started",
            State::Refused => "refused",
            State::Unknown => "unknown",
            State::Ended => "ended",
            State::Lost => "lost",
        }
    }

    /// The state with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether a person may close it: what hangs, and what moves but is past
    /// its deadline.
    #[must_use]
    pub fn may_be_closed(self, is_overdue: bool) -> bool {
        match self {
            State::Refused | State::Unknown | State::Lost => true,
            State::Planned | State::Starting | State::Started => is_overdue,
            State::Ended => false,
        }
    }
}

/// How long started work is left alone, and what then happens. All in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// After this long a webhook is late, and OpenAI is asked instead.
    pub after_ms: i64,
    /// How often late work is looked for.
    pub every_ms: i64,
    /// After this long somebody is told.
    pub deadline_ms: i64,
}

impl Patience {
    /// No longer than results are kept: what is asked for only after OpenAI has
    /// forgotten it is lost. A third, so that one failed look is not the last.
    #[must_use]
    pub fn within(self, retention_ms: i64) -> Patience {
        Patience { after_ms: self.after_ms.min((retention_ms / 3).max(1)), ..self }
    }

    /// When OpenAI is asked for the first time.
    #[must_use]
    pub fn first_check_ms(&self, kind: Kind, started_ms: i64) -> i64 {
        started_ms.saturating_add(self.pace_ms(kind))
    }

    /// When somebody is told. A batch has its completion window on top.
    #[must_use]
    pub fn deadline_at_ms(&self, kind: Kind, started_ms: i64) -> i64 {
        started_ms.saturating_add(kind.window_ms()).saturating_add(self.deadline_ms)
    }

    /// When OpenAI is asked again after look number `polls` (from 1) at
    /// `now_ms`. Responses often end shortly after the first look, so the waits
    /// begin short and double up to the usual one; `advised_ms`, what OpenAI
    /// asks for, is the least.
    #[must_use]
    pub fn next_check_ms(&self, kind: Kind, polls: i64, advised_ms: Option<i64>, now_ms: i64) -> i64 {
        let doublings = u32::try_from(polls.clamp(1, 63) - 1).unwrap_or(0);
        let doubled = self.every_ms.saturating_mul(1_i64.checked_shl(doublings).unwrap_or(i64::MAX));
        let wait = match kind {
            Kind::Response => doubled.min(self.pace_ms(kind)),
            Kind::Batch => self.pace_ms(kind),
        };
        now_ms.saturating_add(wait.max(self.every_ms).max(advised_ms.unwrap_or(0)))
    }

    /// Between two looks at work that takes its time: a window is looked at two
    /// dozen times.
    fn pace_ms(&self, kind: Kind) -> i64 {
        self.after_ms.max(kind.window_ms() / 24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { after_ms: 600_000, every_ms: 30_000, deadline_ms: 3_600_000 };
    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn a_late_response_is_asked_for_at_doubling_distances_up_to_the_usual_one() {
        assert_eq!(PATIENCE.first_check_ms(Kind::Response, 7), 600_007);
        assert_eq!(PATIENCE.deadline_at_ms(Kind::Response, 7), HOUR_MS + 7);
        let waits: Vec<i64> = (1..=7).map(|polls| PATIENCE.next_check_ms(Kind::Response, polls, None, 0)).collect();
        assert_eq!(waits, [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]);
        for polls in [0, -1, 62, 63, 64, i64::MAX] {
            let wait = PATIENCE.next_check_ms(Kind::Response, polls, None, 0);
            assert!((30_000..=600_000).contains(&wait), "{polls}: {wait}");
        }
    }

    #[test]
    fn a_batch_is_looked_at_two_dozen_times_in_its_window_and_late_only_after_it() {
        assert_eq!(PATIENCE.first_check_ms(Kind::Batch, 7), HOUR_MS + 7);
        assert_eq!(PATIENCE.next_check_ms(Kind::Batch, 1, None, 7), HOUR_MS + 7);
        assert_eq!(PATIENCE.deadline_at_ms(Kind::Batch, 7), 25 * HOUR_MS + 7);
        let slow = Patience { after_ms: 2 * HOUR_MS, ..PATIENCE };
        assert_eq!(slow.first_check_ms(Kind::Batch, 0), 2 * HOUR_MS, "the setting counts when it is the longer one");
    }

    #[test]
    fn what_openai_advises_is_the_least_and_never_shortens_a_wait() {
        assert_eq!(PATIENCE.next_check_ms(Kind::Response, 1, Some(45_000), 0), 45_000);
        assert_eq!(PATIENCE.next_check_ms(Kind::Response, 1, Some(1), 0), 30_000);
        assert_eq!(PATIENCE.next_check_ms(Kind::Batch, 1, Some(2 * HOUR_MS), 0), 2 * HOUR_MS);
    }

    #[test]
    fn results_that_openai_keeps_for_minutes_are_asked_for_before_they_are_gone() {
        assert_eq!(PATIENCE.within(600_000).after_ms, 200_000);
        assert_eq!(PATIENCE.within(30 * 24 * HOUR_MS), PATIENCE);
        assert_eq!(PATIENCE.within(0).after_ms, 1);
    }

    #[test]
    fn what_hangs_may_be_closed_and_what_moves_only_when_it_is_late() {
        for state in State::ALL {
            assert_eq!(State::parse(state.word()), Some(state));
            let moves = matches!(state, State::Planned | State::Starting | State::Started);
            assert_eq!(state.may_be_closed(true), state != State::Ended, "{state:?}");
            assert_eq!(state.may_be_closed(false), state != State::Ended && !moves, "{state:?}");
        }
    }
}
