//! Building a batch: rows before calls, in chunks, under one claim.

use frontdesk::domain::batch::{Origin, Rules, Select, Wanted};
use frontdesk::domain::failure::{Cause, Failure};
use frontdesk::store::{BuildClaim, Fire, NewBatch, NewLine, NewPart, Scheduled, Settlement, Start, Starting, part_id};

use super::{Fresh, for_every_store};
use crate::harness::{LEASE_MS, START_MS};

for_every_store! {
    a_batch_that_is_wanted_is_taken_up_with_what_is_wanted,
    lines_of_a_part_without_a_file_are_taken_away_in_chunks_and_the_counts_with_them,
    what_is_known_of_a_start_is_told_to_the_next_attempt,
    under_a_lost_claim_nothing_is_written,
    a_schedule_that_has_moved_begins_nothing,
    a_batch_that_is_given_up_says_why,
}

fn wanted(id: &str) -> NewBatch {
    NewBatch {
        id: id.to_owned(),
        project: "default".to_owned(),
        workflow: "summary".to_owned(),
        prompt_version: "1".to_owned(),
        origin: Origin::Person,
        actor: "ada".to_owned(),
        wanted: Wanted { select: Select::Tickets(vec!["T-1".to_owned()]), cap: Some(7), budget_tokens: None },
        again_of: None,
        deadline_ms: START_MS + 1_000,
    }
}

fn lines(numbers: std::ops::Range<i64>) -> Vec<NewLine> {
    let line = |number| NewLine { ticket_id: format!("T-{number}"), revision: 1, made_at_ms: START_MS };
    numbers.map(line).collect()
}

impl Fresh {
    async fn building(&self, id: &str) -> BuildClaim {
        self.store.begin_batch(wanted(id), START_MS).await.unwrap();
        BuildClaim::of(&self.claim_one(START_MS).await)
    }

    async fn part(&self, claim: &BuildClaim, number: i64) -> String {
        let new = NewPart { number, lines: 1, bytes: 10, deadline_ms: START_MS + 1_000 };
        self.store.enter_part(claim.clone(), new, START_MS).await.unwrap()
    }

    async fn start_of(&self, claim: &BuildClaim) -> Start {
        self.store
            .take_up_build(claim.clone(), Rules::default(), START_MS)
            .await
            .unwrap()
            .unwrap()
            .uploaded
            .remove(0)
            .start
    }
}

async fn a_batch_that_is_wanted_is_taken_up_with_what_is_wanted(fresh: Fresh) {
    let claim = fresh.building("bat_1").await;
    let building = fresh.store.take_up_build(claim.clone(), Rules::default(), START_MS).await.unwrap().unwrap();
    assert_eq!((building.workflow.as_str(), building.created_at_ms), ("summary", START_MS));
    assert_eq!((building.wanted, building.uploaded), (wanted("bat_1").wanted, Vec::new()));
    fresh.store.batch_built(claim.clone(), Vec::new(), Rules::default(), START_MS).await.unwrap();
    assert!(fresh.store.take_up_build(claim, Rules::default(), START_MS).await.unwrap().is_none(), "it is built");
}

async fn lines_of_a_part_without_a_file_are_taken_away_in_chunks_and_the_counts_with_them(fresh: Fresh) {
    let claim = fresh.building("bat_1").await;
    fresh.store.add_lines(claim.clone(), 1, lines(1..6)).await.unwrap();
    let first = fresh.part(&claim, 1).await;
    fresh.store.part_uploaded(claim.clone(), first, "file-1".to_owned()).await.unwrap();
    fresh.store.add_lines(claim.clone(), 2, lines(6..506)).await.unwrap();
    fresh.part(&claim, 2).await;
    let mut chunks = 0;
    while fresh.store.drop_unsent(claim.clone()).await.unwrap() {
        chunks += 1;
    }
    assert_eq!(chunks, 3);
    let batch = fresh.store.batch("bat_1".to_owned()).await.unwrap().unwrap();
    assert_eq!((batch.counts["lines"], batch.counts["result/awaited"], batch.parts.len()), (5, 5, 1));
    let asked = ["T-5", "T-6", "T-1"].map(str::to_owned).to_vec();
    assert_eq!(fresh.store.without_line("bat_1".to_owned(), asked).await.unwrap(), ["T-6"]);
    // The part can be written anew, under the same id.
    fresh.store.add_lines(claim.clone(), 2, lines(6..7)).await.unwrap();
    assert_eq!(fresh.part(&claim, 2).await, part_id("default", "bat_1", 2));
}

