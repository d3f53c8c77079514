//! Passwords: only Argon2id hashes of them are kept, as PHC strings with a salt of their own.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
// Its defaults are what OWASP asks for at least: Argon2id, 19 MiB, two passes
// (Password Storage Cheat Sheet, 2025).
use argon2::Argon2;

/// Fewest characters; NIST SP 800-63B-4 asks for length and for nothing else.
pub const MIN_CHARS: usize = 12;

/// Most bytes: hashing must not be a way to keep the machine busy.
const MAX_BYTES: usize = 1024;

/// Of nothing that anybody could type: a hash of random bytes.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXRoaW5nIHJhbmRvbQ$w8wjrkLRkcZT7aXc5vRmLmzeM3fb2CU4yRn1bTLfvXg";

/// Says what is wrong with a password that somebody chooses.
///
/// # Errors
/// In one line, without the password.
pub fn check(password: &str) -> Result<(), String> {
    if password.chars().count() < MIN_CHARS {
        return Err(format!("a password has at least {MIN_CHARS} characters; several words are easy to remember"));
    }
    if password.len() > MAX_BYTES {
        return Err(format!("a password has at most {MAX_BYTES} bytes"));
    }
    Ok(())
}

/// The hash to keep. Takes tens of milliseconds of a processor on purpose.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn hash(password: &str) -> Result<String, argon2::password_hash::Error> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

/// Whether the password is the one of which `kept` is the hash. Takes as long
/// without a hash as with one, so that the time does not tell which names there are.
#[must_use]
pub fn matches(password: &str, kept: Option<&str>) -> bool {
    if password.len() > MAX_BYTES {
        return false;
    }
    let Ok(hash) = PasswordHash::new(kept.unwrap_or(NOBODY)) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok() && kept.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_own_hash_and_no_other() {
        let kept = hash("correct horse battery").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(matches("correct horse battery", Some(&kept)));
        assert!(!matches("correct horse batterz", Some(&kept)));
        assert!(!matches("correct horse battery", None));
        assert!(!matches("correct horse battery", Some("")));
        assert_ne!(kept, hash("correct horse battery").unwrap(), "each has a salt of its own");
    }

    #[test]
    fn without_a_hash_as_much_is_computed_as_with_one() {
        let params =
            |hash: &str| PasswordHash::new(hash).unwrap().to_string().split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(params(NOBODY), params(&hash("twelve chars").unwrap()));
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert!(check("elevenchars").is_err() && check(&"x".repeat(1025)).is_err());
        assert!(check("twelve chars").is_ok());
    }
}
