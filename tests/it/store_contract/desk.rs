//! The built-in desk: what we write is there once, what people do counts.

use frontdesk::domain::effect::{Effect, Priority, Route};
use frontdesk::domain::ticket::{Author, Visibility};
use frontdesk::store::{Change, ClaimedJob, DeskTicket, NewTicket, Settlement, TicketPatch};

use super::{DONE, Fresh, for_every_store};
use crate::harness::START_MS;

for_every_store! {
    a_ticket_is_made_once_and_read_as_it_was_made,
    tickets_without_an_id_get_the_next_free_one,
    a_note_and_a_draft_are_written_once_a_reference,
    a_route_is_written_once_and_leaves_what_it_does_not_name,
    what_was_written_is_found_by_its_reference,
    writing_to_a_missing_ticket_writes_nothing,
    only_people_raise_the_revision,
    many_writers_of_one_reference_write_once,
    what_was_never_planned_is_not_written,
}

impl Fresh {
    async fn read(&self, id: &str) -> DeskTicket {
        self.store.ticket(id.to_owned()).await.unwrap().unwrap()
    }

    /// Writes as the end of a job does, and says what is there under the reference.
    async fn write(&self, id: &str, effect: Effect, reference: &str) -> Option<String> {
        let (written, job) = (reference.to_owned(), self.any_job().await);
        self.is_planned(reference, job.id());
        let change = Change::WithTheEnd { reference: written.clone(), ticket_id: id.to_owned(), effect };
        let end = Settlement::Applied { changes: vec![change] };
        let settled = self.store.settle(job, None, end, START_MS + 1).await;
        let found = self.store.find_written(written).await.unwrap();
        assert_eq!(settled.is_ok(), found.is_some(), "the job ends when, and only when, the change is there");
        found
    }

    /// A claimed job about something that nothing else is about.
    async fn any_job(&self) -> ClaimedJob {
        let number: i64 = self.sql().query_row("SELECT count(*) FROM jobs", [], |row| row.get(0)).unwrap();
        self.deliver(&format!("wh_w{number}"), &format!("evt_w{number}"), &format!("resp_w{number}")).await;
        self.claim_at(START_MS, 1).await.remove(0)
    }

    /// It is written down that this is to be written, by whichever job wants it first.
    fn is_planned(&self, reference: &str, job: i64) {
        let plan = "INSERT INTO effects (project, resource_id, ticket_id, slot, ref, state, job_id, planned_at)
                    VALUES ('default', ?1, 'T-1', 'note', ?1, 'applying', ?2, 1) ON CONFLICT (ref) DO NOTHING";
        self.sql().execute(plan, (reference, job)).unwrap();
    }

    async fn note(&self, id: &str, text: &str, reference: &str) -> Option<String> {
        self.write(id, Effect::Note { text: text.to_owned() }, reference).await
    }

    async fn draft(&self, id: &str, text: &str, reference: &str) -> Option<String> {
        self.write(id, Effect::Draft { text: text.to_owned() }, reference).await
    }

    async fn route(&self, id: &str, route: Route, reference: &str) -> Option<String> {
        self.write(id, Effect::Route(route), reference).await
    }
}

fn new(id: Option<&str>) -> NewTicket {
    NewTicket {
        id: id.map(str::to_owned),
        subject: "Parcel".to_owned(),
        queue: "support".to_owned(),
        tags: vec!["vip".to_owned()],
        messages: vec![(Author::Customer, "Where is it?".to_owned()), (Author::Agent, "On its way.".to_owned())],
    }
}

