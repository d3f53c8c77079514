//! What is told of an alert, and when.

/// Which message about an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// The condition is there, or still there.
    Opened,
    /// It is over.
    Recovered,
    /// Something happened once.
    Notice,
}

impl Word {
    /// The word used in the database and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Word::Opened => "opened",
            Word::Recovered => "recovered",
            Word::Notice => "notice",
        }
    }

    /// What has this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Word> {
        [Word::Opened, Word::Recovered, Word::Notice].into_iter().find(|known| known.word() == word)
    }
}

/// The time before which nothing older matters to [`quiet_ms`], in ms.
pub const LOOK_BACK_MS: i64 = 86_400_000;

/// How long a condition that comes and goes is left untold after it was told
/// `tellings` times within a day: a quarter of an hour, doubled each time, four
/// hours at most. The first is told at once.
#[must_use]
pub fn quiet_ms(tellings: i64) -> i64 {
    const FIRST_MS: i64 = 15 * 60_000;
    const LONGEST_MS: i64 = 4 * 3_600_000;
    match u32::try_from(tellings - 1) {
        Err(_) => 0,
        Ok(doublings) => FIRST_MS.saturating_mul(1 << doublings.min(10)).min(LONGEST_MS),
    }
}

/// How long after the `attempt`-th failed attempt a message is tried again: ten
/// seconds, doubled each time, a quarter of an hour at most. None when it was
/// due more than a day ago: then it is given up. All in ms.
#[must_use]
pub fn next_attempt_ms(attempt: i64, since_ms: i64, now_ms: i64) -> Option<i64> {
    const FIRST_MS: i64 = 10_000;
    const LONGEST_MS: i64 = 15 * 60_000;
    const GIVE_UP_MS: i64 = 86_400_000;
    let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(10);
    let wait_ms = FIRST_MS.saturating_mul(1 << doublings).min(LONGEST_MS);
    (now_ms - since_ms < GIVE_UP_MS).then_some(now_ms + wait_ms)
}

#[cfg(test)]
mod tests {
    use super::{Word, next_attempt_ms, quiet_ms};

    #[test]
    fn the_first_telling_is_at_once_and_the_quiet_after_each_doubles_up_to_four_hours() {
        let minutes: Vec<i64> = (0..8).map(|tellings| quiet_ms(tellings) / 60_000).collect();
        assert_eq!(minutes, [0, 15, 30, 60, 120, 240, 240, 240]);
    }

    #[test]
    fn attempts_are_spaced_wider_each_time_and_end_after_a_day() {
        let waits: Vec<i64> = (1..=8).map(|attempt| next_attempt_ms(attempt, 0, 0).expect("not given up")).collect();
        assert_eq!(waits, [10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 900_000]);
        assert_eq!(next_attempt_ms(100, 0, 86_399_999), Some(87_299_999));
        assert_eq!(next_attempt_ms(100, 0, 86_400_000), None);
    }

    #[test]
    fn each_word_is_read_as_it_is_written() {
        for word in [Word::Opened, Word::Recovered, Word::Notice] {
            assert_eq!(Word::parse(word.word()), Some(word));
        }
        assert_eq!(Word::parse("reminded"), None);
    }
}
