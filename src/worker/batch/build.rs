//! Writes the requests of a batch and sends them, part by part. An attempt goes
//! on where the one before it stopped: what is uploaded is started, what is not
//! is written anew.

use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::pick::{Prepared, Selection};
use crate::domain::failure::{Cause, Failure};
use crate::domain::submission::Kind;
use crate::store::{BuildClaim, Building, Built, ClaimedJob, NewLine, NewPart, PartToStart, Settlement, Start};
use crate::worker::attempt::{Halt, Step};
use crate::worker::{Project, Worker};
use crate::workflows::Workflow;

/// What OpenAI takes in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests.
    pub lines: i64,
    /// Bytes.
    pub bytes: i64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { lines: 50_000, bytes: 200_000_000 }
    }
}

/// Lines that are written down in one transaction.
const CHUNK: usize = 200;

/// Text that is gathered before it is written to the disk, in bytes.
const BUFFER: usize = 256 * 1024;

/// What an attempt builds.
pub(super) struct Work<'a> {
    pub(super) job: &'a ClaimedJob,
    pub(super) claim: BuildClaim,
    pub(super) building: Building,
    pub(super) workflow: &'a Workflow,
    pub(super) project: &'a Project,
}

/// The file of a part, with its rows.
pub(super) struct Written {
    pub(super) id: String,
    pub(super) file: File,
    pub(super) lines: i64,
    pub(super) bytes: i64,
}

impl Worker {
    pub(in crate::worker) async fn build_batch(&self, job: &ClaimedJob) -> Result<Settlement, Halt> {
        self.openai_must_not_be_paused()?;
        let claim = BuildClaim::of(job);
        let Some(building) = self.take_up(claim.clone()).await? else {
            return Ok(Settlement::Done { how: "sent by an earlier attempt".to_owned() });
        };
        let work = self.work_of(job, claim, building)?;
        for part in &work.building.uploaded {
            self.start_part(&work, part).await?;
        }
        while self.store.drop_unsent(work.claim.clone()).await? {}
        let mut selection = Selection::of(&work.building, &job.resource_id);
        let mut number = self.sent(&work);
        loop {
            number += 1;
            let Some(written) = self.write_part(&work, &mut selection, number).await? else { break };
            let part = self.upload_part(&work, written).await?;
            self.start_part(&work, &part).await?;
        }
        let (rules, now_ms) = (self.settings.batch, self.clock.now_ms());
        let built = self.store.batch_built(work.claim, selection.left_out(), rules, now_ms).await?;
        Ok(Settlement::Done { how: told(built) })
    }

    async fn take_up(&self, claim: BuildClaim) -> Result<Option<Building>, Halt> {
        Ok(self.store.take_up_build(claim, self.settings.batch, self.clock.now_ms()).await?)
    }

    fn work_of<'a>(&'a self, job: &'a ClaimedJob, claim: BuildClaim, building: Building) -> Result<Work<'a>, Failure> {
        self.must_not_be_paused(Some(&building.workflow))?;
        let workflow = self.workflows.named(&building.workflow).ok_or_else(|| {
            Failure::last(Cause::WorkflowMissing, "the batch's workflow is not in the settings".to_owned())
        })?;
        let project = self
            .projects
            .get(&job.project)
            .ok_or_else(|| Failure::last(Cause::Internal, "the batch's project is not in the settings".to_owned()))?;
        Ok(Work { job, claim, building, workflow, project })
    }

    fn sent(&self, work: &Work<'_>) -> i64 {
        i64::try_from(work.building.uploaded.len()).unwrap_or(i64::MAX)
    }

    /// Writes the file and the rows of the next part; none when nothing is left.
    async fn write_part(
        &self,
        work: &Work<'_>,
        selection: &mut Selection,
        number: i64,
    ) -> Result<Option<Written>, Halt> {
        let limits = self.settings.limits;
        let mut file: Option<BufWriter<File>> = None;
        let (mut lines, mut bytes, mut chunk) = (0, 0, Vec::with_capacity(CHUNK));
        while lines < limits.lines {
            let Some(Prepared { line, text }) = self.next_line(work, selection).await? else { break };
            let size = i64::try_from(text.len()).unwrap_or(i64::MAX);
            if bytes + size > limits.bytes {
                if lines == 0 {
                    selection.leave_too_large(size);
                    continue;
                }
                selection.put_back(Prepared { line, text });
                break;
            }
            let writer = match &mut file {
                Some(writer) => writer,
                None => file.insert(BufWriter::with_capacity(BUFFER, self.temporary_file()?)),
            };
            writer.write_all(&text).await.map_err(|error| disk(&error))?;
            (lines, bytes) = (lines + 1, bytes + size);
            chunk.push(line);
            if chunk.len() == CHUNK {
                self.write_down(work, number, &mut chunk).await?;
            }
        }
        let Some(mut writer) = file else { return Ok(None) };
        self.write_down(work, number, &mut chunk).await?;
        writer.flush().await.map_err(|error| disk(&error))?;
        let now_ms = self.clock.now_ms();
        let deadline_ms = self.settings.patience.deadline_at_ms(Kind::Batch, now_ms);
        let new = NewPart { number, lines, bytes, deadline_ms };
        let id = self.store.enter_part(work.claim.clone(), new, now_ms).await?;
        self.after(Step::Built)?;
        Ok(Some(Written { id, file: writer.into_inner(), lines, bytes }))
    }

    async fn write_down(&self, work: &Work<'_>, part: i64, chunk: &mut Vec<NewLine>) -> Result<(), Halt> {
        if !chunk.is_empty() {
            self.store.add_lines(work.claim.clone(), part, std::mem::take(chunk)).await?;
        }
        Ok(())
    }

    /// Without a name, and gone when it is closed: it holds ticket texts. It lies
    /// beside the database, which is where those are kept already.
    fn temporary_file(&self) -> Result<File, Failure> {
        let beside = self
            .store
            .location()
            .file()
            .and_then(std::path::Path::parent)
            .filter(|folder| !folder.as_os_str().is_empty());
        let made = match beside {
            Some(folder) => tempfile::tempfile_in(folder).or_else(|_| tempfile::tempfile()),
            None => tempfile::tempfile_in(".").or_else(|_| tempfile::tempfile()),
        };
        made.map(File::from_std).map_err(|error| disk(&error))
    }

    /// The file is OpenAI's from here on.
    async fn upload_part(&self, work: &Work<'_>, written: Written) -> Result<PartToStart, Halt> {
        let Written { id, file, lines, bytes } = written;
        self.openai_must_not_be_paused()?;
        work.job.mark_called();
        let sent = work.project.openai.upload_batch_file(&format!("{id}.jsonl"), file, bytes.unsigned_abs()).await;
        let sent = sent.map_err(|error| Failure::from(error.into_error()));
        self.watch_gate(&work.job.project, work.project, sent.as_ref().err()).await;
        let file_id = sent?;
        self.after(Step::Uploaded)?;
        self.store.part_uploaded(work.claim.clone(), id.clone(), file_id.clone()).await?;
        Ok(PartToStart { id, lines, bytes, file_id, start: Start::NotMade })
    }
}

fn told(built: Built) -> String {
    match built {
        Built { parts: 0, .. } => "nothing to do: no ticket was found that can be sent".to_owned(),
        Built { lines, parts } => {
            format!("sent: {lines} lines in {parts} {}", if parts == 1 { "part" } else { "parts" })
        }
    }
}

fn disk(error: &std::io::Error) -> Failure {
    Failure::retryable(Cause::Store, format!("the temporary file of a batch cannot be written: {}", error.kind()))
}
