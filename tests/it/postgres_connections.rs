//! What goes over the wire to PostgreSQL, and how many wires there are.

use std::path::PathBuf;

use frontdesk::store::{Location, PoolSize, Store, StoreError};
use tempfile::TempDir;

use crate::harness::{START_MS, event, signed};
use crate::store_contract::claim_at;
use crate::support::cluster::Cluster;
use crate::support::database::TestDatabase;
use crate::support::tls::Authority;

/// A server that encrypts, and files for those who connect to it.
struct Encrypted {
    cluster: Cluster,
    authority: Authority,
    files: TempDir,
}

impl Encrypted {
    /// It calls itself `host`.
    fn as_host(host: &str) -> Encrypted {
        let (cluster, authority) = (Cluster::start(), Authority::new());
        cluster.encrypts(&authority.vouch_for(host));
        Encrypted { cluster, authority, files: tempfile::tempdir().unwrap() }
    }

    fn trusting(&self, authority: &Authority) -> PathBuf {
        let file = self.files.path().join("root.pem");
        std::fs::write(&file, authority.certificate()).unwrap();
        file
    }

    fn open(&self, settings: &str) -> Result<Store, StoreError> {
        let url = self.cluster.url().replace("127.0.0.1", "localhost");
        Store::open(&Location::parse(&format!("{url}?{settings}")).unwrap(), true)
    }

    fn is_refused(&self, settings: &str) -> String {
        self.open(settings).err().unwrap_or_else(|| panic!("{settings} was let in")).to_string()
    }

    /// How the connections of Frontdesk are: one for each.
    fn are_encrypted(&self) -> Vec<bool> {
        let asked = "SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'frontdesk'";
        self.cluster.ask(|client| client.query(asked, &[]).unwrap().iter().map(|row| row.get(0)).collect())
    }
}

#[tokio::test]
async fn a_server_whose_certificate_is_trusted_is_talked_to_in_private() {
    let server = Encrypted::as_host("localhost");
    let root = server.trusting(&server.authority);
    let store = server.open(&format!("sslmode=verify-full&sslrootcert={}", root.display())).unwrap();
    let body = event("evt_1", "response.completed", "resp_1");
    store.record(signed("default", "wh_1", &body, START_MS)).await.unwrap();
    let encrypted = server.are_encrypted();
    assert!(encrypted.len() > 1 && encrypted.iter().all(|is_encrypted| *is_encrypted), "{encrypted:?}");
}

#[tokio::test]
async fn a_certificate_of_somebody_else_or_for_another_host_is_refused_whatever_the_mode_of_encryption() {
    let server = Encrypted::as_host("db.example.com");
    let stranger = server.trusting(&Authority::new());
    for mode in ["require", "verify-ca", "verify-full"] {
        let said = server.is_refused(&format!("sslmode={mode}&sslrootcert={}", stranger.display()));
        assert!(said.contains("certificate") && !said.contains("of-the-tests"), "{said}");
    }
    let root = server.trusting(&server.authority);
    for mode in ["require", "verify-ca", "verify-full"] {
        let said = server.is_refused(&format!("sslmode={mode}&sslrootcert={}", root.display()));
        assert!(said.contains("certificate"), "{said}");
    }
    assert_eq!(server.are_encrypted(), [] as [bool; 0]);
}

#[tokio::test]
async fn a_server_that_does_not_encrypt_is_refused_when_encryption_is_asked_for() {
    let cluster = Cluster::start();
    let url = format!("{}?sslmode=require", cluster.url());
    let said = Store::open(&Location::parse(&url).unwrap(), true).err().unwrap().to_string();
    assert!(said.contains("server does not support TLS"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_connections_than_were_allowed_however_much_is_asked_at_once() {
    let database = TestDatabase::postgres();
    let pool = PoolSize { writers: 2, readers: 2 };
    let store = Store::open_sized(&database.location, false, pool).unwrap();
    let mut asked = Vec::new();
    for n in 0..200 {
        let store = store.clone();
        asked.push(tokio::spawn(async move {
            let body = event(&format!("evt_{n}"), "response.completed", &format!("resp_{n}"));
            store.record(signed("default", &format!("wh_{n}"), &body, START_MS)).await.unwrap();
            store.counts().await.unwrap();
            store.claim(claim_at(START_MS, 1)).await.unwrap().len()
        }));
    }
    let mut most = 0;
    let mut claimed = 0;
    for one in asked {
        claimed += one.await.unwrap();
        most = most.max(database.server().connections());
    }
    assert_eq!(claimed, 200);
    assert!((1..=6).contains(&most), "writers, readers, one for intake and one that listens: {most}");
}
