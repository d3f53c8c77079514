//! What people decide about reviews, and what becomes of it. The rules are in
//! `domain/review`; here they are carried into the database, each action in one
//! transaction together with its job, its trail and its feedback.

mod drafts;

use crate::store::sql::{self, Connection, OptionalExtension, params};
use serde_json::json;

pub use drafts::DraftOver;
pub(super) use drafts::{DRAFT_OVER, draft_over, waiting_drafts};

use super::feedback::{self, Verdict};
use super::newest::Work;
use super::row::json as from_json;
use super::{ClaimedJob, Store, StoreError, audit_trail, reviews, samples};
use crate::domain::edits;
use crate::domain::effect::{Effect, Route, Slot};
use crate::domain::person::Person;
use crate::domain::review::{Action, Amended, Next, Refused, Review, State, TextSlot};
use crate::domain::ticket::{NEWER_RESULT, Seen};

/// What a person asks of a review.
#[derive(Debug, Clone)]
pub struct Act {
    /// `rev_…`
    pub review: String,
    /// The version they looked at; none takes the one there is.
    pub version: Option<i64>,
    /// Who.
    pub person: Person,
    /// What.
    pub action: Action,
    /// How long a claim lasts, in ms.
    pub lease_ms: i64,
    /// In ms.
    pub now_ms: i64,
}

/// An approved review, as a worker carries it out.
#[derive(Debug, Clone, PartialEq)]
pub struct Approved {
    /// `rev_…`
    pub review: String,
    /// The ticket.
    pub ticket_id: String,
    /// The workflow.
    pub workflow: String,
    /// When the work was made from the ticket, in ms, when that is known.
    pub made_at_ms: Option<i64>,
    /// How far the conversation had come.
    pub seen: Option<Seen>,
    /// What to change and to send.
    pub effects: Vec<Effect>,
}

impl Store {
    /// Does what a person asks, if the rules allow it. None when there is no
    /// such review.
    ///
    /// # Errors
    /// When the transaction could not be committed. What the rules refuse is not
    /// an error of the store.
    pub async fn act_on_review(&self, act: Act) -> Result<Option<Result<reviews::Review, Refused>>, StoreError> {
        let done = self
            .write(move |connection| {
                let Some(row) = load(connection, &act.review)? else { return Ok(None) };
                let acted = row.review.act(
                    &act.action,
                    act.version.unwrap_or(row.review.version),
                    &act.person,
                    act.now_ms,
                    act.lease_ms,
                );
                let (next, follows) = match acted {
                    Ok(acted) => acted,
                    Err(refused) => return Ok(Some(Err(refused))),
                };
                if let Err(refused) = follow(connection, &row, &next, &follows, &act)? {
                    return Ok(Some(Err(refused)));
                }
                write(connection, &next, &act)?;
                note(connection, &row.review, &next, &act)?;
                Ok(reviews::one(connection, &act.review)?.map(Ok))
            })
            .await?;
        self.ring();
        Ok(done)
    }

    /// Extends a claim without an action: the version stays. False when this
    /// person does not hold it any more.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn keep_claim(
        &self,
        review: String,
        name: String,
        until_ms: i64,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let kept = connection.execute(
                "UPDATE reviews SET claimed_until = ?3
                 WHERE id = ?1 AND state = 'claimed' AND claimed_by = ?2 AND claimed_until > ?4",
                (&review, &name, until_ms, now_ms),
            )?;
            Ok(kept == 1)
        })
        .await
    }
}

/// A review with what carrying it out needs.
pub(super) struct Row {
    pub(super) review: Review,
    project: String,
    pub(super) ticket_id: Option<String>,
    workflow: Option<String>,
    resource_id: String,
    prompt_version: Option<String>,
    pub(super) effects: Vec<Effect>,
    draft_ref: Option<String>,
    pub(super) seen: Option<String>,
    made_at_ms: Option<i64>,
    is_erased: bool,
}

impl Row {
    /// What it proposes that the ticket is about.
    pub(super) fn route(&self) -> Option<&Route> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Route(route) => Some(route),
            _ => None,
        })
    }
}

