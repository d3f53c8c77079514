//! The API against its own description: by schemathesis, which asks what the
//! description allows and what it forbids, and by answers with something in them.

use std::process::Command;

use serde_json::{Value, json};

use crate::desk::{Desk, token};

/// A desk on which each list has something in it.
async fn lively() -> Desk {
    let desk = Desk::with("[batch]\npreview_over = 1\n", frontdesk::app::Roles::ALL).await;
    for id in ["T-1", "T-2"] {
        desk.ticket(id).await;
    }
    let asked = json!({"workflow": "draft_reply", "ticket_id": "T-1"});
    assert_eq!(desk.post("agent", "/submissions", asked).await.status, 202);
    let asked = json!({"workflow": "classification", "ticket_ids": ["T-1", "T-2"]});
    let batch = desk.post("lead", "/batches", asked).await.json()["batch_id"].as_str().unwrap().to_owned();
    crate::wire::until("a review and a batch that waits", async || {
        let reviews = desk.get("/reviews").await;
        let batch = desk.get(&format!("/batches/{batch}")).await;
        (batch["state"] == "waiting" && reviews["items"][0].is_object()).then_some(())
    })
    .await;
    let pause = json!({"kind": "workflow", "name": "extraction", "reason": "a test"});
    assert_eq!(desk.post("lead", "/pauses", pause).await.status, 201);
    desk
}

#[tokio::test]
async fn schemathesis_finds_no_answer_that_the_description_does_not_tell_of() {
    let desk = lively().await;
    let root = env!("CARGO_MANIFEST_DIR");
    let set_up = Command::new(format!("{root}/tests/e2e/openapi/setup")).status().expect("tests/e2e/openapi/setup");
    assert!(set_up.success(), "schemathesis could not be set up: it needs Python's venv and the network");
    let base = format!("http://{}", desk.addr);
    let mut asked = Command::new(format!("{root}/target/schemathesis/venv/bin/schemathesis"));
    asked
        .args(["run", &format!("{base}/api/openapi.json"), "--url", &format!("{base}/api/v1")])
        .args(["--header", &format!("Authorization: Bearer {}", token("admin"))])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,negative_data_rejection"])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--generation-deterministic"])
        // The first never ends, and the last would end the token that asks.
        .args(["--exclude-path", "/events", "--exclude-path", "/tokens/{name}"])
        .args(["--continue-on-failure", "--no-color", "--request-timeout", "20"])
        .current_dir(std::env::temp_dir());
    let said = tokio::task::spawn_blocking(move || asked.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{text}{}", String::from_utf8_lossy(&said.stderr));
    assert!(!text.contains("Authentication failed"), "{text}");
}

/// What the description says of the answer to a GET, with all that it refers to.
fn schema_of(document: &Value, path: &str) -> Value {
    let content = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    assert!(content.is_object(), "{path} is not described");
    let text = content.to_string();
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    schema["components"] = document["components"].clone();
    schema
}

#[tokio::test]
async fn answers_with_something_in_them_are_as_described() {
    let desk = lively().await;
    let document = desk.call("admin", "GET", "/api/openapi.json", "").await.json();
    let review = desk.get("/reviews").await["items"][0]["id"].as_str().unwrap().to_owned();
    let delivery = desk.get("/deliveries").await["items"][0]["delivery_id"].as_str().unwrap().to_owned();
    let batch = desk.get("/batches").await["items"][0]["batch_id"].as_str().unwrap().to_owned();
    let jobs = desk.get("/jobs").await;
    let job = jobs["items"].as_array().unwrap().iter().find(|job| job["workflow"] == "draft_reply").unwrap();
    let job = job["id"].as_str().unwrap();
    let known = [
        ("/deliveries", "/deliveries".to_owned()),
        ("/deliveries/{id}", format!("/deliveries/{delivery}")),
        ("/deliveries/{id}/body", format!("/deliveries/{delivery}/body")),
        ("/jobs", "/jobs".to_owned()),
        ("/jobs/{id}", format!("/jobs/{job}")),
        ("/jobs/{id}/effects", format!("/jobs/{job}/effects")),
        ("/reviews", "/reviews".to_owned()),
        ("/reviews/{id}", format!("/reviews/{review}")),
        ("/submissions", "/submissions".to_owned()),
        ("/tickets", "/tickets".to_owned()),
        ("/tickets/{id}", "/tickets/T-1".to_owned()),
        ("/batches", "/batches".to_owned()),
        ("/batches/{id}/lines", format!("/batches/{batch}/lines")),
        ("/batches/{id}/sample", format!("/batches/{batch}/sample")),
        ("/why/{id}", "/why/T-1".to_owned()),
        ("/stats", "/stats".to_owned()),
        ("/audit", "/audit".to_owned()),
        ("/audit-trail", "/audit-trail".to_owned()),
        ("/rates", "/rates".to_owned()),
        ("/insights", "/insights".to_owned()),
        ("/policy", "/policy".to_owned()),
        ("/workflows", "/workflows".to_owned()),
        ("/pauses", "/pauses".to_owned()),
        ("/me", "/me".to_owned()),
        ("/tokens", "/tokens".to_owned()),
    ];
    for (path, asked) in known {
        let answer = desk.call("admin", "GET", &asked, "").await;
        assert_eq!(answer.status, 200, "{asked}: {}", answer.text());
        let shown = answer.json();
        let faults: Vec<String> = jsonschema::validator_for(&schema_of(&document, path))
            .unwrap()
            .iter_errors(&shown)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert_eq!(faults, [""; 0], "{asked}: {shown}");
        if let Some(items) = shown["items"].as_array().filter(|_| !path.contains("audit") && path != "/rates") {
            assert!(!items.is_empty(), "{asked} is empty: nothing was compared");
        }
    }
}
