//! The doctor, against the real server and an OpenAI that can be made ill.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use frontdesk::clock::Clock;
use serde_json::{Value, json};

use crate::desk::API_KEY;
use crate::process::{Place, Ran, Server};
use crate::support::database::{Sql, TestDatabase};

/// Not the one that everybody knows.
const SECRET: &str = "whsec_c2VjcmV0IG9mIHRoZSBkb2N0b3IncyB0ZXN0cyE=";
const PART: &str = "c2VjcmV0IG9mIHRoZSBkb2N0";
const TYPES: [&str; 8] = [
    "response.completed",
    "response.failed",
    "response.incomplete",
    "response.cancelled",
    "batch.completed",
    "batch.failed",
    "batch.expired",
    "batch.cancelled",
];
const ITEMS: [&str; 15] = [
    "Webhook endpoint is configured in the OpenAI dashboard",
    "Endpoint subscribes only to required events",
    "Webhook secret is stored securely",
    "Endpoint uses raw body parsing",
    "Signature verification is enabled",
    "Delivery deduplication uses webhook-id",
    "Events are stored with status and timestamps",
    "Endpoint returns 2xx quickly",
    "Heavy work runs in a background worker",
    "Worker retrieves full response or batch output by ID",
    "Failed and incomplete events are handled",
    "Retryable and final failures are separated",
    "Sensitive outputs are saved as drafts or routed for review",
    "Logs avoid storing unnecessary sensitive content",
    "ZDR and retention requirements have been checked",
];

const BATCHES: &str = "Ends of batches are told";

/// What the stand-in for OpenAI answers.
#[derive(Clone)]
struct OpenAi {
    read: u16,
    list: u16,
    types: Vec<&'static str>,
    endpoint: String,
    behind_s: i64,
}

type Shared = Arc<Mutex<OpenAi>>;

impl OpenAi {
    fn dated(&self, status: u16, body: Value) -> impl IntoResponse + use<> {
        let at = jiff::Timestamp::from_second(Clock::System.now_s() + self.behind_s).unwrap();
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap();
        let headers: [(HeaderName, String); 1] = [(header::DATE, date)];
        (StatusCode::from_u16(status).unwrap(), headers, body.to_string())
    }
}

async fn listen(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    addr
}

async fn openai(state: Shared) -> String {
    let read = async |State(state): State<Shared>| {
        let now = state.lock().unwrap().clone();
        now.dated(now.read, json!({"error": {"message": "x", "type": "invalid_request_error", "code": "some_code"}}))
    };
    let list = async |State(state): State<Shared>| {
        let now = state.lock().unwrap().clone();
        let endpoint = json!({"id": "whe_1", "url": now.endpoint, "event_types": now.types});
        now.dated(now.list, json!({"object": "list", "data": [endpoint], "has_more": false}))
    };
    let router = Router::new()
        .route("/v1/responses/{id}", get(read))
        .route("/v1/webhook_endpoints", get(list))
        .with_state(state);
    format!("http://{}/v1", listen(router).await)
}

/// A place with a running server, an OpenAI, and settings that are all right.
struct Clinic {
    place: Place,
    openai: Shared,
    /// Killed when dropped.
    server: Server,
}

impl Clinic {
    async fn open() -> Clinic {
        let openai = Arc::new(Mutex::new(OpenAi {
            read: 404,
            list: 200,
            types: TYPES.to_vec(),
            endpoint: String::new(),
            behind_s: 0,
        }));
        let base = self::openai(Arc::clone(&openai)).await;
        let place = Place::new().with("OPENAI_WEBHOOK_SECRET", SECRET).with("OPENAI_BASE_URL", &base);
        let server = tokio::task::block_in_place(|| place.serve(&[]));
        let clinic = Clinic { place, openai, server };
        clinic.openai.lock().unwrap().endpoint = clinic.server.url();
        clinic.settings(&clinic.public_url());
        clinic
    }

    fn public_url(&self) -> String {
        format!("http://{}", self.server.addr)
    }

    fn settings(&self, public_url: &str) {
        self.place.write("frontdesk.toml", &format!("public_url = \"{public_url}\"\n"));
    }

