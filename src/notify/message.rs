//! What people read of an alert: ids, codes, counts and what to do.

use serde_json::{Value, json};

use super::help::help;
use crate::clock::rfc3339;
use crate::domain::alert::Word;
use crate::store::{Alert, DueSend};

/// Longest subject or detail that is sent.
const MAX_CHARS: usize = 300;

/// One message about an alert, whatever it goes over.
pub(super) struct Message {
    /// The same in every attempt, so that who gets it twice can tell.
    pub(super) id: String,
    /// When this attempt is made, in ms.
    pub(super) sent_at_ms: i64,
    word: Word,
    /// The condition was told before and still stands.
    again: bool,
    kind: String,
    subject: String,
    detail: String,
    opened_at_ms: i64,
    closed_at_ms: Option<i64>,
    times: i64,
    help: &'static str,
}

impl Message {
    /// The message that is due.
    pub(super) fn of(send: &DueSend, now_ms: i64) -> Message {
        let DueSend { word, told, alert, .. } = send;
        // With the time, so that the desks of two installations do not share ids.
        let id = format!("alert_{}_{}_{}_{told}", alert.id, alert.opened_at_ms, word.word());
        Message::about(alert, *word, *told > 1, id, now_ms)
    }

    /// One that only shows that the channel works.
    pub(super) fn test(now_ms: i64) -> Message {
        let alert = Alert {
            id: 0,
            kind: "test".to_owned(),
            subject: "frontdesk".to_owned(),
            detail: "sent by 'frontdesk alerts test'".to_owned(),
            opened_at_ms: now_ms,
            last_at_ms: now_ms,
            times: 1,
            closed_at_ms: Some(now_ms),
            notice: true,
            sends: Vec::new(),
        };
        Message::about(&alert, Word::Notice, false, format!("alert_test_{now_ms}"), now_ms)
    }

    fn about(alert: &Alert, word: Word, again: bool, id: String, now_ms: i64) -> Message {
        Message {
            id,
            sent_at_ms: now_ms,
            word,
            again,
            kind: alert.kind.clone(),
            subject: one_line(&alert.subject),
            detail: one_line(&alert.detail),
            opened_at_ms: alert.opened_at_ms,
            closed_at_ms: alert.closed_at_ms,
            times: alert.times,
            help: help(&alert.kind),
        }
    }

    /// One line that says what it is about.
    pub(super) fn title(&self) -> String {
        let what = match (self.word, self.again) {
            (Word::Opened, false) => "alert",
            (Word::Opened, true) => "still open",
            (Word::Recovered, _) => "recovered",
            (Word::Notice, _) => "notice",
        };
        format!("Frontdesk {what}: {} ({})", self.kind, self.subject)
    }

    /// The lines below the title.
    pub(super) fn lines(&self) -> Vec<String> {
        let opened_at = rfc3339(self.opened_at_ms);
        let mut lines = vec![self.detail.clone()];
        match (self.word, self.closed_at_ms) {
            (Word::Notice, _) => lines.push(format!("At {opened_at}.")),
            (_, Some(closed_ms)) => {
                lines.push(format!("From {opened_at} to {}, met {}.", rfc3339(closed_ms), times(self.times)));
            }
            (_, None) => lines.push(format!("Since {opened_at}, met {}.", times(self.times))),
        }
        if self.word != Word::Recovered {
            lines.push(format!("What to do: {}", self.help));
        }
        lines
    }

    /// All of it for a program.
    pub(super) fn json(&self) -> Value {
        json!({
            "type": format!("alert.{}", self.word.word()),
            "timestamp": rfc3339(self.sent_at_ms),
            "data": {
                "kind": self.kind,
                "subject": self.subject,
                "detail": self.detail,
                "opened_at": rfc3339(self.opened_at_ms),
                "closed_at": self.closed_at_ms.map(rfc3339),
                "times": self.times,
                "again": self.again,
                "help": self.help,
            },
        })
    }
}

fn times(times: i64) -> String {
    if times == 1 { "once".to_owned() } else { format!("{times} times") }
}

/// A line and no more: ids from outside could hold anything.
fn one_line(text: &str) -> String {
    text.chars().take(MAX_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
