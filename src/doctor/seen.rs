//! Looks at everything once. Nothing is judged here.

use std::path::{Path, PathBuf};

use futures_util::future::join_all;

use super::Place;
use super::round_trip::{self, Trip};
use crate::config::{Config, ProjectSettings};
use crate::domain::policy::Policy;
use crate::openai::{self, Endpoint, Probe};
use crate::store::{Alert, Counts, Facts, Restored, Store};

/// Limits of one call, in ms.
const CONNECT_MS: u64 = 5_000;
const READ_MS: u64 = 10_000;
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Files whose place the environment names, and that hold a secret.
const SECRET_FILES: [&str; 2] = ["OPENAI_WEBHOOK_SECRET_FILE", "OPENAI_API_KEY_FILE"];

/// All that was seen.
pub(super) struct Seen {
    pub(super) now_ms: i64,
    pub(super) settings: Result<Settings, String>,
}

/// What can only be looked at with settings that load.
pub(super) struct Settings {
    pub(super) config: Config,
    /// Files that hold secrets, with their mode.
    pub(super) secret_files: Vec<(PathBuf, u32)>,
    pub(super) policy: Result<Policy, String>,
    pub(super) projects: Result<Vec<Project>, String>,
    pub(super) database: Result<Database, String>,
}

/// One OpenAI project.
pub(super) struct Project {
    pub(super) settings: ProjectSettings,
    /// None without a key.
    pub(super) key: Option<Result<Calls, String>>,
    pub(super) trip: Trip,
}

/// What OpenAI answered.
pub(super) struct Calls {
    pub(super) may_read: Probe<()>,
    pub(super) endpoints: Probe<Vec<Endpoint>>,
}

/// The file of a database.
pub(super) struct DatabaseFile {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    /// Room on its disk, in bytes.
    pub(super) free_bytes: Option<u64>,
}

/// The database.
pub(super) struct Database {
    /// Where it is a file of ours.
    pub(super) file: Option<DatabaseFile>,
    pub(super) facts: Facts,
    pub(super) counts: Counts,
    pub(super) alerts: Vec<Alert>,
    pub(super) restored: Option<Restored>,
}

impl Seen {
    pub(super) async fn look(place: &Place<'_>) -> Seen {
        let now_ms = place.clock.now_ms();
        let settings = match Config::load(place.file.as_deref(), place.env) {
            Ok(config) => Ok(Settings::look(place, config).await),
            Err(error) => Err(error.to_string()),
        };
        Seen { now_ms, settings }
    }
}

impl Settings {
    async fn look(place: &Place<'_>, config: Config) -> Settings {
        let store = open(&config);
        let projects = match config.projects() {
            Ok(projects) => Ok(join_all(
                projects.into_iter().map(|project| Project::look(place, &config, project, store.as_ref().ok())),
            )
            .await),
            Err(error) => Err(error.to_string()),
        };
        // After the round trips: they are among what is counted.
        let database = match store {
            Ok(store) => Database::look(&store, place.clock.now_ms()).await,
            Err(error) => Err(error),
        };
        Settings {
            secret_files: secret_files(place, &config),
            policy: (place.policy)(&config),
            config,
            projects,
            database,
        }
    }
}

/// The database as it is: it is neither made nor brought up to date.
fn open(config: &Config) -> Result<Store, String> {
    let location = config.database().map_err(|error| error.to_string())?;
    if location.file().is_some_and(|file| !file.exists()) {
        return Err(format!("there is no database at {location}"));
    }
    Store::open(&location, false).map_err(|error| error.to_string())
}

/// Files with secrets: those that the environment names, and the settings file
/// when it holds one.
fn secret_files(place: &Place<'_>, config: &Config) -> Vec<(PathBuf, u32)> {
    let alerts = &config.alerts;
    let of_channels = [
        alerts.email.as_ref().and_then(|email| email.password_file.clone()),
        alerts.slack.as_ref().and_then(|slack| slack.url_file.clone()),
        alerts.webhook.as_ref().and_then(|webhook| webhook.secret_file.clone()),
    ];
    // The address of a Slack channel is a secret, and so is a file that holds it.
    let address = alerts.slack.as_ref().is_some_and(|slack| slack.url.is_some());
    let named = SECRET_FILES.iter().filter_map(|name| (place.env)(name)).map(PathBuf::from);
    let holds_one = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let sets = |line: &str| {
            let key = line.split('=').next().unwrap_or_default().trim();
            matches!(key, "webhook_secret" | "api_key" | "token" | "password" | "secret") && line.contains('=')
        };
        address || text.lines().any(sets)
    };
    let settings = place.file.clone().filter(holds_one);
    named
        .chain(of_channels.into_iter().flatten())
        .chain(settings)
        .filter_map(|file| mode(&file).map(|mode| (file, mode)))
        .collect()
}

fn mode(file: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(std::fs::metadata(file).ok()?.permissions().mode() & 0o777)
}

impl Project {
    async fn look(place: &Place<'_>, config: &Config, settings: ProjectSettings, store: Option<&Store>) -> Project {
        let trip = round_trip::make(config.public_url.as_deref(), &settings, store, &place.clock);
        let (key, trip) = tokio::join!(calls(&settings), trip);
        Project { settings, key, trip }
    }
}

async fn calls(project: &ProjectSettings) -> Option<Result<Calls, String>> {
    let api_key = project.api_key.as_ref()?.reveal().to_owned();
    let settings = openai::Settings {
        base_url: project.base_url.clone(),
        api_key: Some(api_key),
        connect_timeout_ms: CONNECT_MS,
        read_timeout_ms: READ_MS,
        max_body_bytes: MAX_BODY_BYTES,
    };
    let client = match openai::Client::new(settings) {
        Ok(client) => client,
        Err(error) => return Some(Err(error.to_string())),
    };
    let (may_read, endpoints) = tokio::join!(client.may_read(), client.webhook_endpoints());
    Some(Ok(Calls { may_read, endpoints }))
}

impl DatabaseFile {
    fn look(path: &Path) -> DatabaseFile {
        DatabaseFile {
            path: path.to_owned(),
            mode: mode(path).unwrap_or(0),
            free_bytes: rustix::fs::statvfs(path).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
        }
    }
}

impl Database {
    async fn look(store: &Store, now_ms: i64) -> Result<Database, String> {
        let said = |error: crate::store::StoreError| error.to_string();
        Ok(Database {
            file: store.location().file().map(DatabaseFile::look),
            facts: store.facts(now_ms).await.map_err(said)?,
            counts: store.counts().await.map_err(said)?,
            alerts: store.open_alerts().await.map_err(said)?,
            restored: store.restored().await.map_err(said)?,
        })
    }
}
