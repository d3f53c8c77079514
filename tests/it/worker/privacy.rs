//! Nothing that a customer, a model or a secret says gets into a log line, a
//! metric, an alert, a refusal or a job's error.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request;
use frontdesk::clock::Clock;
use frontdesk::domain::person::{Person, Role};
use frontdesk::domain::review::{Action, RejectReason};
use frontdesk::domain::secret::Secret;
use frontdesk::domain::ticket::{Author, Visibility};
use frontdesk::domain::verify::Verifier;
use frontdesk::intake::{FrontDesk, Project, router};
use frontdesk::shapes;
use frontdesk::store::{Act, Discarded, Erasure, NewTicket, Store};
use serde_json::json;
use tower::ServiceExt as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::batches::{answer, answered, classified};
use super::building::tickets;
use crate::canary;
use crate::fake_openai::{Answer, completed, ended, message, to};
use crate::harness::{ALL, RETENTION_MS, TestDesk, event, signed_by};

const CANARIES: [&str; 17] = [
    "canary-ticket-text",
    "canary-subject",
    "canary-tag",
    "canary-tool-error",
    "canary-edited-text",
    "canary-said",
    "canary-internal-note",
    "canary-model-output",
    "canary-webhook-body",
    "sk-canary-api-key",
    "canary-refusal-words",
    "canary-error-message",
    "canary-line-output",
    "canary-line-error",
    "canary-batch-error",
    "canary-file-name",
    "Y2FuYXJ5LXNpZ25pbmcta2V5", // the beginning of the secret, in base64
];
const KEY: &[u8] = b"canary-signing-key-of-32-bytes!!";

/// Log lines of the whole process, kept in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.clone()
    }
}

fn assert_silent(of: &str, text: &str) {
    canary::assert_silent(of, text, &CANARIES);
}

/// Every ending once, each with words that must not get out.
async fn play(desk: &TestDesk) {
    let words = "canary-model-output";
    let refusal = json!([{"type": "message", "role": "assistant", "status": "completed",
                          "content": [{"type": "refusal", "refusal": "canary-refusal-words"}]}]);
    let spaced = "canary-model-output, in words";
    let tool = json!([{"type": "mcp_call", "name": words, "error": {"type": spaced, "message": "canary-tool-error"}}, message(words)]);
    let mut failed = ended("resp_5", "failed", json!([]), &to("T-1", "summary"));
    failed["error"] = json!({"code": "canary-error-message with spaces", "message": "canary-error-message"});
    for resource in [
        completed("resp_1", words, &to("T-1", "summary")),
        completed("resp_2", words, &to("T-1", "classification")),
        ended("resp_3", "completed", refusal, &to("T-1", "draft_reply")),
        ended("resp_4", "completed", tool, &to("T-1", "summary")),
        failed,
        completed("resp_6", words, &json!({"note": "canary-model-output"})),
        ended("resp_7", "canary-model-output of a status", json!([]), &json!({})),
    ] {
        desk.openai.put(&resource);
    }
    let error = json!({"error": {"message": "canary-error-message", "code": "canary-error-message, a text"}});
    desk.openai.script("resp_8", [Answer::text(500, &error.to_string()), Answer::text(200, "canary-model-output")]);
    desk.openai.script("resp_9", [Answer::error(401, "invalid_api_key"), Answer::error(404, "gone")]);
    for n in 1..=9 {
        let mut body: serde_json::Value =
            serde_json::from_str(&event(&format!("evt_{n}"), "response.completed", &format!("resp_{n}"))).unwrap();
        body["data"]["more"] = json!("canary-webhook-body");
        let delivery = signed_by(KEY, "default", &format!("wh_{n}"), &body.to_string(), desk.now_ms());
        desk.store.record(delivery).await.unwrap();
    }
    desk.store.record(signed_by(KEY, "default", "wh_x", "canary-webhook-body", desk.now_ms())).await.unwrap();
}

