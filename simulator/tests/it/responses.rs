use crate::catcher::{Desk, classification, quick, request, request_json, texts};
use frontdesk_simulator::{Access, Settings};
use serde_json::{Value, json};

#[tokio::test]
async fn a_background_response_ends_with_a_webhook_and_an_answer_from_the_ticket() {
    let desk = Desk::new(quick(), &[]).await;
    let response = desk.answer(request("T-1")).await;
    assert_eq!(response["status"], "completed");
    assert_eq!(response["metadata"]["ticket_id"], "T-1");
    assert_eq!(response["background"], true);
    let [text] = texts(&response).try_into().unwrap();
    assert!(text.contains("My parcel 4711 is late."), "{text}");
    assert!(!text.contains("Sorry"));
    let caught = desk.catcher.all();
    assert_eq!(caught.len(), 1);
    assert!(caught[0].genuine());
    assert_eq!(caught[0].event()["type"], "response.completed");
    assert_eq!(json!(caught[0].resource()), response["id"]);
}

#[tokio::test]
async fn a_response_in_foreground_is_answered_in_place_without_a_webhook() {
    let desk = Desk::new(quick(), &[]).await;
    let mut asked = request("T-1");
    asked["background"] = json!(false);
    let (status, response) = desk.post("/responses", asked.clone()).await;
    assert_eq!((status, &response["status"]), (200, &json!("completed")));
    let id = response["id"].as_str().unwrap();
    assert_eq!(desk.get(&format!("/responses/{id}")).await, (200, response.clone()));
    assert_eq!(desk.post(&format!("/responses/{id}/cancel"), json!({})).await.0, 400);
    asked["store"] = json!(false);
    let (_, response) = desk.post("/responses", asked).await;
    let id = response["id"].as_str().unwrap();
    assert_eq!(desk.get(&format!("/responses/{id}")).await.0, 404);
    desk.simulator.idle().await;
    assert!(desk.catcher.all().is_empty());
}

#[tokio::test]
async fn the_same_seed_and_requests_give_the_same_ids_and_answers_in_any_order() {
    let mut runs = Vec::new();
    for (seed, order) in [(1, ["A", "B", "B"]), (1, ["B", "B", "A"]), (2, ["A", "B", "B"])] {
        let desk = Desk::new(Settings { seed, ..quick() }, &[]).await;
        let mut answers = Vec::new();
        for ticket in order {
            let response = desk.answer(request_json(ticket, classification())).await;
            answers.push((response["id"].to_string(), response["output"].to_string()));
        }
        answers.sort();
        runs.push(answers);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    let [first, second, third] = &runs[0][..] else { panic!() };
    assert!(first.0 != second.0 && second.0 != third.0);
}

#[tokio::test]
async fn the_given_schema_is_honoured_through_every_nesting() {
    let schema = json!({
        "type": "object",
        "required": ["kind", "customer", "lines", "note", "urgency", "paid"],
        "$defs": {"money": {"type": "object", "required": ["amount", "currency"], "properties": {
            "amount": {"type": "number", "minimum": 10, "exclusiveMaximum": 20},
            "currency": {"enum": ["EUR", "USD"]}}}},
        "properties": {
            "kind": {"const": "order"},
            "customer": {"allOf": [
                {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "maxLength": 5}}},
                {"required": ["email"], "properties": {"email": {"type": "string", "format": "email"}}}]},
            "lines": {"type": "array", "minItems": 3, "maxItems": 4, "items": {"type": "object",
                "required": ["count", "price"], "properties": {
                    "count": {"type": "integer", "minimum": 2, "maximum": 8, "multipleOf": 2},
                    "price": {"$ref": "#/$defs/money"}}}},
            "note": {"anyOf": [{"type": "null"}, {"type": "string", "minLength": 300}]},
            "urgency": {"type": ["string", "null"], "enum": ["calm", "urgent", null]},
            "paid": {"type": "boolean"}}});
    let desk = Desk::new(quick(), &[]).await;
    let response = desk.answer(request_json("T-1", schema)).await;
    let value: Value = serde_json::from_str(&texts(&response)[0]).unwrap();
    assert_eq!(value["kind"], "order");
    assert!(value["customer"]["name"].as_str().unwrap().chars().count() <= 5);
    assert!(value["customer"]["email"].as_str().unwrap().contains('@'));
    assert!((3..=4).contains(&value["lines"].as_array().unwrap().len()));
    for line in value["lines"].as_array().unwrap() {
        let count = line["count"].as_i64().unwrap();
        assert!((2..=8).contains(&count) && count % 2 == 0);
        assert!((10.0..20.0).contains(&line["price"]["amount"].as_f64().unwrap()));
        assert!(["EUR", "USD"].contains(&line["price"]["currency"].as_str().unwrap()));
    }
    assert!(value["note"].as_str().unwrap().chars().count() >= 300);
    assert!(["calm", "urgent"].contains(&value["urgency"].as_str().unwrap_or("calm")));
    assert!(value["paid"].is_boolean());
}

