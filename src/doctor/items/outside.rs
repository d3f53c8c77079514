//! What OpenAI answers, and what our public address does.

use super::super::finding::{Finding, ok, problem, warning};
use super::super::round_trip::{self, Made, Trip};
use super::super::seen::{Calls, Project, Settings};
use super::{is_well, of_each, unchecked, unless};
use crate::domain::event::{HANDLED, told_as};
use crate::domain::failure::{Cause, Failure};
use crate::openai::{Endpoint, OpenAiError};

/// OpenAI and we may differ so far, in s: beyond the first it is worth a look,
/// beyond the second deliveries are refused before long.
const SKEW_WARNING_S: i64 = 60;
const SKEW_PROBLEM_S: i64 = 240;

/// An answer later than this is late; later than that OpenAI may not wait, in ms.
const SLOW_MS: u128 = 1_000;
const TOO_SLOW_MS: u128 = 3_000;

const DASHBOARD: &str = "platform.openai.com, Settings, Project, Webhooks";

pub(super) fn endpoint_is_configured(settings: &Settings, _: i64) -> Finding {
    of_each(settings, |project| match endpoints(settings, project) {
        Ok(found) => {
            let urls: Vec<&str> = found.iter().map(|endpoint| endpoint.url.as_str()).collect();
            ok(format!("OpenAI sends to {}", urls.join(" and ")))
        }
        Err(finding) => finding,
    })
}

pub(super) fn subscribes_to_what_is_handled(settings: &Settings, _: i64) -> Finding {
    of_each(settings, |project| {
        let subscribed = match subscribed(settings, project) {
            Ok(subscribed) => subscribed,
            Err(finding) => return finding,
        };
        let missing: Vec<&str> = HANDLED.into_iter().filter(|kind| !subscribed.iter().any(|has| has == kind)).collect();
        if !missing.is_empty() {
            return problem(
                format!("not subscribed: {}", missing.join(", ")),
                format!("subscribe the endpoint to them ({DASHBOARD}); without them work ends unheard"),
            );
        }
        let unneeded: Vec<&str> = subscribed
            .iter()
            .map(String::as_str)
            .filter(|kind| !HANDLED.contains(kind) && told_as(kind).is_none())
            .collect();
        if unneeded.is_empty() {
            return ok(format!("all {} types that are handled, and none that nobody needs", HANDLED.len()));
        }
        warning(
            format!("subscribed, and nobody handles them: {}", unneeded.join(", ")),
            format!(
                "unsubscribe them ({DASHBOARD}); each is stored as received, and is an alert until somebody dismisses it"
            ),
        )
    })
}

/// A subset of the subscriptions, told by itself: without these, work that
/// went wrong would end in silence.
pub(super) fn failures_are_told(settings: &Settings, _: i64) -> Finding {
    of_each(settings, |project| {
        let subscribed = match subscribed(settings, project) {
            Ok(subscribed) => subscribed,
            Err(finding) => return finding,
        };
        let bad_ends = HANDLED.into_iter().filter(|kind| !kind.ends_with(".completed"));
        let missing: Vec<&str> = bad_ends.filter(|kind| !subscribed.iter().any(|has| has == kind)).collect();
        if missing.is_empty() {
            return ok("failed, incomplete, cancelled and expired work is told and ends with an owner");
        }
        problem(
            format!("OpenAI does not tell of {}", missing.join(", ")),
            format!("subscribe the endpoint to them ({DASHBOARD})"),
        )
    })
}

/// Another subset, with its own words: a batch that nobody tells of is found
/// hours later, by asking.
pub(super) fn batches_are_told(settings: &Settings, _: i64) -> Finding {
    let schedules = settings.config.schedules.len();
    let batches = settings
        .database
        .as_ref()
        .map_or(0, |database| database.counts.batches.states.iter().map(|(_, count)| count).sum::<i64>());
    if schedules == 0 && batches == 0 {
        return ok("no batch is here, and no schedule makes one");
    }
    of_each(settings, |project| {
        let subscribed = match subscribed(settings, project) {
            Ok(subscribed) => subscribed,
            Err(finding) => return finding,
        };
        let ends = HANDLED.into_iter().filter(|kind| kind.starts_with("batch."));
        let missing: Vec<&str> = ends.filter(|kind| !subscribed.iter().any(|has| has == kind)).collect();
        if missing.is_empty() {
            return ok(format!("all ends of batches; {batches} batches are here, and {schedules} schedules make more"));
        }
        problem(
            format!("OpenAI does not tell of {}", missing.join(", ")),
            format!("subscribe the endpoint to them ({DASHBOARD}); until then each batch is found late, by asking"),
        )
    })
}

