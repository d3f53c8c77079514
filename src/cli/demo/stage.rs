//! Sets the stage: a folder, a simulated OpenAI, a running Frontdesk, tickets;
//! and starts the work of each case.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use frontdesk_simulator::signing::Signer;
use frontdesk_simulator::trigger::{Sent, TriggerSettings, send};
use frontdesk_simulator::{Access, DEMO_SECRET, Scripted, Settings, Simulator};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::cases::CASES;
use super::people::Person;
use super::scenario::{Case, Lines, Start, Step};
use super::settings::{self, Folder, Tempo};
use crate::app::{self, App, Roles};
use crate::clock::Clock;
use crate::config::{Config, DEFAULT_PROJECT};
use crate::domain::id::{new_id, new_token};
use crate::domain::job::State;
use crate::domain::person::Role;
use crate::domain::ticket::{Author, Visibility};
use crate::store::{NewTicket, Store};
use crate::submit::Submitter;
use crate::telemetry::{self, LogFormat};

/// The metadata key by which the simulator knows which case a request is of.
const SCRIPT_KEY: &str = "demo_case";
/// A secret that is not ours.
const WRONG_SECRET: &str = "whsec_d3Jvbmcgc2VjcmV0LCB3cm9uZyBzZWNyZXQhIQ==";
/// How long OpenAI refuses the key, once a job has met the refusal.
const LOCKED_OUT: Duration = Duration::from_millis(1500);
/// What must happen soon, or the demo is broken.
const SOON: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What the agent sends in place of the draft.
pub(super) const EDITED: &str =
    "Hello,\n\nyes, we are open on Easter Monday from ten to four, and the oak table is here.\n\nLena";
const MORE: &str = "Never mind Monday, I can come on Saturday.";

/// Everything that runs.
pub(super) struct Stage {
    file: PathBuf,
    simulator: Simulator,
    app: App,
    submitter: Submitter,
    overdue_ms: i64,
    token: String,
    password: String,
    agent: Person,
    lead: Person,
    web: reqwest::Client,
    /// Last, so that it goes when everything in it is closed.
    _folder: Folder,
}

/// Work that has been started.
pub(super) struct Started {
    pub(super) case: &'static Case,
    /// The resource, the delivery, or nothing for what is refused.
    pub(super) id: String,
    /// Older work on the same ticket, whose webhook has not come.
    older: Option<String>,
    /// What is still to happen.
    pub(super) steps: &'static [Step],
}

impl Stage {
    /// Starts everything.
    pub(super) async fn set(listen: SocketAddr, tempo: &Tempo) -> Result<Stage> {
        let log = std::env::var("FRONTDESK_LOG").unwrap_or_else(|_| "off".to_owned());
        telemetry::start_logging(&log, LogFormat::Text).map_err(anyhow::Error::msg)?;
        let folder = Folder::make()?;
        let simulator = Simulator::start(Settings { script: script(None), ..Settings::default() })
            .await
            .context("the simulator did not start")?;
        let file = settings::write(folder.path(), listen, &simulator.base_url(), tempo)?;
        let config = Config::load(Some(&file), &|_| None)?;
        let app = App::start(&config, Roles::ALL, true, Clock::System).await?;
        simulator.set_webhook_url(Some(format!("http://{}/webhooks/openai", app.addr)));
        let submitter = app::submitter(&config, &app.store, &Clock::System)?;
        let password = new_id("try")?;
        let hash = crate::domain::password::hash(&password).map_err(anyhow::Error::msg)?;
        let somebody = |name, role| person(&app.store, &hash, name, role);
        let token = somebody("demo", Role::Admin).await?;
        let (lena, mia) = (somebody("lena", Role::Agent).await?, somebody("mia", Role::Lead).await?);
        let (web, api) = (reqwest::Client::new(), format!("http://{}/api/v1", app.addr));
        let at_work = |token| Person::new(web.clone(), api.clone(), token);
        let (agent, lead) = (at_work(lena), at_work(mia));
        let overdue_ms = config.audit.overdue.ms();
        let stage =
            Stage { file, simulator, app, submitter, overdue_ms, token, password, agent, lead, web, _folder: folder };
        stage.write_tickets().await?;
        Ok(stage)
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.app.addr
    }

