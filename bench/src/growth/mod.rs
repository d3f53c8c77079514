//! Whether anything takes longer because more lies behind it: the same questions, in
//! turns, to a desk with a long history, to one whose history is a few hours long, and
//! to a second one of that kind, which shows what chance does.

mod ask;
mod desk;
mod fill;
mod report;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::delivery::Deliveries;
use crate::load::{self, Until};
use crate::samples::Samples;
use crate::simulator::Simulator;
use crate::{clock, wire};
use desk::{Desk, Place};
use fill::History;
use report::Report;

/// A few hours of history: more than any page looks at.
const YOUNG: i64 = 20_000;
/// What people still have to do with, in each of them.
const FRESH: i64 = 10_000;

/// Which kind of database.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Store {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// What the command takes.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// How many deliveries the long history has; thousands.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(i64).range(20_000..))]
    deliveries: i64,
    /// Which kind of database.
    #[arg(long, default_value = "sqlite")]
    store: Store,
    /// The server of PostgreSQL, where new databases are made and dropped again.
    #[arg(long, required_if_eq("store", "postgres"))]
    server: Option<String>,
    /// How often everything is asked, in turns.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How often a question is asked in each round.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    calls: u32,
    /// How long deliveries come in, in each round; seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How many deliveries come in a second, on each desk.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,
    /// How many jobs are worked off in each round.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    jobs: u64,
    /// Writes every figure to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// The binary to measure.
    #[arg(long, default_value = "target/release/frontdesk")]
    frontdesk: PathBuf,
    /// Where databases go: a folder on a real disk. A temporary one unless told.
    #[arg(long)]
    data: Option<PathBuf>,
}

