//! What the front desk answers OpenAI.

use frontdesk::app::Roles;
use frontdesk_simulator::DEMO_SECRET;

use crate::desk::Desk;
use crate::wire::{Message, ROUTE, ask, request, until};

const OTHER_SECRET: &str = "whsec_d3Jvbmcgc2VjcmV0LCB3cm9uZyBzZWNyZXQhIQ==";

#[tokio::test]
async fn a_good_delivery_is_stored_and_queued_before_the_200() {
    let desk = Desk::without_workers().await;
    let message = Message::summary_of("T-1");
    desk.accept(&message).await;
    assert_eq!(desk.count("SELECT count(*) FROM jobs WHERE state = 'queued'"), 1);
    let shown = desk.get(&format!("/deliveries/{}", message.id)).await;
    assert_eq!(shown["event_id"], message.event_id);
    assert_eq!(shown["status"], "queued");
    assert_eq!(shown["copies"], 1);
}

#[tokio::test]
async fn the_same_webhook_id_again_is_a_success_and_makes_no_second_job() {
    let desk = Desk::without_workers().await;
    let message = Message::summary_of("T-1");
    for _ in 0..3 {
        desk.accept(&message).await;
    }
    let shown = desk.get(&format!("/deliveries/{}", message.id)).await;
    assert_eq!((&shown["copies"], &shown["altered_copies"]), (&3.into(), &0.into()));
    assert_eq!(desk.count("SELECT count(*) FROM jobs"), 1);
    assert_eq!(desk.count("SELECT count(*) FROM deliveries"), 1);
}

#[tokio::test]
async fn the_same_webhook_id_with_another_body_changes_nothing_and_is_counted() {
    let desk = Desk::without_workers().await;
    let first = Message::summary_of("T-1");
    desk.accept(&first).await;
    let before = desk.get(&format!("/deliveries/{}", first.id)).await;
    let altered = Message { id: first.id.clone(), ..Message::summary_of("T-2") };
    desk.accept(&altered).await;
    let mut after = desk.get(&format!("/deliveries/{}", first.id)).await;
    assert_eq!(after["altered_copies"], 1);
    assert_eq!(after["copies"], 2);
    after["copies"] = 1.into();
    after["altered_copies"] = 0.into();
    assert_eq!(before, after);
    assert_eq!(desk.count("SELECT count(*) FROM jobs"), 1);
    let body: Vec<u8> = desk.database().query_row("SELECT body FROM deliveries", [], |row| row.get(0)).unwrap();
    assert_eq!(body, first.body);
    assert!(desk.metrics().await.contains("duplicate_altered"));
}

#[tokio::test]
async fn the_same_event_under_a_new_webhook_id_is_a_second_delivery_of_one_job() {
    let desk = Desk::without_workers().await;
    let first = Message::summary_of("T-1");
    let second = first.again();
    desk.accept(&first).await;
    desk.accept(&second).await;
    let shown = desk.get(&format!("/deliveries/{}", second.id)).await;
    assert_eq!(shown["duplicate_of"], first.id);
    assert_eq!(shown["status"], "queued");
    let of_first = desk.get(&format!("/deliveries/{}", first.id)).await;
    assert_eq!(of_first["job_id"], shown["job_id"]);
    assert!(of_first["duplicate_of"].is_null());
    assert_eq!(desk.count("SELECT count(*) FROM jobs"), 1);
}

#[tokio::test]
async fn what_is_signed_but_of_no_use_is_kept_as_received() {
    let desk = Desk::start().await;
    let messages = [
        Message::of("response.daydreamed", "resp_1"),
        Message::of("realtime.call.incoming", "rtc_1"),
        Message::with_body(br#"{"id":"evt_1","type":"response.completed","data":{}}"#),
        Message::with_body(br#"{"id":"evt_2","type":"response.completed","data":{"id":"../files/x"}}"#),
        Message::with_body(b"{\"id\": \"evt_3\", "),
        Message::with_body(b"\xff\x00\xfe not json"),
        Message::with_body(b"[]"),
        Message::with_body(b""),
    ];
    for message in &messages {
        desk.accept(message).await;
        let shown = desk.get(&format!("/deliveries/{}", message.id)).await;
        assert_eq!(shown["status"], "received");
        assert!(shown["job_id"].is_null() && shown["note"].is_string(), "{shown}");
    }
    assert_eq!(desk.count("SELECT count(*) FROM jobs"), 0);
    let listed = desk.get("/deliveries?status=received").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), messages.len());
}

#[tokio::test]
async fn whatever_is_wrong_with_verification_the_answer_is_the_same_to_the_byte() {
    let desk = Desk::without_workers().await;
    let good = Message::summary_of("T-1");
    let [id, time, signature] = good.headers().map(|(_, value)| value);
    let sent = |headers: &[(&str, &str)], body: &[u8]| request("POST", ROUTE, headers, body);
    let all = [("webhook-id", id.as_str()), ("webhook-timestamp", &time), ("webhook-signature", &signature)];
    let with = |index: usize, value: &str| {
        let mut changed: Vec<(&str, String)> = all.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        changed[index].1 = value.to_owned();
        let changed: Vec<(&str, &str)> = changed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        sent(&changed, &good.body)
    };
    let long = "x".repeat(5000);
    let requests = [
        sent(&[], &good.body),
        sent(&[], b""),
        sent(&all[1..], &good.body),
        sent(&[all[0], all[2]], &good.body),
        sent(&all[..2], &good.body),
        sent(&[all[0], all[0], all[1], all[2]], &good.body),
        sent(&all, b"{}"),
        with(0, "wh_another"),
        with(0, ""),
        with(0, &long),
        with(1, "1"),
        with(1, "-5"),
        with(1, "99999999999999999999999"),
        with(1, "soon"),
        with(2, "v1,"),
        with(2, "v2,AAAA"),
        with(2, &long),
        with(2, &signature.to_lowercase()),
        good.clone().signed_with(OTHER_SECRET).bytes(),
        Message { age_s: 301, ..good.clone() }.bytes(),
        Message { age_s: -302, ..good.clone() }.bytes(),
        Message { age_s: 1 << 40, ..good.clone() }.bytes(),
    ];
    let mut answers = Vec::new();
    for one in &requests {
        answers.push(ask(desk.addr, one).await.unwrap());
    }
    for (answer, sent) in answers.iter().zip(&requests) {
        assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(sent));
        assert_eq!(answer.without_date(), answers[0].without_date());
    }
    assert_eq!(desk.count("SELECT count(*) FROM deliveries"), 0);
    desk.accept(&good).await;
}