pub(super) fn load(connection: &Connection, id: &str) -> Result<Option<Row>, StoreError> {
    let found = connection
        .prepare_cached("SELECT * FROM reviews WHERE id = ?1")?
        .query_row([id], |row| {
            let (reply, text_slot): (Option<String>, Option<String>) = (row.get("reply")?, row.get("text_slot")?);
            let (effects, state): (String, String) = (row.get("effects")?, row.get("state")?);
            let review = Review {
                id: row.get("id")?,
                version: row.get("version")?,
                state: State::parse(&state).ok_or(sql::Error::Unreadable)?,
                reviewers: Vec::new(),
                approvals_needed: row.get("approvals_needed")?,
                first_approved_by: row.get("first_approved_by")?,
                claimed_by: row.get("claimed_by")?,
                claimed_until_ms: row.get("claimed_until")?,
                undo_until_ms: row.get("undo_until")?,
                undo_ms: row.get("undo_ms")?,
                decided_by: row.get("decided_by")?,
                decision_reason: row.get("decision_reason")?,
                amended: Amended { text: row.get("text")?, route: None },
                is_placed: row.get::<_, Option<String>>("ticket_id")?.is_some(),
                proposes: reply.is_some() || effects != "[]",
                takes_text: text_slot.as_deref().and_then(TextSlot::parse),
                reply: reply.clone(),
                routes: false,
            };
            let found = Row {
                review,
                project: row.get("project")?,
                ticket_id: row.get("ticket_id")?,
                workflow: row.get("workflow")?,
                resource_id: row.get("resource_id")?,
                prompt_version: row.get("prompt_version")?,
                effects: Vec::new(),
                draft_ref: row.get("draft_ref")?,
                seen: row.get("seen")?,
                made_at_ms: row.get("made_at")?,
                is_erased: row.get::<_, Option<i64>>("erased_at")?.is_some(),
            };
            Ok((found, effects, row.get::<_, String>("reviewers")?, row.get::<_, Option<String>>("route")?))
        })
        .optional()?;
    let Some((mut row, effects, reviewers, route)) = found else { return Ok(None) };
    row.effects = from_json(&effects, "reviews", "effects")?;
    row.review.reviewers = from_json(&reviewers, "reviews", "reviewers")?;
    row.review.amended.route = route.as_deref().map(|route| from_json(route, "reviews", "route")).transpose()?;
    row.review.routes = row.route().is_some();
    Ok(Some(row))
}

/// Does what an action entails besides the review itself.
fn follow(
    connection: &Connection,
    row: &Row,
    next: &Review,
    follows: &Next,
    act: &Act,
) -> Result<Result<(), Refused>, StoreError> {
    match follows {
        Next::Stands => {}
        Next::CarryOut { at_ms, .. } => queue(connection, row, *at_ms, act.now_ms)?,
        Next::Withdraw => {
            drafts::set_draft(connection, row.draft_ref.as_deref(), "open", "rejected")?;
            drafts::take_draft_away(connection, row, next.undo_until_ms.unwrap_or(act.now_ms), act.now_ms)?;
            if let Some(workflow) = &row.workflow {
                let reason = next.decision_reason.as_deref().map(code_of);
                let verdict = Verdict {
                    review: &row.review.id,
                    workflow,
                    prompt_version: row.prompt_version.as_deref(),
                    verdict: "rejected",
                    distance: None,
                    reason,
                    actor: &act.person.name,
                };
                feedback::add(connection, &verdict, act.now_ms)?;
            }
        }
        Next::TakeBack if row.review.state == State::Approved => {
            if !unqueue(connection, row)? {
                return Ok(Err(Refused::TooLate));
            }
        }
        Next::TakeBack => {
            drafts::set_draft(connection, row.draft_ref.as_deref(), "rejected", "open")?;
            drafts::leave_draft(connection, row)?;
            feedback::remove(connection, &row.review.id)?;
        }
    }
    Ok(Ok(()))
}

/// The code of a reason that may have words of a person behind it.
fn code_of(reason: &str) -> &str {
    reason.split(':').next().unwrap_or(reason)
}

/// An approval is a job: it waits for the end of the undo window, and is
/// carried out once. It goes before the backlog, because people wait for it.
fn queue(connection: &Connection, row: &Row, at_ms: i64, now_ms: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO jobs (project, key, kind, event_type, resource_id, state, since, queued_at, claimable_at, forget_at, ticket_id, workflow)
             VALUES (?1, 'review/' || ?2, 'approval', 'review.approved', ?3, 'queued', ?4, ?4, ?5, ?4, ?6, ?7)",
        )?
        .execute(params![
            row.project,
            row.review.id,
            row.resource_id,
            now_ms,
            at_ms,
            row.ticket_id,
            row.workflow
        ])?;
    Ok(())
}

