//! The one place that builds everything.

mod connect;
mod hear;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

pub use connect::{connect, outside};

use crate::clock::Clock;
use crate::config::{Config, DEFAULT_PROJECT, ProjectSettings, Reconcile, Wait};
use crate::console::{self, Console};
use crate::domain::batch::schedule::Schedule;
use crate::domain::job::RetryPolicy;
use crate::domain::policy::Policy;
use crate::domain::secret::Secret;
use crate::domain::submission::{MetadataKeys, Patience};
use crate::domain::verify::Verifier;
use crate::intake::{self, FrontDesk};
use crate::node;
use crate::notify::{Channel, EmailSettings, Sender};
use crate::people::People;
use crate::store::{Store, UsedPolicy};
use crate::submit::{self, Submitter};
use crate::telemetry::Metrics;
use crate::trial::Trial;
use crate::web::{self, Web};
use crate::worker::{Pool, Worker};
use crate::workflows::{self, Catalogue};
use crate::{config, doctor, http, openai, shapes, worker};

/// What a process does. Health and metrics are always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Takes webhooks.
    pub intake: bool,
    /// Works jobs.
    pub worker: bool,
    /// Serves the API.
    pub web: bool,
}

impl Roles {
    /// Everything, for one machine.
    pub const ALL: Roles = Roles { intake: true, worker: true, web: true };

    /// Reads a list as `intake,worker`.
    ///
    /// # Errors
    /// On an empty list or an unknown word.
    pub fn parse(list: &str) -> Result<Roles, String> {
        let mut roles = Roles { intake: false, worker: false, web: false };
        for word in list.split(',').map(str::trim) {
            match word {
                "intake" => roles.intake = true,
                "worker" => roles.worker = true,
                "web" => roles.web = true,
                _ => return Err(format!("{word:?} is not a role; roles are intake, worker and web")),
            }
        }
        Ok(roles)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [(self.intake, "intake"), (self.worker, "worker"), (self.web, "web")];
        let words: Vec<&str> = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
        out.write_str(&words.join(","))
    }
}

/// A running Frontdesk.
pub struct App {
    /// The database.
    pub store: Store,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Where the first person of all chooses a name and a password; none when there is somebody.
    pub first_link: Option<String>,
    stop_http: CancellationToken,
    stop_work: CancellationToken,
    http: JoinHandle<()>,
    work: Vec<JoinHandle<()>>,
}

impl App {
    /// Opens the database, builds the parts that the roles ask for, and listens.
    ///
    /// # Errors
    /// When a setting cannot be used, the database cannot be opened, or the
    /// address cannot be listened on; says what to do.
    pub async fn start(config: &Config, roles: Roles, migrate: bool, clock: Clock) -> Result<App> {
        let projects = config.projects()?;
        if roles.intake {
            Config::must_have_a_secret(&projects)?;
        }
        for warning in projects.iter().filter_map(ProjectSettings::background_warning) {
            tracing::warn!("{warning}");
        }
        // Refused before anything is touched.
        let workflows = workflows(config)?;
        let schedules = schedules(config, &workflows)?;
        let trial = Trial { policy: Arc::new(policy(config, &workflows)?), workflows };
        let store = Store::open_sized(&config.database()?, migrate, config.pool())?;
        // Several processes on one database go by its clock.
        let clock = if matches!(clock, Clock::System) { store.clock() } else { clock };
        store.notice_restore(clock.now_ms()).await?;
        if roles.worker {
            keep_policy(&store, &trial.policy, clock.now_ms()).await?;
        }
        let metrics = Arc::new(Metrics::default());
        let people = people(config, &store, &clock)?;
        let (stop_http, stop_work) = (CancellationToken::new(), CancellationToken::new());
        let parts = Parts {
            config,
            store: store.clone(),
            clock,
            projects,
            metrics,
            trial,
            people,
            stop_http: stop_http.clone(),
            schedules,
            node: node::name()?,
        };
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("cannot listen on {}; FRONTDESK_LISTEN sets another address", config.listen))?;
        let addr = listener.local_addr()?;
        let (router, work) = parts.build(roles, &stop_work)?;
        let first_link = if roles.web { first_link(&parts.people, &addr).await? } else { None };
        let http = tokio::spawn(http::serve(listener, router, limits(config), stop_http.clone()));
        Ok(App { store, addr, first_link, stop_http, stop_work, http, work })
    }

    /// Stops taking in, finishes what was taken in, then stops working.
    pub async fn stop(self) {
        self.stop_http.cancel();
        let _ = self.http.await;
        self.stop_work.cancel();
        for task in self.work {
            let _ = task.await;
        }
    }
}

