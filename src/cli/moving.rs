//! `frontdesk move`

mod progress;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use self::progress::Shown;
use super::Setup;
use super::output::shown;
use crate::clock::{Clock, rfc3339};
use crate::shapes;
use crate::store::{AuditAt, Compared, Location, Moved, Moving, PostgresUrl, Store};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The file, as sqlite://PATH; without it what DATABASE_URL names.
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// The server, as postgres://USER@HOST/DATABASE. In the variable other users of this machine do not see its password.
    #[arg(long, value_name = "URL", env = "FRONTDESK_MOVE_TO", hide_env_values = true)]
    to: Option<String>,
    /// Compare both, and change nothing.
    #[arg(long, conflicts_with = "undo")]
    check: bool,
    /// Let a file be used again that was moved. What was written to PostgreSQL since is not in it.
    #[arg(long)]
    undo: bool,
}

pub(super) fn run(args: &Args, setup: &Setup) -> Result<ExitCode> {
    let from = from(args, setup)?;
    if args.undo {
        return undo(&from, setup);
    }
    let to = to(args)?;
    let at = AuditAt { now_ms: Clock::System.now_ms(), overdue_ms: setup.config()?.audit.overdue.ms() };
    let moving = Moving { from: &from, to: &to, at };
    if args.check { check(&moving, setup) } else { all(&moving, setup) }
}

fn from(args: &Args, setup: &Setup) -> Result<PathBuf> {
    let location = match &args.from {
        Some(url) => Location::parse(url).context("--from")?,
        None => setup.config()?.database()?,
    };
    let Some(file) = location.file() else { bail!("{location} is no file; --from sqlite://PATH names what is moved") };
    Ok(file.to_owned())
}

fn to(args: &Args) -> Result<PostgresUrl> {
    let url = args.to.as_deref().filter(|url| !url.trim().is_empty());
    let url = url.context("where to? --to postgres://USER@HOST/DATABASE, or the variable FRONTDESK_MOVE_TO")?;
    let location = Location::parse(url).context("--to")?;
    location.server().cloned().context("--to names a file; it is moved to postgres://USER@HOST/DATABASE")
}

fn all(moving: &Moving<'_>, setup: &Setup) -> Result<ExitCode> {
    let (mut bar, began) = (Shown::new(setup.output), Instant::now());
    let moved = Store::move_to(moving, &mut |progress| bar.show(progress))?;
    bar.end();
    let seconds = began.elapsed().as_secs_f64();
    if setup.output.json {
        setup.output.json(&shape(moving, &moved, seconds))?;
    } else {
        print(moving, &moved, seconds, setup)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(tables: &[Compared]) -> u64 {
    tables.iter().map(|table| table.source).sum()
}

fn places(moving: &Moving<'_>) -> (String, String) {
    (moving.from.display().to_string(), Location::Postgres(moving.to.clone()).to_string())
}

fn table(table: &Compared) -> Value {
    json!({"table": table.table, "rows": table.source, "rows_in_target": table.target, "same": table.is_same})
}

fn shape(moving: &Moving<'_>, moved: &Moved, seconds: f64) -> Value {
    let (from, to) = places(moving);
    json!({
        "from": from,
        "to": to,
        "moved_at": rfc3339(moving.at.now_ms),
        "was_there": moved.was_there,
        "rows": rows(&moved.tables),
        "seconds": seconds,
        "replaced": moved.replaced,
        "tables": moved.tables.iter().map(table).collect::<Vec<_>>(),
        "audit": {"source": shapes::audit(&moved.audits.0), "target": shapes::audit(&moved.audits.1)},
    })
}

fn print(moving: &Moving<'_>, moved: &Moved, seconds: f64, setup: &Setup) -> Result<()> {
    let (output, (from, to)) = (&setup.output, places(moving));
    let rows = rows(&moved.tables);
    if moved.was_there {
        output.line(&format!(
            "all {rows} rows were in {} already and are the same; the file is marked as moved now",
            shown(&to)
        ))?;
    } else {
        output.line(&format!(
            "moved {rows} rows in {} tables to {}, and read them back: all are the same ({seconds:.1} s, {:.0} rows/s)",
            moved.tables.len(),
            shown(&to),
            progress::pace(rows, seconds)
        ))?;
    }
    if moved.replaced > 0 {
        output.line(&format!(
            "{} texts held a NUL or what is no UTF-8, which PostgreSQL has no text for; U+FFFD took its place",
            moved.replaced
        ))?;
    }
    for (name, audit) in [("source", &moved.audits.0), ("target", &moved.audits.1)] {
        let checked: Vec<String> = audit.checked.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        output.line(&format!("audit of the {name}: {} findings ({})", audit.findings.len(), checked.join(", ")))?;
    }
    output.line(&format!("{} stays as it is and is not used any more: set DATABASE_URL to the new place", shown(&from)))
}

fn check(moving: &Moving<'_>, setup: &Setup) -> Result<ExitCode> {
    let mut bar = Shown::new(setup.output);
    let tables = Store::compare_with(moving, &mut |progress| bar.show(progress))?;
    bar.end();
    let is_same = tables.iter().all(|table| table.is_same);
    let (from, to) = places(moving);
    if setup.output.json {
        let listed: Vec<Value> = tables.iter().map(table).collect();
        setup
            .output
            .json(&json!({"from": from, "to": to, "same": is_same, "rows": rows(&tables), "tables": listed}))?;
    } else {
        print_check(&tables, is_same, setup)?;
    }
    Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn print_check(tables: &[Compared], is_same: bool, setup: &Setup) -> Result<()> {
    if is_same {
        return setup.output.line(&format!("the same: {} rows in {} tables", rows(tables), tables.len()));
    }
    setup.output.line("not the same")?;
    let row = |table: &Compared| vec![table.table.clone(), table.source.to_string(), table.target.to_string()];
    let differing: Vec<_> = tables.iter().filter(|table| !table.is_same).map(row).collect();
    setup.output.table(&["table", "rows in the source", "rows in the target"], &differing)
}

fn undo(from: &std::path::Path, setup: &Setup) -> Result<ExitCode> {
    let undone = Store::undo_move(from, &setup.person().name, Clock::System.now_ms())?;
    let place = from.display().to_string();
    if setup.output.json {
        setup.output.json(&json!({"from": place, "undone": undone}))?;
    } else if undone {
        setup.output.line(&format!(
            "{} can be used again; what was written to PostgreSQL since the move is not in it. It is marked as restored: it looks on the ticket before it writes; docs/backup.md says what to look at",
            shown(&place)
        ))?;
    } else {
        setup.output.line(&format!("{} was not moved; it can be used", shown(&place)))?;
    }
    Ok(ExitCode::SUCCESS)
}