/// Takes an approval's job back. False once a worker has had it.
fn unqueue(connection: &Connection, row: &Row) -> Result<bool, StoreError> {
    let gone = connection
        .prepare_cached(
            "DELETE FROM jobs WHERE key = 'review/' || ?1 AND project = ?2 AND state = 'queued' AND claims = 0",
        )?
        .execute((&row.review.id, &row.project))?;
    Ok(gone == 1)
}

fn write(connection: &Connection, next: &Review, act: &Act) -> Result<(), StoreError> {
    let decided = next.decided_by.is_some();
    let escalated = matches!(act.action, Action::Escalate { .. });
    connection
        .prepare_cached(
            "UPDATE reviews SET version = ?2, state = ?3, reviewers = ?4, first_approved_by = ?5, claimed_by = ?6, claimed_until = ?7,
                    undo_until = ?8, decided_by = ?9, decided_at = CASE WHEN ?10 = 1 THEN ?11 END, decision_reason = ?12, text = ?13,
                    escalated_by = CASE WHEN ?14 = 1 THEN ?15 ELSE escalated_by END, route = ?16
             WHERE id = ?1",
        )?
        .execute(params![
            next.id,
            next.version,
            next.state.word(),
            super::row::to_json(&next.reviewers)?,
            next.first_approved_by,
            next.claimed_by,
            next.claimed_until_ms,
            next.undo_until_ms,
            next.decided_by,
            decided,
            act.now_ms,
            next.decision_reason,
            next.amended.text,
            escalated,
            act.person.name,
            next.amended.route.as_ref().map(super::row::to_json).transpose()?
        ])?;
    Ok(())
}

fn note(connection: &Connection, before: &Review, next: &Review, act: &Act) -> Result<(), StoreError> {
    let detail = json!({
        "version": next.version,
        "from": before.state.word(),
        "to": next.state.word(),
        "edited": matches!(&act.action, Action::Approve(amended) if *amended != Amended::default()),
        "reason": next.decision_reason.as_deref().filter(|_| matches!(act.action, Action::Reject { .. })).map(code_of),
    });
    audit_trail::add(connection, &act.person.name, act.action.word(), &next.id, &detail, act.now_ms)
}

/// What a claimed approval carries out. None when the review is not approved
/// any more.
pub(super) fn approved(connection: &Connection, review: &str) -> Result<Option<Approved>, StoreError> {
    let Some(row) = load(connection, review)? else { return Ok(None) };
    let Some(permission) = row.review.permission().filter(|_| !row.is_erased) else { return Ok(None) };
    let Review { amended: Amended { text, route }, takes_text, .. } = &row.review;
    let (mut effects, mut reply) = (row.effects.clone(), row.review.reply.clone());
    match (text, takes_text) {
        (Some(text), Some(TextSlot::Reply)) => reply = Some(text.clone()),
        (Some(text), Some(TextSlot::Note)) => {
            effects.retain(|effect| effect.slot() != Slot::Note);
            effects.insert(0, Effect::Note { text: text.clone() });
        }
        _ => {}
    }
    for effect in &mut effects {
        if let (Effect::Route(proposed), Some(corrected)) = (effect, route) {
            corrected.correct(proposed);
        }
    }
    effects.extend(reply.map(|text| Effect::Reply(permission.reply(text))));
    Ok(Some(Approved {
        review: row.review.id,
        ticket_id: row.ticket_id.ok_or(StoreError::Corrupt { table: "reviews", column: "ticket_id" })?,
        workflow: row.workflow.unwrap_or_default(),
        made_at_ms: row.made_at_ms,
        seen: row.seen.as_deref().map(|seen| from_json(seen, "reviews", "seen")).transpose()?,
        effects,
    }))
}

/// An approval has been carried out: the draft was sent, and how much of it was
/// kept is counted.
pub(super) fn carried_out(connection: &Connection, job: &ClaimedJob, now_ms: i64) -> Result<(), StoreError> {
    let Some(row) = job.approved.as_ref().map(|approved| load(connection, &approved.review)).transpose()?.flatten()
    else {
        return Ok(());
    };
    drafts::set_draft(connection, row.draft_ref.as_deref(), "open", "sent")?;
    drafts::take_draft_away(connection, &row, now_ms, now_ms)?;
    let (Some(workflow), Some(by)) = (&row.workflow, &row.review.decided_by) else { return Ok(()) };
    let distance = of_text(&row).max(of_route(connection, &row)?);
    let verdict = Verdict {
        review: &row.review.id,
        workflow,
        prompt_version: row.prompt_version.as_deref(),
        verdict: if distance > 0.0 { "edited" } else { "kept" },
        distance: Some(distance),
        reason: None,
        actor: by,
    };
    feedback::add(connection, &verdict, now_ms)
}

