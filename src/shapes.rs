//! The JSON that the API and `--json` share, so that a script may use either.
//! Times are RFC 3339 in UTC.

mod batches;
mod insights;
mod people;
mod reviews;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

pub use batches::{BATCH_LINE_HEADINGS, batch, batch_line, batch_line_cells, batch_sample};
pub use insights::{INSIGHTS, insights, insights_table, rates};
pub use people::{token, user};
pub use reviews::{decided_together, feedback, looked, review};

use crate::clock::rfc3339;
use crate::doctor::Item;
use crate::domain::effect::Slot;
use crate::domain::id::hex;
use crate::domain::job::State;
use crate::domain::policy::{Action, Notes, Policy, Publish, Rule, WorkflowRules};
use crate::domain::trail::Trail;
use crate::store::{
    Alert, AlertSend, Attachment, Audit, Body, Counts, Delivery, DeskTicket, Draft, Entry, Erased, FailedJobs, Finding,
    HeardEvent, Job, NotErased, Page, Pause, Receipt, Replayed, Restored, Scrubbed, StoredMessage, Submission,
};
use crate::workflows::Workflow;

fn time(ms: Option<i64>) -> Value {
    ms.map_or(Value::Null, |ms| Value::String(rfc3339(ms)))
}

/// A job's id as people write it.
#[must_use]
pub fn job_id(id: i64) -> String {
    format!("job_{id}")
}

/// The number in a job's id; the bare number is taken as well.
#[must_use]
pub fn parse_job_id(text: &str) -> Option<i64> {
    text.strip_prefix("job_").unwrap_or(text).parse().ok()
}

/// A page of a list.
#[must_use]
pub fn page<T>(page: &Page<T>, item: impl Fn(&T) -> Value) -> Value {
    let items: Vec<Value> = page.items.iter().map(item).collect();
    json!({"items": items, "next_cursor": page.next.map(|next| next.to_string())})
}

/// A delivery.
#[must_use]
pub fn delivery(delivery: &Delivery) -> Value {
    json!({
        "delivery_id": delivery.delivery_id,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "resource_id": delivery.resource_id,
        "project": delivery.project,
        "status": delivery.status.word(),
        "received_at": rfc3339(delivery.received_at_ms),
        "attempt_count": delivery.attempt_count,
        "ticket_id": delivery.ticket_id,
        "workflow": delivery.workflow,
        "last_error": delivery.last_error,
        "job_id": delivery.job_id.map(job_id),
        "outcome": delivery.outcome,
        "duplicate_of": delivery.duplicate_of,
        "copies": delivery.copies,
        "altered_copies": delivery.altered_copies,
        "note": delivery.note,
        "dismissed_at": time(delivery.dismissed_at_ms),
        "dismissed_by": delivery.dismissed_by,
    })
}

/// A job.
#[must_use]
pub fn job(job: &Job) -> Value {
    json!({
        "id": job_id(job.id),
        "project": job.project,
        "key": job.key,
        "kind": job.kind,
        "event_type": job.event_type,
        "resource_id": job.resource_id,
        "delivery_id": job.delivery_id,
        "status": job.status.word(),
        "since": rfc3339(job.since_ms),
        "queued_at": rfc3339(job.queued_at_ms),
        "next_at": time(job.next_at_ms),
        "forget_at": rfc3339(job.forget_at_ms),
        "attempt_count": job.attempt_count,
        "worker": job.worker,
        "outcome": job.outcome,
        "reason": job.reason,
        "last_error": job.last_error,
        "ticket_id": job.ticket_id,
        "workflow": job.workflow,
        "submission_id": job.submission_id,
    })
}

/// One change to a ticket.
#[must_use]
pub fn receipt(receipt: &Receipt) -> Value {
    json!({
        "slot": receipt.slot,
        "ticket_id": receipt.ticket_id,
        "ref": receipt.reference,
        "state": receipt.state,
        "planned_at": rfc3339(receipt.planned_at_ms),
        "applied_at": time(receipt.applied_at_ms),
        "external_id": receipt.external_id,
        "undone_at": time(receipt.undone_at_ms),
    })
}

