//! The whole ledger into a file: page by page, so that its size does not matter.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::lines::Ledger;
use crate::cli::output::Output;
use crate::shapes::{BATCH_LINE_HEADINGS, batch_line, batch_line_cells};
use crate::store::{Line, PageRequest};

/// How the ledger is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// A table, for a spreadsheet.
    Csv,
    /// A JSON object a line, as the API gives it.
    Jsonl,
}

impl Format {
    fn of(file: &Path) -> Format {
        match file.extension().and_then(|ending| ending.to_str()) {
            Some("jsonl" | "ndjson") => Format::Jsonl,
            _ => Format::Csv,
        }
    }
}

/// Writes all lines of the ledger. A file that is there is left alone; one that
/// could not be finished is removed.
pub(super) async fn run(ledger: &Ledger, file: &Path, format: Option<Format>, output: &Output) -> Result<()> {
    let format = format.unwrap_or_else(|| Format::of(file));
    if file.as_os_str() == "-" {
        write(ledger, format, BufWriter::new(std::io::stdout())).await?;
        return Ok(());
    }
    let name = file.display();
    let made = match File::create_new(file) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{name} is there already and is not written over; name another file, or remove it")
        }
        made => made.with_context(|| format!("{name} cannot be written"))?,
    };
    let written = match write(ledger, format, BufWriter::new(made)).await {
        Ok(written) => written,
        Err(error) => {
            let _ = std::fs::remove_file(file);
            return Err(error.context(format!("{name} could not be finished and was removed")));
        }
    };
    if output.json {
        return output.json(&json!({"batch_id": ledger.batch_id, "file": file, "lines": written}));
    }
    output.line(&format!("{written} lines of {} are in {name}", ledger.batch_id))
}

async fn write(ledger: &Ledger, format: Format, to: impl Write) -> Result<u64> {
    let mut to = Writer::new(format, to)?;
    let (mut page, mut written) = (PageRequest { limit: PageRequest::MAX_LIMIT, cursor: None }, 0);
    loop {
        let lines = ledger.page(&page).await?;
        for line in &lines.items {
            to.line(line)?;
            written += 1;
        }
        page.cursor = lines.next;
        if page.cursor.is_none() {
            to.flush()?;
            return Ok(written);
        }
    }
}

enum Writer<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Jsonl(W),
}

impl<W: Write> Writer<W> {
    fn new(format: Format, to: W) -> Result<Writer<W>> {
        match format {
            Format::Jsonl => Ok(Writer::Jsonl(to)),
            Format::Csv => {
                let mut table = csv::Writer::from_writer(to);
                table.write_record(BATCH_LINE_HEADINGS).map_err(plain)?;
                Ok(Writer::Csv(Box::new(table)))
            }
        }
    }

    fn line(&mut self, line: &Line) -> Result<()> {
        match self {
            Writer::Csv(to) => to.write_record(batch_line_cells(line)).map_err(plain)?,
            Writer::Jsonl(to) => writeln!(to, "{}", batch_line(line))?,
        }
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Writer::Csv(to) => to.flush(),
            Writer::Jsonl(to) => to.flush(),
        }
    }
}

/// As the error of the file itself: a reader that has gone away is known by it.
fn plain(error: csv::Error) -> std::io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => std::io::Error::other(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::batch::{Fate, LineResult};

    fn line(custom_id: &str) -> Line {
        Line {
            number: 7,
            custom_id: Some(custom_id.to_owned()),
            ticket_id: None,
            found: Some("output:7".to_owned()),
            result: LineResult::Ok,
            fate: Some(Fate::Applied),
            reason: None,
            resource_id: None,
        }
    }

    fn written(format: Format, custom_id: &str) -> String {
        let mut bytes = Vec::new();
        let mut to = Writer::new(format, &mut bytes).unwrap();
        to.line(&line(custom_id)).unwrap();
        to.flush().unwrap();
        drop(to);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_cell_is_no_formula_and_is_quoted_where_it_must_be() {
        for (custom_id, cell) in [
            ("T-1", "T-1"),
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1,2", "\"'=1,2\""),
        ] {
            let text = written(Format::Csv, custom_id);
            let row = text.strip_prefix(&format!("{}\n7,", BATCH_LINE_HEADINGS.join(","))).unwrap();
            assert_eq!(row, format!("{cell},,applied,ok,applied,,output:7,\n"), "{custom_id:?}");
        }
    }

    #[test]
    fn a_line_of_json_is_one_line_whatever_it_holds() {
        let text = written(Format::Jsonl, "two\nlines");
        assert_eq!(text.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["custom_id"], "two\nlines");
    }

    #[test]
    fn a_files_ending_says_how_it_is_written() {
        for (file, format) in
            [("a.csv", Format::Csv), ("a.jsonl", Format::Jsonl), ("a.txt", Format::Csv), ("-", Format::Csv)]
        {
            assert_eq!(Format::of(Path::new(file)), format, "{file}");
        }
    }
}
