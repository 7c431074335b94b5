//! What does not hold yet, with the seeds that show it and what mends it.

use serde::Deserialize;

use crate::run::{Report, root};

/// One thing that does not hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The kind of world.
    pub kind: String,
    /// The check.
    pub check: String,
    /// What is wrong, and which issue mends it.
    pub why: String,
    /// Seeds that show it.
    pub seeds: Vec<u64>,
}

/// All that is known.
///
/// # Errors
/// Where the file cannot be read.
pub fn known() -> Result<Vec<Known>, String> {
    let file = root().join("tests/simulation/known-failures.json");
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Whether it is known that this does not hold in worlds of this kind.
pub fn is_known(known: &[Known], kind: &str, check: &str) -> bool {
    known.iter().any(|one| one.kind == kind && one.check == check)
}

/// What is known not to hold in this run, and does.
pub fn mended<'a>(known: &'a [Known], report: &Report) -> Option<&'a Known> {
    let seen = |check: &str| report.broken.iter().any(|broken| broken.check == check);
    known.iter().find(|one| {
        one.kind == report.plot.kind && one.seeds.contains(&report.plot.seed) && !seen(&one.check)
    })
}
