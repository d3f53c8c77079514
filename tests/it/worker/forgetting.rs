//! Content that is erased is gone: from the rows, from the bytes of the files
//! and from a backup; and nothing brings it back.

use std::collections::BTreeSet;
use std::path::Path;

use frontdesk::domain::job::State;
use frontdesk::domain::person::{Person, Role};
use frontdesk::domain::review::{Action, RejectReason};
use frontdesk::domain::ticket::{Author, Visibility};
use frontdesk::store::{
    Act, BackupError, Content, Erased, Erasure, Location, NewTicket, NotErased, Step, Store, TicketPatch,
};
use serde_json::{Value, json};

use crate::canary::found_in;
use crate::fake_openai::{completed, ended, message, to};
use crate::harness::{RETENTION_MS, TestDesk, event, signed};
use crate::worker::batches::{answered, classified};

/// One for each place that a ticket's content comes in by.
const WORDS: [&str; 17] = [
    "canary-call",
    "canary-transcript",
    "canary-subject",
    "canary-message",
    "canary-internal",
    "canary-tag",
    "canary-intent",
    "canary-body",
    "canary-summary",
    "canary-draft",
    "canary-edited",
    "canary-refusal",
    "canary-tool-error",
    "canary-rejected",
    "canary-said",
    "canary-line-waiting",
    "canary-line-held",
];
const BYSTANDER: &str = "bystander-words";

impl TestDesk {
    async fn full_ticket(&self, id: &str) {
        let new = NewTicket {
            id: Some(id.to_owned()),
            subject: "canary-subject".to_owned(),
            queue: "support".to_owned(),
            tags: vec!["canary-tag".to_owned()],
            messages: vec![(Author::Customer, format!("canary-message {}", "long ".repeat(2000)))],
        };
        self.store.create_ticket(new, self.now_ms()).await.unwrap().unwrap();
        let (agent, internal) = (Author::Agent, Visibility::Internal);
        self.store.add_message(id.into(), agent, internal, "canary-internal".into(), self.now_ms()).await.unwrap();
        let patch = TicketPatch { intent: Some("canary-intent".to_owned()), ..TicketPatch::default() };
        self.store.patch_ticket(id.into(), patch, self.now_ms()).await.unwrap();
    }

    /// An ending of this response, told twice, in bodies that say too much.
    async fn ends(&self, resource: &Value) {
        self.openai.put(resource);
        let id = resource["id"].as_str().unwrap();
        for copy in ["a", "b"] {
            let mut body: Value = serde_json::from_str(&event(&format!("evt_{id}"), "response.completed", id)).unwrap();
            body["data"]["more"] = json!(format!("canary-body {copy}"));
            self.deliver_to("default", &format!("wh_{id}_{copy}"), &body.to_string()).await;
        }
        self.work().await;
    }

    async fn decide(&self, resource_id: &str, action: Action) {
        let review = self.reviews_of(resource_id).await.remove(0);
        let act = Act {
            review: review.id,
            version: None,
            person: Person { name: "lena".to_owned(), role: Role::Agent },
            action,
            lease_ms: 300_000,
            now_ms: self.now_ms(),
        };
        self.store.act_on_review(act).await.unwrap().expect("it is there").expect("it is allowed");
    }

    /// Every kind of row that can hold a ticket's content.
    async fn every_ending(&self) {
        let draft = |text: &str| json!({"reply": text, "confidence": 0.99, "topics": []}).to_string();
        let refusal = json!([{"type": "message", "role": "assistant", "status": "completed",
                              "content": [{"type": "refusal", "refusal": "canary-refusal"}]}]);
        let failed_tool = json!([{"type": "mcp_call", "name": "t", "error": {"type": "x", "message": "canary-tool-error"}},
                                 message("canary-summary again")]);
        self.ends(&completed("resp_note", "canary-summary", &to("T-1", "summary"))).await;
        let route = r#"{"intent":"shipping","priority":"high","confidence":0.99,"topics":[]}"#;
        self.ends(&completed("resp_route", route, &to("T-1", "classification"))).await;
        self.ends(&ended("resp_refused", "completed", refusal, &to("T-1", "draft_reply"))).await;
        self.ends(&ended("resp_tool", "completed", failed_tool, &to("T-1", "summary"))).await;
        let call = r#"{"outcome":"resolved","summary":"canary-call","follow_ups":[],"transcript":"canary-transcript"}"#;
        self.ends(&completed("resp_call", call, &to("T-1", "call_report"))).await;
        // The check that the report has started.
        let check = r#"{"score":90,"findings":[]}"#;
        self.ends(&completed("resp_new_1", check, &to("T-1", "quality_check"))).await;
        self.ends(&completed("resp_no", &draft("canary-rejected"), &to("T-1", "draft_reply"))).await;
        let said = "canary-said".to_owned();
        self.decide("resp_no", Action::Reject { reason: RejectReason::Other, said }).await;
        self.ends(&completed("resp_yes", &draft("canary-draft"), &to("T-1", "draft_reply"))).await;
        self.decide("resp_yes", Action::yes_with("canary-edited")).await;
        self.work_to_the_end(&self.worker()).await;
    }

