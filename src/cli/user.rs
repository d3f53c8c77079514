//! `frontdesk user create|list|invite|change`

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Setup;
use super::deliveries::print_list;
use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::person::{Person, Role, valid_user_name};
use crate::people::People;
use crate::shapes;
use crate::store::{Store, UserChange, UserChanged};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make somebody who signs in, and a link by which they choose a password.
    Create {
        /// What they are called: letters, digits and ._-@+
        #[arg(long)]
        name: String,
        /// admin, lead or agent.
        #[arg(long, value_parser = parse_role)]
        role: Role,
        /// Read their password from stdin instead of making a link.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Everybody who signs in.
    List,
    /// Make a new link for somebody who has no password, or has forgotten it.
    Invite {
        /// Whose.
        #[arg(long)]
        name: String,
    },
    /// Change what somebody may do.
    Change {
        /// Who.
        #[arg(long)]
        name: String,
        /// admin, lead or agent.
        #[arg(long, value_parser = parse_role)]
        role: Option<Role>,
        /// Sign them out, and let them in no more.
        #[arg(long, conflicts_with = "enable")]
        disable: bool,
        /// Let them in again.
        #[arg(long)]
        enable: bool,
    },
}

fn parse_role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| "admin, lead or agent".to_owned())
}

pub(super) async fn run(command: Command, setup: &Setup) -> Result<ExitCode> {
    let config = setup.config()?;
    // The first of them are often made before the first start.
    let store = Store::open(&config.database()?, true)?;
    let desk = Desk { people: app::people(&config, &store, &store.clock())?, config, store, setup };
    match command {
        Command::Create { name, role, password_stdin } => desk.create(name, role, password_stdin).await?,
        Command::List => desk.list().await?,
        Command::Invite { name } => desk.invite(name).await?,
        Command::Change { name, role, disable, enable } => {
            let disabled = if disable || enable { Some(disable) } else { None };
            desk.change(name, UserChange { role, disabled }).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

struct Desk<'a> {
    people: People,
    config: Config,
    store: Store,
    setup: &'a Setup,
}

impl Desk<'_> {
    async fn create(&self, name: String, role: Role, by_stdin: bool) -> Result<()> {
        if !valid_user_name(&name) {
            bail!("a name is 1 to 64 letters, digits or ._-@+, and not the name of a role");
        }
        let password = if by_stdin { Some(self.people.hash(&typed()?).await?) } else { None };
        let has_password = password.is_some();
        let (person, clock): (_, Clock) = (Person { name: name.clone(), role }, self.store.clock());
        if !self.store.create_user(person, password, self.setup.person().name, clock.now_ms()).await? {
            bail!("there is a user named {name:?} already; `frontdesk user invite` makes a new link");
        }
        if !has_password {
            return self.invite(name).await;
        }
        let made = json!({"name": name, "role": role.word(), "link": null});
        if self.setup.output.json { self.setup.output.json(&made) } else { self.setup.output.line("made") }
    }

    async fn invite(&self, name: String) -> Result<()> {
        let secret = self.people.invite(Some(name.clone()), &self.setup.person().name).await?;
        let secret = secret.with_context(|| format!("there is nobody named {name:?} who may sign in"))?;
        let link = self.people.link(&format!("http://{}", self.config.listen), &format!("/invitation/{secret}"));
        if self.setup.output.json {
            let user = self.store.user(name.clone()).await?;
            let role = user.map(|user| user.person.role.word());
            return self.setup.output.json(&json!({"name": name, "role": role, "link": link}));
        }
        if self.setup.output.is_terminal() {
            eprintln!("Give it to {name} and nobody else: it works once.");
        }
        self.setup.output.line(&link)
    }

    async fn list(&self) -> Result<()> {
        let items: Vec<Value> = self.store.users().await?.iter().map(shapes::user).collect();
        print_list(
            &self.setup.output,
            &json!({"items": items, "next_cursor": null}),
            &["name", "role", "has_password", "seen_at", "disabled_at"],
        )
    }

    async fn change(&self, name: String, change: UserChange) -> Result<()> {
        if change == UserChange::default() {
            bail!("say what to change: --role, --disable or --enable");
        }
        let now_ms = self.store.clock().now_ms();
        match self.store.change_user(name.clone(), change, self.setup.person().name, now_ms).await? {
            UserChanged::Done => Ok(()),
            UserChanged::Missing => bail!("there is no user named {name:?}"),
            UserChanged::LastAdmin => bail!("{name:?} is the last admin; make another one first"),
        }
    }
}

/// One line of stdin.
fn typed() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().take(4096).read_to_string(&mut text).context("the password could not be read from stdin")?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
