//! How far a batch has come, and the bar that shows it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::counted;
use super::next::is_being_undone;
use crate::domain::batch::State;
use crate::store::Batch;

/// How far a batch has come with what it is about just now.
#[derive(Debug, PartialEq, Eq)]
struct Progress {
    /// What it is about.
    doing: &'static str,
    done: i64,
    /// Of so many; 0 when nobody knows.
    of: i64,
}

impl Progress {
    fn of(batch: &Batch) -> Progress {
        let sum = |names: &[&str]| names.iter().map(|name| counted(batch, name)).sum::<i64>();
        let lines = counted(batch, "lines");
        let (doing, done, of) = match batch.state {
            State::Building => ("requests written", lines, 0),
            State::Submitted => {
                let ended = batch.parts.iter().filter(|part| part.read_at_ms.is_some()).count();
                ("parts ended at OpenAI", as_count(ended), as_count(batch.parts.len()))
            }
            State::Ended => ("results read", lines - counted(batch, "result/awaited"), lines),
            _ if is_being_undone(batch) => {
                let back = sum(&["fate/undone", "fate/kept"]);
                ("lines put back", back, back + counted(batch, "fate/applied"))
            }
            _ => (
                "lines done",
                sum(&["fate/applied", "fate/held", "fate/skipped", "fate/failed"]),
                sum(&["result/ok", "result/held"]),
            ),
        };
        Progress { doing, done, of }
    }
}

fn as_count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A bar on the terminal.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar that has not been drawn yet.
    pub(super) fn new() -> Bar {
        Bar(ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()))
    }

    /// Draws it as the batch stands.
    pub(super) fn draw(&self, batch: &Batch) {
        let Progress { doing, done, of } = Progress::of(batch);
        let known = u64::try_from(of).ok().filter(|of| *of > 0);
        let template = match known {
            Some(_) => "{msg} {wide_bar} {human_pos} of {human_len} {prefix}, {eta} left",
            None => "{msg} {spinner} {human_pos} {prefix}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style);
        }
        match known {
            Some(of) => self.0.set_length(of),
            None => self.0.unset_length(),
        }
        self.0.set_message(batch.state.word());
        self.0.set_prefix(doing);
        self.0.set_position(u64::try_from(done).unwrap_or(0));
        self.0.tick();
    }

    /// Takes it off the terminal.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}
