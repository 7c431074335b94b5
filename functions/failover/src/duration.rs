//! Durations as people type them (`90s`, `5m`, `1h 30m`), kept in whole seconds.

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration in whole seconds, written and read as `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u32);

/// The longest duration that makes sense in a run: a Step Functions execution may last longer, a
/// person watching it does not.
pub const LONGEST: Seconds = Seconds(7 * 24 * 3600);

impl Seconds {
    /// Reads `90s`, `5m`, `1h 30m` or any other notation that `jiff` calls friendly.
    ///
    /// # Errors
    /// A sentence that says what was expected, when the text is no duration, is negative, has a
    /// fraction of a second or is longer than a week.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is not a duration such as 90s, 5m or 1h 30m");
        let duration: SignedDuration = text.trim().parse().map_err(|_| expected())?;
        if duration.subsec_nanos() != 0 {
            return Err(format!("`{text}` has a fraction of a second; use whole seconds"));
        }
        let seconds = u32::try_from(duration.as_secs()).map_err(|_| expected())?;
        if seconds > LONGEST.0 {
            return Err(format!("`{text}` is longer than a week"));
        }
        Ok(Self(seconds))
    }
}

impl std::fmt::Display for Seconds {
    /// Writes the shortest common form: `45s`, `5m`, `1h 30m`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [(self.0 / 3600, "h"), (self.0 / 60 % 60, "m"), (self.0 % 60, "s")];
        let text: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
        f.write_str(if text.is_empty() { "0s".into() } else { text.join(" ") }.as_str())
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Seconds;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a duration in quotes, such as \"90s\", \"5m\" or \"1h 30m\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Seconds, E> {
                Seconds::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_type() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h 30m", 5400), ("0s", 0), ("1h30m", 5400)] {
            assert_eq!(Seconds::parse(text), Ok(Seconds(seconds)), "{text}");
        }
        for text in ["", "5", "five", "-5m", "1.5s", "500ms", "8d", "1mo", "99999999999h"] {
            assert!(Seconds::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for seconds in [0, 1, 59, 60, 90, 3600, 5400, 86_399, LONGEST.0] {
            assert_eq!(Seconds::parse(&Seconds(seconds).to_string()), Ok(Seconds(seconds)));
        }
    }
}
