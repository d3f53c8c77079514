//! The API: who may ask what, how lists page, and what no answer may show.

use frontdesk::app::Roles;
use frontdesk_simulator::{Access, DEMO_SECRET};
use serde_json::json;

use crate::desk::{API_KEY, Desk, has_keys, is_problem, is_time, token};
use crate::wire::{Message, ask, request, until};

const ROUTES: &[(&str, &str)] = &[
    ("POST", "/deliveries/replay"),
    ("POST", "/jobs/bulk"),
    ("GET", "/pauses"),
    ("POST", "/pauses"),
    ("DELETE", "/pauses/workflow/summary"),
    ("GET", "/audit-trail"),
    ("GET", "/deliveries"),
    ("GET", "/deliveries/wh_1"),
    ("POST", "/deliveries/wh_1/dismiss"),
    ("GET", "/alerts"),
    ("GET", "/batches"),
    ("POST", "/batches"),
    ("GET", "/batches/bat_1"),
    ("GET", "/batches/bat_1/lines"),
    ("GET", "/batches/bat_1/lines.csv"),
    ("GET", "/batches/bat_1/lines.jsonl"),
    ("GET", "/batches/bat_1/sample"),
    ("POST", "/batches/bat_1/apply"),
    ("POST", "/batches/bat_1/reject"),
    ("POST", "/batches/bat_1/pause"),
    ("POST", "/batches/bat_1/resume"),
    ("POST", "/batches/bat_1/undo"),
    ("GET", "/jobs"),
    ("GET", "/jobs/job_1"),
    ("POST", "/jobs/job_1/retry"),
    ("POST", "/jobs/job_1/discard"),
    ("GET", "/policy"),
    ("POST", "/policy/test"),
    ("GET", "/reviews"),
    ("GET", "/reviews/rev_1"),
    ("GET", "/submissions"),
    ("POST", "/submissions"),
    ("GET", "/submissions/sub_1"),
    ("POST", "/submissions/sub_1/close"),
    ("GET", "/tickets"),
    ("POST", "/tickets"),
    ("GET", "/tickets/T-1"),
    ("PATCH", "/tickets/T-1"),
    ("POST", "/tickets/T-1/messages"),
    ("POST", "/tickets/T-1/erase"),
    ("GET", "/why/T-1"),
    ("GET", "/stats"),
    ("GET", "/why/%ff"),
];

#[tokio::test]
async fn without_a_good_token_every_route_is_401_and_says_nothing_else() {
    let desk = Desk::without_workers().await;
    let revoked = desk.app.store.revoke_token("lead".to_owned(), "test".to_owned(), 2).await.unwrap();
    assert!(revoked);
    let lead = format!("Bearer {}", token("lead"));
    let agent = token("agent");
    let basic = format!("Basic {agent}");
    let bad = ["", "Bearer", "Bearer ", "Bearer nonsense", &lead, &basic, &agent, "Bearer ' OR 1=1 --"];
    for (method, path) in ROUTES {
        let path = format!("/api/v1{path}");
        let bare = ask(desk.addr, &request(method, &path, &[], b"{}")).await.unwrap();
        is_problem(&bare, 401);
        assert_eq!(bare.header("www-authenticate"), Some("Bearer"));
        for value in bad {
            let answer = ask(desk.addr, &request(method, &path, &[("authorization", value)], b"{}")).await.unwrap();
            assert_eq!(answer.without_date(), bare.without_date(), "{method} {path} {value}");
        }
    }
    assert_eq!(desk.call("agent", "GET", "/stats", "").await.status, 200);
}

#[tokio::test]
async fn an_agent_reads_and_starts_but_does_not_retry_or_discard() {
    let desk = Desk::without_workers().await;
    for path in ["/deliveries", "/jobs", "/reviews", "/tickets", "/stats", "/alerts"] {
        assert_eq!(desk.call("agent", "GET", path, "").await.status, 200);
    }
    for path in ["/jobs/job_1/retry", "/jobs/job_1/discard", "/deliveries/wh_1/dismiss"] {
        is_problem(&desk.post("agent", path, json!({"reason": "because"})).await, 403);
        for role in ["lead", "admin"] {
            is_problem(&desk.post(role, path, json!({"reason": "because"})).await, 404);
        }
    }
}

