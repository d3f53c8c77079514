//! kill -9 under load, again and again: nothing acknowledged is lost, nothing
//! is done twice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use frontdesk::store::{NewTicket, Store};
use frontdesk_simulator::{Settings, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::{Place, Server};
use crate::support::database::Sql;
use crate::wire::Message;

const SENDERS: usize = 6;
const TICKETS_A_KILL: usize = 250;
const SETTINGS: &str =
    "[worker]\nlease = \"1s\"\nheartbeat = \"300ms\"\npoll = \"100ms\"\n[retry]\nfirst = \"100ms\"\nattempts = 100\n";

/// Repeatable chance.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What the senders share.
struct Load {
    addr: Mutex<Option<SocketAddr>>,
    next: AtomicUsize,
    tickets: usize,
    stop: AtomicBool,
    repeats: AtomicUsize,
    /// Acknowledged webhook-ids, each with its event.
    acknowledged: Mutex<BTreeMap<String, String>>,
}

impl Load {
    /// One try; true when it was acknowledged.
    async fn try_once(&self, message: &Message) -> bool {
        let Some(addr) = *self.addr.lock().unwrap() else { return false };
        let Ok(mut stream) = TcpStream::connect(addr).await else { return false };
        if stream.write_all(&message.bytes()).await.is_err() {
            return false;
        }
        let mut read = [0; 64];
        let answered = tokio::time::timeout(Duration::from_secs(12), stream.read(&mut read)).await;
        let good = matches!(answered, Ok(Ok(count)) if read[..count].starts_with(b"HTTP/1.1 200"));
        if good {
            self.acknowledged.lock().unwrap().insert(message.id.clone(), message.event_id.clone());
        }
        good
    }

    /// Repeats it under the same webhook-id until it is acknowledged, as OpenAI would.
    async fn deliver(&self, message: &Message) {
        while !self.try_once(message).await {
            self.repeats.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }

    async fn send_on(self: Arc<Load>, mut dice: Dice) {
        while !self.stop.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.tickets {
                return;
            }
            let message = Message::summary_of(&format!("T-{number}"));
            let again = message.again();
            match dice.below(4) {
                0 => drop(tokio::join!(self.deliver(&message), self.deliver(&message))),
                1 => drop(tokio::join!(self.deliver(&message), self.deliver(&again))),
                _ => self.deliver(&message).await,
            }
            tokio::time::sleep(Duration::from_millis(dice.below(16))).await;
        }
    }
}

async fn make_tickets(place: &Place, count: usize) {
    let store = Store::open(place.location(), true).unwrap();
    let made = (0..count).map(|number| {
        let ticket = NewTicket {
            id: Some(format!("T-{number}")),
            subject: "Lamp".to_owned(),
            queue: "support".to_owned(),
            tags: Vec::new(),
            messages: Vec::new(),
        };
        let store = store.clone();
        tokio::spawn(async move { store.create_ticket(ticket, 1).await.unwrap() })
    });
    for one in made.collect::<Vec<_>>() {
        one.await.unwrap();
    }
}

/// Kills and restarts, so often; gives the last server.
async fn kill_again_and_again(place: &Place, load: &Load, kills: usize, dice: &mut Dice) -> Server {
    let mut server = place.serve(&[]);
    for kill in 0..kills {
        *load.addr.lock().unwrap() = Some(server.addr);
        // Most at full load, some just after the start.
        let most = if dice.below(5) == 0 { 40 } else { 700 };
        tokio::time::sleep(Duration::from_millis(dice.below(most))).await;
        server.kill();
        *load.addr.lock().unwrap() = None;
        if kill % 4 == 3 {
            // Killed while it starts.
            let mut halfway = place.launch(&[]);
            tokio::time::sleep(Duration::from_millis(dice.below(60))).await;
            halfway.kill();
        }
        server = place.serve(&[]);
    }
    *load.addr.lock().unwrap() = Some(server.addr);
    server
}

async fn until_idle(database: Sql<'_>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let moving =
            database.number("SELECT count(*) FROM jobs WHERE state IN ('queued','processing','failed_retryable')");
        if moving == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "{moving} jobs do not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_nothing_acknowledged_is_lost_and_nothing_is_done_twice() {
    let kills: usize = std::env::var("FRONTDESK_KILLS").map_or(6, |text| text.parse().unwrap());
    let seed: u64 = std::env::var("FRONTDESK_SEED")
        .map_or_else(|_| frontdesk::clock::Clock::System.now_ms().unsigned_abs(), |text| text.parse().unwrap());
    println!("seed {seed} (FRONTDESK_SEED repeats its choices)");
    let simulator = Simulator::start(Settings::default()).await.unwrap();
    let place =
        Place::new().with("OPENAI_BASE_URL", &simulator.base_url()).with("FRONTDESK_LOG", "error,frontdesk::cli=info");
    place.write("frontdesk.toml", SETTINGS);
    let tickets = kills.max(1) * TICKETS_A_KILL;
    make_tickets(&place, tickets).await;
    let load = Arc::new(Load {
        addr: Mutex::default(),
        next: AtomicUsize::new(0),
        tickets,
        stop: AtomicBool::new(false),
        repeats: AtomicUsize::new(0),
        acknowledged: Mutex::default(),
    });
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| tokio::spawn(Arc::clone(&load).send_on(Dice(seed.wrapping_add(1 + sender as u64)))))
        .collect();
    let server = kill_again_and_again(&place, &load, kills, &mut Dice(seed)).await;
    load.stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    let database = place.sql();
    until_idle(database).await;
    assert_eq!(server.stop(), 0);
    let used = load.next.load(Ordering::Relaxed).min(tickets);
    check(database, &load, used, seed);
    println!(
        "kills {kills}, acknowledged {}, repeated sends {}, events {used}, notes {}, lost 0, doubled 0, second claims {}",
        load.acknowledged.lock().unwrap().len(),
        load.repeats.load(Ordering::Relaxed),
        database.number("SELECT count(*) FROM messages WHERE author = 'frontdesk'"),
        database.number("SELECT count(*) FROM jobs WHERE claims > 1"),
    );
}

