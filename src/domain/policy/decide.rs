//! From what was found to a decision. Each step can only say no.

use super::detect::Found;
use super::{Action, Outcome, Policy, Publish, WorkflowRules};
use crate::domain::claims;
use crate::domain::decision::{Decision, Hold, Proposal};
use crate::domain::effect::Effect;
use crate::domain::hold::HoldReason;
use crate::domain::permission::Permission;
use crate::domain::person::Role;
use crate::domain::ticket::{Ticket, is_over};

type No = (HoldReason, String);

impl Policy {
    /// Decides what happens to a clean proposal. `seen_revision` is the ticket's
    /// revision that the work was made from, when it is known.
    #[must_use]
    pub fn decide(&self, workflow: &str, proposal: Proposal, ticket: &Ticket, seen_revision: Option<i64>) -> Decision {
        let found = self.detect(Some(workflow), &proposal, Some(ticket));
        self.decide_on(workflow, proposal, ticket, seen_revision, &found)
    }

    /// As [`Policy::decide`], with what [`Policy::detect`] found.
    #[must_use]
    pub fn decide_on(
        &self,
        workflow: &str,
        proposal: Proposal,
        ticket: &Ticket,
        seen_revision: Option<i64>,
        found: &Found<'_>,
    ) -> Decision {
        let rules = self.workflow(workflow);
        let no = changed(ticket, seen_revision)
            .or_else(|| spoken_against(found, &proposal))
            .or_else(|| unsure(&rules, &proposal))
            .or_else(|| self.customer_facing(&rules, &proposal, ticket, seen_revision))
            .or_else(|| self.by_setting(&rules, workflow));
        match no {
            None => Decision::Apply(self.applied(proposal, &found.topics())),
            Some((reason, detail)) => Decision::Hold(self.held(&rules, found, reason, detail, proposal)),
        }
    }

    /// Sets aside what cannot be used as it is, with the reviewers and topics
    /// that its ticket and its words ask for.
    #[must_use]
    pub fn hold(
        &self,
        reason: HoldReason,
        detail: String,
        workflow: Option<&str>,
        ticket: Option<&Ticket>,
        output: Option<String>,
    ) -> Hold {
        let is_silent = output.is_none();
        let proposal = Proposal { output: output.unwrap_or_default(), ..Proposal::default() };
        let rules = workflow.map_or_else(|| self.defaults(), |name| self.workflow(name));
        let hold = self.held(&rules, &self.detect(workflow, &proposal, ticket), reason, detail, proposal);
        if is_silent { Hold { output: None, ..hold } } else { hold }
    }

    /// A text for a customer waits for a person, unless the workflow may publish
    /// and nothing at all speaks against it.
    fn customer_facing(
        &self,
        rules: &WorkflowRules,
        proposal: &Proposal,
        ticket: &Ticket,
        seen_revision: Option<i64>,
    ) -> Option<No> {
        let may_publish = rules.publish == Publish::Auto
            && rules.action == Action::Apply
            && !proposal.effects.iter().any(|effect| matches!(effect, Effect::Draft { .. }))
            && proposal.confidence.is_some()
            && seen_revision == Some(ticket.revision)
            && !is_over(&ticket.status);
        let is_filled_in = proposal.reply.as_deref().is_none_or(|reply| claims::unfilled(reply) == 0);
        match is_customer_facing(proposal) {
            true if !may_publish => Some((HoldReason::CustomerFacing, "a person sends it".to_owned())),
            true if !is_filled_in => {
                Some((HoldReason::CustomerFacing, "the text has places to be filled in".to_owned()))
            }
            _ => None,
        }
    }

    fn by_setting(&self, rules: &WorkflowRules, workflow: &str) -> Option<No> {
        match rules.action {
            _ if self.kill_switch => Some((HoldReason::Policy, "the kill switch is on".to_owned())),
            Action::Review => Some((HoldReason::Policy, format!("the policy asks for a person for {workflow}"))),
            Action::Apply => None,
        }
    }

    fn applied(&self, proposal: Proposal, topics: &[String]) -> Vec<Effect> {
        let effects = proposal.effects.into_iter().map(|effect| with_topics(effect, topics));
        let permission = || Permission::of_policy(self.version());
        effects.chain(proposal.reply.map(|text| Effect::Reply(permission().reply(text)))).collect()
    }

