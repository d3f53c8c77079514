//! A standby that takes over, and one that is away.

use std::time::Duration;

use super::field::{Field, try_number, until};
use super::{rounds, url_of};
use crate::support::cluster::{Cluster, url_of_both};
use crate::wire::Message;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_while_the_primary_dies_under_load() {
    for _ in 0..rounds() {
        let primary = Cluster::start();
        let url = url_of(&primary);
        let standby = primary.replica();
        let both = url_of_both(&url, &standby);
        let mut field = Field::begin("a standby takes over", &both, &primary.url()).await;
        let wait_ms = field.dice.below(1_000);
        field.let_run(wait_ms).await;
        // Nothing starts it again.
        primary.kill9();
        field.watch = standby.url();
        standby.promote();
        field.recovered().await;
        field.moving().await;
        field.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_standby_has_not_confirmed_is_not_acknowledged_even_when_the_wait_is_cancelled() {
    let primary = Cluster::start();
    let url = url_of(&primary);
    let standby = primary.replica();
    let field = Field::begin("a standby that is away", &url, &primary.url()).await;
    field.load.stop();
    standby.kill9();
    let message = Message::summary_of("T-3999");
    let (load, sent) = (std::sync::Arc::clone(&field.load), message.clone());
    let answer = tokio::spawn(async move { load.try_at(0, &sent).await });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = 'desk'";
    until("the commit waits for the standby", || try_number(&primary.url(), waiting) > Some(0)).await;
    // Until it is answered: whatever commits meanwhile is cancelled as well.
    while !answer.is_finished() {
        let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        let _ = try_number(&primary.url(), cancel);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(answer.await.unwrap(), Some(503));
    // It is on the primary alone; sent again, it is confirmed by the standby too.
    standby.restart();
    field.load.deliver(&message, 0).await;
    let stored = format!("SELECT count(*) FROM deliveries WHERE delivery_id = '{}'", message.id);
    assert_eq!(try_number(&standby.url(), &stored), Some(1));
}
