//! How often somebody may try a password. Slower and slower, never shut for
//! good: whoever could lock a name by failing would lock others out.

use sha2::{Digest as _, Sha256};

use super::People;
use crate::domain::id::hex;
use crate::store::{Failures, StoreError};

/// Without a failure for so long, all are forgotten, in ms.
const FORGOTTEN_AFTER_MS: i64 = 3_600_000;

/// Longest wait, in seconds.
const MAX_WAIT_S: i64 = 900;

/// Attempts that cost nothing: of one name from one address, of one name from
/// anywhere, and from one address.
const FREE: [i64; 3] = [5, 30, 50];

impl People {
    /// Counts an attempt. Seconds until one is looked at; none: this one is.
    pub(super) async fn must_wait(&self, name: &str, from: &str) -> Result<Option<i64>, StoreError> {
        let now_ms = self.clock.now_ms();
        let keys = keys(name, from).to_vec();
        self.store.try_sign_in(keys, now_ms - FORGOTTEN_AFTER_MS, now_ms, longest_wait_s).await
    }

    /// After a success. What others failed with from elsewhere stays.
    pub(super) async fn forget_attempts(&self, name: &str, from: &str) -> Result<(), StoreError> {
        let [pair, name, from] = keys(name, from);
        self.store.signed_in_well(pair, vec![name, from]).await
    }
}

/// Of the three kinds of attempts.
fn longest_wait_s(failures: &[Failures], now_ms: i64) -> Option<i64> {
    failures.iter().zip(FREE).filter_map(|(failures, free)| wait_s(*failures, free, now_ms)).max()
}

/// Twice as long with each failure beyond those that are free.
fn wait_s(failures: Failures, free: i64, now_ms: i64) -> Option<i64> {
    let beyond = failures.count - free;
    if beyond < 0 || now_ms - failures.last_at_ms > FORGOTTEN_AFTER_MS {
        return None;
    }
    let wait_s =
        1_i64.checked_shl(u32::try_from(beyond).unwrap_or(u32::MAX)).map_or(MAX_WAIT_S, |wait| wait.min(MAX_WAIT_S));
    let left_ms = failures.last_at_ms + wait_s.max(1) * 1000 - now_ms;
    (left_ms > 0).then(|| (left_ms + 999) / 1000)
}

fn keys(name: &str, from: &str) -> [String; 3] {
    // What people type in the place of a name may be a password.
    let key = |kind: &str, parts: &[&str]| {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        format!("{kind}/{}", hex(&hash.finalize()[..16]))
    };
    [key("pair", &[name, from]), key("name", &[name]), key("from", &[from])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_beyond_the_free_ones_waits_twice_as_long_up_to_a_bound() {
        let after = |count| wait_s(Failures { count, last_at_ms: 1_000_000 }, 5, 1_000_000);
        assert_eq!(
            [4, 5, 6, 7, 14, 15, 70, 200].map(after),
            [None, Some(1), Some(2), Some(4), Some(512), Some(900), Some(900), Some(900)]
        );
        assert_eq!(wait_s(Failures { count: 6, last_at_ms: 0 }, 5, 1_500), Some(1));
        assert_eq!(wait_s(Failures { count: 6, last_at_ms: 0 }, 5, 2_000), None, "it is over");
        assert_eq!(wait_s(Failures { count: 99, last_at_ms: 0 }, 5, FORGOTTEN_AFTER_MS + 1), None, "it is forgotten");
    }

    #[test]
    fn a_key_tells_neither_name_nor_address() {
        let [pair, name, from] = keys("lena", "10.0.0.1");
        assert!(![&pair, &name, &from].iter().any(|key| key.contains("lena") || key.contains("10.0")));
        assert_ne!(keys("ab", "c")[0], keys("a", "bc")[0]);
    }
}
