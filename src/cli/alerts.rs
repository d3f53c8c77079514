//! `frontdesk alerts list|test`

use std::process::ExitCode;

use anyhow::{Result, bail};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::Setup;
use super::deliveries::{Part, print_list};
use crate::clock::Clock;
use crate::store::ALERT_CHANNEL;
use crate::{app, shapes};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// What is open, newest first.
    List {
        /// Also what is over, and notices.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        part: Part,
    },
    /// Send a test over each channel that is set, now.
    Test {
        /// Only this one.
        #[arg(long, value_parser = ["email", "slack", "webhook"])]
        channel: Option<String>,
    },
}

pub(super) async fn run(command: Command, setup: &Setup) -> Result<ExitCode> {
    match command {
        Command::List { all, part } => list(all, &part, setup).await,
        Command::Test { channel } => test(channel.as_deref(), setup).await,
    }
}

async fn list(all: bool, part: &Part, setup: &Setup) -> Result<ExitCode> {
    let alerts = setup.store()?.alerts(!all, part.page()).await?;
    let page = shapes::page(&alerts, shapes::alert_with_sends);
    let columns = ["id", "kind", "subject", "detail", "times", "opened_at", "closed_at"];
    print_list(&setup.output, &page, &columns)?;
    Ok(ExitCode::SUCCESS)
}

async fn test(only: Option<&str>, setup: &Setup) -> Result<ExitCode> {
    let mut channels = app::channels(&setup.config()?)?;
    channels.retain(|channel| only.is_none_or(|name| name == channel.name()));
    if channels.is_empty() {
        match only {
            Some(name) => bail!("there is no [alerts.{name}] in the settings; `frontdesk config example` shows one"),
            None => bail!(
                "no channel is set; `frontdesk config example` shows [alerts.email], [alerts.slack] and [alerts.webhook]"
            ),
        }
    }
    let now_ms = Clock::System.now_ms();
    let ends = join_all(channels.iter().map(|channel| channel.test(now_ms))).await;
    let mut items: Vec<Value> = Vec::new();
    for (channel, end) in channels.iter().zip(&ends) {
        let (result, error) = match end {
            Ok(()) => ("sent", None),
            Err(why) => ("failed", Some(why.to_string())),
        };
        items.push(json!({"channel": channel.name(), "result": result, "error": error}));
        // A channel that works again is no alert; without a database there is none to close.
        if let (Ok(()), Ok(store)) = (end, setup.store()) {
            store.close_alert(ALERT_CHANNEL, channel.name().to_owned(), now_ms).await?;
        }
    }
    print_list(&setup.output, &json!({"items": items, "next_cursor": null}), &["channel", "result", "error"])?;
    Ok(if ends.iter().all(Result::is_ok) { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
