//! Webhook signatures after the Standard Webhooks specification: `v1,` and a base64 HMAC-SHA256.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Shorter keys are almost certainly a mistake in copying.
const SHORTEST_KEY: usize = 16;

/// The `webhook-signature` of a body under one key.
pub fn sign(secret_key: &[u8], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    // HMAC takes keys of any length; were that ever to change, an empty
    // signature is refused by every receiver.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret_key) else {
        return String::from("v1,");
    };
    mac.update(id.as_bytes());
    mac.update(b".");
    mac.update(timestamp_s.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The key inside `whsec_…`, or what is wrong with it. The secret itself is never repeated.
pub fn parse_secret(secret: &str) -> Result<Vec<u8>, String> {
    let secret = secret.trim();
    if secret.is_empty() {
        return Err("the webhook secret is empty; it looks like whsec_ and base64".into());
    }
    if secret.starts_with("v1,") {
        return Err("the webhook secret starts with v1,; copy it from whsec_ on".into());
    }
    let Some(encoded) = secret.strip_prefix("whsec_") else {
        return Err("the webhook secret does not start with whsec_; copy all of it".into());
    };
    // With or without its padding, as receivers take it.
    let key = STANDARD_NO_PAD
        .decode(encoded.trim_end_matches('='))
        .map_err(|_| "what follows whsec_ is not base64; copy the secret again".to_string())?;
    if key.len() < SHORTEST_KEY {
        return Err(format!("the webhook secret holds {} bytes, fewer than {SHORTEST_KEY}; it was cut", key.len()));
    }
    Ok(key)
}

/// Signs with one secret, or with several at once as during a rotation.
#[derive(Clone)]
pub struct Signer {
    keys: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Signer({} keys)", self.keys.len())
    }
}

impl Signer {
    /// From one `whsec_…` secret or several separated by spaces.
    pub fn new(secrets: &str) -> Result<Signer, String> {
        let keys: Vec<Vec<u8>> = secrets.split_whitespace().map(parse_secret).collect::<Result<_, _>>()?;
        if keys.is_empty() {
            parse_secret("")?;
        }
        Ok(Signer { keys })
    }

    /// From a key as it is.
    pub fn from_key(key: Vec<u8>) -> Signer {
        Signer { keys: vec![key] }
    }

    /// The `webhook-signature` header: one signature for each secret.
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let signatures: Vec<String> = self.keys.iter().map(|key| sign(key, id, timestamp_s, body)).collect();
        signatures.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::{Signer, parse_secret, sign};

    const SECRET: &str = "whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c=";
    const ID: &str = "wh_685c059ae39c8190af8c71ed1022a24d";
    const BODY: &str = r#"{"id": "evt_685c059ae3a481909bdc86819b066fb6", "object": "event", "created_at": 1750861210, "type": "response.completed", "data": {"id": "resp_123"}}"#;
    const SIGNATURE: &str = "v1,gUAg4R2hWouRZqRQG4uJypNS8YK885G838+EHb4nKBY=";

    #[test]
    fn the_vector_of_the_official_sdks_is_reproduced() {
        let key = parse_secret(SECRET).unwrap();
        assert_eq!(sign(&key, ID, 1_750_861_210, BODY.as_bytes()), SIGNATURE);
        let signer = Signer::new(SECRET).unwrap();
        assert_eq!(signer.sign(ID, 1_750_861_210, BODY.as_bytes()), SIGNATURE);
    }

    #[test]
    fn the_vector_of_the_specification_is_reproduced() {
        let key = parse_secret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        let signature = sign(&key, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body);
        assert_eq!(signature, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    #[test]
    fn the_event_builder_writes_the_body_of_the_official_vector() {
        let id = "evt_685c059ae3a481909bdc86819b066fb6";
        let body = crate::event::body(id, 1_750_861_210, "response.completed", "resp_123");
        assert_eq!(body, BODY);
    }

    #[test]
    fn several_secrets_make_several_signatures() {
        let both = format!("{SECRET} whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let header = Signer::new(&both).unwrap().sign(ID, 1_750_861_210, BODY.as_bytes());
        assert!(header.starts_with(SIGNATURE));
        assert_eq!(header.split(' ').count(), 2);
    }

    #[test]
    fn a_malformed_secret_is_refused_with_a_hint_and_never_repeated() {
        for (secret, hint) in [
            ("", "empty"),
            ("v1,whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "v1,"),
            ("RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24", "whsec_"),
            ("whsec_not base64!", "base64"),
            ("whsec_AAAA", "cut"),
        ] {
            let said = parse_secret(secret).unwrap_err();
            assert!(said.contains(hint), "{said}");
            assert!(secret.len() < 12 || !said.contains(secret));
        }
        assert!(parse_secret(&format!("{SECRET}\n")).is_ok());
        assert!(Signer::new("  ").is_err());
    }
}