/// How far the text is from the one proposed, 0 to 1.
fn of_text(row: &Row) -> f64 {
    let note = || row.effects.iter().find(|effect| effect.slot() == Slot::Note).map(Effect::in_words);
    let proposed = match row.review.takes_text {
        Some(TextSlot::Note) => note(),
        _ => row.review.reply.clone(),
    };
    match (&row.review.amended.text, proposed) {
        (Some(text), Some(proposed)) => edits::distance(&proposed, text),
        (Some(_), None) => 1.0,
        (None, _) => 0.0,
    }
}

/// How far the classification is from the one proposed, 0 to 1. A category that a
/// person corrected is counted under the name of the one that was wrong.
fn of_route(connection: &Connection, row: &Row) -> Result<f64, StoreError> {
    let (Some(corrected), Some(proposed)) = (&row.review.amended.route, row.route()) else { return Ok(0.0) };
    match (&corrected.intent, &proposed.intent) {
        (Some(right), Some(wrong)) if right != wrong => samples::measure_override(connection, wrong)?,
        _ => {}
    }
    Ok(corrected.distance(proposed))
}

/// The ticket moved on: drafts for it no longer fit. An approval that a worker
/// has not taken yet is called off as well.
pub(super) fn ticket_moved(connection: &Connection, ticket_id: &str, why: &str, now_ms: i64) -> Result<(), StoreError> {
    let mut drafts = connection.prepare_cached(
        "SELECT id FROM reviews WHERE ticket_id = ?1 AND text_slot = 'reply' AND state IN ('open','claimed','approved')",
    )?;
    let ids = drafts.query_map([ticket_id], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    ids.iter().try_for_each(|id| go_stale(connection, id, why, now_ms).map(drop))
}

/// Newer work of the same workflow and ticket: older results that wait for a
/// person are out of date.
pub(super) fn outdate(connection: &Connection, work: &Work, now_ms: i64) -> Result<(), StoreError> {
    let mut older = connection.prepare_cached(
        "SELECT id FROM reviews WHERE ticket_id = ?1 AND workflow = ?2 AND state IN ('open','claimed','approved')
           AND made_at < ?3 AND NOT (resource_id = ?4 AND project = ?5)",
    )?;
    let ids = older
        .query_map((&work.ticket_id, &work.workflow, work.made_at_ms, &work.resource_id, &work.project), |row| {
            row.get(0)
        })?
        .collect::<Result<Vec<String>, _>>()?;
    ids.iter().try_for_each(|id| go_stale(connection, id, NEWER_RESULT, now_ms).map(drop))
}

/// Makes a review stale. False when it is being carried out already, or has been.
pub(super) fn go_stale(connection: &Connection, id: &str, why: &str, now_ms: i64) -> Result<bool, StoreError> {
    let Some(row) = load(connection, id)? else { return Ok(false) };
    if row.review.state == State::Approved && !unqueue(connection, &row)? {
        return Ok(false);
    }
    stale(connection, &row, why, now_ms)?;
    Ok(true)
}

/// The worker that carries out an approval found that the ticket moved on.
pub(super) fn stale_when_carried_out(
    connection: &Connection,
    id: &str,
    why: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    match load(connection, id)? {
        Some(row) if row.review.state == State::Approved => stale(connection, &row, why, now_ms),
        _ => Ok(()),
    }
}

fn stale(connection: &Connection, row: &Row, why: &str, now_ms: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE reviews SET state = 'stale', version = version + 1, stale_reason = ?2, claimed_by = NULL, claimed_until = NULL,
                    undo_until = NULL WHERE id = ?1",
        )?
        .execute((&row.review.id, why))?;
    drafts::set_draft(connection, row.draft_ref.as_deref(), "open", "stale")?;
    drafts::take_draft_away(connection, row, now_ms, now_ms)?;
    audit_trail::add(connection, "frontdesk", "review.stale", &row.review.id, &json!({"why": why}), now_ms)
}
