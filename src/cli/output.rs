//! How commands print: tables and colours on a terminal, plain columns in a
//! pipe, JSON when asked for. Text from outside is escaped before it is shown.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use comfy_table::{Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde_json::Value;

/// Where and how to print.
#[derive(Clone, Copy)]
pub(super) struct Output {
    pub(super) json: bool,
    terminal: bool,
    colour: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Output {
        let terminal = std::io::stdout().is_terminal();
        Output { json, terminal, colour: terminal && std::env::var_os("NO_COLOR").is_none() }
    }

    /// Prints JSON, on several lines for a person and on one for a program.
    pub(super) fn json(&self, value: &Value) -> Result<()> {
        let text = if self.terminal { serde_json::to_string_pretty(value)? } else { value.to_string() };
        self.line(&text)
    }

    /// Prints one line.
    pub(super) fn line(&self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{text}")?;
        Ok(out.flush()?)
    }

    /// Prints rows under headings; plain columns apart by tabs in a pipe.
    pub(super) fn table(&self, headings: &[&str], rows: &[Vec<String>]) -> Result<()> {
        if !self.terminal {
            self.line(&headings.join("\t"))?;
            return rows
                .iter()
                .try_for_each(|row| self.line(&row.iter().map(|cell| shown(cell)).collect::<Vec<_>>().join("\t")));
        }
        let mut table = Table::new();
        table.load_preset(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(headings);
        for row in rows {
            table.add_row(row.iter().map(|cell| self.cell(&shown(cell))));
        }
        keep_words_whole(&mut table, headings, rows);
        self.line(&table.to_string())
    }

    fn cell(&self, text: &str) -> Cell {
        let cell = Cell::new(text);
        match colour_of(text).filter(|_| self.colour) {
            Some(AnsiColor::Green) => cell.fg(Color::Green),
            Some(AnsiColor::Yellow) => cell.fg(Color::Yellow),
            Some(AnsiColor::Red) => cell.fg(Color::Red),
            _ => cell,
        }
    }

    /// A word in the colour of what it means.
    pub(super) fn paint(&self, word: &str) -> String {
        match colour_of(word).filter(|_| self.colour) {
            Some(colour) => {
                let style = Style::new().fg_color(Some(colour.into()));
                format!("{style}{word}{style:#}")
            }
            None => word.to_owned(),
        }
    }

    /// Whether a person is looking.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }
}

/// Makes each column as wide as its longest word, where there is room for that in all of them.
fn keep_words_whole(table: &mut Table, headings: &[&str], rows: &[Vec<String>]) {
    /// Beside the words: padding, and a border between two columns.
    const PADDING: usize = 2;
    const BORDER: usize = 1;
    let word = |text: &str| text.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
    let width = |(at, heading): (usize, &&str)| {
        let longest = rows.iter().filter_map(|row| row.get(at)).map(|cell| word(cell)).max();
        longest.unwrap_or(0).max(word(heading)) + PADDING
    };
    let widths: Vec<usize> = headings.iter().enumerate().map(width).collect();
    let whole = widths.iter().map(|width| width + BORDER).sum::<usize>() + BORDER;
    if whole > table.width().map_or(usize::MAX, usize::from) {
        return;
    }
    for (column, width) in table.column_iter_mut().zip(widths) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(u16::try_from(width).unwrap_or(u16::MAX))));
    }
}

fn colour_of(word: &str) -> Option<AnsiColor> {
    match word {
        "processed" | "applied" | "ok" | "yes" => Some(AnsiColor::Green),
        "held" | "queued" | "processing" | "received" | "failed_retryable" | "open" | "warning" => {
            Some(AnsiColor::Yellow)
        }
        "failed_final" | "no" | "wrong" | "problem" => Some(AnsiColor::Red),
        _ => None,
    }
}

/// Text on one line, without anything that could move a terminal's cursor.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A value of a JSON object as a cell; nothing for null.
pub(super) fn cell(value: &Value, key: &str) -> String {
    match &value[key] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
