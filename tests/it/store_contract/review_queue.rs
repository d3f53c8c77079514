//! The queue of reviews, as the people see it who clear it.

use frontdesk::domain::decision::Hold;
use frontdesk::domain::effect::Effect;
use frontdesk::domain::hold::HoldReason;
use frontdesk::domain::person::{Person, Role};
use frontdesk::domain::review::{Action, RejectReason};
use frontdesk::store::{Act, Change, NewReview, PageRequest, QueueFilter, Review, Settlement};

use super::{Fresh, for_every_store, placement};
use crate::harness::START_MS;

for_every_store! {
    what_waits_is_listed_oldest_first_and_by_reason_topic_workflow_and_holder,
    the_next_is_the_oldest_that_the_person_may_decide_and_nobody_has,
    the_next_after_one_goes_on_behind_it_and_comes_round_to_those_before,
    what_somebody_approved_first_is_next_for_another_person_only,
    of_many_people_at_once_no_two_get_the_same,
    what_is_decided_together_is_looked_at_one_by_one_and_nothing_is_done,
    each_action_says_for_each_person_why_it_cannot_be_done,
}

const CLAIM_MS: i64 = 300_000;

fn hold(reviewers: &[&str]) -> Hold {
    let reviewers = reviewers.iter().map(|who| (*who).to_owned()).collect();
    Hold { reviewers, reply: Some("Hello".to_owned()), ..Hold::because(HoldReason::CustomerFacing, "a reply") }
}

/// Reviews `rev_0` and so on of these holds, in this order.
async fn waiting(fresh: &Fresh, holds: Vec<Hold>) {
    fresh.queued(holds.len()).await;
    let jobs = fresh.claim_at(START_MS, holds.len()).await;
    for (n, (job, hold)) in jobs.into_iter().zip(holds).enumerate() {
        let review = Box::new(NewReview::of(format!("rev_{n}"), hold));
        let held = Settlement::Held { review, changes: Vec::<Change>::new() };
        fresh.store.settle(job, Some(placement(&format!("T-{n}"), None)), held, START_MS).await.unwrap();
    }
}

fn person(name: &str, role: Role) -> Person {
    Person { name: name.to_owned(), role }
}

fn agent(name: &str) -> Person {
    person(name, Role::Agent)
}

fn act(review: &str, person: &Person, action: Action, now_ms: i64) -> Act {
    Act { review: review.to_owned(), version: None, person: person.clone(), action, lease_ms: CLAIM_MS, now_ms }
}

async fn next_of(
    fresh: &Fresh,
    person: &Person,
    filter: QueueFilter,
    after: Option<&str>,
    now_ms: i64,
) -> Option<String> {
    let claim = act("", person, Action::Claim, now_ms);
    let claimed = fresh.store.claim_next_review(claim, filter, after.map(str::to_owned)).await.unwrap()?;
    assert_eq!((claimed.state.as_str(), claimed.claimed_by.as_deref()), ("claimed", Some(person.name.as_str())));
    assert_eq!(claimed.claimed_until_ms, Some(now_ms + CLAIM_MS));
    Some(claimed.id)
}

async fn next(fresh: &Fresh, person: &Person, now_ms: i64) -> Option<String> {
    next_of(fresh, person, QueueFilter::default(), None, now_ms).await
}

fn ids(reviews: &[Review]) -> Vec<&str> {
    reviews.iter().map(|review| review.id.as_str()).collect()
}

