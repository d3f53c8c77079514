//! Erasing, keeping only ids, and backups, as people and programs ask for them.

use std::os::unix::fs::PermissionsExt as _;

use frontdesk::app::Roles;
use serde_json::json;

use crate::desk::{Desk, is_problem, is_time};
use crate::process::Place;
use crate::wire::until;

const ERASE: &str = "/tickets/T-1/erase";

#[tokio::test]
async fn only_an_admin_erases_a_ticket_and_says_why() {
    let desk = Desk::without_workers().await;
    desk.ticket("T-1").await;
    let why = json!({"reason": "the customer asked"});
    for role in ["agent", "lead"] {
        is_problem(&desk.post(role, ERASE, why.clone()).await, 403);
    }
    for body in [json!({}), json!({"reason": " "}), json!({"reason": "a\nb"}), json!({"reason": "r", "all": true})] {
        is_problem(&desk.post("admin", ERASE, body).await, 400);
    }
    is_problem(&desk.post("admin", "/tickets/T-unknown/erase", why.clone()).await, 404);
    assert_eq!(desk.get("/tickets/T-1").await["subject"], "Lamp");

    let answer = desk.post("admin", ERASE, why).await;
    let told = answer.json();
    assert_eq!((answer.status, &told["ticket_id"], &told["erased"]["messages"]), (200, &json!("T-1"), &json!(1)));
    is_time(&told["erased_at"]);
    let done = if desk.file().is_some() { json!(true) } else { json!(null) };
    assert_eq!((&told["compacted"], &told["log_emptied"]), (&done, &done));
    let ticket = desk.get("/tickets/T-1").await;
    assert_eq!((&ticket["subject"], &ticket["messages"][0]["body"]), (&json!(""), &json!("")));
    assert_eq!(ticket["erased_at"], told["erased_at"]);
    assert_eq!(desk.get("/tickets").await["items"][0]["erased_at"], told["erased_at"]);
}

#[tokio::test]
async fn a_ticket_with_work_under_way_is_not_erased_and_its_jobs_are_named() {
    let desk = Desk::without_workers().await;
    desk.ticket("T-1").await;
    let asked = json!({"workflow": "summary", "ticket_id": "T-1"});
    assert_eq!(desk.post("agent", "/submissions", asked).await.status, 202);
    let job = until("the webhook", async || {
        let jobs = desk.get("/jobs").await;
        jobs["items"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    let refused = desk.post("admin", ERASE, json!({"reason": "r"})).await;
    is_problem(&refused, 409);
    assert!(refused.text().contains(&job), "{}", refused.text());
    assert_eq!(desk.get("/tickets/T-1").await["subject"], "Lamp");
}

#[tokio::test]
async fn where_only_ids_are_kept_applied_work_leaves_no_content_of_its_own() {
    let desk = Desk::with("[privacy]\nmode = \"ids-only\"\n", Roles::ALL).await;
    desk.ticket("T-1").await;
    for workflow in ["summary", "draft_reply"] {
        let asked = json!({"workflow": workflow, "ticket_id": "T-1"});
        assert_eq!(desk.post("agent", "/submissions", asked).await.status, 202);
    }
    until("both to end", async || {
        (desk.get("/jobs?status=processed").await["items"].as_array()?.len() == 2).then_some(())
    })
    .await;
    for none in [
        "SELECT count(*) FROM deliveries WHERE body IS NOT NULL",
        "SELECT count(*) FROM results WHERE raw IS NOT NULL",
        "SELECT count(*) FROM effects WHERE payload IS NOT NULL",
        "SELECT count(*) FROM reviews WHERE ticket IS NOT NULL",
    ] {
        assert_eq!(desk.count(none), 0, "{none}");
    }
    assert_eq!(desk.count("SELECT count(*) FROM deliveries WHERE length(body_sha256) = 32"), 2);
    let review = desk.get("/reviews?state=open").await["items"][0].clone();
    assert!(review["output"].is_string() && review["ticket"].is_null(), "{review}");
}

#[test]
fn the_command_line_erases_only_when_it_is_meant() {
    let place = Place::new();
    assert_eq!(place.run(&["erase", "--ticket", "T-1"]).code, 2, "a reason is needed");
    place.run(&["migrate"]).succeeds();
    place.run(&["erase", "--ticket", "T-1", "--reason", "r"]).fails(1, &["--yes"]);
    place.run(&["erase", "--ticket", "T-1", "--reason", " ", "--yes"]).fails(1, &["reason"]);
    place.run(&["erase", "--ticket", "T-1", "--reason", "r", "--yes"]).fails(1, &["no ticket"]);
    let rows = "INSERT INTO tickets (id, seq, subject, queue, created_at, updated_at) VALUES ('T-1', 1, 'canary-subject', 'support', 1, 1);
         INSERT INTO messages (ticket_id, author, visibility, body, created_at) VALUES ('T-1', 'customer', 'public', 'canary-message', 1)";
    place.sql().execute_batch(rows).unwrap();
    let told = place.json(&["erase", "--ticket", "T-1", "--reason", "the customer asked", "--yes"]);
    assert_eq!((&told["ticket_id"], &told["erased"]["messages"]), (&json!("T-1"), &json!(1)));
    let left = "SELECT (SELECT count(*) FROM tickets WHERE subject LIKE 'canary-%')
        + (SELECT count(*) FROM messages WHERE body LIKE 'canary-%')";
    assert_eq!(place.sql().number(left), 0);
    if let Some(file) = place.location().file() {
        let bytes = std::fs::read(file).unwrap();
        assert!(!bytes.windows(7).any(|part| part == b"canary-"), "the bytes are gone");
    }
    place.run(&["erase", "--ticket", "T-1", "--reason", "again", "--yes", "--compact"]).succeeds();
}

#[test]
fn a_backup_is_made_while_it_runs_and_never_over_a_file() {
    let place = Place::in_a_file();
    place.run(&["backup", "copy.db"]).fails(1, &["no database"]);
    let server = place.serve(&[]);
    let told = place.json(&["backup", "copy.db"]);
    let copy = place.dir.path().join("copy.db");
    let found = std::fs::metadata(&copy).unwrap();
    assert_eq!((told["bytes"].as_u64(), found.permissions().mode() & 0o777), (Some(found.len()), 0o600));
    place.run(&["backup", "copy.db"]).fails(1, &["copy.db", "there already"]);
    place.run(&["backup", "no/folder/copy.db"]).fails(1, &["no/folder/copy.db"]);
    assert_eq!(server.stop(), 0);
    let restored = place.with("DATABASE_URL", "sqlite://copy.db");
    restored.run(&["jobs", "list"]).succeeds();
}

#[test]
fn zero_data_retention_with_background_work_is_told_at_the_start() {
    let place = Place::new();
    place.write("frontdesk.toml", "[openai]\nzero_data_retention = true\n");
    let mut child = place.command(&["serve"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let lines = crate::process::lines_of(child.stderr.take().unwrap());
    let mut said = String::new();
    while let Ok(line) = lines.recv_timeout(crate::wire::PATIENCE) {
        said.push_str(&line);
        if line.contains("frontdesk is ready") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.contains("WARN") && said.contains("zero data retention") && said.contains("ten minutes"), "{said}");
}
