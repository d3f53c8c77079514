//! What the fault tests rely on when they do bad things to a PostgreSQL of their own.

use postgres::error::SqlState;

use super::support::cluster::{Cluster, Stop};
use super::support::postgres::apart;

fn write(cluster: &Cluster, value: i64) {
    cluster.ask(|client| {
        client.batch_execute("CREATE TABLE IF NOT EXISTS things (value bigint)").unwrap();
        client.execute("INSERT INTO things VALUES ($1)", &[&value]).unwrap();
    });
}

fn written(cluster: &Cluster) -> Vec<i64> {
    let rows = cluster.ask(|client| client.query("SELECT value FROM things ORDER BY value", &[]).unwrap());
    rows.iter().map(|row| row.get(0)).collect()
}

fn is_reached(cluster: &Cluster) -> bool {
    apart(|| postgres::Client::connect(&cluster.url(), postgres::NoTls).is_ok())
}

#[test]
fn a_cluster_comes_back_with_what_was_committed_however_it_ended() {
    let cluster = Cluster::start();
    write(&cluster, 1);
    cluster.stop(Stop::Immediate);
    assert!(!is_reached(&cluster));
    cluster.restart();
    write(&cluster, 2);
    cluster.kill9();
    assert!(!is_reached(&cluster));
    cluster.restart();
    write(&cluster, 3);
    cluster.restart();
    assert_eq!(written(&cluster), [1, 2, 3]);
}

#[test]
fn a_replica_has_what_was_committed_and_takes_over() {
    let primary = Cluster::start();
    write(&primary, 1);
    let replica = primary.replica();
    write(&primary, 2);
    assert_eq!(written(&replica), [1, 2], "readable there as soon as it is committed here");
    let refused = replica.ask(|client| client.execute("DELETE FROM things", &[]).unwrap_err());
    assert_eq!(refused.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    primary.kill9();
    replica.promote();
    write(&replica, 3);
    assert_eq!(written(&replica), [1, 2, 3]);
}

#[test]
#[ignore = "mounts a disk, which needs the rights of root"]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let cluster = Cluster::on_small_disk(160);
    write(&cluster, 1);
    cluster.fill_disk();
    let grow = "INSERT INTO things SELECT value FROM generate_series(2, 500000) AS value";
    let refused = cluster.ask(|client| client.execute(grow, &[]).unwrap_err());
    assert!(matches!(refused.code(), None | Some(&SqlState::DISK_FULL)), "{refused}");
    cluster.make_room();
    cluster.restart();
    assert_eq!(written(&cluster), [1]);
}
