//! The built-in desk through the API.

use serde_json::{Value, json};

use crate::desk::{Desk, has_keys, is_problem};

#[tokio::test]
async fn a_ticket_is_made_with_its_conversation_and_shown_in_the_agreed_shape() {
    let desk = Desk::without_workers().await;
    let new = json!({"id": "T-456", "subject": "Lamp", "queue": "returns", "tags": ["vip", "de"],
        "messages": [{"author": "customer", "body": "Dark."}, {"author": "agent", "body": "Sorry."}]});
    let answer = desk.post("agent", "/tickets", new).await;
    assert_eq!(answer.status, 201);
    let ticket = answer.json();
    assert_eq!(ticket, desk.get("/tickets/T-456").await);
    has_keys(
        &ticket,
        &[
            "id",
            "subject",
            "status",
            "queue",
            "priority",
            "intent",
            "tags",
            "fields",
            "updated_at",
            "messages",
            "drafts",
            "attachments",
        ],
    );
    assert_eq!(
        (&ticket["status"], &ticket["priority"], &ticket["intent"]),
        (&json!("open"), &json!("normal"), &Value::Null)
    );
    assert_eq!((&ticket["queue"], &ticket["tags"]), (&json!("returns"), &json!(["vip", "de"])));
    for (message, author) in ticket["messages"].as_array().unwrap().iter().zip(["customer", "agent"]) {
        has_keys(message, &["author", "visibility", "body", "created_at", "ref"]);
        assert_eq!((&message["author"], &message["visibility"]), (&json!(author), &json!("public")));
    }
}

#[tokio::test]
async fn an_id_is_made_up_when_none_is_given_and_never_taken_twice() {
    let desk = Desk::without_workers().await;
    let make = async |id: Option<&str>| {
        let mut new = json!({"subject": "Lamp", "messages": []});
        if let Some(id) = id {
            new["id"] = json!(id);
        }
        desk.post("agent", "/tickets", new).await
    };
    assert_eq!(make(None).await.json()["id"], "T-1001");
    assert_eq!(make(Some("T-1002")).await.status, 201);
    assert_eq!(make(Some("T-1004")).await.status, 201);
    let third = make(None).await.json()["id"].clone();
    let fourth = make(None).await.json()["id"].clone();
    let all = [json!("T-1001"), json!("T-1002"), json!("T-1004"), third, fourth];
    assert_eq!(desk.get("/tickets").await["items"].as_array().unwrap().len(), all.len());
    is_problem(&make(Some("T-1002")).await, 409);
    assert_eq!(desk.get("/tickets").await["items"].as_array().unwrap().len(), all.len());
}

