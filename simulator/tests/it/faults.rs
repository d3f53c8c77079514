use crate::catcher::{Desk, classification, quick, request, request_json, texts};
use frontdesk_simulator::{Fault, Settings};
use serde_json::{Value, json};
use std::collections::HashSet;

/// How many webhooks, webhook ids and events one response causes.
async fn arrivals(fault: Fault) -> (usize, usize, usize) {
    let desk = Desk::with(&[fault]).await;
    desk.ask(request("T-1")).await;
    let caught = desk.catcher.all();
    let ids: HashSet<_> = caught.iter().map(|one| one.webhook_id.clone()).collect();
    let bodies: HashSet<_> = caught.iter().map(|one| one.body.clone()).collect();
    (caught.len(), ids.len(), bodies.len())
}

#[tokio::test]
async fn duplicates_differ_in_just_what_they_should() {
    assert_eq!(arrivals(Fault::DuplicateSameId).await, (2, 1, 1));
    assert_eq!(arrivals(Fault::DuplicateNewId).await, (2, 2, 1));
    assert_eq!(arrivals(Fault::SecondEvent).await, (2, 2, 2));
    assert_eq!(arrivals(Fault::UnknownType).await, (2, 2, 2));
    assert_eq!(arrivals(Fault::UnreadableBody).await, (2, 2, 2));
    assert_eq!(arrivals(Fault::StaleTimestamp).await, (2, 2, 1));
    assert_eq!(arrivals(Fault::Drop).await, (0, 0, 0));
    assert_eq!(arrivals(Fault::Delay).await, (1, 1, 1));
    assert_eq!(arrivals(Fault::Reorder).await, (1, 1, 1));
}

#[tokio::test]
async fn a_forged_delivery_is_not_genuine_and_names_nothing_real() {
    let desk = Desk::with(&[Fault::TamperedSignature]).await;
    let id = desk.ask(request("T-1")).await;
    let (genuine, forged): (Vec<_>, Vec<_>) = desk.catcher.all().into_iter().partition(|one| one.genuine());
    assert_eq!((genuine.len(), forged.len()), (1, 1));
    assert_eq!(genuine[0].resource(), id);
    assert_eq!(forged[0].resource(), format!("{id}_forged"));
    let logged = desk.simulator.deliveries();
    assert!(logged.iter().any(|one| one.fault == Some(Fault::TamperedSignature)));
}

#[tokio::test]
async fn a_stale_delivery_is_genuine_but_old() {
    let desk = Desk::with(&[Fault::StaleTimestamp]).await;
    desk.ask(request("T-1")).await;
    let mut times: Vec<i64> = desk.catcher.all().iter().map(|one| one.timestamp.parse().unwrap()).collect();
    times.sort_unstable();
    assert!((590..=610).contains(&(times[1] - times[0])));
    assert!(desk.catcher.all().iter().all(|one| one.genuine()));
}

#[tokio::test]
async fn a_later_webhook_overtakes_one_that_is_reordered() {
    let settings = Settings { work_ms: (2_000, 2_000), ..Settings::default() };
    let desk = Desk::new(settings, &[]).await;
    desk.simulator.set_faults(vec![(Fault::Reorder, 1.0)]);
    let (_, first) = desk.post("/responses", request("T-1")).await;
    desk.simulator.set_faults(Vec::new());
    let (_, second) = desk.post("/responses", request("T-2")).await;
    desk.simulator.idle().await;
    let order: Vec<Value> = desk.catcher.all().iter().map(|one| json!(one.resource())).collect();
    assert_eq!(order, [second["id"].clone(), first["id"].clone()]);
}

#[tokio::test]
async fn faults_in_reading_strike_twice_and_wear_off() {
    for (fault, expected) in [(Fault::RateLimited, 429), (Fault::ServerError, 500), (Fault::Slow, 200)] {
        let desk = Desk::with(&[fault]).await;
        let path = format!("/responses/{}", desk.ask(request("T-1")).await);
        for _ in 0..2 {
            let answer = desk.raw(&path).await.unwrap();
            assert_eq!(answer.status(), expected);
            assert_eq!(answer.headers().contains_key("retry-after"), fault == Fault::RateLimited);
        }
        assert_eq!(desk.get(&path).await.1["status"], "completed");
    }
}

#[tokio::test]
async fn a_truncated_body_breaks_off_twice() {
    let desk = Desk::with(&[Fault::Truncated]).await;
    let path = format!("/responses/{}", desk.ask(request("T-1")).await);
    for _ in 0..2 {
        let answer = desk.raw(&path).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.bytes().await.is_err());
    }
    assert_eq!(desk.get(&path).await.1["status"], "completed");
}

#[tokio::test]
async fn a_late_model_seems_to_be_at_work_twice() {
    let desk = Desk::with(&[Fault::LateModel]).await;
    let path = format!("/responses/{}", desk.ask(request("T-1")).await);
    for expected in ["in_progress", "in_progress", "completed"] {
        let (_, response) = desk.get(&path).await;
        assert_eq!(response["status"], expected);
        assert_eq!(texts(&response).is_empty(), expected == "in_progress");
    }
}

