//! Starting work at OpenAI. The submission's row is written before the call, so
//! that there is never work that we know nothing of; the webhook may be here
//! before the call's answer is, and both orders work.

mod batch;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use batch::AskBatch;

use crate::clock::Clock;
use crate::domain::failure::Failure;
use crate::domain::id::new_id;
use crate::domain::submission::{Kind, MetadataKeys, Patience, SUBMISSION_KEY};
use crate::domain::ticket::Ticket;
use crate::helpdesk::{Helpdesk, HelpdeskError};
use crate::openai::{Client, CreateError};
use crate::store::{NewSubmission, Pausable, Pause, Prompted, Store, StoreError};
use crate::workflows::{Catalogue, Workflow};

/// Starts work.
#[derive(Clone)]
pub struct Submitter(Arc<Desk>);

struct Desk {
    store: Store,
    clock: Clock,
    clients: BTreeMap<String, Client>,
    helpdesk: Helpdesk,
    workflows: Catalogue,
    settings: Settings,
}

/// What tunes starting work.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The model that is asked for.
    pub model: String,
    /// Metadata keys that name the ticket and the workflow.
    pub keys: MetadataKeys,
    /// How long started work is left alone.
    pub patience: Patience,
}

/// What was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// `sub_…`
    pub submission_id: String,
    /// OpenAI's id.
    pub resource_id: String,
}

/// Why nothing was started, or why it cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// There is no such workflow.
    #[error("there is no workflow named {name}; there are: {known}")]
    UnknownWorkflow {
        /// As asked for.
        name: String,
        /// The ones there are.
        known: String,
    },
    /// There is no such OpenAI project.
    #[error("there is no project named {0} in the configuration")]
    UnknownProject(String),
    /// There is no such ticket.
    #[error("the helpdesk has no ticket {0}")]
    NoTicket(String),
    /// The ticket could not be read; nothing was started.
    #[error("nothing was started: {0}")]
    Helpdesk(HelpdeskError),
    /// A person has paused it.
    #[error("{what} is paused by {by} ({reason})")]
    Paused {
        /// What is paused.
        what: String,
        /// Who paused it.
        by: String,
        /// Why.
        reason: String,
    },
    /// A batch that cannot be what was meant.
    #[error("no batch was started: {0}")]
    BadBatch(String),
    /// Planned work that is not waiting to be started, or is none.
    #[error("there is no planned work {0} to start")]
    NotPlanned(String),
    /// Our own database failed; nothing was started.
    #[error("nothing was started: {0}")]
    Store(#[from] StoreError),
    /// OpenAI refused it, or it was never sent; nothing was started.
    #[error("nothing was started ({submission_id}): {failure}")]
    NotStarted {
        /// `sub_…`, where the reason is kept.
        submission_id: String,
        /// Why.
        failure: Failure,
    },
    /// The call ended without an answer. It may run; it is not repeated, because
    /// that could pay twice. Its webhook will find its way by the submission's id.
    #[error(
        "it is not known whether it was started ({submission_id}): {failure}; it is not repeated, its webhook will tell"
    )]
    Unknown {
        /// `sub_…`
        submission_id: String,
        /// What happened.
        failure: Failure,
    },
}

impl Submitter {
    /// A submitter with one client a project.
    #[must_use]
    pub fn new(
        store: Store,
        clock: Clock,
        clients: BTreeMap<String, Client>,
        helpdesk: Helpdesk,
        workflows: Catalogue,
        settings: Settings,
    ) -> Submitter {
        Submitter(Arc::new(Desk { store, clock, clients, helpdesk, workflows, settings }))
    }

    /// The workflows that can be started.
    #[must_use]
    pub fn workflows(&self) -> &Catalogue {
        &self.0.workflows
    }

    /// Starts one background response for a ticket. It goes on to its end even
    /// when the caller goes away: between the call to OpenAI and our record of
    /// it, nobody may lose patience.
    ///
    /// # Errors
    /// See [`SubmitError`]; each says whether anything runs at OpenAI.
    pub async fn submit(
        &self,
        project: &str,
        workflow: &str,
        ticket_id: &str,
        actor: &str,
    ) -> Result<Submitted, SubmitError> {
        let desk = Arc::clone(&self.0);
        let [project, workflow, ticket_id, actor] = [project, workflow, ticket_id, actor].map(str::to_owned);
        tokio::spawn(async move { desk.submit(&project, &workflow, &ticket_id, &actor).await })
            .await
            .map_err(|_| StoreError::Closed)?
    }

    /// Starts work that was planned before, under the id it was planned with.
    ///
    /// # Errors
    /// See [`SubmitError`]; each says whether anything runs at OpenAI.
    pub async fn start_planned(&self, project: &str, submission_id: &str) -> Result<Submitted, SubmitError> {
        let desk = Arc::clone(&self.0);
        let [project, submission_id] = [project, submission_id].map(str::to_owned);
        tokio::spawn(async move { desk.start_planned(&project, submission_id).await })
            .await
            .map_err(|_| StoreError::Closed)?
    }
}

impl Desk {
    async fn submit(
        &self,
        project: &str,
        workflow: &str,
        ticket_id: &str,
        actor: &str,
    ) -> Result<Submitted, SubmitError> {
        let workflow = self.workflow(workflow)?;
        let client = self.client(project)?;
        let ticket = self.ticket(ticket_id).await?;
        self.must_not_be_paused(&workflow.name).await?;
        let submission_id = self.begin(project, workflow, &ticket, actor).await?;
        self.call(project, client, workflow, &ticket, submission_id).await
    }

