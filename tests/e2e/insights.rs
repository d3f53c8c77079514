//! What leads see over time: by the API, the command line and as CSV.

use frontdesk::app::Roles;
use serde_json::{Value, json};

use crate::desk::{Desk, has_keys, is_problem};
use crate::process::Place;
use crate::wire::until;

const PRICES: &str = "[insights]\nprice_in_per_million = 2.0\nprice_out_per_million = 8.0\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_summary_is_in_the_figures_with_what_it_cost() {
    let desk = Desk::with(PRICES, Roles::ALL).await;
    // The first counts are written down; what happens from here on is told.
    until("a sample", async || desk.get("/rates?hours=1").await["items"].as_array().unwrap().first().map(drop)).await;
    desk.ticket("T-1").await;
    let work = json!({"workflow": "summary", "ticket_id": "T-1"});
    assert_eq!(desk.post("agent", "/submissions", work).await.status, 202);
    let rates = until("an applied result", async || {
        let rates = desk.call("agent", "GET", "/rates?hours=1", "").await.json();
        let applied = rates["items"].as_array().unwrap().iter().any(|item| item["applied"] == 1);
        applied.then_some(rates)
    })
    .await;
    let items = rates["items"].as_array().unwrap();
    has_keys(&items[0], &["at", "arrived", "applied", "held", "failed", "latency_p50_ms", "latency_p95_ms"]);
    assert_eq!(items.iter().map(|item| item["arrived"].as_i64().unwrap()).sum::<i64>(), 1);
    assert!(items.iter().any(|item| item["latency_p95_ms"].is_i64()));
    let insights = desk.call("lead", "GET", "/insights?days=7", "").await.json();
    assert_eq!(insights["summary"]["now"]["count"], 1, "{insights}");
    let tokens = &insights["tokens"]["by_workflow"][0];
    assert_eq!(tokens["workflow"], "summary");
    assert!(tokens["in"].as_i64().unwrap() > 0 && tokens["cost"].as_f64().unwrap() > 0.0, "{tokens}");
    let csv = desk.call("lead", "GET", "/insights.csv?days=7&what=tokens", "").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(csv.text().lines().nth(1).unwrap().starts_with("summary,"), "{}", csv.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_are_for_leads_and_questions_have_bounds() {
    let desk = Desk::without_workers().await;
    for path in ["/insights", "/insights.csv?what=drafts"] {
        is_problem(&desk.call("agent", "GET", path, "").await, 403);
        assert_eq!(desk.call("admin", "GET", path, "").await.status, 200, "{path}");
    }
    for path in [
        "/rates?hours=0",
        "/rates?hours=169",
        "/rates?hours=x",
        "/insights?days=0",
        "/insights?days=367",
        "/insights?days=9223372036854775807",
        "/insights.csv",
        "/insights.csv?what=secrets",
    ] {
        is_problem(&desk.call("lead", "GET", path, "").await, 400);
    }
    let insights = desk.call("lead", "GET", "/insights", "").await.json();
    assert_eq!(insights["tokens"]["cost"], Value::Null, "nobody has said a price");
}

#[test]
fn the_command_line_shows_the_same() {
    let place = Place::new();
    place.run(&["migrate"]).succeeds();
    let figures = place.json(&["insights", "--days", "2"]);
    assert_eq!((&figures["summary"]["now"]["count"], &figures["drafts"]), (&json!(0), &json!([])));
    let table = place.run(&["insights"]).succeeds().out;
    assert!(table.starts_with("figure\tnow\tof\tbefore\tof\ntime to summary, half within\t-\t0\t-\t0\n"), "{table}");
    let csv = place.run(&["insights", "--days", "2", "--csv", "tokens"]).succeeds().out;
    assert_eq!(csv, "workflow,in,out,cost\n");
    place.run(&["insights", "--csv", "secrets"]).fails(2, &["drafts"]);
    place.run(&["insights", "--days", "0"]).fails(2, &["1..=366"]);
}