async fn a_ticket_is_made_once_and_read_as_it_was_made(fresh: Fresh) {
    let made = fresh.store.create_ticket(new(Some("T-1")), START_MS).await.unwrap();
    assert_eq!(made.as_deref(), Some("T-1"));
    let ticket = fresh.read("T-1").await;
    assert_eq!((ticket.subject.as_str(), ticket.status.as_str(), ticket.queue.as_str()), ("Parcel", "open", "support"));
    assert_eq!((ticket.priority.as_str(), ticket.intent.as_deref(), ticket.revision), ("normal", None, 1));
    let said: Vec<_> = ticket.messages.iter().map(|message| (message.author, message.body.as_str())).collect();
    assert_eq!(said, [(Author::Customer, "Where is it?"), (Author::Agent, "On its way.")]);
    assert!(ticket.messages.iter().all(|message| message.visibility == Visibility::Public));
    let other = NewTicket { subject: "Another".to_owned(), ..new(Some("T-1")) };
    assert_eq!(fresh.store.create_ticket(other, START_MS).await.unwrap(), None);
    assert_eq!(fresh.read("T-1").await, ticket);
    assert_eq!(fresh.store.ticket("T-2".to_owned()).await.unwrap(), None);
}

async fn tickets_without_an_id_get_the_next_free_one(fresh: Fresh) {
    fresh.ticket("T-1002").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(fresh.store.create_ticket(new(None), START_MS).await.unwrap().unwrap());
    }
    let mut unique = ids.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), 3, "{ids:?}");
    assert!(!ids.contains(&"T-1002".to_owned()));
}

async fn a_note_and_a_draft_are_written_once_a_reference(fresh: Fresh) {
    fresh.ticket("T-1").await;
    let first = fresh.note("T-1", "one", "fd_1").await;
    assert!(first.is_some());
    assert_eq!(fresh.note("T-1", "another text", "fd_1").await, first);
    let draft = fresh.draft("T-1", "Hello", "fd_2").await;
    assert_eq!(fresh.draft("T-1", "Hello!", "fd_2").await, draft);
    fresh.note("T-1", "two", "fd_3").await;
    let ticket = fresh.read("T-1").await;
    let notes: Vec<_> = ticket.messages.iter().map(|message| message.body.as_str()).collect();
    assert_eq!(notes, ["one", "two"]);
    assert!(ticket.messages.iter().all(|message| message.visibility == Visibility::Internal));
    assert!(ticket.messages.iter().all(|message| message.author == Author::Frontdesk));
    assert_eq!(ticket.drafts.len(), 1);
    assert_eq!((ticket.drafts[0].body.as_str(), ticket.drafts[0].state.as_str()), ("Hello", "open"));
}

async fn a_route_is_written_once_and_leaves_what_it_does_not_name(fresh: Fresh) {
    fresh.ticket("T-1").await;
    let route = Route {
        intent: Some("shipping".to_owned()),
        tags: vec!["vip".to_owned(), "parcel".to_owned()],
        ..Route::default()
    };
    let first = fresh.route("T-1", route, "fd_1").await;
    let ticket = fresh.read("T-1").await;
    assert_eq!(
        (ticket.intent.as_deref(), ticket.priority.as_str(), ticket.queue.as_str()),
        (Some("shipping"), "normal", "support")
    );
    assert_eq!(ticket.tags, ["vip", "parcel"], "added once, none removed");
    let other = Route {
        priority: Some(Priority::Urgent),
        queue: Some("logistics".to_owned()),
        confidence: Some(0.9),
        ..Route::default()
    };
    assert_eq!(fresh.route("T-1", other.clone(), "fd_1").await, first, "the same reference");
    assert_eq!(fresh.read("T-1").await, ticket);
    fresh.route("T-1", other, "fd_2").await;
    let ticket = fresh.read("T-1").await;
    assert_eq!(
        (ticket.intent.as_deref(), ticket.priority.as_str(), ticket.queue.as_str()),
        (Some("shipping"), "urgent", "logistics")
    );
    assert_eq!(ticket.fields["confidence"], 0.9);
}

async fn what_was_written_is_found_by_its_reference(fresh: Fresh) {
    fresh.ticket("T-1").await;
    let written = [
        ("fd_1", fresh.note("T-1", "one", "fd_1").await),
        ("fd_2", fresh.draft("T-1", "Hello", "fd_2").await),
        ("fd_3", fresh.route("T-1", Route::default(), "fd_3").await),
    ];
    for (reference, id) in written {
        assert!(id.is_some());
        assert_eq!(fresh.store.find_written(reference.to_owned()).await.unwrap(), id);
    }
    assert_eq!(fresh.store.find_written("fd_4".to_owned()).await.unwrap(), None);
}