#[tokio::test]
async fn whatever_is_wrong_is_told_as_a_problem_document() {
    let desk = Desk::without_workers().await;
    let cases = [
        ("GET", "/nothing", "", 404),
        ("GET", "", "", 404),
        ("GET", "/", "", 404),
        ("DELETE", "/tickets/T-1", "", 405),
        ("POST", "/stats", "", 405),
        ("GET", "/deliveries/wh_unknown", "", 404),
        ("GET", "/jobs/job_99", "", 404),
        ("GET", "/jobs/nonsense", "", 404),
        ("GET", "/jobs/job_99999999999999999999", "", 404),
        ("GET", "/reviews/rev_unknown", "", 404),
        ("GET", "/tickets/T-unknown", "", 404),
        ("GET", "/why/unknown", "", 404),
        ("GET", "/tickets/%ff%fe", "", 404),
        ("GET", "/tickets/a%00b", "", 404),
        ("GET", "/deliveries?limit=0", "", 400),
        ("GET", "/deliveries?limit=501", "", 400),
        ("GET", "/deliveries?limit=-1", "", 400),
        ("GET", "/deliveries?limit=many", "", 400),
        ("GET", "/deliveries?cursor=x", "", 400),
        ("GET", "/deliveries?status=nonsense", "", 400),
        ("GET", "/jobs?status=nonsense", "", 400),
        ("GET", "/reviews?state=nonsense", "", 400),
        ("POST", "/tickets", "", 400),
        ("POST", "/tickets", "{", 400),
        ("POST", "/tickets", "[]", 400),
        ("POST", "/jobs/job_1/discard", "{\"reason\":\" \"}", 400),
        ("POST", "/jobs/job_1/discard", "{}", 400),
        ("POST", "/deliveries/wh_1/dismiss", "", 400),
        ("GET", "/alerts?state=closed", "", 400),
        ("POST", "/jobs/job_1/retry", "{\"why\":\"x\"}", 400),
    ];
    for (method, path, body, status) in cases {
        is_problem(&desk.call("admin", method, path, body).await, status);
    }
    let large = format!("{{\"subject\":\"{}\"}}", "x".repeat(1024 * 1024));
    is_problem(&desk.call("admin", "POST", "/tickets", &large).await, 413);
}

#[tokio::test]
async fn lists_page_by_cursor_newest_first_and_lose_nothing_to_what_arrives_meanwhile() {
    let desk = Desk::without_workers().await;
    let mut sent = Vec::new();
    for number in 0..7 {
        desk.ticket(&format!("T-{number}")).await;
        let message = Message::summary_of(&format!("T-{number}"));
        desk.accept(&message).await;
        sent.push(message.id);
    }
    sent.reverse();
    for (path, key) in [("/deliveries", "delivery_id"), ("/jobs", "id"), ("/tickets", "id")] {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = desk.get(&format!("{path}?limit=3{cursor}")).await;
            seen.extend(page["items"].as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()));
            if seen.len() == 3 {
                desk.accept(&Message::of("response.completed", "resp_late")).await;
            }
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let mut once = seen.clone();
        once.dedup();
        assert_eq!(seen, once);
        match key {
            "delivery_id" => assert_eq!(seen, sent),
            _ if path == "/tickets" => assert_eq!((seen[0].as_str(), seen[6].as_str(), seen.len()), ("T-6", "T-0", 7)),
            _ => assert!(seen.len() >= 7 && seen.last().unwrap() == "job_1", "{seen:?}"),
        }
    }
    let all = desk.get("/deliveries?limit=500").await;
    assert!(all["next_cursor"].is_null());
    let found = desk.get(&format!("/deliveries?q={}", sent[0])).await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    let typed = desk.get("/deliveries?type=batch.completed").await;
    assert_eq!(typed["items"], json!([]));
}

