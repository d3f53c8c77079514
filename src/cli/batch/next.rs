//! What happens next to a batch, in one sentence, and who sees to it.

use crate::domain::batch::State;
use crate::store::Batch;

/// What happens next.
pub(super) struct Next {
    pub(super) says: String,
    /// Who sees to it; none when nothing is left to do.
    pub(super) owner: Option<&'static str>,
}

/// Whether nothing moves until a person does something, if ever.
pub(super) fn rests(batch: &Batch) -> bool {
    match batch.state {
        State::Applying => batch.paused_at_ms.is_some() && batch.in_flight == 0 && !batch.standing().is_being_undone,
        State::Applied => !batch.standing().is_being_undone,
        state => state.is_at_rest(),
    }
}

pub(super) fn next(batch: &Batch) -> Next {
    let id = &batch.id;
    let (says, owner) = match batch.state {
        State::Building => ("A worker writes its requests and sends them to OpenAI.".to_owned(), Some("Frontdesk")),
        State::Submitted => (format!("OpenAI works on it{}; it may take a day.", parts_ended(batch)), Some("OpenAI")),
        State::Ended => ("Its results are being read.".to_owned(), Some("Frontdesk")),
        State::Waiting => (
            format!(
                "A lead reads `frontdesk batch sample {id}` and decides: `frontdesk batch apply {id}` or `frontdesk batch reject {id}`."
            ),
            Some("a lead"),
        ),
        _ if batch.standing().is_being_undone => ("What it changed is being put back.".to_owned(), Some("Frontdesk")),
        State::Applying if batch.paused_at_ms.is_some() => {
            (format!("It is paused; a lead lets it go on: `frontdesk batch resume {id}`."), Some("a lead"))
        }
        State::Applying => ("Its lines go onto the tickets.".to_owned(), Some("Frontdesk")),
        State::Applied => applied(batch),
        State::Undone => undone(batch),
        State::Rejected => ("Nothing; no ticket was changed.".to_owned(), None),
        State::Failed => failed(batch),
    };
    Next { says, owner }
}

/// OpenAI refused it, or its building was given up; what it has of that one goes on.
fn failed(batch: &Batch) -> (String, Option<&'static str>) {
    let is_refused = !batch.parts.is_empty() && batch.parts.iter().all(|part| part.status.as_deref() == Some("failed"));
    let says = if is_refused {
        "Nothing by itself; mend what the errors name, and start it again with `frontdesk batch submit`."
    } else {
        "Nothing by itself; `frontdesk jobs list --status failed_final` has its job: `frontdesk jobs retry` goes on with it."
    };
    (says.to_owned(), Some("operations"))
}

fn parts_ended(batch: &Batch) -> String {
    let ended = batch.parts.iter().filter(|part| part.read_at_ms.is_some()).count();
    match batch.parts.len() {
        0 | 1 => String::new(),
        all => format!(", {ended} of {all} parts have ended"),
    }
}

fn applied(batch: &Batch) -> (String, Option<&'static str>) {
    let (held, failed) = (batch.count("fate/held"), batch.count("fate/failed"));
    match (held, failed) {
        (0, 0) => ("Nothing; it is done.".to_owned(), None),
        (held, 0) => {
            (format!("{held} lines went to review: `frontdesk reviews list --state open`."), Some("the reviewers"))
        }
        (_, failed) => (
            format!(
                "{failed} lines failed: `frontdesk batch lines {} --outcome failed` names them, `frontdesk jobs retry` tries them again.",
                batch.id
            ),
            Some("operations"),
        ),
    }
}

fn undone(batch: &Batch) -> (String, Option<&'static str>) {
    match batch.count("fate/kept") {
        0 => ("Nothing; what it changed is as it was before.".to_owned(), None),
        kept => (
            format!(
                "{kept} tickets were left as they are, because somebody has changed them since: `frontdesk batch lines {} --outcome kept`.",
                batch.id
            ),
            Some("a lead"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::batch;
    use super::*;

    #[test]
    fn every_state_says_what_happens_next_and_what_does_not_rest_has_an_owner() {
        for state in State::ALL {
            let batch = batch(state, &[]);
            let next = next(&batch);
            assert!(next.says.ends_with('.'), "{}", next.says);
            assert!(next.owner.is_some() || rests(&batch), "{state:?}");
        }
    }

    #[test]
    fn a_paused_batch_rests_once_what_had_begun_has_ended() {
        let mut paused = batch(State::Applying, &[]);
        paused.in_flight = 2;
        assert!(!rests(&paused));
        paused.paused_at_ms = Some(1);
        assert!(!rests(&paused));
        paused.in_flight = 0;
        assert!(rests(&paused));
        assert!(next(&paused).says.contains("batch resume bat_1"), "{}", next(&paused).says);
    }

    #[test]
    fn what_is_left_to_do_is_said_of_a_batch_that_is_done() {
        let says = |counts: &[(&str, i64)]| next(&batch(State::Applied, counts)).says;
        assert!(says(&[]).starts_with("Nothing"));
        assert!(says(&[("fate/held", 9)]).contains("9 lines went to review"));
        assert!(says(&[("fate/held", 9), ("fate/failed", 2)]).contains("2 lines failed"));
        let kept = next(&batch(State::Undone, &[("fate/kept", 3)]));
        assert!(kept.says.contains("3 tickets") && kept.owner.is_some());
    }
}