/// The body of a delivery: as text when it is text, otherwise in Base64.
#[must_use]
pub fn body(delivery_id: &str, body: &Body) -> Value {
    let text = body.bytes.as_deref().map(std::str::from_utf8);
    json!({
        "delivery_id": delivery_id,
        "body": text.and_then(Result::ok),
        "base64": body.bytes.as_ref().filter(|_| matches!(text, Some(Err(_)))).map(|bytes| STANDARD.encode(bytes)),
        "sha256": hex(&body.sha256),
        "erased": body.bytes.is_none(),
    })
}

/// What the helpdesk told.
#[must_use]
pub fn heard(one: &HeardEvent) -> Value {
    json!({
        "id": one.id, "ticket_id": one.ticket_id, "what": one.what, "became": one.became,
        "submission_id": one.submission_id, "at": rfc3339(one.at_ms),
    })
}

/// A submission.
#[must_use]
pub fn submission(submission: &Submission) -> Value {
    json!({
        "id": submission.id,
        "project": submission.project,
        "kind": submission.kind,
        "ticket_id": submission.ticket_id,
        "workflow": submission.workflow,
        "prompt_version": submission.prompt_version,
        "state": submission.state,
        "resource_id": submission.resource_id,
        "created_at": rfc3339(submission.created_at_ms),
        "started_at": time(submission.started_at_ms),
        "ended_at": time(submission.ended_at_ms),
        "deadline_at": rfc3339(submission.deadline_ms),
        "check_at": time(submission.check_at_ms),
        "polls": submission.polls,
        "found_by": submission.found_by,
        "origin": submission.origin,
        "retry_of": submission.retry_of,
        "last_error": submission.error,
        "actor": submission.actor,
    })
}

/// What an audit found.
#[must_use]
pub fn audit(audit: &Audit) -> Value {
    let checked: Map<String, Value> =
        audit.checked.iter().map(|(kind, count)| ((*kind).to_owned(), json!(count))).collect();
    let finding = |finding: &Finding| {
        json!({
            "thing": finding.thing,
            "id": finding.id,
            "rule": finding.rule,
            "since": rfc3339(finding.since_ms),
        })
    };
    let findings: Vec<Value> = audit.findings.iter().map(finding).collect();
    json!({
        "ok": findings.is_empty(),
        "checked": checked,
        "restored": audit.restored.as_ref().map(restored),
        "items": findings,
        "next_cursor": null,
    })
}

/// That a database was restored.
#[must_use]
pub fn restored(restored: &Restored) -> Value {
    json!({
        "restored_at": rfc3339(restored.at_ms),
        "copied_at": restored.copied_at_ms.map(rfc3339),
    })
}

/// A ticket of the built-in desk.
#[must_use]
pub fn ticket(ticket: &DeskTicket) -> Value {
    json!({
        "id": ticket.id,
        "subject": ticket.subject,
        "status": ticket.status,
        "queue": ticket.queue,
        "priority": ticket.priority,
        "intent": ticket.intent,
        "tags": ticket.tags,
        "fields": ticket.fields,
        "updated_at": rfc3339(ticket.updated_at_ms),
        "erased_at": time(ticket.erased_at_ms),
        "messages": ticket.messages.iter().map(message).collect::<Vec<_>>(),
        "drafts": ticket.drafts.iter().map(draft).collect::<Vec<_>>(),
        "attachments": ticket.attachments.iter().map(attachment).collect::<Vec<_>>(),
    })
}

fn attachment(attachment: &Attachment) -> Value {
    json!({"name": attachment.name, "bytes": attachment.bytes, "ref": attachment.reference})
}

fn message(message: &StoredMessage) -> Value {
    json!({
        "author": message.author.word(),
        "visibility": message.visibility.word(),
        "body": message.body,
        "created_at": rfc3339(message.created_at_ms),
        "ref": message.reference,
    })
}

fn draft(draft: &Draft) -> Value {
    json!({"id": draft.id.to_string(), "body": draft.body, "state": draft.state, "ref": draft.reference})
}

