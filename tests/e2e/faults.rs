//! Several processes on a PostgreSQL to which bad things are done under load:
//! nothing acknowledged is lost, nothing is done twice, and everything goes on by
//! itself. FRONTDESK_FAULTS says how often each of them happens; `scripts/faults`
//! does it often.

mod check;
mod field;
mod load;
mod node;
mod processes;
mod server;
mod standby;

use crate::support::cluster::Cluster;
use crate::support::postgres::ask;

/// How often each fault happens in a test.
fn rounds() -> usize {
    std::env::var("FRONTDESK_FAULTS").map_or(1, |text| text.parse().unwrap())
}

/// Where the processes connect: as somebody for whom PostgreSQL keeps no place.
fn url_of(cluster: &Cluster) -> String {
    ask(&cluster.url(), |client| {
        client
            .batch_execute("CREATE ROLE desk LOGIN PASSWORD 'of-the-tests'; ALTER DATABASE postgres OWNER TO desk; GRANT ALL ON SCHEMA public TO desk")
            .unwrap();
    });
    cluster.url().replace("postgres://postgres:", "postgres://desk:")
}
