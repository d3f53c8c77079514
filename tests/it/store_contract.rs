//! What every store must do, whatever database is behind it. Each behaviour is
//! a function of a freshly made store; [`for_every_store`] makes a test of it
//! for each kind of store.

mod alerts;
mod building;
mod checks;
mod desk;
mod effects;
mod erase;
mod failed;
mod groups;
mod growth;
mod inbox;
mod insights;
mod ledger;
mod nodes;
mod people;
mod policies;
mod queue;
mod receipts;
mod reconcile;
mod records;
mod restored;
mod review_queue;
mod reviews;
mod samples;
mod select;

use frontdesk::domain::delivery::Receipt;
use frontdesk::domain::failure::{Cause, Failure};
use frontdesk::domain::submission::Placement;
use frontdesk::store::{Claim, ClaimedJob, NewTicket, Settled, Settlement, Store, Which};

use crate::harness::{LEASE_MS, START_MS, event, signed};
use crate::support::database::{Sql, TestDatabase};

/// Makes a test of each behaviour for each kind of store. Another kind is one
/// more line here.
macro_rules! for_every_store {
    ($($behaviour:ident,)+) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(crate::store_contract::Fresh::sqlite()).await;
            })+
        }

        mod on_postgres {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(crate::store_contract::Fresh::postgres()).await;
            })+
        }

        mod behind_a_pooler {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(crate::store_contract::Fresh::behind_a_pooler()).await;
            })+
        }
    };
}
pub(crate) use for_every_store;

/// A store of its own for one behaviour.
pub struct Fresh {
    pub store: Store,
    pub database: TestDatabase,
}

impl Fresh {
    pub fn sqlite() -> Fresh {
        Fresh::of(TestDatabase::sqlite())
    }

    pub fn postgres() -> Fresh {
        Fresh::of(TestDatabase::postgres())
    }

    /// PostgreSQL behind a PgBouncer in transaction mode.
    pub fn behind_a_pooler() -> Fresh {
        Fresh::of(TestDatabase::behind_a_pooler())
    }

    fn of(database: TestDatabase) -> Fresh {
        Fresh { store: database.store(), database }
    }

    /// The database, past the store.
    pub fn sql(&self) -> Sql<'_> {
        self.database.sql()
    }

    /// Records a handled event about a resource.
    pub async fn deliver(&self, webhook_id: &str, event_id: &str, resource_id: &str) -> Receipt {
        let body = event(event_id, "response.completed", resource_id);
        self.store.record(signed("default", webhook_id, &body, START_MS)).await.unwrap()
    }

    /// `count` queued jobs about `resp_0` and so on; the numbers of the jobs follow.
    pub async fn queued(&self, count: usize) {
        for n in 0..count {
            let receipt = self.deliver(&format!("wh_{n}"), &format!("evt_{n}"), &format!("resp_{n}")).await;
            assert_eq!(receipt, Receipt::Queued);
        }
    }

    /// Claims up to `limit` jobs at a time.
    pub async fn claim_at(&self, now_ms: i64, limit: usize) -> Vec<ClaimedJob> {
        self.store.claim(claim_at(now_ms, limit)).await.unwrap()
    }

    /// Claims the one job there is to claim.
    pub async fn claim_one(&self, now_ms: i64) -> ClaimedJob {
        let mut jobs = self.claim_at(now_ms, 10).await;
        assert_eq!(jobs.len(), 1, "jobs to claim");
        jobs.remove(0)
    }

    pub async fn settle(&self, job: ClaimedJob, settlement: Settlement, now_ms: i64) -> Settled {
        self.store.settle(job, None, settlement, now_ms).await.unwrap()
    }

    pub async fn ticket(&self, id: &str) {
        let new = NewTicket {
            id: Some(id.to_owned()),
            subject: "Parcel".to_owned(),
            queue: "support".to_owned(),
            tags: vec!["vip".to_owned()],
            messages: Vec::new(),
        };
        assert!(self.store.create_ticket(new, START_MS).await.unwrap().is_some());
    }
}

pub fn claim_at(now_ms: i64, limit: usize) -> Claim {
    Claim {
        worker: "w".to_owned(),
        project: "default".to_owned(),
        limit,
        which: Which::SoonestForgotten,
        lease_ms: LEASE_MS,
        now_ms,
        max_attempts: 3,
    }
}

pub const DONE: Settled = Settled::Done { new_alert: false };

pub fn ignored() -> Settlement {
    Settlement::Ignored { reason: "nothing to do".to_owned() }
}

pub fn retry(at_ms: i64, counts: bool) -> Settlement {
    Settlement::Retry { failure: Failure::retryable(Cause::OpenAiServer, "HTTP 500"), at_ms, counts }
}

pub fn gave_up(cause: Cause) -> Settlement {
    Settlement::GaveUp { failure: Failure::last(cause, "of no use") }
}

pub fn placement(ticket_id: &str, submission_id: Option<&str>) -> Placement {
    Placement {
        ticket_id: ticket_id.to_owned(),
        workflow: "summary".to_owned(),
        submission_id: submission_id.map(str::to_owned),
        ticket_revision: None,
        made_at_ms: None,
        prompt_version: None,
        retry_of: None,
    }
}
