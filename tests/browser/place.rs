//! A desk with people who sign in, and work that waits for them.

use std::process::Command;

use frontdesk::app::Roles;
use frontdesk::domain::password;
use frontdesk::domain::person::{Person, Role};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::desk::Desk;

pub const PASSWORD: &str = "correct horse battery";

pub struct Place {
    pub desk: Desk,
    pub base: String,
}

impl Place {
    /// Lena is an agent, Omar too, Mia a lead, Ada an admin.
    pub async fn open() -> Place {
        Place::with("").await
    }

    pub async fn with(settings: &str) -> Place {
        let desk = Desk::with(settings, Roles::ALL).await;
        let hash = password::hash(PASSWORD).unwrap();
        for (name, role) in [("lena", Role::Agent), ("omar", Role::Agent), ("mia", Role::Lead), ("ada", Role::Admin)] {
            let person = Person { name: name.to_owned(), role };
            let made = desk.app.store.create_user(person, Some(hash.clone()), "test".to_owned(), 1);
            assert!(made.await.unwrap());
        }
        let base = format!("http://{}", desk.addr);
        Place { desk, base }
    }

    /// A browser in which somebody is signed in.
    pub async fn browser_of(&self, name: &str) -> Browser {
        let browser = Browser::open(&self.base, 1280, true).await;
        browser.sign_in(name, PASSWORD).await;
        browser
    }

    pub async fn ticket(&self, id: &str, subject: &str, body: &str) {
        let ticket = json!({"id": id, "subject": subject, "messages": [{"author": "customer", "body": body}]});
        assert_eq!(self.desk.post("agent", "/tickets", ticket).await.status, 201);
    }

    /// Starts work on a ticket, and waits until it waits for a person.
    pub async fn review(&self, ticket: &str, workflow: &str) -> Value {
        let asked = json!({"workflow": workflow, "ticket_id": ticket});
        let started = self.desk.post("agent", "/submissions", asked).await;
        assert_eq!(started.status, 202, "{}", started.text());
        crate::wire::until("a review", async || {
            let found = self.desk.get(&format!("/reviews?ticket={ticket}")).await;
            found["items"].as_array().and_then(|items| items.first().cloned())
        })
        .await
    }

    /// A draft of a reply to a plain question.
    pub async fn draft(&self, ticket: &str) -> Value {
        self.ticket(ticket, "Opening hours", "Are you open on Monday?").await;
        self.review(ticket, "draft_reply").await
    }

    pub async fn review_now(&self, id: &str) -> Value {
        self.desk.get(&format!("/reviews/{id}")).await
    }
}

/// The text of axe-core.
pub fn axe() -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    let set_up = Command::new(format!("{root}/tests/browser/setup")).status().expect("tests/browser/setup");
    assert!(set_up.success(), "axe-core could not be set up: it needs npm and the network");
    std::fs::read_to_string(format!("{root}/target/axe/node_modules/axe-core/axe.min.js")).unwrap()
}
