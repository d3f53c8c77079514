//! What the tests of the workflows share.

use std::collections::BTreeMap;

use super::{Catalogue, Settings};
use crate::domain::decision::Proposal;
use crate::domain::effect::Effect;
use crate::domain::hold::HoldReason;
use crate::domain::output::Reading;
use crate::domain::resource::{Response, Status, Text, Usage};
use crate::domain::ticket::{Author, Message, Ticket, Visibility};

/// A completed response with this one text.
pub(super) fn said(text: &str) -> Response {
    Response {
        id: "resp_1".to_owned(),
        status: Status::Completed,
        error_code: None,
        incomplete_reason: None,
        metadata: BTreeMap::new(),
        texts: vec![Text { phase: None, body: text.to_owned() }],
        refusals: Vec::new(),
        tools: Vec::new(),
        unknown_items: Vec::new(),
        created_at_s: None,
        model: None,
        schema: None,
        usage: Usage::default(),
    }
}

/// A ticket with one message of the customer.
pub(super) fn ticket(words: &str) -> Ticket {
    Ticket {
        id: "T-1".to_owned(),
        subject: "Parcel".to_owned(),
        status: "open".to_owned(),
        queue: "support".to_owned(),
        priority: "normal".to_owned(),
        tags: Vec::new(),
        revision: 1,
        changed_at_ms: None,
        messages: vec![Message { author: Author::Customer, visibility: Visibility::Public, body: words.to_owned() }],
    }
}

/// The workflows that come with Frontdesk.
pub(super) fn catalogue() -> Catalogue {
    let queues = BTreeMap::from([("shipping".to_owned(), "logistics".to_owned())]);
    Catalogue::new(&Settings { queues, ..Settings::default() }).expect("they are built")
}

/// What a built-in workflow proposes for this output, or why it is not used.
pub(super) fn reading(workflow: &str, text: &str) -> Reading<Proposal> {
    let catalogue = catalogue();
    let workflow = catalogue.named(workflow).expect("there is one");
    // OpenAI tells with the answer what was asked for.
    let schema = workflow.schema.as_ref().map(ToString::to_string);
    workflow.read(&Response { schema, ..said(text) })
}

/// What it proposes for an output that is right.
pub(super) fn proposal(workflow: &str, text: &str) -> Proposal {
    match reading(workflow, text) {
        Reading::Clean(proposal) => proposal,
        Reading::Unclean { detail, .. } => panic!("{workflow}: {detail}"),
    }
}

/// Holds that none of these outputs is used, and that none is told of.
pub(super) fn all_are_invalid(workflow: &str, texts: &[String]) {
    for text in texts {
        let Reading::Unclean { reason, detail } = reading(workflow, text) else {
            panic!("{workflow} takes {text:.200}")
        };
        assert_eq!(reason, HoldReason::InvalidOutput, "{text:.200}");
        assert!(!detail.contains("SECRET") && detail.len() < 300, "{detail}");
    }
}

/// The words of the note among these effects.
pub(super) fn note(proposal: &Proposal) -> &str {
    let note = proposal.effects.iter().find_map(|effect| match effect {
        Effect::Note { text } => Some(text),
        _ => None,
    });
    note.expect("a note")
}