async fn writing_to_a_missing_ticket_writes_nothing(fresh: Fresh) {
    assert_eq!(fresh.note("T-9", "one", "fd_1").await, None);
    assert_eq!(fresh.draft("T-9", "one", "fd_2").await, None);
    assert_eq!(fresh.route("T-9", Route::default(), "fd_3").await, None);
    let (id, body) = ("T-9".to_owned(), "hello".to_owned());
    assert!(!fresh.store.add_message(id.clone(), Author::Agent, Visibility::Public, body, START_MS).await.unwrap());
    assert!(!fresh.store.patch_ticket(id, TicketPatch::default(), START_MS).await.unwrap());
    for reference in ["fd_1", "fd_2", "fd_3"] {
        assert_eq!(fresh.store.find_written(reference.to_owned()).await.unwrap(), None);
    }
}

async fn only_people_raise_the_revision(fresh: Fresh) {
    fresh.ticket("T-1").await;
    fresh.note("T-1", "one", "fd_1").await;
    fresh.draft("T-1", "Hello", "fd_2").await;
    fresh.route("T-1", Route { queue: Some("logistics".to_owned()), ..Route::default() }, "fd_3").await;
    let ticket = fresh.read("T-1").await;
    assert_eq!((ticket.revision, ticket.updated_at_ms), (1, START_MS + 1), "seen, and no change by a person");
    let (id, body) = ("T-1".to_owned(), "Any news?".to_owned());
    assert!(
        fresh.store.add_message(id.clone(), Author::Customer, Visibility::Public, body, START_MS + 2).await.unwrap()
    );
    assert_eq!(fresh.read("T-1").await.revision, 2);
    let patch = TicketPatch {
        status: Some("closed".to_owned()),
        priority: Some(Priority::Low),
        tags: Some(vec!["done".to_owned()]),
        ..TicketPatch::default()
    };
    assert!(fresh.store.patch_ticket(id, patch, START_MS + 3).await.unwrap());
    let ticket = fresh.read("T-1").await;
    assert_eq!((ticket.revision, ticket.updated_at_ms, ticket.status.as_str()), (3, START_MS + 3, "closed"));
    assert_eq!(
        (ticket.subject.as_str(), ticket.priority.as_str(), ticket.tags),
        ("Parcel", "low", vec!["done".to_owned()])
    );
}

async fn many_writers_of_one_reference_write_once(fresh: Fresh) {
    fresh.ticket("T-1").await;
    let mut writes = Vec::new();
    for n in 0..16 {
        let (store, job) = (fresh.store.clone(), fresh.any_job().await);
        fresh.is_planned("fd_1", job.id());
        let effect = Effect::Note { text: format!("version {n}") };
        let change = Change::WithTheEnd { reference: "fd_1".to_owned(), ticket_id: "T-1".to_owned(), effect };
        let end = Settlement::Applied { changes: vec![change] };
        writes.push(tokio::spawn(async move { store.settle(job, None, end, START_MS).await.unwrap() }));
    }
    for write in writes {
        assert_eq!(write.await.unwrap(), DONE);
    }
    assert_eq!(fresh.read("T-1").await.messages.len(), 1);
}

async fn what_was_never_planned_is_not_written(fresh: Fresh) {
    fresh.ticket("T-1").await;
    let effect = Effect::Note { text: "one".to_owned() };
    let change = Change::WithTheEnd { reference: "fd_1".to_owned(), ticket_id: "T-1".to_owned(), effect };
    let end = Settlement::Applied { changes: vec![change] };
    let job = fresh.any_job().await;
    assert!(fresh.store.settle(job, None, end, START_MS + 1).await.is_err(), "nobody would have its receipt");
    assert_eq!(fresh.read("T-1").await.messages.len(), 0);
}
