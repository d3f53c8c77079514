//! `frontdesk batch schedules`

use std::process::ExitCode;

use anyhow::Result;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::app;
use crate::cli::Setup;
use crate::cli::deliveries::print_list;
use crate::clock::rfc3339;
use crate::config;
use crate::domain::batch::schedule::Schedule;
use crate::store::Scheduled;

const COLUMNS: [&str; 9] =
    ["name", "workflow", "project", "cron", "timezone", "next_local", "next_at", "last_at", "last_batch"];

pub(in crate::cli) async fn run(setup: &Setup) -> Result<ExitCode> {
    let config = setup.config()?;
    let schedules = app::schedules(&config, &app::workflows(&config)?)?;
    let store = setup.store()?;
    let (seen, now_ms) = (store.schedules().await?, store.clock().now_ms());
    let one = |schedule: &Schedule| {
        let stated = config.schedules.get(&schedule.name)?;
        Some(shape(schedule, stated, seen.iter().find(|seen| seen.name == schedule.name), now_ms))
    };
    let items: Vec<Value> = schedules.iter().filter_map(one).collect();
    print_list(&setup.output, &json!({"items": items, "next_cursor": null}), &COLUMNS)?;
    Ok(ExitCode::SUCCESS)
}

/// What a worker has not seen yet, in this form, is due at its next time from now on.
fn shape(schedule: &Schedule, stated: &config::Schedule, seen: Option<&Scheduled>, now_ms: i64) -> Value {
    let next_ms = match seen.filter(|seen| seen.stated == schedule.when.stated()) {
        Some(seen) => Some(seen.next_at_ms),
        None => schedule.when.next_ms(now_ms),
    };
    json!({
        "name": schedule.name,
        "workflow": schedule.workflow,
        "project": schedule.project,
        "cron": stated.cron,
        "timezone": stated.timezone,
        "next_local": next_ms.and_then(|ms| local(ms, &stated.timezone)),
        "next_at": next_ms.map(rfc3339),
        "last_at": seen.and_then(|seen| seen.last_at_ms).map(rfc3339),
        "last_batch": seen.and_then(|seen| seen.last_batch.as_deref()),
    })
}

/// As a clock on a wall there shows it, with how far it is from UTC.
fn local(ms: i64, zone: &str) -> Option<String> {
    let there = Timestamp::from_millisecond(ms).ok()?.to_zoned(TimeZone::get(zone).ok()?);
    Some(there.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::batch::schedule::When;
    use crate::domain::batch::{Filter, Select, Wanted};

    const SETTINGS: &str =
        "workflow = \"summary\"\ncron = \"0 2 * * *\"\ntimezone = \"Europe/Berlin\"\nstatus = \"open\"";

    fn shaped(seen: Option<&Scheduled>) -> Value {
        let schedule = Schedule {
            name: "nightly".to_owned(),
            project: "default".to_owned(),
            workflow: "summary".to_owned(),
            when: When::read("0 2 * * *", "Europe/Berlin").unwrap(),
            wanted: Wanted { select: Select::Filter(Filter::default()), cap: None, budget_tokens: None },
        };
        shape(&schedule, &toml::from_str(SETTINGS).unwrap(), seen, at("2026-06-11T10:00:00Z"))
    }

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn the_next_time_is_told_on_the_wall_and_in_utc() {
        let shape = shaped(None);
        assert_eq!(shape["next_local"], "2026-06-12T02:00:00+02:00");
        assert_eq!(shape["next_at"], "2026-06-12T00:00:00.000Z");
        assert!(shape["last_at"].is_null() && shape["last_batch"].is_null());
    }

    #[test]
    fn what_a_worker_has_seen_counts_until_the_settings_change() {
        let mut seen = Scheduled {
            name: "nightly".to_owned(),
            stated: "0 2 * * * Europe/Berlin".to_owned(),
            next_at_ms: at("2026-12-01T01:00:00Z"),
            last_at_ms: Some(at("2026-06-11T00:00:00Z")),
            last_batch: Some("bat_1".to_owned()),
        };
        let shape = shaped(Some(&seen));
        assert_eq!(shape["next_local"], "2026-12-01T02:00:00+01:00");
        assert_eq!((&shape["last_at"], &shape["last_batch"]), (&json!("2026-06-11T00:00:00.000Z"), &json!("bat_1")));
        seen.stated = "0 3 * * * Europe/Berlin".to_owned();
        assert_eq!(shaped(Some(&seen))["next_at"], "2026-06-12T00:00:00.000Z");
    }
}
