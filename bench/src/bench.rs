//! One run: the stacks, the rounds, and who is measured when. Systems take turns inside each
//! round, so that a slow minute of the machine falls on all of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::batch::Batch;
use crate::results::{Results, System};
use crate::simulator::Simulator;
use crate::stack::{Article, Bare, Desk, Frontdesk, Kind, Receiver};
use crate::{acks, batch, drain, footprint, latency, limits, table, targets, ticket};

/// What every measuring command takes.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// How often everything is measured; medians are reported.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub rounds: u64,
    /// How long each measurement lasts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// How many tickets there are, and how many jobs are drained.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub tickets: u64,
    /// How many lines the largest batch has; others have a half and a quarter of them.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(4..=50_000))]
    pub lines: u64,
    /// How many jobs wait while others are timed.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub waiting: u64,
    /// Writes every value, the medians and the verdicts to this file.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// The binary to measure.
    #[arg(long, default_value = "target/release/frontdesk")]
    pub frontdesk: PathBuf,
    /// Where databases go: a folder on a real disk. A temporary one unless told.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Leaves the article's stack out.
    #[arg(long)]
    pub skip_article: bool,
    /// Leaves Frontdesk out.
    #[arg(long)]
    pub skip_frontdesk: bool,
}

impl Options {
    /// How long each measurement lasts.
    pub fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The machine's limits, and the bare receivers'.
    Limits,
    /// Acknowledgements a second.
    Acks,
    /// Acknowledgement latency at fixed rates.
    Latency,
    /// The drain of a backlog.
    Drain,
    /// Delivery to ticket.
    Ticket,
    /// Start-up, memory, CPU.
    Footprint,
    /// A batch, read and applied.
    Batch,
}

impl Measure {
    /// All, in the order they are run.
    pub const ALL: [Measure; 7] = [
        Measure::Limits,
        Measure::Acks,
        Measure::Latency,
        Measure::Drain,
        Measure::Ticket,
        Measure::Footprint,
        Measure::Batch,
    ];
}

struct Bench {
    options: Options,
    results: Results,
    // Dropped in this order: the stacks, then what they call, then their data.
    desks: Vec<Box<dyn Desk>>,
    bare: Vec<Bare>,
    batches: Vec<Batch>,
    simulator: Simulator,
    folder: Folder,
}

/// Runs `measures` and prints the table; an error when anything could not be measured.
pub fn run(options: Options, measures: &[Measure]) -> Result<()> {
    let mut bench = Bench::prepare(options, measures)?;
    for round in 1..=bench.options.rounds {
        eprintln!("round {round} of {}", bench.options.rounds);
        for measure in measures {
            bench.measure(*measure, measures.len() == 1);
        }
        bench.results.targets = targets::judge(&bench.results);
        if let Some(path) = &bench.options.json {
            bench.results.write(path)?;
        }
    }
    print!("{}", table::render(&bench.results));
    let problems = bench.results.problems.len();
    ensure!(problems == 0, "{problems} measurements failed; see above");
    Ok(())
}

impl Bench {
    fn prepare(options: Options, measures: &[Measure]) -> Result<Self> {
        let folder = Folder::make(options.data.as_deref())?;
        let simulator = Simulator::start(&folder.path)?;
        let batches = measures.contains(&Measure::Batch);
        // The same tickets whatever is measured, so that one file of a database serves all.
        let tickets = if batches { options.tickets.max(options.lines + batch::OTHER_TICKETS) } else { options.tickets };
        let mut desks: Vec<Box<dyn Desk>> = Vec::new();
        if measures != [Measure::Limits] {
            if !options.skip_frontdesk {
                let binary = fs::canonicalize(&options.frontdesk).with_context(|| {
                    let path = options.frontdesk.display();
                    format!("no {path}; build it with: cargo build --release -p frontdesk")
                })?;
                let desk = Frontdesk::new(&binary, &folder.path, tickets, simulator.address)?;
                desks.push(Box::new(desk));
            }
            if !options.skip_article {
                let article = Article::new(&folder.path, tickets, simulator.address)?;
                desks.push(Box::new(article));
            }
        }
        // After the tickets: a ticket that is newer than the batch might be spared.
        let sizes = batch::sizes(options.lines).into_iter().filter(|_| batches);
        let batches =
            sizes.map(|lines| batch::install(&folder.path, simulator.address, lines)).collect::<Result<_>>()?;
        let bare = [Kind::Verify, Kind::Read].map(|kind| Bare::new(kind, folder.path.clone()));
        let mut results = Results::default();
        describe(&mut results, &options, &folder.path);
        let bare = bare.into_iter().collect::<Result<_>>()?;
        Ok(Bench { options, results, desks, bare, batches, simulator, folder })
    }

