//! Reads what OpenAI's files say of a batch into the ledger, by streaming. Both
//! files, whatever the status: results that were paid for are in either.

use serde_json::{Value, json};

use super::lines::Judge;
use crate::domain::decision::Hold;
use crate::domain::failure::{Cause, Failure};
use crate::domain::hold::HoldReason;
use crate::domain::job::Kind;
use crate::domain::resource::{Batch, Status};
use crate::domain::submission::SUBMISSION_KEY;
use crate::openai::Client;
use crate::store::{BATCH_TWIN, ClaimedJob, Entered, LineEntry, Part, PartEnd, PartPlace, PlacePart, Settlement};
use crate::worker::Worker;
use crate::worker::attempt::{Halt, Step};
use crate::worker::decide::code_only;
use crate::worker::place::Placed;

/// So many lines, or so many bytes of them, share a transaction: the front desk
/// waits for no more than that.
const CHUNK_LINES: usize = 16;
const CHUNK_BYTES: usize = 64 * 1024;

impl Worker {
    /// A batch has ended at OpenAI: its lines go into the ledger.
    pub(in crate::worker) async fn end_batch(&self, job: &ClaimedJob, batch: &Batch) -> Result<Settlement, Halt> {
        match self.place_batch(job, batch).await? {
            PartPlace::Part { part, workflow, elsewhere, made_at_ms } => {
                self.must_not_be_paused(Some(&workflow))?;
                let judge = Judge { part: *part, workflow, elsewhere, made_at_ms };
                self.read_part(job, batch, judge).await
            }
            PartPlace::Twin { of } => {
                let detail = format!("OpenAI has two batches of one part: {of} is used, this one is not");
                self.store.notice(BATCH_TWIN, batch.id.clone(), detail.clone(), self.clock.now_ms()).await?;
                Ok(Settlement::Ignored { reason: detail })
            }
            PartPlace::Nowhere if batch.status == Status::Failed => Err(refused(batch).into()),
            PartPlace::Nowhere => {
                let why = self.why_unplaced_batch(batch);
                let hold =
                    Hold { reviewers: vec!["lead".to_owned()], ..Hold::because(HoldReason::Unplaced, why.clone()) };
                self.hold(job, Placed { placement: None, target: Err(why) }, hold).await
            }
        }
    }

    /// A batch that OpenAI has forgotten: the other parts need not wait for it.
    pub(in crate::worker) async fn lose_part(&self, job: &ClaimedJob, halt: &Halt) -> Result<(), Halt> {
        let Halt::Failed(failure) = halt else { return Ok(()) };
        if job.kind != Kind::Ending || failure.cause() != Cause::LostToRetention {
            return Ok(());
        }
        let Some(part) = self.store.part_of(job.project.clone(), job.resource_id.clone()).await? else {
            return Ok(());
        };
        let (rules, error) = (self.settings.batch, Some("OpenAI has nothing of a part any more".to_owned()));
        let end = PartEnd { part, status: "lost".to_owned(), said: Value::Null, errors: Vec::new(), rules, error };
        self.store.finish_part(end, self.clock.now_ms()).await?;
        Ok(())
    }

    async fn place_batch(&self, job: &ClaimedJob, batch: &Batch) -> Result<PartPlace, Halt> {
        let named = batch.metadata.get(&self.settings.metadata_keys.workflow);
        let given = PlacePart {
            project: job.project.clone(),
            resource_id: batch.id.clone(),
            submission_id: batch.metadata.get(SUBMISSION_KEY).cloned(),
            workflow: named.filter(|name| self.workflows.named(name).is_some()).cloned(),
            made_at_ms: batch.created_at_s.and_then(|seconds| seconds.checked_mul(1000)),
            now_ms: self.clock.now_ms(),
        };
        Ok(self.store.place_part(given).await?)
    }

    fn why_unplaced_batch(&self, batch: &Batch) -> String {
        let key = &self.settings.metadata_keys.workflow;
        match batch.metadata.get(key) {
            None => format!("its metadata has no {key}"),
            Some(name) => {
                let name: String = name.chars().take(64).collect();
                format!("there is no workflow named {}", name.escape_debug())
            }
        }
    }