/// Runs it and prints the table; an error when anything took longer.
pub fn run(options: &Options) -> Result<()> {
    let binary = fs::canonicalize(&options.frontdesk).with_context(|| {
        format!("no {}; build it with: cargo build --release -p frontdesk", options.frontdesk.display())
    })?;
    let parent = options.data.clone().unwrap_or_else(std::env::temp_dir);
    let folder = parent.join(format!("frontdesk-growth-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let place = match options.store {
        Store::Sqlite => Place::Sqlite(fs::canonicalize(&folder)?),
        Store::Postgres => Place::Postgres(options.server.clone().context("--server is needed")?),
    };
    let measured = measure(options, &binary, &place, &folder);
    fs::remove_dir_all(&folder).ok();
    let report = measured?.close();
    if let Some(path) = &options.json {
        fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    print!("{}", report.table());
    let slower = report.slower();
    ensure!(slower.is_empty(), "longer with more history: {}", slower.join(", "));
    Ok(())
}

fn measure(options: &Options, binary: &std::path::Path, place: &Place, folder: &std::path::Path) -> Result<Report> {
    let simulator = Simulator::start(folder)?;
    let now_ms = i64::try_from(clock::unix_seconds())? * 1000;
    let tickets = i64::from(options.rounds) * i64::try_from(options.jobs)?;
    let make = |name, total| {
        let history = History { total, fresh: FRESH, now_ms };
        Desk::make(name, binary, place, simulator.address, history, tickets)
    };
    let mut desks = [make("young", YOUNG)?, make("twin", YOUNG)?, make("old", options.deliveries / 1000 * 1000)?];
    let mut report = Report::new(options.deliveries, &desks);
    audit(&desks, &mut report)?;
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        for desk in &mut desks {
            desk.start("intake,web")?;
            if desk.cookie.is_empty() {
                desk.sign_in()?;
            }
        }
        ask_all(&desks, options, round, &mut report)?;
        take_in(&desks, options, round, &mut report)?;
        run_commands(&desks, &mut report)?;
        for desk in &mut desks {
            desk.stop()?;
        }
        work_off(&mut desks, options, round, &mut report)?;
    }
    Ok(report)
}

/// That the rows are as the product leaves them, and how long it takes to see that.
fn audit(desks: &[Desk; 3], report: &mut Report) -> Result<()> {
    for (which, desk) in desks.iter().enumerate() {
        let begin = Instant::now();
        desk.run(&["audit", "--json"]).context("the history is not as the product leaves it")?;
        report.note_audit(which, begin.elapsed().as_secs_f64());
    }
    Ok(())
}

/// One of three orders, so that no desk is always asked first.
fn turns(round: u32) -> [usize; 3] {
    [[0, 2, 1], [2, 1, 0], [1, 0, 2]][round as usize % 3]
}

fn ask_all(desks: &[Desk; 3], options: &Options, round: u32, report: &mut Report) -> Result<()> {
    let mut connections = [0, 1, 2].map(|which: usize| wire::Connection::new(desks[which].address));
    for ask in ask::all() {
        let requests = [0, 1, 2].map(|which: usize| {
            let desk = &desks[which];
            wire::get_as(desk.address, &(ask.path)(desk), &desk.token, &desk.cookie)
        });
        let mut samples = [Samples::default(), Samples::default(), Samples::default()];
        // One call each, so that a slow moment of the machine falls on all of them.
        for call in 0..options.calls + 10 {
            for which in turns(round + call) {
                let begin = Instant::now();
                let answer = connections[which].exchange(&requests[which])?;
                let took = begin.elapsed();
                let is_good = answer.status == 200 || (!ask.finds && answer.status == 404);
                ensure!(is_good, "{} answered {}: {}", ask.name, answer.status, String::from_utf8_lossy(answer.body));
                // The first ones warm up.
                if call >= 10 {
                    samples[which].add(took);
                }
            }
        }
        for (which, samples) in samples.into_iter().enumerate() {
            report.add(&ask.name, which, samples);
        }
    }
    Ok(())
}

/// Deliveries at a fixed rate, one after another.
fn take_in(desks: &[Desk; 3], options: &Options, round: u32, report: &mut Report) -> Result<()> {
    let sources = [0, 1, 2].map(|_| Deliveries::new(u64::from(round) * 3 + 1000, 1_000));
    let mut connections = [0, 1, 2].map(|which: usize| wire::Connection::open(desks[which].address));
    let mut samples = [Samples::default(), Samples::default(), Samples::default()];
    let begin = Instant::now();
    for number in 0..options.rate * options.seconds {
        let due = Duration::from_secs_f64(number as f64 / options.rate as f64);
        thread::sleep(due.saturating_sub(begin.elapsed()));
        for which in turns(u32::try_from(number % 3)?) {
            let request = sources[which].request(number, desks[which].address);
            let sent = Instant::now();
            let status = connections[which].exchange(&request)?.status;
            ensure!(status == 200, "a delivery was answered with {status}");
            if number >= options.rate / 2 {
                samples[which].add(sent.elapsed());
            }
        }
    }
    for (which, samples) in samples.into_iter().enumerate() {
        report.add("intake, p99", which, samples.clone());
        report.add("intake", which, samples);
    }
    Ok(())
}

fn run_commands(desks: &[Desk; 3], report: &mut Report) -> Result<()> {
    for (at, (name, _)) in ask::commands(&desks[0]).into_iter().enumerate() {
        for call in 0..4 {
            for which in turns(call) {
                let (_, words) = ask::commands(&desks[which]).swap_remove(at);
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let begin = Instant::now();
                desks[which].run(&words)?;
                let mut samples = Samples::default();
                samples.add(begin.elapsed());
                report.add(name, which, samples);
            }
        }
    }
    Ok(())
}

/// Jobs that wait are claimed and worked; each is about a ticket of its own. What came
/// in before is worked off first, and not counted.
fn work_off(desks: &mut [Desk; 3], options: &Options, round: u32, report: &mut Report) -> Result<()> {
    for which in turns(round) {
        let desk = &mut desks[which];
        desk.start("intake,worker,web")?;
        let mut connection = wire::Connection::new(desk.address);
        wait_idle(desk, &mut connection)?;
        desk.stop()?;
        desk.start("intake")?;
        let before = u64::try_from(desk.history.tickets())? + u64::from(round) * options.jobs;
        let source = Arc::new(Deliveries::new(u64::from(round) + 5000, options.jobs).after(before));
        let filled = load::closed(&[desk.address], &source, 16, Until::Sent(options.jobs))?;
        ensure!(filled.acknowledged == options.jobs, "{} deliveries were refused", filled.refused);
        desk.stop()?;
        desk.start("intake,worker,web")?;
        let begin = Instant::now();
        wait_idle(desk, &mut wire::Connection::new(desk.address))?;
        let mut samples = Samples::default();
        samples.add(begin.elapsed());
        report.add("claim and work of a backlog", which, samples);
        desk.stop()?;
    }
    Ok(())
}

/// Waits until nothing is queued or under way.
fn wait_idle(desk: &Desk, connection: &mut wire::Connection) -> Result<()> {
    let begin = Instant::now();
    while desk.waiting(connection)? > 0 {
        ensure!(begin.elapsed() < Duration::from_secs(300), "a backlog is not worked off");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
