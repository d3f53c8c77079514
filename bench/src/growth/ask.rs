//! What is asked of a desk: every list from its beginning and from its middle, every
//! filter, every look-up, every count.

use super::desk::Desk;
use super::fill::ids;

/// A question that is asked of desks with much and with little history.
pub struct Ask {
    /// What the table calls it, and its path.
    pub name: String,
    /// Its path for a desk.
    pub path: Box<dyn Fn(&Desk) -> String>,
    /// Whether it must find something.
    pub finds: bool,
}

fn same(path: &str) -> Ask {
    let asked = path.to_owned();
    Ask { name: path.to_owned(), path: Box::new(move |_| asked.clone()), finds: true }
}

fn of_desk(name: &str, path: impl Fn(&Desk) -> String + 'static) -> Ask {
    Ask { name: name.to_owned(), path: Box::new(path), finds: true }
}

fn unknown(name: &str, path: &str) -> Ask {
    Ask { name: name.to_owned(), finds: false, ..same(path) }
}

/// The list's middle page; `share` of the deliveries' numbers are the list's.
fn middle(list: &'static str, share: i64) -> Ask {
    let joint = if list.contains('?') { '&' } else { '?' };
    of_desk(&format!("{list}{joint}cursor=MIDDLE"), move |desk| {
        format!("{list}{joint}cursor={}", desk.history.total / share / 2)
    })
}

/// The ids of an applied response that was started here, from the middle of the history.
fn applied(desk: &Desk) -> (String, String) {
    ids(desk.history.total / 2 / 1000 * 1000 + 22)
}

fn held(desk: &Desk) -> (String, String) {
    ids(desk.history.total / 2 / 1000 * 1000 + 8)
}

/// Everything that is asked.
pub fn all() -> Vec<Ask> {
    [everywhere(), deliveries(), work(), people(), batches(), looked_up(), pages()].into_iter().flatten().collect()
}

fn everywhere() -> Vec<Ask> {
    ["/health/ready", "/metrics", "/api/v1/stats"].map(same).into_iter().collect()
}

fn deliveries() -> Vec<Ask> {
    const STATES: [&str; 6] = ["received", "queued", "processing", "processed", "failed_retryable", "failed_final"];
    let mut asks = vec![same("/api/v1/deliveries"), middle("/api/v1/deliveries", 1)];
    asks.extend(STATES.map(|state| same(&format!("/api/v1/deliveries?status={state}"))));
    asks.push(middle("/api/v1/deliveries?status=received", 1));
    asks.push(middle("/api/v1/deliveries?status=processed", 1));
    for kind in ["response.completed", "response.failed", "video.completed", "batch.completed"] {
        asks.push(same(&format!("/api/v1/deliveries?type={kind}")));
    }
    asks.push(unknown("/api/v1/deliveries?type=UNKNOWN", "/api/v1/deliveries?type=nobody.knows"));
    asks.push(middle("/api/v1/deliveries?type=batch.completed", 1));
    asks.push(same("/api/v1/deliveries?status=received&type=video.completed"));
    asks.push(of_desk("/api/v1/deliveries?q=DELIVERY", |desk| format!("/api/v1/deliveries?q={}", applied(desk).0)));
    asks.push(of_desk("/api/v1/deliveries?q=RESOURCE", |desk| format!("/api/v1/deliveries?q={}", applied(desk).1)));
    asks.push(of_desk("/api/v1/deliveries?q=TICKET", |desk| {
        format!("/api/v1/deliveries?q=T-{}", desk.history.total / 10)
    }));
    asks.push(unknown("/api/v1/deliveries?q=UNKNOWN", "/api/v1/deliveries?q=in-no-id"));
    asks
}

fn work() -> Vec<Ask> {
    let mut asks = vec![same("/api/v1/jobs"), middle("/api/v1/jobs", 1)];
    for state in ["queued", "processing", "processed", "failed_retryable", "failed_final"] {
        asks.push(same(&format!("/api/v1/jobs?status={state}")));
    }
    asks.push(middle("/api/v1/jobs?status=processed", 1));
    asks.push(middle("/api/v1/jobs?status=failed_final", 1));
    asks.extend([same("/api/v1/submissions"), middle("/api/v1/submissions", 1)]);
    for state in ["planned", "starting", "started", "refused", "unknown", "ended", "lost"] {
        asks.push(same(&format!("/api/v1/submissions?state={state}")));
    }
    asks.push(of_desk("/api/v1/submissions?ticket=TICKET", |desk| {
        format!("/api/v1/submissions?ticket=T-{}", desk.history.total / 20)
    }));
    asks
}

