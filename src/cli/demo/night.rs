//! A whole night: a thousand tickets in one batch, which a lead looks at, pauses
//! and lets go on, while agents work on some of them; and in the morning a
//! small batch that is undone.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::ending::{Actual, counted, routes};
use super::stage::Stage;
use super::table::Row;
use super::{LOOK_EVERY, PATIENCE, texts};
use crate::cli::output::Output;
use crate::config::DEFAULT_PROJECT;
use crate::domain::batch::{Fate, Filter, LineResult, Origin, Select, State, WaitsFor, Wanted};
use crate::store::Batch;
use crate::submit::AskBatch;

const NIGHT: RangeInclusive<u32> = 3001..=4000;
const MORNING: RangeInclusive<u32> = 4001..=4012;
const QUEUE: &str = "night";
const WORKFLOW: &str = "classification";
/// What agents do not leave to the machine: one ticket in so many gets a note,
/// and another one is closed.
const NOTED: u32 = 70;
const CLOSED: u32 = 90;
/// So many tickets are done when the lead pauses: far from all.
const PAUSED_AT: i64 = 100;
/// The ticket of the morning that an agent changes after the batch has.
const CHANGED: u32 = 4003;

/// What the night has come to.
#[derive(Default)]
pub(super) struct Night {
    pub(super) rows: Vec<Row>,
    /// What it would change, as the lead read it.
    pub(super) preview: Vec<String>,
    /// The batch.
    pub(super) batch: String,
}

/// Who decides about the batch of the night.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lead {
    /// The demo plays the lead.
    Played,
    /// Whoever watches.
    Watching,
}

/// Plays the night and the morning. What cannot go on is a row that says so.
pub(super) async fn play(stage: &Stage, lead: Lead, output: Option<&Output>) -> Result<Night> {
    let mut player = Player { stage, output, night: Night::default() };
    if let Err(error) = player.play(lead).await {
        let actual = Actual { reason: format!("{error:#}"), ..Actual::never() };
        player.add("the night came to a halt", actual, false)?;
    }
    Ok(player.night)
}

struct Player<'a> {
    stage: &'a Stage,
    /// Where each row is seen when it comes; none when only the table is.
    output: Option<&'a Output>,
    night: Night,
}

