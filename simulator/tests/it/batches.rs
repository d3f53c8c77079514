use crate::catcher::{Desk, classification, quick, request_json};
use frontdesk_simulator::{Fault, Settings};
use serde_json::{Value, json};
use std::collections::HashMap;

fn input(count: usize) -> String {
    let line = |number: usize| {
        let mut body = request_json(&format!("T-{number}"), classification());
        body["background"] = Value::Null;
        json!({"custom_id": format!("T-{number}:x"), "method": "POST", "url": "/v1/responses",
            "body": body})
        .to_string()
    };
    (1..=count).map(|number| line(number) + "\n").collect()
}

fn ids(lines: &[String]) -> Vec<String> {
    let id = |line: &String| serde_json::from_str::<Value>(line).ok();
    let values = lines.iter().filter_map(id);
    values.map(|value| value["custom_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_batch_answers_every_line_in_another_order() {
    let desk = Desk::new(quick(), &[]).await;
    let batch = desk.batch(&input(20), json!({"ticket_id": "B"})).await;
    assert_eq!(batch["status"], "completed");
    assert_eq!(batch["request_counts"], json!({"total": 20, "completed": 20, "failed": 0}));
    let usage = &batch["usage"];
    assert!(usage["input_tokens"].as_u64() > Some(20) && usage["output_tokens"].as_u64() > Some(20), "{usage}");
    let absent = &batch["error_file_id"];
    assert!(absent.is_null() || absent == "");
    let lines = desk.lines(&batch["output_file_id"]).await;
    let found = ids(&lines);
    let expected: Vec<String> = (1..=20).map(|number| format!("T-{number}:x")).collect();
    assert_ne!(found, expected);
    assert!(expected.iter().all(|id| found.contains(id)) && found.len() == 20);
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(line["response"]["status_code"], 200);
    assert_eq!(line["response"]["body"]["status"], "completed");
    let caught = desk.catcher.all();
    assert_eq!(caught.len(), 1);
    assert_eq!(caught[0].event()["type"], "batch.completed");
    assert_eq!(json!(caught[0].resource()), batch["id"]);
}

#[tokio::test]
async fn a_file_that_is_absent_is_null_at_times_and_empty_at_others() {
    let desk = Desk::new(quick(), &[]).await;
    let mut seen = Vec::new();
    for number in 0..12 {
        let batch = desk.batch(&input(1), json!({"number": number.to_string()})).await;
        seen.push(batch["error_file_id"].clone());
    }
    assert!(seen.contains(&Value::Null) && seen.contains(&json!("")), "{seen:?}");
}

#[tokio::test]
async fn every_irregularity_is_in_an_irregular_batch() {
    let desk = Desk::with(&[Fault::BatchIrregular]).await;
    let batch = desk.batch(&input(10), json!({})).await;
    assert_eq!(batch["request_counts"], json!({"total": 10, "completed": 10, "failed": 0}));
    let output = desk.lines(&batch["output_file_id"]).await;
    let errors = desk.lines(&batch["error_file_id"]).await;
    let values: Vec<Option<Value>> = output.iter().map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(values.iter().filter(|value| value.is_none()).count(), 1);
    let mut counts: HashMap<String, usize> = HashMap::new();
    for id in ids(&output) {
        *counts.entry(id).or_default() += 1;
    }
    assert_eq!(counts.remove("nobody-asked-for-this"), Some(1));
    assert_eq!(counts.values().filter(|count| **count == 2).count(), 1);
    // Of ten lines one is rejected, one missing, one unreadable.
    assert_eq!(counts.len(), 7);
    let zero = values.iter().flatten().filter(|value| value["response"]["status_code"] == 0);
    assert_eq!(zero.count(), 1);
    let rejected: Value = serde_json::from_str(&errors[0]).unwrap();
    assert_eq!((errors.len(), &rejected["response"]["status_code"]), (1, &json!(400)));
    assert!(rejected["error"].is_null() && !counts.contains_key(rejected["custom_id"].as_str().unwrap()));
}

#[tokio::test]
async fn batches_end_in_every_way() {
    for (fault, status, done, errors) in [
        (Fault::BatchExpired, "expired", 5, 5),
        (Fault::BatchCancelled, "cancelled", 5, 0),
        (Fault::BatchRejected, "completed", 0, 10),
        (Fault::BatchFailed, "failed", 0, 0),
    ] {
        let desk = Desk::with(&[fault]).await;
        let batch = desk.batch(&input(10), json!({})).await;
        assert_eq!(batch["status"], status);
        assert!(batch[format!("{status}_at")].is_i64());
        assert_eq!(desk.lines(&batch["output_file_id"]).await.len(), done);
        assert_eq!(desk.lines(&batch["error_file_id"]).await.len(), errors);
        assert_eq!(desk.catcher.all()[0].event()["type"], format!("batch.{status}"));
        assert_eq!(batch["errors"].is_null(), status != "failed");
    }
}

#[tokio::test]
async fn a_bad_input_file_fails_with_its_lines() {
    let desk = Desk::new(quick(), &[]).await;
    let file = input(2) + "{\n" + &input(1);
    let batch = desk.batch(&file, json!({})).await;
    assert_eq!(batch["status"], "failed");
    let told: Vec<(&str, u64)> = batch["errors"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["code"].as_str().unwrap(), error["line"].as_u64().unwrap()))
        .collect();
    assert_eq!(told, [("invalid_json_line", 3), ("duplicate_custom_id", 4)]);
    assert_eq!(desk.catcher.all()[0].event()["type"], "batch.failed");
}

#[tokio::test]
async fn a_script_reaches_lines_and_batches_alike() {
    let desk = Desk::scripted(&[Fault::Refusal, Fault::BatchExpired]).await;
    let batch = desk.batch(&input(4), json!({})).await;
    assert_eq!(batch["status"], "completed");
    for line in desk.lines(&batch["output_file_id"]).await {
        let line: Value = serde_json::from_str(&line).unwrap();
        let refused = line["response"]["body"]["output"][1]["content"][0]["type"] == "refusal";
        assert_eq!(refused, line["custom_id"] == "T-1:x");
    }
    assert_eq!(desk.batch(&input(4), json!({"ticket_id": "T-1"})).await["status"], "expired");
}

#[tokio::test]
async fn cancelling_a_batch_keeps_what_was_done() {
    let desk = Desk::new(Settings { work_ms: (2_000, 2_000), ..quick() }, &[]).await;
    let file = desk.upload(&input(6)).await;
    let request = json!({"input_file_id": file, "endpoint": "/v1/responses", "completion_window": "24h"});
    let (_, batch) = desk.post("/batches", request).await;
    let path = format!("/batches/{}", batch["id"].as_str().unwrap());
    let (status, cancelling) = desk.post(&format!("{path}/cancel"), json!({})).await;
    assert_eq!((status, &cancelling["status"]), (200, &json!("cancelling")));
    desk.simulator.idle().await;
    let (_, batch) = desk.get(&path).await;
    assert_eq!(batch["status"], "cancelled");
    assert_eq!(desk.lines(&batch["output_file_id"]).await.len(), 3);
    assert_eq!(desk.catcher.all()[0].event()["type"], "batch.cancelled");
}

#[tokio::test]
async fn an_output_file_breaks_off_like_any_other_read() {
    let desk = Desk::with(&[Fault::Truncated, Fault::RateLimited]).await;
    let file = desk.upload(&input(3)).await;
    let request = json!({"input_file_id": file, "endpoint": "/v1/responses", "completion_window": "24h"});
    let (_, made) = desk.post("/batches", request).await;
    desk.simulator.idle().await;
    let path = format!("/batches/{}", made["id"].as_str().unwrap());
    let mut batch = Value::Null;
    for expected in [429, 429, 200, 200, 200] {
        let answer = desk.raw(&path).await.unwrap();
        assert_eq!(answer.status(), expected);
        batch = answer.json().await.unwrap_or_default();
    }
    let path = format!("/files/{}/content", batch["output_file_id"].as_str().unwrap());
    let mut read = Vec::new();
    for _ in 0..5 {
        let answer = desk.raw(&path).await.unwrap();
        read.push((answer.status().as_u16(), answer.bytes().await.is_ok()));
    }
    assert_eq!(read, [(429, true), (429, true), (200, false), (200, false), (200, true)]);
}

#[tokio::test]
async fn batches_are_listed_newest_first() {
    let desk = Desk::new(quick(), &[]).await;
    let mut made = Vec::new();
    for number in 0..3 {
        made.push(desk.batch(&input(1), json!({"number": number.to_string()})).await["id"].clone());
    }
    let (_, page) = desk.get("/batches?limit=2").await;
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&made[2], &json!(true)));
    let (_, rest) = desk.get(&format!("/batches?after={}", page["last_id"].as_str().unwrap())).await;
    assert_eq!((&rest["data"][0]["id"], &rest["has_more"]), (&made[0], &json!(false)));
    assert_eq!(desk.get("/batches?limit=0").await.0, 400);
}

