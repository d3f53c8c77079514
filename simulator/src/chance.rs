//! Chance that repeats: every draw follows from the seed and a name, never from the order of arrival.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// A row of draws that is the same for the same seed and the same names.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, names: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_be_bytes());
        for name in names {
            // The length keeps ("ab", "c") and ("a", "bc") apart.
            hash.update((name.len() as u64).to_be_bytes());
            hash.update(name);
        }
        let digest = hash.finalize();
        let mut first = [0_u8; 8];
        first.copy_from_slice(&digest[..8]);
        Self(u64::from_be_bytes(first))
    }

    /// The next draw (SplitMix64).
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, but not including, 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number between the two, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        let width = high.saturating_sub(low).saturating_add(1);
        low.saturating_add(self.next() % width.max(1))
    }

    /// An index below `len`; 0 when there is nothing to choose from.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        (self.next() % (len.max(1) as u64)) as usize
    }

    /// Lower-case hexadecimal of the given length.
    pub(crate) fn hex(&mut self, len: usize) -> String {
        let mut text = String::with_capacity(len + 16);
        while text.len() < len {
            let _ = write!(text, "{:016x}", self.next());
        }
        text.truncate(len);
        text
    }

    /// The items in an order of their own.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.index(last + 1);
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn the_same_seed_and_names_draw_the_same() {
        let draws = |seed| {
            let mut dice = Dice::new(seed, &[b"a", b"b"]);
            (dice.next(), dice.hex(40), dice.between(5, 9))
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
        let mut joined = Dice::new(1, &[b"ab"]);
        assert_ne!(draws(1).0, joined.next());
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut dice = Dice::new(7, &[]);
        for _ in 0..1000 {
            assert!((5..=9).contains(&dice.between(5, 9)));
            assert!((0.0..1.0).contains(&dice.unit()));
        }
        assert_eq!(dice.between(3, 3), 3);
        assert_eq!(dice.index(0), 0);
    }
}
