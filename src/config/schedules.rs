//! Batches that begin by the clock.

use serde::Deserialize;

use super::{Config, ConfigError, DEFAULT_PROJECT, Wait, is_name, wrong};
use crate::domain::batch::schedule::{self, NoSuchTimes, When};
use crate::domain::batch::{Filter, Select, Wanted};

/// One schedule, as `[schedules.nightly]` states it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in config.example.toml")]
pub struct Schedule {
    // Asked for below: told here, what is missing would be told at any other key's place.
    #[serde(default)]
    pub workflow: String,
    #[serde(default)]
    pub cron: String,
    #[serde(default)]
    pub timezone: String,
    pub project: Option<String>,
    pub status: Option<String>,
    pub queue: Option<String>,
    pub tag: Option<String>,
    pub older_than: Option<Wait>,
    pub newer_than: Option<Wait>,
    #[serde(default)]
    pub unclassified: bool,
    pub cap: Option<i64>,
    pub budget_tokens: Option<i64>,
}

impl Config {
    /// The schedules, as the back office takes them.
    ///
    /// # Errors
    /// The setting that makes no sense, and why.
    pub fn schedules(&self) -> Result<Vec<schedule::Schedule>, ConfigError> {
        self.schedules.iter().map(|(name, stated)| self.schedule(name, stated)).collect()
    }

    fn schedule(&self, name: &str, stated: &Schedule) -> Result<schedule::Schedule, ConfigError> {
        let refused = |key: &str, why: &str| Err(wrong(format!("schedules.{name}.{key} {why}")));
        if !is_name(name) {
            return Err(wrong("a schedule's name is 1 to 64 letters, digits, _ or -"));
        }
        let asked = [("workflow", &stated.workflow), ("cron", &stated.cron), ("timezone", &stated.timezone)];
        if let Some((missing, _)) = asked.iter().find(|(_, text)| text.is_empty()) {
            return Err(wrong(format!("schedules.{name}: {missing} is missing")));
        }
        let project = stated.project.as_deref().unwrap_or(DEFAULT_PROJECT);
        if project != DEFAULT_PROJECT && !self.projects.contains_key(project) {
            return refused("project", "is not one of the projects in these settings");
        }
        if stated.cap.is_some_and(|cap| cap < 1) {
            return refused("cap", "must be at least 1");
        }
        if stated.budget_tokens.is_some_and(|budget| budget < 1) {
            return refused("budget_tokens", "must be at least 1");
        }
        let when = match When::read(&stated.cron, &stated.timezone) {
            Ok(when) => when,
            Err(NoSuchTimes::Zone) => return refused("timezone", &NoSuchTimes::Zone.to_string()),
            Err(NoSuchTimes::Cron(why)) => {
                let hint = "minute, hour, day, month and weekday are asked for, as \"0 2 * * *\"";
                return refused("cron", &format!("cannot be read ({why}); {hint}"));
            }
            Err(NoSuchTimes::Never) => return refused("cron", "names a day that never comes"),
        };
        Ok(schedule::Schedule {
            name: name.to_owned(),
            project: project.to_owned(),
            workflow: stated.workflow.clone(),
            when,
            wanted: stated.wanted(),
        })
    }
}

impl Schedule {
    fn wanted(&self) -> Wanted {
        let filter = Filter {
            status: self.status.clone(),
            queue: self.queue.clone(),
            tag: self.tag.clone(),
            older_than_ms: self.older_than.map(Wait::ms),
            newer_than_ms: self.newer_than.map(Wait::ms),
            unclassified: self.unclassified,
        };
        Wanted { select: Select::Filter(filter), cap: self.cap, budget_tokens: self.budget_tokens }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHTLY: &str =
        "[schedules.nightly]\nworkflow = \"classification\"\ncron = \"0 2 * * *\"\ntimezone = \"Europe/Berlin\"\n";

    fn load(text: &str) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        Config::load(Some(file.path()), &|_| None)
    }

    #[test]
    fn a_schedule_says_when_and_what() {
        let more = "status = \"open\"\nunclassified = true\nolder_than = \"1h\"\ncap = 2000\nbudget_tokens = 1000000\n";
        let schedules = load(&format!("{NIGHTLY}{more}")).expect("loads").schedules().expect("makes sense");
        let nightly = &schedules[0];
        assert_eq!((nightly.name.as_str(), nightly.project.as_str()), ("nightly", DEFAULT_PROJECT));
        assert_eq!(nightly.when.stated(), "0 2 * * * Europe/Berlin");
        let Select::Filter(filter) = &nightly.wanted.select else { panic!("a filter") };
        assert_eq!(
            (filter.status.as_deref(), filter.unclassified, filter.older_than_ms),
            (Some("open"), true, Some(3_600_000))
        );
        assert_eq!((nightly.wanted.cap, nightly.wanted.budget_tokens), (Some(2000), Some(1_000_000)));
    }

    #[test]
    fn nonsense_is_refused_with_its_line() {
        let cases = [
            (NIGHTLY.replace("0 2 * * *", "0 2"), ":3: schedules.nightly.cron cannot be read"),
            (NIGHTLY.replace("0 2 * * *", "0 2 31 2 *"), ":3: schedules.nightly.cron names a day that never comes"),
            (NIGHTLY.replace("Berlin", "Atlantis"), ":4: schedules.nightly.timezone is not a time zone"),
            (format!("{NIGHTLY}cap = 0"), ":5: schedules.nightly.cap must be at least 1"),
            (format!("{NIGHTLY}budget_tokens = -1"), ":5: schedules.nightly.budget_tokens must be at least 1"),
            (format!("{NIGHTLY}project = \"emea\""), ":5: schedules.nightly.project is not one of the projects"),
            (format!("{NIGHTLY}every = \"1d\""), ":5: schedules.nightly.every: unknown field"),
            (NIGHTLY.replace("timezone", "# timezone"), "schedules.nightly: timezone is missing"),
            (NIGHTLY.replace("nightly", "\"a b\""), "a schedule's name is"),
        ];
        for (text, expected) in cases {
            let error = load(&text).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