    fn examine(&self) -> Examined {
        examine(&self.place)
    }

    fn database(&self) -> Sql<'_> {
        self.place.sql()
    }
}

struct Examined {
    ran: Ran,
    items: Vec<Value>,
}

/// Whatever is ill, neither secret is ever shown, in neither form.
fn examine(place: &Place) -> Examined {
    let text = tokio::task::block_in_place(|| place.run(&["doctor"]));
    let ran = tokio::task::block_in_place(|| place.run(&["doctor", "--json"]));
    for shown in [&text.out, &text.err, &ran.out, &ran.err] {
        assert!(!shown.contains(PART) && !shown.contains(API_KEY), "{shown}");
    }
    assert_eq!(text.code, ran.code, "{text:?}");
    let items = ran.json()["items"].as_array().unwrap().clone();
    Examined { ran, items }
}

impl Examined {
    fn item(&self, name: &str) -> &Value {
        self.items.iter().find(|item| item["item"] == name).unwrap_or_else(|| panic!("{name}: {:#?}", self.items))
    }

    /// The item stands so, its detail holds the word, and it says what to do.
    fn says(&self, name: &str, state: &str, word: &str) {
        let item = self.item(name);
        assert_eq!(item["state"], state, "{item:#}");
        assert!(item["detail"].as_str().unwrap().contains(word), "{word}: {item:#}");
        assert_eq!(item["fix"].is_string(), state != "ok", "{item:#}");
        let any = self.items.iter().any(|item| item["state"] == "problem");
        assert_eq!(self.ran.code, i32::from(any), "{:#?}", self.items);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_installation_has_no_problem_and_the_checklist_is_in_its_order() {
    let clinic = Clinic::open().await;
    let examined = clinic.examine();
    let names: Vec<&str> = examined.items.iter().map(|item| item["item"].as_str().unwrap()).collect();
    assert_eq!(&names[1..16], ITEMS);
    // The tests' server is quick: a power cut would take what it has.
    let is_quick = TestDatabase::is_on_a_server();
    for item in &examined.items {
        assert!(item["state"] != "problem" || is_quick && item["item"] == ITEMS[6], "{item:#}");
    }
    for name in [&ITEMS[..6], &ITEMS[9..]].concat() {
        examined.says(name, "ok", "");
    }
    let (state, word) = if is_quick { ("problem", "fsync is off") } else { ("ok", "") };
    examined.says(ITEMS[6], state, word);
    examined.says(ITEMS[8], "warning", "no job has been claimed yet");
    examined.says("Clock agrees with OpenAI's", "ok", "within a minute");
    examined.says(BATCHES, "ok", "no batch is here");
    assert_eq!(examined.ran.code, i32::from(is_quick));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_test_delivery_is_put_away_and_leaves_no_work() {
    let clinic = Clinic::open().await;
    clinic.examine();
    let count = |sql: &str| clinic.database().number(sql);
    assert_eq!(count("SELECT count(*) FROM deliveries WHERE event_type = 'frontdesk.doctor'"), 2, "one a run");
    assert_eq!(count("SELECT count(*) FROM deliveries WHERE dismissed_by IS NULL"), 0);
    assert_eq!(count("SELECT count(*) FROM jobs"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_openai_says_is_judged() {
    let clinic = Clinic::open().await;
    let sound = clinic.openai.lock().unwrap().clone();
    let [configured, subscribed, .., retrieves, failures, _, _, _, _] = ITEMS;
    type Spoil = fn(&mut OpenAi);
    let cases: [(&str, &str, &str, Spoil); 14] = [
        (retrieves, "problem", "openai_auth: HTTP 401", |ill| ill.read = 401),
        (retrieves, "problem", "openai_auth: HTTP 403", |ill| ill.read = 403),
        (retrieves, "warning", "openai_server: HTTP 500", |ill| ill.read = 500),
        (configured, "warning", "cannot be checked with this key (HTTP 403)", |ill| ill.list = 403),
        (subscribed, "warning", "cannot be checked with this key (HTTP 404)", |ill| ill.list = 404),
        (configured, "problem", "none is http", |ill| {
            ill.endpoint = "https://elsewhere.example/webhooks/openai".into()
        }),
        (subscribed, "problem", "not subscribed: batch.failed", |ill| ill.types.retain(|kind| *kind != "batch.failed")),
        (failures, "problem", "response.incomplete", |ill| ill.types.retain(|kind| *kind != "response.incomplete")),
        (subscribed, "warning", "video.failed", |ill| ill.types.push("video.failed")),
        ("Clock agrees with OpenAI's", "warning", "s ahead", |ill| ill.behind_s = -100),
        ("Clock agrees with OpenAI's", "problem", "s ahead", |ill| ill.behind_s = -400),
        ("Clock agrees with OpenAI's", "problem", "s behind", |ill| ill.behind_s = 400),
        (subscribed, "ok", "", |well| well.types.push("fine_tuning.job.failed")),
        (failures, "ok", "", |_| {}),
    ];
    for (item, state, word, spoil) in cases {
        let mut ill = sound.clone();
        spoil(&mut ill);
        *clinic.openai.lock().unwrap() = ill;
        clinic.examine().says(item, state, word);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_of_batches_must_be_told_where_there_are_batches_or_a_schedule_makes_some() {
    let clinic = Clinic::open().await;
    let schedule =
        "[schedules.nightly]\nworkflow = \"classification\"\ncron = \"0 2 * * *\"\ntimezone = \"Europe/Berlin\"\n";
    clinic.place.write("frontdesk.toml", &format!("public_url = \"{}\"\n{schedule}", clinic.public_url()));
    clinic.examine().says(BATCHES, "ok", "0 batches are here, and 1 schedules make more");
    clinic.settings(&clinic.public_url());
    let batch = "INSERT INTO batches (id, seq, project, workflow, state, since, origin, actor, created_at)
                 VALUES ('bat_1', 1, 'default', 'summary', 'applied', 1, 'person', 'ada', 1)";
    let counted = "INSERT INTO tallies (name, shard, count) VALUES ('batches/applied', 0, 1)";
    for sql in [batch, counted] {
        clinic.database().execute(sql, []).unwrap();
    }
    clinic.examine().says(BATCHES, "ok", "1 batches are here");
    clinic.openai.lock().unwrap().types.retain(|kind| !matches!(*kind, "batch.expired" | "batch.cancelled"));
    clinic.examine().says(BATCHES, "problem", "OpenAI does not tell of batch.expired, batch.cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_does_not_lead_here_is_found_out() {
    let clinic = Clinic::open().await;
    let everything = |status: u16| async move {
        let answer = move || async move { (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, "/elsewhere")]) };
        format!("http://{}", listen(Router::new().fallback(answer)).await)
    };
    let [.., raw, verified, deduplicated, _, quick, _, _, _, _, _, _, _] = ITEMS;
    for (url, item, state, word) in [
        (everything(307).await, raw, "problem", "redirects (HTTP 307)"),
        (everything(404).await, quick, "problem", "HTTP 404"),
        (everything(200).await, verified, "problem", "somebody else signed"),
        (everything(200).await, deduplicated, "problem", "not in this database"),
        (everything(503).await, raw, "problem", "HTTP 503"),
        ("http://127.0.0.1:1".to_owned(), quick, "problem", "no connection"),
        ("http://desk.example.com".to_owned(), raw, "problem", "not https"),
    ] {
        clinic.settings(&url);
        clinic.examine().says(item, state, word);
    }
    clinic.place.write("frontdesk.toml", "");
    clinic.examine().says(raw, "warning", "public_url is not set");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_secret_than_the_server_s_is_found_out() {
    let mut clinic = Clinic::open().await;
    let other = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    clinic.place = clinic.place.with("OPENAI_WEBHOOK_SECRET", other);
    clinic.examine().says(ITEMS[4], "problem", "refuses a test");
    clinic.place = clinic.place.with("OPENAI_WEBHOOK_SECRET", &format!("{SECRET} {other}"));
    let examined = clinic.examine();
    examined.says(ITEMS[2], "ok", "2 secrets");
    examined.says(ITEMS[4], "ok", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_serve_refuses_are_a_problem_and_no_reason_to_stop() {
    let secret = ITEMS[2];
    let broken = format!("v1,whsec_{PART}");
    let cases = [
        ("OPENAI_WEBHOOK_SECRET", "", secret, "no signing secret"),
        ("OPENAI_WEBHOOK_SECRET", broken.as_str(), secret, "OPENAI_WEBHOOK_SECRET"),
        ("OPENAI_API_KEY", "", ITEMS[9], "no API key"),
        ("OPENAI_BASE_URL", "http://proxy.example/v1", ITEMS[9], "https://"),
        ("DATABASE_URL", "mysql://desk", "Settings can be read", "sqlite://"),
        ("DATABASE_URL", "sqlite://missing.db", ITEMS[6], "there is no database"),
        ("FRONTDESK_LOG", "a=b=c=d", "Settings can be read", "FRONTDESK_LOG"),
        ("FRONTDESK_LISTEN", "here", "Settings can be read", "FRONTDESK_LISTEN"),
        ("FRONTDESK_CONFIG", "missing.toml", "Settings can be read", "missing.toml"),
    ];
    for (name, value, item, word) in cases {
        let place = Place::in_a_file().with("OPENAI_WEBHOOK_SECRET", SECRET);
        let place = place.with("OPENAI_BASE_URL", "http://127.0.0.1:1/v1").with(name, value);
        let examined = examine(&place);
        examined.says(item, "problem", word);
        assert_eq!(examined.items.len(), 20, "{name}={value}");
        assert!(!place.file().exists(), "nothing is made");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_shows_too_much_is_found_out() {
    let place = Place::in_a_file().with("OPENAI_BASE_URL", "http://127.0.0.1:1/v1");
    for (filter, state) in [
        ("trace", "problem"),
        ("info,hyper=trace", "problem"),
        ("info,reqwest::connect=TRACE", "problem"),
        ("rustls", "problem"),
        ("5", "problem"),
        ("debug", "warning"),
        ("warn,hyper_util=debug", "warning"),
        ("info,frontdesk=trace", "ok"),
        ("frontdesk=debug,hyper=info", "ok"),
        ("off", "ok"),
    ] {
        let place = Place::in_a_file().with("OPENAI_BASE_URL", "http://127.0.0.1:1/v1").with("FRONTDESK_LOG", filter);
        examine(&place).says(ITEMS[13], state, "");
    }
    examine(&place).says(ITEMS[13], "ok", "info");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_is_tried() {
    let auto = "version = 2\n[workflow.draft_reply]\naction = \"apply\"\npublish = \"auto\"\n";
    let place = Place::in_a_file().with("OPENAI_BASE_URL", "http://127.0.0.1:1/v1");
    place.write("frontdesk.toml", "[policy]\nfile = \"policy.toml\"\n");
    for (policy, state, word) in [
        ("version = 2\n", "ok", "policy 2: tried"),
        ("version = 2\nkill_switch = true\n", "ok", "kill switch is on"),
        (auto, "warning", "draft_reply may send replies"),
        ("version = 2\nkil_switch = true\n", "problem", "policy.toml"),
    ] {
        place.write("policy.toml", policy);
        examine(&place).says(ITEMS[12], state, word);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_that_reach_nobody_are_found_out() {
    let told = "Somebody is told when something breaks";
    let place = Place::new().with("OPENAI_BASE_URL", "http://127.0.0.1:1/v1");
    place.run(&["migrate"]).succeeds();
    let slack = "[alerts.slack]\nurl = \"https://hooks.example/secret\"\n";
    for (settings, state, word) in [
        ("", "warning", "no channel is set"),
        (slack, "ok", "alerts go to slack"),
        ("[alerts.slack]\nurl_file = \"missing\"\n", "problem", "alerts.slack.url_file"),
        ("[alerts.webhook]\nurl = \"https://example.com/\"\n", "problem", "alerts.webhook.secret"),
    ] {
        place.write("frontdesk.toml", settings);
        examine(&place).says(told, state, word);
    }
    place.write("frontdesk.toml", slack);
    let file = place.dir.path().join("frontdesk.toml");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let examined = examine(&place);
    examined.says(ITEMS[2], "problem", "frontdesk.toml");
    assert!(!examined.ran.out.contains("hooks.example"));
    let sql = place.sql();
    let open =
        "INSERT INTO alerts (kind, subject, detail, opened_at, last_at) VALUES ('alert_channel', 'slack', 'x', 1, 1)";
    sql.execute_batch(open).unwrap();
    let examined = examine(&place);
    examined.says(told, "problem", "takes nothing");
    examined.says(ITEMS[11], "warning", "open alerts: alert_channel");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_long_content_is_kept_is_told() {
    for (settings, state, word) in [
        ("", "ok", "OpenAI for 30 days; here bodies for 30 days, results for 30 days, reviews for 90 days"),
        ("[privacy]\nmode = \"ids-only\"\n", "ok", "only while it is needed"),
        ("[openai]\nzero_data_retention = true\n", "warning", "ten minutes"),
        ("[openai]\nretention = \"20m\"\n", "warning", "20 minutes"),
    ] {
        let place = Place::in_a_file().with("OPENAI_BASE_URL", "http://127.0.0.1:1/v1");
        place.write("frontdesk.toml", settings);
        examine(&place).says(ITEMS[14], state, word);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_says_is_judged() {
    let clinic = Clinic::open().await;
    let now_ms = Clock::System.now_ms();
    let job = |key: &str, state: &str, since: i64, rest: &str| {
        format!(
            "INSERT INTO jobs (project, key, event_type, resource_id, state, since, queued_at, forget_at, claimable_at, worker, error_cause)
             VALUES ('stray', '{key}', 'response.completed', 'resp_{key}', '{state}', {since}, {since}, {since}, {rest})"
        )
    };
    let sql = clinic.database();
    sql.execute_batch(&job("a", "failed_final", now_ms, "NULL, NULL, 'internal'")).unwrap();
    clinic.examine().says(ITEMS[11], "warning", "1 are given up");
    sql.execute_batch(&format!("UPDATE jobs SET started_at = {now_ms}")).unwrap();
    clinic.examine().says(ITEMS[8], "ok", "the last job was claimed");
    sql.execute_batch(&job("d", "queued", now_ms - 60_000, &format!("{now_ms}, NULL, NULL"))).unwrap();
    clinic.examine().says(ITEMS[14], "problem", "1 queued jobs");
    sql.execute_batch("DELETE FROM jobs WHERE state = 'queued'").unwrap();
    sql.execute_batch(&job("b", "queued", now_ms - 3_600_000, &format!("{}, NULL, NULL", now_ms - 3_600_000))).unwrap();
    clinic.examine().says(ITEMS[8], "problem", "1 jobs wait");
    sql.execute_batch(&job("c", "processing", now_ms, &format!("{}, 'gone', NULL", now_ms - 120_000))).unwrap();
    clinic.examine().says(ITEMS[8], "problem", "a worker that is gone");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    let Some(file) = clinic.place.location().file() else { return };
    std::fs::set_permissions(file, open).unwrap();
    clinic.examine().says(ITEMS[6], "warning", "mode 644");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_others_may_read_is_found_out() {
    let place = Place::in_a_file().without("OPENAI_WEBHOOK_SECRET").with("OPENAI_BASE_URL", "http://127.0.0.1:1/v1");
    place.write("secret", SECRET);
    let place = place.with("OPENAI_WEBHOOK_SECRET_FILE", "secret");
    let file = place.dir.path().join("secret");
    for (mode, state) in [(0o644, "problem"), (0o640, "problem"), (0o600, "ok"), (0o400, "ok")] {
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        examine(&place).says(ITEMS[2], state, "");
    }
    let place = place.without("OPENAI_WEBHOOK_SECRET_FILE");
    place.write("frontdesk.toml", &format!("[openai]\nwebhook_secret = \"{SECRET}\"\n"));
    let file = place.dir.path().join("frontdesk.toml");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    examine(&place).says(ITEMS[2], "problem", "frontdesk.toml");
}
