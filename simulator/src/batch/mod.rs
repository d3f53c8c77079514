//! A batch from its creation to its end.

mod check;
mod lines;

use crate::chance::Dice;
use crate::clock;
use crate::fault::Fault;
use crate::files::{File, keep};
use crate::plan::{Plan, Reads};
use crate::state::State;
use crate::sync::lock;
use crate::webhooks::announce;
use bytes::Bytes;
use lines::{Extent, Written};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

/// Faults of which only one can be a batch's end.
const ENDS: [Fault; 4] = [Fault::BatchFailed, Fault::BatchExpired, Fault::BatchCancelled, Fault::BatchRejected];

/// One batch.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) id: String,
    pub(crate) reads: Reads,
    plan: Plan,
    cancel: CancellationToken,
    object: Mutex<Value>,
}

/// Makes a batch of a checked request and starts its work. Its creator is shown it as it
/// was before that.
pub(crate) fn begin(state: &Arc<State>, request: &Value, bytes: &[u8], input: Arc<File>) -> Value {
    let batch = keep_batch(state, request, bytes, &input.id);
    let shown = batch.view(false);
    let todo = state.pending.begin();
    let (owner, made) = (Arc::clone(state), batch);
    state.tracker.spawn(async move {
        let run = made.run(&owner, input);
        let event = owner.stop.run_until_cancelled(run).await;
        if let Some(status) = event {
            announce(&owner, &format!("batch.{status}"), &made.id, &made.plan);
        }
        drop(todo);
    });
    shown
}

/// Puts a batch on the shelf that has ended already, with files that are there. No webhook tells of it.
pub(crate) fn ended(state: &State, request: &Value, bytes: &[u8], status: &str) -> Value {
    let input = request["input_file_id"].as_str().unwrap_or("file-forgotten");
    let batch = keep_batch(state, request, bytes, input);
    for key in ["output_file_id", "error_file_id", "request_counts"] {
        if let Some(given) = request.get(key) {
            lock(&batch.object)[key] = given.clone();
        }
    }
    batch.enter(status);
    batch.view(false)
}

fn keep_batch(state: &State, request: &Value, bytes: &[u8], input: &str) -> Arc<Batch> {
    let origin = state.origin(bytes);
    state.batches.put(bytes.len() + 2_000, |turn| {
        let id = state.id("batch_", &origin, turn);
        let pair = |key: &str| request["metadata"][key].as_str().map(str::to_owned);
        let plan = Plan::draw(&state.tuning(), state.seed, &id, pair);
        let batch = Batch {
            reads: plan.reads(),
            object: Mutex::new(object(&id, request, input)),
            plan,
            cancel: CancellationToken::new(),
            id: id.clone(),
        };
        (id, batch)
    })
}

fn object(id: &str, request: &Value, input: &str) -> Value {
    let now = clock::now_s();
    json!({
        "id": id,
        "object": "batch",
        "endpoint": request["endpoint"],
        "model": null,
        "errors": null,
        "input_file_id": input,
        "completion_window": request["completion_window"],
        "status": "validating",
        "output_file_id": null,
        "error_file_id": null,
        "created_at": now,
        "in_progress_at": null,
        "expires_at": now + 24 * 3600,
        "finalizing_at": null,
        "completed_at": null,
        "failed_at": null,
        "expired_at": null,
        "cancelling_at": null,
        "cancelled_at": null,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "usage": null,
        "metadata": request.get("metadata").cloned().unwrap_or(Value::Null),
    })
}

impl Batch {
    /// The batch as it stands; `late`: as if it had not ended.
    pub(crate) fn view(&self, late: bool) -> Value {
        let mut object = lock(&self.object).clone();
        if late {
            object["status"] = "in_progress".into();
            for key in ["output_file_id", "error_file_id", "completed_at"] {
                object[key] = Value::Null;
            }
        }
        object
    }

    pub(crate) fn ended(&self) -> bool {
        let object = lock(&self.object);
        matches!(object["status"].as_str(), Some("failed" | "completed" | "expired" | "cancelled"))
    }

    /// Whether the fault of forgetting has struck.
    pub(crate) fn forgotten(&self) -> bool {
        self.plan.has(Fault::Expired) && self.ended()
    }

    /// Asks for an end; a batch that has ended stays as it is.
    pub(crate) fn cancel(&self) {
        if !self.ended() {
            self.enter("cancelling");
            self.cancel.cancel();
        }
    }

