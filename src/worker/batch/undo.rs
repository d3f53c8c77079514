//! Puts back what a batch has changed. The desk's own receipts say what; this
//! only drives it, a piece at a time.

use crate::domain::failure::{Cause, Failure};
use crate::store::{ClaimedJob, Settlement, Undone};
use crate::worker::Worker;
use crate::worker::attempt::{Halt, Step};

/// Lines that workers are at are waited for this long at a time, in ms.
const LINES_WAIT_MS: i64 = 1_000;

impl Worker {
    pub(in crate::worker) async fn undo_batch(&self, job: &ClaimedJob) -> Result<Settlement, Halt> {
        // A paused workflow is no reason to leave on tickets what it has done.
        self.must_not_be_paused(None)?;
        loop {
            match self.store.undo_some(job.resource_id.clone(), self.clock.now_ms()).await? {
                Undone::More => self.after(Step::Written)?,
                Undone::Done => return Ok(Settlement::Done { how: "put back".to_owned() }),
                Undone::Waits => return Ok(self.after_lines()),
            }
        }
    }

    /// Nobody's fault: the attempt does not count.
    fn after_lines(&self) -> Settlement {
        Settlement::Retry {
            failure: Failure::retryable(Cause::NotEndedYet, "lines of the batch are being applied"),
            at_ms: self.clock.now_ms() + LINES_WAIT_MS,
            counts: false,
        }
    }
}