impl Player<'_> {
    async fn play(&mut self, lead: Lead) -> Result<()> {
        self.stage.add_tickets(NIGHT.map(|number| texts::ticket(number, QUEUE))).await?;
        let filter = Filter { status: Some("open".to_owned()), queue: Some(QUEUE.to_owned()), ..Filter::default() };
        let id = self.submit(Select::Filter(filter)).await?;
        self.night.batch.clone_from(&id);
        self.agents_work(&id).await?;
        self.look(&id).await?;
        if lead == Lead::Played {
            self.apply_and_pause(&id).await?;
            self.go_on(&id).await?;
        }
        self.morning().await
    }

    /// As `frontdesk batch submit` does it.
    async fn submit(&self, select: Select) -> Result<String> {
        let wanted = Wanted { select, cap: None, budget_tokens: None };
        let (project, workflow) = (DEFAULT_PROJECT.to_owned(), WORKFLOW.to_owned());
        let ask = AskBatch { project, workflow, wanted, actor: "mia".to_owned(), origin: Origin::Person };
        Ok(self.stage.submitter().submit_batch(ask).await?)
    }

    /// The batch is with OpenAI, and agents work on as ever.
    async fn agents_work(&self, id: &str) -> Result<()> {
        self.until(id, |batch| batch.state != State::Building).await?;
        let agent = self.stage.agent();
        for number in touched() {
            let ticket = texts::id(number);
            if number.is_multiple_of(NOTED) {
                agent.note(&ticket, "I have called the customer about this.").await?;
            } else {
                agent.change(&ticket, &json!({"status": "closed"})).await?;
            }
        }
        Ok(())
    }

    /// A thousand tickets are not changed unseen: the lead reads what would be.
    async fn look(&mut self, id: &str) -> Result<()> {
        let batch = self.until(id, |batch| batch.state.is_at_rest()).await?;
        let routed = self.routed(NIGHT).await?;
        self.night.preview = self.stage.lead().preview(id).await?;
        let usable = results(&batch, LineResult::Ok) + results(&batch, LineResult::Held);
        let is_good = batch.state == State::Waiting
            && batch.waits_for.as_deref() == Some(WaitsFor::Size.word())
            && (batch.count("lines"), usable) == (len(&NIGHT), len(&NIGHT))
            && counted(&batch, "fate/").is_empty()
            && routed == 0;
        let reason = batch.waits_for.clone().unwrap_or_default();
        self.add_batch("1,000 tickets in one batch", &batch, reason, routed, is_good).await
    }

    async fn apply_and_pause(&mut self, id: &str) -> Result<()> {
        let lead = self.stage.lead();
        lead.decide_batch(id, "apply").await?;
        self.until(id, |batch| batch.state != State::Applying || applied(batch) >= PAUSED_AT).await?;
        lead.decide_batch(id, "pause").await?;
        let batch = self.until(id, |batch| batch.in_flight == 0).await?;
        let routed = self.routed(NIGHT).await?;
        let is_good = batch.state == State::Applying
            && batch.paused_by.as_deref() == Some("mia")
            && (PAUSED_AT..len(&NIGHT) - held_back()).contains(&applied(&batch))
            && fates(&batch, Fate::Queued) == 0
            && is(routed, applied(&batch));
        let paused = Actual { outcome: "paused".to_owned(), ..self.actual(&batch, "by mia".to_owned(), routed).await? };
        self.add("a lead approves it, and pauses in the middle", paused, is_good)
    }

    async fn go_on(&mut self, id: &str) -> Result<()> {
        self.stage.lead().decide_batch(id, "resume").await?;
        let batch = self.until(id, |batch| batch.state != State::Applying).await?;
        let (touched, sensitive): (BTreeSet<u32>, BTreeSet<u32>) =
            (touched().collect(), NIGHT.filter(|number| texts::is_sensitive(*number)).collect());
        let routed = self.routed(NIGHT).await?;
        let is_good = batch.state == State::Applied
            && applied(&batch) == len(&NIGHT) - held_back()
            && fates(&batch, Fate::Held) == held_back()
            && is(routed, applied(&batch))
            && self.held(&batch, "sensitive").await? == sensitive;
        let reason = counted(&batch, "fate/");
        self.add_batch("it goes on to its end", &batch, reason, routed, is_good).await?;
        let left = self.held(&batch, "changed_since").await?;
        let routed = self.routed(touched.iter().copied()).await?;
        let held = Actual {
            outcome: "held".to_owned(),
            ..self.actual(&batch, format!("{} changed_since", left.len()), routed).await?
        };
        self.add("what agents touched meanwhile is theirs", held, left == touched && routed == 0)
    }

    /// A few tickets need nobody's leave; and what was done can be undone, but
    /// for what is somebody else's by then.
    async fn morning(&mut self) -> Result<()> {
        self.stage.add_tickets(MORNING.map(|number| texts::ticket(number, "morning"))).await?;
        let id = self.submit(Select::Tickets(MORNING.map(texts::id).collect())).await?;
        let batch = self.until(&id, |batch| batch.state.is_at_rest()).await?;
        let routed = self.routed(MORNING).await?;
        let is_good = batch.state == State::Applied
            && batch.waits_for.is_none()
            && batch.decided_by.is_none()
            && applied(&batch) == len(&MORNING)
            && is(routed, len(&MORNING));
        let reason = counted(&batch, "fate/");
        self.add_batch("a small batch is applied at once", &batch, reason, routed, is_good).await?;

        self.stage.agent().change(&texts::id(CHANGED), &json!({"intent": "chess"})).await?;
        self.stage.lead().decide_batch(&id, "undo").await?;
        let batch = self.until(&id, |batch| batch.state == State::Undone).await?;
        let routed = self.routed(MORNING).await?;
        let kept = self.stage.store().ticket(texts::id(CHANGED)).await?.context("a ticket is gone")?;
        let is_good = fates(&batch, Fate::Undone) == len(&MORNING) - 1
            && fates(&batch, Fate::Kept) == 1
            && (routed, kept.intent.as_deref()) == (1, Some("chess"));
        let reason = counted(&batch, "fate/");
        self.add_batch("it is undone, but for one changed since", &batch, reason, routed, is_good).await
    }

    /// The tickets whose lines wait with a person for this reason.
    async fn held(&self, batch: &Batch, reason: &str) -> Result<BTreeSet<u32>> {
        let all = usize::try_from(len(&NIGHT))?;
        let lines =
            self.stage.store().batch_lines(batch.id.clone(), Some(Fate::Held.word().to_owned()), 0, all).await?;
        let of_reason = lines.iter().filter(|line| line.reason.as_deref() == Some(reason));
        let number = |id: &str| id.trim_start_matches("T-").parse().context("a ticket of nobody's");
        of_reason.map(|line| number(line.ticket_id.as_deref().unwrap_or_default())).collect()
    }

    async fn routed(&self, numbers: impl Iterator<Item = u32>) -> Result<usize> {
        self.stage.routed(numbers.map(texts::id)).await
    }

    /// The batch, once it stands so.
    async fn until(&self, id: &str, is: impl Fn(&Batch) -> bool) -> Result<Batch> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let batch = self.stage.store().batch(id.to_owned()).await?.context("the batch is gone")?;
            if is(&batch) {
                return Ok(batch);
            }
            if tokio::time::Instant::now() >= deadline {
                bail!("{id} is still {}", batch.state.word());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn actual(&self, batch: &Batch, reason: String, routed: usize) -> Result<Actual> {
        let resource = batch.parts.first().and_then(|part| part.resource_id.clone());
        let trail = self.stage.store().trail(resource.context("the batch was not sent")?).await?;
        let copies = trail.iter().flat_map(|trail| &trail.deliveries).map(|delivery| delivery.copies);
        Ok(Actual {
            deliveries: copies.sum(),
            attempts: trail.iter().filter_map(|trail| trail.job.as_ref()).map(|job| job.attempts).sum(),
            state: batch.state.word().to_owned(),
            outcome: batch.state.word().to_owned(),
            reason,
            on_ticket: routes(routed),
            told: String::new(),
        })
    }

    async fn add_batch(
        &mut self,
        story: &'static str,
        batch: &Batch,
        reason: String,
        routed: usize,
        is_good: bool,
    ) -> Result<()> {
        let actual = self.actual(batch, reason, routed).await?;
        self.add(story, actual, is_good)
    }

    fn add(&mut self, story: &'static str, actual: Actual, is_good: bool) -> Result<()> {
        let row = Row::of_batch(story, actual, is_good);
        if let Some(output) = self.output {
            output.line(&row.line(output))?;
        }
        self.night.rows.push(row);
        Ok(())
    }
}

/// The tickets that agents touch while the batch is with OpenAI. What is
/// sensitive would be held for that.
fn touched() -> impl Iterator<Item = u32> {
    let is_one = |number: &u32| number.is_multiple_of(NOTED) || number.is_multiple_of(CLOSED);
    NIGHT.filter(is_one).filter(|number| !texts::is_sensitive(*number))
}

/// How many tickets come to people, for one reason or the other.
fn held_back() -> i64 {
    let sensitive = NIGHT.filter(|number| texts::is_sensitive(*number)).count();
    i64::try_from(sensitive + touched().count()).unwrap_or(i64::MAX)
}

fn len(tickets: &RangeInclusive<u32>) -> i64 {
    i64::from(tickets.end() - tickets.start()) + 1
}

fn is(routed: usize, lines: i64) -> bool {
    i64::try_from(routed) == Ok(lines)
}

fn results(batch: &Batch, result: LineResult) -> i64 {
    batch.count(&format!("result/{}", result.word()))
}

fn fates(batch: &Batch, fate: Fate) -> i64 {
    batch.count(&format!("fate/{}", fate.word()))
}

fn applied(batch: &Batch) -> i64 {
    fates(batch, Fate::Applied)
}
