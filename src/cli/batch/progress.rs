//! How far a batch has come, and the bar that shows it.

use indicatif::style::TemplateError;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

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
        let sum = |names: &[&str]| names.iter().map(|name| batch.count(name)).sum::<i64>();
        let lines = batch.count("lines");
        let (doing, done, of) = match batch.state {
            State::Building => ("requests written", lines, 0),
            State::Submitted => {
                let ended = batch.parts.iter().filter(|part| part.read_at_ms.is_some()).count();
                ("parts ended at OpenAI", as_count(ended), as_count(batch.parts.len()))
            }
            State::Ended => ("results read", lines - batch.count("result/awaited"), lines),
            _ if batch.undone_by.is_some() => {
                let back = sum(&["fate/undone", "fate/kept"]);
                ("lines put back", back, back + batch.count("fate/applied"))
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
pub(super) struct Bar {
    bar: ProgressBar,
    /// What it was about when it was drawn last.
    doing: &'static str,
}

impl Bar {
    /// A bar that has not been drawn yet.
    pub(super) fn new() -> Bar {
        Bar { bar: ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()), doing: "" }
    }

    /// Draws it as the batch stands.
    pub(super) fn draw(&mut self, batch: &Batch) {
        let Progress { doing, done, of } = Progress::of(batch);
        let (done, of) = (u64::try_from(done).unwrap_or(0), u64::try_from(of).unwrap_or(0));
        let state = if batch.standing().is_being_undone { "undoing" } else { batch.state.word() };
        if let Ok(style) = style(state, doing, of > 0) {
            self.bar.set_style(style);
        }
        self.bar.update(|state| {
            state.set_pos(done);
            if of > 0 {
                state.set_len(of);
            }
        });
        if self.doing != doing {
            // What was done before somebody looked says nothing about the pace.
            self.bar.reset_eta();
            self.doing = doing;
        }
    }

    /// Takes it off the terminal.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(state: &str, doing: &str, is_measured: bool) -> Result<ProgressStyle, TemplateError> {
    let template = if is_measured {
        format!("{state} {{wide_bar}} {{human_pos}} of {{human_len}} {doing}{{left}}")
    } else {
        format!("{state} {{spinner}} {{human_pos}} {doing}")
    };
    Ok(ProgressStyle::with_template(&template)?.with_key("left", left))
}

/// How long the rest will take; nothing as long as nobody knows.
fn left(state: &ProgressState, to: &mut dyn std::fmt::Write) {
    let left = state.eta();
    if !left.is_zero() {
        let _ = write!(to, ", {} left", HumanDuration(left));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::batch;
    use super::*;

    fn progress(state: State, counts: &[(&str, i64)]) -> (&'static str, i64, i64) {
        let Progress { doing, done, of } = Progress::of(&batch(state, counts));
        (doing, done, of)
    }

    #[test]
    fn each_state_has_a_measure_of_its_own() {
        let read = [("lines", 100), ("result/awaited", 40)];
        let usable = [("lines", 100), ("result/ok", 80), ("result/held", 10), ("result/failed", 10)];
        let fates =
            [("fate/applied", 30), ("fate/held", 4), ("fate/skipped", 2), ("fate/failed", 1), ("fate/queued", 9)];
        assert_eq!(progress(State::Building, &[("lines", 7)]), ("requests written", 7, 0));
        assert_eq!(progress(State::Submitted, &[]), ("parts ended at OpenAI", 0, 1));
        assert_eq!(progress(State::Ended, &read), ("results read", 60, 100));
        assert_eq!(progress(State::Applying, &[&usable[..], &fates].concat()), ("lines done", 37, 90));
    }

    #[test]
    fn an_undo_counts_what_it_put_back_and_what_it_left() {
        let mut undone = batch(State::Applied, &[("fate/applied", 5), ("fate/undone", 3), ("fate/kept", 2)]);
        undone.undone_by = Some("lena".to_owned());
        assert_eq!(Progress::of(&undone), Progress { doing: "lines put back", done: 5, of: 10 });
    }
}
