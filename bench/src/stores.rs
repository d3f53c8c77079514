//! Frontdesk on SQLite and on PostgreSQL, in turns, beside the machine's limits: what is
//! acknowledged, how a backlog is worked off by several processes, how long a ticket waits while
//! others do, and what is stored.

mod backlog;
mod waiting;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use crate::acks::{self, CONNECTIONS};
use crate::bench::{Folder, Options, describe, note};
use crate::limits;
use crate::results::{Results, System};
use crate::simulator::Simulator;
use crate::stack::{Bare, Frontdesk, Home, Kind, Receiver, Server};
use crate::table;

/// Where the same is measured twice.
const NOISE_AT: usize = 32;

struct Stores {
    results: Results,
    sqlite: Frontdesk,
    postgres: Frontdesk,
    bare: Vec<Bare>,
    server: Arc<Server>,
    // What they call, then their data: dropped after them.
    _simulator: Simulator,
    folder: Folder,
}

/// Runs all rounds and prints the table; an error when anything could not be measured.
pub fn run(options: Options) -> Result<()> {
    let mut stores = Stores::prepare(&options)?;
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        stores.limits(&options);
        stores.acks(&options);
        stores.backlogs(&options);
        stores.waiting(&options);
        if let Some(path) = &options.json {
            stores.results.write(path)?;
        }
    }
    print!("{}", table::render(&stores.results));
    let problems = stores.results.problems.len();
    ensure!(problems == 0, "{problems} measurements failed; see above");
    Ok(())
}

impl Stores {
    fn prepare(options: &Options) -> Result<Self> {
        let server = Arc::new(Server::find()?);
        let folder = Folder::make(options.data.as_deref())?;
        let simulator = Simulator::start(&folder.path)?;
        let binary = fs::canonicalize(&options.frontdesk).with_context(|| {
            let path = options.frontdesk.display();
            format!("no {path}; build it with: cargo build --release -p frontdesk")
        })?;
        let tickets = options.tickets.max(waiting::tickets(options));
        let desk =
            |home, system, folder: &Path| Frontdesk::at(home, system, &binary, folder, tickets, simulator.address);
        let at = folder.path.join("sqlite");
        let sqlite = desk(Home::file(&at), System::Sqlite, &at)?;
        let postgres = desk(Home::Server(Arc::clone(&server)), System::Postgres, &folder.path.join("postgres"))?;
        let bare = [Kind::Verify, Kind::Read].map(|kind| Bare::new(kind, folder.path.clone()));
        let bare = bare.into_iter().collect::<Result<_>>()?;
        let mut results = Results::default();
        describe(&mut results, &Options { skip_article: true, ..options.clone() }, &folder.path);
        results.machine.insert("postgresql", server.version()?);
        results.settings.insert("waiting", options.waiting);
        Ok(Stores { results, sqlite, postgres, bare, server, _simulator: simulator, folder })
    }

    fn limits(&mut self, options: &Options) {
        let measured = limits::measure(&self.folder.path, options, &mut self.results);
        note(&mut self.results, System::Machine, measured);
        let measured = limits::postgres::measure(&self.server, options, &mut self.results);
        note(&mut self.results, System::Machine, measured);
    }

    fn acks(&mut self, options: &Options) {
        for connections in CONNECTIONS {
            self.acks_at(connections, options);
            self.postgres.intakes = 2;
            let two = acks::measure_at(&mut self.postgres, connections, ", 2 intakes", options, &mut self.results);
            self.postgres.intakes = 1;
            note(&mut self.results, System::Postgres, two);
        }
        self.again(&acks::rate_metric(NOISE_AT), |desk, results| {
            acks::measure_at(desk, NOISE_AT, "", options, results)
        });
    }

    fn acks_at(&mut self, connections: usize, options: &Options) {
        let desks: [&mut dyn Receiver; 2] = [&mut self.sqlite, &mut self.postgres];
        let bare = self.bare.iter_mut().map(|bare| bare as &mut dyn Receiver);
        for receiver in desks.into_iter().chain(bare) {
            let measured = acks::measure_at(receiver, connections, "", options, &mut self.results);
            note(&mut self.results, receiver.system(), measured);
        }
    }

    fn backlogs(&mut self, options: &Options) {
        let measured = backlog::measure(&mut self.sqlite, 1, options, &mut self.results);
        note(&mut self.results, System::Sqlite, measured);
        for workers in backlog::WORKERS {
            let measured = backlog::measure(&mut self.postgres, workers, options, &mut self.results);
            note(&mut self.results, System::Postgres, measured);
        }
        self.again(&backlog::metric(1), |desk, results| backlog::measure(desk, 1, options, results));
    }

    fn waiting(&mut self, options: &Options) {
        for backlog in waiting::Backlog::ALL {
            for desk in [&mut self.sqlite, &mut self.postgres] {
                let system = desk.system();
                let measured = waiting::measure(desk, backlog, options, &mut self.results);
                note(&mut self.results, system, measured);
            }
        }
    }

    /// Measures once more what should come out the same, and adds how the second figure stands to
    /// the first: what differs by no more than that shows nothing.
    fn again(&mut self, metric: &str, measure: impl Fn(&mut Frontdesk, &mut Results) -> Result<()>) {
        for desk in [&mut self.sqlite, &mut self.postgres] {
            let (system, mut second) = (desk.system(), Results::default());
            let measured = measure(desk, &mut second);
            note(&mut self.results, system, measured);
            if let (Some(first), Some(second)) = (self.results.last(metric, system), second.last(metric, system)) {
                self.results.add(format!("the same twice, {metric}, second : first"), "times", system, second / first);
            }
        }
    }
}
