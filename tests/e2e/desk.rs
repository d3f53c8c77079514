//! Frontdesk and a simulated OpenAI in this process.

use std::net::SocketAddr;
use std::sync::Arc;

use frontdesk::app::{App, Roles};
use frontdesk::clock::Clock;
use frontdesk::config::Config;
use frontdesk::domain::person::Role;
use frontdesk::store::{AuditAt, Store};
use frontdesk_simulator::{DEMO_SECRET, Settings, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::database::{Sql, TestDatabase};
use crate::wire::{Answer, Message, ask, request, until};

/// The key that must never be seen again.
pub const API_KEY: &str = "sk-e2e-never-to-be-shown";

pub struct Desk {
    _proof: Proof,
    held: Arc<TestDatabase>,
    pub addr: SocketAddr,
    pub app: App,
    pub simulator: Simulator,
    _dir: TempDir,
}

impl Desk {
    /// All roles with quick waits.
    pub async fn start() -> Desk {
        Desk::with("", Roles::ALL).await
    }

    /// Takes deliveries in and serves the API, and never works a job.
    pub async fn without_workers() -> Desk {
        Desk::with("", Roles { worker: false, ..Roles::ALL }).await
    }

    /// With these lines of a settings file.
    pub async fn with(settings: &str, roles: Roles) -> Desk {
        Desk::on(TestDatabase::fresh(), settings, roles).await
    }

    /// On this database.
    pub async fn on(held: TestDatabase, settings: &str, roles: Roles) -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("frontdesk.toml");
        std::fs::write(&file, settings).unwrap();
        let quick = Settings { work_ms: (1, 20), first_retry_ms: 20, ..Settings::default() };
        let simulator = Simulator::start(quick).await.unwrap();
        let base = simulator.base_url();
        let database = held.url();
        let env = |name: &str| match name {
            "OPENAI_WEBHOOK_SECRET" => Some(DEMO_SECRET.to_owned()),
            "OPENAI_API_KEY" => Some(API_KEY.to_owned()),
            "OPENAI_BASE_URL" => Some(base.clone()),
            "DATABASE_URL" => Some(database.clone()),
            "FRONTDESK_LISTEN" => Some("127.0.0.1:0".to_owned()),
            _ => None,
        };
        let mut config = Config::load(Some(&file), &env).unwrap();
        if !settings.contains("first =") {
            config.retry.first = frontdesk::config::Wait::of_ms(20);
        }
        let app = App::start(&config, roles, true, Clock::System).await.unwrap();
        simulator.set_webhook_url(Some(format!("http://{}/webhooks/openai", app.addr)));
        for role in [Role::Agent, Role::Lead, Role::Admin] {
            let made = app.store.create_token(role.word().to_owned(), role, token(role.word()), "test".to_owned(), 1);
            assert!(made.await.unwrap());
        }
        let held = Arc::new(held);
        let _proof = Proof(Arc::clone(&held));
        Desk { _proof, held, addr: app.addr, app, simulator, _dir: dir }
    }

    pub async fn send(&self, message: &Message) -> Answer {
        ask(self.addr, &message.bytes()).await.expect("an answer")
    }

    /// Sends and insists on the plain 200 that OpenAI must see.
    pub async fn accept(&self, message: &Message) {
        let answer = self.send(message).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    }

    pub async fn call(&self, role: &str, method: &str, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {}", token(role));
        let path = if path.starts_with("/api") { path.to_owned() } else { format!("/api/v1{path}") };
        ask(self.addr, &request(method, &path, &[("authorization", &bearer)], body.as_bytes())).await.unwrap()
    }

    /// Reads as an agent and insists on a 200.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.call("agent", "GET", path, "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    pub async fn post(&self, role: &str, path: &str, body: Value) -> Answer {
        self.call(role, "POST", path, &body.to_string()).await
    }

    pub async fn ticket(&self, id: &str) {
        let body = json!({"id": id, "subject": "Lamp", "messages": [{"author": "customer", "body": "It is dark."}]});
        assert_eq!(self.post("agent", "/tickets", body).await.status, 201);
    }

    /// What the delivery looks like once its job is in one of these states.
    pub async fn settled(&self, delivery: &str, states: &[&str]) -> Value {
        until("a delivery to settle", async || {
            let shown = self.get(&format!("/deliveries/{delivery}")).await;
            states.contains(&shown["status"].as_str().unwrap()).then_some(shown)
        })
        .await
    }

    /// The database, past the store.
    pub fn database(&self) -> Sql<'_> {
        self.held.sql()
    }

    /// The database, for a test that takes the desk apart.
    pub fn held(&self) -> Arc<TestDatabase> {
        Arc::clone(&self.held)
    }

    /// The database's file, where it has one.
    pub fn file(&self) -> Option<&std::path::Path> {
        self.held.location.file()
    }

    /// What `DATABASE_URL` is set to.
    pub fn database_url(&self) -> String {
        self.held.url()
    }

    pub fn count(&self, sql: &str) -> i64 {
        self.database().number(sql)
    }

    pub async fn metrics(&self) -> String {
        let answer = ask(self.addr, &request("GET", "/metrics", &[], b"")).await.unwrap();
        assert_eq!(answer.status, 200);
        answer.text()
    }
}

/// Whatever a test does to a desk, nothing may have ended silently.
struct Proof(Arc<TestDatabase>);

impl Drop for Proof {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let at = AuditAt { now_ms: Clock::System.now_ms(), overdue_ms: 900_000 };
        // Some tests take the database away; there is nothing to prove then.
        if let Ok(audit) = Store::audit_at(&self.0.location, at) {
            assert_eq!(audit.findings, [], "work ended silently");
        }
    }
}

/// The token of a role.
pub fn token(role: &str) -> String {
    format!("fdt_e2e_{role}_0123456789abcdef")
}

/// Insists on a problem document of this status.
pub fn is_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    for key in ["type", "title", "detail"] {
        assert!(problem[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {problem}");
    }
}

/// The contract's keys are all there; more is fine.
pub fn has_keys(value: &Value, keys: &[&str]) {
    for key in keys {
        assert!(value.get(key).is_some(), "{key} is missing: {value}");
    }
}

/// RFC 3339, in UTC.
pub fn is_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("not a time: {value}"));
    assert!(text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(), "{text}");
}
