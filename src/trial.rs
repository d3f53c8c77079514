//! Trying a policy without changing anything: on one ticket and output, or on
//! decisions of the past.

mod sample;

use std::sync::Arc;

pub use sample::Sampled;
use serde::{Deserialize, Serialize};

use crate::domain::decision::{Decision, Proposal};
use crate::domain::effect::Slot;
use crate::domain::hold::HoldReason;
use crate::domain::output::Reading;
use crate::domain::policy::{Found, Outcome, Policy};
use crate::domain::resource::{Response, Status, Text, Usage};
use crate::domain::ticket::{Author, Message, Ticket, Visibility};
use crate::openai;
use crate::store::{PastDecision, Store, StoreError};
use crate::workflows::{Catalogue, Workflow};

/// A policy, and the workflows that read outputs for it.
#[derive(Clone)]
pub struct Trial {
    /// The policy.
    pub policy: Arc<Policy>,
    /// The workflows.
    pub workflows: Catalogue,
}

/// What a policy would do, and which rules hit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tried {
    /// The workflow's name.
    pub workflow: String,
    /// Of the policy.
    pub policy_version: i64,
    /// `apply`, `publish`, `review`, `review_by_role`, `two_person` or `block`.
    pub outcome: &'static str,
    /// Why it is held.
    pub reason: Option<HoldReason>,
    /// One line in our words.
    pub detail: Option<String>,
    /// Sensitive topics found, with the queue or team that owns each.
    pub topics: Vec<OwnedTopic>,
    /// Roles and names that may decide.
    pub reviewers: Vec<String>,
    /// One, or two different people.
    pub approvals_needed: i64,
    /// What would be written or proposed.
    pub slots: Vec<&'static str>,
    /// Which rules hit, and where.
    pub hits: Vec<TriedHit>,
}

/// A topic and who looks after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnedTopic {
    /// Its name.
    pub topic: String,
    /// A queue or team.
    pub owner: Option<String>,
}

/// One place where a rule hit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TriedHit {
    /// `topic/refund`, `rule/vip`
    pub rule: String,
    /// `subject`, `message/3`, `output`…
    pub place: String,
    /// Begin and end in bytes of that text; none for a label.
    pub span: Option<(usize, usize)>,
    /// The words that stand there: for a person who may read the ticket.
    pub words: Option<String>,
}

/// A ticket as somebody writes it down to try a policy.
#[derive(Debug, Clone, Deserialize)]
pub struct GivenTicket {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    queue: Option<String>,
    #[serde(default)]
    priority: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    messages: Vec<GivenMessage>,
}

#[derive(Debug, Clone, Deserialize)]
struct GivenMessage {
    author: Option<Author>,
    visibility: Option<Visibility>,
    body: String,
}

impl From<GivenTicket> for Ticket {
    fn from(given: GivenTicket) -> Ticket {
        let message = |message: GivenMessage| Message {
            author: message.author.unwrap_or(Author::Customer),
            visibility: message.visibility.unwrap_or(Visibility::Public),
            body: message.body,
        };
        Ticket {
            id: given.id.unwrap_or_else(|| "T-0".to_owned()),
            subject: given.subject,
            status: given.status.unwrap_or_else(|| "open".to_owned()),
            queue: given.queue.unwrap_or_else(|| "support".to_owned()),
            priority: given.priority.unwrap_or_else(|| "normal".to_owned()),
            tags: given.tags,
            revision: 0,
            changed_at_ms: None,
            messages: given.messages.into_iter().map(message).collect(),
        }
    }
}

impl Trial {
    /// What would happen to this output on this ticket, as it stands.
    ///
    /// # Errors
    /// When there is no such workflow; says which there are.
    pub fn on(&self, workflow: &str, ticket: &Ticket, output: &str) -> Result<Tried, String> {
        let found = self.workflows.named(workflow);
        let workflow = found.ok_or_else(|| {
            let names: Vec<&str> = self.workflows.all().iter().map(|workflow| workflow.name.as_str()).collect();
            format!("there is no workflow {workflow:?}; there are {}", names.join(", "))
        })?;
        Ok(match workflow.read(&completed(output)) {
            Reading::Clean(proposal) => self.judge(workflow, ticket, &proposal, None),
            Reading::Unclean { reason, detail } => {
                let proposal = Proposal { output: output.to_owned(), ..Proposal::default() };
                self.judge(workflow, ticket, &proposal, Some((reason, detail)))
            }
        })
    }

    fn judge(
        &self,
        workflow: &Workflow,
        ticket: &Ticket,
        proposal: &Proposal,
        unclean: Option<(HoldReason, String)>,
    ) -> Tried {
        let (policy, name) = (&self.policy, workflow.name.as_str());
        let found = policy.detect(Some(name), proposal, Some(ticket));
        let decision = match unclean {
            Some((reason, detail)) => {
                let output = Some(proposal.output.clone());
                Decision::Hold(policy.hold(reason, detail, Some(name), Some(ticket), output))
            }
            None => policy.decide_on(name, proposal.clone(), ticket, Some(ticket.revision), &found),
        };
        let owned = |topic: String| OwnedTopic { owner: policy.owner(&topic).map(str::to_owned), topic };
        let tried = Tried {
            workflow: name.to_owned(),
            policy_version: policy.version(),
            outcome: "apply",
            reason: None,
            detail: None,
            topics: found.topics().into_iter().map(owned).collect(),
            reviewers: Vec::new(),
            approvals_needed: 0,
            slots: Vec::new(),
            hits: hits(policy, &found, proposal, ticket),
        };
        tried.decided(decision, &found)
    }
}

