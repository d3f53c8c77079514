//! The policy on the command line and over the API.

use serde_json::json;

use crate::desk::{Desk, is_problem};
use crate::process::Place;

const OWN: &str = "version = 2\n[[rule]]\nid = \"vip\"\nwhen = { tag = \"vip\" }\naction = \"two_person\"\n";

#[test]
fn the_built_in_policy_is_shown_and_is_itself_a_policy_file() {
    let place = Place::new();
    let shown = place.run(&["policy", "show"]).succeeds().out;
    place.write("policy.toml", &shown);
    assert_eq!(place.json(&["policy", "check", "policy.toml"])["ok"], true);
    let parsed = place.json(&["policy", "show"]);
    assert_eq!(
        (&parsed["version"], &parsed["kill_switch"], &parsed["built_in"]),
        (&json!(1), &json!(false), &json!(true))
    );
    place.write("frontdesk.toml", "[policy]\nfile = \"own.toml\"\n");
    place.write("own.toml", OWN);
    assert_eq!(place.run(&["policy", "show"]).succeeds().out.trim_end(), OWN.trim_end());
    assert_eq!(place.run(&["policy", "show", "--built-in"]).succeeds().out, shown);
}

#[test]
fn a_policy_that_is_wrong_is_refused_everywhere_with_file_and_line() {
    let place = Place::new();
    place.write("own.toml", "version = 2\n\n[[topic]]\nid = \"parcels\"\n");
    place.write("frontdesk.toml", "[policy]\nfile = \"own.toml\"\n");
    let said = ["own.toml:3", "has no owner"];
    place.run(&["policy", "check", "own.toml"]).fails(1, &said);
    for command in [["serve"].as_slice(), &["config", "check"], &["policy", "show"], &["policy", "replay"]] {
        place.run(command).fails(1, &said);
    }
    place.run(&["policy", "check", "none.toml"]).fails(1, &["none.toml"]);
}

#[test]
fn another_text_under_a_version_that_has_decided_is_refused() {
    let place = Place::new();
    place.write("frontdesk.toml", "[policy]\nfile = \"own.toml\"\n");
    place.write("own.toml", OWN);
    assert_eq!(place.serve(&[]).stop(), 0);
    place.write("own.toml", &format!("{OWN}# changed\n"));
    place.run(&["serve"]).fails(1, &["version 2", "raise the version"]);
    place.write("own.toml", &OWN.replace("version = 2", "version = 3"));
    assert_eq!(place.serve(&[]).stop(), 0);
}

#[test]
fn a_ticket_and_an_output_are_tried_and_the_rules_that_hit_are_shown() {
    let place = Place::new();
    place.write(
        "ticket.json",
        &json!({"subject": "Chair", "tags": ["vip"], "messages": [{"body": "I want a REFUND"}]}).to_string(),
    );
    place.write("reply.txt", "Of course.\n");
    place.write("own.toml", OWN);
    let test = |more: &[&str]| {
        let args = ["policy", "test", "--ticket-file", "ticket.json", "--output", "reply.txt"];
        place.run(&[&args, more].concat())
    };
    let plain = test(&[]).succeeds().out;
    assert!(plain.starts_with("review sensitive") && plain.contains("topic/refund\tmessage/1\tREFUND"), "{plain}");
    let own = test(&["--policy", "own.toml", "--json"]).succeeds().json();
    assert_eq!(
        (&own["outcome"], &own["approvals_needed"], &own["policy_version"]),
        (&json!("two_person"), &json!(2), &json!(2))
    );
    let summary = test(&["--workflow", "summary", "--json"]).succeeds().json();
    assert_eq!((&summary["outcome"], &summary["topics"][0]["owner"]), (&json!("apply"), &json!("billing")));
    test(&["--workflow", "dance"]).fails(1, &["there is no workflow", "summary"]);
    assert_eq!(place.run(&["policy", "test", "--output", "reply.txt"]).code, 2);
    place.run(&["migrate"]).succeeds();
    place.run(&["policy", "test", "--ticket", "T-9", "--output", "reply.txt"]).fails(1, &["T-9"]);
    assert_eq!(place.json(&["policy", "replay", "--since", "1h"])["looked_at"], 0);
    assert_eq!(place.run(&["policy", "replay", "--since", "soon"]).code, 2);
}

#[tokio::test]
async fn the_api_shows_the_policy_and_tries_it() {
    let desk = Desk::without_workers().await;
    let shown = desk.get("/policy").await;
    assert_eq!((&shown["version"], &shown["defaults"]["action"]), (&json!(1), &json!("review")));
    assert!(
        shown["rules"]
            .as_array()
            .unwrap()
            .iter()
            .any(|rule| rule["id"] == "topic/refund" && rule["owner"] == "billing")
    );
    desk.ticket("T-1").await;
    let tried = desk.post("agent", "/policy/test", json!({"ticket_id": "T-1", "output": "You get a refund."})).await;
    assert_eq!((tried.status, &tried.json()["hits"][0]["place"]), (200, &json!("output")));
    let given = json!({"workflow": "summary", "ticket": {"messages": [{"body": "hello"}]}, "output": "Plain."});
    assert_eq!(desk.post("agent", "/policy/test", given).await.json()["outcome"], "apply");
    is_problem(&desk.post("agent", "/policy/test", json!({"output": "x"})).await, 400);
    is_problem(&desk.post("agent", "/policy/test", json!({"ticket_id": "T-9", "output": "x"})).await, 404);
    let dance = json!({"workflow": "dance", "ticket_id": "T-1", "output": "x"});
    is_problem(&desk.post("agent", "/policy/test", dance).await, 400);
}
