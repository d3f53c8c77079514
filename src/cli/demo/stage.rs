//! Sets the stage: a folder, a simulated OpenAI, a running Frontdesk, tickets.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use frontdesk_simulator::signing::Signer;
use frontdesk_simulator::trigger::{TriggerSettings, send};
use frontdesk_simulator::{Access, DEMO_SECRET, Scripted, Settings, Simulator};
use serde_json::{Value, json};

use super::scenario::{CASES, Case, Start};
use crate::app::{self, App, Roles};
use crate::clock::Clock;
use crate::config::{Config, DEFAULT_PROJECT, Wait};
use crate::domain::id::new_id;
use crate::domain::job::State;
use crate::domain::person::Role;
use crate::domain::ticket::{Author, Visibility};
use crate::store::NewTicket;
use crate::submit::Submitter;
use crate::telemetry::{self, LogFormat};

/// The metadata key by which the simulator knows which case a request is of.
const SCRIPT_KEY: &str = "demo_case";
/// A secret that is not ours.
const WRONG_SECRET: &str = "whsec_d3Jvbmcgc2VjcmV0LCB3cm9uZyBzZWNyZXQhIQ==";
/// How long OpenAI refuses the key, once a job has met the refusal.
const LOCKED_OUT: Duration = Duration::from_millis(1500);

/// Everything that runs.
pub(super) struct Stage {
    folder: PathBuf,
    simulator: Simulator,
    app: App,
    submitter: Submitter,
    token: String,
    web: reqwest::Client,
}

/// Work that has been started.
pub(super) struct Started {
    pub(super) case: &'static Case,
    /// The resource, or the event's resource, or nothing for what is refused.
    id: String,
}

/// How a piece of work ended.
#[derive(Default)]
pub(super) struct Actual {
    pub(super) deliveries: i64,
    pub(super) attempts: i64,
    pub(super) state: String,
    pub(super) outcome: String,
    pub(super) reason: String,
    /// What Frontdesk wrote on the ticket, each as often as it is there.
    pub(super) on_ticket: Vec<&'static str>,
    /// A line for people.
    pub(super) told: String,
}

impl Actual {
    /// It did not end in time.
    pub(super) fn never() -> Actual {
        Actual { state: "never ended".to_owned(), ..Actual::default() }
    }
}

impl Stage {
    /// Starts everything.
    pub(super) async fn set(listen: SocketAddr) -> Result<Stage> {
        let log = std::env::var("FRONTDESK_LOG").unwrap_or_else(|_| "off".to_owned());
        telemetry::start_logging(&log, LogFormat::Text).map_err(anyhow::Error::msg)?;
        let folder = std::env::temp_dir().join(new_id("frontdesk-demo")?);
        std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let simulator = Simulator::start(Settings { script: script(), ..Settings::default() })
            .await
            .context("the simulator did not start")?;
        let config = config(&folder, listen, &simulator)?;
        let app = App::start(&config, Roles::ALL, true, Clock::System).await?;
        simulator.set_webhook_url(Some(format!("http://{}/webhooks/openai", app.addr)));
        let submitter = app::submitter(&config, &app.store, &Clock::System)?;
        let token = new_id("fdt")?;
        app.store.create_token("demo".to_owned(), Role::Admin, token.clone(), Clock::System.now_ms()).await?;
        let stage = Stage { folder, simulator, app, submitter, token, web: reqwest::Client::new() };
        stage.write_tickets().await?;
        Ok(stage)
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.app.addr
    }

    pub(super) fn openai_url(&self) -> String {
        self.simulator.base_url()
    }

