//! The connection that listens: word from other processes that there is work,
//! and the database's time. The word saves waiting for the next look; the look
//! is the truth, so a word that is lost is no harm.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use postgres::fallible_iterator::FallibleIterator as _;

use crate::store::sql::{self, Connection, Postgres, Settings};
use crate::store::units::spawn;
use crate::store::{Engine, Shared, StoreError};

/// What is listened to. What is said is the name of the process that says it.
pub(in crate::store) const CHANNEL: &str = "frontdesk_work";

/// Between two attempts to listen.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Between two comparisons of the clocks, and two looks at whether anybody still
/// wants to hear. A good clock drifts some ten microseconds meanwhile.
const COMPARE_EVERY: Duration = Duration::from_secs(2);

/// Starts the thread. It ends when the store is dropped.
pub(super) fn start(settings: &Settings, shared: &Arc<Shared>) -> Result<(), StoreError> {
    let (settings, shared) = (settings.clone(), Arc::downgrade(shared));
    spawn("store-listener", move || {
        while shared.strong_count() > 0 {
            if let Err(error) = listen(&settings, &shared) {
                tracing::debug!(%error, "no word from other processes for now");
                thread::sleep(AGAIN_AFTER);
            }
        }
    })
}

fn listen(settings: &Settings, shared: &Weak<Shared>) -> Result<(), StoreError> {
    let connection = Connection::from(Postgres::connect(settings)?);
    let Some(postgres) = connection.postgres() else { return Ok(()) };
    if !postgres.is_pooled() {
        postgres.client().batch_execute(&format!("LISTEN {CHANNEL}")).map_err(sql::Error::from)?;
    }
    // Whatever was said before is lost.
    ring(shared, None);
    // It may be another server than before, with another clock.
    compare(&connection, shared)?;
    let mut compared = Instant::now();
    while shared.strong_count() > 0 {
        wait(postgres, shared)?;
        if compared.elapsed() >= COMPARE_EVERY {
            compare(&connection, shared)?;
            compared = Instant::now();
        }
    }
    Ok(())
}

/// Waits for a word. Through a pooler none can come.
fn wait(postgres: &Postgres, shared: &Weak<Shared>) -> Result<(), StoreError> {
    if postgres.is_pooled() {
        thread::sleep(COMPARE_EVERY);
        return Ok(());
    }
    let mut client = postgres.client();
    let said = client.notifications().timeout_iter(COMPARE_EVERY).next().map_err(sql::Error::from)?;
    if let Some(said) = said {
        ring(shared, Some(said.payload()));
    } else if client.is_closed() {
        return Err(StoreError::Unreachable("the connection was lost".to_owned()));
    }
    Ok(())
}

fn compare(connection: &Connection, shared: &Weak<Shared>) -> Result<(), StoreError> {
    let Some(shared) = shared.upgrade() else { return Ok(()) };
    match &shared.engine {
        Engine::Postgres(server) => super::time::compare(&server.time, connection),
        Engine::Sqlite { .. } => Ok(()),
    }
}

fn ring(shared: &Weak<Shared>, by: Option<&str>) {
    let Some(shared) = shared.upgrade() else { return };
    let is_ours = matches!(&shared.engine, Engine::Postgres(server) if by == Some(server.name.as_str()));
    if !is_ours {
        shared.work.notify_one();
    }
}
