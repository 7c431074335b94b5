//! One run at a time per app, and what became of the one that has claimed it.
//!
//! There is no database and no compare-and-swap, so a run claims its apps with tags: it writes
//! them, waits longer than a write takes, reads them back, and goes on only if they are still its
//! own. Every later write is preceded by another look (a fence) and takes effect within that same
//! time or never, so that whoever takes over a claim of a stopped run knows when nothing of that run
//! can arrive any more.

use jiff::Timestamp;

use crate::error::ENDINGS;

/// The longest time-out of a function that writes, in seconds, as `infra/template.yaml` has it.
pub(crate) const LONGEST_WRITER_SECONDS: i64 = 60;

/// The longest time that writes take to settle, in seconds, as a deployment may say.
const LONGEST_SETTLING_SECONDS: i64 = 20;

/// Seconds after which nothing of a stopped execution runs any more, even seen by somebody whose look
/// at the claims is a while old.
const GONE_SECONDS: i64 = LONGEST_WRITER_SECONDS + 2 * LONGEST_SETTLING_SECONDS;

/// Whether AWS takes this as the value of a tag: at most 256 letters, digits and few signs.
pub(crate) fn fits_a_tag(value: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    value.chars().count() <= 256 && value.chars().all(allowed)
}

/// Whose claim an app carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Claim {
    /// Nobody's.
    #[default]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hold::refusal;

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
        for (claim, untouched, free) in [
            (&Claim::Free, false, true),
            (&Claim::Own, false, true),
            (&claim("RUNNING", None, 0), true, false),
            (&claim("FAILED", Some("Overtaken"), 1001), false, true),
            (&fresh, true, false),
            (&old, true, true),
            (&old, false, false),
            (&Claim::Unclear("arn:other".into(), "denied".into()), true, false),
        ] {
            assert_eq!(refusal(claim, untouched).is_none(), free, "{claim:?}");
        }
    }

    /// Which functions there are, and their time-outs, is the template's.
    #[test]
    fn no_function_that_writes_may_run_longer_than_a_claim_is_left_alone() {
        const TEMPLATE: &str = include_str!("../../../infra/template.yaml");
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
}
