//! The stages of an input, and how long they are watched.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use crate::duration::Seconds;
use crate::model::weights::Percent;

/// One entry of `stages`: the percent on the standby, with a bake of its own if it needs one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageInput {
    /// The standby's weight in percent.
    pub weight: Percent,
    /// How long this stage is watched; the run's `bake` where left out.
    pub bake: Option<Seconds>,
}

pub(super) fn check_bake(field: &str, bake: Seconds, period: Seconds) -> Result<(), String> {
    if bake.0 == 0 {
        return Err(format!(
            "`{field}`: a bake of zero watches nothing; use at least the period, such as 5m"
        ));
    }
    if bake < period {
        return Err(format!(
            "`{field}`: a bake of {bake} ends before one period of {period} is counted; make the bake longer"
        ));
    }
    Ok(())
}

pub(super) fn check_stages(stages: &[StageInput], end: Percent, period: Seconds) -> Result<(), String> {
    let list = || stages.iter().map(|s| s.weight.get().to_string()).collect::<Vec<_>>().join(", ");
    if stages.is_empty() {
        return Err(format!("`stages`: the list is empty; leave it out, or end it at {}", end.get()));
    }
    if stages.len() > MOST_STAGES {
        return Err(too_many(stages.len()));
    }
    for (index, stage) in stages.iter().enumerate() {
        if stage.weight == Percent::NONE {
            return Err(format!("`stages[{index}]`: 0 moves no traffic; start at 1 or more"));
        }
        if let Some(bake) = stage.bake {
            check_bake(&format!("stages[{index}].bake"), bake, period)?;
        }
    }
    if !stages.is_sorted_by(|a, b| a.weight < b.weight) {
        return Err(format!(
            "`stages`: [{}] does not rise strictly; every stage must be above the last",
            list()
        ));
    }
    if stages.last().is_none_or(|last| last.weight != end) {
        return Err(format!("`stages`: [{}] must end at {}", list(), end.get()));
    }
    Ok(())
}

/// Those of a drain fall instead, down to nothing.
pub(super) fn check_falling(stages: &[StageInput], period: Seconds) -> Result<(), String> {
    let list = || stages.iter().map(|s| s.weight.get().to_string()).collect::<Vec<_>>().join(", ");
    if stages.len() > MOST_STAGES {
        return Err(too_many(stages.len()));
    }
    for (index, stage) in stages.iter().enumerate() {
        if let Some(bake) = stage.bake {
            check_bake(&format!("stages[{index}].bake"), bake, period)?;
        }
    }
    if !stages.is_sorted_by(|a, b| a.weight > b.weight)
        || stages.last().is_none_or(|s| s.weight != Percent::NONE)
    {
        return Err(format!(
            "`stages`: [{}] of a drain must fall strictly and end at 0, such as [25, 0]",
            list()
        ));
    }
    Ok(())
}

/// So many stages a run can hold.
const MOST_STAGES: usize = 50;

fn too_many(stages: usize) -> String {
    format!("`stages`: {stages} stages are more than the {MOST_STAGES} that a run can hold")
}

impl<'de> Deserialize<'de> for StageInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StageVisitor)
    }
}

/// The percent that a number is, as in 10 or 10.0.
fn whole(number: f64) -> Option<u8> {
    (0..=100).find(|percent| f64::from(*percent).total_cmp(&number).is_eq())
}

/// Written out, since a derived untagged enum could only say that no variant matched.
struct StageVisitor;

impl StageVisitor {
    fn percent<E: de::Error>(number: Option<u8>, shown: impl fmt::Display) -> Result<Percent, E> {
        number
            .and_then(Percent::new)
            .ok_or_else(|| E::custom(format!("{shown} is not a whole number of percent from 0 to 100")))
    }
}

impl<'de> de::Visitor<'de> for StageVisitor {
    type Value = StageInput;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of percent, or {\"weight\": 10, \"bake\": \"15m\"}")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<StageInput, E> {
        Ok(StageInput { weight: Self::percent(u8::try_from(number).ok(), number)?, bake: None })
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<StageInput, E> {
        Ok(StageInput { weight: Self::percent(u8::try_from(number).ok(), number)?, bake: None })
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<StageInput, E> {
        Ok(StageInput { weight: Self::percent(whole(number), number)?, bake: None })
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<StageInput, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Object {
            weight: f64,
            bake: Option<Seconds>,
        }
        let Object { weight, bake } = Object::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(StageInput { weight: Self::percent(whole(weight), weight)?, bake })
    }
}
