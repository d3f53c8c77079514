//! `frontdesk backup`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;

use super::Setup;
use crate::clock::Clock;
use crate::store::Store;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Where the copy goes; nothing may be there yet.
    file: PathBuf,
}

pub(super) fn run(args: Args, setup: &Setup) -> Result<ExitCode> {
    let location = setup.config()?.database()?;
    let Some(database) = location.file().map(Path::to_owned) else {
        bail!("a backup of PostgreSQL is made with PostgreSQL's own tools; docs/backup.md says how");
    };
    if !database.exists() {
        bail!("there is no database at {}; DATABASE_URL names another", database.display());
    }
    let done = Store::backup(&database, &args.file, Clock::System.now_ms())?;
    if setup.output.json {
        setup
            .output
            .json(&json!({"database": database, "backup": args.file, "bytes": done.bytes, "schema": done.schema}))?;
    } else {
        let file = args.file.display().to_string();
        setup.output.line(&format!(
            "{}: {} bytes, checked (schema {})",
            super::output::shown(&file),
            done.bytes,
            done.schema
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