    fn measure(&mut self, measure: Measure, alone: bool) {
        match measure {
            Measure::Limits => {
                let folder = &self.folder.path;
                let measured = limits::measure(folder, &self.options, &mut self.results);
                note(&mut self.results, System::Machine, measured);
                if alone {
                    self.each_receiver(acks::measure);
                }
            }
            Measure::Acks => self.each_receiver(acks::measure),
            Measure::Latency => self.each_receiver(latency::measure),
            Measure::Drain => self.each_desk(drain::measure),
            Measure::Ticket => self.each_desk(ticket::measure),
            Measure::Footprint => {
                let simulator = self.simulator.component();
                self.each_desk(|desk, options, results| footprint::measure(desk, simulator, options, results));
            }
            Measure::Batch => {
                let batches = std::mem::take(&mut self.batches);
                let measured = batch::measure_parsing(&batches, &mut self.results);
                note(&mut self.results, System::Machine, measured);
                self.each_desk(|desk, options, results| batch::measure(desk, &batches, options, results));
                self.batches = batches;
            }
        }
    }

    fn each_receiver(&mut self, measure: impl Fn(&mut dyn Receiver, &Options, &mut Results) -> Result<()>) {
        let bare = self.bare.iter_mut().map(|bare| bare as &mut dyn Receiver);
        let desks = self.desks.iter_mut().map(|desk| desk.as_mut() as &mut dyn Receiver);
        for receiver in desks.chain(bare) {
            let measured = measure(receiver, &self.options, &mut self.results);
            note(&mut self.results, receiver.system(), measured);
        }
    }

    fn each_desk(&mut self, measure: impl Fn(&mut dyn Desk, &Options, &mut Results) -> Result<()>) {
        for desk in &mut self.desks {
            let measured = measure(desk.as_mut(), &self.options, &mut self.results);
            note(&mut self.results, desk.system(), measured);
        }
    }
}

/// One failed measurement costs its own figure, not the run.
pub fn note(results: &mut Results, system: System, measured: Result<()>) {
    if let Err(error) = measured {
        let problem = format!("{system}: {error:#}");
        eprintln!("FAILED  {problem}");
        results.problems.push(problem);
    }
}

/// Where the data lies, removed at the end.
pub struct Folder {
    /// Its path.
    pub path: PathBuf,
}

impl Folder {
    /// Makes one in the wanted place, which must not be in memory.
    pub fn make(wanted: Option<&Path>) -> Result<Self> {
        let parent = wanted.map_or_else(std::env::temp_dir, Path::to_owned);
        let path = parent.join(format!("frontdesk-bench-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        let folder = Folder { path: fs::canonicalize(path)? };
        let kind = filesystem(&folder.path);
        let in_memory = ["tmpfs", "ramfs"].contains(&kind.as_str());
        ensure!(!in_memory, "{} is in memory; give --data FOLDER on a disk", parent.display());
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.path).ok();
    }
}

/// Writes down where and how it is measured.
pub fn describe(results: &mut Results, options: &Options, folder: &Path) {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    results.machine.insert("cores", cores.to_string());
    results.machine.insert("processor", model.map_or("unknown", |(_, name)| name).to_owned());
    results.machine.insert("kernel", output("uname", &["-sr"]));
    results.machine.insert("filesystem", filesystem(folder));
    if !options.skip_article {
        results.machine.insert("node", output("node", &["--version"]));
        results.machine.insert("redis", output("redis-server", &["--version"]));
    }
    results.settings.insert("rounds", options.rounds);
    results.settings.insert("seconds", options.seconds);
    results.settings.insert("tickets", options.tickets);
    results.settings.insert("lines", options.lines);
}

fn filesystem(path: &Path) -> String {
    output("stat", &["-f", "-c", "%T", &path.display().to_string()])
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
