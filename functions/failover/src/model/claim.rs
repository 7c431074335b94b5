//! One run at a time per app, and what became of the one that has claimed it.
//!
//! There is no database and no compare-and-swap, so a run claims its apps with tags: it writes
//! them, waits longer than a write takes, reads them back, and goes on only if they are still its
//! own. Every later write is preceded by another look (a fence) and takes effect within that same
//! time or never, so that whoever takes over a claim of a stopped run knows when nothing of that run
//! can arrive any more.

use crate::model::RunEnding;

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
    Interrupted(String),
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
}

impl Standing {
    /// Whether it ended without an ending of its own, so that nothing put its weights in order.
    pub fn is_interrupted(&self) -> bool {
        match self.status.as_str() {
            "ABORTED" | "TIMED_OUT" => true,
            "FAILED" => self.error.as_deref().and_then(RunEnding::of).is_none(),
            _ => false,
        }
    }

    /// What this makes of a claim of `execution`.
    pub fn claim(&self, execution: &str) -> Claim {
        let execution = execution.to_owned();
        if self.is_interrupted() {
            return Claim::Interrupted(execution);
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
    use crate::model::hold::refusal;

    fn standing(status: &str, error: Option<&str>) -> Standing {
        Standing { status: status.into(), error: error.map(Into::into) }
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
    fn a_claim_of_a_run_that_is_running_or_was_interrupted_turns_others_away() {
        let claim = |status: &str, error| standing(status, error).claim("arn:other");
        assert_eq!(claim("RUNNING", None), Claim::Running("arn:other".into()));
        assert_eq!(claim("SUCCEEDED", None), Claim::Ended("arn:other".into()));
        assert_eq!(claim("ABORTED", None), Claim::Interrupted("arn:other".into()));
        for (claim, free) in [
            (&Claim::Free, true),
            (&Claim::Own, true),
            (&claim("RUNNING", None), false),
            (&claim("FAILED", Some("ExternalChange")), true),
            (&claim("ABORTED", None), false),
            (&Claim::Unclear("arn:other".into(), "denied".into()), false),
        ] {
            assert_eq!(refusal(claim).is_none(), free, "{claim:?}");
        }
    }
}
