//! Tickets in a real Request Tracker, from the settings to the note and the reply.

use frontdesk::app::Roles;
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::process::Place;
use crate::wire::until;

pub fn given(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: start with scripts/request-tracker run …"))
}

pub fn settings() -> String {
    format!(
        "[helpdesk]\nkind = \"request_tracker\"\nurl = \"{}\"\nuser = \"frontdesk\"\ntoken = \"{}\"\n\
         [helpdesk.queues]\nbilling = \"Billing\"\n\
         [helpdesk.fields]\nintent = \"AI Intent\"\ntags = \"Tags\"\nkey = \"Frontdesk Ref\"\n\
         [policy]\n",
        given("FRONTDESK_TEST_RT_URL"),
        given("FRONTDESK_TEST_RT_TOKEN")
    )
}

async fn rt(method: &str, path: &str, body: Option<Value>) -> Value {
    frontdesk::tls::install_provider();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/REST/2.0{path}", given("FRONTDESK_TEST_RT_URL"));
    let asked =
        http.request(method.parse().unwrap(), url).basic_auth("root", Some(given("FRONTDESK_TEST_RT_PASSWORD")));
    let asked = match body {
        Some(body) => asked.json(&body),
        None => asked,
    };
    serde_json::from_str(&asked.send().await.unwrap().text().await.unwrap()).unwrap()
}

pub async fn ticket(words: &str) -> String {
    let new = json!({"Queue": "Support", "Subject": "Opening hours", "Requestor": "ann@example.com", "Content": words,
                     "ContentType": "text/plain"});
    rt("POST", "/ticket", Some(new)).await["id"].as_str().unwrap().to_owned()
}

