//! Two ways to offer load. *Closed*: N connections, each sending as soon as it was answered: what
//! the receiver can take. *Open*: arrivals at fixed times whatever the receiver does, timed from
//! when each was due, so that a stall is charged to everything that it made wait.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::delivery::Deliveries;
use crate::samples::Samples;
use crate::wire::{self, PATIENCE};

/// When a closed loop ends.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After a warm-up that is not counted and then this time.
    Elapsed {
        /// Not counted.
        warm_up: Duration,
        /// Counted.
        counted: Duration,
    },
    /// After this many deliveries, all counted.
    Sent(u64),
}

/// Not counted, so that a runtime that compiles as it goes has done so and pools are full.
pub const WARM_UP: Duration = Duration::from_secs(1);

/// Warms a receiver up over as many connections as it will meet.
pub fn warm_up(address: SocketAddr, source: &Arc<Deliveries>, connections: usize) -> Result<()> {
    let counted = Duration::ZERO;
    let until = Until::Elapsed { warm_up: WARM_UP, counted };
    closed(&[address], source, connections, until).map(drop)
}

/// What a closed loop saw.
pub struct Closed {
    /// From writing the request to the whole answer, of the counted 200s.
    pub samples: Samples,
    /// Counted 200s a second.
    pub rate: f64,
    /// All 200s, the warm-up's too.
    pub acknowledged: u64,
    /// Answers that were not 200.
    pub refused: u64,
}

/// Runs a closed loop over `connections` on one thread, spread evenly over the addresses.
pub fn closed(addresses: &[SocketAddr], source: &Arc<Deliveries>, connections: usize, until: Until) -> Result<Closed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begin = Instant::now();
    let parts = runtime.block_on(async {
        let mut loops = JoinSet::new();
        for address in addresses.iter().cycle().take(connections) {
            loops.spawn(one_connection(*address, Arc::clone(source), begin, until));
        }
        loops.join_all().await
    });
    let counted = match until {
        Until::Elapsed { counted, .. } => counted,
        Until::Sent(_) => begin.elapsed(),
    };
    let mut all = Closed { samples: Samples::default(), rate: 0.0, acknowledged: 0, refused: 0 };
    for part in parts {
        let part = part?;
        all.samples.merge(part.samples);
        all.acknowledged += part.acknowledged;
        all.refused += part.refused;
    }
    all.rate = all.samples.len() as f64 / counted.as_secs_f64();
    Ok(all)
}

#[derive(Default)]
struct Part {
    samples: Samples,
    acknowledged: u64,
    refused: u64,
}

async fn one_connection(address: SocketAddr, source: Arc<Deliveries>, begin: Instant, until: Until) -> Result<Part> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut part = Part::default();
    let mut bytes = Vec::with_capacity(4096);
    loop {
        let number = source.draw();
        match until {
            Until::Sent(count) if number >= count => return Ok(part),
            Until::Elapsed { warm_up, counted } if begin.elapsed() > warm_up + counted => {
                return Ok(part);
            }
            _ => {}
        }
        let request = source.request(number, address);
        let sent = Instant::now();
        stream.write_all(&request).await?;
        let status = tokio::time::timeout(PATIENCE, answer(&mut stream, &mut bytes)).await.context("no answer")??;
        let latency = sent.elapsed();
        if status != 200 {
            part.refused += 1;
            continue;
        }
        part.acknowledged += 1;
        if counts(sent.duration_since(begin), latency, until) {
            part.samples.add(latency);
        }
    }
}

/// A delivery counts when it was sent and answered inside the counted time.
fn counts(sent: Duration, latency: Duration, until: Until) -> bool {
    match until {
        Until::Sent(_) => true,
        Until::Elapsed { warm_up, counted } => sent >= warm_up && sent + latency <= warm_up + counted,
    }
}

async fn answer(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<u16> {
    bytes.clear();
    loop {
        if stream.read_buf(bytes).await? == 0 {
            bail!("the connection was closed");
        }
        if let Some(head) = wire::head(bytes)?
            && bytes.len() >= head.end
        {
            return Ok(head.status);
        }
    }
}

/// What an open loop saw.
pub struct Open {
    /// From when each arrival was due until its call returned.
    pub samples: Samples,
    /// Arrivals that were due.
    pub offered: u64,
    /// Calls that failed.
    pub failed: u64,
    /// All were taken up within a tenth more than the time they were offered in.
    pub sustained: bool,
}

/// Offers `rate` calls a second for `length`. Each of `callers` threads takes the next arrival,
/// sleeps until it is due and makes the call: a free caller takes the next arrival, so a slow call
/// holds up no other as long as callers are free, and an arrival that found none free is still
/// timed from when it was due.
pub fn open<C>(rate: u64, length: Duration, callers: usize, caller: impl Fn() -> C + Sync) -> Result<Open>
where
    C: FnMut(u64) -> Result<()>,
{
    open_until(&AtomicBool::new(false), rate, length, callers, caller)
}

/// As `open`, but ends early once it is over.
pub fn open_until<C>(
    over: &AtomicBool,
    rate: u64,
    length: Duration,
    callers: usize,
    caller: impl Fn() -> C + Sync,
) -> Result<Open>
where
    C: FnMut(u64) -> Result<()>,
{
    let offered = (rate as f64 * length.as_secs_f64()) as u64;
    let next = AtomicU64::new(0);
    let begin = Instant::now() + Duration::from_millis(50);
    let arrive = || {
        let mut call = caller();
        let mut part = (Samples::default(), 0, None);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let due = begin + Duration::from_secs_f64(number as f64 / rate as f64);
            if number >= offered || begin.elapsed() > length * 11 / 10 || over.load(Ordering::Relaxed) {
                return part;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            match call(number) {
                Ok(()) => part.0.add(due.elapsed()),
                Err(error) => {
                    part.1 += 1;
                    part.2 = Some(error);
                }
            }
        }
    };
    let parts: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..callers).map(|_| scope.spawn(arrive)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    // Of those that were due when it was over, each caller may have left one.
    let due = (rate as f64 * begin.elapsed().as_secs_f64()) as u64;
    let least = if over.load(Ordering::Relaxed) { due.saturating_sub(callers as u64).min(offered) } else { offered };
    let (mut samples, mut failed) = (Samples::default(), 0);
    for (part, errors, last) in parts {
        samples.merge(part);
        failed += errors;
        if let Some(error) = last {
            eprintln!("a call failed: {error:#}");
        }
    }
    let sustained = samples.len() as u64 >= least && failed == 0;
    Ok(Open { samples, offered, failed, sustained })
}
