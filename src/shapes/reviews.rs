//! Reviews: what waits for a person, what they may do, and how drafts fared.

use serde_json::{Map, Value, json};

use super::time;
use crate::clock::rfc3339;
use crate::domain::review::Refused;
use crate::operators::DecidedTogether;
use crate::store::{Feedback, Looked, May, Review};

/// A review.
#[must_use]
pub fn review(review: &Review) -> Value {
    json!({
        "id": review.id,
        "version": review.version,
        "state": review.state,
        "reason": review.reason,
        "detail": review.detail,
        "topics": review.topics,
        "project": review.project,
        "ticket_id": review.ticket_id,
        "resource_id": review.resource_id,
        "workflow": review.workflow,
        "proposed": review.proposed,
        "output": review.output,
        "confidence": review.output.as_deref().and_then(confidence),
        "claimed_by": review.claimed_by,
        "claimed_until": time(review.claimed_until_ms),
        "created_at": rfc3339(review.created_at_ms),
        "decided_by": review.decided_by,
        "decided_at": time(review.decided_at_ms),
        "decision_reason": review.decision_reason,
        "undo_until": time(review.undo_until_ms),
        "text": review.text,
        "reviewers": review.reviewers,
        "approvals_needed": review.approvals_needed,
        "first_approved_by": review.first_approved_by,
        "escalated_by": review.escalated_by,
        "stale_reason": review.stale_reason,
        "matches": review.matches,
        "policy_version": review.policy_version,
        "prompt_version": review.prompt_version,
        "ticket": review.ticket,
        "erased_at": time(review.erased_at_ms),
    })
}

/// How sure the model says it is, when its output says so.
fn confidence(output: &str) -> Option<f64> {
    let said: Value = serde_json::from_str(output).ok()?;
    said["confidence"].as_f64().filter(|confidence| (0.0..=1.0).contains(confidence))
}

/// A review as somebody sees it: with what they may do, null for what they may and
/// otherwise why not, and whether the ticket moved on.
#[must_use]
pub fn looked(looked: &Looked) -> Value {
    let May { actions, takes_text, route } = &looked.may;
    let can = |(action, refused): &(&str, Option<Refused>)| {
        ((*action).to_owned(), json!(refused.as_ref().map(ToString::to_string)))
    };
    let mut shown = review(&looked.review);
    shown["can"] = actions.iter().map(can).collect();
    shown["takes_text"] = json!(takes_text);
    shown["route"] = json!(
        route.as_ref().map(|route| json!({"intent": route.intent, "priority": route.priority, "queue": route.queue}))
    );
    shown["moved_on"] = json!(looked.moved_on);
    shown
}

/// How drafts fared.
#[must_use]
pub fn feedback(feedback: &Feedback) -> Value {
    let reasons: Map<String, Value> =
        feedback.reasons.iter().map(|(reason, count)| (reason.clone(), json!(count))).collect();
    json!({
        "workflow": feedback.workflow,
        "prompt_version": feedback.prompt_version,
        "kept": feedback.kept,
        "edited": feedback.edited,
        "rejected": feedback.rejected,
        "mean_distance": feedback.mean_distance,
        "reasons": reasons,
    })
}

/// What was decided together, or would be.
#[must_use]
pub fn decided_together(decided: &DecidedTogether) -> Value {
    let refused: Vec<Value> = decided.refused.iter().map(|(id, why)| json!({"id": id, "why": why})).collect();
    let items: Vec<Value> = decided.items.iter().map(|(id, version)| json!({"id": id, "version": version})).collect();
    json!({"done": decided.items.len(), "items": items, "refused": refused, "effects": decided.effects})
}