    pub(super) fn openai_url(&self) -> String {
        self.simulator.base_url()
    }

    /// The settings file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Of everybody in the demo.
    pub(super) fn password(&self) -> &str {
        &self.password
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) fn store(&self) -> &Store {
        &self.app.store
    }

    pub(super) fn submitter(&self) -> &Submitter {
        &self.submitter
    }

    /// Lena.
    pub(super) fn agent(&self) -> &Person {
        &self.agent
    }

    /// Mia.
    pub(super) fn lead(&self) -> &Person {
        &self.lead
    }

    /// Work that waits for longer is overdue, in ms.
    pub(super) fn overdue_ms(&self) -> i64 {
        self.overdue_ms
    }

    async fn write_tickets(&self) -> Result<()> {
        let ticket = |id: String, (subject, message): (&str, &str)| NewTicket {
            id: Some(id),
            subject: subject.to_owned(),
            queue: "support".to_owned(),
            tags: Vec::new(),
            messages: vec![(Author::Customer, message.to_owned())],
        };
        let of_case = |case: &Case| match (case.start, case.ticket) {
            (Start::Batch(lines), _) => lines.tickets().map(|id| ticket(id, case.text)).collect(),
            (_, Some(id)) => vec![ticket(id.to_owned(), case.text)],
            (_, None) => Vec::new(),
        };
        self.add_tickets(CASES.iter().flat_map(of_case)).await
    }

    /// Puts tickets into the desk, all at once.
    pub(super) async fn add_tickets(&self, tickets: impl Iterator<Item = NewTicket>) -> Result<()> {
        let now_ms = Clock::System.now_ms();
        try_join_all(tickets.map(|ticket| self.app.store.create_ticket(ticket, now_ms))).await?;
        Ok(())
    }

    /// Starts the work of every case. What stops other work comes last, so that
    /// it is seen on its own.
    pub(super) async fn start_all(&self) -> Result<Vec<Started>> {
        let mut all = Vec::with_capacity(CASES.len());
        for case in CASES.iter().filter(|case| !case.start.stops_others()) {
            all.push(self.start(case).await.with_context(|| case.story)?);
        }
        self.simulator.idle().await;
        for case in CASES.iter().filter(|case| case.start.stops_others()) {
            all.push(self.start(case).await.with_context(|| case.story)?);
        }
        Ok(all)
    }

    async fn start(&self, case: &'static Case) -> Result<Started> {
        let mut older = None;
        let id = match case.start {
            Start::Submit => self.submit(case).await?,
            Start::SubmitThenWrite => {
                let id = self.submit(case).await?;
                self.write_again(case).await?;
                id
            }
            Start::SubmitThenLockOut => {
                let id = self.submit(case).await?;
                self.lock_out(&id).await?;
                id
            }
            Start::SubmitThenMend => {
                let id = self.submit(case).await?;
                self.simulator.set_script(script(Some(case)));
                id
            }
            Start::SubmitAfterOlder => {
                older = Some(self.respond(case).await?);
                self.submit(case).await?
            }
            Start::Elsewhere | Start::ElsewhereUnplaced => self.respond(case).await?,
            Start::ElsewherePaused => self.respond_while_paused(case).await?,
            Start::Batch(lines) => self.batch(case, lines).await?,
            Start::Event => self.trigger(case.workflow, None, DEMO_SECRET).await?.webhook_id,
            Start::Forged => {
                let sent = self.trigger(case.workflow, None, WRONG_SECRET).await?;
                if sent.accepted() { sent.webhook_id } else { String::new() }
            }
        };
        Ok(Started { case, id, older, steps: case.then })
    }

