//! How things go over time, from counts that only ever grow and were written down
//! at regular times. Pure.

use std::collections::BTreeMap;

/// How far apart samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// For the last hours.
    TenMinutes,
    /// For the last months; days are those of UTC.
    Day,
}

impl Span {
    /// Both.
    pub const ALL: [Span; 2] = [Span::TenMinutes, Span::Day];

    /// In ms.
    #[must_use]
    pub fn ms(self) -> i64 {
        match self {
            Span::TenMinutes => 600_000,
            Span::Day => 86_400_000,
        }
    }

    /// When the span begins that this time is in.
    #[must_use]
    pub fn begin(self, at_ms: i64) -> i64 {
        at_ms.div_euclid(self.ms()) * self.ms()
    }
}

/// How far counts had come, at several times. A count that a sample does not
/// have was zero then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Samples(BTreeMap<i64, BTreeMap<String, i64>>);

impl Samples {
    /// One count of the sample of a time.
    pub fn add(&mut self, at_ms: i64, name: String, count: i64) {
        self.0.entry(at_ms).or_default().insert(name, count);
    }

    /// What happened from each sample to the next: when it began, when it ended, and
    /// how often each thing happened. What nobody was there to sample is told in
    /// the span after which somebody was.
    #[must_use]
    pub fn between(&self) -> Vec<Between> {
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        pairs
            .map(|((from, before), (to, after))| Between { from_ms: *from, to_ms: *to, counts: less(after, before) })
            .collect()
    }

    /// What happened from the first sample at or after `from_ms` to the last one
    /// before or at `to_ms`.
    #[must_use]
    pub fn during(&self, from_ms: i64, to_ms: i64) -> Counts {
        let mut within = self.0.range(from_ms..=to_ms);
        match (within.next(), within.next_back()) {
            (Some((_, before)), Some((_, after))) => less(after, before),
            _ => Counts::default(),
        }
    }
}

/// What happened from one sample to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Between {
    /// In ms.
    pub from_ms: i64,
    /// In ms.
    pub to_ms: i64,
    /// How often what happened.
    pub counts: Counts,
}

fn less(after: &BTreeMap<String, i64>, before: &BTreeMap<String, i64>) -> Counts {
    let differing = after.iter().map(|(name, count)| (name.clone(), count - before.get(name).unwrap_or(&0)));
    Counts(differing.filter(|(_, count)| *count > 0).collect())
}

/// How often what happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, i64>);

impl Counts {
    /// Of one name.
    #[must_use]
    pub fn of(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// All below a name, as `category/`, without it.
    #[must_use]
    pub fn below(&self, prefix: &str) -> Vec<(&str, i64)> {
        self.0.iter().filter_map(|(name, count)| Some((name.strip_prefix(prefix)?, *count))).collect()
    }

    /// A part of those that are counted by how long they took, as 0.95: the bound
    /// in ms within which it was, none for nothing counted or beyond the last bound.
    #[must_use]
    pub fn percentile(&self, kind: &str, part: f64) -> Option<i64> {
        let of = |bound: &i64| self.of(&format!("{kind}/{bound}"));
        let all: i64 = BOUNDS_MS.iter().map(of).sum::<i64>() + self.of(&format!("{kind}/more"));
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "a count of things that happened"
        )]
        let wanted = (all as f64 * part).ceil() as i64;
        let mut found = 0;
        BOUNDS_MS.into_iter().find(|bound| {
            found += of(bound);
            all > 0 && found >= wanted.max(1)
        })
    }

    /// How many were counted by how long they took.
    #[must_use]
    pub fn timed(&self, kind: &str) -> i64 {
        self.below(&format!("{kind}/")).iter().map(|(_, count)| count).sum()
    }
}

/// Times are counted by the least of these that they are within, in ms.
pub const BOUNDS_MS: [i64; 16] = [
    100, 250, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 900_000, 3_600_000, 14_400_000,
    43_200_000, 86_400_000,
];

/// The name under which something is counted that took so long.
#[must_use]
pub fn within(kind: &str, took_ms: i64) -> String {
    match BOUNDS_MS.iter().find(|bound| took_ms <= **bound) {
        Some(bound) => format!("{kind}/{bound}"),
        None => format!("{kind}/more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(counts: &[(i64, &[(&str, i64)])]) -> Samples {
        let mut samples = Samples::default();
        for (at_ms, named) in counts {
            for (name, count) in *named {
                samples.add(*at_ms, (*name).to_owned(), *count);
            }
        }
        samples
    }

    #[test]
    fn two_samples_tell_what_happened_in_between() {
        let samples = samples(&[(0, &[("a", 5)]), (10, &[("a", 7), ("b", 1)]), (30, &[("a", 7), ("b", 4)])]);
        let told: Vec<_> = samples
            .between()
            .iter()
            .map(|one| (one.from_ms, one.to_ms, one.counts.of("a"), one.counts.of("b")))
            .collect();
        assert_eq!(told, [(0, 10, 2, 1), (10, 30, 0, 3)]);
        assert_eq!((samples.during(0, 30).of("a"), samples.during(0, 30).of("b")), (2, 4));
        assert_eq!(samples.during(5, 9), Counts::default());
        assert_eq!(samples.during(10, 10), Counts::default(), "one sample tells nothing");
    }

    #[test]
    fn how_long_things_took_is_told_by_the_bound_they_were_within() {
        let names = [50, 100, 101, 3_000, 100_000_000].map(|took_ms| within("latency", took_ms));
        assert_eq!(names, ["latency/100", "latency/100", "latency/250", "latency/5000", "latency/more"]);
        let counts = Counts(BTreeMap::from_iter([
            ("latency/100".to_owned(), 90),
            ("latency/5000".to_owned(), 9),
            ("latency/more".to_owned(), 1),
        ]));
        assert_eq!(
            [0.5, 0.9, 0.95, 1.0].map(|part| counts.percentile("latency", part)),
            [Some(100), Some(100), Some(5_000), None]
        );
        assert_eq!((counts.timed("latency"), counts.percentile("summary", 0.5)), (100, None));
    }
}