#[tokio::test]
async fn an_expired_response_is_gone_after_its_webhook() {
    let desk = Desk::with(&[Fault::Expired]).await;
    let id = desk.ask(request("T-1")).await;
    assert_eq!(desk.catcher.all().len(), 1);
    assert_eq!(desk.get(&format!("/responses/{id}")).await.0, 404);
}

#[tokio::test]
async fn each_end_has_its_status_event_and_reason() {
    for (fault, status, reason) in [
        (Fault::Cancelled, "cancelled", ""),
        (Fault::Failed, "failed", "server_error"),
        (Fault::FailedFinal, "failed", "invalid_prompt"),
        (Fault::Incomplete, "incomplete", "max_output_tokens"),
        (Fault::ContentFilter, "incomplete", "content_filter"),
    ] {
        let desk = Desk::with(&[fault]).await;
        let response = desk.answer(request_json("T-1", classification())).await;
        assert_eq!(response["status"], status);
        let event = desk.catcher.all()[0].event();
        assert_eq!(event["type"], format!("response.{status}"));
        let told = [&response["error"]["code"], &response["incomplete_details"]["reason"]];
        assert!(reason.is_empty() || told.contains(&&json!(reason)), "{response}");
        let json = texts(&response).first().map(|text| serde_json::from_str::<Value>(text).is_ok());
        assert_eq!(json, (fault == Fault::Incomplete).then_some(false));
    }
}

fn types(response: &Value) -> Vec<&str> {
    let items = response["output"].as_array().unwrap();
    items.iter().map(|item| item["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn answers_go_wrong_in_their_output() {
    let ask = async |fault| Desk::with(&[fault]).await.answer(request_json("T-1", classification())).await;
    let refusal = ask(Fault::Refusal).await;
    assert_eq!(refusal["output"][1]["content"][0]["type"], "refusal");
    assert_eq!(types(&ask(Fault::NoMessage).await), ["reasoning"]);
    assert_eq!(types(&ask(Fault::UnansweredTool).await), ["reasoning", "function_call"]);
    let failed = ask(Fault::FailedTool).await;
    assert_eq!(failed["output"][1]["status"], "failed");
    assert_eq!(types(&failed)[2], "message");
    for fault in [Fault::Refusal, Fault::NoMessage, Fault::UnansweredTool, Fault::FailedTool] {
        assert_eq!(ask(fault).await["status"], "completed");
    }
}

#[tokio::test]
async fn a_tool_that_was_answered_is_not_asked_again() {
    let desk = Desk::with(&[Fault::UnansweredTool]).await;
    let first = desk.answer(request("T-1")).await;
    let call = &first["output"][1]["call_id"];
    let next = json!({"model": "gpt-5.6", "background": true, "previous_response_id": first["id"],
        "input": [{"type": "function_call_output", "call_id": call, "output": "The order has shipped."}]});
    let second = desk.answer(next).await;
    assert_eq!(texts(&second), ["The order has shipped."]);
}

#[tokio::test]
async fn json_goes_wrong_in_its_text() {
    let ask = async |fault| {
        let desk = Desk::with(&[fault]).await;
        let texts = texts(&desk.answer(request_json("T-1", classification())).await);
        let parsed = texts.iter().map(|text| serde_json::from_str::<Value>(text).ok());
        parsed.collect::<Vec<_>>()
    };
    let several = ask(Fault::SeveralMessages).await;
    assert!(several.len() == 2 && several[0].is_none() && several[1].is_some());
    let contradictory = ask(Fault::Contradictory).await;
    assert!(contradictory[0].is_some() && contradictory[1].is_some());
    assert_ne!(contradictory[0], contradictory[1]);
    assert_eq!(ask(Fault::BadJson).await, [None]);
    let mismatch = ask(Fault::SchemaMismatch).await;
    assert!(mismatch[0].as_ref().unwrap().get("intent").is_none());
    let unsure = ask(Fault::LowConfidence).await;
    assert_eq!(unsure[0].as_ref().unwrap()["confidence"], 0.4);
    let sensitive = ask(Fault::Sensitive).await;
    assert_eq!(sensitive[0].as_ref().unwrap()["topics"][0], "refund");
}

#[tokio::test]
async fn a_script_strikes_the_ticket_that_it_names_and_no_other() {
    let desk = Desk::scripted(&[Fault::Failed, Fault::DuplicateSameId]).await;
    desk.simulator.set_faults(vec![(Fault::Cancelled, 1.0)]);
    assert_eq!(desk.answer(request("T-1")).await["status"], "failed");
    assert_eq!(desk.catcher.all().len(), 2);
    desk.simulator.set_faults(Vec::new());
    assert_eq!(desk.answer(request("T-2")).await["status"], "completed");
    assert_eq!(desk.catcher.all().len(), 3);
    assert_eq!(quick().faults, []);
}