#[tokio::test]
async fn what_makes_no_sense_on_a_ticket_is_refused_and_nothing_is_kept() {
    let desk = Desk::without_workers().await;
    let long = |length: usize| "x".repeat(length);
    let message = |author: &str| json!({"subject": "s", "messages": [{"author": author, "body": "b"}]});
    let cases = [
        json!({"id": "", "subject": "s"}),
        json!({"id": "a b", "subject": "s"}),
        json!({"id": "../x", "subject": "s"}),
        json!({"id": "T/1", "subject": "s"}),
        json!({"id": ".x", "subject": "s"}),
        json!({"id": "T-1\n", "subject": "s"}),
        json!({"id": "Ü", "subject": "s"}),
        json!({"id": long(129), "subject": "s"}),
        json!({"id": 7, "subject": "s"}),
        json!({"subject": ""}),
        json!({"subject": "  "}),
        json!({"subject": long(501)}),
        json!({}),
        json!({"subject": "s", "queue": ""}),
        json!({"subject": "s", "queue": "a\nb"}),
        json!({"subject": "s", "tags": [""]}),
        json!({"subject": "s", "tags": [long(129)]}),
        json!({"subject": "s", "tags": vec!["t"; 101]}),
        json!({"subject": "s", "colour": "red"}),
        json!({"subject": "s", "messages": [{"author": "customer", "body": "b", "colour": "red"}]}),
        json!({"subject": "s", "messages": [{"author": "customer", "body": ""}]}),
        json!({"subject": "s", "messages": [{"author": "customer", "body": long(200_001)}]}),
        json!({"subject": "s", "messages": [{"author": "customer"}]}),
        message("frontdesk"),
        message("system"),
        message(""),
    ];
    for case in cases {
        is_problem(&desk.post("admin", "/tickets", case).await, 400);
    }
    assert_eq!(desk.get("/tickets").await["items"], json!([]));
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    let desk = Desk::without_workers().await;
    desk.ticket("T-1").await;
    let patch = async |body: Value| desk.call("agent", "PATCH", "/tickets/T-1", &body.to_string()).await;
    let answer = patch(json!({"status": "closed", "priority": "urgent", "tags": ["a"], "intent": "refund"})).await;
    assert_eq!(answer.status, 200);
    let ticket = answer.json();
    assert_eq!((&ticket["status"], &ticket["priority"]), (&json!("closed"), &json!("urgent")));
    assert_eq!((&ticket["tags"], &ticket["intent"]), (&json!(["a"]), &json!("refund")));
    assert_eq!((&ticket["subject"], &ticket["queue"]), (&json!("Lamp"), &json!("support")));
    assert_eq!(patch(json!({})).await.status, 200);
    for bad in [
        json!({"priority": "whenever"}),
        json!({"subject": ""}),
        json!({"status": "a\nb"}),
        json!({"id": "T-2"}),
        json!({"fields": {}}),
        json!({"tags": "a"}),
    ] {
        is_problem(&patch(bad).await, 400);
    }
    let mut now = desk.get("/tickets/T-1").await;
    now["updated_at"] = ticket["updated_at"].clone();
    assert_eq!(now, ticket);
    is_problem(&desk.call("agent", "PATCH", "/tickets/T-2", "{}").await, 404);
}

#[tokio::test]
async fn people_add_messages_and_nobody_writes_in_our_name() {
    let desk = Desk::without_workers().await;
    desk.ticket("T-1").await;
    let add = async |body: Value| desk.post("agent", "/tickets/T-1/messages", body).await;
    let answer = add(json!({"author": "agent", "body": "Between us.", "visibility": "internal"})).await;
    assert_eq!(answer.status, 201);
    assert_eq!(add(json!({"author": "customer", "body": "Hello?"})).await.status, 201);
    for bad in [
        json!({"author": "frontdesk", "body": "b"}),
        json!({"author": "frontdesk", "body": "b", "visibility": "internal"}),
        json!({"author": "agent", "body": "b", "visibility": "secret"}),
        json!({"author": "agent", "body": ""}),
        json!({"author": "agent"}),
        json!({"author": "agent", "body": "b", "ref": "fd_1"}),
    ] {
        is_problem(&add(bad).await, 400);
    }
    is_problem(&desk.post("agent", "/tickets/T-9/messages", json!({"author": "agent", "body": "b"})).await, 404);
    let ticket = desk.get("/tickets/T-1").await;
    let seen: Vec<_> =
        ticket["messages"].as_array().unwrap().iter().map(|m| (&m["author"], &m["visibility"])).collect();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[1], (&json!("agent"), &json!("internal")));
    assert_eq!(seen[2], (&json!("customer"), &json!("public")));
}

#[tokio::test]
async fn markup_and_control_characters_are_data() {
    let desk = Desk::without_workers().await;
    let text = "<script>alert(1)</script> \u{1b}[2J \u{0} \u{202e} \r\n \"quoted\" \\ ' OR 1=1; -- 😀 {{7*7}} %s";
    let new =
        json!({"id": "T-1", "subject": text, "tags": ["<b>"], "messages": [{"author": "customer", "body": text}]});
    let answer = desk.post("agent", "/tickets", new).await;
    assert_eq!(answer.status, 201);
    assert!(!answer.body.contains(&0x1b) && !answer.body.contains(&0), "control characters go out escaped");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let ticket = desk.get("/tickets/T-1").await;
    // PostgreSQL has no text with a zero in it.
    let kept = if desk.file().is_some() { text.to_owned() } else { text.replace('\0', "\u{fffd}") };
    assert_eq!((&ticket["subject"], &ticket["messages"][0]["body"]), (&json!(kept), &json!(kept)));
    assert_eq!(ticket["tags"][0], "<b>");
}
