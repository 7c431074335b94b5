//! One run at a time per route, and what an interrupted run leaves for `restore`.
//!
//! There is no database and no compare-and-swap, so a run claims its routes with tags: it writes
//! them, waits longer than a write takes, reads them back, and goes on only if they are still its
//! own. Every later write is preceded by another look (a fence) and takes effect within that same
//! time or never, so that whoever takes over a claim of a stopped run knows when nothing of that run
//! can arrive any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use crate::model::RouteWeights;
use crate::model::error::ENDINGS;
use crate::model::weights::Percent;

/// The longest time-out of a function that writes, in seconds, as `infra/template.yaml` has it.
pub(crate) const LONGEST_WRITER_SECONDS: i64 = 60;

/// The longest time that writes take to settle, in seconds, as a deployment may say.
const LONGEST_SETTLING_SECONDS: i64 = 20;

/// Seconds after which nothing of a stopped execution runs any more, even seen by somebody whose look
/// at the routes is a while old.
const GONE_SECONDS: i64 = LONGEST_WRITER_SECONDS + 2 * LONGEST_SETTLING_SECONDS;

/// Whether AWS takes this as the value of a tag: at most 256 letters, digits and few signs.
pub(crate) fn fits_a_tag(value: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    value.chars().count() <= 256 && value.chars().all(allowed)
}

/// Whose claim a route carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nobody's.
    Free,
    /// That of the execution which asks.
    Own,
    /// That of another execution, which is running.
    Running(String),
    /// That of an execution that was stopped, timed out or died: its weights were left where they
    /// stood.
    Interrupted {
        /// The execution.
        execution: String,
        /// Whether so much time has passed that nothing of it can be written any more.
        settled: bool,
    },
    /// That of an execution that came to an end of its own and did not get to remove its claim.
    Ended(String),
    /// That of an execution about which nothing can be learnt, for the reason given.
    Unclear(String, String),
}

/// What is known of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its status, as Step Functions spells it.
    pub status: String,
    /// The error it ended with.
    pub error: Option<String>,
    /// When it ended.
    pub stopped_at: Option<Timestamp>,
}

impl Standing {
    /// Whether it ended without an ending of its own, so that nothing put its weights in order.
    pub fn is_interrupted(&self) -> bool {
        match self.status.as_str() {
            "ABORTED" | "TIMED_OUT" => true,
            "FAILED" => !self.error.as_deref().is_some_and(|error| ENDINGS.contains(&error)),
            _ => false,
        }
    }

    /// What this makes of a claim of `execution`.
    pub fn claim(&self, execution: &str, now: Timestamp) -> Claim {
        let execution = execution.to_owned();
        if self.is_interrupted() {
            let since = |at: Timestamp| now.as_second().saturating_sub(at.as_second());
            let settled = self.stopped_at.is_some_and(|at| since(at) > GONE_SECONDS);
            return Claim::Interrupted { execution, settled };
        }
        match self.status.as_str() {
            "SUCCEEDED" | "FAILED" => Claim::Ended(execution),
            // Running, or about to be again.
            _ => Claim::Running(execution),
        }
    }
}

/// Why a route may not be taken, for the claim and the record that it carries; nothing where it may.
/// `found` is what it holds. A restore takes over what it is a restore of without asking here.
pub fn refusal(claim: &Claim, record: Option<&Record>, found: &RouteWeights) -> Option<String> {
    // Of one that has reached anything a restore may still be about to put back what was there before.
    let untouched =
        record.is_some_and(|record| record.before == *found && record.reached == Reached::Nothing);
    match claim {
        Claim::Free | Claim::Own | Claim::Ended(_) => None,
        Claim::Running(execution) => Some(format!(
            "is claimed by {execution}, which is still running; wait for it, or stop it, which puts back what it \
             found"
        )),
        Claim::Interrupted { settled: true, .. } if untouched => None,
        Claim::Interrupted { execution, .. } => Some(format!(
            "is claimed by {execution}, which was interrupted; its `restore` starts by itself and takes less than \
             a minute, or start one: {{\"app\": ..., \"operation\": \"restore\"}}; then start again"
        )),
        Claim::Unclear(execution, why) => Some(format!(
            "is claimed by {execution}, and whether that is running cannot be told ({why}); if it is not, remove \
             the tag failover:claim from the route and start again"
        )),
    }
}

