//! A batch the whole way, by the command line: started, sent, read, applied, undone.

use frontdesk_simulator::{Settings, Simulator};
use serde_json::{Value, json};

use crate::process::{Place, Server};
use crate::terminal::Terminal;
use crate::wire::{ask, request, until};

/// More than are applied without a look.
const TICKETS: usize = 60;

struct Night {
    place: Place,
    server: Server,
    _simulator: Simulator,
    bearer: String,
}

impl Night {
    async fn with_tickets(count: usize) -> Night {
        Night::with("", count).await
    }

    /// With these lines of a settings file.
    async fn with(settings: &str, count: usize) -> Night {
        let quick = Settings { work_ms: (1, 20), first_retry_ms: 20, ..Settings::default() };
        let simulator = Simulator::start(quick).await.unwrap();
        let place = Place::new().with("OPENAI_BASE_URL", &simulator.base_url()).with("USER", "lena");
        place.write("frontdesk.toml", settings);
        let server = place.serve(&[]);
        simulator.set_webhook_url(Some(server.url()));
        let made = place.run(&["token", "create", "--name", "lead", "--role", "lead"]).succeeds();
        let night = Night { place, server, _simulator: simulator, bearer: format!("Bearer {}", made.out.trim()) };
        for number in 1..=count {
            let ticket = json!({"id": format!("T-{number}"), "subject": "Lamp",
                "messages": [{"author": "customer", "body": "The lamp that I bought is dark."}]});
            assert_eq!(night.api("POST", "/tickets", &ticket).await.0, 201);
        }
        night
    }

    async fn api(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = format!("/api/v1{path}");
        let bytes = request(method, &path, &[("authorization", &self.bearer)], body.as_bytes());
        let answer = ask(self.server.addr, &bytes).await.unwrap();
        (answer.status, answer.json())
    }

    async fn ticket(&self, id: &str) -> Value {
        self.api("GET", &format!("/tickets/{id}"), &Value::Null).await.1
    }

    fn show(&self, id: &str) -> Value {
        self.place.json(&["batch", "show", id])
    }

    async fn is_read_before_it_is_decided(&self, id: &str) {
        let shown = self.place.run(&["batch", "show", id]).succeeds();
        assert!(shown.out.contains("\npriority\t") && shown.out.contains("no runs before it"), "{shown:?}");
        let sample = self.place.json(&["batch", "sample", id, "--limit", "3"]);
        assert_eq!(sample["items"].as_array().unwrap().len(), 3);
        assert_eq!((200, sample), self.api("GET", &format!("/batches/{id}/sample?limit=3"), &Value::Null).await);
        let read = self.place.run(&["batch", "sample", id]).succeeds();
        assert!(read.out.starts_with("T-") && read.out.contains("\n  route "), "{read:?}");
        let lines = self.place.json(&["batch", "lines", id, "--limit", "2"]);
        assert_eq!((200, lines), self.api("GET", &format!("/batches/{id}/lines?limit=2"), &Value::Null).await);
        let listed = self.place.run(&["batch", "list", "--state", "waiting"]).succeeds();
        assert!(listed.out.contains(&format!("{id}\t1\twaiting\tclassification\t60\t")), "{listed:?}");
    }

