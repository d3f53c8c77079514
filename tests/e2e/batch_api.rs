//! Batches through the API: what people see of one, and what they decide.

use frontdesk::domain::batch::Rules;
use frontdesk::domain::hold::HoldReason;
use frontdesk::store::{LineEntry, LineRead, PartEnd, PartPlace, PlacePart, Store};
use serde_json::{Value, json};

use crate::desk::{Desk, has_keys, is_problem, is_time};

const BATCH: [&str; 6] = ["batch_id", "version", "workflow", "state", "counts", "change_set"];
const COUNTS: [&str; 10] =
    ["lines", "ok", "held", "failed", "missing", "unknown", "duplicate", "unreadable", "applied", "skipped"];

fn output(priority: &str) -> String {
    let text = json!({"intent": "shipping", "priority": priority, "confidence": 0.9, "topics": []}).to_string();
    json!({"id": "resp_1", "object": "response", "status": "completed", "metadata": {},
           "output": [{"type": "message", "role": "assistant", "status": "completed",
                       "content": [{"type": "output_text", "text": text, "annotations": []}]}]})
    .to_string()
}

fn usable(ticket: &str, held: Option<HoldReason>) -> LineRead {
    let labels = vec!["set/priority/high".to_owned(), "set/queue/logistics".to_owned()];
    LineRead::Usable { ticket_id: ticket.to_owned(), raw: output("high"), held, labels }
}

/// A batch of another program that has been read; no line of it names a ticket
/// of the desk but the first.
async fn read(store: &Store, preview_over: i64) {
    let given = PlacePart {
        project: "default".to_owned(),
        resource_id: "batch_1".to_owned(),
        submission_id: None,
        workflow: Some("classification".to_owned()),
        made_at_ms: None,
        now_ms: 1,
    };
    let PartPlace::Part { part, .. } = store.place_part(given).await.unwrap() else { panic!("not placed") };
    let named = |name: &str, read| (Some(name.to_owned()), read);
    let lines = [
        named("T-1", usable("T-1", None)),
        named("T-2", usable("T-2", Some(HoldReason::Sensitive))),
        named("T-3", LineRead::Failed { reason: "api_error_400".to_owned() }),
        named("=HYPERLINK(1),\"x\"", LineRead::Unknown { reason: "no_such_ticket" }),
        named("T-1", usable("T-1", None)),
        (None, LineRead::Unreadable { reason: "not_json" }),
    ];
    let entry = |(at, (custom_id, read))| LineEntry { found: format!("output:{}", at + 1), custom_id, read };
    let entries = lines.into_iter().enumerate().map(entry).collect();
    store.enter_lines((*part).clone(), true, None, entries, 2).await.unwrap();
    let end = PartEnd {
        part: *part,
        status: "completed".to_owned(),
        said: json!({"total": 6, "completed": 5, "failed": 1}),
        errors: vec![("bad_line".to_owned(), Some(4))],
        rules: Rules { preview_over, ..Rules::default() },
        error: None,
    };
    store.finish_part(end, 3).await.unwrap();
}

async fn waiting() -> Desk {
    let desk = Desk::without_workers().await;
    desk.ticket("T-1").await;
    read(&desk.app.store, 0).await;
    desk
}

#[tokio::test]
async fn a_batch_is_shown_with_its_counts_its_change_set_and_its_parts() {
    let desk = waiting().await;
    let shown = desk.get("/batches/batch_1").await;
    has_keys(&shown, &BATCH);
    has_keys(&shown["counts"], &COUNTS);
    assert_eq!(
        (&shown["state"], &shown["version"], &shown["waits_for"]),
        (&json!("waiting"), &json!(1), &json!("size"))
    );
    let counts = &shown["counts"];
    assert_eq!([&counts["lines"], &counts["ok"], &counts["held"], &counts["failed"]], [3, 1, 1, 1]);
    assert_eq!([&counts["unknown"], &counts["duplicate"], &counts["unreadable"], &counts["missing"]], [1, 1, 1, 0]);
    let set = &shown["change_set"];
    assert_eq!(
        set["fields"][0],
        json!({"field": "priority", "values": [
        {"value": "high", "count": 2, "share": 1.0, "share_before": null, "has_moved": false}]})
    );
    assert_eq!(set["in_words"][1], "2 tickets to queue logistics");
    assert_eq!(set["held_reasons"], json!([{"reason": "sensitive", "count": 1}]));
    let part = &shown["parts"][0];
    assert_eq!((&part["resource_id"], &part["status"]), (&json!("batch_1"), &json!("completed")));
    assert_eq!(part["openai_counts"], json!({"total": 6, "completed": 5, "failed": 1}));
    assert_eq!(part["errors"], json!([{"line": 4, "code": "bad_line"}]));
    is_time(&shown["created_at"]);
    let listed = desk.get("/batches?state=waiting").await;
    assert_eq!(listed, json!({"items": [shown], "next_cursor": null}));
    assert_eq!(desk.get("/batches?state=applied").await["items"], json!([]));
}

