//! Watching a batch until it rests: a bar on a terminal, a JSON object a line
//! for a program, or nothing at all.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

use super::must_be_there;
use super::next::rests;
use super::progress::Bar;
use crate::cli::Setup;
use crate::cli::output::Output;
use crate::shapes;
use crate::store::{Batch, Store};

/// The database is asked so often.
const EVERY: Duration = Duration::from_millis(500);

/// As a shell says it of a command that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// How it is told that something has changed.
pub(super) enum Telling {
    /// A bar that is drawn again and again.
    Bar(Bar),
    /// One object a line for each change.
    Objects {
        /// The last one.
        last: String,
    },
    /// Not at all.
    Silent,
}

impl Telling {
    /// A bar where there is somebody to see it.
    pub(super) fn for_person(output: &Output) -> Telling {
        if output.json || !output.is_terminal() { Telling::Silent } else { Telling::Bar(Bar::new()) }
    }

    /// One object a line.
    pub(super) fn objects() -> Telling {
        Telling::Objects { last: String::new() }
    }

    fn tell(&mut self, batch: &Batch, output: &Output) -> Result<()> {
        match self {
            Telling::Bar(bar) if !rests(batch) => bar.draw(batch),
            Telling::Objects { last } => {
                let object = shapes::batch(batch).to_string();
                if *last != object {
                    output.line(&object)?;
                    *last = object;
                }
            }
            Telling::Bar(_) | Telling::Silent => {}
        }
        Ok(())
    }

    fn end(&self) {
        if let Telling::Bar(bar) = self {
            bar.end();
        }
    }
}

/// Watches until it rests; none when somebody has left with Ctrl-C.
pub(super) async fn until_rest(setup: &Setup, store: &Store, id: &str, mut telling: Telling) -> Result<Option<Batch>> {
    // Listened for before anything is shown: whoever sees it may leave at once.
    let mut leave = signal(SignalKind::interrupt())?;
    loop {
        let batch = must_be_there(store, id).await?;
        telling.tell(&batch, &setup.output)?;
        if rests(&batch) {
            telling.end();
            return Ok(Some(batch));
        }
        tokio::select! {
            _ = leave.recv() => {
                telling.end();
                return Ok(None);
            }
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// What is said to somebody who has left with Ctrl-C.
pub(super) fn left(setup: &Setup, id: &str) -> Result<ExitCode> {
    if setup.output.is_terminal() && !setup.output.json {
        setup.output.line(&format!("{id} goes on; `frontdesk batch show {id}` follows it again"))?;
    }
    Ok(ExitCode::from(INTERRUPTED))
}
