//! The signing secrets of webhook endpoints.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest as _, Sha256};

/// The Standard Webhooks specification 1.0.0 asks for 24 to 64 bytes; below 16
/// a key is a typing error (a mistyped secret can decode to a single byte and
/// still "work"), not a choice.
const MIN_KEY_BYTES: usize = 16;

/// Twice the longest key of the specification; anything longer is a wrong paste.
const MAX_KEY_BYTES: usize = 128;

const PREFIX: &str = "whsec_";

/// Padding may be missing: people lose it when they copy.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One signing secret, decoded. Neither `Debug` nor any error shows the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    key: Box<[u8]>,
    hint: String,
}

impl Secret {
    /// Reads `whsec_…` as it is shown by OpenAI; white space around it is dropped.
    ///
    /// # Errors
    /// A variant for each usual mistake, with what to do about it. The text of
    /// the secret is in none of them.
    pub fn parse(text: &str) -> Result<Secret, SecretError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        if text.contains(char::is_whitespace) {
            return Err(SecretError::LineBreak);
        }
        let Some(encoded) = text.strip_prefix(PREFIX) else {
            return Err(prefix_error(text));
        };
        let key = BASE64.decode(encoded).map_err(|_| SecretError::NotBase64)?.into_boxed_slice();
        match key.len() {
            bytes if bytes < MIN_KEY_BYTES => Err(SecretError::TooShort { bytes }),
            bytes if bytes > MAX_KEY_BYTES => Err(SecretError::TooLong { bytes }),
            _ => Ok(Secret { hint: hint_of(&key), key }),
        }
    }

    /// Eight hexadecimal digits that name this secret in logs and screens
    /// without revealing it: the start of the SHA-256 of the key.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// The key that signs.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }
}

/// Reads secrets separated by white space, dropping repetitions. During a
/// rotation both the old and the new one belong here.
///
/// # Errors
/// An empty list, or the first secret that is not one; with its position when
/// there are several.
pub fn parse_list(text: &str) -> Result<Vec<Secret>, SecretError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut secrets: Vec<Secret> = Vec::with_capacity(words.len());
    for (index, word) in words.iter().enumerate() {
        let secret = Secret::parse(word).map_err(|error| match words.len() {
            1 => error,
            of => SecretError::At { position: index.saturating_add(1), of, error: Box::new(error) },
        })?;
        if !secrets.contains(&secret) {
            secrets.push(secret);
        }
    }
    if secrets.is_empty() {
        return Err(SecretError::Empty);
    }
    Ok(secrets)
}

fn prefix_error(text: &str) -> SecretError {
    let starts = |prefix: &str| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if starts("v1,") {
        SecretError::Version
    } else if starts(PREFIX) {
        SecretError::PrefixCase
    } else {
        SecretError::MissingPrefix
    }
}

fn hint_of(key: &[u8]) -> String {
    use fmt::Write as _;
    let mut hint = String::with_capacity(8);
    for byte in Sha256::digest(key).iter().take(4) {
        // Writing to a string cannot fail.
        let _ = write!(hint, "{byte:02x}");
    }
    hint
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.hint)
    }
}

