//! Charts as SVG, drawn on the server: lines over time, and bars. Colours and
//! sizes are the style sheet's. Each stands beside a table with the same numbers,
//! so that a chart is never the only way to them.

use std::fmt::Write as _;

use minijinja::Value;
use serde_json::Value as Json;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 180.0;
/// Room for the words left of and below the drawing.
const LEFT: f64 = 44.0;
const BELOW: f64 = 20.0;

/// Lines of `series` (a name in each of `rows`, and what it is called) over the
/// times in `at`. None with fewer than two points: that is no line.
pub(super) fn lines(title: &str, rows: &[Json], series: &[(&str, &str)]) -> Option<Value> {
    if rows.len() < 2 {
        return None;
    }
    let values = |name: &str| rows.iter().map(|row| row[name].as_f64()).collect::<Vec<_>>();
    let all: Vec<Vec<Option<f64>>> = series.iter().map(|(name, _)| values(name)).collect();
    let most = round_up(all.iter().flatten().flatten().fold(0.0, |most: f64, value| most.max(*value)));
    let mut svg = begin(title);
    axis(&mut svg, most);
    for (at, (values, (_, name))) in all.iter().zip(series).enumerate() {
        line(&mut svg, at + 1, values, most);
        legend(&mut svg, at, name);
    }
    for (at, anchor) in [(0, "start"), (rows.len() - 1, "end")] {
        let time = rows[at]["at"].as_str().and_then(|text| text.get(5..16)).unwrap_or_default().replace('T', " ");
        let x = x(at, rows.len());
        let _ = write!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            HEIGHT - 4.0,
            escaped(&time)
        );
    }
    Some(end(svg))
}

/// A bar for each of `rows`, whose length is what stands under `count`.
pub(super) fn bars(title: &str, rows: &[Json], name: &str, count: &str) -> Option<Value> {
    const ROW: f64 = 24.0;
    let rows = rows.get(..rows.len().min(12)).filter(|rows| !rows.is_empty())?;
    let most = rows.iter().filter_map(|row| row[count].as_f64()).fold(1.0, f64::max);
    #[allow(clippy::cast_precision_loss, reason = "twelve rows")]
    let height = rows.len() as f64 * ROW;
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">",
        escaped(title)
    );
    for (at, row) in rows.iter().enumerate() {
        #[allow(clippy::cast_precision_loss, reason = "twelve rows")]
        let y = at as f64 * ROW;
        let value = row[count].as_f64().unwrap_or(0.0);
        let width = (value / most * (WIDTH - 260.0)).max(1.0);
        let label: String = row[name].as_str().unwrap_or("–").chars().take(26).collect();
        let _ = write!(
            svg,
            "<text x=\"180\" y=\"{:.1}\" text-anchor=\"end\">{}</text><rect class=\"c1\" x=\"188\" y=\"{:.1}\" width=\"{width:.1}\" height=\"14\"/><text x=\"{:.1}\" y=\"{:.1}\">{value}</text>",
            y + 16.0,
            escaped(&label),
            y + 5.0,
            194.0 + width,
            y + 16.0,
        );
    }
    Some(end(svg))
}

fn begin(title: &str) -> String {
    format!("<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escaped(title))
}

fn end(mut svg: String) -> Value {
    svg.push_str("</svg>");
    // Numbers of ours, and names that have been escaped one by one.
    Value::from_safe_string(svg)
}

fn axis(svg: &mut String, most: f64) {
    for part in [0.0, 0.5, 1.0] {
        let y = y(most * part, most);
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            most * part,
        );
    }
}

/// Where there is no value, the line is broken.
fn line(svg: &mut String, colour: usize, values: &[Option<f64>], most: f64) {
    let mut path = String::new();
    let mut is_down = false;
    for (at, value) in values.iter().enumerate() {
        let Some(value) = value else {
            is_down = false;
            continue;
        };
        let pen = if is_down { 'L' } else { 'M' };
        let _ = write!(path, "{pen}{:.1} {:.1}", x(at, values.len()), y(*value, most));
        is_down = true;
    }
    let _ = write!(svg, "<path class=\"line c{colour}\" d=\"{path}\"/>");
}

fn legend(svg: &mut String, at: usize, name: &str) {
    #[allow(clippy::cast_precision_loss, reason = "a few series")]
    let x = LEFT + 10.0 + at as f64 * 130.0;
    let _ = write!(
        svg,
        "<line class=\"line c{}\" x1=\"{x:.1}\" x2=\"{:.1}\" y1=\"7\" y2=\"7\"/><text x=\"{:.1}\" y=\"11\">{}</text>",
        at + 1,
        x + 12.0,
        x + 15.0,
        escaped(name)
    );
}

fn x(at: usize, of: usize) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a few thousand points")]
    let part = at as f64 / (of.max(2) - 1) as f64;
    LEFT + part * (WIDTH - LEFT)
}

fn y(value: f64, most: f64) -> f64 {
    let top = 20.0;
    HEIGHT - BELOW - value / most * (HEIGHT - BELOW - top)
}

/// To 1, 2 or 5 and zeros.
fn round_up(most: f64) -> f64 {
    let mut step = 1.0;
    while step * 10.0 <= most {
        step *= 10.0;
    }
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * step).find(|bound| *bound >= most).unwrap_or(1.0).max(1.0)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_is_broken_where_nothing_is_known() {
        let rows = [
            json!({"at": "2026-06-11T10:00:00Z", "a": 1}),
            json!({"at": "2026-06-11T10:10:00Z", "a": null}),
            json!({"at": "2026-06-11T10:20:00Z", "a": 3}),
        ];
        let svg = lines("<Title>", &rows, &[("a", "A & B")]).unwrap().to_string();
        assert!(
            svg.contains("aria-label=\"&lt;Title&gt;\"") && svg.contains("A &amp; B") && svg.contains("06-11 10:00"),
            "{svg}"
        );
        assert_eq!(svg.matches('M').count(), 2, "{svg}");
        assert!(lines("t", &rows[..1], &[("a", "A")]).is_none());
    }

    #[test]
    fn names_on_bars_are_no_markup() {
        let svg = bars("t", &[json!({"name": "<script>", "count": 3})], "name", "count").unwrap().to_string();
        assert!(svg.contains("&lt;script&gt;") && !svg.contains("<script>"), "{svg}");
        assert!(bars("t", &[], "name", "count").is_none());
    }

    #[test]
    fn the_scale_ends_at_a_round_number() {
        assert_eq!(
            [0.0, 0.4, 1.0, 3.0, 7.0, 42.0, 100.0, 101.0].map(round_up),
            [1.0, 1.0, 1.0, 5.0, 10.0, 50.0, 100.0, 200.0]
        );
    }
}