    fn held(
        &self,
        rules: &WorkflowRules,
        found: &Found<'_>,
        reason: HoldReason,
        detail: String,
        proposal: Proposal,
    ) -> Hold {
        let is_blocked = found.outcome(false) == Outcome::Block;
        let waits_openly = reason == HoldReason::CustomerFacing && !self.kill_switch;
        let meanwhile = if waits_openly { drafts(&proposal) } else { Vec::new() };
        let (effects, reply) = if is_blocked { (Vec::new(), None) } else { (proposal.effects, proposal.reply) };
        Hold {
            topics: found.topics(),
            effects,
            reply,
            output: Some(proposal.output),
            meanwhile,
            matches: found.matches(),
            reviewers: reviewers(found),
            approvals_needed: if found.rules().any(|rule| rule.second_approver) { 2 } else { 1 },
            undo_ms: found.rules().filter_map(|rule| rule.undo_ms).fold(rules.undo_ms, i64::max),
            ..Hold::because(reason, detail)
        }
    }
}

fn changed(ticket: &Ticket, seen_revision: Option<i64>) -> Option<No> {
    let has = seen_revision.is_some_and(|seen| ticket.revision > seen);
    has.then(|| (HoldReason::ChangedSince, "the ticket has changed since the work was started".to_owned()))
}

/// Topics and rules. An internal note of a sensitive ticket is written all the
/// same, unless a rule or the topic holds notes too.
fn spoken_against(found: &Found<'_>, proposal: &Proposal) -> Option<No> {
    let steers =
        is_customer_facing(proposal) || proposal.effects.iter().any(|effect| matches!(effect, Effect::Route(_)));
    let outcome = found.outcome(!steers);
    if outcome == Outcome::Apply {
        return None;
    }
    let topics = found.topics();
    let mut said = Vec::new();
    if found.is_unknown() {
        said.push("not all of it could be searched for sensitive topics".to_owned());
    }
    if !topics.is_empty() {
        said.push(format!("sensitive: {}", topics.join(", ")));
    }
    let reason = if said.is_empty() { HoldReason::Policy } else { HoldReason::Sensitive };
    said.extend(
        found.rules().filter(|rule| rule.topic.is_none() && rule.id != "policy/unknown").map(|rule| rule.id.clone()),
    );
    if outcome > Outcome::Review {
        said.push(outcome.word().to_owned());
    }
    Some((reason, said.join("; ")))
}

/// Too little confidence holds anything; no word about it holds what steers a ticket.
fn unsure(rules: &WorkflowRules, proposal: &Proposal) -> Option<No> {
    let routes = proposal.effects.iter().any(|effect| matches!(effect, Effect::Route(_)));
    let detail = match proposal.confidence {
        Some(confidence) if confidence >= rules.min_confidence => return None,
        Some(confidence) => format!("confidence {confidence:.2} is under {:.2}", rules.min_confidence),
        None if routes => "the output says nothing of its confidence".to_owned(),
        None => return None,
    };
    Some((HoldReason::LowConfidence, detail))
}

fn is_customer_facing(proposal: &Proposal) -> bool {
    proposal.reply.is_some()
        || proposal.effects.iter().any(|effect| matches!(effect, Effect::Draft { .. } | Effect::Reply(_)))
}

/// What may lie on the ticket while a person looks at it.
fn drafts(proposal: &Proposal) -> Vec<Effect> {
    let proposed = proposal.effects.iter().filter(|effect| matches!(effect, Effect::Draft { .. })).cloned();
    let of_reply = proposal.reply.iter().map(|text| Effect::Draft { text: text.clone() });
    proposed.chain(of_reply).take(1).collect()
}

/// Who may decide: whoever every rule that fired would let decide.
fn reviewers(found: &Found<'_>) -> Vec<String> {
    let anybody = vec![Role::Agent.word().to_owned()];
    found.rules().fold(anybody, |list, rule| both(&list, &rule.reviewers))
}

/// Roles and names that are in both lists. When nobody is, admins decide.
pub(super) fn both(one: &[String], other: &[String]) -> Vec<String> {
    let least = |list: &[String]| list.iter().filter_map(|who| Role::parse(who)).min();
    let role = least(one).zip(least(other)).map(|(one, other)| one.max(other).word().to_owned());
    // A name alone says nothing of a role, so it counts where it is listed, or where everybody may.
    let in_both = |who: &&String, list: &[String]| {
        Role::parse(who).is_none() && (list.contains(who) || least(list) == Some(Role::Agent))
    };
    let mut found: Vec<String> = one.iter().filter(|who| in_both(who, other)).cloned().collect();
    found.extend(other.iter().filter(|who| in_both(who, one)).cloned());
    found.extend(role);
    found.sort();
    found.dedup();
    if found.is_empty() { vec![Role::Admin.word().to_owned()] } else { found }
}

fn with_topics(effect: Effect, topics: &[String]) -> Effect {
    match effect {
        Effect::Note { text } if !topics.is_empty() => {
            Effect::Note { text: format!("{text}\n\nSensitive: {}", topics.join(", ")) }
        }
        other => other,
    }
}
