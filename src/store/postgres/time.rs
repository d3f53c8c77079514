//! One time for all processes: the database's. A lease that one process takes
//! must end at the same moment for another, whatever their own clocks show.

use std::time::{Duration, Instant};

use crate::clock::ServerTime;
use crate::store::StoreError;
use crate::store::sql::Connection;

/// Of so many answers the quickest counts: it says most exactly when it was given.
const ASK: usize = 3;

/// Sees how the server's clock stands.
pub(super) fn compare(time: &ServerTime, connection: &Connection) -> Result<(), StoreError> {
    let mut quickest = Duration::MAX;
    for _ in 0..ASK {
        let asked = Instant::now();
        let Some(theirs_ms) = connection.time_ms()? else { return Ok(()) };
        if asked.elapsed() < quickest {
            quickest = asked.elapsed();
            time.compare(theirs_ms, quickest);
        }
    }
    Ok(())
}
