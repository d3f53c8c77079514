//! PostgreSQL's side of the store: one connection that takes deliveries in, a
//! bounded pool that writes, one that reads, one that listens.

mod connect;
mod intake;
mod listen;
mod outage;
mod pool;
mod time;

use std::sync::Arc;

use tokio::sync::Notify;

pub(super) use self::intake::Intake;
pub(super) use self::listen::CHANNEL;
use self::outage::Outage;
use super::location::PostgresUrl;
use super::sql::{Connection, Postgres, Settings};
use super::{Engine, Location, Migrated, Shared, Store, StoreError, migrate};
use crate::clock::ServerTime;
use crate::domain::id::new_id;

/// How many units may wait for a connection. Past it callers wait as well.
const DEPTH: usize = 4096;

/// Connections of one process that write, and that read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSize {
    /// That write, beside the one for deliveries.
    pub writers: usize,
    /// That read.
    pub readers: usize,
}

impl Default for PoolSize {
    fn default() -> PoolSize {
        PoolSize { writers: 4, readers: 2 }
    }
}

/// What only a store on PostgreSQL has.
pub(super) struct Server {
    pub(super) intake: Intake,
    pub(super) time: Arc<ServerTime>,
    pub(super) ringing: std::sync::atomic::AtomicBool,
    pub(super) name: String,
}

/// Opens the database at `url`; see [`Store::open`].
pub(super) fn open(url: &PostgresUrl, migrate: bool, size: PoolSize) -> Result<Store, StoreError> {
    let settings = connect::settings(url)?;
    let outage = Arc::new(Outage::default());
    let location = Location::Postgres(url.clone());
    let (first, time) = apart(|| {
        let first = first_connection(&settings, &location)?;
        if migrate {
            migrate::up(&first).map(drop)?
        } else {
            migrate::check(&first)?
        }
        let time = Arc::new(ServerTime::new());
        time::compare(&time, &first)?;
        Ok((first, time))
    })?;
    let is_pooled = first.postgres().is_some_and(Postgres::is_pooled);
    let writer = pool::start("store-writer", vec![Some(first)], size.writers, &settings, &outage)?;
    let readers = pool::start("store-reader", Vec::new(), size.readers, &settings, &outage)?;
    let server = Server {
        intake: Intake::start(&settings, &outage)?,
        time,
        ringing: std::sync::atomic::AtomicBool::new(false),
        name: new_id("node").map_err(|_| StoreError::Closed)?,
    };
    let shared = Arc::new(Shared {
        work: Notify::new(),
        location,
        engine: Engine::Postgres(server),
        pulse: tokio::sync::Mutex::new(None),
    });
    if is_pooled {
        tracing::info!(
            "a pooler hands sessions around: statements are not prepared, and new work of other processes is found by looking"
        );
    }
    listen::start(&settings, &shared)?;
    Ok(Store { writer, readers, shared })
}

/// Brings the database up to date; see [`Store::migrate`].
pub(super) fn migrate(url: &PostgresUrl) -> Result<Migrated, StoreError> {
    let (settings, location) = (connect::settings(url)?, Location::Postgres(url.clone()));
    apart(move || migrate::up(&first_connection(&settings, &location)?))
}

/// One connection past the store. Not on a thread that runs async work.
pub(super) fn connect(url: &PostgresUrl) -> Result<Connection, StoreError> {
    first_connection(&connect::settings(url)?, &Location::Postgres(url.clone()))
}

fn first_connection(settings: &Settings, location: &Location) -> Result<Connection, StoreError> {
    let connected = Postgres::connect(settings).map_err(StoreError::from);
    connected.map(Connection::from).map_err(|error| StoreError::Open(format!("{location}: {error}")))
}

/// On a thread of its own: the client runs a loop of its own, which is not
/// allowed on a thread that belongs to another one.
pub(super) fn apart<T: Send>(work: impl FnOnce() -> Result<T, StoreError> + Send) -> Result<T, StoreError> {
    std::thread::scope(|scope| scope.spawn(work).join()).map_err(|_| StoreError::Closed)?
}