impl Tried {
    fn decided(self, decision: Decision, found: &Found<'_>) -> Tried {
        match decision {
            Decision::Apply(effects) => {
                let slots: Vec<&str> = effects.iter().map(|effect| effect.slot().word()).collect();
                let publishes = slots.contains(&Slot::Reply.word());
                Tried { outcome: if publishes { "publish" } else { "apply" }, slots, ..self }
            }
            Decision::Hold(hold) => {
                let effects = hold.effects.iter().map(|effect| effect.slot().word());
                Tried {
                    outcome: found.outcome(false).max(Outcome::Review).word(),
                    reason: Some(hold.reason),
                    slots: effects.chain(hold.reply.iter().map(|_| Slot::Reply.word())).collect(),
                    detail: Some(hold.detail),
                    reviewers: hold.reviewers,
                    approvals_needed: hold.approvals_needed,
                    ..self
                }
            }
        }
    }
}

fn hits(policy: &Policy, found: &Found<'_>, proposal: &Proposal, ticket: &Ticket) -> Vec<TriedHit> {
    let shown = |hit: &crate::domain::policy::Hit| TriedHit {
        rule: policy.rules()[hit.rule].id.clone(),
        place: hit.place.clone(),
        span: hit.span,
        words: Found::words(hit, proposal, Some(ticket)),
    };
    found.hits().iter().map(shown).collect()
}

/// A response that ended well with this text.
fn completed(output: &str) -> Response {
    Response {
        id: "resp_trial".to_owned(),
        status: Status::Completed,
        error_code: None,
        incomplete_reason: None,
        metadata: std::collections::BTreeMap::new(),
        texts: vec![Text { phase: None, body: output.to_owned() }],
        refusals: Vec::new(),
        tools: Vec::new(),
        unknown_items: Vec::new(),
        created_at_s: None,
        model: None,
        schema: None,
        usage: Usage::default(),
    }
}

/// What another policy would have changed on past decisions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replay {
    /// Of the policy that was tried.
    pub policy_version: i64,
    /// Decisions looked at.
    pub looked_at: usize,
    /// Those that would be the same.
    pub unchanged: usize,
    /// Those that cannot be decided again: the ticket, the workflow or the result is gone.
    pub skipped: usize,
    /// Applied then, held now.
    pub newly_held: Vec<Changed>,
    /// Held then, applied or sent now.
    pub newly_automatic: Vec<Changed>,
    /// What the figures rest on.
    pub note: &'static str,
}

/// One decision that would be another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Changed {
    /// The job that decided.
    pub job_id: i64,
    /// What it was about.
    pub resource_id: String,
    /// The ticket.
    pub ticket_id: String,
    /// The workflow.
    pub workflow: String,
    /// The policy that decided.
    pub policy_version: Option<i64>,
    /// `applied` or `held`, with the reason.
    pub was: String,
    /// As [`Tried::outcome`].
    pub now: &'static str,
    /// Why it would be held.
    pub detail: Option<String>,
}

/// What a replay rests on; said with every result.
pub const REPLAY_NOTE: &str = "queue, tags, priority and status of each ticket are those of today; of its messages, those that existed at the decision";

/// Holds that a policy decides about; the others are held under any policy.
const BY_POLICY: [HoldReason; 4] =
    [HoldReason::Sensitive, HoldReason::LowConfidence, HoldReason::CustomerFacing, HoldReason::Policy];

impl Trial {
    /// Decides again what was decided since `since_ms`, at most `limit` of it,
    /// the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn replay(&self, store: &Store, since_ms: i64, limit: usize) -> Result<Replay, StoreError> {
        let past = store.past_decisions(since_ms, limit).await?;
        let mut replay = Replay {
            policy_version: self.policy.version(),
            looked_at: past.len(),
            unchanged: 0,
            skipped: 0,
            newly_held: Vec::new(),
            newly_automatic: Vec::new(),
            note: REPLAY_NOTE,
        };
        for decision in past {
            let again = self.again(store, &decision).await?;
            replay.count(decision, again);
        }
        Ok(replay)
    }

    /// What would be decided now; none when it cannot be.
    async fn again(&self, store: &Store, past: &PastDecision) -> Result<Option<Tried>, StoreError> {
        let Some(mut ticket) = store.ticket(past.ticket_id.clone()).await? else { return Ok(None) };
        ticket.messages.retain(|message| message.created_at_ms <= past.at_ms);
        let (Some(workflow), Ok(response)) = (self.workflows.named(&past.workflow), openai::read::response(&past.raw))
        else {
            return Ok(None);
        };
        let Reading::Clean(proposal) = workflow.read(&response) else { return Ok(None) };
        Ok(Some(self.judge(workflow, &ticket.for_deciding(), &proposal, None)))
    }
}

impl Replay {
    fn count(&mut self, past: PastDecision, again: Option<Tried>) {
        let by_policy =
            past.reason.as_deref().and_then(HoldReason::parse).is_none_or(|reason| BY_POLICY.contains(&reason));
        let was_held = past.outcome == "held";
        match again {
            _ if was_held && !by_policy => self.unchanged += 1,
            None => self.skipped += 1,
            Some(tried) if tried.reason.is_some() == was_held => self.unchanged += 1,
            Some(tried) => {
                let was = past.reason.map_or(past.outcome.clone(), |reason| format!("{} ({reason})", past.outcome));
                let list = if was_held { &mut self.newly_automatic } else { &mut self.newly_held };
                list.push(Changed {
                    job_id: past.job_id,
                    resource_id: past.resource_id,
                    ticket_id: past.ticket_id,
                    workflow: past.workflow,
                    policy_version: past.policy_version,
                    was,
                    now: tried.outcome,
                    detail: tried.detail,
                });
            }
        }
    }
}
