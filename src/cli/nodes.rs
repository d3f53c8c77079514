//! `frontdesk nodes`

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use super::Setup;
use crate::clock::rfc3339;
use crate::store::Node;

pub(super) async fn run(setup: &Setup) -> Result<ExitCode> {
    let store = setup.store()?;
    let nodes = store.nodes(store.clock().now_ms()).await?;
    if setup.output.json {
        let items: Vec<Value> = nodes.iter().map(shape).collect();
        setup.output.json(&json!({"items": items}))?;
    } else if nodes.is_empty() {
        setup.output.line("no process has been heard of for a minute; `frontdesk serve` starts one")?;
    } else {
        let row = |node: &Node| {
            let leads = if node.leads.is_empty() { "-".to_owned() } else { node.leads.join(", ") };
            let version = format!("{} (schema {})", node.version, node.schema);
            vec![node.name.clone(), version, node.roles.clone(), rfc3339(node.started_at_ms), leads]
        };
        let rows: Vec<Vec<String>> = nodes.iter().map(row).collect();
        setup.output.table(&["PROCESS", "VERSION", "ROLES", "SINCE", "LEADS IN"], &rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn shape(node: &Node) -> Value {
    json!({
        "name": node.name, "version": node.version, "schema": node.schema, "roles": node.roles,
        "started_at": rfc3339(node.started_at_ms), "seen_at": rfc3339(node.seen_at_ms), "leads": node.leads,
    })
}