#[tokio::test]
async fn a_schema_that_refers_to_itself_comes_to_an_end() {
    let schema = json!({"$defs": {"node": {"type": "object", "required": ["next"], "properties": {
        "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}}}, "$ref": "#/$defs/node"});
    let wide = json!({"type": "array", "minItems": 900, "items": {"type": "array", "minItems": 900,
        "items": {"type": "array", "minItems": 900, "items": {"type": "integer"}}}});
    let desk = Desk::new(quick(), &[]).await;
    for schema in [schema, json!({"$ref": "#"}), wide] {
        let response = desk.answer(request_json("T-1", schema)).await;
        assert!(serde_json::from_str::<Value>(&texts(&response)[0]).is_ok());
    }
}

#[tokio::test]
async fn a_classification_follows_the_words_of_the_ticket() {
    let desk = Desk::new(quick(), &[]).await;
    let mut asked = request_json("T-1", classification());
    asked["input"] = json!("<ticket>customer: I was charged twice. I want a refund!</ticket>");
    let response = desk.answer(asked).await;
    let value: Value = serde_json::from_str(&texts(&response)[0]).unwrap();
    assert_eq!((&value["intent"], &value["priority"]), (&json!("refund"), &json!("high")));
    assert!(value["confidence"].as_f64().unwrap() >= 0.82);
    assert!(value["topics"].as_array().unwrap().contains(&json!("billing_dispute")));
}

#[tokio::test]
async fn cancelling_is_told_by_webhook_and_may_be_repeated() {
    let desk = Desk::new(Settings { work_ms: (60_000, 60_000), ..quick() }, &[]).await;
    let (_, made) = desk.post("/responses", request("T-1")).await;
    let path = format!("/responses/{}/cancel", made["id"].as_str().unwrap());
    for _ in 0..2 {
        let (status, response) = desk.post(&path, json!({})).await;
        assert_eq!((status, &response["status"]), (200, &json!("cancelled")));
    }
    let deadline = std::time::Duration::from_secs(20);
    let wait = async {
        while desk.catcher.all().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(deadline, wait).await.unwrap();
    assert_eq!(desk.catcher.all()[0].event()["type"], "response.cancelled");
    desk.simulator.shutdown().await;
}

#[tokio::test]
async fn what_is_unknown_is_404_in_openais_shape() {
    let desk = Desk::new(quick(), &[]).await;
    for path in [
        "/responses/resp_no",
        "/responses/resp_no/input_items",
        "/batches/batch_no",
        "/files/file-no",
        "/files/file-no/content",
        "/files//content",
        "/nowhere",
    ] {
        let (status, body) = desk.get(path).await;
        assert_eq!((status, &body["error"]["type"]), (404, &json!("invalid_request_error")), "{path}");
        assert!(body["error"]["message"].is_string());
        assert!(body["error"].as_object().unwrap().contains_key("code"));
    }
    assert_eq!(desk.post("/responses/resp_no/cancel", json!({})).await.0, 404);
    let id = desk.ask(request("T-1")).await;
    assert_eq!(desk.delete(&format!("/responses/{id}")).await.0, 200);
    assert_eq!(desk.get(&format!("/responses/{id}")).await.0, 404);
    let answer = desk.raw("/responses/resp_no").await.unwrap();
    assert!(answer.headers()["x-request-id"].to_str().unwrap().starts_with("req_"));
}

#[tokio::test]
async fn nonsense_is_400_in_openais_shape() {
    let desk = Desk::new(quick(), &[]).await;
    for body in [
        json!([]),
        json!({"input": "x"}),
        json!({"model": "m"}),
        json!({"model": "m", "input": "x", "metadata": {"k": 1}}),
        json!({"model": "m", "input": "x", "background": true, "stream": true}),
        json!({"model": "m", "input": "x", "previous_response_id": "resp_no"}),
    ] {
        let (status, body) = desk.post("/responses", body).await;
        assert_eq!((status, &body["error"]["type"]), (400, &json!("invalid_request_error")));
    }
}

#[tokio::test]
async fn access_changes_while_it_runs() {
    let settings = Settings { api_key: Some("sk-right".into()), ..quick() };
    let desk = Desk::new(settings, &[]).await;
    assert_eq!(desk.get("/models").await.0, 401);
    let desk = Desk::new(quick(), &[]).await;
    for (access, status, code) in [
        (Access::Unauthorized, 401, json!("invalid_api_key")),
        (Access::Forbidden, 403, json!("insufficient_permissions")),
        (Access::Quota, 429, json!("insufficient_quota")),
        (Access::Down, 500, Value::Null),
    ] {
        desk.simulator.set_access(access);
        let (told, body) = desk.get("/models").await;
        assert_eq!((told, &body["error"]["code"]), (status, &code));
    }
    desk.simulator.set_access(Access::Open);
    assert_eq!(desk.get("/models").await.0, 200);
    assert_eq!(desk.simulator.count("GET", "/v1/models"), 5);
}

#[tokio::test]
async fn input_items_are_given_back() {
    let desk = Desk::new(quick(), &[]).await;
    let id = desk.ask(request("T-1")).await;
    let (_, items) = desk.get(&format!("/responses/{id}/input_items")).await;
    assert_eq!(items["data"][0]["role"], "user");
    let text = items["data"][0]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("Late parcel"));
}

#[tokio::test]
async fn a_made_response_is_there_without_having_been_asked_for() {
    let desk = Desk::new(quick(), &[]).await;
    let (status, response) = desk.get("/responses/resp_made_summary_T-1001").await;
    assert_eq!((status, &response["status"]), (200, &json!("completed")));
    assert_eq!(response["metadata"], json!({"ticket_id": "T-1001", "workflow": "summary"}));
    assert!(texts(&response)[0].contains("T-1001"));
}
