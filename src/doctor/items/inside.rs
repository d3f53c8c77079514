//! What the database says.

use super::super::finding::{Finding, ok, problem, warning};
use super::super::seen::{Database, Settings};
use super::{of_database, worse};
use crate::clock::rfc3339;
use crate::config::ConfigError;
use crate::domain::job::State;
use crate::store::ALERT_CHANNEL;

/// Less room than this is worth a look; less than that, and writes fail soon.
const LITTLE_ROOM: u64 = 1024 * 1024 * 1024;
const NO_ROOM: u64 = 100 * 1024 * 1024;

/// OpenAI keeps results for thirty days: what nobody has missed by then is gone, in ms.
const FOUND_FOR_MS: i64 = 30 * 86_400_000;

pub(super) fn events_are_stored(settings: &Settings, _: i64) -> Finding {
    match &settings.database {
        Err(why) => problem(why, "run `frontdesk migrate`, or set DATABASE_URL to where the database is"),
        Ok(database) => worse(worse(durability(database), mode(database)), room(database)),
    }
}

fn durability(database: &Database) -> Finding {
    let facts = &database.facts;
    if let Some(why) = &facts.not_durable {
        let fix = match database.file {
            Some(_) => "is the database on a network share? put it on a local disk",
            None => "set it so on the server: what was acknowledged must outlive a power cut",
        };
        return problem(format!("commits are not on the disk before they are answered: {why}"), fix);
    }
    ok(format!(
        "{} deliveries, the schema is up to date, commits are on the disk before they are answered",
        database.counts.deliveries
    ))
}

fn mode(database: &Database) -> Finding {
    let Some(file) = database.file.as_ref().filter(|file| file.mode & 0o077 != 0) else { return ok("") };
    let path = file.path.display();
    warning(
        format!("{path} can be read or written by others (mode {:o})", file.mode),
        format!("chmod 600 {path}: it holds ticket text"),
    )
}

fn room(database: &Database) -> Finding {
    let fix = "make room: without it nothing can be acknowledged";
    match database.file.as_ref().and_then(|file| file.free_bytes) {
        Some(free) if free < NO_ROOM => problem(format!("{} MiB are left on its disk", free >> 20), fix),
        Some(free) if free < LITTLE_ROOM => warning(format!("{} MiB are left on its disk", free >> 20), fix),
        _ => ok(""),
    }
}

pub(super) fn worker_is_alive(settings: &Settings, now_ms: i64) -> Finding {
    let overdue_ms = settings.config.audit.overdue.ms();
    of_database(settings, |database| {
        let (waiting, oldest_s) = waiting(database, now_ms);
        let fix = "does `frontdesk serve` run with the role worker? does its log say why jobs are not claimed?";
        if database.facts.abandoned > 0 {
            let detail =
                format!("{} jobs belong to a worker that is gone, and nobody takes over", database.facts.abandoned);
            return problem(detail, fix);
        }
        if oldest_s > overdue_ms / 1000 {
            return problem(format!("{waiting} jobs wait, the oldest for {oldest_s} s"), fix);
        }
        let waits = format!("{waiting} jobs wait, the oldest for {oldest_s} s");
        match database.facts.last_claim_ms {
            Some(at_ms) => ok(format!("{waits}; the last job was claimed {} s ago", (now_ms - at_ms).max(0) / 1000)),
            None => warning(
                format!("{waits}; no job has been claimed yet, so no worker has been seen"),
                "start some work, as `frontdesk submit summary --ticket T-1001`, and run doctor again",
            ),
        }
    })
}

/// How many wait, and the oldest for how long, in s.
fn waiting(database: &Database, now_ms: i64) -> (i64, i64) {
    let queued = database.counts.states.iter().find(|count| count.state == State::Queued);
    queued.map_or((0, 0), |queued| (queued.count, queued.oldest_ms.map_or(0, |since| (now_ms - since).max(0) / 1000)))
}

pub(super) fn failures_are_looked_after(settings: &Settings, _: i64) -> Finding {
    of_database(settings, |database| {
        let count =
            |state| database.counts.states.iter().find(|count| count.state == state).map_or(0, |count| count.count);
        let (retrying, given_up) = (count(State::FailedRetryable), count(State::FailedFinal));
        let detail =
            format!("{retrying} jobs wait to be tried again, {given_up} are given up; {}", open_alerts(database));
        if given_up > 0 {
            return warning(detail, "`frontdesk jobs list --status failed_final` shows them; retry or discard each");
        }
        if !database.alerts.is_empty() {
            return warning(detail, "`frontdesk alerts list` says what each is about");
        }
        ok(detail)
    })
}

fn open_alerts(database: &Database) -> String {
    let kinds: Vec<&str> = database.alerts.iter().map(|alert| alert.kind.as_str()).collect();
    if kinds.is_empty() { "no alert is open".to_owned() } else { format!("open alerts: {}", kinds.join(", ")) }
}

/// What a restore lost can be found for as long as OpenAI keeps it.
pub(super) fn restore_is_over(settings: &Settings, now_ms: i64) -> Finding {
    of_database(settings, |database| {
        let Some(restored) = database.restored else { return ok("this database has not been restored") };
        let from =
            restored.copied_at_ms.map_or_else(String::new, |at_ms| format!(" from a copy of {}", rfc3339(at_ms)));
        let detail = format!(
            "restored at {}{from}: work from before is looked for on the ticket before it is written, however late it comes",
            rfc3339(restored.at_ms)
        );
        if now_ms - restored.at_ms > FOUND_FOR_MS {
            return ok(detail);
        }
        warning(detail, "look for what the copy did not hold, as docs/backup.md says; nothing else needs to be done")
    })
}

/// Alerts are of use only when they reach somebody.
pub(super) fn somebody_is_told(settings: &Settings, _: i64) -> Finding {
    let alerts = &settings.config.alerts;
    let channels: [(&str, Option<Result<(), ConfigError>>); 3] = [
        ("email", alerts.email.as_ref().map(|email| email.credentials().map(drop))),
        ("slack", alerts.slack.as_ref().map(|slack| slack.address().map(drop))),
        ("webhook", alerts.webhook.as_ref().map(|webhook| webhook.signing_secret().map(drop))),
    ];
    if let Some(why) = channels.iter().find_map(|(_, channel)| channel.as_ref()?.as_ref().err()) {
        return problem(why.to_string(), "mend the channel; until then nobody hears of an alert over it");
    }
    let told: Vec<&str> = channels.iter().filter(|(_, channel)| channel.is_some()).map(|(name, _)| *name).collect();
    if told.is_empty() {
        return warning(
            "no channel is set: alerts are told in the log and by `frontdesk alerts list` only",
            "set [alerts.email], [alerts.slack] or [alerts.webhook], and try it with `frontdesk alerts test`",
        );
    }
    let told = format!("alerts go to {}", told.join(", "));
    let stuck = |database: &Database| database.alerts.iter().any(|alert| alert.kind == ALERT_CHANNEL);
    match &settings.database {
        Ok(database) if stuck(database) => problem(
            format!("{told}, and one of them takes nothing"),
            "`frontdesk alerts list` names it; `frontdesk alerts test` tries it",
        ),
        _ => ok(format!("{told}; `frontdesk alerts test` sends one for trial")),
    }
}