#[tokio::test]
async fn refusals_are_counted_explained_and_never_deliveries() {
    let desk = Desk::without_workers().await;
    let forged = Message::summary_of("T-1").signed_with(OTHER_SECRET);
    for _ in 0..3 {
        assert_eq!(desk.send(&forged).await.status, 400);
    }
    assert!(desk.metrics().await.contains("frontdesk_refused_total{code="));
    let (code, count, why) = until("the refusals to be written down", async || {
        let sql = "SELECT code, CAST(sum(count) AS BIGINT), min(explanation) FROM refusals GROUP BY code";
        let row = |row: &frontdesk::store::sql::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let found: Option<(String, i64, String)> = desk.database().query_row(sql, [], row).ok();
        found.filter(|(_, count, _)| *count == 3)
    })
    .await;
    assert_eq!((code.as_str(), count), ("wrong_secret", 3));
    assert!(why.len() > 40 && !why.contains("whsec_ZnJv"), "{why}");
    assert_eq!(desk.get("/stats").await["refused"]["wrong_secret"], 3);
    assert_eq!(desk.get("/deliveries").await["items"].as_array().unwrap().len(), 0);
    assert_eq!(desk.count("SELECT count(*) FROM deliveries"), 0);
}

#[tokio::test]
async fn each_project_has_its_own_route_and_secret() {
    let settings =
        format!("[projects.emea]\nwebhook_secret = \"{OTHER_SECRET}\"\n[projects.bare]\napi_key = \"sk-1\"\n");
    let desk = Desk::with(&settings, Roles { worker: false, ..Roles::ALL }).await;
    let to_emea = Message::summary_of("T-1").to("/webhooks/openai/emea");
    assert_eq!(desk.send(&to_emea).await.status, 400, "the secret of another project");
    desk.accept(&to_emea.clone().signed_with(OTHER_SECRET)).await;
    assert_eq!(desk.get(&format!("/deliveries/{}", to_emea.id)).await["project"], "emea");
    // The default project is reachable by its name as well, and ids are apart.
    desk.accept(&to_emea.clone().to("/webhooks/openai/default").signed_with(DEMO_SECRET)).await;
    assert_eq!(desk.count("SELECT count(*) FROM deliveries"), 2);
    assert_eq!(desk.count("SELECT count(*) FROM jobs"), 2);
    for unknown in ["nobody", "bare", "%20", "%ff", "emea%2f..", "EMEA"] {
        let answer = desk.send(&Message::summary_of("T-1").to(&format!("/webhooks/openai/{unknown}"))).await;
        assert_eq!(answer.status, 404, "{unknown}");
    }
}

#[tokio::test]
async fn both_secrets_are_accepted_during_a_rotation() {
    let settings = format!("[projects.both]\nwebhook_secret = \"{OTHER_SECRET} {DEMO_SECRET}\"\n");
    let desk = Desk::with(&settings, Roles { worker: false, ..Roles::ALL }).await;
    for secret in [OTHER_SECRET, DEMO_SECRET, &format!("{OTHER_SECRET} {DEMO_SECRET}")] {
        desk.accept(&Message::summary_of("T-1").to("/webhooks/openai/both").signed_with(secret)).await;
    }
}

#[tokio::test]
async fn other_methods_and_paths_are_neither_redirected_nor_gone() {
    let desk = Desk::without_workers().await;
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let answer = ask(desk.addr, &request(method, ROUTE, &[], b"")).await.unwrap();
        assert_eq!(answer.status, 405, "{method}");
    }
    for path in [
        "/webhooks/openai/",
        "/webhooks",
        "/webhooks/",
        "//webhooks/openai",
        "/webhooks/openai/a/b",
        "/WEBHOOKS/OPENAI",
        "/*",
    ] {
        let answer = desk.send(&Message::summary_of("T-1").to(path)).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_copies_at_once_are_one_delivery_one_job_and_one_note() {
    let desk = Desk::start().await;
    desk.ticket("T-50").await;
    let message = Message::summary_of("T-50");
    let sends: Vec<_> = (0..50)
        .map(|_| {
            let (addr, bytes) = (desk.addr, message.bytes());
            tokio::spawn(async move { ask(addr, &bytes).await.unwrap().status })
        })
        .collect();
    for send in sends {
        assert_eq!(send.await.unwrap(), 200);
    }
    let shown = desk.settled(&message.id, &["processed"]).await;
    assert_eq!(
        (&shown["copies"], &shown["attempt_count"], &shown["outcome"]),
        (&50.into(), &1.into(), &"applied".into())
    );
    assert_eq!(desk.count("SELECT count(*) FROM deliveries"), 1);
    assert_eq!(desk.count("SELECT count(*) FROM jobs"), 1);
    assert_eq!(desk.count("SELECT count(*) FROM messages WHERE author = 'frontdesk'"), 1);
}