#[tokio::test]
async fn lines_page_in_their_order_and_are_filtered_by_outcome() {
    let desk = waiting().await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = desk.get(&format!("/batches/batch_1/lines?limit=4{cursor}")).await;
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let outcomes: Vec<&str> = seen.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["ok", "held", "failed", "unknown", "duplicate", "unreadable"]);
    has_keys(
        &seen[0],
        &["custom_id", "ticket_id", "outcome", "reason", "number", "result", "fate", "found", "resource_id"],
    );
    assert_eq!(seen[0]["resource_id"], "batch_1/T-1");
    let held = desk.get("/batches/batch_1/lines?outcome=held").await;
    assert_eq!(held["items"], json!([seen[1]]));
    for (path, status) in
        [("/batches/batch_1/lines?outcome=fine", 400), ("/batches/bat_9/lines", 404), ("/batches?state=x", 400)]
    {
        is_problem(&desk.call("agent", "GET", path, "").await, status);
    }
}

#[tokio::test]
async fn the_whole_ledger_comes_as_csv_without_formulas_or_as_json_a_line() {
    let desk = waiting().await;
    let answer = desk.call("agent", "GET", "/batches/batch_1/lines.csv", "").await;
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"batch_1-lines.csv\""));
    let text = answer.text();
    assert!(text.starts_with("number,custom_id,ticket_id,outcome,result,fate,reason,found,resource_id\n"), "{text}");
    assert!(text.contains("\n1,T-1,T-1,ok,ok,,,output:1,batch_1/T-1\n"), "{text}");
    assert!(text.contains("\n4,\"'=HYPERLINK(1),\"\"x\"\"\",,unknown,"), "{text}");
    let answer = desk.call("agent", "GET", "/batches/batch_1/lines.jsonl?outcome=held", "").await;
    let lines: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json!(lines), desk.get("/batches/batch_1/lines?outcome=held").await["items"]);
    is_problem(&desk.call("agent", "GET", "/batches/bat_9/lines.csv", "").await, 404);
}

#[tokio::test]
async fn a_sample_shows_what_lines_propose_and_stores_nothing() {
    let desk = waiting().await;
    let sample = desk.get("/batches/batch_1/sample").await;
    let first = &sample["items"][0];
    assert_eq!((&first["ticket_id"], &first["would"]), (&json!("T-1"), &json!("apply")));
    assert_eq!(first["proposed"][0]["slot"], "route");
    assert!(first["proposed"][0]["text"].as_str().unwrap().contains("priority high"), "{first}");
    let second = &sample["items"][1];
    assert_eq!((&second["would"], &second["proposed"]), (&json!(null), &json!([])), "there is no such ticket");
    assert_eq!(desk.get("/batches/batch_1/sample?limit=1").await["items"].as_array().unwrap().len(), 1);
    is_problem(&desk.call("agent", "GET", "/batches/batch_1/sample?limit=51", "").await, 400);
    assert_eq!(desk.count("SELECT count(*) FROM jobs"), 0);
}

#[tokio::test]
async fn a_lead_decides_once_about_the_version_they_looked_at() {
    let desk = waiting().await;
    let act =
        async |role: &str, act: &str, body: Value| desk.post(role, &format!("/batches/batch_1/{act}"), body).await;
    for verb in ["apply", "reject", "pause", "resume", "undo"] {
        is_problem(&act("agent", verb, json!({"version": 1})).await, 403);
        is_problem(&act("lead", verb, json!({})).await, 400);
        is_problem(&act("lead", verb, json!({"version": 2})).await, 409);
        is_problem(&desk.post("lead", &format!("/batches/bat_9/{verb}"), json!({"version": 1})).await, 404);
    }
    for verb in ["pause", "resume", "undo"] {
        is_problem(&act("lead", verb, json!({"version": 1})).await, 409);
    }
    let applied = act("lead", "apply", json!({"version": 1})).await;
    assert_eq!((applied.status, &applied.json()["state"]), (200, &json!("applying")));
    assert_eq!((&applied.json()["version"], &applied.json()["decided_by"]), (&json!(2), &json!("lead")));
    is_problem(&act("lead", "apply", json!({"version": 1})).await, 409);
    is_problem(&act("lead", "apply", json!({"version": 2})).await, 409);
    let paused = act("lead", "pause", json!({"version": 2, "reason": "lunch"})).await.json();
    assert_eq!((&paused["paused_by"], &paused["pause_reason"]), (&json!("lead"), &json!("lunch")));
    let resumed = act("lead", "resume", json!({"version": 3})).await.json();
    assert_eq!((&resumed["version"], &resumed["in_flight"]), (&json!(4), &json!(2)));
    let undoing = act("lead", "undo", json!({"version": 4})).await;
    assert_eq!((undoing.status, &undoing.json()["undone_by"]), (200, &json!("lead")));
    is_problem(&act("lead", "undo", json!({"version": 5})).await, 409);
    is_problem(&act("lead", "reject", json!({"version": 5, "reason": "x\ny"})).await, 400);
}

