//! What a person puts in place of what was proposed.

use serde::{Deserialize, Serialize};

use super::Refused;
use crate::domain::effect::{Priority, Route};

/// Longest name of a category or a queue, in characters.
const MAX_WORD_CHARS: usize = 100;

/// Where the text of a review goes that a person may change or write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextSlot {
    /// To the customer.
    Reply,
    /// Onto the ticket, for the team.
    Note,
}

impl TextSlot {
    /// The slot with this word, as the database has it.
    #[must_use]
    pub fn parse(word: &str) -> Option<TextSlot> {
        match word {
            "reply" => Some(TextSlot::Reply),
            "note" => Some(TextSlot::Note),
            _ => None,
        }
    }
}

/// What a person changed; what is none is as proposed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amended {
    /// The text.
    pub text: Option<String>,
    /// What the ticket is about, and where it goes.
    pub route: Option<Reroute>,
}

/// A classification, corrected. What is none is as proposed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reroute {
    /// What the customer wants.
    pub intent: Option<String>,
    /// How soon.
    pub priority: Option<Priority>,
    /// Which queue it goes to.
    pub queue: Option<String>,
}

impl Amended {
    /// This over what was amended `before`.
    ///
    /// # Errors
    /// When a text is empty or a name is none.
    pub(super) fn over(&self, before: &Amended) -> Result<Amended, Refused> {
        let text = match self.text.as_deref().map(str::trim) {
            Some("") => return Err(Refused::EmptyText),
            text => text.map(str::to_owned).or_else(|| before.text.clone()),
        };
        let route = match &self.route {
            None => before.route.clone(),
            Some(route) => Some(route.over(before.route.as_ref())?).filter(|route| *route != Reroute::default()),
        };
        Ok(Amended { text, route })
    }
}

impl Reroute {
    fn over(&self, before: Option<&Reroute>) -> Result<Reroute, Refused> {
        let before = before.cloned().unwrap_or_default();
        Ok(Reroute {
            intent: word(self.intent.as_deref())?.or(before.intent),
            priority: self.priority.or(before.priority),
            queue: word(self.queue.as_deref())?.or(before.queue),
        })
    }

    /// Sets what was corrected. How sure the model was is then said of something else, and left out.
    pub fn correct(&self, route: &mut Route) {
        let before = route.clone();
        route.intent = self.intent.clone().or(route.intent.take());
        route.priority = self.priority.or(route.priority);
        route.queue = self.queue.clone().or(route.queue.take());
        if *route != before {
            route.confidence = None;
        }
    }

    /// Which share of its three parts differs from what was proposed, 0 to 1.
    #[must_use]
    pub fn distance(&self, proposed: &Route) -> f64 {
        let mut corrected = proposed.clone();
        self.correct(&mut corrected);
        let differs = [
            corrected.intent != proposed.intent,
            corrected.priority != proposed.priority,
            corrected.queue != proposed.queue,
        ];
        let count = differs.into_iter().filter(|differs| *differs).count();
        f64::from(u8::try_from(count).unwrap_or(3)) / 3.0
    }
}

fn word(given: Option<&str>) -> Result<Option<String>, Refused> {
    let Some(word) = given.map(str::trim) else { return Ok(None) };
    let is_one = !word.is_empty() && word.chars().nth(MAX_WORD_CHARS).is_none() && !word.chars().any(char::is_control);
    if is_one { Ok(Some(word.to_owned())) } else { Err(Refused::NoWord) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_sets_what_it_names_and_says_how_much_that_was() {
        let proposed = Route { intent: Some("refund".into()), confidence: Some(0.9), ..Route::default() };
        let same = Reroute { intent: Some("refund".into()), ..Reroute::default() };
        assert_eq!(same.distance(&proposed), 0.0);
        let other = Reroute { queue: Some("Billing".into()), priority: Some(Priority::High), intent: None };
        assert!((other.distance(&proposed) - 2.0 / 3.0).abs() < 1e-9);
        let mut route = proposed.clone();
        same.correct(&mut route);
        assert_eq!(route, proposed);
        other.correct(&mut route);
        assert_eq!((route.intent.as_deref(), route.queue.as_deref()), (Some("refund"), Some("Billing")));
        assert_eq!(route.confidence, None, "the model was not sure of that");
    }
}
