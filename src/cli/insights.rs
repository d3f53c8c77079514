//! `frontdesk insights`

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Setup;
use super::output::Output;
use crate::domain::measure::Span;
use crate::shapes::{self, INSIGHTS};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The last so many days in UTC, 1 to 366; beside them as many before.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=366))]
    days: i64,
    /// Print one table for a spreadsheet.
    #[arg(long, value_name = "WHAT", value_parser = INSIGHTS, conflicts_with = "json")]
    csv: Option<String>,
}

pub(super) async fn run(args: Args, setup: &Setup) -> Result<ExitCode> {
    let insights = gather(args.days, setup).await?;
    match args.csv {
        Some(what) => print_csv(&insights, &what)?,
        None if setup.output.json => setup.output.json(&insights)?,
        None => print(&setup.output, &insights)?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn gather(days: i64, setup: &Setup) -> Result<Value> {
    let prices = setup.config()?.insights.prices();
    let store = setup.store()?;
    let now_ms = store.clock().now_ms();
    let from_ms = Span::Day.begin(now_ms) - (days - 1) * Span::Day.ms();
    let before_ms = from_ms - days * Span::Day.ms();
    let samples = store.samples(Span::Day, before_ms, now_ms).await?;
    let drafts = store.feedback(Some(from_ms)).await?;
    let by_day = store.feedback_by_day(from_ms).await?;
    Ok(shapes::insights(&samples, (before_ms, from_ms, now_ms), (&drafts, &by_day), prices))
}

fn print_csv(insights: &Value, what: &str) -> Result<()> {
    let rows = shapes::insights_table(insights, what).context("there is no such table")?;
    let mut table = csv::Writer::from_writer(Vec::new());
    rows.iter().try_for_each(|row| table.write_record(row))?;
    let text = table.into_inner().context("the table could not be written")?;
    let mut out = std::io::stdout().lock();
    out.write_all(&text)?;
    Ok(out.flush()?)
}

/// A time that is told for the days that are asked for and for those before.
const TIMES: [(&str, &str, &str); 4] = [
    ("time to summary, half within", "summary", "p50_ms"),
    ("time to summary, 95 of 100 within", "summary", "p95_ms"),
    ("delivery to ticket, half within", "latency", "p50_ms"),
    ("delivery to ticket, 95 of 100 within", "latency", "p95_ms"),
];

fn print(output: &Output, insights: &Value) -> Result<()> {
    let time = |(name, part, key): &(&str, &str, &str)| {
        let (now, before) = (&insights[part]["now"], &insights[part]["before"]);
        vec![
            (*name).to_owned(),
            seconds(&now[key]),
            known(&now["count"]),
            seconds(&before[key]),
            known(&before["count"]),
        ]
    };
    output.table(&["figure", "now", "of", "before", "of"], &TIMES.iter().map(time).collect::<Vec<_>>())?;
    for what in INSIGHTS {
        let rows = shapes::insights_table(insights, what).unwrap_or_default();
        if let Some((headings, rows)) = rows.split_first().filter(|(_, rows)| !rows.is_empty()) {
            output.line(&format!("\n{what}"))?;
            output.table(&headings.iter().map(String::as_str).collect::<Vec<_>>(), rows)?;
        }
    }
    Ok(())
}

fn seconds(ms: &Value) -> String {
    ms.as_f64().map_or_else(|| "-".to_owned(), |ms| format!("{} s", ms / 1000.0))
}

fn known(value: &Value) -> String {
    if value.is_null() { "-".to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_there_is_none_of_is_a_dash_and_never_a_zero() {
        assert_eq!(
            (seconds(&Value::Null), seconds(&json!(0)), seconds(&json!(2_500))),
            ("-".into(), "0 s".into(), "2.5 s".into())
        );
    }
}
