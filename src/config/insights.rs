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
        match (self.price_in_per_million, self.price_out_per_million) {
            (into, out) if !is_price(into) || !is_price(out) => {
                Err(wrong("insights: a price is a number that is not negative"))
            }
            (Some(_), None) | (None, Some(_)) => Err(wrong(
                "insights: price_in_per_million and price_out_per_million go together; cost is not known from one of them",
            )),
            _ => Ok(()),
        }
    }
}
