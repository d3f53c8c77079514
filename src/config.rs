//! Settings: a file, then the environment over it. Unknown keys and nonsense
//! are refused at start with file, line and a hint; nothing is guessed.

mod alerts;
mod batches;
mod console;
mod environment;
mod helpdesk;
mod insights;
mod places;
mod retention;
mod schedules;
mod workflows;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use alerts::{Alerts, Email, Slack, Webhook};

use crate::domain::secret::{self, Secret};
pub use crate::domain::wait::Wait;
use crate::store::{Location, PoolSize};
use crate::telemetry::LogFormat;
use retention::OfProject;

pub use batches::Batch;
pub use console::Console;
pub use helpdesk::{Helpdesk, Kind as HelpdeskKind, Starts as HelpdeskStarts};
pub use insights::Insights;
use places::{at, explain, first_wrong, line_near, place_in, place_near};
pub use retention::{Mode, Privacy, Retention};
pub use schedules::Schedule;
pub use workflows::Workflows;

/// Every setting with its default, and one line of explanation each.
pub const EXAMPLE: &str = include_str!("config.example.toml");

/// The project that `/webhooks/openai` belongs to.
pub const DEFAULT_PROJECT: &str = "default";

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

fn wrong(text: impl Into<String>) -> ConfigError {
    ConfigError(text.into())
}

/// Text that must never be shown.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// All settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in config.example.toml, which a test holds complete")]
pub struct Config {
    pub listen: std::net::SocketAddr,
    pub database_url: Hidden,
    pub postgres: Postgres,
    pub public_url: Option<String>,
    pub log: Log,
    pub openai: OpenAi,
    pub metadata: Metadata,
    pub http: Http,
    pub worker: WorkerWaits,
    pub retry: Retry,
    pub audit: Audit,
    pub reconcile: Reconcile,
    pub review: Review,
    pub batch: Batch,
    #[serde(default)]
    pub schedules: BTreeMap<String, Schedule>,
    pub retention: Retention,
    pub privacy: Privacy,
    #[serde(default)]
    pub policy: PolicyFile,
    pub alerts: Alerts,
    pub console: Console,
    pub helpdesk: Helpdesk,
    #[serde(default)]
    pub insights: Insights,
    #[serde(default)]
    pub metrics: MetricsAccess,
    pub workflows: Workflows,
    #[serde(default)]
    pub projects: BTreeMap<String, Project>,
    /// Where it comes from.
    #[serde(skip)]
    file: Option<PathBuf>,
}

macro_rules! section {
    ($name:ident { $($field:ident : $type:ty),* $(,)? }) => {
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs, reason = "each is explained in config.example.toml")]
        pub struct $name { $(pub $field: $type),* }
    };
}

section!(Postgres { writers: usize, readers: usize });
section!(Log { filter: String, format: String });
section!(OpenAi {
    webhook_secret: Option<Hidden>,
    api_key: Option<Hidden>,
    base_url: String,
    model: String,
    retention: Option<Wait>,
    zero_data_retention: bool,
    connect_timeout: Wait,
    read_timeout: Wait,
    max_body_bytes: usize,
    probe_first: Wait,
    probe_max: Wait,
});
section!(Metadata { ticket_key: String, workflow_key: String });
section!(Http { header_timeout: Wait, body_timeout: Wait, max_connections: usize, drain: Wait });
section!(WorkerWaits { lease: Wait, heartbeat: Wait, concurrency: usize, poll: Wait });
section!(Retry { first: Wait, max: Wait, attempts: i64 });
section!(Audit { overdue: Wait });
section!(Reconcile { after: Wait, every: Wait, deadline: Wait, resubmit_after: Wait });
section!(Review { claim: Wait, overdue: Wait });
section!(Project {
    webhook_secret: Option<Hidden>,
    api_key: Option<Hidden>,
    base_url: Option<String>,
    retention: Option<Wait>,
    zero_data_retention: Option<bool>,
    privacy: Option<Mode>,
});

