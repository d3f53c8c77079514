//! Which processes share the database, and which of them leads in what only one
//! of them should do.
//!
//! They know nothing of each other. Each says now and then that it is there, and
//! a duty belongs to whoever holds its lease. A lease saves the others the work;
//! what is done under it is right also when two do it at the same time, because
//! a process may stand still past its lease and go on.

use super::{SCHEMA_VERSION, Store, StoreError};

/// A process that has not been heard of for so long is not there, in ms.
pub const SEEN_MS: i64 = 60_000;

/// What one process does for all, as long as it holds the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Asking OpenAI for what no webhook has told of.
    Reconcile,
    /// Beginning batches by the clock.
    Schedules,
    /// Erasing what is old enough.
    Tidy,
    /// Asking the helpdesk for what it may not have told.
    Helpdesk,
}

impl Duty {
    /// The name of its lease.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Duty::Reconcile => "reconcile",
            Duty::Schedules => "schedules",
            Duty::Tidy => "tidy",
            Duty::Helpdesk => "helpdesk",
        }
    }
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Unlike every other's.
    pub name: String,
    /// Of the program.
    pub version: String,
    /// The newest migration it knows.
    pub schema: i64,
    /// As `intake,worker`.
    pub roles: String,
    /// In ms.
    pub started_at_ms: i64,
    /// In ms.
    pub seen_at_ms: i64,
    /// The duties it leads in.
    pub leads: Vec<String>,
}

impl Store {
    /// Takes a duty's lease, or extends it. False while another process holds it.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn lead(&self, duty: Duty, holder: String, lease_ms: i64, now_ms: i64) -> Result<bool, StoreError> {
        self.write_beside(move |connection| {
            let taken = connection
                .prepare_cached(
                    "INSERT INTO leases (name, holder, until, took_at) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until,
                       took_at = CASE WHEN leases.holder = excluded.holder THEN leases.took_at ELSE excluded.took_at END
                     WHERE leases.holder = excluded.holder OR leases.until <= ?4",
                )?
                .execute((duty.word(), &holder, now_ms + lease_ms, now_ms))?;
            Ok(taken == 1)
        })
        .await
    }

    /// A process says that it is there.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn node_is_here(&self, node: Node) -> Result<(), StoreError> {
        self.write_beside(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO nodes (name, version, schema, roles, started_at, seen_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at",
                )?
                .execute((&node.name, &node.version, SCHEMA_VERSION, &node.roles, node.started_at_ms, node.seen_at_ms))?;
            Ok(())
        })
        .await
    }

    /// A process stops: others take its duties over at once.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn node_is_gone(&self, name: String) -> Result<(), StoreError> {
        self.write_beside(move |connection| {
            connection.execute("DELETE FROM leases WHERE holder = ?1", [&name])?;
            connection.execute("DELETE FROM nodes WHERE name = ?1", [&name])?;
            Ok(())
        })
        .await
    }

    /// The processes that are there, in the order of their start. Those that went
    /// without a word are forgotten after a day.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn nodes(&self, now_ms: i64) -> Result<Vec<Node>, StoreError> {
        self.read(move |connection| {
            let mut leads = connection.prepare_cached("SELECT name FROM leases WHERE holder = ?1 AND until > ?2 ORDER BY name")?;
            let mut list = connection.prepare_cached(
                "SELECT name, version, schema, roles, started_at, seen_at FROM nodes WHERE seen_at > ?1 ORDER BY started_at, name LIMIT 1000",
            )?;
            let nodes = list.query_map([now_ms - SEEN_MS], |row| {
                let name: String = row.get(0)?;
                let leads = leads.query_map((&name, now_ms), |row| row.get(0))?.collect::<Result<_, _>>()?;
                Ok(Node {
                    name,
                    version: row.get(1)?,
                    schema: row.get(2)?,
                    roles: row.get(3)?,
                    started_at_ms: row.get(4)?,
                    seen_at_ms: row.get(5)?,
                    leads,
                })
            })?;
            Ok(nodes.collect::<Result<_, _>>()?)
        })
        .await
    }
}
