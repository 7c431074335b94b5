//! What several apps that move in lockstep conclude together: one verdict from those of all.
//!
//! The worst app decides, since all of them have the same weights at any time:
//!
//! - `rollBack` before `halt`: halting leaves an app on fleets that are both sick, which going back would
//!   not make worse, while staying would leave another app on a standby that is known to be bad.
//! - `rollBack` and `halt` before `recheck`, `wait` and `advance`: what ends a run is not put off by an app
//!   that is still looked at or already well.
//! - `recheck` before `wait` and `advance`: it takes traffic from a standby under suspicion. The others are
//!   set back with it and lose nothing but time; the number of rechecks is that of the run.
//! - `wait` before `advance`: a stage is left once every app has shown what it must.

use std::collections::BTreeMap;

use crate::model::PlannedApp;
use crate::model::samples::Figures;
use crate::run::poll;
use crate::run::precedence::Voice;
use crate::verdict::{StageEnding, Verdict};

/// What a poll of all apps concludes.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The verdict on all.
    pub verdict: Verdict,
    /// Why: of the worst app first, and how the others are.
    pub reason: String,
    /// How the stage ended, if it did, for the app that has shown least.
    pub ending: Option<StageEnding>,
    /// How it ended for each, where there are several.
    pub endings: BTreeMap<String, StageEnding>,
    /// The figures of each.
    pub figures: BTreeMap<String, Figures>,
    /// Whether both fleets of any app are dead.
    pub both_dead: bool,
    /// Whether any app waits for what the stage must show.
    pub unmet: bool,
    /// Who has decided.
    pub voice: Voice,
}

/// From the verdicts on all apps, in their order, to the one that is carried out.
pub fn together(apps: &[PlannedApp], decisions: Vec<poll::AppDecision>) -> Decision {
    let of_each: Vec<(&str, poll::AppDecision)> =
        apps.iter().map(|app| app.name.as_str()).zip(decisions).collect();
    let mut worst: Option<&(&str, poll::AppDecision)> = None;
    for each in &of_each {
        // Of those that are alike the first is named.
        if worst.is_none_or(|(_, worst)| badness(&each.1) > badness(worst)) {
            worst = Some(each);
        }
    }
    let Some((name, decision)) = worst else {
        let reason = "the plan has no app, so there is nothing to watch".into();
        let (endings, figures) = (BTreeMap::new(), BTreeMap::new());
        return Decision {
            verdict: Verdict::RollBack,
            reason,
            ending: None,
            endings,
            figures,
            both_dead: false,
            unmet: false,
            voice: Voice::Lockstep,
        };
    };
    let (verdict, ending, voice) = (decision.verdict, decision.ending, decision.voice);
    let mut endings = BTreeMap::new();
    let mut reason = decision.reason.clone();
    if of_each.len() > 1 {
        reason = format!("{name}: {reason}; {}", others(name, &of_each));
        // A stage ends for all of them or for none.
        let left = verdict != Verdict::Wait;
        let ended = of_each.iter().filter(|_| left).filter_map(|(name, d)| Some((*name, d.ending?)));
        endings.extend(ended.map(|(name, ending)| (name.to_owned(), ending)));
    }
    let unmet = of_each.iter().any(|(_, decision)| decision.unmet);
    let both_dead = of_each.iter().any(|(_, decision)| decision.both_dead);
    let figures = of_each.into_iter().map(|(name, decision)| (name.to_owned(), decision.figures)).collect();
    Decision { verdict, reason, ending, endings, figures, both_dead, unmet, voice }
}

/// Verdicts from the one that needs all apps to the one that needs a single one.
const RISING: [(Verdict, &str); 5] = [
    (Verdict::Advance, "ready"),
    (Verdict::Wait, "still watched"),
    (Verdict::Recheck, "to be compared again"),
    (Verdict::Halt, "unhealthy beyond a way back"),
    (Verdict::RollBack, "not well either"),
];

/// By the verdict, and where that is the same by how little was shown.
fn badness(decision: &poll::AppDecision) -> (Option<usize>, u8) {
    let verdict = RISING.iter().position(|(verdict, _)| *verdict == decision.verdict);
    let ending = match decision.ending {
        None | Some(StageEnding::Accepted) => 0,
        Some(StageEnding::InsufficientData) => 1,
        Some(StageEnding::Suspect) => 2,
    };
    (verdict, ending)
}

/// How the other apps are: `still watched: api; ready: portal, shop`.
fn others(worst: &str, of_each: &[(&str, poll::AppDecision)]) -> String {
    let of_verdict = |(verdict, word): &(Verdict, &str)| {
        let others = of_each.iter().filter(|(name, decision)| *name != worst && decision.verdict == *verdict);
        let names: Vec<&str> = others.map(|(name, _)| *name).collect();
        (!names.is_empty()).then(|| format!("{word}: {}", names.join(", ")))
    };
    RISING.iter().rev().filter_map(of_verdict).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