/// One client for each project.
///
/// # Errors
/// When a base URL cannot be used.
pub fn openai_clients(config: &Config, projects: &[ProjectSettings]) -> Result<BTreeMap<String, openai::Client>> {
    let client = |project: &ProjectSettings| {
        let settings = openai::Settings {
            base_url: project.base_url.clone(),
            api_key: project.api_key.as_ref().map(|key| key.reveal().to_owned()),
            connect_timeout_ms: config.openai.connect_timeout.ms().unsigned_abs(),
            read_timeout_ms: config.openai.read_timeout.ms().unsigned_abs(),
            max_body_bytes: config.openai.max_body_bytes,
        };
        let client = openai::Client::new(settings).with_context(|| format!("project {}", project.name))?;
        Ok((project.name.clone(), client))
    };
    projects.iter().map(client).collect()
}

/// Goes through the production checklist, by the settings in `file` and the environment.
pub async fn examine(file: Option<PathBuf>) -> Vec<doctor::Item> {
    let env = |name: &str| std::env::var(name).ok();
    let policy = |config: &Config| {
        let workflows = workflows(config).map_err(|error| format!("{error:#}"))?;
        policy(config, &workflows).map_err(|error| format!("{error:#}"))
    };
    let place = doctor::Place { file, env: &env, policy: &policy, clock: Clock::System };
    doctor::examine(&place).await
}

/// The same for the console, on a thread of its own: it reads files and waits for others.
fn checklist(file: Option<PathBuf>) -> web::Checklist {
    web::Checklist::new(Box::new(move || {
        let (file, here) = (file.clone(), tokio::runtime::Handle::current());
        let items = tokio::task::spawn_blocking(move || here.block_on(examine(file)));
        Box::pin(async move {
            let items: Vec<_> = items.await.ok()?.iter().map(shapes::item).collect();
            Some(serde_json::json!({"items": items}))
        })
    }))
}

/// Who may come in.
///
/// # Errors
/// When a setting cannot be used.
pub fn people(config: &Config, store: &Store, clock: &Clock) -> Result<People> {
    Ok(People::new(store.clone(), clock.clone(), config.people()?))
}

async fn first_link(people: &People, addr: &SocketAddr) -> Result<Option<String>> {
    let secret = people.invite(None, "first start").await?;
    Ok(secret.map(|secret| people.link(&format!("http://{addr}"), &format!("/invitation/{secret}"))))
}

/// What `submit` needs.
///
/// # Errors
/// When a base URL or a setting of a workflow cannot be used.
pub fn submitter(config: &Config, store: &Store, clock: &Clock) -> Result<Submitter> {
    let projects = config.projects()?;
    let clients = openai_clients(config, &projects)?;
    let helpdesk = connect(config, store, clock)?;
    let settings = submit::Settings {
        model: config.openai.model.clone(),
        keys: keys(config),
        patience: patience(config, &projects),
    };
    Ok(Submitter::new(store.clone(), clock.clone(), clients, helpdesk, workflows(config)?, settings))
}

/// The channels that alerts are told over.
///
/// # Errors
/// When a setting of one cannot be used; says which, never shows it.
pub fn channels(config: &Config) -> Result<Vec<Channel>> {
    let mut channels = Vec::new();
    if let Some(email) = &config.alerts.email {
        channels.push(Channel::email(EmailSettings {
            smtp: email.smtp.clone(),
            credentials: email.credentials()?,
            from: email.from.clone(),
            to: email.to.clone(),
        })?);
    }
    if let Some(slack) = &config.alerts.slack {
        channels.push(Channel::slack(&slack.address()?)?);
    }
    if let Some(webhook) = &config.alerts.webhook {
        let secret = Secret::parse(&webhook.signing_secret()?).context("alerts.webhook.secret")?;
        channels.push(Channel::webhook(&webhook.url, secret)?);
    }
    Ok(channels)
}

/// What tells people of alerts.
///
/// # Errors
/// As [`channels`].
pub fn sender(config: &Config, store: &Store, clock: &Clock, metrics: Arc<Metrics>) -> Result<Sender> {
    let remind_ms = config.alerts.remind.0.map(Wait::ms);
    Ok(Sender::new(store.clone(), clock.clone(), channels(config)?, remind_ms, metrics))
}

/// The workflows that the settings ask for.
///
/// # Errors
/// When a setting of a workflow makes no sense; says where it is and why.
pub fn workflows(config: &Config) -> Result<Catalogue> {
    let asked = &config.workflows;
    let settings = workflows::Settings {
        queues: asked.classification.queues.clone(),
        models: asked.models(),
        extraction: asked.extraction.clone(),
        custom: asked.custom.clone(),
    };
    Ok(Catalogue::new(&settings).map_err(|error| config.refused(&error.to_string()))?)
}

