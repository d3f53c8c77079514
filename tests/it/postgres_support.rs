//! What the tests rely on when they ask for a PostgreSQL of their own.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use postgres::{Client, NoTls};

use super::support::postgres::{Database, Maintenance, apart, ask};

/// A template that no other test uses; gone when dropped.
struct Template {
    name: String,
    maintenance: Maintenance,
}

impl Template {
    fn new(of: &str) -> Template {
        let template = Template { name: format!("fd_template_of_{of}"), maintenance: Maintenance::of_the_tests() };
        template.maintenance.forget(&template.name);
        template
    }

    fn database(&self, migrate: impl FnOnce(&str)) -> Database {
        Database::from_template(&self.name, migrate)
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        self.maintenance.forget(&self.name);
    }
}

fn one_table(url: &str) {
    ask(url, |client| client.batch_execute("CREATE TABLE things (name text)").unwrap());
}

fn things(database: &Database) -> i64 {
    database.ask(|client| client.query_one("SELECT count(*) FROM things", &[]).unwrap().get(0))
}

#[test]
fn each_test_gets_a_database_of_its_own_with_the_tables_in_it() {
    let template = Template::new("separate");
    let (one, other) = (template.database(one_table), template.database(|_| panic!("the template is there")));
    one.ask(|client| client.execute("INSERT INTO things VALUES ('a')", &[]).unwrap());
    assert_eq!((things(&one), things(&other)), (1, 0));
}

#[test]
fn a_database_is_gone_with_its_test_even_when_somebody_is_still_in_it() {
    let database = Database::empty();
    let (name, maintenance) = (database.name().to_owned(), Maintenance::of_the_tests());
    let client = apart(|| Client::connect(&database.url(), NoTls).unwrap());
    assert!(maintenance.has(&name));
    drop(database);
    assert!(!maintenance.has(&name));
    apart(|| drop(client));
}

#[test]
fn many_that_want_the_template_at_once_make_it_once() {
    let (template, made, together) = (Template::new("race"), AtomicUsize::new(0), Barrier::new(4));
    let want = || {
        together.wait();
        let database = template.database(|url| {
            made.fetch_add(1, Ordering::Relaxed);
            one_table(url);
        });
        assert_eq!(things(&database), 0);
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(want))));
    assert_eq!(made.into_inner(), 1);
}

#[test]
fn a_template_that_was_left_half_made_is_made_anew() {
    let template = Template::new("half");
    let broken = |url: &str| {
        one_table(url);
        panic!("planted");
    };
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| template.database(broken)));
    assert!(failed.is_err());
    assert_eq!(things(&template.database(one_table)), 0);
}

#[test]
fn all_connections_to_a_database_can_be_ended_and_counted() {
    let (database, other) = (Database::empty(), Database::empty());
    let mut clients = apart(|| [(); 3].map(|()| Client::connect(&database.url(), NoTls).unwrap()));
    let mut spared = apart(|| Client::connect(&other.url(), NoTls).unwrap());
    assert_eq!(database.connections(), 3);
    assert_eq!(database.terminate_all(), 3);
    assert_eq!((database.connections(), other.connections()), (0, 1));
    apart(|| {
        assert!(clients.iter_mut().all(|client| client.simple_query("SELECT 1").is_err()));
        spared.simple_query("SELECT 1").unwrap();
        drop((clients, spared));
    });
}

#[test]
fn a_wrong_password_is_refused() {
    let database = Database::empty();
    let mut config: postgres::Config = database.url().parse().unwrap();
    config.password("wrong");
    let refused = apart(|| config.connect(NoTls).err().expect("refused"));
    assert_eq!(refused.code().unwrap().code(), "28P01");
}

/// The backends that two connected clients got in turn, `rounds` times.
fn in_turn(clients: &mut [Client; 2], rounds: usize) -> Vec<[i32; 2]> {
    (0..rounds)
        .map(|_| clients.each_mut().map(|client| simple(client, "SELECT pg_backend_pid()").parse().unwrap()))
        .collect()
}

/// The one value that a query says, asked without a prepared statement.
fn simple(client: &mut Client, query: &str) -> String {
    let answers = client.simple_query(query).unwrap();
    let row = answers.iter().find_map(|answer| match answer {
        postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    row.expect("a row").to_owned()
}

#[test]
fn pgbouncer_lends_one_connection_to_two_clients_in_turn() {
    let database = Database::empty();
    let bouncer = database.pgbouncer();
    apart(|| {
        let mut clients = [(); 2].map(|()| Client::connect(&bouncer.url(), NoTls).unwrap());
        let seen = in_turn(&mut clients, 3);
        assert!(seen.iter().flatten().all(|pid| *pid == seen[0][0]), "{seen:?}");
        assert_eq!(database.connections(), 1);
    });
}

#[test]
fn behind_pgbouncer_a_setting_is_not_its_sessions_own() {
    let database = Database::empty();
    let bouncer = database.pgbouncer();
    apart(|| {
        let mut clients = [(); 2].map(|()| Client::connect(&bouncer.url(), NoTls).unwrap());
        clients[0].simple_query("SET work_mem = '77MB'").unwrap();
        assert_eq!(simple(&mut clients[1], "SHOW work_mem"), "77MB");
    });
}

#[test]
fn behind_pgbouncer_a_prepared_statement_does_not_stay() {
    let database = Database::empty();
    let bouncer = database.pgbouncer();
    apart(|| {
        let mut clients = [(); 2].map(|()| Client::connect(&bouncer.url(), NoTls).unwrap());
        let statement = clients[0].prepare("SELECT pg_backend_pid()").unwrap();
        // Whoever holds the only other connection makes the pool take a second one.
        clients[1].simple_query("BEGIN").unwrap();
        let found = clients[0].query(&statement, &[]);
        assert_eq!(found.unwrap_err().code().unwrap().code(), "26000");
    });
}

#[test]
fn behind_pgbouncer_a_listener_is_whoever_gets_the_connection() {
    let database = Database::empty();
    let bouncer = database.pgbouncer();
    apart(|| {
        let mut clients = [(); 2].map(|()| Client::connect(&bouncer.url(), NoTls).unwrap());
        clients[0].simple_query("LISTEN work").unwrap();
        assert_eq!(simple(&mut clients[1], "SELECT pg_listening_channels()"), "work");
    });
}
