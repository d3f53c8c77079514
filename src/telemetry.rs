//! Logs and metrics. Both carry ids, codes, counts and durations, and never
//! ticket text, model output, bodies or secrets.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tracing_subscriber::EnvFilter;

use crate::store::{Batches, Counts};

/// One label, whatever it is called on the family.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Receipt {
    receipt: &'static str,
}

/// The cause of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Code {
    code: &'static str,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ended {
    end: &'static str,
    reason: &'static str,
}

/// How an attempt to tell of an alert ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Told {
    channel: &'static str,
    result: &'static str,
}

/// What a helpdesk told, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Happened {
    what: &'static str,
    became: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByLabel {
    by: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: String,
}

/// Logs an error of the store, with fields and a text: but not loudly when the
/// database is away, which the store says once for all.
macro_rules! trouble {
    ($error:expr, $($told:tt)+) => {
        if $error.is_outage() {
            tracing::debug!(error = %$error, $($told)+)
        } else {
            tracing::error!(error = %$error, $($told)+)
        }
    };
}
pub(crate) use trouble;

type FloatGauge = Gauge<f64, AtomicU64>;

/// What is measured as it happens, in one process. What is counted in the
/// database is read when somebody asks.
pub struct Metrics {
    deliveries: Family<Receipt, Counter>,
    refused: Family<Code, Counter>,
    ack: Histogram,
    attempts: Family<Ended, Counter>,
    arrival_to_end: Histogram,
    alert_sends: Family<Told, Counter>,
    helpdesk_events: Family<Happened, Counter>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        const ACK_S: [f64; 12] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0];
        const END_S: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0];
        Metrics {
            deliveries: Family::default(),
            refused: Family::default(),
            ack: Histogram::new(ACK_S),
            attempts: Family::default(),
            arrival_to_end: Histogram::new(END_S),
            alert_sends: Family::default(),
            helpdesk_events: Family::default(),
        }
    }
}

impl Metrics {
    /// A verified delivery was answered.
    pub fn delivered(&self, receipt: &'static str, seconds: f64) {
        self.deliveries.get_or_create(&Receipt { receipt }).inc();
        self.ack.observe(seconds);
    }

    /// A request was refused.
    pub fn refused(&self, code: &'static str) {
        self.refused.get_or_create(&Code { code }).inc();
    }

    /// An attempt ended. `reason` is a hold reason or a cause.
    pub fn attempted(&self, end: &'static str, reason: &'static str, since_queued_s: Option<f64>) {
        self.attempts.get_or_create(&Ended { end, reason }).inc();
        if let Some(seconds) = since_queued_s {
            self.arrival_to_end.observe(seconds);
        }
    }

    /// A helpdesk told of something.
    pub fn helpdesk_told(&self, what: &'static str, became: &'static str) {
        self.helpdesk_events.get_or_create(&Happened { what, became }).inc();
    }

    /// An attempt to tell of an alert ended as `sent` or `failed`.
    pub fn alert_sent(&self, channel: &'static str, result: &'static str) {
        self.alert_sends.get_or_create(&Told { channel, result }).inc();
    }

    /// Everything as OpenMetrics text, with what the database counts.
    #[must_use]
    pub fn render(&self, counts: &Counts, now_ms: i64) -> String {
        let mut registry = Registry::with_prefix("frontdesk");
        registry.register(
            "deliveries",
            "Verified deliveries answered, by what became of them",
            self.deliveries.clone(),
        );
        registry.register("refused", "Requests refused, by cause", self.refused.clone());
        registry.register_with_unit("ack", "Time to answer a verified delivery", Unit::Seconds, self.ack.clone());
        registry.register("attempts", "Attempts by how they ended", self.attempts.clone());
        registry.register_with_unit(
            "queued_to_end",
            "From queued to the end of the job",
            Unit::Seconds,
            self.arrival_to_end.clone(),
        );
        registry.register(
            "helpdesk_events",
            "What the helpdesk told, and what became of it",
            self.helpdesk_events.clone(),
        );
        registry.register(
            "alert_sends",
            "Attempts to tell of an alert, by channel and result",
            self.alert_sends.clone(),
        );
        register_counts(&mut registry, counts, now_ms);
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

/// OpenMetrics text in the older format of Prometheus, which calls a counter by
/// its whole name and has neither units nor an end.
#[must_use]
pub fn as_plain_text(open_metrics: &str) -> String {
    let counter = |name: &str| open_metrics.contains(&format!("# TYPE {name} counter\n"));
    let plain = |line: &str| {
        let Some(told) = line.strip_prefix("# ") else { return Some(format!("{line}\n")) };
        let mut words = told.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some(word @ ("HELP" | "TYPE")), Some(name), Some(rest)) => {
                let total = if counter(name) { "_total" } else { "" };
                Some(format!("# {word} {name}{total} {rest}\n"))
            }
            _ => None,
        }
    };
    open_metrics.lines().filter_map(plain).collect()
}

