use crate::catcher::{Desk, quick, request};
use serde_json::json;

#[tokio::test]
async fn settings_change_over_http() {
    let desk = Desk::new(quick(), &[]).await;
    let change = json!({"access": "down", "faults": {"failed": 1},
        "script": [{"key": "ticket_id", "value": "T-2", "faults": ["refusal"]}]});
    let (status, told) = desk.post("/_simulator/settings", change).await;
    assert_eq!((status, &told["access"]), (200, &json!("down")));
    assert_eq!(desk.get("/models").await.0, 500);
    desk.post("/_simulator/settings", json!({"access": "open"})).await;
    assert_eq!(desk.answer(request("T-1")).await["status"], "failed");
    assert_eq!(desk.answer(request("T-2")).await["status"], "completed");
    let (_, requests) = desk.get("/_simulator/requests").await;
    assert_eq!(requests["items"][0]["method"], "GET");
    let (_, deliveries) = desk.get("/_simulator/deliveries").await;
    assert_eq!(deliveries["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn nonsense_in_settings_changes_nothing() {
    let desk = Desk::new(quick(), &[]).await;
    for change in [
        json!({"access": "ajar"}),
        json!({"faults": {"no_such": 1}}),
        json!({"faults": {"drop": 2}}),
        json!({"script": [{"key": "a"}]}),
        json!({"colour": "red"}),
        json!({"webhook_url": null, "access": "ajar"}),
    ] {
        assert_eq!(desk.post("/_simulator/settings", change).await.0, 400);
    }
    let (_, told) = desk.get("/_simulator").await;
    assert!(told["webhook_url"].is_string());
    assert_eq!((&told["access"], &told["faults"]), (&json!("open"), &json!([])));
}

#[tokio::test]
async fn the_catalogue_names_what_there_is() {
    let desk = Desk::new(quick(), &[]).await;
    let (_, types) = desk.get("/webhook_event_types").await;
    assert_eq!(types["data"].as_array().unwrap().len(), 34);
    assert!(desk.get("/models").await.1["data"][0]["id"].is_string());
    assert!(desk.get("/webhook_endpoints").await.1["data"][0]["url"].is_string());
}

#[tokio::test]
async fn a_batch_that_has_ended_is_made_of_uploaded_files_and_tells_nobody() {
    let desk = Desk::new(quick(), &[]).await;
    let output = desk.upload("{\"custom_id\":\"T-1\"}\n").await;
    let wanted = json!({"output_file_id": output, "error_file_id": "", "metadata": {"workflow": "classification"},
        "request_counts": {"total": 1, "completed": 1, "failed": 0}});
    let (status, made) = desk.post("/_simulator/batches", wanted).await;
    assert_eq!(status, 200, "{made}");
    let (_, batch) = desk.get(&format!("/batches/{}", made["id"].as_str().unwrap())).await;
    assert_eq!((&batch["status"], &batch["metadata"]["workflow"]), (&json!("completed"), &json!("classification")));
    assert_eq!((&batch["request_counts"]["total"], &batch["error_file_id"]), (&json!(1), &json!("")));
    assert!(batch["completed_at"].is_i64());
    assert_eq!(desk.lines(&batch["output_file_id"]).await, ["{\"custom_id\":\"T-1\"}"]);
    desk.simulator.idle().await;
    assert!(desk.catcher.all().is_empty());
}

#[tokio::test]
async fn a_batch_of_unknown_files_or_with_an_unknown_end_is_not_made() {
    let desk = Desk::new(quick(), &[]).await;
    for wanted in
        [json!({"output_file_id": "file-unknown"}), json!({"status": "in_progress"}), json!({"metadata": {"a": 1}})]
    {
        assert_eq!(desk.post("/_simulator/batches", wanted).await.0, 400);
    }
    assert_eq!(desk.get("/_simulator").await.1["batches"], 0);
}
