//! `frontdesk batch submit`

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::{follow, must_be_there, show};
use crate::app;
use crate::cli::Setup;
use crate::config::DEFAULT_PROJECT;
use crate::domain::batch::{Filter, Origin, Select, State, Wanted};
use crate::domain::ticket::valid_ticket_id;
use crate::domain::wait::Wait;
use crate::shapes;
use crate::submit::AskBatch;

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// One of `frontdesk workflows list`, as classification.
    workflow: String,
    #[command(flatten)]
    which: Which,
    /// No more lines than this.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    cap: Option<i64>,
    /// No more input tokens than this, estimated at four bytes each.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    budget_tokens: Option<i64>,
    /// The OpenAI project to start it in.
    #[arg(long, default_value = DEFAULT_PROJECT)]
    project: String,
    /// Stay until it rests, or a person is needed.
    #[arg(long)]
    wait: bool,
}

/// Which tickets. Filters combine: a ticket must fit all of them.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
struct Which {
    /// A file with one ticket id a line; - reads standard input. Blank lines, and what follows a #, do not count.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["status", "queue", "tag", "older_than", "newer_than", "unclassified"])]
    tickets: Option<PathBuf>,
    /// Tickets of this status, as open.
    #[arg(long)]
    status: Option<String>,
    /// Tickets in this queue.
    #[arg(long)]
    queue: Option<String>,
    /// Tickets with this tag.
    #[arg(long)]
    tag: Option<String>,
    /// Tickets made at least so long ago, as 2d.
    #[arg(long, value_name = "TIME", value_parser = parse_wait)]
    older_than: Option<Wait>,
    /// Tickets made at most so long ago, as 12h.
    #[arg(long, value_name = "TIME", value_parser = parse_wait)]
    newer_than: Option<Wait>,
    /// Tickets of which nobody has said yet what the customer wants.
    #[arg(long)]
    unclassified: bool,
}

fn parse_wait(text: &str) -> Result<Wait, String> {
    Wait::parse(text).ok_or_else(|| "a number and a unit, as 30m, 12h or 2d".to_owned())
}

impl Which {
    fn select(self) -> Result<Select> {
        match self.tickets {
            Some(file) => Ok(Select::Tickets(tickets_of(&file)?)),
            None => Ok(Select::Filter(Filter {
                status: self.status,
                queue: self.queue,
                tag: self.tag,
                older_than_ms: self.older_than.map(Wait::ms),
                newer_than_ms: self.newer_than.map(Wait::ms),
                unclassified: self.unclassified,
            })),
        }
    }
}

fn tickets_of(file: &Path) -> Result<Vec<String>> {
    if file.as_os_str() == "-" {
        return read_tickets(std::io::stdin().lock(), "standard input");
    }
    let name = file.display().to_string();
    let opened = std::fs::File::open(file).with_context(|| format!("{name} cannot be read"))?;
    read_tickets(opened, &name)
}

fn read_tickets(from: impl Read, name: &str) -> Result<Vec<String>> {
    let (mut ids, mut from, mut line) = (Vec::new(), BufReader::new(from), Vec::new());
    for number in 1.. {
        line.clear();
        // A line that never ends must not fill the memory; so long an id is refused below.
        if from
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .with_context(|| format!("{name} cannot be read"))?
            == 0
        {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_start_matches('\u{feff}').split('#').next().unwrap_or_default().trim();
        if text.is_empty() {
            continue;
        }
        if !valid_ticket_id(text) {
            let begin: String = text.chars().take(64).collect();
            bail!("{name}, line {number}: {begin:?} is not a ticket id; write one id a line, as T-1001");
        }
        ids.push(text.to_owned());
    }
    if ids.is_empty() {
        bail!("{name} names no ticket; write one id a line, as T-1001");
    }
    Ok(ids)
}

/// In bytes; room for an id and a remark.
const LONGEST_LINE: u64 = 4096;

pub(in crate::cli) async fn run(args: Args, setup: &Setup) -> Result<ExitCode> {
    let Args { workflow, which, cap, budget_tokens, project, wait } = args;
    let wanted = Wanted { select: which.select()?, cap, budget_tokens };
    let store = setup.store()?;
    let submitter = app::submitter(&setup.config()?, &store, &store.clock())?;
    let ask = AskBatch { project, workflow, wanted, actor: setup.person().name, origin: Origin::Person };
    let id = submitter.submit_batch(ask).await?;
    if !setup.output.json {
        setup.output.line(&format!("{id} is written down; a worker of `frontdesk serve` builds and sends it"))?;
    }
    if !wait {
        return told(setup, &must_be_there(&store, &id).await?);
    }
    let followed = follow::until_rest(setup, &store, &id, follow::Telling::for_person(&setup.output)).await?;
    let Some(batch) = followed else { return follow::left(setup, &id) };
    show::print(setup, &batch)?;
    Ok(if batch.state == State::Failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn told(setup: &Setup, batch: &crate::store::Batch) -> Result<ExitCode> {
    if setup.output.json {
        setup.output.json(&shapes::batch(batch))?;
    } else {
        setup.output.line(&format!("`frontdesk batch show {}` tells how it goes", batch.id))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::read_tickets;

    #[test]
    fn tickets_are_read_one_a_line_with_blanks_and_remarks_between() {
        let text = "\u{feff}T-1\r\n\n# a remark\n  T-2  # and one beside\nT-3";
        assert_eq!(read_tickets(text.as_bytes(), "list").unwrap(), ["T-1", "T-2", "T-3"]);
    }

    #[test]
    fn what_is_no_ticket_id_is_named_by_its_line() {
        let long = format!("T-1\n{}\n", "x".repeat(1_000_000));
        for (text, said) in [
            ("T-1\nT 2\n", "list, line 2: \"T 2\" is not a ticket id"),
            ("T-1\n\n\u{1b}[2J", "line 3: \"\\u{1b}[2J\""),
            ("T-1,T-2", "line 1"),
            (&long, "line 2"),
            ("", "names no ticket"),
            ("\n#T-1\n", "names no ticket"),
        ] {
            let error = read_tickets(text.as_bytes(), "list").unwrap_err().to_string();
            assert!(error.contains(said) && error.len() < 200, "{error}");
        }
        assert!(read_tickets(&b"T-\xff\n"[..], "list").is_err());
    }
}
