//! Senders that behave as OpenAI does, and what they were told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::wire::Message;

const SENDERS: u64 = 4;
/// Longest pause of a sender between two events, in ms.
const PAUSE_MS: u64 = 80;
/// A sender waits so long for an answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// Repeatable chance.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What was acknowledged: under which event, and the hash of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Acknowledged {
    pub(super) event: String,
    pub(super) sha256: String,
}

/// What the senders share.
pub(super) struct Load {
    /// Where the front desks are; none while one is down.
    pub(super) desks: Mutex<Vec<Option<SocketAddr>>>,
    pub(super) tickets: usize,
    next: AtomicUsize,
    stop: AtomicBool,
    /// By webhook-id.
    pub(super) acknowledged: Mutex<BTreeMap<String, Acknowledged>>,
    pub(super) acks: AtomicUsize,
    pub(super) not_now: AtomicUsize,
    /// The slowest 503 since it was last asked for, in ms.
    slowest_not_now_ms: AtomicU64,
    pub(super) no_answer: AtomicUsize,
}

impl Load {
    pub(super) fn new(desks: usize, tickets: usize) -> Arc<Load> {
        Arc::new(Load {
            desks: Mutex::new(vec![None; desks]),
            tickets,
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            acknowledged: Mutex::default(),
            acks: AtomicUsize::new(0),
            not_now: AtomicUsize::new(0),
            slowest_not_now_ms: AtomicU64::new(0),
            no_answer: AtomicUsize::new(0),
        })
    }

    pub(super) fn start(self: &Arc<Load>, seed: u64) -> Vec<JoinHandle<()>> {
        (1..=SENDERS).map(|sender| tokio::spawn(Arc::clone(self).send_on(Dice(seed.wrapping_add(sender))))).collect()
    }

    /// No new events. What was begun is delivered.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// How many events there were.
    pub(super) fn events(&self) -> usize {
        self.next.load(Ordering::Relaxed).min(self.tickets)
    }

    pub(super) fn acks(&self) -> usize {
        self.acks.load(Ordering::Relaxed)
    }

    pub(super) fn refusals(&self) -> usize {
        self.not_now.load(Ordering::Relaxed)
    }

    pub(super) fn take_slowest_not_now_ms(&self) -> u64 {
        self.slowest_not_now_ms.swap(0, Ordering::Relaxed)
    }

    /// One try at one of the front desks; its status, when there was an answer.
    pub(super) async fn try_at(&self, desk: usize, message: &Message) -> Option<u16> {
        let addr = self.desks.lock().unwrap()[desk]?;
        let began = Instant::now();
        let status = tokio::time::timeout(PATIENCE, ask(addr, message)).await.ok().flatten();
        match status {
            Some(200) => {
                let told = Acknowledged { event: message.event_id.clone(), sha256: sha256(&message.body) };
                self.acknowledged.lock().unwrap().insert(message.id.clone(), told);
                self.acks.fetch_add(1, Ordering::Relaxed);
            }
            Some(503) => {
                self.not_now.fetch_add(1, Ordering::Relaxed);
                let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap();
                self.slowest_not_now_ms.fetch_max(took_ms, Ordering::Relaxed);
            }
            Some(other) => panic!("a good delivery was answered with {other}"),
            None => drop(self.no_answer.fetch_add(1, Ordering::Relaxed)),
        }
        status
    }

    /// Repeats it under the same webhook-id until it is acknowledged, here or there.
    pub(super) async fn deliver(&self, message: &Message, first: usize) {
        let desks = self.desks.lock().unwrap().len();
        for turn in first.. {
            if self.try_at(turn % desks, message).await == Some(200) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn send_on(self: Arc<Load>, mut dice: Dice) {
        while !self.stop.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.tickets {
                // As many as can be told apart; the check counts all of them.
                return;
            }
            let message = Message::summary_of(&format!("T-{number}"));
            let again = message.again();
            match dice.below(4) {
                // The same delivery at two front desks at once, or the same event twice.
                0 => drop(tokio::join!(self.deliver(&message, 0), self.deliver(&message, 1))),
                1 => drop(tokio::join!(self.deliver(&message, 0), self.deliver(&again, 1))),
                first => self.deliver(&message, usize::try_from(first).unwrap()).await,
            }
            tokio::time::sleep(Duration::from_millis(dice.below(PAUSE_MS))).await;
        }
    }
}

async fn ask(addr: SocketAddr, message: &Message) -> Option<u16> {
    let mut stream = TcpStream::connect(addr).await.ok()?;
    stream.write_all(&message.bytes()).await.ok()?;
    let mut read = [0; 64];
    let count = stream.read(&mut read).await.ok()?;
    std::str::from_utf8(&read[..count]).ok()?.split(' ').nth(1)?.parse().ok()
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
