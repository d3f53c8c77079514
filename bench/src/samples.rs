//! Every latency is kept and sorted: no buckets, no rounding.

use std::time::Duration;

/// Latencies of one run.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    nanoseconds: Vec<u64>,
    sorted: bool,
}

impl Samples {
    /// Adds one latency.
    pub fn add(&mut self, latency: Duration) {
        self.nanoseconds.push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        self.sorted = false;
    }

    /// Takes over another run's latencies.
    pub fn merge(&mut self, other: Samples) {
        self.nanoseconds.extend(other.nanoseconds);
        self.sorted = false;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nanoseconds.len()
    }

    /// The latency that `share` of all stay at or under, in milliseconds (nearest rank).
    pub fn percentile(&mut self, share: f64) -> f64 {
        if !self.sorted {
            self.nanoseconds.sort_unstable();
            self.sorted = true;
        }
        let rank = (share * self.nanoseconds.len() as f64).ceil() as usize;
        let value = self.nanoseconds.get(rank.saturating_sub(1));
        value.map_or(f64::NAN, |ns| *ns as f64 / 1e6)
    }
}

/// The middle value; the mean of the two middle ones of an even number.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_by_nearest_rank() {
        let mut samples = Samples::default();
        for ms in (1..=100).rev() {
            samples.add(Duration::from_millis(ms));
        }
        assert_eq!(samples.percentile(0.50), 50.0);
        assert_eq!(samples.percentile(0.99), 99.0);
        assert_eq!(samples.percentile(0.999), 100.0);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