fn register_counts(registry: &mut Registry, counts: &Counts, now_ms: i64) {
    let jobs = Family::<StateLabel, Gauge>::default();
    let oldest = Family::<StateLabel, FloatGauge>::default();
    for count in &counts.states {
        let label = StateLabel { state: count.state.word() };
        jobs.get_or_create(&label).set(count.count);
        oldest.get_or_create(&label).set(age_s(count.oldest_ms, now_ms));
    }
    let outcomes = Family::<OutcomeLabel, Gauge>::default();
    for (outcome, count) in &counts.outcomes {
        outcomes.get_or_create(&OutcomeLabel { outcome: outcome.clone() }).set(*count);
    }
    let found = Family::<ByLabel, Gauge>::default();
    for (by, count) in &counts.found_first {
        found.get_or_create(&ByLabel { by: by.clone() }).set(*count);
    }
    register_batches(registry, &counts.batches, now_ms);
    let reviews = Gauge::<i64>::default();
    reviews.set(counts.open_reviews.0);
    let review_age = FloatGauge::default();
    review_age.set(age_s(counts.open_reviews.1, now_ms));
    let forget = FloatGauge::default();
    forget.set(counts.least_forget_at_ms.map_or(f64::INFINITY, |at| seconds(at - now_ms)));
    registry.register("jobs", "Jobs and parked deliveries by state", jobs);
    registry.register("oldest_age_seconds", "Age of the oldest in each state", oldest);
    registry.register("ended_jobs", "Ended jobs by outcome, since the database was made", outcomes);
    registry.register("found_first", "Ended work that we started, by what told of it first", found);
    registry.register("open_reviews", "Reviews that wait for a person", reviews);
    let pauses = Gauge::<i64>::default();
    pauses.set(counts.pauses);
    registry.register("pauses", "Workflows and dependencies that people have paused", pauses);
    registry.register("oldest_review_age_seconds", "Age of the oldest review that waits", review_age);
    registry.register(
        "least_time_to_forget_seconds",
        "Least time left before OpenAI may forget a result not yet fetched",
        forget,
    );
}

fn register_batches(registry: &mut Registry, counts: &Batches, now_ms: i64) {
    let states = Family::<StateLabel, Gauge>::default();
    for (state, count) in &counts.states {
        states.get_or_create(&StateLabel { state }).set(*count);
    }
    let entered = Family::<ResultLabel, Gauge>::default();
    for (result, count) in &counts.entered {
        entered.get_or_create(&ResultLabel { result: result.clone() }).set(*count);
    }
    let ended = Family::<OutcomeLabel, Gauge>::default();
    for (outcome, count) in &counts.ended {
        ended.get_or_create(&OutcomeLabel { outcome: outcome.clone() }).set(*count);
    }
    let waiting = FloatGauge::default();
    waiting.set(age_s(counts.oldest_waiting_ms, now_ms));
    registry.register("batches", "Batches by state", states);
    registry.register("batch_lines_entered", "Lines of batches by what OpenAI's files say of them", entered);
    registry.register("batch_lines_ended", "Lines of batches by what they came to", ended);
    registry.register("oldest_waiting_batch_age_seconds", "Age of the oldest batch that waits for a decision", waiting);
}

fn age_s(since_ms: Option<i64>, now_ms: i64) -> f64 {
    since_ms.map_or(0.0, |since| seconds((now_ms - since).max(0)))
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52 ms")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads a filter as in `RUST_LOG`.
///
/// # Errors
/// When it cannot be read.
pub fn log_filter(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(filter).map_err(|error| format!("FRONTDESK_LOG: {error}"))
}

/// Starts logging to stderr. `filter` is as in `RUST_LOG`.
///
/// # Errors
/// When the filter cannot be read.
pub fn start_logging(filter: &str, format: LogFormat) -> Result<(), String> {
    use std::io::IsTerminal;
    let base = tracing_subscriber::fmt()
        .with_env_filter(log_filter(filter)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // Complaining on stderr that stderr is gone is a panic in the middle of the work.
        .log_internal_errors(false);
    // A second start, in tests, is not an error worth stopping for.
    let _ = match format {
        LogFormat::Text => base.try_init(),
        LogFormat::Json => base.json().try_init(),
    };
    Ok(())
}
