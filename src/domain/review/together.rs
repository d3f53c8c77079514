//! Which reviews may be approved together, without each being read: those that
//! only sort a ticket or tell the team something, and that nothing speaks
//! against but that the model was not sure or that the policy asks every time.

use super::Refused;
use crate::domain::effect::{Effect, Slot};
use crate::domain::hold::HoldReason;

/// What is proposed, and what is known against it.
#[derive(Debug, Clone, Copy)]
pub struct Together<'a> {
    /// Why it is held; none when this version does not know the reason.
    pub reason: Option<HoldReason>,
    /// Sensitive topics found.
    pub topics: &'a [String],
    /// How many rules of the policy hit.
    pub rules_hit: usize,
    /// What would be changed.
    pub effects: &'a [Effect],
    /// Whether a customer would be sent something.
    pub has_reply: bool,
    /// How many people must approve it.
    pub approvals_needed: i64,
    /// Whether somebody handed it to the leads.
    pub is_escalated: bool,
}

/// Why a review is not decided together with others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTogether {
    /// There is none with this id.
    #[error("there is no such review")]
    Unknown,
    /// It would not be done to it alone either.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Somebody must read what it is about.
    #[error("it is about something sensitive; decide it by itself")]
    Sensitive,
    /// It goes to a customer, or lies ready to.
    #[error("a customer would see it; decide it by itself")]
    SeenByCustomer,
    /// What was held for this reason must be read.
    #[error("it is held as {0}; decide it by itself")]
    Held(&'static str),
    /// A rule of the policy asks for a person.
    #[error("a rule of the policy hit; decide it by itself")]
    RuleHit,
    /// Two people must agree.
    #[error("two people must approve it; decide it by itself")]
    TwoPeople,
    /// Somebody asked the leads to look at it.
    #[error("it was handed to the leads; decide it by itself")]
    Escalated,
    /// It does more than sort or tell.
    #[error("it would do more than set fields or add a note ({0}); decide it by itself")]
    DoesMore(&'static str),
}

impl Together<'_> {
    /// Whether it may be approved without being read.
    ///
    /// # Errors
    /// Why not.
    pub fn may_be_approved(&self) -> Result<(), NotTogether> {
        let slots = || self.effects.iter().map(Effect::slot);
        let more = slots().find(|slot| !matches!(slot, Slot::Route | Slot::Fields | Slot::Note));
        match self.reason {
            _ if !self.topics.is_empty() || self.reason == Some(HoldReason::Sensitive) => Err(NotTogether::Sensitive),
            _ if self.has_reply || slots().any(|slot| matches!(slot, Slot::Reply | Slot::Draft)) => {
                Err(NotTogether::SeenByCustomer)
            }
            Some(HoldReason::LowConfidence | HoldReason::Policy) => match more {
                _ if self.rules_hit > 0 => Err(NotTogether::RuleHit),
                _ if self.approvals_needed > 1 => Err(NotTogether::TwoPeople),
                _ if self.is_escalated => Err(NotTogether::Escalated),
                Some(slot) => Err(NotTogether::DoesMore(slot.word())),
                None => Ok(()),
            },
            Some(reason) => Err(NotTogether::Held(reason.code())),
            None => Err(NotTogether::Held("something else")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::effect::Route;

    const PLAIN: Together<'static> = Together {
        reason: Some(HoldReason::LowConfidence),
        topics: &[],
        rules_hit: 0,
        effects: &[],
        has_reply: false,
        approvals_needed: 1,
        is_escalated: false,
    };

    fn refused(review: Together<'_>) -> Option<NotTogether> {
        review.may_be_approved().err()
    }

    #[test]
    fn only_what_the_model_was_unsure_of_or_the_policy_always_asks_for_is_approved_unread() {
        for reason in HoldReason::ALL {
            let allowed = matches!(reason, HoldReason::LowConfidence | HoldReason::Policy);
            assert_eq!(refused(Together { reason: Some(reason), ..PLAIN }).is_none(), allowed, "{reason}");
        }
        assert!(refused(Together { reason: None, ..PLAIN }).is_some());
    }

    #[test]
    fn what_sorts_or_tells_the_team_may_be_and_what_does_more_may_not() {
        let text = || "text".to_owned();
        let (route, note) = (Effect::Route(Route::default()), Effect::Note { text: text() });
        let fields = Effect::Fields { fields: serde_json::Map::new() };
        assert_eq!(refused(Together { effects: &[route.clone(), note, fields], ..PLAIN }), None);
        for (more, why) in [
            (Effect::Draft { text: text() }, NotTogether::SeenByCustomer),
            (Effect::Start { workflow: text() }, NotTogether::DoesMore("start")),
            (Effect::Attachment { name: text(), text: text() }, NotTogether::DoesMore("attachment")),
        ] {
            assert_eq!(refused(Together { effects: &[route.clone(), more], ..PLAIN }), Some(why));
        }
    }

    #[test]
    fn whatever_asks_for_a_person_to_read_it_is_refused_with_its_reason() {
        let topics = ["refund".to_owned()];
        let cases = [
            (Together { topics: &topics, ..PLAIN }, NotTogether::Sensitive),
            (Together { reason: Some(HoldReason::Sensitive), ..PLAIN }, NotTogether::Sensitive),
            (Together { has_reply: true, ..PLAIN }, NotTogether::SeenByCustomer),
            (Together { rules_hit: 1, ..PLAIN }, NotTogether::RuleHit),
            (Together { approvals_needed: 2, ..PLAIN }, NotTogether::TwoPeople),
            (Together { is_escalated: true, ..PLAIN }, NotTogether::Escalated),
        ];
        for (review, why) in cases {
            assert_eq!(refused(review), Some(why));
        }
    }
}