/// Every line of a batch that comes to nothing or waits, one that OpenAI refuses whole, and one of ours.
async fn play_batches(desk: &TestDesk) {
    let batch = |id: &str, status: &str| {
        json!({"id": id, "object": "batch", "endpoint": "/v1/responses", "status": status, "created_at": 1_780_000_000,
               "metadata": {"workflow": "classification", "description": "canary-line-output"},
               "output_file_id": "file-out", "error_file_id": "file-err", "input_file_id": "canary-file-name"})
    };
    let told = json!({"error": {"message": "canary-line-error", "code": "canary-line-error, a text", "type": "canary-line-error"}});
    let not_executed = json!({"custom_id": "T-1:b", "response": null, "error": {"code": "canary-line-error, a text", "message": "canary-line-error"}});
    let lines = [
        answered("T-1:a", json!([message("canary-line-output")])),
        answer("T-1:c", 400, &told),
        not_executed.to_string(),
        classified("T-1:d", "canary-line-output", "high"),
        classified("T-404", "canary-line-output", "high"),
        "canary-line-output, no JSON".to_owned(),
    ];
    desk.openai.put_file("file-out", &lines.join("\n"));
    desk.openai.put_file("file-err", "");
    desk.openai.put(&batch("batch_c1", "completed"));
    let mut failed = batch("batch_c2", "failed");
    failed["errors"] = json!({"object": "list", "data": [
        {"code": "canary-batch-error, in words", "message": "canary-batch-error", "param": "canary-batch-error", "line": 1}]});
    desk.openai.put(&failed);
    let kind = ["batch.completed", "batch.failed"];
    for (n, kind) in kind.into_iter().enumerate() {
        let id = format!("batch_c{}", n + 1);
        desk.deliver(&format!("wh_{id}"), &format!("evt_{id}"), kind, &id).await;
    }
    let refusal = json!({"error": {"message": "canary-batch-error", "code": "canary-batch-error, a text", "param": "canary-file-name"}});
    desk.openai.answer_uploads([Answer::text(400, &refusal.to_string())]);
    desk.ask(tickets(&["T-1"])).await;
}

/// A build that was given up must not wait for ever.
async fn discard_builds(desk: &TestDesk) {
    for job in desk.store.jobs(None, ALL).await.unwrap().items.into_iter().filter(|job| job.kind == "build") {
        let (actor, reason) = ("lena".to_owned(), "refused".to_owned());
        assert_eq!(desk.store.discard_job(job.id, actor, reason, desk.now_ms()).await.unwrap(), Discarded::Done);
    }
}

/// What is exported of lines is ids and codes.
async fn export(desk: &TestDesk) {
    let lines = desk.store.batch_lines("batch_c1".to_owned(), None, 0, 100).await.unwrap();
    assert_eq!(lines.len(), 6);
    for line in &lines {
        assert_silent("an exported line", &format!("{line:?} {}", shapes::batch_line(line)));
        assert_silent("a cell", &shapes::batch_line_cells(line).join(","));
    }
    for id in ["batch_c1", "batch_c2", "T-1", "batch_c1/T-1:a"] {
        let trail = desk.store.trail(id.to_owned()).await.unwrap().unwrap();
        assert_silent("an answer of why", &shapes::why(id, &trail, None, desk.now_ms()).to_string());
    }
}

async fn open_ticket(desk: &TestDesk) {
    let new = NewTicket {
        id: Some("T-1".to_owned()),
        subject: "canary-subject".to_owned(),
        queue: "support".to_owned(),
        tags: vec!["canary-tag".to_owned()],
        messages: vec![(Author::Customer, "canary-ticket-text".to_owned())],
    };
    desk.store.create_ticket(new, desk.now_ms()).await.unwrap().unwrap();
    let (author, seen_by) = (Author::Agent, Visibility::Internal);
    desk.store.add_message("T-1".into(), author, seen_by, "canary-internal-note".into(), desk.now_ms()).await.unwrap();
}

impl TestDesk {
    /// Starting work fails with words of the other side.
    async fn began_badly(&self) {
        let error = json!({"error": {"message": "canary-error-message", "code": "canary-error-message, a text", "param": "canary-error-message"}});
        self.openai.answer_starts([Answer::text(400, &error.to_string())]);
        let error = self.submitter().submit("default", "summary", "T-1", "lena").await.unwrap_err();
        assert_silent("the error of a start", &format!("{error} {error:?}"));
    }
}

/// People decide, in words that must not get out either.
async fn decide_all(desk: &TestDesk) {
    let reviews = desk.store.reviews(None, None, None, ALL).await.unwrap().items;
    assert!(reviews.len() > 3);
    for (index, review) in reviews.into_iter().filter(|review| review.state == "open").enumerate() {
        let said = "canary-said".to_owned();
        let action = match index % 3 {
            0 => Action::Reject { reason: RejectReason::Other, said },
            1 => Action::Escalate { said },
            _ => Action::yes_with("canary-edited-text"),
        };
        let person = Person { name: "lena".to_owned(), role: Role::Lead };
        let act = Act { review: review.id, version: None, person, action, lease_ms: 300_000, now_ms: desk.now_ms() };
        if let Some(Err(refused)) = desk.store.act_on_review(act).await.unwrap() {
            assert_silent("a refused decision", &format!("{refused} {refused:?}"));
        }
    }
    let kept: String = desk.sql().query_row("SELECT string_agg(raw, '') FROM results", [], |row| row.get(0)).unwrap();
    assert!(kept.contains("canary-model-output"), "the canaries did come in");
}

