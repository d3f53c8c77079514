//! The audit finds each way in which work can end silently: every fault is
//! planted in the database of a desk where all went well, and must be found.

use frontdesk::domain::person::{Person, Role};
use frontdesk::domain::review::Action;
use frontdesk::store::{Act, AuditAt, Finding, RECEIVED};
use serde_json::json;

use crate::fake_openai::{completed, ended, to};
use crate::harness::{DEADLINE_MS, OVERDUE_MS, TestDesk};
use crate::worker::batches::classified;

/// One of each: applied, held, approved, superseded, failed, discarded, under way.
async fn busy_desk() -> TestDesk {
    made_busy(TestDesk::open().await).await
}

pub async fn made_busy(mut desk: TestDesk) -> TestDesk {
    desk.ticket("T-1", "Where is my parcel?").await;
    desk.started("sub_1", "T-1", "summary", "resp_applied").await;
    desk.clock.advance(1);
    desk.started("sub_2", "T-1", "draft_reply", "resp_held").await;
    desk.openai.put(&completed("resp_applied", "A summary.", &json!({})));
    let reply = |text: &str| json!({"reply": text, "confidence": 0.9, "topics": []}).to_string();
    desk.openai.put(&completed("resp_held", &reply("Soon."), &json!({})));
    desk.openai.put(&completed("resp_lost_ticket", "A summary.", &to("T-9", "summary")));
    let mut failed = ended("resp_failed", "failed", json!([]), &to("T-1", "summary"));
    failed["error"] = json!({"code": "invalid_prompt"});
    desk.openai.put(&failed);
    failed["id"] = json!("resp_again");
    failed["error"] = json!({"code": "server_error"});
    desk.openai.put(&failed);
    for resource in ["resp_applied", "resp_held", "resp_lost_ticket", "resp_failed", "resp_again"] {
        desk.tell(resource).await;
    }
    desk.work_to_the_end(&desk.worker()).await;
    desk.deliver("wh_odd", "evt_odd", "response.daydreamed", "resp_odd").await;
    desk.store
        .set_conditions(RECEIVED, vec![("response.daydreamed".to_owned(), "1".to_owned())], desk.now_ms())
        .await
        .unwrap();
    desk.begin("sub_3", "T-1", "summary").await;
    let review = desk.reviews_of("resp_held").await.remove(0);
    let act = Act {
        review: review.id,
        version: None,
        person: Person { name: "lena".to_owned(), role: Role::Agent },
        action: Action::yes(),
        lease_ms: 1,
        now_ms: desk.now_ms(),
    };
    desk.store.act_on_review(act).await.unwrap().unwrap().unwrap();
    a_batch_under_way(&mut desk).await;
    desk.leaves_work("the approval waits for its undo window");
    desk
}

/// One line applied, and one to come in an hour.
async fn a_batch_under_way(desk: &mut TestDesk) {
    desk.settings.batch.pace = 1;
    let lines = ["T-5", "T-6"].map(|ticket| classified(ticket, "shipping", "high"));
    for ticket in ["T-5", "T-6"] {
        desk.ticket(ticket, "Where is my parcel?").await;
    }
    desk.batch_ends("completed", &lines, &[]).await;
    desk.sql()
        .execute("UPDATE jobs SET claimable_at = claimable_at + 3600000 WHERE kind = 'line' AND state = 'queued'", [])
        .unwrap();
}

async fn findings(desk: &TestDesk, later_ms: i64) -> Vec<Finding> {
    let at = AuditAt { now_ms: desk.now_ms() + later_ms, overdue_ms: OVERDUE_MS };
    desk.store.audit(at).await.unwrap().findings
}

#[tokio::test]
async fn a_desk_where_all_went_well_has_no_findings() {
    let desk = busy_desk().await;
    assert_eq!(findings(&desk, 0).await, []);
    let audit = desk.store.audit(AuditAt { now_ms: 0, overdue_ms: 0 }).await.unwrap();
    assert!(audit.checked.iter().all(|(kind, count)| *count > 0 || *kind == "x"), "{:?}", audit.checked);
}