#[tokio::test]
async fn a_batch_needs_a_file_an_endpoint_and_a_window() {
    let desk = Desk::new(quick(), &[]).await;
    let file = desk.upload(&input(1)).await;
    for request in [
        json!({"input_file_id": "file-no", "endpoint": "/v1/responses", "completion_window": "24h"}),
        json!({"input_file_id": file, "endpoint": "/v1/embeddings", "completion_window": "24h"}),
        json!({"input_file_id": file, "endpoint": "/v1/responses"}),
    ] {
        assert_eq!(desk.post("/batches", request).await.0, 400);
    }
    assert_eq!(desk.delete(&format!("/files/{file}")).await.0, 200);
    assert_eq!(desk.get(&format!("/files/{file}")).await.0, 404);
}

#[tokio::test]
async fn a_file_may_be_uploaded_with_a_day_to_go_away() {
    let desk = Desk::new(quick(), &[]).await;
    for (anchor, seconds, status) in
        [("created_at", "3600", 200), ("created_at", "2592001", 400), ("created_at", "soon", 400), ("now", "3600", 400)]
    {
        let file = reqwest::multipart::Part::text(input(1)).file_name("in.jsonl");
        let form = reqwest::multipart::Form::new()
            .text("purpose", "batch")
            .text("expires_after[anchor]", anchor)
            .text("expires_after[seconds]", seconds)
            .part("file", file);
        let (told, file) = desk.post_form("/files", form).await;
        assert_eq!(told, status, "{anchor} {seconds}");
        let kept = file["expires_at"].as_i64().zip(file["created_at"].as_i64());
        assert_eq!(kept.map(|(until, from)| until - from), (status == 200).then_some(3600));
    }
}
