//! `[insights]`: what leads are told of cost.

use serde::Deserialize;

use super::{ConfigError, wrong};

/// What tokens cost.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in config.example.toml")]
pub struct Insights {
    pub price_in_per_million: Option<f64>,
    pub price_out_per_million: Option<f64>,
}

impl Insights {
    /// Of a million tokens in and out, when both are known.
    #[must_use]
    pub fn prices(&self) -> Option<(f64, f64)> {
        self.price_in_per_million.zip(self.price_out_per_million)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let is_price = |price: Option<f64>| price.is_none_or(|price| price.is_finite() && price >= 0.0);
        if is_price(self.price_in_per_million) && is_price(self.price_out_per_million) {
            return Ok(());
        }
        Err(wrong("insights: a price is a number that is not negative"))
    }
}