#[tokio::test]
async fn of_approvals_at_once_one_is_taken() {
    let desk = waiting().await;
    let apply = || desk.post("lead", "/batches/batch_1/apply", json!({"version": 1}));
    let (a, b, c) = tokio::join!(apply(), apply(), apply());
    let mut statuses = [a.status, b.status, c.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409]);
}

#[tokio::test]
async fn a_batch_is_started_from_a_list_of_tickets_or_a_filter_by_a_lead() {
    let desk = Desk::without_workers().await;
    let list = json!({"workflow": "classification", "ticket_ids": ["T-1", "T-2", "T-1"]});
    is_problem(&desk.post("agent", "/batches", list.clone()).await, 403);
    let answer = desk.post("lead", "/batches", list).await;
    let made = answer.json();
    assert_eq!((answer.status, &made["state"], &made["version"]), (202, &json!("building"), &json!(1)));
    assert!(made["batch_id"].as_str().unwrap().starts_with("bat_"));
    assert_eq!((&made["actor"], &made["origin"]), (&json!("lead"), &json!("person")));
    let filter = json!({"status": "open", "older_than": "2d", "unclassified": true});
    let body = json!({"workflow": "classification", "filter": filter, "cap": 10, "budget_tokens": 9000});
    assert_eq!(desk.post("lead", "/batches", body).await.status, 202);
    let wanted = "SELECT count(*) FROM batches WHERE wanted LIKE '%\"older_than_ms\":172800000%'";
    assert_eq!(desk.count(wanted), 1);
    for bad in [
        json!({"workflow": "classification"}),
        json!({"workflow": "classification", "ticket_ids": []}),
        json!({"workflow": "classification", "ticket_ids": ["../etc"]}),
        json!({"workflow": "classification", "ticket_ids": ["T-1"], "filter": {"status": "open"}}),
        json!({"workflow": "classification", "filter": {}}),
        json!({"workflow": "classification", "filter": {"older_than": "soon"}}),
        json!({"workflow": "classification", "filter": {"state": "open"}}),
        json!({"workflow": "classification", "ticket_ids": ["T-1"], "cap": 0}),
        json!({"workflow": "poetry", "ticket_ids": ["T-1"]}),
        json!({"workflow": "classification", "ticket_ids": ["T-1"], "project": "other"}),
        json!({"ticket_ids": ["T-1"]}),
    ] {
        is_problem(&desk.post("lead", "/batches", bad).await, 400);
    }
    assert_eq!(desk.count("SELECT count(*) FROM batches"), 2);
}

#[tokio::test]
async fn a_list_of_fifty_thousand_long_ids_is_not_too_large() {
    let desk = Desk::without_workers().await;
    let ids: Vec<String> = (0..50_000).map(|number| format!("T-{number:0>126}")).collect();
    let answer = desk.post("lead", "/batches", json!({"workflow": "classification", "ticket_ids": ids})).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let large = "x".repeat(9 * 1024 * 1024);
    is_problem(&desk.call("lead", "POST", "/batches", &large).await, 413);
}

#[tokio::test]
async fn why_tells_of_a_batch_and_of_its_lines_and_stats_count_them() {
    let desk = waiting().await;
    for (id, line) in [("batch_1", json!(null)), ("batch_1%2FT-2", json!(2)), ("T-1", json!(1))] {
        let why = desk.get(&format!("/why/{id}")).await;
        has_keys(
            &why,
            &["id", "ticket_id", "submission_id", "resource_id", "event_id", "delivery_ids", "job_id", "answers"],
        );
        assert_eq!(
            (&why["batch_id"], &why["batch_state"], &why["line"]),
            (&json!("batch_1"), &json!("waiting"), &line)
        );
        assert_eq!(why["owner"], "reviewer");
        assert!(why["next"].as_str().unwrap().contains("a lead decides about batch_1 (2 tickets; size)"), "{why:#}");
    }
    let failed = desk.get("/why/batch_1%2FT-3").await;
    assert_eq!((&failed["resource_id"], &failed["job_id"]), (&json!("batch_1/T-3"), &json!(null)));
    assert_eq!(failed["answers"][6]["answer"], "no: it failed at OpenAI (api_error_400)");
    let stats = desk.get("/stats").await;
    assert_eq!(
        (&stats["batches"]["states"]["waiting"], &stats["batches"]["states"]["applied"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(stats["batches"]["lines_entered"]["ok"], 1);
    assert!(stats["batches"]["oldest_waiting_age_s"].is_i64());
}
