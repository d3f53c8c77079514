//! What to try on the running demo from another terminal.

use anyhow::Result;

use super::stage::Stage;
use crate::cli::output::Output;

/// They would go before the demo's settings file.
const IN_THE_WAY: [&str; 5] =
    ["DATABASE_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_WEBHOOK_SECRET", "FRONTDESK_LISTEN"];

/// Says where everything is.
pub(super) fn before(stage: &Stage, output: &Output) -> Result<()> {
    output.line(&format!(
        "Frontdesk listens on http://{}, OpenAI is simulated at {}.",
        stage.addr(),
        stage.openai_url()
    ))?;
    sign_in(stage, output)?;
    output.line("Another terminal can look at it while this runs, once it has:\n")?;
    environment(stage, output)?;
    output.line("\nStarting work for every ticket; each line below is one that has come to rest.\n")
}

/// Says what can be tried now that everything has happened.
pub(super) fn after(stage: &Stage, night: &str, output: &Output) -> Result<()> {
    output.line("\nEverything above is still there to look at, and to work with.\n")?;
    sign_in(stage, output)?;
    output.line("In another terminal:\n")?;
    environment(stage, output)?;
    output.line("  # The batch of the night waits for you: nothing of it is on a ticket yet.")?;
    for (command, what) in [
        (format!("batch show {night}"), "what it would change"),
        (format!("batch apply {night}"), "approve it; then `batch pause`, `batch resume`, `batch undo`"),
        (format!("batch lines {night} --outcome held"), "what goes to a person all the same"),
    ] {
        output.line(&format!("  frontdesk {command:<62} # {what}"))?;
    }
    output.line("  # And the rest:")?;
    for (command, what) in [
        ("why T-1001", "where is my summary? also T-1027, which failed, and T-1040"),
        ("reviews list --state open", "what waits for a person"),
        ("reviews show REV", "one of them; then `reviews approve REV` or `reviews reject REV`"),
        ("audit", "did anything end silently?"),
        ("doctor", "the checklist before production, with what to mend"),
        ("submit call_report --ticket T-1003", "more work"),
        ("alerts list", "what somebody should have been told"),
    ] {
        output.line(&format!("  frontdesk {command:<36} # {what}"))?;
    }
    output.line(&format!(
        "  curl -H 'Authorization: Bearer {}' http://{}/api/v1/tickets/T-1033",
        stage.token(),
        stage.addr()
    ))?;
    output.line("\nCtrl-C ends the demo and removes it.")
}

fn sign_in(stage: &Stage, output: &Output) -> Result<()> {
    output.line(&format!(
        "The console is at http://{}: sign in as lena (agent), mia (lead) or demo (admin), password {}",
        stage.addr(),
        stage.password()
    ))
}

/// What the other commands need to find the demo.
fn environment(stage: &Stage, output: &Output) -> Result<()> {
    let set: Vec<&str> = IN_THE_WAY.into_iter().filter(|name| std::env::var_os(name).is_some()).collect();
    if !set.is_empty() {
        output.line(&format!("  unset {}", set.join(" ")))?;
    }
    output.line(&format!("  export FRONTDESK_CONFIG={}", quoted(&stage.file().display().to_string())))?;
    match std::env::current_exe() {
        Ok(program) if !is_on_path() => {
            output.line(&format!("  alias frontdesk={}", quoted(&program.display().to_string())))
        }
        _ => Ok(()),
    }
}

fn is_on_path() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("frontdesk").is_file())
}

/// A word for the shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