fn check(database: Sql<'_>, load: &Load, used: usize, seed: u64) {
    let rows = |sql: &str| -> Vec<(String, Option<String>)> {
        database.rows(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    let stored: BTreeMap<_, _> = rows("SELECT delivery_id, event_id FROM deliveries").into_iter().collect();
    let acknowledged = load.acknowledged.lock().unwrap();
    assert!(acknowledged.len() >= used, "seed {seed}");
    for (delivery, event) in acknowledged.iter() {
        assert_eq!(
            stored.get(delivery),
            Some(&Some(event.clone())),
            "seed {seed}: {delivery} was acknowledged and is lost"
        );
    }
    let events: BTreeSet<_> = stored.values().flatten().collect();
    let jobs = rows("SELECT event_id, state || '/' || coalesce(outcome, '') FROM jobs");
    assert_eq!(jobs.len(), events.len(), "seed {seed}: every event has one job");
    assert_eq!(jobs.iter().map(|(event, _)| event).collect::<BTreeSet<_>>(), events, "seed {seed}");
    for (event, end) in &jobs {
        assert_eq!(end.as_deref(), Some("processed/applied"), "seed {seed}: {event}");
    }
    assert_eq!(events.len(), used, "seed {seed}");
    let notes = rows("SELECT ticket_id, count(*) || '' FROM messages WHERE author = 'frontdesk' GROUP BY ticket_id");
    assert_eq!(notes.len(), used, "seed {seed}: every ticket has its note");
    for (ticket, count) in notes {
        assert_eq!(count.as_deref(), Some("1"), "seed {seed}: {ticket} has its note more than once");
    }
    if database.location.file().is_some() {
        let tidy: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(tidy, "ok", "seed {seed}");
    }
}
