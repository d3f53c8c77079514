//! From "a batch is wanted" to "OpenAI has every part", with whatever happens
//! on the way.

mod again;
mod ends;
mod sends;

use std::collections::BTreeSet;

use frontdesk::domain::batch::{Filter, Origin, Select, Wanted};
use frontdesk::store::{Batch, BuildClaim, Claim, Job, Which};
use frontdesk::submit::AskBatch;
use frontdesk::worker::Step;

use crate::harness::{LEASE_MS, TestDesk};

/// These tickets, all of them.
pub fn tickets(ids: &[&str]) -> Wanted {
    Wanted { select: Select::Tickets(ids.iter().map(|id| (*id).to_owned()).collect()), cap: None, budget_tokens: None }
}

/// What a filter finds.
pub(super) fn filter(filter: Filter) -> Wanted {
    Wanted { select: Select::Filter(filter), cap: None, budget_tokens: None }
}

impl TestDesk {
    /// A person asks for a batch.
    pub(super) async fn ask(&self, wanted: Wanted) -> String {
        let ask = AskBatch {
            project: "default".to_owned(),
            workflow: "classification".to_owned(),
            wanted,
            actor: "ada".to_owned(),
            origin: Origin::Person,
        };
        self.submitter().submit_batch(ask).await.unwrap()
    }

    pub(super) async fn batch_of(&self, id: &str) -> Batch {
        self.store.batch(id.to_owned()).await.unwrap().expect("the batch exists")
    }

    pub(super) async fn build_job(&self, id: &str) -> Job {
        self.job(id).await
    }

    /// Works until a worker stops at this step, or everything has ended.
    pub(super) async fn work_to_the_end_or_stop(&self, step: Step) {
        self.worker_that_stops(step, 1).work_until_idle().await.unwrap();
    }

    /// The claim under which the batch is being built.
    pub(super) async fn claimed_build(&self, id: &str) -> BuildClaim {
        let claim = Claim {
            worker: "another".to_owned(),
            project: "default".to_owned(),
            limit: 10,
            which: Which::SoonestForgotten,
            lease_ms: LEASE_MS,
            now_ms: self.now_ms() + LEASE_MS,
            max_attempts: 5,
        };
        let jobs = self.store.claim(claim).await.unwrap();
        BuildClaim::of(jobs.iter().find(|job| job.resource_id == id).expect("the build"))
    }

    /// The `custom_id`s that OpenAI has, of each batch, in order.
    pub(super) fn lines_at_openai(&self) -> Vec<Vec<String>> {
        let ids =
            |batch| self.openai.input_of(batch).into_iter().map(|line| line["custom_id"].as_str().unwrap().to_owned());
        (1..=self.openai.batches().len()).map(|batch| ids(batch).collect()).collect()
    }

    /// The ledger and OpenAI have the same lines, each ticket once, and the counts are those of the rows.
    pub(super) async fn assert_sent_once(&self, id: &str, expected: &[&str]) {
        let sent: Vec<String> = self.lines_at_openai().concat();
        assert_eq!(sent.iter().map(String::as_str).collect::<Vec<_>>(), expected, "in order, and none twice");
        let batch = self.batch_of(id).await;
        let lines = self.store.batch_lines(id.to_owned(), None, 0, 10_000).await.unwrap();
        let in_ledger: Vec<&str> = lines.iter().filter_map(|line| line.ticket_id.as_deref()).collect();
        assert_eq!(in_ledger, expected);
        let count = |name: &str| batch.counts.get(name).copied().unwrap_or(0);
        assert_eq!(count("lines"), i64::try_from(expected.len()).unwrap());
        let of_openai: BTreeSet<String> =
            self.openai.batches().iter().map(|batch| batch["id"].as_str().unwrap().to_owned()).collect();
        let of_parts: BTreeSet<String> = batch.parts.iter().filter_map(|part| part.resource_id.clone()).collect();
        assert_eq!(of_parts, of_openai);
    }
}
