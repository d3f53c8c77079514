//! Writes the requests of a batch and sends them.

use crate::domain::failure::{Cause, Failure};
use crate::store::{ClaimedJob, Settlement};
use crate::worker::Worker;
use crate::worker::attempt::Halt;

impl Worker {
    pub(in crate::worker) async fn build_batch(&self, _job: &ClaimedJob) -> Result<Settlement, Halt> {
        Err(Failure::last(Cause::Internal, "not built yet").into())
    }
}
