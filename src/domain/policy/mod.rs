//! What may happen without a person. Review is the default; everything here
//! only says when something *else* may happen.
//!
//! | file | what |
//! |---|---|
//! | `file` | a policy as it stands in its file |
//! | `build` | what a file may not say; the built-in policy with a team's laid over it |
//! | `lexicon` | finding words in a text |
//! | `detect` | everything in a ticket and an output that a rule speaks of |
//! | `decide` | from what was found to a decision |

mod build;
mod decide;
mod detect;
mod file;
mod lexicon;

use std::collections::{BTreeMap, HashMap};

pub use detect::{Found, Hit};
pub use file::{Action, Notes, Outcome, PolicyError, Publish};

use lexicon::Lexicon;

/// The policy that comes with Frontdesk. A team's file is laid over it.
pub const BUILT_IN: &str = include_str!("default.toml");

/// The rules in force. Pure: the same ticket and output always get the same decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    version: i64,
    text: String,
    kill_switch: bool,
    min_confidence: f64,
    action: Action,
    undo_ms: i64,
    workflows: BTreeMap<String, WorkflowRules>,
    /// The one for what could not be searched first, then topics, then rules.
    rules: Vec<Rule>,
    lexicon: Lexicon,
    /// Labels by their words, with the rules that they fire.
    labels: HashMap<String, Vec<(Label, usize)>>,
}

/// What is said of one workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowRules {
    /// When nothing speaks against it.
    pub action: Action,
    /// Below it a person looks, 0 to 1.
    pub min_confidence: f64,
    /// Whether it may send without a person.
    pub publish: Publish,
    /// How long an approval can be taken back, in ms.
    pub undo_ms: i64,
    /// Whether work that failed at OpenAI with a code that may pass is started once more.
    pub resubmit: bool,
}

/// A topic, a rule, or what stands for a text that could not be searched.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// As matches name it: `topic/refund`, `rule/vip`.
    pub id: String,
    /// The topic's own name; none for a rule.
    pub topic: Option<String>,
    /// The queue or team that looks after a topic.
    pub owner: Option<String>,
    /// What it leads to.
    pub outcome: Outcome,
    /// Whether internal notes wait too.
    pub notes: Notes,
    /// Roles and names that may decide.
    pub reviewers: Vec<String>,
    /// Whether a second person must agree.
    pub second_approver: bool,
    /// How long an approval can be taken back, in ms.
    pub undo_ms: Option<i64>,
    /// How many words and phrases it has.
    pub phrases: usize,
    when: detect::When,
}

/// Which labels fire a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    /// Any label with this name.
    Any,
    Queue,
    Tag,
    Intent,
}

impl Default for Policy {
    /// The built-in policy.
    fn default() -> Policy {
        // A test holds that it loads. If it did not, everything would wait for a person.
        Policy::built_in().unwrap_or_else(|_| Policy::closed())
    }
}

impl Policy {
    /// The policy that comes with Frontdesk.
    ///
    /// # Errors
    /// When it cannot be read, which a test excludes.
    pub fn built_in() -> Result<Policy, PolicyError> {
        build::policy(BUILT_IN, None, &[])
    }

    /// A team's policy, laid over the built-in one. `workflows` are the names
    /// that its sections may have, besides those of the built-in policy.
    ///
    /// # Errors
    /// What is wrong, on which line, and what to do.
    pub fn read(text: &str, workflows: &[&str]) -> Result<Policy, PolicyError> {
        build::policy(BUILT_IN, Some(text), workflows)
    }

    /// Nothing happens without a person.
    fn closed() -> Policy {
        Policy {
            version: 1,
            text: String::new(),
            kill_switch: true,
            min_confidence: 1.0,
            action: Action::Review,
            undo_ms: 5_000,
            workflows: BTreeMap::new(),
            rules: vec![Rule::unknown(Outcome::Review)],
            lexicon: Lexicon::default(),
            labels: HashMap::new(),
        }
    }

    /// Its number; every decision keeps it.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Its file as it was loaded; for the built-in policy its own.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of [`Policy::text`], in hex.
    #[must_use]
    pub fn sha256(&self) -> String {
        use sha2::{Digest, Sha256};
        crate::domain::id::hex(&Sha256::digest(self.text.as_bytes()))
    }

    /// Whether it is the one that comes with Frontdesk.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        self.text == BUILT_IN
    }

    /// Whether nothing happens without a person.
    #[must_use]
    pub fn kill_switch(&self) -> bool {
        self.kill_switch
    }

    /// What is said of workflows that are not named, without an action of their own.
    #[must_use]
    pub fn defaults(&self) -> WorkflowRules {
        WorkflowRules {
            action: self.action,
            min_confidence: self.min_confidence,
            publish: Publish::Never,
            undo_ms: self.undo_ms,
            resubmit: true,
        }
    }

    /// The workflows that are named, with what is said of them.
    #[must_use]
    pub fn workflows(&self) -> &BTreeMap<String, WorkflowRules> {
        &self.workflows
    }

    /// What is said of a workflow.
    #[must_use]
    pub fn workflow(&self, name: &str) -> WorkflowRules {
        self.workflows.get(name).cloned().unwrap_or_else(|| self.defaults())
    }

    /// Topics and rules; the first is the one for what could not be searched.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The queue or team that looks after a topic.
    #[must_use]
    pub fn owner(&self, topic: &str) -> Option<&str> {
        self.rules.iter().find(|rule| rule.topic.as_deref() == Some(topic))?.owner.as_deref()
    }

    /// Whether work of this workflow that failed at OpenAI with a code that may
    /// pass is started once more.
    #[must_use]
    pub fn resubmits(&self, workflow: &str) -> bool {
        self.workflow(workflow).resubmit
    }
}

impl Rule {
    /// A rule that holds everything it fires for, notes too.
    fn new(id: impl Into<String>, outcome: Outcome) -> Rule {
        Rule {
            id: id.into(),
            topic: None,
            owner: None,
            outcome,
            notes: Notes::Review,
            reviewers: build::reviewers_for(outcome),
            second_approver: outcome == Outcome::TwoPerson,
            undo_ms: None,
            phrases: 0,
            when: detect::When::default(),
        }
    }

    /// What a text that could not be searched leads to.
    fn unknown(outcome: Outcome) -> Rule {
        Rule::new("policy/unknown", outcome)
    }
}

#[cfg(test)]
mod tests;