async fn what_waits_is_listed_oldest_first_and_by_reason_topic_workflow_and_holder(fresh: Fresh) {
    let sensitive = Hold { topics: vec!["refund".to_owned()], reason: HoldReason::Sensitive, ..hold(&["agent"]) };
    let refunds = Hold { topics: vec!["refunds".to_owned()], ..sensitive.clone() };
    waiting(&fresh, vec![hold(&["agent"]), sensitive, refunds, hold(&["agent"]), hold(&["agent"])]).await;
    let list = async |filter: QueueFilter, page| fresh.store.waiting_reviews(filter, page).await.unwrap();
    let all = PageRequest { limit: 50, cursor: None };
    let lena = agent("lena");
    fresh.store.act_on_review(act("rev_0", &lena, Action::Claim, START_MS)).await.unwrap().unwrap().unwrap();
    let no = Action::Reject { reason: RejectReason::Tone, said: "tone".to_owned() };
    fresh.store.act_on_review(act("rev_3", &lena, no, START_MS)).await.unwrap().unwrap().unwrap();

    let page = list(QueueFilter::default(), PageRequest { limit: 3, cursor: None }).await;
    assert_eq!(ids(&page.items), ["rev_0", "rev_1", "rev_2"]);
    let rest = list(QueueFilter::default(), PageRequest { limit: 3, cursor: page.next }).await;
    assert_eq!((ids(&rest.items), rest.next), (vec!["rev_4"], None));

    let given = |text: &str| Some(text.to_owned());
    let none = QueueFilter::default();
    let cases = [
        (QueueFilter { reason: given("sensitive"), ..none.clone() }, vec!["rev_1", "rev_2"]),
        (QueueFilter { topic: given("refund"), ..none.clone() }, vec!["rev_1"]),
        (QueueFilter { claimed_by: given("lena"), ..none.clone() }, vec!["rev_0"]),
        (
            QueueFilter { workflow: given("summary"), reason: given("sensitive"), ..none.clone() },
            vec!["rev_1", "rev_2"],
        ),
        (QueueFilter { workflow: given("translation"), ..none.clone() }, vec![]),
        (QueueFilter { topic: given("re%"), ..none }, vec![]),
    ];
    for (filter, expected) in cases {
        assert_eq!(ids(&list(filter.clone(), all).await.items), expected, "{filter:?}");
    }
}

async fn the_next_is_the_oldest_that_the_person_may_decide_and_nobody_has(fresh: Fresh) {
    waiting(&fresh, vec![hold(&["lead"]), hold(&["agent"]), hold(&["omar"]), hold(&["agent"])]).await;
    let (lena, omar, mia) = (agent("lena"), agent("omar"), person("mia", Role::Lead));
    assert_eq!(next(&fresh, &lena, START_MS).await.as_deref(), Some("rev_1"));
    assert_eq!(next(&fresh, &lena, START_MS).await.as_deref(), Some("rev_3"), "what she has is not the next");
    assert_eq!(next(&fresh, &lena, START_MS).await, None);
    assert_eq!(next(&fresh, &omar, START_MS).await.as_deref(), Some("rev_2"));
    assert_eq!(next(&fresh, &mia, START_MS).await.as_deref(), Some("rev_0"));
    let over = START_MS + CLAIM_MS;
    assert_eq!(next(&fresh, &mia, over - 1).await, None);
    let topic = QueueFilter { topic: Some("refund".to_owned()), ..QueueFilter::default() };
    assert_eq!(next_of(&fresh, &omar, topic, None, over).await, None);
    assert_eq!(next(&fresh, &omar, over).await.as_deref(), Some("rev_1"), "a claim that is over keeps nobody out");
    assert_eq!(fresh.sql().number("SELECT count(*) FROM audit_trail WHERE action = 'review.claim'"), 5);
}

async fn the_next_after_one_goes_on_behind_it_and_comes_round_to_those_before(fresh: Fresh) {
    waiting(&fresh, vec![hold(&["agent"]), hold(&["agent"]), hold(&["agent"])]).await;
    let lena = agent("lena");
    let after = async |id| next_of(&fresh, &lena, QueueFilter::default(), Some(id), START_MS).await;
    assert_eq!(after("rev_1").await.as_deref(), Some("rev_2"));
    assert_eq!(after("rev_1").await.as_deref(), Some("rev_0"));
    assert_eq!(after("rev_1").await, None, "the one itself is passed over");
    assert_eq!(after("rev_none").await.as_deref(), Some("rev_1"));
}

async fn what_somebody_approved_first_is_next_for_another_person_only(fresh: Fresh) {
    waiting(&fresh, vec![Hold { approvals_needed: 2, ..hold(&["agent"]) }, hold(&["agent"])]).await;
    let (lena, omar) = (agent("lena"), agent("omar"));
    let yes = act("rev_0", &lena, Action::yes(), START_MS);
    assert_eq!(fresh.store.act_on_review(yes).await.unwrap().unwrap().unwrap().state, "open");
    assert_eq!(next(&fresh, &lena, START_MS).await.as_deref(), Some("rev_1"));
    assert_eq!(next(&fresh, &omar, START_MS).await.as_deref(), Some("rev_0"));
}