/// Where the policy is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// A TOML file; none: the built-in policy.
    pub file: Option<PathBuf>,
}

/// Who may read the metrics.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsAccess {
    /// A bearer token; none: everybody who can reach the port.
    pub token: Option<Hidden>,
}

/// What one OpenAI project needs, with the defaults filled in.
#[derive(Debug, Clone)]
pub struct ProjectSettings {
    /// Its name; `default` for the one at `/webhooks/openai`.
    pub name: String,
    /// Its signing secrets; empty when none are set.
    pub secrets: Vec<Secret>,
    /// Its key.
    pub api_key: Option<Hidden>,
    /// Ends in `/v1`.
    pub base_url: String,
    /// How long OpenAI keeps its results, in ms.
    pub retention_ms: i64,
    /// Whether OpenAI keeps nothing for longer than it must.
    pub zero_data_retention: bool,
    /// Whether content is kept here only while somebody works on it.
    pub ids_only: bool,
}

impl Config {
    /// The file that the settings come from; none: from the environment alone.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Reads the file (none: all defaults) and lays the environment over it.
    ///
    /// # Errors
    /// What is wrong, where, and what to do.
    pub fn load(file: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
        let mut table: toml::Table =
            EXAMPLE.parse().map_err(|error| wrong(format!("the built-in defaults: {error}")))?;
        if let Some(path) = file {
            lay_over(&mut table, read_file(path)?);
        }
        environment::lay_environment_over(&mut table, env)?;
        // The file has been read by itself, so this is about the one variable that is not just any text.
        let mut config: Config = table
            .try_into()
            .map_err(|error: toml::de::Error| wrong(format!("FRONTDESK_LISTEN: {}", explain(error.message()))))?;
        config.check().map_err(|ConfigError(text)| wrong(place_in(file, &text)))?;
        config.file = file.map(Path::to_owned);
        config.workflows.read_files(file.and_then(Path::parent)).map_err(|ConfigError(text)| config.refused(&text))?;
        Ok(config)
    }

    /// What is wrong with a setting, which the text names first, with its place
    /// in the file or the place of its section.
    #[must_use]
    pub fn refused(&self, text: &str) -> ConfigError {
        let place = self.file.as_ref().and_then(|file| place_near(file, text.split([':', ' ']).next()?));
        wrong(place.unwrap_or_default() + text)
    }

    /// Where the database is.
    ///
    /// # Errors
    /// When `database_url` names none that can be used.
    pub fn database(&self) -> Result<Location, ConfigError> {
        Location::parse(self.database_url.reveal()).map_err(|error| wrong(format!("database_url {error}")))
    }

    /// How many connections to PostgreSQL this process may hold.
    #[must_use]
    pub fn pool(&self) -> PoolSize {
        PoolSize { writers: self.postgres.writers, readers: self.postgres.readers }
    }

    /// All OpenAI projects, the default one first.
    ///
    /// # Errors
    /// When a signing secret cannot be used; says which and why, never shows it.
    pub fn projects(&self) -> Result<Vec<ProjectSettings>, ConfigError> {
        let OfProject { retention_ms, zero_data_retention, ids_only } = OfProject::of(self, None);
        let first = ProjectSettings {
            name: DEFAULT_PROJECT.to_owned(),
            secrets: secrets(self.openai.webhook_secret.as_ref(), "OPENAI_WEBHOOK_SECRET")?,
            api_key: self.openai.api_key.clone(),
            base_url: self.openai.base_url.clone(),
            retention_ms,
            zero_data_retention,
            ids_only,
        };
        let further = self.projects.iter().map(|(name, project)| {
            let OfProject { retention_ms, zero_data_retention, ids_only } = OfProject::of(self, Some(project));
            Ok(ProjectSettings {
                name: name.clone(),
                secrets: secrets(project.webhook_secret.as_ref(), &format!("projects.{name}.webhook_secret"))?,
                api_key: project.api_key.clone().or_else(|| self.openai.api_key.clone()),
                base_url: project.base_url.clone().unwrap_or_else(|| self.openai.base_url.clone()),
                retention_ms,
                zero_data_retention,
                ids_only,
            })
        });
        std::iter::once(Ok(first)).chain(further).collect()
    }

