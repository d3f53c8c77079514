//! Lengths of time as people write them in settings.

use serde::Deserialize;

/// A length of time as people write it: a number and one of ms, s, m, h, d.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(i64);

impl Wait {
    /// So many milliseconds.
    #[must_use]
    pub fn of_ms(ms: i64) -> Wait {
        Wait(ms)
    }

    /// In milliseconds.
    #[must_use]
    pub fn ms(self) -> i64 {
        self.0
    }

    /// Reads `30s`; none for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Wait> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        number.parse::<i64>().ok()?.checked_mul(unit_ms).filter(|ms| *ms > 0).map(Wait)
    }
}

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Wait, D::Error> {
        let text = String::deserialize(deserializer)?;
        Wait::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(
                "a length of time is a number and a unit, as \"500ms\", \"30s\", \"5m\", \"12h\", \"30d\"",
            )
        })
    }
}