fn people() -> Vec<Ask> {
    let mut asks = vec![same("/api/v1/reviews"), middle("/api/v1/reviews", 1)];
    for state in ["open", "claimed", "approved", "rejected", "stale", "expired"] {
        asks.push(same(&format!("/api/v1/reviews?state={state}")));
    }
    asks.push(middle("/api/v1/reviews?state=approved", 1));
    asks.push(same("/api/v1/reviews?reason=sensitive"));
    asks.push(same("/api/v1/reviews?state=approved&reason=sensitive"));
    asks.push(unknown("/api/v1/reviews?reason=UNKNOWN", "/api/v1/reviews?reason=incomplete"));
    asks.push(of_desk("/api/v1/reviews?ticket=TICKET", |desk| {
        format!("/api/v1/reviews?ticket=T-{}", desk.history.total / 20)
    }));
    asks.extend([
        same("/api/v1/alerts"),
        same("/api/v1/alerts?state=open"),
        same("/api/v1/feedback"),
        same("/api/v1/pauses"),
    ]);
    asks.extend([
        same("/api/v1/audit-trail"),
        middle("/api/v1/audit-trail", 33),
        same("/api/v1/audit-trail?actor=lena"),
    ]);
    asks.push(of_desk("/api/v1/audit-trail?subject=REVIEW", |desk| {
        format!("/api/v1/audit-trail?subject={}", held(desk).1.replace("resp_", "rev_"))
    }));
    asks.push(unknown("/api/v1/audit-trail?actor=UNKNOWN", "/api/v1/audit-trail?actor=nobody"));
    asks.extend([same("/api/v1/tickets"), middle("/api/v1/tickets", 10)]);
    asks
}

fn batches() -> Vec<Ask> {
    vec![
        same("/api/v1/batches"),
        middle("/api/v1/batches", 1),
        same("/api/v1/batches?state=rejected"),
        same("/api/v1/batches?state=waiting"),
        same("/api/v1/batches/bat_large"),
        same("/api/v1/batches/bat_large/lines"),
        same("/api/v1/batches/bat_large/lines?cursor=5000"),
        same("/api/v1/batches/bat_large/lines?outcome=ok&cursor=5000"),
        same("/api/v1/batches/bat_large/lines?outcome=failed"),
    ]
}

fn looked_up() -> Vec<Ask> {
    let why = |name: &str, id: fn(&Desk) -> String| {
        of_desk(&format!("/api/v1/why/{name}"), move |desk| format!("/api/v1/why/{}", id(desk)))
    };
    vec![
        why("DELIVERY", |desk| applied(desk).0),
        why("RESPONSE", |desk| applied(desk).1),
        why("EVENT", |desk| applied(desk).1.replace("resp_", "evt_")),
        why("SUBMISSION", |desk| applied(desk).1.replace("resp_", "sub_")),
        why("REVIEW", |desk| held(desk).1.replace("resp_", "rev_")),
        why("TICKET", |desk| format!("T-{}", desk.history.total / 20 + 2)),
        why("JOB", |desk| format!("job_{}", desk.history.total / 2 / 1000 * 1000 + 22)),
        unknown("/api/v1/why/UNKNOWN", "/api/v1/why/no_such_id"),
        of_desk("/api/v1/deliveries/ID", |desk| format!("/api/v1/deliveries/{}", applied(desk).0)),
        of_desk("/api/v1/jobs/ID", |desk| format!("/api/v1/jobs/job_{}", desk.history.total / 2 / 1000 * 1000 + 22)),
        of_desk("/api/v1/submissions/ID", |desk| {
            format!("/api/v1/submissions/{}", applied(desk).1.replace("resp_", "sub_"))
        }),
        of_desk("/api/v1/reviews/ID", |desk| format!("/api/v1/reviews/{}", held(desk).1.replace("resp_", "rev_"))),
        of_desk("/api/v1/tickets/ID", |desk| format!("/api/v1/tickets/T-{}", desk.history.total / 20 + 2)),
    ]
}

/// The pages of the console.
fn pages() -> Vec<Ask> {
    let mut asks: Vec<Ask> = [
        "/",
        "/reviews",
        "/reviews?view=approved",
        "/reviews?reason=sensitive",
        "/deliveries",
        "/deliveries?status=failed_final",
        "/deliveries?status=received",
        "/jobs",
        "/jobs?status=failed_final",
        "/tickets",
        "/batches",
        "/batches/bat_large",
        "/insights",
        "/policy",
        "/me",
    ]
    .map(same)
    .into();
    asks.push(of_desk("/deliveries/ID", |desk| format!("/deliveries/{}", applied(desk).0)));
    asks.push(of_desk("/deliveries?q=RESOURCE", |desk| format!("/deliveries?q={}", applied(desk).1)));
    asks.push(of_desk("/jobs/ID", |desk| format!("/jobs/job_{}", desk.history.total / 2 / 1000 * 1000 + 22)));
    asks.push(of_desk("/reviews/ID", |desk| format!("/reviews/{}", held(desk).1.replace("resp_", "rev_"))));
    asks.push(of_desk("/tickets/ID", |desk| format!("/tickets/T-{}", desk.history.total / 20 + 2)));
    asks.push(of_desk("/why?id=RESPONSE", |desk| format!("/why?id={}", applied(desk).1)));
    asks
}

/// Commands that people run, each of which starts the program anew.
pub fn commands(desk: &Desk) -> Vec<(&'static str, Vec<String>)> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    vec![
        ("frontdesk why RESPONSE", words(&format!("why {}", applied(desk).1))),
        ("frontdesk why TICKET", words(&format!("why T-{}", desk.history.total / 20 + 2))),
        ("frontdesk deliveries list", words("deliveries list")),
        ("frontdesk deliveries list --status failed_final", words("deliveries list --status failed_final")),
        ("frontdesk jobs list --status failed_final", words("jobs list --status failed_final")),
        ("frontdesk reviews list --state open", words("reviews list --state open")),
        ("frontdesk batch lines bat_large", words("batch lines bat_large --limit 50")),
        ("frontdesk jobs retry --all --dry-run", words("jobs retry --all --dry-run")),
    ]
}
