//! OpenAI's official SDKs drive the simulator: what they accept, any customer's program accepts.
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use frontdesk_simulator::{DEMO_SECRET, Fault, Scripted, Settings, Simulator};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

/// `target/sdk`, filled by the script of that folder.
async fn sdks() -> PathBuf {
    succeed(Command::new(folder().join("setup"))).await;
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/sdk")
}

/// Runs a program to its end, beside the simulator. The programs bound their waiting themselves.
async fn succeed(mut command: Command) {
    command.stdin(Stdio::null());
    let run = move || (command.output(), format!("{command:?}"));
    let (done, command) = tokio::task::spawn_blocking(run).await.unwrap();
    let done = done.unwrap_or_else(|error| panic!("{command}: {error}"));
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&said));
}

/// A simulator whose cases are picked by metadata.
async fn simulator() -> Simulator {
    let case = |value: &str, fault| Scripted { key: "case".into(), value: value.into(), faults: vec![fault] };
    let settings = Settings {
        api_key: Some("sk-right".into()),
        work_ms: (20, 60),
        script: vec![
            case("refusal", Fault::Refusal),
            case("incomplete", Fault::Incomplete),
            case("failed", Fault::Failed),
            case("forged", Fault::TamperedSignature),
        ],
        ..Settings::default()
    };
    Simulator::start(settings).await.unwrap()
}

async fn drive(simulator: &Simulator, mut command: Command) {
    command
        .env("OPENAI_BASE_URL", simulator.base_url())
        .env("OPENAI_API_KEY", "sk-right")
        .env("OPENAI_WEBHOOK_SECRET", DEMO_SECRET)
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1");
    succeed(command).await;
    assert!(simulator.count("POST", "/v1/batches") > 0);
}

#[tokio::test]
async fn the_official_python_sdk_finds_everything_as_it_should_be() {
    let mut python = Command::new(sdks().await.join("venv/bin/python"));
    python.arg(folder().join("drive.py"));
    drive(&simulator().await, python).await;
}

#[tokio::test]
async fn the_official_node_sdk_finds_everything_as_it_should_be() {
    let mut node = Command::new("node");
    node.arg(folder().join("drive.mjs")).env("SDK_NODE", sdks().await.join("node"));
    drive(&simulator().await, node).await;
}