/// The answers of `why`.
#[must_use]
pub fn why(id: &str, trail: &Trail, policy: Option<&Policy>, now_ms: i64) -> Value {
    let why = trail.why(now_ms);
    // Who looks after a topic is the policy's to say; none when it cannot be read.
    let topic = |topic: &String| json!({"topic": topic, "owner": policy.and_then(|policy| policy.owner(topic))});
    let topics: Vec<Value> = trail.review.iter().flat_map(|review| &review.topics).map(topic).collect();
    let answers: Vec<Value> = why
        .answers
        .iter()
        .map(|answer| json!({"question": answer.question, "answer": answer.answer, "at": time(answer.at_ms)}))
        .collect();
    let job = trail.job.as_ref();
    json!({
        "id": id,
        "ticket_id": trail.ticket_id,
        "workflow": trail.workflow,
        "submission_id": trail.submission.as_ref().map(|submission| &submission.id),
        "resource_id": trail.resource_id,
        "event_id": trail.event_id,
        "delivery_ids": trail.deliveries.iter().map(|delivery| &delivery.id).collect::<Vec<_>>(),
        "job_id": job.map(|job| job_id(job.id)),
        "review_id": trail.review.as_ref().map(|review| &review.id),
        "batch_id": trail.batch.as_ref().map(|batch| &batch.id),
        "batch_state": trail.batch.as_ref().map(|batch| batch.state.word()),
        "line": trail.line.as_ref().map(|line| line.number),
        "topics": topics,
        "answers": answers,
        "status": trail.status().map(State::word),
        "outcome": job.and_then(|job| job.outcome.as_ref()),
        "last_error": job.and_then(|job| job.last_error.as_ref()),
        "next": why.next,
        "next_at": time(why.next_at_ms),
        "owner": why.owner,
        "others": trail.others,
    })
}

/// Everything that is counted.
#[must_use]
pub fn stats(counts: &Counts, alerts: &[Alert], now_ms: i64) -> Value {
    let age = |since: Option<i64>| since.map(|since| (now_ms - since).max(0) / 1000);
    let named = |pairs: &[(String, i64)]| -> Map<String, Value> {
        pairs.iter().map(|(name, count)| (name.clone(), Value::from(*count))).collect()
    };
    let states: Map<String, Value> = counts
        .states
        .iter()
        .map(|count| {
            let mut said = json!({"count": count.count, "oldest_age_s": age(count.oldest_ms)});
            if count.at_least {
                said["at_least"] = Value::from(true);
            }
            (count.state.word().to_owned(), said)
        })
        .collect();
    json!({
        "states": states,
        "outcomes": named(&counts.outcomes),
        "found_first": named(&counts.found_first),
        "deliveries": counts.deliveries,
        "open_reviews": {"count": counts.open_reviews.0, "oldest_age_s": age(counts.open_reviews.1)},
        "batches": {
            "states": counts.batches.states.iter().copied().collect::<BTreeMap<_, _>>(),
            "lines_entered": named(&counts.batches.entered),
            "lines_ended": named(&counts.batches.ended),
            "oldest_waiting_age_s": age(counts.batches.oldest_waiting_ms),
        },
        "refused": named(&counts.refused),
        "least_time_to_forget_s": counts.least_forget_at_ms.map(|at| (at - now_ms) / 1000),
        "alerts": alerts.iter().map(alert).collect::<Vec<_>>(),
    })
}

/// An alert, without what was sent of it.
fn alert(alert: &Alert) -> Value {
    json!({
        "id": format!("alert_{}", alert.id),
        "kind": alert.kind,
        "subject": alert.subject,
        "detail": alert.detail,
        "notice": alert.notice,
        "opened_at": rfc3339(alert.opened_at_ms),
        "last_at": rfc3339(alert.last_at_ms),
        "closed_at": time(alert.closed_at_ms),
        "times": alert.times,
    })
}

/// What an erasure did; a count for each kind of row, and null for what was done
/// to the files when they are a server's.
#[must_use]
pub fn erased(erased: &Erased, scrubbed: Option<Scrubbed>) -> Value {
    let counts: Map<String, Value> =
        erased.counts.iter().map(|(kind, count)| ((*kind).to_owned(), json!(count))).collect();
    json!({
        "ticket_id": erased.ticket_id,
        "erased_at": rfc3339(erased.at_ms),
        "erased": counts,
        "compacted": scrubbed.map(|scrubbed| scrubbed.compacted),
        "log_emptied": scrubbed.map(|scrubbed| scrubbed.log_emptied),
    })
}

/// Which jobs keep a ticket from being erased, and what to do; none when there
/// is no such ticket.
#[must_use]
pub fn moving_jobs(refused: &NotErased) -> Option<String> {
    let NotErased::Moving(jobs) = refused else { return None };
    let named: Vec<String> = jobs.iter().take(10).map(|id| job_id(*id)).collect();
    let more = if jobs.len() > named.len() { " and more" } else { "" };
    Some(format!(
        "{}{more} would bring content back: wait until they have ended, or discard those that have failed",
        named.join(", ")
    ))
}

