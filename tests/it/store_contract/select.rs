//! Which tickets a filter finds.

use frontdesk::domain::batch::Filter;
use frontdesk::store::{NewTicket, TicketPatch};

use super::{Fresh, for_every_store};
use crate::harness::START_MS;

for_every_store! {
    a_filter_finds_what_all_of_it_says,
    pages_follow_one_another_without_gaps_or_repeats,
    an_erased_ticket_is_found_by_none,
}

const HOUR_MS: i64 = 3_600_000;

fn text(word: &str) -> Option<String> {
    Some(word.to_owned())
}

impl Fresh {
    /// A ticket made so long before the start.
    async fn aged(&self, id: &str, queue: &str, tags: &[&str], age_ms: i64) {
        let new = NewTicket {
            id: text(id),
            subject: "Parcel".to_owned(),
            queue: queue.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            messages: Vec::new(),
        };
        self.store.create_ticket(new, START_MS - age_ms).await.unwrap();
    }

    async fn patched(&self, id: &str, patch: TicketPatch) {
        assert!(self.store.patch_ticket(id.to_owned(), patch, START_MS).await.unwrap());
    }

    async fn selected(&self, filter: Filter) -> Vec<String> {
        self.store.select_tickets(filter, START_MS, None, 100).await.unwrap().tickets
    }
}

async fn a_filter_finds_what_all_of_it_says(fresh: Fresh) {
    fresh.aged("T-1", "support", &["vip"], 3 * HOUR_MS).await;
    fresh.aged("T-2", "billing", &["vip", "late"], 2 * HOUR_MS).await;
    fresh.aged("T-3", "support", &[], HOUR_MS).await;
    fresh.patched("T-3", TicketPatch { status: text("closed"), ..TicketPatch::default() }).await;
    fresh.patched("T-1", TicketPatch { intent: text("shipping"), ..TicketPatch::default() }).await;
    let any = Filter::default();
    let cases: [(Filter, &[&str]); 10] = [
        (any.clone(), &["T-1", "T-2", "T-3"]),
        (Filter { status: text("open"), ..any.clone() }, &["T-1", "T-2"]),
        (Filter { queue: text("support"), ..any.clone() }, &["T-1", "T-3"]),
        (Filter { status: text("open"), queue: text("support"), ..any.clone() }, &["T-1"]),
        (Filter { tag: text("vip"), ..any.clone() }, &["T-1", "T-2"]),
        (Filter { tag: text("vi"), ..any.clone() }, &[]),
        (Filter { older_than_ms: Some(2 * HOUR_MS), ..any.clone() }, &["T-1", "T-2"]),
        (Filter { newer_than_ms: Some(2 * HOUR_MS), ..any.clone() }, &["T-2", "T-3"]),
        (Filter { unclassified: true, ..any.clone() }, &["T-2", "T-3"]),
        (Filter { unclassified: true, tag: text("late"), older_than_ms: Some(i64::MAX), ..any }, &[]),
    ];
    for (filter, expected) in cases {
        assert_eq!(fresh.selected(filter.clone()).await, expected, "{filter:?}");
    }
}

async fn pages_follow_one_another_without_gaps_or_repeats(fresh: Fresh) {
    for number in 1..=7 {
        fresh.aged(&format!("T-{number}"), if number == 4 { "other" } else { "support" }, &[], 0).await;
    }
    for (status, expected) in [(None, 6), (text("open"), 6), (text("closed"), 0)] {
        let filter = Filter { queue: text("support"), status, ..Filter::default() };
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = fresh.store.select_tickets(filter.clone(), START_MS, after, 2).await.unwrap();
            all.extend(page.tickets);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(all, ["T-1", "T-2", "T-3", "T-5", "T-6", "T-7"][..expected]);
    }
}

async fn an_erased_ticket_is_found_by_none(fresh: Fresh) {
    fresh.aged("T-1", "support", &[], 0).await;
    fresh.aged("T-2", "support", &[], 0).await;
    fresh.sql().execute("UPDATE tickets SET erased_at = 1 WHERE id = 'T-1'", []).unwrap();
    assert_eq!(fresh.selected(Filter::default()).await, ["T-2"]);
}
