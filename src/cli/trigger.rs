//! `frontdesk trigger`: signed test deliveries to any endpoint.

use std::process::ExitCode;

use anyhow::Result;
use frontdesk_simulator::signing::Signer;
use frontdesk_simulator::trigger::{Same, Sent, TriggerSettings, send};
use serde_json::{Value, json};

use super::{Setup, webhook_secret};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The event type, as response.completed; any text is taken.
    #[arg(value_name = "TYPE")]
    event_type: String,
    /// Where to send it, as http://127.0.0.1:8080/webhooks/openai.
    #[arg(long, value_name = "URL")]
    to: String,
    /// The resource it tells of; a new id for each without it.
    #[arg(long, value_name = "RESOURCE")]
    id: Option<String>,
    /// How many.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
    /// One webhook-id and one event for all of them.
    #[arg(long, conflicts_with = "same_event")]
    same_id: bool,
    /// One event under a new webhook-id each time.
    #[arg(long)]
    same_event: bool,
}

pub(super) async fn run(args: Args, setup: &Setup) -> Result<ExitCode> {
    let signer = Signer::new(&webhook_secret(setup)?).map_err(anyhow::Error::msg)?;
    let same = match (args.same_id, args.same_event) {
        (true, _) => Same::Id,
        (_, true) => Same::Event,
        _ => Same::Nothing,
    };
    let mut settings = TriggerSettings::new(args.to, signer, args.event_type);
    settings.resource_id = args.id;
    settings.count = args.count as usize;
    settings.same = same;
    let sent = send(settings).await;
    let accepted = sent.iter().filter(|one| one.accepted()).count();
    if setup.output.json {
        let items: Vec<Value> = sent.iter().map(shape).collect();
        setup.output.json(&json!({"sent": sent.len(), "accepted": accepted, "items": items}))?;
    } else {
        let rows: Vec<Vec<String>> = sent.iter().take(20).map(row).collect();
        setup.output.table(&["webhook_id", "event_id", "resource_id", "answer", "ms"], &rows)?;
        setup.output.line(&format!("{accepted} of {} accepted", sent.len()))?;
    }
    Ok(if accepted == sent.len() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn shape(sent: &Sent) -> Value {
    json!({
        "webhook_id": sent.webhook_id,
        "event_id": sent.event_id,
        "resource_id": sent.resource_id,
        "status": sent.status,
        "error": sent.error,
        "took_ms": sent.took.as_secs_f64() * 1000.0,
    })
}

fn row(sent: &Sent) -> Vec<String> {
    let answer = sent.status.map_or_else(|| sent.error.clone().unwrap_or_default(), |status| status.to_string());
    vec![
        sent.webhook_id.clone(),
        sent.event_id.clone(),
        sent.resource_id.clone(),
        answer,
        format!("{:.1}", sent.took.as_secs_f64() * 1000.0),
    ]
}