/// A policy, as it is understood.
#[must_use]
pub fn policy(policy: &Policy) -> Value {
    let workflow = |rules: &WorkflowRules| {
        json!({
            "action": if rules.action == Action::Apply { "apply" } else { "review" },
            "min_confidence": rules.min_confidence,
            "publish": if rules.publish == Publish::Auto { "auto" } else { "never" },
            "undo_ms": rules.undo_ms,
            "resubmit": rules.resubmit,
        })
    };
    let rule = |rule: &Rule| {
        json!({
            "id": rule.id,
            "topic": rule.topic,
            "owner": rule.owner,
            "outcome": rule.outcome.word(),
            "notes": if rule.notes == Notes::Apply { "apply" } else { "review" },
            "reviewers": rule.reviewers,
            "second_approver": rule.second_approver,
            "undo_ms": rule.undo_ms,
            "phrases": rule.phrases,
        })
    };
    let named = policy.workflows().iter().map(|(name, rules)| (name.clone(), workflow(rules)));
    json!({
        "version": policy.version(),
        "sha256": policy.sha256(),
        "built_in": policy.is_built_in(),
        "kill_switch": policy.kill_switch(),
        "defaults": workflow(&policy.defaults()),
        "workflows": named.collect::<Map<String, Value>>(),
        "rules": policy.rules().iter().map(rule).collect::<Vec<_>>(),
        "text": policy.text(),
    })
}

/// An alert, with what was sent of it.
#[must_use]
pub fn alert_with_sends(shown: &Alert) -> Value {
    let mut shape = alert(shown);
    shape["sends"] = shown.sends.iter().map(alert_send).collect();
    shape
}

fn alert_send(send: &AlertSend) -> Value {
    json!({
        "channel": send.channel,
        "word": send.word,
        "state": send.state,
        "told": send.told,
        "attempts": send.attempts,
        "next_at": time(send.next_at_ms),
        "sent_at": time(send.sent_at_ms),
        "error": send.error,
    })
}

/// A pause.
#[must_use]
pub fn pause(pause: &Pause) -> Value {
    let (kind, name) = pause.what.words();
    json!({"kind": kind, "name": name, "actor": pause.actor, "reason": pause.reason, "since": rfc3339(pause.since_ms)})
}

/// An entry of the audit trail.
#[must_use]
pub fn entry(entry: &Entry) -> Value {
    json!({
        "seq": entry.seq,
        "at": rfc3339(entry.at_ms),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
    })
}

/// What a bulk action found and did.
#[must_use]
pub fn bulk(found: &FailedJobs, done: usize) -> Value {
    let by_cause: Map<String, Value> =
        found.by_cause.iter().map(|(cause, count)| (cause.clone(), Value::from(*count))).collect();
    let sample: Vec<String> = found.sample.iter().copied().map(job_id).collect();
    json!({"matched": found.matched, "done": done, "by_cause": by_cause, "sample": sample})
}

/// What a replay did, or would do.
#[must_use]
pub fn replayed(replayed: &Replayed, dry_run: bool) -> Value {
    let Replayed { unparked, retried, again, left } = replayed;
    json!({
        "matched": unparked + retried + again,
        "done": if dry_run { 0 } else { unparked + retried + again },
        "unparked": unparked,
        "retried": retried,
        "again": again,
        "left": left,
    })
}

/// An item of the checklist.
#[must_use]
pub fn item(item: &Item) -> Value {
    let finding = &item.finding;
    json!({"item": item.item, "state": finding.state.word(), "detail": finding.detail, "fix": finding.fix})
}

/// A workflow.
#[must_use]
pub fn workflow(workflow: &Workflow) -> Value {
    let effects: Vec<Value> =
        workflow.effects.iter().map(|may| json!({"slot": may.slot.word(), "what": may.what})).collect();
    json!({
        "name": workflow.name,
        "about": workflow.about,
        "prompt_version": workflow.prompt_version,
        "model": workflow.model,
        "effects": effects,
        "starts": workflow.starts,
        "text_slot": workflow.text_slot.map(Slot::word),
        "instructions": workflow.instructions,
        "schema": workflow.schema,
        "strict": workflow.is_strict(),
    })
}
