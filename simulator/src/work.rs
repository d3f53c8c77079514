//! A response from its creation to its end.

use crate::clock;
use crate::fault::Fault;
use crate::output::answer::{Ending, end};
use crate::output::shape::{self, Facts};
use crate::plan::{Plan, Reads};
use crate::state::State;
use crate::sync::lock;
use crate::webhooks::announce;
use bytes::Bytes;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// One response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) id: String,
    pub(crate) background: bool,
    pub(crate) input_items: Bytes,
    pub(crate) reads: Reads,
    created_at: i64,
    plan: Plan,
    began: Instant,
    work: Duration,
    phase: Mutex<Phase>,
}

#[derive(Debug)]
enum Phase {
    /// The request is kept until it has been answered.
    Working(Arc<Value>),
    Ended(Bytes),
}

/// What a reader gets to see.
#[derive(Debug)]
pub(crate) enum View {
    Working(Value),
    Ended(Bytes),
}

/// Makes a response of a checked request, and starts the work if it is to be done in background.
pub(crate) fn begin(state: &Arc<State>, request: &Arc<Value>, bytes: &[u8], input_items: Bytes) -> Arc<Response> {
    let background = request["background"].as_bool().unwrap_or(false);
    let origin = state.origin(bytes);
    let response = state.responses.put(2 * bytes.len(), |turn| {
        let id = state.id("resp_", &origin, turn);
        let plan = plan(state, &id, request);
        let response = Response {
            background,
            input_items: input_items.clone(),
            reads: plan.reads(),
            created_at: clock::now_s(),
            plan,
            began: Instant::now(),
            work: state.work_time(&id),
            phase: Mutex::new(Phase::Working(Arc::clone(request))),
            id: id.clone(),
        };
        (id, response)
    });
    if background {
        start(state, &response);
    } else {
        response.finish(state, |request| end(request, state.seed, &response.id, &response.plan));
    }
    response
}

fn plan(state: &State, id: &str, request: &Value) -> Plan {
    let pair = |key: &str| request["metadata"][key].as_str().map(str::to_owned);
    let plan = Plan::draw(&state.tuning(), state.seed, id, pair);
    // Once the tool was answered, there is nothing left to ask it.
    let answered = !request["previous_response_id"].is_null();
    if answered { plan.without(&[Fault::UnansweredTool]) } else { plan }
}

fn start(state: &Arc<State>, response: &Arc<Response>) {
    let todo = state.pending.begin();
    let (state, response) = (Arc::clone(state), Arc::clone(response));
    let tracker = state.tracker.clone();
    tracker.spawn(async move {
        let work = tokio::time::sleep(response.work);
        if state.stop.run_until_cancelled(work).await.is_some() {
            let plan = &response.plan;
            let status = response.finish(&state, |request| end(request, state.seed, &response.id, plan));
            if let Some(status) = status {
                announce(&state, &format!("response.{status}"), &response.id, plan);
            }
        }
        drop(todo);
    });
}

impl Response {
    fn facts(&self) -> Facts<'_> {
        Facts { id: &self.id, created_at: self.created_at, background: self.background }
    }

    /// Ends the work unless it has ended already; the status if this was the end.
    fn finish(&self, state: &State, end: impl FnOnce(&Value) -> Ending) -> Option<&'static str> {
        let request = match &*lock(&self.phase) {
            Phase::Working(request) => Arc::clone(request),
            Phase::Ended(_) => return None,
        };
        // Made outside the lock: a long answer must not keep readers waiting.
        let ending = end(&request);
        let status = ending.status;
        let body = shape::ended(self.facts(), &request, ending, clock::now_s()).to_string();
        let mut phase = lock(&self.phase);
        if matches!(*phase, Phase::Ended(_)) {
            return None;
        }
        state.responses.resize(&self.id, body.len() + self.input_items.len());
        *phase = Phase::Ended(body.into());
        Some(status)
    }

    /// Cancels the work, if there still is any.
    pub(crate) fn cancel(&self, state: &Arc<State>) {
        if self.finish(state, |_| Ending::cancelled()).is_some() {
            announce(state, "response.cancelled", &self.id, &self.plan);
        }
    }

    pub(crate) fn ended(&self) -> bool {
        matches!(*lock(&self.phase), Phase::Ended(_))
    }

    /// Whether the fault of forgetting has struck.
    pub(crate) fn forgotten(&self) -> bool {
        self.plan.has(Fault::Expired) && self.ended()
    }

    /// What its creator is told: work in background is queued, however soon it begins.
    pub(crate) fn created(&self, request: &Value) -> View {
        if self.background {
            return View::Working(shape::working(self.facts(), request, "queued"));
        }
        self.view(false)
    }

    /// The response as it stands; `late`: as if it had not ended.
    pub(crate) fn view(&self, late: bool) -> View {
        match &*lock(&self.phase) {
            Phase::Ended(body) if late => View::Working(unfinished(body)),
            Phase::Ended(body) => View::Ended(body.clone()),
            Phase::Working(request) => {
                let queued = self.began.elapsed() < self.work / 3;
                let status = if queued { "queued" } else { "in_progress" };
                View::Working(shape::working(self.facts(), request, status))
            }
        }
    }
}

/// An ended response as it looked before its end.
fn unfinished(body: &[u8]) -> Value {
    let mut value: Value = serde_json::from_slice(body).unwrap_or_default();
    for key in ["completed_at", "usage", "error", "incomplete_details"] {
        value[key] = Value::Null;
    }
    value["output"] = Value::Array(Vec::new());
    value["status"] = "in_progress".into();
    value
}
