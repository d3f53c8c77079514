//! Ids of ours: a prefix that says what they name, and 120 random bits.

/// A new id as `sub_3f…`: the prefix, an underscore and 30 hex digits.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn new_id(prefix: &str) -> Result<String, getrandom::Error> {
    let mut bytes = [0u8; 15];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{prefix}_{}", hex(&bytes)))
}

/// A new access token: a prefix and 240 random bits.
///
/// # Errors
/// As [`new_id`].
pub fn new_token() -> Result<String, getrandom::Error> {
    let mut bytes = [0u8; 30];
    getrandom::fill(&mut bytes)?;
    Ok(format!("fdt_{}", hex(&bytes)))
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The visible reference of an effect, `fd_` and 24 hex digits of a SHA-256
/// over its key: the same effect has the same reference in every attempt, so a
/// second attempt can look for what a first one may have written.
#[must_use]
pub fn effect_ref(project: &str, resource_id: &str, ticket_id: &str, slot: &str) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in [project, resource_id, ticket_id, slot] {
        // The length keeps ("ab","c") and ("a","bc") apart.
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    format!("fd_{}", hex(&hash.finalize()[..12]))
}