    /// A batch that waits for a person, and one of which a line was held.
    async fn every_line(&mut self) {
        let batch = |id: &str, file: &str| {
            json!({"id": id, "object": "batch", "endpoint": "/v1/responses", "status": "completed", "created_at": 1_780_000_000,
                   "metadata": {"workflow": "classification"}, "output_file_id": file, "error_file_id": null})
        };
        let held = answered("T-1", json!([message("canary-line-held")]));
        self.openai.put_file("file-held", &held);
        self.openai.put(&batch("batch_held", "file-held"));
        let waiting =
            [answered("T-1:a", json!([message("canary-line-waiting")])), classified("T-1:b", "shipping", "high")];
        self.openai.put_file("file-waiting", &waiting.join("\n"));
        self.openai.put(&batch("batch_waiting", "file-waiting"));
        self.tell("batch_held").await;
        self.work().await;
        self.settings.batch.preview_over = 0;
        self.tell("batch_waiting").await;
        self.work().await;
        assert_eq!(self.store.batch("batch_waiting".to_owned()).await.unwrap().unwrap().state.word(), "waiting");
    }

    async fn erase(&self, ticket_id: &str) -> Result<Erased, NotErased> {
        let asked =
            Erasure::new(ticket_id.to_owned(), "ana".to_owned(), "the customer asked".to_owned(), self.now_ms());
        let erased = self.store.erase_ticket(asked.unwrap()).await.unwrap();
        if erased.is_ok() {
            let scrubbed = self.store.scrub(false).await.unwrap();
            let is_file = self.store.location().file().is_some();
            assert_eq!(scrubbed.map(|done| (done.compacted, done.log_emptied)), is_file.then_some((true, true)));
        }
        erased
    }

    fn count(&self, query: &str) -> i64 {
        self.sql().query_row(query, [], |row| row.get(0)).unwrap()
    }
}

fn backup(desk: &TestDesk, name: &str) -> std::path::PathBuf {
    let to = desk.file().with_file_name(name);
    Store::backup(desk.file(), &to, desk.now_ms()).unwrap();
    to
}

#[tokio::test]
async fn of_an_erased_ticket_no_word_is_left_in_the_rows_the_files_or_a_backup() {
    let mut desk = TestDesk::open().await;
    desk.full_ticket("T-1").await;
    desk.ticket("T-2", BYSTANDER).await;
    desk.every_ending().await;
    desk.every_line().await;
    desk.ends(&completed("resp_other", "bystander-words of the model", &to("T-2", "summary"))).await;
    assert_eq!(desk.found(&WORDS), WORDS, "every word did come in");
    if desk.store.location().file().is_some() {
        assert_eq!(found_in(&std::fs::read(backup(&desk, "before.db")).unwrap(), &WORDS), WORDS);
    }

    let states =
        "SELECT string_agg(state || reason || ticket_id, ',') FROM (SELECT * FROM reviews ORDER BY seq) AS ordered";
    let erased = desk.erase("T-1").await.unwrap();
    assert!(erased.counts.iter().all(|(_, count)| *count > 0), "{erased:?}");
    assert_eq!(desk.found(&WORDS), ["canary-body"], "T-2 has bodies of its own");
    if desk.store.location().file().is_some() {
        assert_eq!(found_in(&std::fs::read(backup(&desk, "after.db")).unwrap(), &WORDS), ["canary-body"]);
    }
    let bodies = "SELECT string_agg(delivery_id, ',') FROM (SELECT * FROM deliveries WHERE body IS NOT NULL ORDER BY seq) AS ordered";
    let left: String = desk.sql().query_row(bodies, [], |row| row.get(0)).unwrap();
    let whole_batches = "wh_batch_held,wh_batch_waiting";
    assert_eq!(left, format!("{whole_batches},wh_resp_other_a,wh_resp_other_b"), "those name no ticket");
    assert_eq!(desk.found(&[BYSTANDER]), [BYSTANDER], "nobody else lost a word");

    let ticket = desk.read_ticket("T-1").await;
    assert_eq!((ticket.subject.as_str(), ticket.erased_at_ms), ("", Some(desk.now_ms())));
    assert_eq!((ticket.queue.as_str(), ticket.priority.as_str()), ("logistics", "high"), "states stay");
    assert!(ticket.messages.len() >= 3 && ticket.messages.iter().all(|message| message.body.is_empty()));
    let told: String = desk.sql().query_row(states, [], |row| row.get(0)).unwrap();
    assert!(told.contains("rejected") && told.contains("approved") && told.contains("expired"), "{told}");
    let trail = desk.store.audit_trail(Some("T-1".to_owned()), None, crate::harness::ALL).await.unwrap().items;
    assert_eq!((trail[0].actor.as_str(), trail[0].action.as_str()), ("ana", "ticket.erase"));
    assert!(desk.store.trail("T-1".to_owned()).await.unwrap().is_some(), "`why` still answers");
}