#[tokio::test]
async fn an_empty_value_in_the_query_of_a_list_is_the_same_as_none() {
    let desk = Desk::without_workers().await;
    desk.ticket("T-1").await;
    desk.accept(&Message::summary_of("T-1")).await;
    desk.database()
        .execute_batch(
            "INSERT INTO reviews (id, seq, reason, detail, project, resource_id, job_id, created_at)
             VALUES ('rev_1', 1, 'unplaced', '', 'default', 'resp_1', 1, 1)",
        )
        .unwrap();
    for path in ["/deliveries", "/jobs", "/reviews", "/tickets"] {
        let all = desk.get(path).await;
        assert_eq!(all["items"].as_array().unwrap().len(), 1, "{path}");
        for query in ["status=&state=&type=&q=&limit=&cursor=", "status", "state=", "type=", "q", "limit", "cursor="] {
            assert_eq!(desk.get(&format!("{path}?{query}")).await, all, "{path}?{query}");
        }
    }
}

#[tokio::test]
async fn health_tells_what_is_down_and_needs_no_token() {
    let desk = Desk::without_workers().await;
    for path in ["/health/live", "/health/ready"] {
        let answer = ask(desk.addr, &request("GET", path, &[], b"")).await.unwrap();
        assert_eq!((answer.status, answer.json()["status"].clone()), (200, json!("ok")));
    }
}

#[tokio::test]
async fn metrics_are_text_that_prometheus_reads_with_counts_and_oldest_ages_by_state() {
    let desk = Desk::without_workers().await;
    desk.accept(&Message::summary_of("T-1")).await;
    desk.accept(&Message::of("some.news", "x_1")).await;
    let text = desk.metrics().await;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let bare = name.split('{').next().unwrap();
        assert!(
            bare.starts_with("frontdesk_") && bare.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
            "{line}"
        );
        assert_eq!(name.contains('{'), name.ends_with('}'), "{line}");
        let family = text.lines().any(|line| {
            line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next()).is_some_and(|f| bare.starts_with(f))
        });
        assert!(family, "{line} has no TYPE");
    }
    for state in ["received", "queued", "processing", "processed", "failed_retryable", "failed_final"] {
        assert!(text.contains(&format!("frontdesk_jobs{{state=\"{state}\"}} ")), "{state}");
        assert!(text.contains(&format!("frontdesk_oldest_age_seconds{{state=\"{state}\"}} ")), "{state}");
    }
    assert!(text.contains("frontdesk_jobs{state=\"queued\"} 1"));
    assert!(text.contains("frontdesk_jobs{state=\"received\"} 1"));
    until("the oldest to age", async || {
        let text = desk.metrics().await;
        let line = text.lines().find(|line| line.starts_with("frontdesk_oldest_age_seconds{state=\"queued\"}"));
        let age: f64 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        (age > 0.05).then_some(())
    })
    .await;
}

#[tokio::test]
async fn metrics_come_in_the_format_that_is_asked_for() {
    let desk = Desk::without_workers().await;
    desk.accept(&Message::summary_of("T-1")).await;
    let plain = "text/plain; version=0.0.4; charset=utf-8";
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let of_prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    for (accept, kind) in [
        ("", plain),
        ("*/*", plain),
        ("text/plain", plain),
        ("text/html,application/xhtml+xml,*/*;q=0.8", plain),
        ("application/openmetrics-text;q=0, */*", plain),
        ("text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5", plain),
        ("application/openmetrics-text", open),
        ("text/html, Application/OpenMetrics-Text; version=1.0.0", open),
        (of_prometheus, open),
    ] {
        let answer = ask(desk.addr, &request("GET", "/metrics", &[("accept", accept)], b"")).await.unwrap();
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{accept}");
        let (text, is_open) = (answer.text(), kind == open);
        assert_eq!(text.ends_with("# EOF\n"), is_open, "{accept}");
        assert_eq!(text.contains("# UNIT "), is_open, "{accept}");
        assert_eq!(text.contains("# TYPE frontdesk_deliveries counter\n"), is_open, "{accept}");
        assert_eq!(text.contains("# TYPE frontdesk_deliveries_total counter\n"), !is_open, "{accept}");
        assert!(text.contains("\nfrontdesk_deliveries_total{receipt=\"queued\"} 1\n"), "{accept}");
    }
}

