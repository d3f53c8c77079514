//! What Request Tracker tells of its transactions, by a scrip or when asked.

use serde::Deserialize;

use super::{Loose, Named, RequestTracker};
use crate::clock::parse_rfc3339;
use crate::helpdesk::{Happened, Happening, Heard, HelpdeskError, values};

impl RequestTracker {
    /// A transaction as the scrip would tell it; none of what starts nothing.
    pub(super) async fn happening(&self, one: Recent) -> Result<Option<Happening>, HelpdeskError> {
        let is_requestor = match one.kind == "Correspond" && one.creator.id != self.names.user {
            true => {
                let now = self.now(values::number(&one.object.id)?).await?;
                now.requestors.iter().any(|requestor| requestor.id == one.creator.id)
            }
            false => false,
        };
        let what = meaning(&one.kind, &one.new_value.unwrap_or_default(), is_requestor);
        let by_us = one.creator.id == self.names.user;
        let at_ms = parse_rfc3339(&one.created);
        let heard = Heard { id: Some(one.id), ticket: one.object.id, what, by_us };
        Ok(at_ms.filter(|_| what != Happened::Other).map(|at_ms| Happening { at_ms, heard }))
    }
}

/// What a transaction means for us.
pub(super) fn meaning(kind: &str, new_value: &str, by_requestor: bool) -> Happened {
    match kind {
        "Create" => Happened::Created,
        "Correspond" if by_requestor => Happened::CustomerWrote,
        "Status" if new_value == "resolved" => Happened::Solved,
        // Nobody's ticket has been given back, and not to anybody.
        "Give" | "Take" | "Steal" => Happened::HandedOver,
        _ => Happened::Other,
    }
}

/// A transaction in a list of all tickets'.
#[derive(Deserialize)]
pub(super) struct Recent {
    id: String,
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default, rename = "NewValue")]
    new_value: Option<String>,
    #[serde(rename = "Creator")]
    creator: Named,
    #[serde(rename = "Created")]
    created: String,
    #[serde(rename = "Object")]
    object: Named,
}

/// What the scrip tells of a transaction.
#[derive(Deserialize)]
pub(super) struct Scrip {
    pub(super) transaction: Loose,
    pub(super) ticket: Loose,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) new_value: String,
    pub(super) user: String,
    /// Whether that user is the customer.
    #[serde(default)]
    pub(super) is_requestor: bool,
}