    /// Does what is to happen next to work that has come to rest.
    pub(super) async fn go_on(&self, started: &mut Started) -> Result<()> {
        let [step, rest @ ..] = started.steps else { return Ok(()) };
        started.steps = rest;
        let done = match step {
            Step::Approve => self.decide(&started.id, "approve", &[]).await,
            Step::ApproveEdited => self.decide(&started.id, "approve", &[("text", EDITED)]).await,
            Step::Reject => self.decide(&started.id, "reject", &[("reason", "tone")]).await,
            Step::WriteAgain => self.write_again(started.case).await,
            Step::SecondEvent => {
                let sent = self.trigger("response.completed", Some(started.id.clone()), DEMO_SECRET).await?;
                started.id = sent.webhook_id;
                Ok(())
            }
            Step::OlderComes => {
                started.id = started.older.take().context("there is no older work")?;
                self.trigger("response.completed", Some(started.id.clone()), DEMO_SECRET).await.map(drop)
            }
        };
        done.with_context(|| started.case.story)
    }

    async fn decide(&self, resource: &str, word: &str, said: &[(&str, &str)]) -> Result<()> {
        let trail = self.app.store.trail(resource.to_owned()).await?;
        let review = trail.and_then(|trail| trail.review).context("there is no review")?;
        self.agent.decide(&review.id, word, said).await
    }

    async fn write_again(&self, case: &Case) -> Result<()> {
        let ticket = case.ticket.unwrap_or_default().to_owned();
        let now_ms = Clock::System.now_ms();
        self.app.store.add_message(ticket, Author::Customer, Visibility::Public, MORE.to_owned(), now_ms).await?;
        Ok(())
    }

    async fn submit(&self, case: &Case) -> Result<String> {
        let ticket = case.ticket.unwrap_or_default();
        Ok(self.submitter.submit(DEFAULT_PROJECT, case.workflow, ticket, "demo").await?.resource_id)
    }

    /// Another program starts work, and names the ticket if the case has one.
    async fn respond(&self, case: &Case) -> Result<String> {
        let mut metadata = json!({SCRIPT_KEY: case.story});
        if let Some(ticket) = case.ticket {
            metadata["ticket_id"] = json!(ticket);
            metadata["workflow"] = json!(case.workflow);
        }
        let mut body =
            json!({"model": "gpt-5.6", "background": true, "store": true, "input": case.text.1, "metadata": metadata});
        if case.workflow == "extraction" {
            body["text"] = json!({"format": {"type": "json_schema", "name": "found", "schema": {
                "type": "object", "properties": {"product": {"type": "string"}, "language": {"type": "string"}}
            }}});
        }
        self.post("responses", &body).await
    }

    async fn respond_while_paused(&self, case: &Case) -> Result<String> {
        self.lead.pause(case.workflow).await?;
        let id = self.respond(case).await?;
        self.until_it_waits(&id).await?;
        self.lead.resume(case.workflow).await?;
        Ok(id)
    }

