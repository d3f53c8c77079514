//! What is said of an item.

/// How an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Checked, and well.
    Ok,
    /// Could not be checked, or is worth a look.
    Warning,
    /// Wrong: something will not work, or is not safe.
    Problem,
}

impl State {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Problem => "problem",
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it stands.
    pub state: State,
    /// What was seen, in one line.
    pub detail: String,
    /// What to do about it; none when it is well.
    pub fix: Option<String>,
}

/// An item of the checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its words.
    pub item: &'static str,
    /// What was found.
    pub finding: Finding,
}

pub(super) fn ok(detail: impl Into<String>) -> Finding {
    Finding { state: State::Ok, detail: detail.into(), fix: None }
}

pub(super) fn warning(detail: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { state: State::Warning, detail: detail.into(), fix: Some(fix.into()) }
}

pub(super) fn problem(detail: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { state: State::Problem, detail: detail.into(), fix: Some(fix.into()) }
}

/// One finding of several, each about something with a name: the worst state,
/// all details, the fixes of what is not well.
pub(super) fn together(mut found: Vec<(String, Finding)>) -> Option<Finding> {
    if found.len() <= 1 {
        return found.pop().map(|(_, finding)| finding);
    }
    let state = found.iter().map(|(_, finding)| finding.state).max()?;
    let detail = found.iter().map(|(name, finding)| format!("{name}: {}", finding.detail)).collect::<Vec<_>>();
    let mut fixes: Vec<&String> = found.iter().filter_map(|(_, finding)| finding.fix.as_ref()).collect();
    fixes.dedup();
    let fix = fixes.into_iter().cloned().collect::<Vec<_>>().join("; ");
    Some(Finding { state, detail: detail.join("; "), fix: Some(fix).filter(|fix| !fix.is_empty()) })
}
