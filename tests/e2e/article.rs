//! The rows of the article's table of common mistakes that are about the HTTP
//! endpoint. The others are in `tests/it/article.rs`.

use frontdesk_simulator::DEMO_SECRET;

use crate::desk::Desk;
use crate::wire::{Message, ROUTE, ask, request};

const FIVE_MINUTES_S: i64 = 300;

async fn is_refused(desk: &Desk, message: &Message) {
    let answer = desk.send(message).await;
    assert_eq!(answer.status, 400);
    assert_eq!(desk.count("SELECT count(*) FROM deliveries"), 0);
}

#[tokio::test]
async fn mistake_no_signature_verification() {
    let desk = Desk::without_workers().await;
    let forged = Message::summary_of("T-1").signed_with("whsec_d3Jvbmcgc2VjcmV0LCB3cm9uZyBzZWNyZXQhIQ==");
    is_refused(&desk, &forged).await;
    let bare = ask(desk.addr, &request("POST", ROUTE, &[], &forged.body)).await.unwrap();
    assert_eq!(bare.status, 400);
}

#[tokio::test]
async fn mistake_no_timestamp_validation() {
    let desk = Desk::without_workers().await;
    let old = Message { age_s: FIVE_MINUTES_S + 5, ..Message::summary_of("T-1") };
    is_refused(&desk, &old).await;
    desk.accept(&Message { age_s: FIVE_MINUTES_S - 20, ..Message::summary_of("T-1") }).await;
}

#[tokio::test]
async fn mistake_using_parsed_json_for_signature_verification() {
    let desk = Desk::without_workers().await;
    // White space that parsing would lose: signed as it is, it is good; written again, it is not.
    let spaced = br#"{ "id": "evt_1",  "type": "response.completed", "data": {"id": "resp_made_summary_T-1"} }"#;
    let good = Message::with_body(spaced);
    let written_again: serde_json::Value = serde_json::from_slice(spaced).unwrap();
    let headers = good.headers();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let changed = request("POST", ROUTE, &headers, written_again.to_string().as_bytes());
    assert_eq!(ask(desk.addr, &changed).await.unwrap().status, 400);
    desk.accept(&good).await;
}

#[tokio::test]
async fn mistake_doing_heavy_work_at_the_endpoint() {
    let desk = Desk::without_workers().await;
    desk.accept(&Message::summary_of("T-1")).await;
    assert_eq!(desk.simulator.count("GET", "/v1/"), 0, "nobody was asked anything before the 200");
    assert_eq!(desk.count("SELECT count(*) FROM jobs WHERE state = 'queued'"), 1);
}

#[tokio::test]
async fn mistake_treating_retries_as_errors() {
    let desk = Desk::without_workers().await;
    let message = Message::summary_of("T-1").signed_with(DEMO_SECRET);
    for _ in 0..3 {
        desk.accept(&message).await;
    }
    desk.accept(&message.again()).await;
    assert_eq!(desk.count("SELECT count(*) FROM jobs"), 1);
}