/// The batches that begin by the clock.
///
/// # Errors
/// When a schedule names a workflow that there is not.
pub fn schedules(config: &Config, workflows: &Catalogue) -> Result<Vec<Schedule>> {
    let schedules = config.schedules()?;
    if let Some(lost) = schedules.iter().find(|schedule| workflows.named(&schedule.workflow).is_none()) {
        let known: Vec<&str> = workflows.all().iter().map(|workflow| workflow.name.as_str()).collect();
        let text = format!(
            "schedules.{}.workflow: there is no workflow of this name; there are: {}",
            lost.name,
            known.join(", ")
        );
        return Err(config.refused(&text).into());
    }
    Ok(schedules)
}

/// The project that keeps its results shortest sets the pace.
fn patience(config: &Config, projects: &[ProjectSettings]) -> Patience {
    let Reconcile { after, every, deadline, .. } = &config.reconcile;
    let patience = Patience { after_ms: after.ms(), every_ms: every.ms(), deadline_ms: deadline.ms() };
    projects.iter().fold(patience, |patience, project| patience.within(project.retention_ms))
}

/// The policy that the settings ask for.
///
/// # Errors
/// When its file cannot be used; says where and why.
pub fn policy(config: &Config, workflows: &Catalogue) -> Result<Policy> {
    match &config.policy.file {
        Some(file) => read_policy(file, workflows),
        None => Ok(Policy::built_in()?),
    }
}

/// The policy in a file, laid over the built-in one.
///
/// # Errors
/// As [`policy`].
pub fn read_policy(file: &Path, workflows: &Catalogue) -> Result<Policy> {
    let text = std::fs::read_to_string(file).with_context(|| format!("policy {}", file.display()))?;
    let names: Vec<&str> = workflows.all().iter().map(|workflow| workflow.name.as_str()).collect();
    Policy::read(&text, &names).map_err(|error| match error.line {
        Some(line) => anyhow::anyhow!("{}:{line}: {}", file.display(), error.text),
        None => anyhow::anyhow!("{}: {}", file.display(), error.text),
    })
}

/// Keeps the policy that is about to decide: a version stands for one text.
async fn keep_policy(store: &Store, policy: &Policy, now_ms: i64) -> Result<()> {
    let version = policy.version();
    let used = UsedPolicy { version, sha256: policy.sha256(), text: policy.text().to_owned() };
    // The built-in one changes with the program, which nobody should have to number.
    if !store.use_policy(used, policy.is_built_in(), now_ms).await? {
        bail!("policy: another text has been used as version {version} before; raise the version in the file");
    }
    Ok(())
}

fn keys(config: &Config) -> MetadataKeys {
    MetadataKeys { ticket: config.metadata.ticket_key.clone(), workflow: config.metadata.workflow_key.clone() }
}

fn limits(config: &Config) -> http::Limits {
    http::Limits {
        max_connections: config.http.max_connections,
        header_timeout: duration(config.http.header_timeout),
        drain: duration(config.http.drain),
    }
}

fn duration(wait: Wait) -> Duration {
    Duration::from_millis(wait.ms().unsigned_abs())
}

struct Parts<'a> {
    config: &'a Config,
    store: Store,
    clock: Clock,
    projects: Vec<ProjectSettings>,
    metrics: Arc<Metrics>,
    trial: Trial,
    people: People,
    /// Ends when no request is taken any more.
    stop_http: CancellationToken,
    schedules: Vec<Schedule>,
    /// What this process is called.
    node: String,
}

