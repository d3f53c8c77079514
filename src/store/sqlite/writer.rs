//! The thread that writes, and those that read.
//!
//! One writer thread owns the only writing connection. It takes whatever is
//! waiting, runs it all in **one** transaction, commits once, and only then
//! answers everybody: concurrent requests share one fsync, and a lone request
//! waits for nobody. This is group commit without a timer. Who hurries goes
//! first: a batch of fifty thousand lines must not keep a webhook waiting.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::checkpoint::Finish;
use super::file::File;
use crate::store::StoreError;
use crate::store::sql::{Company, Connection};
use crate::store::units::{Handed, Lane, next, spawn};

/// How many units share a transaction at most. Beyond a few hundred rows the
/// fsync is amortised and a larger group only makes the first one wait longer.
const MAX_GROUP: usize = 256;

/// So many of those that do not hurry share a transaction with one that does:
/// it waits for no more than that, and they go on whatever the front desk does.
const BESIDE_HURRIED: usize = 16;

/// Starts the writer thread. `depth` units may wait before callers do.
pub(super) fn start(connection: Connection, file: File, depth: usize, finish: Finish) -> Result<Lane, StoreError> {
    let (lane, waiting) = Lane::of(depth);
    spawn("store-writer", move || write_in_groups(&connection, &file, waiting, &finish))?;
    Ok(lane)
}

/// Starts one reader thread a connection, all taking from one queue.
pub(super) fn start_readers(connections: Vec<Connection>, depth: usize) -> Result<Lane, StoreError> {
    let (lane, waiting) = Lane::of(depth);
    let waiting = Arc::new(Mutex::new(waiting));
    for connection in connections {
        let waiting = Arc::clone(&waiting);
        spawn("store-reader", move || read_one_by_one(&connection, &waiting))?;
    }
    Ok(lane)
}

fn write_in_groups(connection: &Connection, file: &File, waiting: mpsc::Receiver<Handed>, finish: &Finish) {
    let mut queue = Queue { waiting, hurried: VecDeque::new(), patient: VecDeque::new() };
    let mut group = Vec::with_capacity(MAX_GROUP);
    while let Some(first) = queue.first() {
        group.push(first);
        commit_group(connection, file, &mut group, &mut queue);
        finish.if_asked(connection);
    }
}

/// Who waits for the writer.
struct Queue {
    waiting: mpsc::Receiver<Handed>,
    hurried: VecDeque<Handed>,
    patient: VecDeque<Handed>,
}

impl Queue {
    /// Whoever is next, waiting for somebody to come; none when all have gone.
    fn first(&mut self) -> Option<Handed> {
        self.look();
        if self.hurried.is_empty() && self.patient.is_empty() {
            return self.waiting.blocking_recv();
        }
        self.hurried.pop_front().or_else(|| self.patient.pop_front())
    }

    /// Whoever may still join the group.
    fn join(&mut self, group: &[Handed]) -> Option<Handed> {
        self.look();
        if group.len() >= MAX_GROUP {
            return None;
        }
        if let Some(hurried) = self.hurried.pop_front() {
            return Some(hurried);
        }
        let patient = group.iter().filter(|handed| handed.company != Company::Anybody).count();
        let someone_hurries = patient < group.len();
        if someone_hurries && patient >= BESIDE_HURRIED { None } else { self.patient.pop_front() }
    }

    /// Takes in those who came, so far as there is room: a full queue is felt by
    /// those who would join it.
    fn look(&mut self) {
        while self.hurried.len() + self.patient.len() < MAX_GROUP {
            match self.waiting.try_recv() {
                Ok(handed) if handed.company == Company::Anybody => self.hurried.push_back(handed),
                Ok(handed) => self.patient.push_back(handed),
                Err(_) => return,
            }
        }
    }
}

fn commit_group(connection: &Connection, file: &File, group: &mut Vec<Handed>, queue: &mut Queue) {
    let committed =
        file.must_be_there().and_then(|()| in_transaction(connection, || run_group(connection, group, queue)));
    match committed {
        Ok(()) => group.drain(..).for_each(|handed| handed.unit.answer(Ok(()))),
        Err(error) if group.len() == 1 || !error.is_of_one_unit() => {
            group.drain(..).for_each(|handed| handed.unit.answer(Err(error.clone())));
        }
        // One unit spoiled the transaction for the others: each gets its own.
        Err(_) => {
            for mut handed in group.drain(..) {
                let committed = in_transaction(connection, || handed.unit.run(connection));
                handed.unit.answer(committed);
            }
        }
    }
}

/// Runs the group and whoever joins it meanwhile.
fn run_group(connection: &Connection, group: &mut Vec<Handed>, queue: &mut Queue) -> Result<(), StoreError> {
    let mut done = 0;
    while let Some(handed) = group.get_mut(done) {
        handed.unit.run(connection)?;
        done += 1;
        group.extend(queue.join(group));
    }
    Ok(())
}

fn in_transaction(connection: &Connection, work: impl FnOnce() -> Result<(), StoreError>) -> Result<(), StoreError> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let done = work().and_then(|()| Ok(connection.prepare_cached("COMMIT")?.execute([]).map(drop)?));
    if done.is_err() && connection.sqlite().is_some_and(|connection| !connection.is_autocommit()) {
        // A failed rollback leaves the transaction open; the next BEGIN then
        // fails and its callers are told, so nothing is lost silently.
        let _ = connection.execute_batch("ROLLBACK");
    }
    done
}

fn read_one_by_one(connection: &Connection, waiting: &Mutex<mpsc::Receiver<Handed>>) {
    loop {
        let Some(Handed { mut unit, .. }) = next(waiting) else { return };
        // One snapshot for all that the unit reads.
        let read = connection.execute_batch("BEGIN").map_err(StoreError::from).and_then(|()| unit.run(connection));
        let _ = connection.execute_batch("ROLLBACK");
        unit.answer(read);
    }
}
