//! The command line: one file a command. Exit status: 0 done, 1 it failed,
//! 2 wrong usage.

mod alerts;
mod audit;
mod backup;
mod batch;
mod bulk;
mod completions;
mod config;
mod deliveries;
mod demo;
mod doctor;
mod erase;
mod helpdesk;
mod insights;
mod jobs;
mod migrate;
mod moving;
mod nodes;
mod output;
mod pauses;
mod policy;
mod restore;
mod restored;
mod reviews;
mod serve;
mod simulate;
mod submissions;
mod submit;
mod token;
mod trail;
mod trigger;
mod user;
mod why;
mod workflows;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::domain::person::{Person, Role};
use crate::store::{PoolSize, Store};
use output::Output;

/// The system between OpenAI's webhooks and the support ticket.
///
/// Try it with no account: `frontdesk demo`. Settings come from frontdesk.toml
/// (--config) and the environment; `frontdesk config example` lists them all.
#[derive(Parser)]
#[command(name = "frontdesk", version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
    /// The settings file; without it `frontdesk.toml` here is used if there is one.
    #[arg(long, global = true, value_name = "FILE", env = "FRONTDESK_CONFIG", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show everything on this machine with no account: simulated OpenAI, sample tickets, every ending.
    Demo(demo::Args),
    /// Run it: take webhooks, work jobs, serve the API.
    Serve(serve::Args),
    /// Bring the database up to date.
    Migrate,
    /// Move everything from a SQLite file to PostgreSQL, and check that nothing was left behind.
    Move(moving::Args),
    /// Start one background response for a ticket.
    Submit(submit::Args),
    /// Many tickets at once: start a batch, read what it would change, apply it, undo it.
    #[command(subcommand)]
    Batch(batch::Command),
    /// Answer "where is my summary?" for a ticket or any id.
    Why(why::Args),
    /// Prove that no work ended silently; lists what did.
    Audit,
    /// What has come in, and where it stands.
    #[command(subcommand)]
    Deliveries(deliveries::Command),
    /// The back office's work; retry or discard what failed.
    #[command(subcommand)]
    Jobs(jobs::Command),
    /// Results that wait for a person: read, claim, approve, reject, undo.
    #[command(subcommand)]
    Reviews(reviews::Command),
    /// What was started at OpenAI, and where it stands; close what hangs.
    #[command(subcommand)]
    Submissions(submissions::Command),
    /// How things go over time: times, drafts, categories, scores, tokens; for a spreadsheet with --csv.
    Insights(insights::Args),
    /// What people must hear of, and the channels that tell them.
    #[command(subcommand)]
    Alerts(alerts::Command),
    /// Pause a workflow, or calls to OpenAI or changes to tickets; nothing is lost meanwhile.
    Pause(pauses::Args),
    /// End a pause; what waited for it goes on at once.
    Resume(pauses::What),
    /// Go through the production checklist: what is well, what is not, what to do about it.
    Doctor,
    /// The helpdesk that the tickets live in.
    #[command(subcommand)]
    Helpdesk(helpdesk::Command),
    /// What is paused, by whom and why.
    Pauses,
    /// The processes that share the database, and which of them leads in what.
    Nodes,
    /// The audit trail: who did what.
    #[command(subcommand)]
    Trail(trail::Command),
    /// What AI is used for: what each may change, prompts and schemas.
    #[command(subcommand)]
    Workflows(workflows::Command),
    /// Erase all content of one ticket; ids, states and counts stay.
    Erase(erase::Args),
    /// Copy the database, also while it is in use, and check the copy.
    Backup(backup::Args),
    /// Put a copy in the place of the database; its work from before is looked for before it is written.
    Restore(restore::Args),
    /// Tell a database that it has been restored by other means.
    Restored,
    /// What may happen without a person: show it, check it, try it.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Access tokens of the API.
    #[command(subcommand)]
    Token(token::Command),
    /// People who sign in to the console.
    #[command(subcommand)]
    User(user::Command),
    /// The settings and their defaults.
    #[command(subcommand)]
    Config(config::Command),
    /// Send signed test deliveries to any endpoint.
    Trigger(trigger::Args),
    /// Run the OpenAI simulator alone.
    Simulate(simulate::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
}

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::from(error)),
    };
    let done = runtime.block_on(dispatch(cli));
    // A blocking read of stdin or a DNS look-up must not keep the process.
    runtime.shutdown_background();
    match done {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    // A reader that has gone away (`| head`) is not a failure.
    if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    // Nor is it a reason to panic when nobody reads the errors.
    let _ = writeln!(std::io::stderr(), "frontdesk: {error:#}");
    ExitCode::from(1)
}

