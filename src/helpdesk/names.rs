//! Names in a helpdesk, and who we are there.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::HelpdeskError;
use super::connector::Patch;

/// As the settings have them.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Our own user there: its name, or its number.
    pub user: String,
    /// The account, where one address has several.
    pub account: String,
    /// Their queue, group or team, by our name of it.
    pub queues: BTreeMap<String, String>,
    /// Their field, by our name.
    pub fields: BTreeMap<String, String>,
}

impl Names {
    /// The number of our user; 0, which nobody has, when it is not a number.
    pub(super) fn user_id(&self) -> i64 {
        self.user.trim().parse().unwrap_or(0)
    }

    /// Their queue.
    ///
    /// # Errors
    /// When none is named.
    pub(super) fn queue(&self, ours: &str) -> Result<&str, HelpdeskError> {
        self.queues.get(ours).map(|queue| queue.trim()).ok_or_else(|| unnamed("queues", ours))
    }

    /// The number of their queue.
    ///
    /// # Errors
    /// When none is named, or not by its number.
    pub(super) fn queue_id(&self, ours: &str) -> Result<i64, HelpdeskError> {
        self.queue(ours)?.parse().map_err(|_| unnamed("queues", ours))
    }

    /// Our name of their queue; theirs where we have none.
    pub(super) fn our_queue(&self, theirs: &str) -> String {
        let ours = self.queues.iter().find(|(_, queue)| queue.trim() == theirs);
        ours.map_or(theirs, |(ours, _)| ours).to_owned()
    }

    /// Their field.
    pub(super) fn field(&self, ours: &str) -> Option<&str> {
        self.fields.get(ours).map(|field| field.trim())
    }

    /// Their fields and what they should be. Of what was classified, that which no
    /// field is named for is left out; of what was asked for by name, nothing is.
    ///
    /// # Errors
    /// When no field is named for a value.
    pub(super) fn values(&self, patch: &Patch) -> Result<Vec<(String, Value)>, HelpdeskError> {
        let classified = [
            ("intent", patch.intent.clone().map(Value::from)),
            ("confidence", patch.confidence.map(|sure| json!(format!("{sure:.2}")))),
        ];
        let classified =
            classified.into_iter().filter_map(|(name, value)| Some((self.field(name)?.to_owned(), value?)));
        let mut values: Vec<(String, Value)> = classified.collect();
        for (name, value) in &patch.fields {
            let field = self.field(name).ok_or_else(|| unnamed("fields", name))?;
            values.push((field.to_owned(), value.clone()));
        }
        Ok(values)
    }
}

fn unnamed(table: &str, ours: &str) -> HelpdeskError {
    HelpdeskError::Refused(format!("nothing is named for {ours:?} in [helpdesk.{table}]"))
}