    /// What takes webhooks in needs a signing secret.
    ///
    /// # Errors
    /// When no project has one; says what to do.
    pub fn must_have_a_secret(projects: &[ProjectSettings]) -> Result<(), ConfigError> {
        if projects.iter().any(|project| !project.secrets.is_empty()) {
            return Ok(());
        }
        Err(wrong(
            "no signing secret: set OPENAI_WEBHOOK_SECRET to the whsec_… that OpenAI showed when the endpoint was made",
        ))
    }

    /// How log lines are written.
    #[must_use]
    pub fn log_format(&self) -> LogFormat {
        if self.log.format == "json" { LogFormat::Json } else { LogFormat::Text }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let (lease, heartbeat) = (self.worker.lease.ms(), self.worker.heartbeat.ms());
        let rules = [
            (
                heartbeat * 2 <= lease,
                "worker.heartbeat must be at most half of worker.lease, or a busy worker loses its jobs",
            ),
            ((1..=10_000).contains(&self.worker.concurrency), "worker.concurrency must be between 1 and 10000"),
            ((1..=1000).contains(&self.retry.attempts), "retry.attempts must be between 1 and 1000"),
            (self.retry.first.ms() <= self.retry.max.ms(), "retry.first must not be longer than retry.max"),
            (
                (1..=1_000_000).contains(&self.http.max_connections),
                "http.max_connections must be between 1 and 1000000",
            ),
            (
                (1024..=1 << 30).contains(&self.openai.max_body_bytes),
                "openai.max_body_bytes must be between 1 KiB and 1 GiB",
            ),
            (
                self.public_url.as_deref().is_none_or(is_public_url),
                "public_url must be as \"https://desk.example.com\", without what comes after the path",
            ),
            (matches!(self.log.format.as_str(), "text" | "json"), "log.format must be text or json"),
            (
                !self.projects.contains_key(DEFAULT_PROJECT),
                "projects.default is the [openai] section itself; choose another name",
            ),
            (self.projects.keys().all(|name| is_name(name)), "a project's name is 1 to 64 letters, digits, _ or -"),
            (
                self.metadata.ticket_key != self.metadata.workflow_key,
                "metadata.ticket_key and metadata.workflow_key must differ",
            ),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, text)) => Err(wrong(*text)),
            None => self
                .alerts
                .check()
                .and_then(|()| self.batch.check())
                .and_then(|()| self.console.check())
                .and_then(|()| self.insights.check())
                .and_then(|()| self.helpdesk.check())
                .and_then(|()| self.schedules().map(drop)),
        }
    }
}

fn is_public_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['?', '#', '@', ' ']))
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

fn secrets(text: Option<&Hidden>, name: &str) -> Result<Vec<Secret>, ConfigError> {
    match text {
        None => Ok(Vec::new()),
        Some(text) => secret::parse_list(text.reveal()).map_err(|error| wrong(format!("{name}: {error}"))),
    }
}

fn read_file(path: &Path) -> Result<toml::Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("{}: {error}", path.display())))?;
    // The whole file is checked on its own, for the line; a partial one is laid
    // over the defaults, so what is missing is no error here.
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(at(path, &text, &error)))?;
    let mut whole: toml::Table = EXAMPLE.parse().map_err(|error| wrong(format!("the built-in defaults: {error}")))?;
    lay_over(&mut whole, table.clone());
    if let Err(error) = Config::deserialize(whole) {
        let (setting, error) = first_wrong(&table).unwrap_or_else(|| ("settings".to_owned(), error));
        let line = line_near(&text, &setting);
        return Err(wrong(format!("{}{line}: {setting}: {}", path.display(), explain(error.message()))));
    }
    Ok(table)
}

