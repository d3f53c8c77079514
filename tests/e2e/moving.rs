//! `frontdesk move`, with the power going off in between.

use std::process::Stdio;

use frontdesk::store::Store;
use rusqlite::Connection;

use crate::process::{Place, wait};
use crate::support::database::TestDatabase;

/// Enough that copying them can be seen.
const TICKETS: i64 = 30_000;

fn place() -> Place {
    let place = Place::in_a_file();
    Store::migrate(place.location()).unwrap();
    let tickets = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {TICKETS})
         INSERT INTO tickets (id, seq, subject, queue, created_at, updated_at)
         SELECT 'T-' || i, i, hex(randomblob(200)), 'support', 1, 1 FROM n"
    );
    Connection::open(place.file()).unwrap().execute_batch(&tickets).unwrap();
    place
}

/// Grows while rows are copied, before they are committed.
const SIZE: &str = "SELECT pg_relation_size('tickets')";

fn number(to: &TestDatabase, question: &str) -> i64 {
    to.server().ask(|client| client.query_one(question, &[]).unwrap().get(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_copies_it_leaves_nothing_and_the_next_run_moves_everything() {
    let (place, to) = (place(), TestDatabase::postgres());
    let url = to.url();
    let moving = ["move", "--to", &url];
    for bytes in [0, 4_000_000, 8_000_000] {
        let before = number(&to, SIZE);
        let mut child = place.command(&moving).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while number(&to, SIZE) <= before + bytes {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        }
        child.kill().unwrap();
        wait(&mut child);
        // The server finds out by itself that nobody is there any more.
        while to.server().connections() > 0 {}
        assert_eq!(number(&to, "SELECT count(*) FROM tickets"), 0);
    }
    let moved = place.json(&moving);
    assert_eq!((&moved["was_there"], number(&to, "SELECT count(*) FROM tickets")), (&false.into(), TICKETS));
    place.run(&["audit"]).fails(1, &["has been moved to postgres://", "frontdesk move --undo"]);
    place.run(&["move", "--undo"]).succeeds();
    assert!(place.json(&["audit"])["restored"].is_object(), "others may have worked on the server meanwhile");
}
