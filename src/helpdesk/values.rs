//! What several helpdesks have in common: numbers for ids, and values as text.

use serde_json::Value;

use super::HelpdeskError;

/// The id of a ticket, or of a part of one, that is a number; anything else is none of theirs.
pub(super) fn number(id: &str) -> Result<&str, HelpdeskError> {
    let is_number = !id.is_empty() && id.len() < 19 && id.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { Ok(id) } else { Err(HelpdeskError::NoTicket) }
}

/// The id of a ticket that may have letters; what could lead elsewhere is none of theirs.
pub(super) fn word(id: &str) -> Result<&str, HelpdeskError> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !id.is_empty() && id.len() <= 64 && id.bytes().all(is_word) { Ok(id) } else { Err(HelpdeskError::NoTicket) }
}

/// A value as a field of text has it.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