/// The rule that must find it, and the fault.
const FAULTS: [(&str, &str); 25] = [
    (
        "its lease ended and nobody claims it",
        "UPDATE jobs SET state = 'processing', worker = 'w', outcome = NULL, claimable_at = 1 WHERE resource_id = 'resp_applied'",
    ),
    (
        "it could be worked on, and has waited too long",
        "UPDATE jobs SET state = 'queued', outcome = NULL, claimable_at = 1 WHERE resource_id = 'resp_applied'",
    ),
    (
        "it could be worked on, and has waited too long",
        "UPDATE jobs SET state = 'failed_retryable', error_cause = 'store', outcome = NULL, claimable_at = 1 WHERE resource_id = 'resp_applied'",
    ),
    ("it failed for good, and nobody was told", "DELETE FROM alerts"),
    (
        "it failed for good, and nobody was told",
        "UPDATE jobs SET error_cause = 'internal' WHERE resource_id = 'resp_failed'",
    ),
    (
        "it says that it changed the ticket, and there is no such change",
        "DELETE FROM effects WHERE resource_id = 'resp_applied'",
    ),
    (
        "it says that a person decides, and there is no review",
        "DELETE FROM reviews WHERE resource_id = 'resp_lost_ticket'",
    ),
    (
        "it ended without a change, and gives no reason",
        "UPDATE jobs SET outcome = 'ignored', reason = NULL WHERE resource_id = 'resp_applied'",
    ),
    (
        "it ended without a change, and gives no reason",
        "UPDATE jobs SET outcome = 'discarded', reason = '' WHERE resource_id = 'resp_failed'",
    ),
    (
        "it was superseded by nothing",
        "UPDATE jobs SET outcome = 'superseded', reason = 'x' WHERE resource_id = 'resp_applied'",
    ),
    (
        "it is written down, its job has ended, and nobody knows whether it is there",
        "UPDATE effects SET state = 'applying', applied_at = NULL WHERE resource_id = 'resp_applied'",
    ),
    (
        "it was stored with work to do, and there is no job",
        "UPDATE jobs SET key = 'event/other' WHERE resource_id = 'resp_applied'",
    ),
    ("it was approved, and nothing carries it out", "DELETE FROM jobs WHERE kind = 'approval'"),
    ("it is parked without a job, and nobody was told", "DELETE FROM alerts WHERE kind = 'received'"),
    (
        "it was approved, and nothing carries it out",
        "UPDATE jobs SET state = 'processed', outcome = 'ignored', reason = 'x', claimable_at = NULL WHERE kind = 'approval'",
    ),
    (
        "OpenAI refused to start it, and nobody was told",
        "UPDATE submissions SET state = 'refused', resource_id = NULL, check_at = NULL WHERE origin = 'resubmit'",
    ),
    ("it was lost, and nobody was told", "UPDATE submissions SET state = 'lost', check_at = NULL WHERE id = 'sub_3'"),
    (
        "it has ended, and nothing says how",
        "UPDATE submissions SET state = 'ended', check_at = NULL WHERE id = 'sub_3'",
    ),
    ("it is to be built, and nothing builds it", "UPDATE batches SET state = 'building'"),
    ("it is being applied, and no line of it moves", "UPDATE batches SET in_flight = 0"),
    ("it counts other lines as under way than there are", "UPDATE batches SET in_flight = 2"),
    (
        "it counts other lines as under way than there are",
        "UPDATE batch_lines SET fate = 'skipped' WHERE fate = 'queued'",
    ),
    ("it is under way, and has no job", "DELETE FROM jobs WHERE resource_id = 'batch_1/T-6'"),
    (
        "it is under way, and has no job",
        "UPDATE jobs SET state = 'processed', outcome = 'ignored', reason = 'x', claimable_at = NULL WHERE resource_id = 'batch_1/T-6'",
    ),
    ("it is to be undone, and nothing undoes it", "UPDATE batches SET undone_by = 'mia'"),
];

#[tokio::test]
async fn every_planted_fault_is_found() {
    for (rule, fault) in FAULTS {
        let mut desk = busy_desk().await;
        let planted = desk.sql().with(|connection| {
            connection.execute_batch(match connection.sqlite() {
                Some(_) => "PRAGMA foreign_keys = OFF; PRAGMA busy_timeout = 5000",
                None => "SET session_replication_role = replica",
            })?;
            connection.execute(fault, [])
        });
        assert!(planted.unwrap() > 0, "{fault}");
        // Later, for what is parked; nothing else is late by then.
        let found: Vec<_> = findings(&desk, OVERDUE_MS + 1).await.iter().map(|finding| finding.rule).collect();
        assert!(found.contains(&rule), "{fault}: {found:?}");
        desk.is_spoiled();
    }
}

#[tokio::test]
async fn time_alone_turns_waiting_into_findings() {
    let desk = busy_desk().await;
    let rules = |found: Vec<Finding>| found.into_iter().map(|finding| finding.rule).collect::<Vec<_>>();
    assert_eq!(rules(findings(&desk, OVERDUE_MS).await), Vec::<&str>::new());
    assert_eq!(
        rules(findings(&desk, OVERDUE_MS + 5_001).await),
        ["it could be worked on, and has waited too long"],
        "the approval's job"
    );
    assert!(rules(findings(&desk, DEADLINE_MS + 1).await).contains(&"it is past its deadline"));
}