/// The endpoints of a project that lead to us.
fn endpoints<'a>(settings: &Settings, project: &'a Project) -> Result<Vec<&'a Endpoint>, Finding> {
    let name = &project.settings.name;
    let ours = settings.config.public_url.as_deref().map(|url| round_trip::endpoint(url, name));
    let look = match &ours {
        Some(url) => format!("look there for an endpoint with the address {url}: {DASHBOARD}"),
        None => format!(
            "look there for an endpoint that leads here: {DASHBOARD}; set public_url, so that this can be checked"
        ),
    };
    let calls = calls(project)?;
    let all = match &calls.endpoints.answer {
        Ok(all) => all,
        Err(OpenAiError::Status(answer)) => {
            return Err(warning(format!("cannot be checked with this key (HTTP {})", answer.status), look));
        }
        Err(error) => return Err(warning(format!("cannot be checked: {error}"), look)),
    };
    let path = round_trip::endpoint("", name);
    let leads_here = |endpoint: &&Endpoint| {
        let url = endpoint.url.trim_end_matches('/');
        ours.as_deref().map_or_else(|| url.ends_with(&path), |ours| url == ours)
    };
    let found: Vec<&Endpoint> = all.iter().filter(leads_here).collect();
    if found.is_empty() {
        let wanted = ours.as_deref().unwrap_or(&path);
        let fix = format!("make one with the address {wanted}: {DASHBOARD}");
        return Err(problem(format!("OpenAI knows {} endpoints, and none is {wanted}", all.len()), fix));
    }
    Ok(found)
}

fn subscribed(settings: &Settings, project: &Project) -> Result<Vec<String>, Finding> {
    let mut all: Vec<String> = endpoints(settings, project)
        .map_err(|finding| match finding.state {
            super::State::Problem => unchecked("no endpoint leads here"),
            _ => finding,
        })?
        .iter()
        .flat_map(|endpoint| endpoint.event_types.iter())
        // Words of somebody else, on their way to a terminal.
        .map(|kind| kind.chars().filter(|c| c.is_ascii_graphic()).take(64).collect())
        .collect();
    all.sort();
    all.dedup();
    Ok(all)
}

fn calls(project: &Project) -> Result<&Calls, Finding> {
    match &project.key {
        None => Err(unchecked("there is no API key")),
        Some(Err(_)) => Err(unchecked("OpenAI cannot be called with these settings")),
        Some(Ok(calls)) => Ok(calls),
    }
}

pub(super) fn results_can_be_fetched(settings: &Settings, _: i64) -> Finding {
    of_each(settings, |project| match &project.key {
        None => problem("no API key", "set OPENAI_API_KEY: without it no result can be fetched"),
        Some(Err(why)) => problem(why, "mend OPENAI_API_KEY or OPENAI_BASE_URL"),
        Some(Ok(calls)) => match &calls.may_read.answer {
            Ok(()) => ok("OpenAI accepts the key and lets it read responses by id"),
            Err(error) => refused(error),
        },
    })
}

fn refused(error: &OpenAiError) -> Finding {
    let failure = Failure::from(error.clone());
    let detail = failure.to_string();
    match failure.cause() {
        Cause::OpenAiAuth => problem(detail, "set a key that is valid and may read responses and batches"),
        Cause::OpenAiQuota => problem(detail, "pay, or raise the limit; jobs go on by themselves"),
        Cause::OpenAiRateLimited => warning(detail, "run doctor again in a while"),
        Cause::OpenAiServer => warning(detail, "OpenAI has trouble; run doctor again in a while"),
        _ => problem(detail, "look at OPENAI_BASE_URL and at the network"),
    }
}

/// A question to the tests that went over the public address.
fn of_trip(settings: &Settings, judge: impl Fn(&Made) -> Finding) -> Finding {
    of_each(settings, |project| match &project.trip {
        Trip::NoAddress => warning(
            "not checked from outside: public_url is not set",
            "set public_url to the address at which OpenAI reaches this desk, as https://desk.example.com",
        ),
        Trip::NoSecret => unchecked("there is no signing secret"),
        Trip::NotPrivate => {
            problem("public_url is not https", "end TLS in front of this desk; OpenAI posts to https only")
        }
        Trip::Made(made) => judge(made),
    })
}

