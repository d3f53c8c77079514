//! The checklist in its order. Each item is one function from what was seen to
//! a finding; an item that looks at every project says the worst of them.

mod inside;
mod logs;
mod outside;
mod own;
mod policy;

use super::finding::{Finding, Item, State, ok, problem, together, warning};
use super::seen::{Database, Project, Seen, Settings};

/// One item: its words, and how it is judged.
type Check = (&'static str, fn(&Settings, i64) -> Finding);

/// First what all others need, then the checklist, then what it forgets.
const CHECKS: [Check; 19] = [
    ("Webhook endpoint is configured in the OpenAI dashboard", outside::endpoint_is_configured),
    ("Endpoint subscribes only to required events", outside::subscribes_to_what_is_handled),
    ("Webhook secret is stored securely", own::secret_is_stored_securely),
    ("Endpoint uses raw body parsing", outside::raw_body_is_verified),
    ("Signature verification is enabled", outside::signatures_are_verified),
    ("Delivery deduplication uses webhook-id", outside::deliveries_are_deduplicated),
    ("Events are stored with status and timestamps", inside::events_are_stored),
    ("Endpoint returns 2xx quickly", outside::answers_quickly),
    ("Heavy work runs in a background worker", inside::worker_is_alive),
    ("Worker retrieves full response or batch output by ID", outside::results_can_be_fetched),
    ("Failed and incomplete events are handled", outside::failures_are_told),
    ("Retryable and final failures are separated", inside::failures_are_looked_after),
    ("Sensitive outputs are saved as drafts or routed for review", policy::sensitive_outputs_are_held),
    ("Logs avoid storing unnecessary sensitive content", logs::logs_hold_no_content),
    ("ZDR and retention requirements have been checked", own::retention_is_known),
    ("Ends of batches are told", outside::batches_are_told),
    ("Clock agrees with OpenAI's", outside::clock_agrees),
    ("Somebody is told when something breaks", inside::somebody_is_told),
    ("A restored database has been looked through", inside::restore_is_over),
];

const SETTINGS: &str = "Settings can be read";

/// Judges everything.
pub(super) fn judge(seen: &Seen) -> Vec<Item> {
    let now_ms = seen.now_ms;
    match &seen.settings {
        Err(why) => {
            let first =
                Item { item: SETTINGS, finding: problem(why, "mend the settings; nothing else could be looked at") };
            let rest = CHECKS.iter().map(|(item, _)| Item { item, finding: unchecked("the settings cannot be read") });
            std::iter::once(first).chain(rest).collect()
        }
        Ok(settings) => {
            let first = Item { item: SETTINGS, finding: own::settings_are_good(settings) };
            let rest = CHECKS.iter().map(|(item, judge)| Item { item, finding: judge(settings, now_ms) });
            std::iter::once(first).chain(rest).collect()
        }
    }
}

fn unchecked(why: &str) -> Finding {
    warning(format!("not checked: {why}"), "mend that first, then run doctor again")
}

/// The same question to each project.
fn of_each(settings: &Settings, judge: impl Fn(&Project) -> Finding) -> Finding {
    let projects = match &settings.projects {
        Ok(projects) => projects,
        Err(_) => return unchecked("the signing secrets cannot be read"),
    };
    let found = projects.iter().map(|project| (project.settings.name.clone(), judge(project))).collect();
    together(found).unwrap_or_else(|| unchecked("there is no project"))
}

/// A question to the database.
fn of_database(settings: &Settings, judge: impl Fn(&Database) -> Finding) -> Finding {
    match &settings.database {
        Ok(database) => judge(database),
        Err(_) => unchecked("the database cannot be used"),
    }
}

/// The worse of two.
fn worse(first: Finding, second: Finding) -> Finding {
    if second.state > first.state { second } else { first }
}

fn is_well(finding: &Finding) -> bool {
    finding.state == State::Ok
}

/// `ok` when nothing speaks against it.
fn unless(finding: Option<Finding>, detail: impl Into<String>) -> Finding {
    finding.unwrap_or_else(|| ok(detail))
}
