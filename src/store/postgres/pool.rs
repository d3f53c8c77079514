//! Threads with a connection each, which take units one at a time. PostgreSQL
//! makes one write to the disk of commits that come together.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::outage::Outage;
use crate::store::sql::{Company, Connection, Postgres, Settings, is_to_be_repeated};
use crate::store::units::{Handed, Lane, Unit, next, spawn};
use crate::store::{READ_ONLY, StoreError};

/// How often a unit that lost against others is run again.
const TRIES: usize = 12;

/// After a failed attempt to connect nobody tries again for so long: whoever
/// comes meanwhile is told at once, and not after the time that trying takes.
const NOT_AGAIN_FOR: Duration = Duration::from_millis(250);

/// Starts `size` threads. Those of `connected` are used first.
pub(super) fn start(
    name: &str,
    mut connected: Vec<Option<Connection>>,
    size: usize,
    settings: &Settings,
    outage: &Arc<Outage>,
) -> Result<Lane, StoreError> {
    let (lane, waiting) = Lane::of(super::DEPTH);
    let waiting = Arc::new(Mutex::new(waiting));
    let is_reader = name == "store-reader";
    for _ in 0..size.max(1) {
        let line = Line::of(settings, outage, connected.pop().flatten());
        let waiting = Arc::clone(&waiting);
        spawn(name, move || work(line, &waiting, is_reader))?;
    }
    Ok(lane)
}

fn work(mut line: Line, waiting: &Mutex<mpsc::Receiver<Handed>>, is_reader: bool) {
    while let Some(Handed { mut unit, company }) = next(waiting) {
        let company = if is_reader { Company::Reader } else { company };
        let done = line.run(company, |connection| unit.run(connection));
        Unit::answer(unit, done);
    }
}

/// A connection that is made when it is needed and made again when it is lost.
pub(super) struct Line {
    settings: Settings,
    connection: Option<Connection>,
    failed: Option<(Instant, StoreError)>,
    outage: Arc<Outage>,
}

impl Line {
    pub(super) fn of(settings: &Settings, outage: &Arc<Outage>, connection: Option<Connection>) -> Line {
        Line { settings: settings.clone(), connection, failed: None, outage: Arc::clone(outage) }
    }

    /// Runs work in a transaction and commits it. What lost against others is
    /// run again; so is, once, what found the connection gone before its commit.
    pub(super) fn run(
        &mut self,
        company: Company,
        work: impl FnMut(&Connection) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let done = self.try_run(company, work);
        match &done {
            Ok(()) => self.outage.worked(),
            Err(error) => self.outage.failed(error),
        }
        done
    }

    fn try_run(
        &mut self,
        company: Company,
        mut work: impl FnMut(&Connection) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut reconnected = false;
        for _ in 0..TRIES {
            let had_one = self.connection.is_some();
            let connection = self.connected()?;
            match once(connection, company, &mut work) {
                Ok(()) => return Ok(()),
                Err(Ended::BeforeCommit(error)) if is_to_be_repeated(&error) => {}
                Err(Ended::BeforeCommit(StoreError::Unreachable(_))) if had_one && !reconnected => {
                    self.connection = None;
                    reconnected = true;
                }
                Err(Ended::BeforeCommit(error) | Ended::AtCommit(error)) => {
                    self.let_go_of_broken(&error);
                    return Err(error);
                }
            }
        }
        Err(StoreError::Busy)
    }

    fn connected(&mut self) -> Result<&Connection, StoreError> {
        if self.connection.is_none() {
            if let Some((at, error)) = &self.failed
                && at.elapsed() < NOT_AGAIN_FOR
            {
                return Err(error.clone());
            }
            match Postgres::connect(&self.settings) {
                Ok(connection) => {
                    self.failed = None;
                    self.connection = Some(connection.into());
                }
                Err(error) => {
                    let error = StoreError::from(error);
                    self.failed = Some((Instant::now(), error.clone()));
                    return Err(error);
                }
            }
        }
        self.connection.as_ref().ok_or(StoreError::Closed)
    }

    fn let_go_of_broken(&mut self, error: &StoreError) {
        let is_closed = self.connection.as_ref().and_then(Connection::postgres).is_some_and(Postgres::is_closed);
        // A server that takes no writes any more has become a standby: another is the one now.
        let is_standby = matches!(error, StoreError::Postgres { code, .. } if code == READ_ONLY);
        if is_closed || is_standby || matches!(error, StoreError::Unreachable(_)) {
            self.connection = None;
        }
    }
}

/// Where a transaction failed.
enum Ended {
    /// Nothing of it is there.
    BeforeCommit(StoreError),
    /// Nobody knows.
    AtCommit(StoreError),
}

fn once(
    connection: &Connection,
    company: Company,
    work: &mut impl FnMut(&Connection) -> Result<(), StoreError>,
) -> Result<(), Ended> {
    let postgres = connection.postgres().ok_or(Ended::BeforeCommit(StoreError::Closed))?;
    let worked = postgres.begin(company).map_err(StoreError::from).and_then(|()| work(connection));
    if let Err(error) = worked {
        // When even this fails the connection is gone, and the transaction with it.
        let error = match postgres.roll_back().map_err(StoreError::from) {
            Err(gone @ StoreError::Unreachable(_)) => gone,
            _ => error,
        };
        return Err(Ended::BeforeCommit(error));
    }
    match postgres.commit().map_err(StoreError::from) {
        Ok(()) => Ok(()),
        // It said itself that it has not been committed.
        Err(error) if is_to_be_repeated(&error) => Err(Ended::BeforeCommit(error)),
        Err(error) => Err(Ended::AtCommit(error)),
    }
}
