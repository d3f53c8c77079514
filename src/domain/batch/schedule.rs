//! Batches that begin by the clock.

use std::fmt;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Wanted;

/// What was missed for no longer than this is made up, once, in ms.
const MADE_UP_MS: i64 = 12 * 3_600_000;

/// A batch that begins by the clock.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Its name in the settings.
    pub name: String,
    /// The OpenAI project.
    pub project: String,
    /// The workflow's name.
    pub workflow: String,
    /// When.
    pub when: When,
    /// Which tickets, and how many at most.
    pub wanted: Wanted,
}

/// Times of the clock on a wall somewhere. Where clocks are put forward over a
/// fixed time it comes right after; where they are put back it comes once.
#[derive(Clone)]
pub struct When {
    cron: Cron,
    zone: TimeZone,
    stated: String,
}

/// Why there are no such times.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchTimes {
    /// The pattern cannot be read.
    #[error("{0}")]
    Cron(String),
    /// Nobody knows the time zone.
    #[error("is not a time zone; they are named as Europe/Berlin, or UTC")]
    Zone,
    /// The pattern names no day that there is.
    #[error("never comes")]
    Never,
}

/// What a look at the clock finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// What is to begin now: when it was due, in ms.
    pub now: Option<i64>,
    /// When it is due again, in ms; far away when never.
    pub next_ms: i64,
}

impl When {
    /// Reads minute, hour, day, month and weekday, and the name of a time zone.
    ///
    /// # Errors
    /// [`NoSuchTimes`]
    pub fn read(cron: &str, zone: &str) -> Result<When, NoSuchTimes> {
        let stated = format!("{} {zone}", cron.split_whitespace().collect::<Vec<_>>().join(" "));
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(cron).map_err(|error| NoSuchTimes::Cron(error.to_string()))?;
        let zone = TimeZone::get(zone).map_err(|_| NoSuchTimes::Zone)?;
        let when = When { cron, zone, stated };
        // Any time will do: the pattern repeats itself.
        when.next_ms(0).ok_or(NoSuchTimes::Never)?;
        Ok(when)
    }

    /// The pattern and the time zone, as read.
    #[must_use]
    pub fn stated(&self) -> &str {
        &self.stated
    }

    /// The first time after this one, in ms.
    #[must_use]
    pub fn next_ms(&self, after_ms: i64) -> Option<i64> {
        let after = Timestamp::from_millisecond(after_ms).ok()?.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&after, false).ok()?;
        Some(next.timestamp().as_millisecond())
    }

    /// What is to begin at `now_ms` of what was to begin next at `next_ms`. Of
    /// several that were missed it is the last one, and only a recent one.
    #[must_use]
    pub fn due(&self, next_ms: i64, now_ms: i64) -> Due {
        let recent_ms = now_ms.saturating_sub(MADE_UP_MS);
        let mut at_ms = if next_ms > recent_ms { Some(next_ms) } else { self.next_ms(recent_ms) };
        let mut now = None;
        while let Some(due_ms) = at_ms.filter(|at_ms| *at_ms <= now_ms) {
            now = Some(due_ms);
            at_ms = self.next_ms(due_ms);
        }
        Due { now, next_ms: at_ms.unwrap_or(i64::MAX) }
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn nightly() -> When {
        When::read("0 2 * * *", "Europe/Berlin").unwrap()
    }

    fn next(when: &When, after: &str) -> String {
        Timestamp::from_millisecond(when.next_ms(ms(after)).unwrap()).unwrap().to_string()
    }

    #[test]
    fn two_in_the_night_is_two_on_the_wall_in_winter_and_in_summer() {
        assert_eq!(next(&nightly(), "2026-01-10T12:00:00Z"), "2026-01-11T01:00:00Z");
        assert_eq!(next(&nightly(), "2026-07-10T12:00:00Z"), "2026-07-11T00:00:00Z");
        assert_eq!(next(&nightly(), "2026-07-11T00:00:00Z"), "2026-07-12T00:00:00Z", "after, not at");
    }

    #[test]
    fn a_night_without_two_o_clock_has_its_run_right_after_and_one_with_two_of_them_one() {
        // Clocks go from 02:00 to 03:00, which is 01:00 UTC.
        assert_eq!(next(&nightly(), "2026-03-28T12:00:00Z"), "2026-03-29T01:00:00Z");
        assert_eq!(next(&nightly(), "2026-03-29T01:00:00Z"), "2026-03-30T00:00:00Z");
        // Clocks go from 03:00 back to 02:00, which is 01:00 UTC.
        assert_eq!(next(&nightly(), "2026-10-24T12:00:00Z"), "2026-10-25T00:00:00Z");
        assert_eq!(next(&nightly(), "2026-10-25T00:00:00Z"), "2026-10-26T01:00:00Z");
    }

    #[test]
    fn what_was_missed_is_made_up_once_and_only_when_it_is_recent() {
        let (when, due_ms) = (nightly(), ms("2026-07-11T00:00:00Z"));
        let due = |now_ms| when.due(due_ms, now_ms);
        assert_eq!(due(due_ms - 1), Due { now: None, next_ms: due_ms });
        for late_ms in [0, 1, 12 * HOUR_MS - 1] {
            assert_eq!(due(due_ms + late_ms), Due { now: Some(due_ms), next_ms: due_ms + 24 * HOUR_MS }, "{late_ms}");
        }
        assert_eq!(due(due_ms + 12 * HOUR_MS), Due { now: None, next_ms: due_ms + 24 * HOUR_MS });
        // A week later the last night's is recent again.
        let later_ms = due_ms + 7 * 24 * HOUR_MS;
        assert_eq!(due(later_ms + HOUR_MS), Due { now: Some(later_ms), next_ms: later_ms + 24 * HOUR_MS });
        let often = When::read("*/5 * * * *", "UTC").unwrap();
        assert_eq!(often.due(due_ms, due_ms + HOUR_MS).now, Some(due_ms + HOUR_MS), "the last of many");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for cron in ["", "0 2 * *", "0 0 2 * * *", "61 2 * * *", "0 25 * * *", "at two", "0 2 * * * 2027 1"] {
            assert!(matches!(When::read(cron, "UTC"), Err(NoSuchTimes::Cron(_))), "{cron}");
        }
        assert_eq!(When::read("0 2 * * *", "Europe/Atlantis").unwrap_err(), NoSuchTimes::Zone);
        assert_eq!(When::read("0 2 30 2 *", "UTC").unwrap_err(), NoSuchTimes::Never);
    }
}