/// Why a text is not a signing secret, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Nothing but white space.
    #[error(
        "no signing secret is given: set it to the whsec_… that OpenAI showed when the endpoint was made or its secret was rotated"
    )]
    Empty,
    /// `v1,whsec_…`: the version of a signature in front of a secret.
    #[error("the signing secret begins with \"v1,\": drop these three characters, so that it begins with whsec_")]
    Version,
    /// `WHSEC_…`.
    #[error(
        "the prefix of the signing secret is not in lower case: paste it as OpenAI shows it, beginning with whsec_"
    )]
    PrefixCase,
    /// Something else, often an API key, quotation marks, or the second half of a broken line.
    #[error(
        "the signing secret does not begin with whsec_: paste all of it, without quotation marks, and not the API key"
    )]
    MissingPrefix,
    /// White space between its characters.
    #[error("the signing secret has a line break or a space in the middle: join it into one word")]
    LineBreak,
    /// What follows `whsec_` is not standard base64.
    #[error("what follows whsec_ in the signing secret is not base64: copy it again, a character is lost or changed")]
    NotBase64,
    /// The key is too short to be one.
    #[error(
        "the signing secret holds only {bytes} bytes, at least 16 are needed: copy it again, its end is probably missing"
    )]
    TooShort {
        /// Length of the decoded key.
        bytes: usize,
    },
    /// The key is too long to be one.
    #[error("the signing secret holds {bytes} bytes, at most 128 make sense: separate several secrets by white space")]
    TooLong {
        /// Length of the decoded key.
        bytes: usize,
    },
    /// One of several is wrong.
    #[error("signing secret {position} of {of}: {error}")]
    At {
        /// Which, from 1.
        position: usize,
        /// How many were given.
        of: usize,
        /// What is wrong with it.
        error: Box<SecretError>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c=";

    #[test]
    fn a_secret_is_read_with_white_space_around_it_and_without_its_padding() {
        let secret = Secret::parse(GOOD).unwrap();
        assert_eq!(secret.key().len(), 32);
        assert_eq!(Secret::parse(&format!(" \t{GOOD}\r\n")).unwrap(), secret);
        assert_eq!(Secret::parse(GOOD.trim_end_matches('=')).unwrap(), secret);
    }

    #[test]
    fn a_hint_names_the_secret_and_debug_shows_nothing_else() {
        let secret = Secret::parse(GOOD).unwrap();
        assert_eq!(secret.hint().len(), 8);
        assert!(secret.hint().bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(format!("{secret:?}"), format!("Secret({})", secret.hint()));
    }

    #[test]
    fn each_usual_mistake_has_its_own_refusal() {
        let long = format!("whsec_{}", "A".repeat(256));
        let table = [
            ("", SecretError::Empty),
            (" \n", SecretError::Empty),
            ("v1,whsec_RdvaYFYUXuIFuEbvZHwMfYFh", SecretError::Version),
            ("V1,whsec_RdvaYFYUXuIFuEbvZHwMfYFh", SecretError::Version),
            ("WHSEC_RdvaYFYUXuIFuEbvZHwMfYFh", SecretError::PrefixCase),
            ("RdvaYFYUXuIFuEbvZHwMfYFh", SecretError::MissingPrefix),
            ("\"whsec_RdvaYFYUXuIFuEbvZHwMfYFh\"", SecretError::MissingPrefix),
            ("é", SecretError::MissingPrefix),
            ("whsec_RdvaYFYUXuIF\nuEbvZHwMfYFh", SecretError::LineBreak),
            ("whsec_RdvaYFYUXuIF uEbvZHwMfYFh", SecretError::LineBreak),
            ("whsec_!!notbase64!!", SecretError::NotBase64),
            ("whsec_RdvaYFYUXuIFuEbvZHwMfYFh-_", SecretError::NotBase64),
            ("whsec_", SecretError::TooShort { bytes: 0 }),
            ("whsec_AA==", SecretError::TooShort { bytes: 1 }),
            ("whsec_AAAAAAAAAAAAAAAAAAAA", SecretError::TooShort { bytes: 15 }),
            (long.as_str(), SecretError::TooLong { bytes: 192 }),
        ];
        for (text, error) in table {
            assert_eq!(Secret::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn no_refusal_echoes_the_secret() {
        for text in [
            "v1,whsec_RdvaYFYUXuIFuEbvZHwMfYFh",
            "WHSEC_RdvaYFYUXuIFuEbvZHwMfYFh",
            "RdvaYFYUXuIFuEbvZHwMfYFh",
            "whsec_RdvaYFYU",
            "whsec_RdvaYFYU!",
        ] {
            let error = Secret::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("RdvaYFYU"), "{error}");
        }
    }

    #[test]
    fn a_list_is_separated_by_white_space_and_repetitions_count_once() {
        let other = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let list = parse_list(&format!("{GOOD}\n {other}\t{GOOD}")).unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(parse_list(" \n"), Err(SecretError::Empty));
        assert_eq!(parse_list("whsec_AA"), Err(SecretError::TooShort { bytes: 1 }));
    }

    #[test]
    fn a_wrong_secret_in_a_list_is_named_by_its_position() {
        let error = parse_list(&format!("{GOOD} nonsense")).unwrap_err();
        assert_eq!(error, SecretError::At { position: 2, of: 2, error: Box::new(SecretError::MissingPrefix) });
        assert!(error.to_string().starts_with("signing secret 2 of 2: "));
    }
}