async fn dispatch(cli: Cli) -> Result<ExitCode> {
    let context = Setup { file: cli.config, output: Output::new(cli.json) };
    match cli.command {
        Command::Demo(args) => demo::run(args, &context.output).await,
        Command::Serve(args) => serve::run(args, &context).await,
        Command::Migrate => migrate::run(&context),
        Command::Move(args) => moving::run(&args, &context),
        Command::Submit(args) => submit::run(args, &context).await,
        Command::Batch(command) => batch::run(command, &context).await,
        Command::Why(args) => why::run(args, &context).await,
        Command::Audit => audit::run(&context).await,
        Command::Deliveries(command) => deliveries::run(command, &context).await,
        Command::Jobs(command) => jobs::run(command, &context).await,
        Command::Reviews(command) => reviews::run(command, &context).await,
        Command::Submissions(command) => submissions::run(command, &context).await,
        Command::Insights(args) => insights::run(args, &context).await,
        Command::Alerts(command) => alerts::run(command, &context).await,
        Command::Pause(args) => pauses::pause(args, &context).await,
        Command::Resume(what) => pauses::resume(what, &context).await,
        Command::Doctor => doctor::run(&context).await,
        Command::Helpdesk(command) => helpdesk::run(command, &context).await,
        Command::Nodes => nodes::run(&context).await,
        Command::Pauses => pauses::list(&context).await,
        Command::Trail(command) => trail::run(command, &context).await,
        Command::Workflows(command) => workflows::run(command, &context),
        Command::Erase(args) => erase::run(args, &context).await,
        Command::Backup(args) => backup::run(args, &context),
        Command::Restore(args) => restore::run(args, &context),
        Command::Restored => restored::run(&context).await,
        Command::Policy(command) => policy::run(command, &context).await,
        Command::Token(command) => token::run(command, &context).await,
        Command::User(command) => user::run(command, &context).await,
        Command::Config(command) => config::run(&command, &context),
        Command::Trigger(args) => trigger::run(args, &context).await,
        Command::Simulate(args) => simulate::run(args, &context).await,
        Command::Completions(args) => completions::run(args),
    }
}

/// What every command may need.
struct Setup {
    file: Option<PathBuf>,
    output: Output,
}

impl Setup {
    /// The settings. `frontdesk.toml` in this folder is used when no file is named.
    fn config(&self) -> Result<Config> {
        Ok(Config::load(self.config_file().as_deref(), &|name| std::env::var(name).ok())?)
    }

    fn config_file(&self) -> Option<PathBuf> {
        let here = PathBuf::from("frontdesk.toml");
        // An empty FRONTDESK_CONFIG is none, as with every other variable.
        let named = self.file.clone().filter(|file| !file.to_string_lossy().trim().is_empty());
        named.or_else(|| here.exists().then_some(here))
    }

    /// Who acts: whoever may run this command may do anything, and is named in
    /// the audit trail.
    fn person(&self) -> Person {
        let name = std::env::var("USER").ok().filter(|name| !name.trim().is_empty());
        Person { name: name.unwrap_or_else(|| "command line".to_owned()), role: Role::Admin }
    }

    /// The database, which must be there already.
    fn store(&self) -> Result<Store> {
        let location = self.config()?.database()?;
        if location.file().is_some_and(|file| !file.exists()) {
            bail!("there is no database at {location}; `frontdesk migrate` makes one, DATABASE_URL names another");
        }
        Ok(Store::open_sized(&location, false, PoolSize { writers: 1, readers: 1 })?)
    }
}

/// The first signing secrets of the environment, as the simulator takes them.
fn webhook_secret(context: &Setup) -> Result<String> {
    let config = context.config()?;
    let secret = config.openai.webhook_secret.as_ref();
    secret.map(|secret| secret.reveal().to_owned()).context("no signing secret: set OPENAI_WEBHOOK_SECRET")
}