/// Texts that our user wrote to a ticket, of a kind of transaction.
pub async fn ours(id: &str, kind: &str) -> Vec<String> {
    let history = rt("GET", &format!("/ticket/{id}/history?fields=Type,Creator&per_page=100"), None).await;
    let fields = "TransactionId,ContentType,Content";
    let parts = rt("GET", &format!("/ticket/{id}/attachments?fields={fields}&per_page=100"), None).await;
    let is_ours = |one: &&Value| one["Type"] == kind && one["Creator"]["id"] == "frontdesk";
    let text = |one: &Value| {
        let part = parts["items"].as_array().unwrap().iter().find(|part| part["TransactionId"] == one["id"]);
        part.map_or_else(String::new, |part| part["Content"].as_str().unwrap().to_owned())
    };
    history["items"].as_array().unwrap().iter().filter(is_ours).map(text).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_of_request_tracker_is_summarised_and_a_reply_sent_after_approval() {
    let desk = Desk::with(&settings(), Roles::ALL).await;
    let id = ticket("Are you open on Monday?").await;
    let asked = json!({"workflow": "summary", "ticket_id": id});
    let started = desk.post("agent", "/submissions", asked).await;
    assert_eq!(started.status, 202, "{}", started.text());
    until("the note", async || (ours(&id, "Comment").await.len() == 1).then_some(())).await;
    assert!(ours(&id, "Comment").await[0].contains("Frontdesk ref: fd_"));
    let asked = json!({"workflow": "draft_reply", "ticket_id": id});
    assert_eq!(desk.post("agent", "/submissions", asked).await.status, 202);
    let review = until("the review", async || {
        let found = desk.get(&format!("/reviews?state=open&ticket={id}")).await;
        found["items"].as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!(ours(&id, "Correspond").await, Vec::<String>::new());
    let path = format!("/reviews/{}/approve", review["id"].as_str().unwrap());
    let approved = desk.post("agent", &path, json!({"version": 1, "text": "Yes, from ten."})).await;
    assert_eq!(approved.status, 200, "{}", approved.text());
    until("the reply", async || (ours(&id, "Correspond").await.len() == 1).then_some(())).await;
    assert_eq!(ours(&id, "Correspond").await[0].trim(), "Yes, from ten.");
    until("the end", async || (desk.get("/jobs?status=processing").await["items"] == json!([])).then_some(())).await;
    let missing = desk.post("agent", "/submissions", json!({"workflow": "summary", "ticket_id": "T-1"})).await;
    assert_eq!(missing.status, 404, "{}", missing.text());
}

/// The scrip of docs/helpdesks.md, as Request Tracker runs it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_in_request_tracker_begins_work_once_and_our_own_changes_begin_none() {
    let starts = "[helpdesk.starts]\ncreated = \"summary\"\nsolved = \"quality_check\"\nsettle = \"1s\"\n";
    let set = settings().replace("[helpdesk.queues]", "webhook_secret = \"between-us\"\n[helpdesk.queues]");
    let fields = "[helpdesk.fields]\nquality_score = \"Order\"\n";
    let desk = Desk::with(&set.replace("[helpdesk.fields]\n", &format!("{starts}{fields}")), Roles::ALL).await;
    let line = format!("Hooked http://{}/webhooks/helpdesk between-us\n", desk.addr);
    std::fs::write(given("FRONTDESK_TEST_RT_HOOKS"), line).unwrap();
    let new = json!({"Queue": "Support", "Subject": "Hooked: opening hours", "Requestor": "ann@example.com",
                     "Content": "Are you open on Monday?", "ContentType": "text/plain"});
    let id = rt("POST", "/ticket", Some(new)).await["id"].as_str().unwrap().to_owned();
    until("the summary", async || (ours(&id, "Comment").await.len() == 1).then_some(())).await;
    rt("PUT", &format!("/ticket/{id}"), Some(json!({"Status": "resolved"}))).await;
    until("the check", async || (ours(&id, "Comment").await.len() == 2).then_some(())).await;
    until("the end", async || (desk.get("/jobs?status=processing").await["items"] == json!([])).then_some(())).await;
    let heard = desk.app.store.heard(100).await.unwrap();
    let of =
        |became: &str| heard.iter().filter(|one| one.became == became).map(|one| one.what.as_str()).collect::<Vec<_>>();
    assert_eq!(of("starts"), ["solved", "created"], "{heard:?}");
    assert!(of("ours").len() >= 2 && heard.iter().all(|one| one.ticket_id == id), "{heard:?}");
    let asked: Vec<_> = desk.get(&format!("/submissions?ticket={id}")).await["items"].as_array().unwrap().clone();
    assert!(asked.len() == 2 && asked.iter().all(|one| one["actor"] == "helpdesk"), "{asked:?}");
    std::fs::write(given("FRONTDESK_TEST_RT_HOOKS"), "").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_checks_the_helpdesk_and_names_what_is_wrong() {
    let place = Place::new();
    let id = ticket("Are you open on Monday?").await;
    let file = |name: &str, text: &str| {
        let path = std::env::temp_dir().join(format!("frontdesk-{}-{name}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("good", &settings());
    let seen = place.json(&["--config", &good, "helpdesk", "check", "--ticket", &id]);
    let checks = seen["checks"].as_array().unwrap();
    assert!(seen["helpdesk"] == "Request Tracker" && checks.iter().all(|one| one["ok"] == true), "{seen}");
    assert_eq!(ours(&id, "Comment").await.len(), 1);
    let told = place.run(&["--config", &good, "helpdesk", "check"]).succeeds();
    assert!(told.out.contains("queue Billing") && told.out.contains("has no drafts"), "{}", told.out);
    let queue = file("queue", &settings().replace("\"Billing\"", "\"Biling\""));
    let biling = place.run(&["--config", &queue, "helpdesk", "check"]);
    assert!(biling.code == 1 && biling.out.contains("problem queue Biling"), "{}", biling.out);
    let token = file("token", &settings().replace(&given("FRONTDESK_TEST_RT_TOKEN"), "1-23-wrong"));
    let refused = place.run(&["--config", &token, "helpdesk", "check"]);
    assert!(
        refused.code == 1 && refused.out.contains("credentials") && !refused.out.contains("1-23-wrong"),
        "{}",
        refused.out
    );
    let nothing = place.run(&["helpdesk", "check"]).succeeds();
    assert!(nothing.out.contains("built-in desk"), "{}", nothing.out);
    for (name, line, words) in [
        ("user", "user = \"frontdesk\"\n", "helpdesk.user is missing"),
        ("kind", "kind = \"request_tracker\"\n", "helpdesk.url is set"),
    ] {
        let bad = file(name, &settings().replace(line, ""));
        place.run(&["config", "check", "--config", &bad]).fails(1, &[words]);
    }
    let open = file("open", &settings().replace("http://127.0.0.1", "http://rt.example.com"));
    place.run(&["--config", &open, "helpdesk", "check"]).fails(1, &["https"]);
    for path in [good, queue, token, open] {
        let _ = std::fs::remove_file(path);
    }
}
