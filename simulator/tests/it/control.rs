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
