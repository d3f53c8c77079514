//! How far a move is: a bar on a terminal, a line a table elsewhere.

use std::time::Instant;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output::{Output, shown};
use crate::store::{Doing, Progress};

/// Shows it.
pub(super) struct Shown {
    output: Output,
    bar: ProgressBar,
    began: Instant,
    doing: Option<Doing>,
}

impl Shown {
    pub(super) fn new(output: Output) -> Shown {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
        Shown { output, bar, began: Instant::now(), doing: None }
    }

    /// Names of tables and numbers only.
    pub(super) fn show(&mut self, progress: Progress<'_>) {
        if self.output.json {
            return;
        }
        if self.doing != Some(progress.doing) {
            (self.began, self.doing) = (Instant::now(), Some(progress.doing));
            self.bar.reset();
        }
        let pace = pace(progress.done, self.began.elapsed().as_secs_f64());
        if self.output.is_terminal() {
            self.draw(progress, pace);
        } else if progress.is_whole {
            // Nobody may be reading; the move goes on.
            let _ = self.output.line(&line(progress, pace));
        }
    }

    fn draw(&self, progress: Progress<'_>, pace: f64) {
        let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos} of {human_len} rows{prefix}");
        if let Ok(style) = style {
            self.bar.set_style(style);
        }
        self.bar.set_message(format!("{} {}", word(progress.doing), shown(progress.table)));
        self.bar.set_prefix(format!(", {pace:.0}/s"));
        self.bar.set_length(progress.of);
        self.bar.set_position(progress.done);
    }

    /// Takes the bar off the terminal.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.end();
    }
}

/// Rows a second.
#[expect(clippy::cast_precision_loss, reason = "nobody counts them by their pace")]
pub(super) fn pace(rows: u64, seconds: f64) -> f64 {
    rows as f64 / seconds.max(0.001)
}

fn word(doing: Doing) -> &'static str {
    match doing {
        Doing::Copy => "copying",
        Doing::Compare => "comparing",
    }
}

fn line(progress: Progress<'_>, pace: f64) -> String {
    let (word, table) = (word(progress.doing), shown(progress.table));
    format!(
        "{word} {table}: {} rows ({} of {}, {pace:.0}/s)",
        progress.rows,
        HumanCount(progress.done),
        HumanCount(progress.of)
    )
}
