//! What was just done, in a sentence. The address carries a code, so that nobody
//! can put words of their own onto a page.

const SENTENCES: [(&str, &str); 26] = [
    ("approved", "Approved. It is carried out when the time to undo is over."),
    ("first", "Approved by you. A second person has to approve it as well."),
    ("rejected", "Rejected."),
    ("claimed", "It is yours."),
    ("released", "Put back for others."),
    ("escalated", "Handed to the leads."),
    ("undone", "Taken back."),
    ("retried", "Queued again."),
    ("discarded", "Discarded."),
    ("dismissed", "Put away."),
    ("replayed", "Queued to be worked again."),
    ("bulk", "Done for all that were shown."),
    ("applied", "The change-set is being applied."),
    ("paused", "Paused."),
    ("resumed", "It goes on."),
    ("undoing", "It is being undone."),
    ("written", "Added to the ticket."),
    ("changed", "Saved."),
    ("started", "Work has been started."),
    ("created", "Made."),
    ("revoked", "Revoked."),
    ("password", "Your password is changed. You are signed out everywhere else."),
    ("clear", "The queue is clear."),
    ("signed-out", "You are signed out."),
    ("batch", "The batch is being put together."),
    ("erased", "Erased."),
];

/// The sentence of a code.
pub(super) fn sentence(code: &str) -> Option<&'static str> {
    SENTENCES.iter().find(|(known, _)| *known == code).map(|(_, sentence)| *sentence)
}
