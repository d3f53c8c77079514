//! `frontdesk restore`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::Setup;
use super::output::shown;
use super::restored::print_mark;
use crate::clock::{Clock, rfc3339};
use crate::shapes;
use crate::store::{NotInIt, Restoration, Restoring, Store};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The copy; nothing is written into it.
    file: PathBuf,
    /// Where the database shall be; without it where the settings say.
    #[arg(long, value_name = "PATH")]
    to: Option<PathBuf>,
    /// Put it in the place of the database that is there, which is kept beside it under another name.
    #[arg(long)]
    replace: bool,
    /// Bring it up to date as well; `serve` does that too.
    #[arg(long)]
    migrate: bool,
}

pub(super) fn run(args: Args, setup: &Setup) -> Result<ExitCode> {
    let Args { file, to, replace, migrate } = args;
    let to = match to {
        Some(to) => to,
        None => file_of(setup)?,
    };
    let now_ms = Clock::System.now_ms();
    let keep = replace.then(|| kept_as(&to, now_ms));
    let asked = Restoring { from: file, to, keep, migrate, actor: setup.person().name, now_ms };
    let done = Store::restore(&asked)?;
    if setup.output.json {
        setup.output.json(&shape(&asked, &done))?;
    } else {
        print(setup, &asked, &done)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn file_of(setup: &Setup) -> Result<PathBuf> {
    let location = setup.config()?.database()?;
    let Some(file) = location.file() else {
        bail!(
            "PostgreSQL is restored with PostgreSQL's own tools, and then told by `frontdesk restored`; docs/backup.md says how"
        );
    };
    Ok(file.to_owned())
}

/// Beside the database, with the time: `frontdesk.db.replaced-20260528T101500Z`.
fn kept_as(to: &Path, now_ms: i64) -> PathBuf {
    let time: String = rfc3339(now_ms).chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let mut name = to.as_os_str().to_owned();
    name.push(format!(".replaced-{time}"));
    PathBuf::from(name)
}

fn shape(asked: &Restoring, done: &Restoration) -> Value {
    let not_in_it = |knows: &NotInIt| json!({"trail_entries": knows.entries, "erased_tickets": knows.erased, "revoked_tokens": knows.revoked});
    json!({
        "database": asked.to,
        "from": asked.from,
        "bytes": done.bytes,
        "schema": done.schema,
        "copied_at": done.copied_at_ms.map(rfc3339),
        "kept": done.kept,
        "marked": done.marked.map(|marked| shapes::restored(&marked.restored)),
        "starts_in_doubt": done.marked.map(|marked| marked.starts_in_doubt),
        "not_in_it": done.not_in_it.as_ref().map(not_in_it),
    })
}

fn print(setup: &Setup, asked: &Restoring, done: &Restoration) -> Result<()> {
    let line = |text: &str| setup.output.line(&shown(text));
    let (to, from) = (asked.to.display(), asked.from.display());
    line(&format!("{to} restored from {from}: {} bytes, checked (schema {})", done.bytes, done.schema))?;
    if let Some(kept) = &done.kept {
        line(&format!("The database that was there is kept: {}", kept.display()))?;
    }
    match done.copied_at_ms {
        Some(at_ms) => {
            line(&format!("The copy was made at {}. What happened since then is not in it.", rfc3339(at_ms)))?
        }
        None => line("What happened since the copy was made is not in it.")?,
    }
    match &done.marked {
        Some(marked) => print_mark(setup, marked)?,
        None => line(
            "Its schema is older: `serve` or `frontdesk migrate` brings it up to date, and `serve` marks it as restored.",
        )?,
    }
    match &done.not_in_it {
        Some(knows) => print_not_in_it(setup, knows)?,
        None => line(
            "Erase again what was erased since then, and revoke again what tokens were revoked: nobody here knows which.",
        )?,
    }
    line("Start Frontdesk, then look at `frontdesk doctor`; docs/backup.md says what cannot come back.")
}

fn print_not_in_it(setup: &Setup, knows: &NotInIt) -> Result<()> {
    let line = |text: &str| setup.output.line(&shown(text));
    line(&format!(
        "The trail of the old one has {} entries that this one has not: `frontdesk trail list` there.",
        knows.entries
    ))?;
    for ticket in &knows.erased {
        line(&format!(
            "Erased since then, and back: {ticket}. Erase it again: `frontdesk erase --ticket {ticket} --reason WHY`"
        ))?;
    }
    for token in &knows.revoked {
        line(&format!(
            "Revoked since then, and good again: token {token}. Revoke it: `frontdesk token revoke --name {token}`"
        ))?;
    }
    Ok(())
}