    async fn until(&self, id: &str, state: &str) -> Value {
        until(state, async || Some(self.show(id)).filter(|batch| batch["state"] == state)).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_change_set_is_looked_at_applied_and_undone() {
    let night = Night::with_tickets(TICKETS).await;
    let before = night.ticket("T-7").await;
    let waiting = night.place.json(&["batch", "submit", "classification", "--status", "open", "--wait"]);
    let id = waiting["batch_id"].as_str().unwrap();
    assert_eq!(waiting["state"], "waiting", "{waiting}");
    assert_eq!(night.ticket("T-7").await, before, "nothing is changed yet");
    assert_eq!(night.api("GET", &format!("/batches/{id}"), &Value::Null).await, (200, waiting.clone()));
    night.is_read_before_it_is_decided(id).await;
    night.place.run(&["batch", "pause", id]).fails(1, &[id, "waiting"]);
    night.place.run(&["batch", "apply", id, "--version", "99"]).fails(1, &[id, "version 1"]);
    let applied = night.place.run(&["batch", "apply", id]).succeeds();
    assert!(applied.out.contains(" lines to tickets; "), "{applied:?}");
    let applied = night.until(id, "applied").await;
    assert_eq!((&applied["version"], &applied["decided_by"]), (&json!(2), &json!("lena")));
    assert_ne!(night.ticket("T-7").await["intent"], before["intent"]);
    night.place.run(&["batch", "reject", id]).fails(1, &[id, "applied"]);
    night.place.run(&["batch", "undo", id, "--yes"]).succeeds();
    night.until(id, "undone").await;
    for key in ["intent", "priority", "queue", "tags"] {
        assert_eq!(night.ticket("T-7").await[key], before[key], "{key}");
    }
    night.place.run(&["audit"]).succeeds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_on_a_terminal_is_asked_and_sees_it_done() {
    let night = Night::with_tickets(TICKETS).await;
    let waiting = night.place.json(&["batch", "submit", "classification", "--status", "open", "--wait"]);
    let id = waiting["batch_id"].as_str().unwrap();
    let mut terminal = Terminal::run(night.place.command(&["batch", "apply", id]));
    terminal.shows("Go on? [y/N]");
    terminal.types("n\n");
    let (code, seen) = terminal.end();
    assert_eq!(code, 1, "{seen}");
    assert!(seen.contains("nothing was done"), "{seen}");
    assert_eq!(night.show(id)["state"], "waiting");
    let mut terminal = Terminal::run(night.place.command(&["batch", "apply", id]));
    terminal.shows("Go on? [y/N]");
    terminal.types("y\n");
    let (code, seen) = terminal.end();
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("next         "), "{seen}");
    assert_eq!(night.show(id)["state"], "applied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_change_set_changes_no_ticket() {
    let night = Night::with_tickets(TICKETS).await;
    let before = night.ticket("T-1").await;
    let waiting = night.place.json(&["batch", "submit", "classification", "--status", "open", "--wait"]);
    let id = waiting["batch_id"].as_str().unwrap();
    let rejected = night.place.json(&["batch", "reject", id, "--reason", "the prompt is wrong"]);
    assert_eq!((&rejected["state"], &rejected["version"]), (&json!("rejected"), &json!(2)));
    assert_eq!(night.ticket("T-1").await, before);
    let trail = night.place.json(&["trail", "list", "--subject", id]);
    assert!(trail.to_string().contains("the prompt is wrong"), "{trail}");
    night.place.run(&["batch", "apply", id]).fails(1, &[id, "rejected"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_paused_resumed_and_undone_while_it_is_applied() {
    let night = Night::with("[batch]\npreview_over = 0\npace = 1\n", 3).await;
    let waiting = night.place.json(&["batch", "submit", "classification", "--status", "open", "--wait"]);
    let id = waiting["batch_id"].as_str().unwrap();
    night.place.run(&["batch", "apply", id, "-y"]).succeeds();
    until("the first line to be applied", async || (night.show(id)["counts"]["applied"] == 1).then_some(())).await;
    let paused = night.place.run(&["batch", "pause", id, "--reason", "lunch"]).succeeds();
    assert!(paused.out.contains("pauses; 2 lines go") && paused.out.contains("by lena at "), "{paused:?}");
    assert!(paused.out.contains(": lunch\n") && paused.out.contains("frontdesk batch resume"), "{paused:?}");
    night.place.run(&["batch", "pause", id]).fails(1, &[id, "paused already"]);
    let watched = night.place.run(&["batch", "show", id, "--watch"]).succeeds();
    assert!(watched.out.contains("applying"), "a paused batch rests: {watched:?}");
    let resumed = night.place.json(&["batch", "resume", id]);
    assert!(resumed["paused_by"].is_null() && resumed["fates"]["queued"] == 2, "{resumed}");
    night.place.run(&["batch", "undo", id]).succeeds();
    let undone = night.until(id, "undone").await;
    assert_eq!((&undone["counts"]["undone"], &undone["counts"]["applied"]), (&json!(1), &json!(0)));
    assert!(night.ticket("T-1").await["intent"].is_null());
    night.place.run(&["audit"]).succeeds();
}