async fn what_is_known_of_a_start_is_told_to_the_next_attempt(fresh: Fresh) {
    let claim = fresh.building("bat_1").await;
    let part = fresh.part(&claim, 1).await;
    fresh.store.part_uploaded(claim.clone(), part.clone(), "file-1".to_owned()).await.unwrap();
    assert_eq!(fresh.start_of(&claim).await, Start::NotMade);
    let now_ms = START_MS + 5;
    let starting = Starting { now_ms, check_at_ms: now_ms, deadline_ms: START_MS + 2_000 };
    assert!(fresh.store.part_starting(claim.clone(), part.clone(), starting).await.unwrap());
    let unknown = Start::Unknown { since_ms: START_MS, last_ms: now_ms };
    assert_eq!(fresh.start_of(&claim).await, unknown);
    let refused = Failure::last(Cause::OpenAiRefused, "no");
    fresh.store.submission_failed(part.clone(), refused, true).await.unwrap();
    assert_eq!(fresh.start_of(&claim).await, Start::NotMade);
    assert!(fresh.store.part_starting(claim.clone(), part.clone(), starting).await.unwrap());
    // Nobody hears of it for a day, and then it is there after all.
    fresh.store.age_unanswered(START_MS + 3_000, START_MS + 3_000).await.unwrap();
    assert_eq!(fresh.store.submission(part.clone()).await.unwrap().unwrap().state, "lost");
    assert_eq!(fresh.start_of(&claim).await, unknown);
    let (project, tie) = ("default".to_owned(), |id: &str| id.to_owned());
    assert!(fresh.store.part_started(project.clone(), part.clone(), tie("batch_1"), START_MS).await.unwrap());
    assert_eq!(fresh.start_of(&claim).await, Start::Made);
    let submission = fresh.store.submission(part.clone()).await.unwrap().unwrap();
    assert_eq!((submission.state.as_str(), submission.check_at_ms.is_some()), ("started", true));
    assert!(!fresh.store.part_starting(claim.clone(), part.clone(), starting).await.unwrap(), "OpenAI has it");
    assert!(!fresh.store.part_started(project, part, tie("batch_2"), START_MS).await.unwrap(), "the first one counts");
}

async fn under_a_lost_claim_nothing_is_written(fresh: Fresh) {
    let old = fresh.building("bat_1").await;
    let part = fresh.part(&old, 1).await;
    let new = BuildClaim::of(&fresh.claim_one(START_MS + LEASE_MS).await);
    let starting = Starting { now_ms: 0, check_at_ms: 0, deadline_ms: 0 };
    let store = &fresh.store;
    assert!(store.take_up_build(old.clone(), Rules::default(), START_MS).await.is_err());
    assert!(store.drop_unsent(old.clone()).await.is_err());
    assert!(store.add_lines(old.clone(), 1, lines(1..2)).await.is_err());
    assert!(store.part_uploaded(old.clone(), part.clone(), "file-1".to_owned()).await.is_err());
    assert!(store.part_starting(old.clone(), part, starting).await.is_err());
    assert!(store.batch_built(old, Vec::new(), Rules::default(), START_MS).await.is_err());
    assert!(store.take_up_build(new, Rules::default(), START_MS).await.unwrap().is_some());
}

async fn a_schedule_that_has_moved_begins_nothing(fresh: Fresh) {
    let note = |stated: &str, next| fresh.store.note_schedule("nightly".to_owned(), stated.to_owned(), next);
    note("a", 10).await.unwrap();
    note("a", 20).await.unwrap();
    let seen = fresh.store.schedules().await.unwrap().remove(0);
    assert_eq!((seen.next_at_ms, seen.last_at_ms), (10, None), "the same times are no news");
    let fire = |seen: &Scheduled, id: &str| Fire { seen: seen.clone(), next_at_ms: 30, begins: Some((10, wanted(id))) };
    assert!(fresh.store.fire_schedule(fire(&seen, "bat_1"), START_MS).await.unwrap());
    assert!(!fresh.store.fire_schedule(fire(&seen, "bat_2"), START_MS).await.unwrap());
    note("b", 40).await.unwrap();
    let moved = fresh.store.schedules().await.unwrap().remove(0);
    assert_eq!((moved.next_at_ms, moved.last_batch.as_deref()), (40, Some("bat_1")));
    let other = Scheduled { stated: "a".to_owned(), ..moved };
    assert!(!fresh.store.fire_schedule(fire(&other, "bat_3"), START_MS).await.unwrap());
    for (id, is_there) in [("bat_1", true), ("bat_2", false), ("bat_3", false)] {
        assert_eq!(fresh.store.batch(id.to_owned()).await.unwrap().is_some(), is_there, "{id}");
    }
}

async fn a_batch_that_is_given_up_says_why(fresh: Fresh) {
    fresh.store.begin_batch(wanted("bat_1"), START_MS).await.unwrap();
    let job = fresh.claim_one(START_MS).await;
    let failure = Failure::last(Cause::OpenAiRefused, "HTTP 400 too_much");
    fresh.store.settle(job, None, Settlement::GaveUp { failure }, START_MS).await.unwrap();
    let batch = fresh.store.batch("bat_1".to_owned()).await.unwrap().unwrap();
    assert_eq!((batch.state.word(), batch.error.as_deref()), ("failed", Some("openai_refused: HTTP 400 too_much")));
}