    async fn read_part(&self, job: &ClaimedJob, batch: &Batch, judge: Judge) -> Result<Settlement, Halt> {
        let batch_id = judge.part.batch_id.clone();
        if judge.part.read_at_ms.is_some() {
            return Ok(Settlement::Ignored { reason: why_not_read(&judge.part) });
        }
        if batch.status == Status::Failed {
            self.finish_part(batch, judge.part, "failed").await?;
            return Err(refused(batch).into());
        }
        let read = self.read_files(job, batch, &judge).await;
        if let Err(Halt::Failed(Failure::Final { .. })) = &read {
            // The other parts need not wait for what will not come any more.
            self.finish_part(batch, judge.part.clone(), "lost").await?;
        }
        read?;
        match self.finish_part(batch, judge.part, status_word(&batch.status)).await? {
            Entered::Before => Ok(Settlement::Ignored { reason: format!("its results are in {batch_id} already") }),
            entered => Ok(Settlement::Entered { waits: entered == Entered::Waits, batch_id }),
        }
    }

    async fn finish_part(&self, batch: &Batch, part: Part, status: &str) -> Result<Entered, Halt> {
        let now_ms = self.clock.now_ms();
        let counts = batch.counts;
        let end = PartEnd {
            part,
            status: status.to_owned(),
            said: json!({
                "total": counts.total, "completed": counts.completed, "failed": counts.failed,
                "input_tokens": batch.usage.input_tokens, "output_tokens": batch.usage.output_tokens,
            }),
            errors: batch.errors.iter().map(|error| (code_only(&error.code), error.line)).collect(),
            rules: self.settings.batch,
            error: (status == "failed").then(|| refused(batch).to_string()),
        };
        let entered = self.store.finish_part(end, now_ms).await?;
        self.after(Step::Applied)?;
        Ok(entered)
    }

    async fn read_files(&self, job: &ClaimedJob, batch: &Batch, judge: &Judge) -> Result<(), Halt> {
        let files = [("output", &batch.output_file_id), ("error", &batch.error_file_id)];
        for (name, file) in files {
            let Some(file) = file else { continue };
            self.openai_must_not_be_paused()?;
            let project = self.projects.get(&job.project).ok_or_else(|| {
                Failure::last(Cause::Internal, format!("project {} is not in the configuration", job.project))
            })?;
            job.mark_called();
            let read = self.read_file(&project.openai, file, name, judge).await;
            if let Err(Halt::Failed(failure)) = &read {
                self.watch_gate(&job.project, project, Some(failure)).await;
            }
            read?;
        }
        Ok(())
    }

    async fn read_file(&self, openai: &Client, file: &str, name: &str, judge: &Judge) -> Result<(), Halt> {
        let mut lines = openai.file_lines(file).await.map_err(Failure::from)?;
        let (mut chunk, mut bytes) = (Vec::with_capacity(CHUNK_LINES), 0);
        while let Some(line) = lines.next().await.map_err(Failure::from)? {
            bytes += line.bytes.map_or(0, <[u8]>::len);
            chunk.push(self.judge(judge, format!("{name}:{}", line.number), line.read()).await?);
            if chunk.len() >= CHUNK_LINES || bytes >= CHUNK_BYTES {
                self.enter(judge, std::mem::take(&mut chunk)).await?;
                bytes = 0;
            }
        }
        self.enter(judge, chunk).await
    }

    async fn enter(&self, judge: &Judge, entries: Vec<LineEntry>) -> Result<(), Halt> {
        if entries.is_empty() {
            return Ok(());
        }
        let (part, now_ms) = (judge.part.clone(), self.clock.now_ms());
        self.store.enter_lines(part, judge.elsewhere, judge.made_at_ms, entries, now_ms).await?;
        self.after(Step::Entered)
    }
}

fn why_not_read(part: &Part) -> String {
    match part.status.as_deref() {
        Some("lost" | "given_up" | "not_sent") => format!("{} has gone on without it", part.batch_id),
        _ => format!("its results are in {} already", part.batch_id),
    }
}

fn status_word(status: &Status) -> &'static str {
    match status {
        Status::Expired => "expired",
        Status::Cancelled => "cancelled",
        _ => "completed",
    }
}

/// OpenAI took the batch and refused its input.
fn refused(batch: &Batch) -> Failure {
    let named = batch.errors.iter().take(10).map(|error| match error.line {
        Some(line) => format!("{} in line {line}", code_only(&error.code)),
        None => code_only(&error.code),
    });
    let named: Vec<String> = named.collect();
    let why = if named.is_empty() { "no reason given".to_owned() } else { named.join(", ") };
    Failure::last(Cause::ResourceFailed, format!("OpenAI refused the batch: {why}"))
}