#[tokio::test]
async fn metrics_count_the_database_at_most_once_a_second_however_many_ask() {
    let desk = Desk::without_workers().await;
    let queued = async || {
        let text = desk.metrics().await;
        let line = text.lines().find(|line| line.starts_with("frontdesk_jobs{state=\"queued\"}")).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    let began = std::time::Instant::now();
    assert_eq!(queued().await, 0);
    desk.accept(&Message::summary_of("T-1")).await;
    let again = queued().await;
    // On a machine that was busy for longer than that there is nothing to tell.
    if began.elapsed().as_millis() < 1_000 {
        assert_eq!(again, 0);
    }
    until("the database to be counted again", async || (queued().await == 1).then_some(())).await;
}

#[tokio::test]
async fn metrics_ask_for_their_token_when_one_is_set() {
    let desk = Desk::with("[metrics]\ntoken = \"scrape-me\"\n", Roles { worker: false, ..Roles::ALL }).await;
    for value in ["", "Bearer ", "Bearer scrape-m", "Basic scrape-me"] {
        let answer = ask(desk.addr, &request("GET", "/metrics", &[("authorization", value)], b"")).await.unwrap();
        is_problem(&answer, 401);
    }
    let right = request("GET", "/metrics", &[("authorization", "Bearer scrape-me")], b"");
    assert_eq!(ask(desk.addr, &right).await.unwrap().status, 200);
}

#[tokio::test]
async fn every_answer_for_people_carries_the_security_headers() {
    let desk = Desk::without_workers().await;
    let good = format!("Bearer {}", token("agent"));
    for path in ["/", "/health/live", "/metrics", "/api/v1/stats", "/api/v1/nothing", "/nothing"] {
        for headers in [vec![], vec![("authorization", good.as_str())]] {
            let answer = ask(desk.addr, &request("GET", path, &headers, b"")).await.unwrap();
            for (name, value) in
                [("cache-control", "no-store"), ("x-content-type-options", "nosniff"), ("x-frame-options", "DENY")]
            {
                assert_eq!(answer.header(name), Some(value), "{path} {}", answer.status);
            }
            assert!(answer.header("content-security-policy").unwrap().contains("default-src 'none'"));
        }
    }
}

#[tokio::test]
async fn stats_count_by_state_with_ages() {
    let desk = Desk::without_workers().await;
    desk.accept(&Message::summary_of("T-1")).await;
    let stats = desk.get("/stats").await;
    has_keys(&stats, &["states", "outcomes", "deliveries", "open_reviews", "refused", "alerts"]);
    assert_eq!(stats["states"]["queued"]["count"], 1);
    assert!(stats["states"]["queued"]["oldest_age_s"].is_number());
}

#[tokio::test]
async fn no_answer_shows_a_secret() {
    let desk =
        Desk::with("[metrics]\ntoken = \"scrape-me-secretly\"\n[retry]\nattempts = 1\nfirst = \"20ms\"\n", Roles::ALL)
            .await;
    desk.simulator.set_access(Access::Unauthorized);
    desk.ticket("T-1").await;
    desk.accept(&Message::summary_of("T-1")).await;
    let _ = desk.post("agent", "/submissions", json!({"workflow": "summary", "ticket_id": "T-1"})).await;
    let mut all = String::new();
    for path in ["/deliveries", "/jobs", "/reviews", "/tickets", "/stats", "/why/T-1", "/jobs/job_1"] {
        all.push_str(&desk.get(path).await.to_string());
    }
    let bearer = [("authorization", "Bearer scrape-me-secretly")];
    for path in ["/metrics", "/health/ready", "/", "/api/v1/stats"] {
        all.push_str(&ask(desk.addr, &request("GET", path, &bearer, b"")).await.unwrap().text());
    }
    let key = DEMO_SECRET.trim_start_matches("whsec_");
    for secret in [API_KEY, key, "scrape-me-secretly", &token("agent"), &token("admin")] {
        assert!(!all.contains(secret), "{secret} was shown");
    }
}

#[tokio::test]
async fn times_are_rfc_3339_in_utc_everywhere() {
    let desk = Desk::without_workers().await;
    desk.ticket("T-1").await;
    let message = Message::summary_of("T-1");
    desk.accept(&message).await;
    is_time(&desk.get(&format!("/deliveries/{}", message.id)).await["received_at"]);
    let job = desk.get("/jobs/job_1").await;
    for key in ["since", "queued_at", "next_at", "forget_at"] {
        is_time(&job[key]);
    }
    let ticket = desk.get("/tickets/T-1").await;
    is_time(&ticket["updated_at"]);
    is_time(&ticket["messages"][0]["created_at"]);
}