/// What a run records on a route before it writes weights, so that whatever becomes of it, `restore`
/// knows what to put back and what the run may have left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The weights found, as the rule held them.
    pub before: RouteWeights,
    /// The fleet that was live.
    pub live: String,
    /// What the run has reached.
    pub reached: Reached,
    /// The standby's percentages that the run may write.
    pub may_write: BTreeSet<Percent>,
}

/// What the run that wrote a record has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reached {
    /// Nothing yet: what it found is put back.
    Nothing,
    /// It is a restore, and this route has what is to be put back. That says nothing of its other routes,
    /// which may have had other weights.
    Restored,
    /// Its end: these are the weights that it leaves on purpose, on all of its routes.
    Done,
}

/// The end of a run among the records of its routes, if one of them tells of it: it stands on all of them,
/// even where that is not recorded yet.
pub fn end_of_run<'a>(mut records: impl Iterator<Item = &'a Record>) -> Option<&'a Record> {
    records.find(|record| record.reached == Reached::Done)
}

impl Record {
    /// From the values of the tags `failover:before` and `failover:stages`; `None` where they were
    /// not written by a run.
    pub fn parse(before: &str, stages: &str) -> Option<Self> {
        let marked = |reached: Reached| Some((before.strip_suffix(reached.mark())?, reached));
        let (before, reached) =
            marked(Reached::Done).or_else(|| marked(Reached::Restored)).unwrap_or((before, Reached::Nothing));
        let (weights, live) = before.split_once(" live=")?;
        let weight = |pair: &str| {
            let (fleet, weight) = pair.split_once('=')?;
            Some((fleet.to_owned(), weight.parse().ok()?))
        };
        let before: BTreeMap<_, _> = weights.split('/').map(weight).collect::<Option<_>>()?;
        let percent = |text: &str| Percent::new(text.parse().ok()?);
        let may_write = stages.split('/').map(percent).collect::<Option<_>>()?;
        let known = before.len() == 2 && before.contains_key(live);
        known.then(|| Self { before, live: live.to_owned(), reached, may_write })
    }

    /// The value of the tag `failover:before`, such as `prod1=90/prod2=10 live=prod1`. Tags allow
    /// few signs beside letters and digits.
    pub fn before_tag(&self) -> String {
        let weights = joined(self.before.iter().map(|(fleet, weight)| format!("{fleet}={weight}")));
        format!("{weights} live={}{}", self.live, self.reached.mark())
    }

    /// The value of the tag `failover:stages`, such as `0/10/50/100`.
    pub fn stages_tag(&self) -> String {
        joined(self.may_write.iter().map(|percent| percent.get()))
    }
}

impl Reached {
    /// What the tag `failover:before` ends with.
    const fn mark(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Restored => " restored",
            Self::Done => " done",
        }
    }
}