/// What is erased is told of in counts.
async fn forget_all(desk: &mut TestDesk) {
    desk.clock.advance(4 * RETENTION_MS);
    desk.worker().tidy().await;
    let asked = Erasure::new("T-1".to_owned(), "ana".to_owned(), "asked for".to_owned(), desk.now_ms()).unwrap();
    let erased = desk.store.erase_ticket(asked).await.unwrap();
    assert_silent("what an erasure tells", &format!("{erased:?}"));
}

/// Requests that the front desk refuses, and one that it takes.
async fn knock(desk: &TestDesk, store: &Store) {
    let text = format!("whsec_{}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, KEY));
    assert!(text.contains("Y2FuYXJ5LXNpZ25pbmcta2V5"));
    let verifier = Verifier::new(vec![Secret::parse(&text).unwrap()]);
    let project = Project::new(verifier, RETENTION_MS);
    let clock = Clock::Hand(desk.clock.clone());
    let front = FrontDesk::new(
        store.clone(),
        clock,
        [("default".to_owned(), project)].into(),
        "default",
        std::time::Duration::from_secs(5),
        Arc::clone(&desk.metrics),
    );
    let refusals = front.refusals();
    for signature in ["v1,canary-webhook-body", "v1,YWJj", "v2,YWJj"] {
        let request = Request::post("/webhooks/openai")
            .header("webhook-id", "wh_refused")
            .header("webhook-timestamp", (desk.now_ms() / 1000).to_string())
            .header("webhook-signature", signature)
            .body(Body::from("{\"canary\":\"canary-webhook-body\"}"))
            .unwrap();
        let answer = router(Arc::clone(&front)).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 400);
    }
    refusals.write().await;
}

#[tokio::test]
async fn no_word_of_a_customer_a_model_or_a_secret_gets_into_what_operators_read() {
    let lines = Lines::default();
    let filter = EnvFilter::new("debug,frontdesk=trace");
    let logging = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines.clone()).with_ansi(false);
    tracing::subscriber::set_global_default(logging.finish()).expect("the only test that logs");
    let mut desk = TestDesk::open().await;
    desk.use_key("sk-canary-api-key");
    open_ticket(&desk).await;
    play(&desk).await;
    play_batches(&desk).await;
    desk.began_badly().await;
    knock(&desk, &desk.store).await;
    desk.work_to_the_end(&desk.worker()).await;
    export(&desk).await;
    discard_builds(&desk).await;
    decide_all(&desk).await;
    desk.work_to_the_end(&desk.worker()).await;
    desk.worker().watch().await;
    forget_all(&mut desk).await;

    let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("attempt ended") && logged.contains("requests refused"), "lines were captured");
    assert_silent("the log", &logged);
    let counts = desk.store.counts().await.unwrap();
    assert_silent("the metrics", &desk.metrics.render(&counts, desk.now_ms()));
    for query in [
        "SELECT kind || subject || detail FROM alerts",
        "SELECT action || subject || detail FROM audit_trail",
        "SELECT workflow || coalesce(reason, '') FROM feedback",
        "SELECT coalesce(error_cause, '') || coalesce(error_detail, '') FROM submissions",
        "SELECT coalesce(stale_reason, '') || matches || coalesce(seen, '') FROM reviews",
        "SELECT code || explanation FROM refusals",
        "SELECT coalesce(error_cause, '') || coalesce(error_detail, '') || coalesce(reason, '') FROM jobs",
        "SELECT reason || detail || topics FROM reviews",
        "SELECT coalesce(error, '') || actor FROM batches",
        "SELECT result || coalesce(reason, '') || coalesce(found, '') FROM batch_lines",
        "SELECT coalesce(status, '') || coalesce(errors, '') || coalesce(said, '') FROM batch_parts",
        "SELECT coalesce(note, '') || secret_hint FROM deliveries",
    ] {
        let rows: Vec<String> = desk.sql().rows(query, [], |row| row.get(0)).unwrap();
        assert!(!rows.is_empty(), "{query}");
        assert_silent(query, &rows.join("\n"));
    }
}