fn lay_over(under: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            // A table of the team's own choosing replaces the default one whole.
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) if key != "queues" => lay_over(below, above),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        Config::load(Some(file.path()), &|_| None)
    }

    #[test]
    fn without_a_file_the_example_is_what_runs() {
        let config = Config::load(None, &|_| None).expect("loads");
        assert_eq!(config.worker.lease.ms(), 30_000);
        assert_eq!(config.retry.attempts, 12);
        assert_eq!(config.database().expect("sqlite"), Location::Sqlite(PathBuf::from("frontdesk.db")));
    }

    #[test]
    fn the_example_with_everything_uncommented_loads() {
        let all: String = EXAMPLE
            .lines()
            // Of another helpdesk than the one that the test takes.
            .filter(|line| !line.starts_with("# client_") && !line.starts_with("# account"))
            .map(|line| {
                line.strip_prefix("# ")
                    .filter(|rest| rest.contains(" = \"") || rest.contains(" = [") || rest.starts_with('['))
                    .unwrap_or(line)
            })
            .fold(String::new(), |text, line| text + line + "\n")
            .replace("kind = \"builtin\"", "kind = \"request_tracker\"")
            .replace("whsec_…", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let config = load(&all).expect("loads");
        assert_eq!(config.projects().expect("secrets").len(), 2);
        assert!(config.metrics.token.is_some());
    }

    #[test]
    fn every_setting_of_the_example_has_a_line_of_explanation_above_it() {
        let lines: Vec<&str> = EXAMPLE.lines().collect();
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.contains(" = ") && !line.starts_with('#'))
        {
            let explained = lines[..index]
                .iter()
                .rev()
                .take_while(|line| !line.is_empty() && !line.starts_with('['))
                .any(|line| line.starts_with('#'));
            assert!(explained, "{line}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_the_line_and_a_hint() {
        let cases = [
            ("listen = \"127.0.0.1:1\"\n[worker]\nconcurency = 3\n", ":3:", "unknown field"),
            ("[worker]\nlease = \"soon\"\n", "", "a number and a unit"),
            ("[worker]\nlease = \"10s\"\nheartbeat = \"9s\"\n", "", "at most half"),
            ("[retry\n", ":1:", ""),
            ("[retry]\nattempts = 0\n", "", "retry.attempts"),
            ("[openai]\napi_key = sk-secret\n", ":2:", ""),
        ];
        for (text, line, hint) in cases {
            let error = load(text).expect_err(text).to_string();
            assert!(error.contains(line) && error.contains(hint), "{text}: {error}");
            assert!(!error.contains("sk-secret"), "{error}");
        }
    }

    #[test]
    fn a_bad_secret_is_refused_by_name_and_never_shown() {
        let env = |name: &str| {
            (name == "OPENAI_WEBHOOK_SECRET").then(|| "v1,whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned())
        };
        let error = Config::load(None, &env).expect("loads").projects().expect_err("refused").to_string();
        assert!(error.starts_with("OPENAI_WEBHOOK_SECRET: ") && !error.contains("C2FVsB"), "{error}");
    }

    #[test]
    fn the_environment_goes_before_the_file_and_a_file_form_is_read() {
        let secret = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(secret.path(), "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n").expect("written");
        let path = secret.path().display().to_string();
        let env = move |name: &str| match name {
            "OPENAI_WEBHOOK_SECRET_FILE" => Some(path.clone()),
            "DATABASE_URL" => Some("sqlite:///tmp/other.db".to_owned()),
            _ => None,
        };
        let config = Config::load(None, &env).expect("loads");
        assert_eq!(config.projects().expect("secrets")[0].secrets.len(), 1);
        assert_eq!(config.database().expect("path"), Location::Sqlite(PathBuf::from("/tmp/other.db")));
    }
}