fn joined(parts: impl Iterator<Item = impl fmt::Display>) -> String {
    parts.map(|part| part.to_string()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn standing(status: &str, error: Option<&str>) -> Standing {
        let stopped_at = (status != "RUNNING").then(|| Timestamp::from_second(1000).unwrap());
        Standing { status: status.into(), error: error.map(Into::into), stopped_at }
    }

    #[test]
    fn only_a_run_without_an_ending_of_its_own_is_interrupted() {
        for (status, error, interrupted) in [
            ("RUNNING", None, false),
            ("PENDING_REDRIVE", None, false),
            ("SUCCEEDED", None, false),
            ("FAILED", Some("RolledBack"), false),
            ("FAILED", Some("RollBackFailed"), false),
            ("FAILED", Some("States.Runtime"), true),
            ("FAILED", None, true),
            ("ABORTED", None, true),
            ("TIMED_OUT", None, true),
        ] {
            assert_eq!(standing(status, error).is_interrupted(), interrupted, "{status} {error:?}");
        }
    }

    #[test]
    fn a_claim_is_taken_over_only_if_nothing_of_its_run_is_left_to_do() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let claim = |status: &str, error, now| standing(status, error).claim("arn:other", at(now));
        assert_eq!(claim("RUNNING", None, 9999), Claim::Running("arn:other".into()));
        assert_eq!(claim("SUCCEEDED", None, 1001), Claim::Ended("arn:other".into()));
        let fresh = claim("ABORTED", None, 1100);
        let old = claim("ABORTED", None, 1101);
        let found: RouteWeights = [("prod1".into(), 100), ("prod2".into(), 0)].into();
        let record = |before: [u16; 2], reached| {
            let before = [("prod1".to_owned(), before[0]), ("prod2".to_owned(), before[1])].into();
            Some(Record { before, live: "prod1".into(), reached, may_write: BTreeSet::new() })
        };
        let (same, other) = (record([100, 0], Reached::Nothing), record([90, 10], Reached::Nothing));
        for (claim, record, free) in [
            (&Claim::Free, None, true),
            (&Claim::Own, None, true),
            (&claim("RUNNING", None, 0), same.clone(), false),
            (&claim("FAILED", Some("Overtaken"), 1001), None, true),
            (&fresh, same.clone(), false),
            (&old, same.clone(), true),
            (&old, other, false),
            (&old, record([100, 0], Reached::Restored), false),
            (&old, record([100, 0], Reached::Done), false),
            (&old, None, false),
            (&Claim::Unclear("arn:other".into(), "denied".into()), same, false),
        ] {
            assert_eq!(refusal(claim, record.as_ref(), &found).is_none(), free, "{claim:?} {record:?}");
        }
    }

    /// Which functions there are, and their time-outs, is the template's.
    #[test]
    fn no_function_that_writes_may_run_longer_than_a_claim_is_left_alone() {
        const TEMPLATE: &str = include_str!("../../../../infra/template.yaml");
        let number = |line: &str| line.split_once(": ").and_then(|(_, n)| n.trim().parse::<i64>().ok());
        let mut function = "all of them";
        let mut seen = 0;
        for line in TEMPLATE.lines() {
            if line.starts_with("  ") && !line.starts_with("   ") && line.ends_with("Function:") {
                function = line.trim();
            }
            if line.trim_start().starts_with("Timeout: ") && function != "CheckMetricsFunction:" {
                seen += 1;
                let seconds = number(line).unwrap();
                assert!(seconds <= LONGEST_WRITER_SECONDS, "{function} may run for {seconds} s");
            }
        }
        assert!(seen > 0);
        let settle = TEMPLATE.split("  SettleSeconds:").nth(1).unwrap();
        let most = settle.lines().find(|line| line.contains("MaxValue: ")).unwrap();
        assert_eq!(number(most), Some(LONGEST_SETTLING_SECONDS));
    }

    #[test]
    fn what_no_run_wrote_is_not_a_record() {
        for (before, stages) in [
            ("", ""),
            ("prod1=90/prod2=10", "0/100"),
            ("prod1=90 live=prod1", "0"),
            ("prod1=90/prod2=10 live=prod3", "0"),
            ("prod1=x/prod2=10 live=prod1", "0"),
            ("prod1=90/prod2=10 live=prod1", ""),
            ("prod1=90/prod2=10 live=prod1", "101"),
        ] {
            assert_eq!(Record::parse(before, stages), None, "{before:?} {stages:?}");
        }
    }

    proptest! {
        #[test]
        fn a_record_survives_its_tags(
            names in proptest::collection::btree_set("[a-zA-Z0-9][a-zA-Z0-9-]{0,31}", 2),
            weights in [0u16..1000, 0u16..1000],
            second in any::<bool>(),
            reached in proptest::sample::select(&[Reached::Nothing, Reached::Restored, Reached::Done][..]),
            stages in proptest::collection::btree_set(0u8..=100, 1..52),
        ) {
            let before: RouteWeights = names.iter().cloned().zip(weights).collect();
            let live = names.iter().nth(usize::from(second)).unwrap().clone();
            let may_write = stages.into_iter().filter_map(Percent::new).collect();
            let record = Record { before, live, reached, may_write };
            let (before, stages) = (record.before_tag(), record.stages_tag());
            for tag in [&before, &stages] {
                prop_assert!(tag.len() <= 256 && tag.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c)));
            }
            prop_assert_eq!(Record::parse(&before, &stages), Some(record));
        }
    }
}