/// Grows tickets until rows that were pushed onto other pages have left copies
/// behind, and gives one of those tickets: `T-N` with `canary-N-` in it.
fn with_copies_left_behind(desk: &TestDesk) -> usize {
    let sql = rusqlite::Connection::open(desk.file()).unwrap();
    sql.execute_batch("PRAGMA secure_delete = ON; PRAGMA synchronous = OFF").unwrap();
    for n in 0..300 {
        sql.execute(
            "INSERT INTO tickets (id, seq, subject, queue, created_at, updated_at)
             VALUES ('T-' || ?1, ?1 + 1, 'canary-' || ?1 || '-' || hex(zeroblob(?1 * 37 % 97)), 'support', 1, 1)",
            [n],
        )
        .unwrap();
    }
    for round in 0..300 {
        let row = round * 7919 % 300;
        let longer = "UPDATE tickets SET subject = 'canary-' || ?1 || '-' || hex(zeroblob(?2)) WHERE id = 'T-' || ?1";
        sql.execute(longer, [row, 50 + round * 97 % 700]).unwrap();
        sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        let bytes = std::fs::read(desk.file()).unwrap();
        let mut seen = BTreeSet::new();
        let text = String::from_utf8_lossy(&bytes);
        let mut numbers = text.split("canary-").skip(1).filter_map(|rest| rest.split('-').next()?.parse().ok());
        if let Some(twice) = numbers.find(|number| !seen.insert(*number)) {
            return twice;
        }
    }
    panic!("no row was copied");
}

#[tokio::test]
async fn copies_that_the_database_left_behind_when_it_moved_rows_are_gone_as_well() {
    let desk = TestDesk::open_in_a_file().await;
    let found = with_copies_left_behind(&desk);
    desk.erase(&format!("T-{found}")).await.unwrap();
    assert_eq!(desk.found(&[&format!("canary-{found}-")]), Vec::<&str>::new());
}

#[tokio::test]
async fn a_result_that_comes_after_the_erasure_changes_nothing_and_leaves_nothing() {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    desk.started("sub_1", "T-1", "summary", "resp_late").await;
    desk.started("sub_2", "T-1", "draft_reply", "resp_held").await;
    desk.clock.advance(1_000);
    desk.erase("T-1").await.unwrap();
    desk.ends(&completed("resp_late", "canary-summary", &to("T-1", "summary"))).await;
    let reply = r#"{"reply":"canary-draft","confidence":0.9,"topics":[]}"#;
    desk.ends(&completed("resp_held", reply, &to("T-1", "draft_reply"))).await;
    for resource in ["resp_late", "resp_held"] {
        let job = desk.job(resource).await;
        assert_eq!((job.status, job.outcome.as_deref()), (State::Processed, Some("ignored")));
        assert!(job.reason.unwrap().contains("erased"));
        assert!(desk.reviews_of(resource).await.is_empty());
    }
    let ticket = desk.read_ticket("T-1").await;
    assert!(ticket.messages.len() == 1 && ticket.drafts.is_empty());
    desk.store.scrub(false).await.unwrap();
    assert_eq!(desk.found(&WORDS), Vec::<&str>::new());

    desk.clock.advance(1_000);
    desk.started("sub_3", "T-1", "summary", "resp_new").await;
    desk.ends(&completed("resp_new", "about what was written since", &to("T-1", "summary"))).await;
    assert_eq!(desk.job("resp_new").await.outcome.as_deref(), Some("applied"), "the ticket may go on");
}

