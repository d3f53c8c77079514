//! `frontdesk token create|list|revoke`

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::Setup;
use super::deliveries::print_list;
use crate::domain::id::new_token;
use crate::domain::person::{Role, valid_token_name};
use crate::shapes;
use crate::store::Store;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make a token; it is shown once and only its hash is stored.
    Create {
        /// Whose it is.
        #[arg(long)]
        name: String,
        /// admin, lead or agent.
        #[arg(long, value_parser = parse_role)]
        role: Role,
    },
    /// All tokens by name.
    List,
    /// Make a token worthless.
    Revoke {
        /// Whose it is.
        #[arg(long)]
        name: String,
    },
}

fn parse_role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| "admin, lead or agent".to_owned())
}

pub(super) async fn run(command: Command, setup: &Setup) -> Result<ExitCode> {
    match command {
        Command::Create { name, role } => create(setup, name, role).await?,
        Command::List => list(setup).await?,
        Command::Revoke { name } => {
            let store = setup.store()?;
            if !store.revoke_token(name.clone(), setup.person().name, store.clock().now_ms()).await? {
                bail!("there is no token named {name:?} to revoke");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(setup: &Setup, name: String, role: Role) -> Result<()> {
    if !valid_token_name(&name) {
        bail!("a name is 1 to 100 printable characters");
    }
    // The first token is often made before the first start.
    let store = Store::open(&setup.config()?.database()?, true)?;
    let token = new_token()?;
    if !store.create_token(name.clone(), role, token.clone(), setup.person().name, store.clock().now_ms()).await? {
        bail!("there is a token named {name:?} already; choose another name");
    }
    if setup.output.json {
        return setup.output.json(&json!({"token": token, "name": name, "role": role.word()}));
    }
    if setup.output.is_terminal() {
        eprintln!("Keep it now: it is not shown again.");
    }
    setup.output.line(&token)
}

async fn list(setup: &Setup) -> Result<()> {
    let tokens = setup.store()?.tokens().await?;
    let items: Vec<Value> = tokens.iter().map(|(whose, made, revoked)| shapes::token(whose, *made, *revoked)).collect();
    print_list(
        &setup.output,
        &json!({"items": items, "next_cursor": null}),
        &["name", "role", "created_at", "revoked_at"],
    )
}