    fn enter(&self, status: &str) {
        let mut object = lock(&self.object);
        // Whoever asked for the end must not be told otherwise while it comes.
        let cancelling = object["status"] == "cancelling";
        if cancelling && matches!(status, "in_progress" | "finalizing") {
            return;
        }
        object["status"] = status.into();
        object[format!("{status}_at")] = clock::now_s().into();
    }

    /// Runs to the end and returns its name.
    async fn run(self: &Arc<Self>, state: &Arc<State>, input: Arc<File>) -> &'static str {
        let work = state.work_time(&self.id);
        tokio::time::sleep(work / 4).await;
        let checked = match check::lines(&input.content) {
            Ok(_) if self.plan.has(Fault::BatchFailed) => Err(check::over_the_limit()),
            checked => checked,
        };
        let lines = match checked {
            Ok(lines) => lines,
            Err(errors) => return self.fail(&errors),
        };
        self.start_work(&lines);
        // Cancelling cuts the work short; what was done until then is written all the same.
        self.cancel.run_until_cancelled(tokio::time::sleep(work - work / 4)).await;
        self.enter("finalizing");
        let (status, extent) = self.extent();
        let written = self.write(state, lines, extent).await;
        self.finish(state, status, written);
        status
    }

    fn fail(&self, errors: &[Value]) -> &'static str {
        lock(&self.object)["errors"] = json!({"object": "list", "data": errors});
        self.enter("failed");
        "failed"
    }

    fn start_work(&self, lines: &[check::Line]) {
        {
            let mut object = lock(&self.object);
            let model = lines.first().map(|line| line.body["model"].clone());
            object["model"] = model.unwrap_or_default();
            object["request_counts"]["total"] = lines.len().into();
        }
        self.enter("in_progress");
    }

    /// How the batch ends, and which of its lines were done by then.
    fn extent(&self) -> (&'static str, Extent) {
        match self.plan.first_of(&ENDS) {
            _ if self.cancel.is_cancelled() => ("cancelled", Extent::Partial),
            Some(Fault::BatchCancelled) => ("cancelled", Extent::Partial),
            Some(Fault::BatchExpired) => ("expired", Extent::Expired),
            Some(Fault::BatchRejected) => ("completed", Extent::Rejected),
            _ if self.plan.has(Fault::BatchIrregular) => ("completed", Extent::Irregular),
            _ => ("completed", Extent::All),
        }
    }

    async fn write(&self, state: &Arc<State>, lines: Vec<check::Line>, extent: Extent) -> Written {
        let (state, id) = (Arc::clone(state), self.id.clone());
        // Fifty thousand lines take seconds, which other calls must not wait for.
        let write = move || lines::write(&state.tuning(), state.seed, &id, lines, extent);
        tokio::task::spawn_blocking(write).await.unwrap_or_default()
    }

    fn finish(&self, state: &State, status: &str, written: Written) {
        let absent = self.absent(state.seed);
        let usage = written.usage();
        let output = self.keep(state, "output", written.output).unwrap_or_else(|| absent.clone());
        let errors = self.keep(state, "error", written.errors).unwrap_or(absent);
        {
            let mut object = lock(&self.object);
            object["output_file_id"] = output;
            object["error_file_id"] = errors;
            object["request_counts"] = json!({"total": written.total,
                "completed": written.completed, "failed": written.failed});
            object["usage"] = usage;
        }
        self.enter(status);
    }

    /// A file that is not there is `null` or the empty string: OpenAI has been seen to send both.
    fn absent(&self, seed: u64) -> Value {
        let empty = Dice::new(seed, &[self.id.as_bytes(), b"absent"]).unit() < 0.5;
        if empty { json!("") } else { Value::Null }
    }

    fn keep(&self, state: &State, kind: &str, content: Vec<u8>) -> Option<Value> {
        if content.is_empty() {
            return None;
        }
        let origin = state.origin(format!("{} {kind}", self.id).as_bytes());
        let name = format!("{}_{kind}.jsonl", self.id);
        let content = Bytes::from(content);
        // Seeming unfinished is for batches; a file is there or not.
        let reads = || self.plan.clone().without(&[Fault::LateModel]).reads();
        let file = keep(state, &origin, "batch_output", &name, content, None, reads);
        Some(json!(file.id))
    }
}