/// Whether a well signed test was taken.
fn was_taken(made: &Made) -> Finding {
    let url = &made.url;
    match &made.good {
        Ok(200..=299) => ok(format!("a signed test was taken at {url}")),
        Ok(status @ 300..=399) => problem(
            format!("{url} redirects (HTTP {status}), and OpenAI does not follow"),
            "set public_url, and the address at OpenAI, to where it leads",
        ),
        Ok(400) => problem(
            format!("{url} refuses a test that is signed with our own secret (HTTP 400)"),
            "does it run with the same secret? does a proxy change headers or the body? its log names the cause",
        ),
        Ok(404) => {
            problem(format!("{url} is not there (HTTP 404)"), "look at public_url, and at what the proxy passes on")
        }
        Ok(status) => problem(format!("{url} answers HTTP {status}"), "look at its log, and at the proxy before it"),
        Err(why) => problem(format!("{url}: {why}"), "is it running? does the proxy lead to it?"),
    }
}

pub(super) fn raw_body_is_verified(settings: &Settings, _: i64) -> Finding {
    of_trip(settings, |made| match was_taken(made) {
        taken if is_well(&taken) => ok("a test with unusual spacing was verified as it was sent, byte for byte"),
        not => not,
    })
}

pub(super) fn signatures_are_verified(settings: &Settings, _: i64) -> Finding {
    of_trip(settings, |made| match (was_taken(made), &made.forged) {
        (_, Ok(200..=299)) => problem(
            format!("{} took a test that somebody else signed", made.url),
            "what answers there is not this program, or something before it answers for it",
        ),
        (taken, _) if !is_well(&taken) => taken,
        (_, Ok(400)) => ok("a signed test was taken, and one that somebody else signed was refused"),
        (_, Ok(status)) => {
            warning(format!("a forged test was answered with HTTP {status}, not 400"), "look at the proxy in front")
        }
        (_, Err(why)) => warning(format!("a forged test: {why}"), "run doctor again"),
    })
}

pub(super) fn deliveries_are_deduplicated(settings: &Settings, _: i64) -> Finding {
    let reachable = settings.database.is_ok();
    of_trip(settings, |made| {
        let taken = was_taken(made);
        if !is_well(&taken) {
            return taken;
        }
        match (&made.again, made.copies) {
            (Ok(200..=299), Some(2)) => ok("a test that was sent twice was answered twice and stored once"),
            (Ok(200..=299), Some(copies)) => {
                problem(format!("a test that was sent twice was stored with {copies} copies"), "report this")
            }
            (Ok(200..=299), None) if reachable => problem(
                format!("{} took a test that is not in this database", made.url),
                "public_url leads to another desk, or this one has another database: DATABASE_URL",
            ),
            (Ok(200..=299), None) => unchecked("the database cannot be used"),
            (Ok(status), _) => {
                problem(format!("a repeated delivery was answered with HTTP {status}"), "look at the log")
            }
            (Err(why), _) => warning(format!("a repeated delivery: {why}"), "run doctor again"),
        }
    })
}

pub(super) fn answers_quickly(settings: &Settings, _: i64) -> Finding {
    of_trip(settings, |made| {
        let taken = was_taken(made);
        let detail = format!("answered after {} ms", made.took_ms);
        match made.took_ms {
            _ if !is_well(&taken) => taken,
            TOO_SLOW_MS.. => problem(detail, "OpenAI waits a few seconds: look at the disk, and at what is in between"),
            SLOW_MS.. => warning(detail, "look at the disk, and at what is in between"),
            _ => ok(detail),
        }
    })
}

pub(super) fn clock_agrees(settings: &Settings, now_ms: i64) -> Finding {
    of_each(settings, |project| {
        let calls = match calls(project) {
            Ok(calls) => calls,
            Err(finding) => return finding,
        };
        let Some(date_ms) = calls.may_read.date_ms.or(calls.endpoints.date_ms) else {
            return unchecked("OpenAI did not say what time it is");
        };
        let skew_s = (now_ms - date_ms) / 1000;
        let fix = "set this machine's clock by NTP: deliveries more than 300 s off are refused";
        let said = format!("this clock is {} s {}", skew_s.abs(), if skew_s < 0 { "behind" } else { "ahead" });
        let far = match skew_s.abs() {
            s if s > SKEW_PROBLEM_S => Some(problem(&*said, fix)),
            s if s > SKEW_WARNING_S => Some(warning(&*said, fix)),
            _ => None,
        };
        unless(far, "within a minute of OpenAI's")
    })
}
