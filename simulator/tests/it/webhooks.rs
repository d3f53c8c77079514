use crate::catcher::{Catcher, Desk, quick, request};
use frontdesk_simulator::signing::Signer;
use frontdesk_simulator::trigger::{Same, TriggerSettings, send};
use frontdesk_simulator::{DEMO_SECRET, Settings, Simulator, StartError};
use std::collections::HashSet;

#[tokio::test]
async fn retries_keep_their_id_and_stop_at_the_first_2xx() {
    let desk = Desk::new(quick(), &[500, 302, 404, 204]).await;
    desk.ask(request("T-1")).await;
    let caught = desk.catcher.all();
    assert_eq!(caught.len(), 4);
    let ids: HashSet<String> = caught.iter().map(|one| one.webhook_id.clone()).collect();
    let bodies: HashSet<String> = caught.iter().map(|one| one.body.clone()).collect();
    assert_eq!((ids.len(), bodies.len()), (1, 1));
    assert!(caught.iter().all(|one| one.genuine() && one.agent.starts_with("OpenAI/1.0")));
    let told: Vec<(u32, Option<u16>)> =
        desk.simulator.deliveries().iter().map(|one| (one.attempt, one.status)).collect();
    assert_eq!(told, [(1, Some(500)), (2, Some(302)), (3, Some(404)), (4, Some(204))]);
}

#[tokio::test]
async fn each_attempt_has_a_new_id_when_asked() {
    let settings = Settings { new_id_per_attempt: true, ..quick() };
    let desk = Desk::new(settings, &[500, 500, 500]).await;
    desk.ask(request("T-1")).await;
    let caught = desk.catcher.all();
    let ids: HashSet<String> = caught.iter().map(|one| one.webhook_id.clone()).collect();
    let bodies: HashSet<String> = caught.iter().map(|one| one.body.clone()).collect();
    assert_eq!((caught.len(), ids.len(), bodies.len()), (4, 4, 1));
    assert!(caught.iter().all(|one| one.genuine()));
}

#[tokio::test]
async fn retries_end_after_the_last_one() {
    let settings = Settings { max_retries: 2, first_retry_ms: 1, ..quick() };
    let desk = Desk::new(settings, &[503; 10]).await;
    desk.ask(request("T-1")).await;
    assert_eq!(desk.catcher.all().len(), 3);
}

#[tokio::test]
async fn a_receiver_that_moved_gets_the_retry() {
    let (catcher, url) = Catcher::start(&[]).await;
    let settings = Settings { webhook_url: Some("http://127.0.0.1:1/hook".into()), ..quick() };
    let desk = Desk::new(settings, &[]).await;
    desk.simulator.set_webhook_url(Some("http://127.0.0.1:1/hook".into()));
    let (status, _) = desk.post("/responses", request("T-1")).await;
    assert_eq!(status, 200);
    let wait = async {
        while desk.simulator.deliveries().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), wait).await.unwrap();
    desk.simulator.set_webhook_url(Some(url));
    desk.simulator.idle().await;
    assert_eq!(catcher.all().len(), 1);
    assert_eq!(desk.simulator.deliveries()[0].error.as_deref(), Some("could not connect"));
}

#[tokio::test]
async fn without_a_url_no_webhook_is_sent() {
    let desk = Desk::new(quick(), &[]).await;
    desk.simulator.set_webhook_url(None);
    desk.ask(request("T-1")).await;
    assert!(desk.simulator.deliveries().is_empty());
}

#[tokio::test]
async fn many_webhooks_all_arrive() {
    let desk = Desk::new(quick(), &[]).await;
    for _ in 0..300 {
        desk.post("/responses", request("T-1")).await;
    }
    desk.simulator.idle().await;
    let resources: HashSet<String> = desk.catcher.all().iter().map(|one| one.resource()).collect();
    assert_eq!((resources.len(), desk.catcher.all().len()), (300, 300));
}

#[tokio::test]
async fn a_trigger_sends_what_its_deliveries_have_in_common() {
    for (same, webhooks, events) in [(Same::Nothing, 9, 9), (Same::Id, 1, 1), (Same::Event, 9, 1)] {
        let (catcher, url) = Catcher::start(&[500]).await;
        let signer = Signer::new(DEMO_SECRET).unwrap();
        let settings = TriggerSettings::new(url, signer, "video.completed");
        let sent = send(TriggerSettings { count: 9, concurrency: 3, same, ..settings }).await;
        assert_eq!(sent.iter().filter(|one| one.accepted()).count(), 8);
        let caught = catcher.all();
        let ids: HashSet<_> = caught.iter().map(|one| one.webhook_id.clone()).collect();
        let bodies: HashSet<_> = caught.iter().map(|one| one.body.clone()).collect();
        assert_eq!((ids.len(), bodies.len(), caught.len()), (webhooks, events, 9));
        assert!(caught.iter().all(|one| one.genuine()));
    }
}

#[tokio::test]
async fn a_trigger_says_why_nothing_arrived() {
    let signer = Signer::new(DEMO_SECRET).unwrap();
    for (url, reason) in [("http://127.0.0.1:1/", "could not connect"), ("nonsense", "not a URL that can be posted to")]
    {
        let settings = TriggerSettings::new(url, signer.clone(), "batch.failed");
        let sent = send(TriggerSettings { resource_id: Some("batch_1".into()), ..settings }).await;
        assert_eq!(sent[0].error.as_deref(), Some(reason));
        assert_eq!((sent[0].status, sent[0].resource_id.as_str()), (None, "batch_1"));
    }
}

#[tokio::test]
async fn a_start_is_refused_with_a_hint() {
    let secret = Settings { webhook_secret: "whsec_x".into(), ..quick() };
    let rate = Settings { faults: vec![(frontdesk_simulator::Fault::Drop, 1.5)], ..quick() };
    let work = Settings { work_ms: (9, 1), ..quick() };
    for (settings, hint) in [(secret, "base64"), (rate, "from 0 to 1"), (work, "shorter")] {
        let error = Simulator::start(settings).await.unwrap_err();
        assert!(matches!(error, StartError::Setting(_)));
        assert!(error.to_string().contains(hint), "{error}");
    }
    let running = Simulator::start(quick()).await.unwrap();
    let taken = Settings { listen: running.addr(), ..quick() };
    let error = Simulator::start(taken).await.unwrap_err().to_string();
    assert!(error.contains("cannot listen"), "{error}");
}
