//! Fetches what the event told of, and keeps it at once.

use super::attempt::{Halt, Step};
use super::{Project, Worker};
use crate::domain::failure::{Cause, Failure};
use crate::domain::job;
use crate::domain::resource::{Resource, Status};
use crate::domain::submission::Kind;
use crate::openai::{self, Fetched};
use crate::store::{ClaimedJob, Kept};

impl Worker {
    /// The resource, as it ended. Decisions are made from its *fetched* status:
    /// the event's type may be late, repeated or out of order.
    pub(super) async fn retrieve(&self, job: &ClaimedJob) -> Result<(Resource, Option<Kept>), Halt> {
        if let Some(raw) = &job.kept {
            let resource = if of_batch(job) {
                Resource::Batch(openai::read::batch(raw)?)
            } else {
                Resource::Response(openai::read::response(raw)?)
            };
            mark_used(job, &resource);
            return Ok((resource, None));
        }
        if job.kind == job::Kind::Line {
            return Err(
                Failure::last(Cause::LostToRetention, "the line's output was erased before it was applied").into()
            );
        }
        self.openai_must_not_be_paused()?;
        job.mark_called();
        let kind = if of_batch(job) { Kind::Batch } else { Kind::Response };
        let fetched = self.ask(&job.project, kind, &job.resource_id).await?;
        self.after(Step::Retrieved)?;
        must_have_ended(&fetched)?;
        let Fetched { resource, raw, .. } = fetched;
        mark_used(job, &resource);
        // On its way to the disk before anything is done with it, and there before
        // the job ends: neither OpenAI's forgetting nor a helpdesk that is down can
        // lose it.
        let kept =
            self.store.keep_result(job.project.clone(), job.resource_id.clone(), raw, self.clock.now_ms()).await?;
        self.after(Step::Kept)?;
        Ok((resource, Some(kept)))
    }

    /// Asks OpenAI for a resource, and heeds how it treats the project.
    pub(super) async fn ask(&self, name: &str, kind: Kind, resource_id: &str) -> Result<Fetched, Failure> {
        let project = self
            .projects
            .get(name)
            .ok_or_else(|| Failure::last(Cause::Internal, format!("project {name} is not in the configuration")))?;
        let fetched = match kind {
            Kind::Batch => project.openai.batch(resource_id).await,
            Kind::Response => project.openai.response(resource_id).await,
        };
        let fetched = match fetched {
            // One resource that is not ours to read must not look like a refused key.
            Err(error) if error.status() == Some(403) && project.gate.forbids_only(resource_id) => {
                return Err(Failure::last(Cause::OpenAiRefused, format!("{error}, while other calls are accepted")));
            }
            fetched => fetched.map_err(Failure::from),
        };
        self.watch_gate(name, project, fetched.as_ref().err()).await;
        fetched
    }

    /// Tells the project's gate how OpenAI treated us.
    pub(super) async fn watch_gate(&self, name: &str, project: &Project, failure: Option<&Failure>) {
        let now_ms = self.clock.now_ms();
        match failure {
            Some(failure) if failure.cause().pauses() => {
                if project.gate.refuse(now_ms) {
                    self.alert(failure.cause(), name, &failure.to_string()).await;
                }
            }
            Some(Failure::Retryable { cause: Cause::OpenAiRateLimited, retry_after_ms: Some(wait), .. }) => {
                project.gate.quiet(now_ms + wait)
            }
            // No answer shows nothing of the key, and neither does one that a proxy may have given.
            Some(failure)
                if matches!(
                    failure.cause(),
                    Cause::OpenAiUnreachable | Cause::OpenAiServer | Cause::OpenAiUnreadable
                ) => {}
            _ => {
                if project.gate.accept() {
                    self.recover(name).await;
                }
            }
        }
    }
}

/// A line's share is in what its batch has cost.
fn mark_used(job: &ClaimedJob, resource: &Resource) {
    if job.kind == job::Kind::Ending {
        job.mark_used(match resource {
            Resource::Response(response) => response.usage,
            Resource::Batch(batch) => batch.usage,
        });
    }
}

fn of_batch(job: &ClaimedJob) -> bool {
    job.kind == job::Kind::Ending && job.event_type.starts_with("batch.")
}

/// A webhook can be ahead of what a GET shows.
fn must_have_ended(fetched: &Fetched) -> Result<(), Failure> {
    match still_moving(&fetched.resource) {
        Some(word) => Err(Failure::Retryable {
            cause: Cause::NotEndedYet,
            detail: format!("OpenAI still says {}", word.chars().take(40).collect::<String>().escape_debug()),
            retry_after_ms: fetched.poll_after_ms,
        }),
        None => Ok(()),
    }
}

/// OpenAI's word for where it stands, when that is no end that we know.
pub(super) fn still_moving(resource: &Resource) -> Option<&str> {
    let status = match resource {
        Resource::Response(response) => &response.status,
        Resource::Batch(batch) => &batch.status,
    };
    match status {
        Status::Moving(word) | Status::Unknown(word) => Some(word),
        _ => None,
    }
}