#[tokio::test]
async fn where_only_ids_are_kept_content_lives_as_long_as_somebody_works_on_it() {
    let mut desk = TestDesk::open().await;
    desk.settings.keeping.ids_only.insert("default".to_owned());
    desk.ticket("T-1", "Where is my parcel?").await;
    let draft = |text: &str| json!({"reply": text, "confidence": 0.9, "topics": []}).to_string();
    for (id, text, workflow) in [
        ("resp_note", "canary-summary".to_owned(), "summary"),
        ("resp_yes", draft("canary-draft"), "draft_reply"),
        ("resp_no", draft("canary-rejected"), "draft_reply"),
    ] {
        desk.openai.put(&completed(id, &text, &to("T-1", workflow)));
        let body = event(&format!("evt_{id}"), "response.completed", id);
        let delivery = signed("default", &format!("wh_{id}"), &body, desk.now_ms()).without_body();
        desk.store.record(delivery).await.unwrap();
    }
    desk.work().await;
    for none in [
        "SELECT count(*) FROM deliveries WHERE body IS NOT NULL",
        "SELECT count(*) FROM results WHERE raw IS NOT NULL",
        "SELECT count(*) FROM effects WHERE payload IS NOT NULL",
        "SELECT count(*) FROM reviews WHERE ticket IS NOT NULL",
    ] {
        assert_eq!(desk.count(none), 0, "{none}");
    }
    desk.worker().tidy().await;
    let shown = "SELECT count(*) FROM reviews WHERE output IS NOT NULL AND reply IS NOT NULL AND seen IS NOT NULL";
    assert_eq!(desk.count(shown), 2, "whoever decides must see it");
    desk.decide("resp_no", Action::Reject { reason: RejectReason::Tone, said: "tone".to_owned() }).await;
    desk.decide("resp_yes", Action::yes()).await;
    desk.worker().tidy().await;
    assert_eq!(desk.count(shown), 2, "both can be taken back");
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.count(shown), 1, "what was sent is gone with the end of its job");
    desk.worker().tidy().await;
    assert_eq!(desk.count(shown), 0);
    assert_eq!(desk.count("SELECT count(*) FROM reviews WHERE decision_reason = 'tone'"), 1);
    let sent = desk.read_ticket("T-1").await.messages;
    assert!(sent.iter().any(|message| message.body == "canary-draft"), "the ticket is the helpdesk's");
}

#[tokio::test]
async fn the_janitor_erases_what_is_old_enough_and_nothing_else() {
    let desk = TestDesk::open().await;
    desk.full_ticket("T-1").await;
    desk.every_ending().await;
    let full = "SELECT (SELECT count(*) FROM deliveries WHERE body IS NOT NULL), (SELECT count(*) FROM results WHERE raw IS NOT NULL),
                (SELECT count(*) FROM effects WHERE payload IS NOT NULL), (SELECT count(*) FROM reviews WHERE output IS NOT NULL)";
    let read = || -> (i64, i64, i64, i64) {
        desk.sql().query_row(full, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap()
    };
    let before = read();
    desk.clock.advance(RETENTION_MS - 60_000);
    desk.worker().tidy().await;
    assert_eq!(read(), before);
    desk.clock.advance(120_000);
    desk.worker().tidy().await;
    assert_eq!(read(), (0, 0, 0, before.3));
    desk.clock.advance(2 * RETENTION_MS);
    desk.worker().tidy().await;
    assert_eq!(read(), (0, 0, 0, 0));
    assert_eq!(desk.count("SELECT count(*) FROM reviews WHERE state IN ('open','claimed')"), 0);
    let idle = Step { content: Content::Bodies, before_ms: desk.now_ms(), ids_only: Vec::new(), now_ms: desk.now_ms() };
    assert_eq!(desk.store.erase_step(idle).await.unwrap().erased, 0);
}

#[tokio::test]
async fn a_backup_is_a_whole_database_that_only_its_owner_reads_and_never_goes_over_a_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = TestDesk::open_in_a_file().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    let to = backup(&desk, "copy.db");
    assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    let copy = Store::open(&Location::Sqlite(to.clone()), false).unwrap();
    assert_eq!(copy.ticket("T-1".to_owned()).await.unwrap(), desk.store.ticket("T-1".to_owned()).await.unwrap());
    let bytes = std::fs::read(&to).unwrap();
    assert!(matches!(Store::backup(desk.file(), &to, 1), Err(BackupError::Exists(_))));
    assert_eq!(std::fs::read(&to).unwrap(), bytes);
    let broken = desk.file().with_file_name("broken.db");
    std::fs::write(&broken, "no database").unwrap();
    let target = desk.file().with_file_name("never.db");
    assert!(Store::backup(&broken, &target, 1).is_err() && !target.exists());
    assert!(Store::backup(desk.file(), Path::new("/no/such/folder/copy.db"), 1).is_err());
}
