//! Load as a cause of its own, and whether there was enough of it to tell.

use super::{Bench, Decision};
use crate::verdict::bake::acceptance;
use crate::verdict::counts::{Counts, Evidence, Period};
use crate::verdict::guards::both_unhealthy;
use crate::verdict::words::{number, share};
use crate::verdict::{StageEnding, Verdict};

impl Bench<'_> {
    /// Whether the fleet that gets more had traffic before, and is judged by what it was then.
    pub(super) fn judges_its_own_past(&self) -> bool {
        self.evidence.past_of == self.evidence.standby
    }

    /// What is to be said where a fleet that was well with less is rolled back with more.
    pub(super) fn load(&self, Decision(verdict, ending, _): &Decision) -> Option<String> {
        let Evidence { standby, stage, .. } = self.evidence;
        let ill = *verdict == Verdict::RollBack && *ending == Some(StageEnding::Suspect);
        let alone = ill && both_unhealthy(self.criteria, self.evidence, self.history).is_none();
        (alone && self.judges_its_own_past()).then(|| {
            let percent = stage.standby_percent;
            format!("; {standby} does not carry the load: degraded at {percent} %, healthy with less before the run")
        })
    }

    /// Ill with everything on it, after every recheck that there may be has cleared it.
    pub(super) fn overloaded(&self, worse: &str) -> Decision {
        let evidence = self.evidence;
        let standby = |periods: &mut dyn Iterator<Item = &Period>| {
            share(periods.fold(Counts::default(), |sum, p| sum.plus(p.standby)), self.leading)
        };
        let recheck = evidence.last_recheck(usize::MAX);
        let reason = match recheck.first() {
            Some(&Period { standby_percent: percent, .. }) => format!(
                "{}: {} at 100 %, {} at {percent} %: {} does not carry the load: degraded at 100 %, healthy at \
                 {percent} %; {worse}",
                self.leading.word(),
                standby(&mut evidence.stage_periods()),
                standby(&mut recheck.iter()),
                evidence.standby,
            ),
            None => format!("{}; {worse}", self.figures(self.leading)),
        };
        Decision(Verdict::RollBack, Some(StageEnding::Suspect), reason)
    }

    /// Where a standby as good as live might still be unproven by chance after so many periods of the stage:
    /// how many requests such a one needs for it, if that can be told, and how many it has.
    pub(super) fn too_few_requests(&self, seen: usize) -> Option<String> {
        let sum = |of: fn(&Period) -> u64| {
            self.evidence.stage_periods().fold(0_u64, |sum, p| sum.saturating_add(of(p))) as f64
        };
        let count = seen.max(1) as f64;
        let (standby, live) = (sum(|p| p.standby.requests) / count, sum(|p| p.live.requests) / count);
        let needed = acceptance(self.criteria, self.history, standby, live);
        // Half of those as good need more than is due to them on average, and hardly one twice as much.
        let enough = needed.map(|needed| 2.0 * f64::from(needed));
        enough.is_none_or(|enough| count < enough).then(|| {
            let needs =
                enough.map(|enough| format!("needs {}, ", number(enough * standby))).unwrap_or_default();
            format!("({needs}has {})", number(standby * count))
        })
    }
}