async fn of_many_people_at_once_no_two_get_the_same(fresh: Fresh) {
    waiting(&fresh, (0..6).map(|_| hold(&["agent"])).collect()).await;
    let people: Vec<Person> = (0..8).map(|n| agent(&format!("agent_{n}"))).collect();
    let asked = futures_util::future::join_all(people.iter().map(|person| next(&fresh, person, START_MS)));
    let mut got: Vec<String> = asked.await.into_iter().flatten().collect();
    got.sort_unstable();
    assert_eq!(got, ["rev_0", "rev_1", "rev_2", "rev_3", "rev_4", "rev_5"]);
}

async fn what_is_decided_together_is_looked_at_one_by_one_and_nothing_is_done(fresh: Fresh) {
    let note = || vec![Effect::Note { text: "Call back.".to_owned() }];
    let unsure = || Hold { effects: note(), ..Hold::because(HoldReason::LowConfidence, "0.4 of 0.8") };
    let sensitive = Hold { topics: vec!["refund".to_owned()], ..unsure() };
    waiting(
        &fresh,
        vec![unsure(), hold(&["agent"]), sensitive, Hold { reviewers: vec!["omar".to_owned()], ..unsure() }],
    )
    .await;
    let mia = person("mia", Role::Lead);
    let item = |id: &str, version| (id.to_owned(), version);
    let items = vec![
        item("rev_0", Some(1)),
        item("rev_1", None),
        item("rev_2", None),
        item("rev_3", None),
        item("rev_0", Some(2)),
        item("rev_9", None),
    ];
    let look = async |action| {
        let found = fresh.store.offered_together(items.clone(), action, mia.clone(), START_MS).await.unwrap();
        found
            .into_iter()
            .map(|found| found.map(|offered| (offered.version, offered.effects)).map_err(|why| why.to_string()))
            .collect::<Vec<_>>()
    };
    let approved = look(Action::yes()).await;
    assert_eq!(approved[0], Ok((1, note())));
    for (found, why) in approved[1..].iter().zip(["customer", "sensitive", "omar", "changed since", "no such review"]) {
        assert!(found.as_ref().unwrap_err().contains(why), "{found:?}");
    }
    let rejected = look(Action::Reject { reason: RejectReason::Tone, said: "tone".to_owned() }).await;
    let may: Vec<bool> = rejected.iter().map(Result::is_ok).collect();
    assert_eq!(may, [true, true, true, false, false, false], "{rejected:?}");
    assert_eq!(fresh.sql().number("SELECT count(*) FROM audit_trail"), 0);
}

async fn each_action_says_for_each_person_why_it_cannot_be_done(fresh: Fresh) {
    waiting(&fresh, vec![hold(&["lead"])]).await;
    let may = async |person: Person| {
        let may = fresh.store.look_at_review("rev_0".to_owned(), person, START_MS).await.unwrap().unwrap().may;
        let refused = |(word, why): &(&'static str, Option<_>)| why.is_some().then_some(*word);
        may.actions.iter().filter_map(refused).collect::<Vec<&str>>()
    };
    let (lena, mia) = (agent("lena"), person("mia", Role::Lead));
    let all = ["claim", "release", "approve", "approve_text", "reject", "escalate", "undo"];
    assert_eq!(may(lena.clone()).await, all);
    assert_eq!(may(mia.clone()).await, ["release", "approve_text", "undo"]);
    fresh.store.act_on_review(act("rev_0", &mia, Action::yes(), START_MS)).await.unwrap().unwrap().unwrap();
    assert_eq!(may(mia).await, ["claim", "release", "approve", "approve_text", "reject", "escalate"]);
    let before = fresh.store.review("rev_0".to_owned()).await.unwrap().unwrap();
    assert_eq!(before.version, 2, "asking does nothing");
    assert_eq!(fresh.store.look_at_review("rev_none".to_owned(), lena, START_MS).await.unwrap(), None);
}
