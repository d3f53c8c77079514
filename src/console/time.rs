//! Times as people read them: how long ago, and in the title exactly when.

use minijinja::value::Value;
use minijinja::{Error, ErrorKind};

use crate::clock::parse_rfc3339;

/// `3 min ago`; a dash when there is no time.
pub(super) fn ago(time: &Value, now_ms: i64) -> Result<Value, Error> {
    marked(time, |at_ms| match now_ms - at_ms {
        ahead if ahead < -1000 => format!("in {}", length(-ahead / 1000)),
        past if past < 1000 => "just now".to_owned(),
        past => format!("{} ago", length(past / 1000)),
    })
}

/// `in 3 min`, or `over`.
pub(super) fn until(time: &Value, now_ms: i64) -> Result<Value, Error> {
    marked(
        time,
        |at_ms| if at_ms <= now_ms { "over".to_owned() } else { format!("in {}", length((at_ms - now_ms) / 1000)) },
    )
}

/// `2026-06-11 10:15 UTC`.
pub(super) fn at(time: &Value) -> Result<Value, Error> {
    let text = time.as_str().unwrap_or_default().to_owned();
    marked(time, |_| text.get(..16).unwrap_or(&text).replace('T', " ") + " UTC")
}

/// A number of seconds: `2 h 5 min`; a dash for none.
pub(super) fn span(seconds: &Value) -> Result<Value, Error> {
    if seconds.is_none() || seconds.is_undefined() {
        return Ok(Value::from("–"));
    }
    Ok(Value::from(length(i64::try_from(seconds.clone())?)))
}

/// The two largest units.
fn length(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

fn marked(time: &Value, say: impl FnOnce(i64) -> String) -> Result<Value, Error> {
    if time.is_none() || time.is_undefined() {
        return Ok(Value::from("–"));
    }
    let text = time.as_str().unwrap_or_default();
    let at_ms =
        parse_rfc3339(text).ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "a time that is not RFC 3339"))?;
    // It has been read as a time: there is nothing in it that could be markup.
    Ok(Value::from_safe_string(format!("<time datetime=\"{text}\" title=\"{text}\">{}</time>", say(at_ms))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: Result<Value, Error>) -> String {
        value.unwrap().to_string()
    }

    #[test]
    fn times_are_told_in_their_two_largest_units() {
        assert_eq!(
            [59, 60, 3_600, 3_661, 86_400, 90_000].map(length),
            ["59 s", "1 min", "1 h", "1 h 1 min", "1 d", "1 d 1 h"]
        );
        let at = Value::from("1970-01-01T00:01:00.000Z");
        assert!(text(ago(&at, 180_000)).contains(">2 min ago<"));
        assert!(text(ago(&at, 30_000)).contains(">in 30 s<"));
        assert!(text(until(&at, 60_000)).contains(">over<"));
        assert_eq!(text(at_of(&at)), text(super::at(&at)));
        assert_eq!(text(ago(&Value::from(()), 0)), "–");
    }

    fn at_of(time: &Value) -> Result<Value, Error> {
        super::at(time)
    }

    #[test]
    fn what_is_no_time_is_no_markup() {
        assert!(ago(&Value::from("<script>"), 0).is_err());
    }
}