    pub(super) fn database(&self) -> &Path {
        self.app.store.path()
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    async fn write_tickets(&self) -> Result<()> {
        for case in &CASES {
            let Some(id) = case.ticket else { continue };
            let (subject, message) = case.text;
            let ticket = NewTicket {
                id: Some(id.to_owned()),
                subject: subject.to_owned(),
                queue: "support".to_owned(),
                tags: Vec::new(),
                messages: vec![(Author::Customer, message.to_owned())],
            };
            self.app.store.create_ticket(ticket, Clock::System.now_ms()).await?;
        }
        Ok(())
    }

    /// Starts the work of every case. The lock-out comes last, so that it is
    /// seen on its own.
    pub(super) async fn start_all(&self) -> Result<Vec<Started>> {
        let mut started = Vec::with_capacity(CASES.len());
        for case in CASES.iter().filter(|case| case.start != Start::SubmitThenLockOut) {
            started.push(Started { case, id: self.start(case).await.with_context(|| case.story)? });
        }
        self.simulator.idle().await;
        for case in CASES.iter().filter(|case| case.start == Start::SubmitThenLockOut) {
            let id = self.submit(case).await?;
            self.lock_out(&id).await?;
            started.push(Started { case, id });
        }
        Ok(started)
    }

    async fn start(&self, case: &Case) -> Result<String> {
        match case.start {
            Start::Submit | Start::SubmitThenLockOut => self.submit(case).await,
            Start::SubmitThenWrite => {
                let id = self.submit(case).await?;
                let ticket = case.ticket.unwrap_or_default().to_owned();
                let more = "Never mind Monday, I can come on Saturday.".to_owned();
                self.app
                    .store
                    .add_message(ticket, Author::Customer, Visibility::Public, more, Clock::System.now_ms())
                    .await?;
                Ok(id)
            }
            Start::Elsewhere => {
                let metadata = json!({"ticket_id": case.ticket, "workflow": case.workflow, SCRIPT_KEY: case.story});
                self.respond(case, metadata).await
            }
            Start::ElsewhereUnplaced => self.respond(case, json!({SCRIPT_KEY: case.story})).await,
            Start::Batch => self.batch(case).await,
            Start::Event => self.trigger(case, DEMO_SECRET).await,
            Start::Forged => self.trigger(case, WRONG_SECRET).await,
        }
    }

    async fn submit(&self, case: &Case) -> Result<String> {
        let ticket = case.ticket.unwrap_or_default();
        Ok(self.submitter.submit(DEFAULT_PROJECT, case.workflow, ticket, "demo").await?.resource_id)
    }

    async fn respond(&self, case: &Case, metadata: Value) -> Result<String> {
        let input = format!("Summarise this ticket: {}", case.text.1);
        let body = json!({"model": "gpt-5.6", "background": true, "store": true, "input": input, "metadata": metadata});
        self.post("responses", &body).await
    }

    async fn batch(&self, case: &Case) -> Result<String> {
        let line = |number: u32| json!({"custom_id": format!("T-{number}"), "method": "POST", "url": "/v1/responses", "body": {"model": "gpt-5.6", "input": case.text.1}});
        let lines: String = (2001..2005).map(|number| format!("{}\n", line(number))).collect();
        let file = reqwest::multipart::Part::text(lines).file_name("night.jsonl");
        let form = reqwest::multipart::Form::new().text("purpose", "batch").part("file", file);
        let answer = self.web.post(format!("{}/files", self.openai_url())).multipart(form).send().await?;
        let file_id = id_of(answer).await?;
        let body = json!({"input_file_id": file_id, "endpoint": "/v1/responses", "completion_window": "24h", "metadata": {SCRIPT_KEY: case.story}});
        self.post("batches", &body).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<String> {
        let url = format!("{}/{path}", self.openai_url());
        let answer =
            self.web.post(url).header("content-type", "application/json").body(body.to_string()).send().await?;
        id_of(answer).await
    }

    async fn trigger(&self, case: &Case, secret: &str) -> Result<String> {
        let signer = Signer::new(secret).map_err(anyhow::Error::msg)?;
        let url = format!("http://{}/webhooks/openai", self.app.addr);
        let sent = send(TriggerSettings::new(url, signer, case.workflow)).await;
        let first = sent.first().context("nothing was sent")?;
        Ok(if first.accepted() { first.webhook_id.clone() } else { String::new() })
    }

    /// OpenAI refuses the key until a job has met the refusal, and a little longer.
    async fn lock_out(&self, resource: &str) -> Result<()> {
        self.simulator.set_access(Access::Unauthorized);
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let trail = self.app.store.trail(resource.to_owned()).await?;
            if trail.and_then(|trail| trail.job).is_some_and(|job| job.state == State::FailedRetryable) {
                break;
            }
        }
        tokio::time::sleep(LOCKED_OUT).await;
        self.simulator.set_access(Access::Open);
        Ok(())
    }

    /// How a piece of work ended; none while it goes on.
    pub(super) async fn look(&self, started: &Started) -> Result<Option<Actual>> {
        if started.case.start == Start::Forged {
            let refused = self.app.store.counts().await?.refused.iter().map(|(_, count)| count).sum::<i64>() > 0;
            let told = "refused, counted, not stored".to_owned();
            return Ok((refused && started.id.is_empty()).then(|| Actual {
                state: "refused".to_owned(),
                told,
                ..Actual::default()
            }));
        }
        let Some(trail) = self.app.store.trail(started.id.clone()).await? else { return Ok(None) };
        let Some(state) = trail.status() else { return Ok(None) };
        if matches!(state, State::Queued | State::Processing | State::FailedRetryable) {
            return Ok(None);
        }
        let job = trail.job.as_ref();
        let held_for = trail.review.as_ref().map(|review| review.reason.clone());
        let failed_for = job.filter(|_| state == State::FailedFinal).and_then(|job| job.last_error.as_ref());
        let cause = failed_for.map(|error| error.split(':').next().unwrap_or_default().to_owned());
        Ok(Some(Actual {
            deliveries: trail.deliveries.iter().map(|delivery| delivery.copies).sum(),
            attempts: job.map_or(0, |job| job.attempts),
            state: state.word().to_owned(),
            outcome: job.and_then(|job| job.outcome.clone()).unwrap_or_default(),
            reason: held_for.or(cause).unwrap_or_default(),
            on_ticket: Vec::new(),
            told: trail.why(Clock::System.now_ms()).next,
        }))
    }

    /// Waits until late copies of webhooks have been dealt with too.
    pub(super) async fn settle_down(&self) {
        self.simulator.idle().await;
        loop {
            let busy = |state: State| matches!(state, State::Queued | State::Processing | State::FailedRetryable);
            match self.app.store.counts().await {
                Ok(counts) if counts.states.iter().any(|count| busy(count.state) && count.count > 0) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                _ => return,
            }
        }
    }

    /// Counts what is on the ticket at the very end: once, or it is wrong.
    pub(super) async fn count_effects(&self, case: &Case, actual: &mut Actual) -> Result<()> {
        let Some(id) = case.ticket else { return Ok(()) };
        let ticket = self.app.store.ticket(id.to_owned()).await?.context("a ticket is gone")?;
        let notes = ticket.messages.iter().filter(|message| message.author == Author::Frontdesk).map(|_| "note");
        let drafts = ticket.drafts.iter().map(|_| "draft");
        let routes = ticket.intent.iter().map(|_| "route");
        actual.on_ticket = notes.chain(drafts).chain(routes).collect();
        Ok(())
    }

    /// Stops everything and removes the folder.
    pub(super) async fn clear(self) {
        self.simulator.shutdown().await;
        self.app.stop().await;
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Which faults strike which case.
fn script() -> Vec<Scripted> {
    let entry = |case: &Case| match case.ticket {
        Some(ticket) => {
            Scripted { key: "ticket_id".to_owned(), value: ticket.to_owned(), faults: case.faults.to_vec() }
        }
        None => Scripted { key: SCRIPT_KEY.to_owned(), value: case.story.to_owned(), faults: case.faults.to_vec() },
    };
    CASES.iter().map(entry).collect()
}

fn config(folder: &Path, listen: SocketAddr, simulator: &Simulator) -> Result<Config> {
    let database = folder.join("demo.db");
    let env = |name: &str| match name {
        "OPENAI_WEBHOOK_SECRET" => Some(DEMO_SECRET.to_owned()),
        "OPENAI_API_KEY" => Some("sk-demo".to_owned()),
        "OPENAI_BASE_URL" => Some(simulator.base_url()),
        "DATABASE_URL" => Some(format!("sqlite://{}", database.display())),
        "FRONTDESK_LISTEN" => Some(listen.to_string()),
        _ => None,
    };
    let mut config = Config::load(None, &env)?;
    // Nobody wants to watch a demo wait.
    config.retry.first = Wait::of_ms(200);
    config.openai.probe_first = Wait::of_ms(300);
    Ok(config)
}

async fn id_of(answer: reqwest::Response) -> Result<String> {
    let status = answer.status();
    let body: Value = answer.json().await?;
    ensure!(status.is_success(), "the simulator answered {status}");
    Ok(body["id"].as_str().context("an answer without an id")?.to_owned())
}