impl Parts<'_> {
    fn build(&self, roles: Roles, stop: &CancellationToken) -> Result<(Router, Vec<JoinHandle<()>>)> {
        let web = self.web()?;
        let mut router = web::health_routes(Arc::clone(&web));
        let (store, clock, name) = (self.store.clone(), self.clock.clone(), self.node.clone());
        let mut work = vec![tokio::spawn(node::be_seen(store, clock, name, roles.to_string(), stop.clone()))];
        if roles.web {
            let api = web::api_routes(web);
            let console = Arc::new(Console::new(api.clone(), self.people.clone(), self.clock.clone())?);
            router = router.merge(api).merge(console::routes(&console));
            router = console::with_pages_for_nothing(router, &console);
        }
        let hooks = hear::hooks(self)?;
        router = hear::with_hooks(router, hooks.as_ref().filter(|_| roles.intake));
        // The guards are of no use to OpenAI: its route stays as short as it can be.
        router = router.layer(axum::middleware::from_fn(web::guard));
        let patience = duration(self.config.http.body_timeout);
        router = router.layer(axum::middleware::from_fn_with_state(patience, http::whole_body));
        if roles.intake {
            let desk = self.front_desk();
            work.push(tokio::spawn(desk.refusals().write_until(stop.clone())));
            router = router.merge(intake::router(desk));
        }
        if roles.worker {
            work.extend(hear::asking(self, hooks, stop));
            work.push(tokio::spawn(Pool::new(self.worker()?).run(stop.clone())));
            let sender = sender(self.config, &self.store, &self.clock, Arc::clone(&self.metrics))?;
            work.push(tokio::spawn(sender.run(stop.clone())));
        }
        Ok((router.layer(CatchPanicLayer::new()), work))
    }

    fn web(&self) -> Result<Arc<Web>> {
        Ok(Arc::new(Web {
            store: self.store.clone(),
            clock: self.clock.clone(),
            prices: self.config.insights.prices(),
            people: self.people.clone(),
            checklist: checklist(self.config.file().map(Path::to_path_buf)),
            events: web::Events::new(self.config.http.max_connections, self.stop_http.clone()),
            submitter: submitter(self.config, &self.store, &self.clock)?,
            metrics: Arc::clone(&self.metrics),
            metrics_token: self.config.metrics.token.as_ref().map(|token| token.reveal().to_owned()),
            overdue_ms: self.config.audit.overdue.ms(),
            claim_ms: self.config.review.claim.ms(),
            trial: self.trial.clone(),
            default_project: DEFAULT_PROJECT.to_owned(),
        }))
    }

    fn front_desk(&self) -> Arc<FrontDesk> {
        let desks: HashMap<_, _> = self
            .projects
            .iter()
            .filter(|project| !project.secrets.is_empty())
            .map(|project| {
                let verifier = Verifier::new(project.secrets.clone());
                let desk = intake::Project::new(verifier, project.retention_ms);
                (project.name.clone(), if project.ids_only { desk.without_bodies() } else { desk })
            })
            .collect();
        let body_timeout = duration(self.config.http.body_timeout);
        FrontDesk::new(
            self.store.clone(),
            self.clock.clone(),
            desks,
            DEFAULT_PROJECT,
            body_timeout,
            Arc::clone(&self.metrics),
        )
    }

    fn worker(&self) -> Result<Worker> {
        for project in self.projects.iter().filter(|project| project.api_key.is_none()) {
            tracing::warn!(project = project.name, "no API key: set OPENAI_API_KEY, or results cannot be fetched");
        }
        Ok(Worker::new(
            self.store.clone(),
            self.clock.clone(),
            openai_clients(self.config, &self.projects)?,
            connect(self.config, &self.store, &self.clock)?,
            Policy::clone(&self.trial.policy),
            self.trial.workflows.clone(),
            submitter(self.config, &self.store, &self.clock)?,
            self.worker_settings(),
            Arc::clone(&self.metrics),
        ))
    }

    fn keeping(&self) -> worker::Keeping {
        let config::Retention { bodies, results, reviews } = &self.config.retention;
        worker::Keeping {
            bodies_ms: bodies.ms(),
            results_ms: results.ms(),
            reviews_ms: reviews.ms(),
            ids_only: self
                .projects
                .iter()
                .filter(|project| project.ids_only)
                .map(|project| project.name.clone())
                .collect(),
        }
    }

    fn worker_settings(&self) -> worker::Settings {
        let Config { worker, retry, openai, http, audit, .. } = self.config;
        worker::Settings {
            name: self.node.clone(),
            lease_ms: worker.lease.ms(),
            heartbeat_ms: worker.heartbeat.ms(),
            concurrency: worker.concurrency,
            poll_ms: worker.poll.ms(),
            drain_ms: http.drain.ms(),
            retry: RetryPolicy { first_ms: retry.first.ms(), max_ms: retry.max.ms(), attempts: retry.attempts },
            probe_first_ms: openai.probe_first.ms(),
            probe_max_ms: openai.probe_max.ms(),
            overdue_ms: audit.overdue.ms(),
            patience: patience(self.config, &self.projects),
            review_overdue_ms: self.config.review.overdue.ms(),
            batch: self.config.batch.rules(),
            limits: worker::Limits::default(),
            schedules: self.schedules.clone(),
            resubmit_after_ms: self.config.reconcile.resubmit_after.ms(),
            keeping: self.keeping(),
            metadata_keys: keys(self.config),
        }
    }
}