    /// Another program starts a batch of its own.
    async fn batch(&self, case: &Case, lines: Lines) -> Result<String> {
        let mut requests: Vec<String> = lines.tickets().map(|ticket| request_of(&ticket, case.text.1)).collect();
        if lines.repeats {
            requests.extend(requests.first().cloned());
        }
        let file = reqwest::multipart::Part::text(requests.concat()).file_name("lines.jsonl");
        let form = reqwest::multipart::Form::new().text("purpose", "batch").part("file", file);
        let answer = self.web.post(format!("{}/files", self.openai_url())).multipart(form).send().await?;
        let file_id = id_of(answer).await?;
        let mut metadata = json!({SCRIPT_KEY: case.story});
        if let Some(workflow) = lines.workflow {
            metadata["workflow"] = json!(workflow);
        }
        let body = json!({"input_file_id": file_id, "endpoint": "/v1/responses", "completion_window": "24h", "metadata": metadata});
        self.post("batches", &body).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<String> {
        let url = format!("{}/{path}", self.openai_url());
        let answer =
            self.web.post(url).header("content-type", "application/json").body(body.to_string()).send().await?;
        id_of(answer).await
    }

    /// Sends one event by hand, about this resource or a new one.
    async fn trigger(&self, event_type: &str, resource_id: Option<String>, secret: &str) -> Result<Sent> {
        let signer = Signer::new(secret).map_err(anyhow::Error::msg)?;
        let url = format!("http://{}/webhooks/openai", self.app.addr);
        let sent = send(TriggerSettings { resource_id, ..TriggerSettings::new(url, signer, event_type) }).await;
        sent.into_iter().next().context("nothing was sent")
    }

    /// OpenAI refuses the key until a job has met the refusal, and a little longer.
    /// Its webhook comes only now, so that the job cannot be the faster one.
    async fn lock_out(&self, resource: &str) -> Result<()> {
        self.simulator.set_access(Access::Unauthorized);
        self.trigger("response.completed", Some(resource.to_owned()), DEMO_SECRET).await?;
        self.until_it_waits(resource).await?;
        tokio::time::sleep(LOCKED_OUT).await;
        self.simulator.set_access(Access::Open);
        Ok(())
    }

    /// Until an attempt at this resource has ended and another is to follow.
    async fn until_it_waits(&self, resource: &str) -> Result<()> {
        let waits = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let trail = self.app.store.trail(resource.to_owned()).await?;
                if trail.and_then(|trail| trail.job).is_some_and(|job| job.state == State::FailedRetryable) {
                    return Ok(());
                }
            }
        };
        match tokio::time::timeout(SOON, waits).await {
            Ok(done) => done,
            Err(_) => bail!("no attempt was stopped within {} s", SOON.as_secs()),
        }
    }

    /// Waits until late copies of webhooks, and what follows from results, have
    /// been dealt with too.
    pub(super) async fn settle_down(&self) {
        let quiet = async {
            let mut looks = 0;
            // A job may start work, and work makes jobs: one quiet look is not enough.
            while looks < 3 {
                self.simulator.idle().await;
                looks = if self.is_busy().await { 0 } else { looks + 1 };
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(SOON, quiet).await;
    }

    async fn is_busy(&self) -> bool {
        let busy = |state: State| matches!(state, State::Queued | State::Processing | State::FailedRetryable);
        let counts = self.app.store.counts().await;
        counts.is_ok_and(|counts| counts.states.iter().any(|count| busy(count.state) && count.count > 0))
    }

    /// Stops everything and removes the folder.
    pub(super) async fn clear(self) {
        self.simulator.shutdown().await;
        self.app.stop().await;
    }
}

/// Gives somebody a token.
/// Somebody who signs in, and whose programs use a token.
async fn person(store: &Store, password: &str, name: &str, role: Role) -> Result<String> {
    let (token, now_ms) = (new_token()?, Clock::System.now_ms());
    let somebody = crate::domain::person::Person { name: name.to_owned(), role };
    store.create_user(somebody, Some(password.to_owned()), "demo".to_owned(), now_ms).await?;
    store.create_token(name.to_owned(), role, token.clone(), "demo".to_owned(), now_ms).await?;
    Ok(token)
}

/// Which faults strike which case; none any more in the one that is mended.
fn script(mended: Option<&Case>) -> Vec<Scripted> {
    let entry = |case: &Case| {
        let is_mended = mended.is_some_and(|mended| std::ptr::eq(mended, case));
        let faults = if is_mended { Vec::new() } else { case.faults.to_vec() };
        let (key, value) = match case.ticket {
            Some(ticket) if case.start != Start::SubmitAfterOlder => ("ticket_id", ticket),
            _ => (SCRIPT_KEY, case.story),
        };
        Scripted { key: key.to_owned(), value: value.to_owned(), faults }
    };
    CASES.iter().map(entry).collect()
}

/// A line that asks what the customer wants.
fn request_of(ticket: &str, text: &str) -> String {
    let schema = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["intent", "priority", "confidence", "topics"],
        "properties": {
            "intent": {"type": "string"},
            "priority": {"type": "string", "enum": ["low", "normal", "high", "urgent"]},
            "confidence": {"type": "number"},
            "topics": {"type": "array", "items": {"type": "string"}},
        },
    });
    let format = json!({"format": {"type": "json_schema", "name": "class", "strict": true, "schema": schema}});
    let body = json!({"model": "gpt-5.6", "input": text, "text": format});
    format!("{}\n", json!({"custom_id": ticket, "method": "POST", "url": "/v1/responses", "body": body}))
}

async fn id_of(answer: reqwest::Response) -> Result<String> {
    let status = answer.status();
    let body: Value = answer.json().await?;
    ensure!(status.is_success(), "the simulator answered {status}");
    Ok(body["id"].as_str().context("an answer without an id")?.to_owned())
}