    async fn start_planned(&self, project: &str, submission_id: String) -> Result<Submitted, SubmitError> {
        let not_planned = || SubmitError::NotPlanned(submission_id.clone());
        let planned = self.store.planned_start(submission_id.clone()).await?.ok_or_else(not_planned)?;
        let workflow = self.workflow(&planned.workflow)?;
        let client = self.client(project)?;
        let ticket = self.ticket(&planned.ticket_id).await?;
        let now_ms = self.clock.now_ms();
        let prompted = Prompted {
            id: submission_id.clone(),
            prompt_version: workflow.prompt_version.clone(),
            ticket_revision: ticket.revision,
            made_at_ms: now_ms,
            check_at_ms: self.settings.patience.first_check_ms(Kind::Response, now_ms),
        };
        if !self.store.begin_planned(prompted).await? {
            return Err(not_planned());
        }
        self.call(project, client, workflow, &ticket, submission_id).await
    }

    fn workflow(&self, name: &str) -> Result<&Workflow, SubmitError> {
        self.workflows.named(name).ok_or_else(|| self.unknown_workflow(name))
    }

    fn client(&self, project: &str) -> Result<&Client, SubmitError> {
        self.clients.get(project).ok_or_else(|| SubmitError::UnknownProject(project.to_owned()))
    }

    async fn must_not_be_paused(&self, workflow: &str) -> Result<(), SubmitError> {
        let pauses = self.store.pauses().await?;
        let concerns = |pause: &&Pause| match &pause.what {
            Pausable::Workflow(name) => name == workflow,
            Pausable::OpenAi => true,
            Pausable::Helpdesk => false,
        };
        match pauses.iter().find(concerns) {
            None => Ok(()),
            Some(pause) => {
                let (kind, name) = pause.what.words();
                let (by, reason) = (pause.actor.clone(), pause.reason.clone());
                Err(SubmitError::Paused { what: format!("{kind} {name}"), by, reason })
            }
        }
    }

    /// The submission's row is there: from here on the answer, the webhook or the
    /// reconciler tells what became of it.
    async fn call(
        &self,
        project: &str,
        client: &Client,
        workflow: &Workflow,
        ticket: &Ticket,
        submission_id: String,
    ) -> Result<Submitted, SubmitError> {
        let keys = &self.settings.keys;
        let metadata = BTreeMap::from([
            (keys.ticket.as_str(), ticket.id.as_str()),
            (keys.workflow.as_str(), workflow.name.as_str()),
            (SUBMISSION_KEY, submission_id.as_str()),
        ]);
        match client.create_response(&workflow.request(&self.settings.model, ticket, &metadata)).await {
            Ok(created) => self.started(project, submission_id, created.resource.id().to_owned()).await,
            Err(error) => Err(self.not_started(submission_id, error).await),
        }
    }

    async fn ticket(&self, id: &str) -> Result<Ticket, SubmitError> {
        self.helpdesk.ticket(id).await.map_err(|error| match error {
            HelpdeskError::NoTicket => SubmitError::NoTicket(id.to_owned()),
            HelpdeskError::Store(error) => SubmitError::Store(error),
            error => SubmitError::Helpdesk(error),
        })
    }

    async fn begin(
        &self,
        project: &str,
        workflow: &Workflow,
        ticket: &Ticket,
        actor: &str,
    ) -> Result<String, SubmitError> {
        let id = new_id("sub").map_err(|error| StoreError::Open(error.to_string()))?;
        let now_ms = self.clock.now_ms();
        self.store
            .begin_submission(NewSubmission {
                id: id.clone(),
                project: project.to_owned(),
                ticket_id: ticket.id.clone(),
                workflow: workflow.name.clone(),
                prompt_version: workflow.prompt_version.clone(),
                ticket_revision: ticket.revision,
                actor: actor.to_owned(),
                created_at_ms: now_ms,
                check_at_ms: self.settings.patience.first_check_ms(Kind::Response, now_ms),
                deadline_ms: self.settings.patience.deadline_at_ms(Kind::Response, now_ms),
            })
            .await?;
        Ok(id)
    }

    async fn started(
        &self,
        project: &str,
        submission_id: String,
        resource_id: String,
    ) -> Result<Submitted, SubmitError> {
        let (project, id, resource) = (project.to_owned(), submission_id.clone(), resource_id.clone());
        if let Err(error) = self.store.submission_started(project, id, resource, self.clock.now_ms()).await {
            // It runs, and its webhook carries the submission's id: the worker ties the two.
            tracing::error!(submission = submission_id, resource = resource_id, %error, "started, and not written down; the webhook will tie them");
        }
        Ok(Submitted { submission_id, resource_id })
    }

    async fn not_started(&self, submission_id: String, error: CreateError) -> SubmitError {
        let known = !matches!(error, CreateError::Unknown(_));
        let failure = Failure::from(error.into_error());
        if let Err(error) = self.store.submission_failed(submission_id.clone(), failure.clone(), known).await {
            tracing::error!(submission = submission_id, %error, "the reason could not be written down");
        }
        if known {
            SubmitError::NotStarted { submission_id, failure }
        } else {
            SubmitError::Unknown { submission_id, failure }
        }
    }

    fn unknown_workflow(&self, name: &str) -> SubmitError {
        let known = self.workflows.all().iter().map(|workflow| workflow.name.as_str()).collect::<Vec<_>>().join(", ");
        SubmitError::UnknownWorkflow { name: name.chars().take(64).collect(), known }
    }
}
