//! Every pair of verdicts, and whatever else several apps may say.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing;

const ALL: [Verdict; 5] =
    [Verdict::Advance, Verdict::Wait, Verdict::RollBack, Verdict::Recheck, Verdict::Halt];

fn decided(verdict: Verdict, ending: Option<StageEnding>) -> poll::AppDecision {
    let (reason, figures) = (format!("{verdict:?} it is"), Figures::default());
    poll::AppDecision {
        verdict,
        reason,
        ending,
        figures,
        both_dead: false,
        unmet: false,
        voice: Voice::Verdict,
    }
}

fn of(verdicts: &[Verdict]) -> Decision {
    let names = &["web", "portal", "api"][..verdicts.len()];
    let plan = testing::lockstep(names, json!({}));
    together(&plan.apps, verdicts.iter().map(|verdict| decided(*verdict, None)).collect())
}

#[test]
fn one_app_alone_is_heard_word_for_word() {
    for verdict in ALL {
        let decision = of(&[verdict]);
        assert_eq!((decision.verdict, decision.reason), (verdict, format!("{verdict:?} it is")));
        assert!(decision.endings.is_empty());
    }
}

#[test]
fn the_worse_of_two_decides_whoever_says_it() {
    use Verdict::{Advance, Halt, Recheck, RollBack, Wait};
    for (one, other, expected) in [
        (Advance, Advance, Advance),
        (Advance, Wait, Wait),
        (Advance, Recheck, Recheck),
        (Advance, Halt, Halt),
        (Advance, RollBack, RollBack),
        (Wait, Wait, Wait),
        (Wait, Recheck, Recheck),
        (Wait, Halt, Halt),
        (Wait, RollBack, RollBack),
        (Recheck, Recheck, Recheck),
        (Recheck, Halt, Halt),
        (Recheck, RollBack, RollBack),
        (Halt, Halt, Halt),
        (Halt, RollBack, RollBack),
        (RollBack, RollBack, RollBack),
    ] {
        assert_eq!(of(&[one, other]).verdict, expected, "{one:?} {other:?}");
        assert_eq!(of(&[other, one]).verdict, expected, "{other:?} {one:?}");
    }
}

#[test]
fn the_reason_begins_with_the_worst_and_says_how_the_others_are() {
    let reason = of(&[Verdict::Advance, Verdict::RollBack, Verdict::Wait]).reason;
    assert_eq!(reason, "portal: RollBack it is; still watched: api; ready: web");
    let reason = of(&[Verdict::RollBack, Verdict::RollBack, Verdict::Halt]).reason;
    assert_eq!(reason, "web: RollBack it is; not well either: portal; unhealthy beyond a way back: api");
    let reason = of(&[Verdict::Recheck, Verdict::Recheck]).reason;
    assert_eq!(reason, "web: Recheck it is; to be compared again: portal");
}

#[test]
fn a_stage_ends_for_each_app_and_as_little_proven_as_the_least() {
    let plan = testing::lockstep(&["web", "portal"], json!({}));
    let ended = |web, portal| {
        together(
            &plan.apps,
            vec![decided(Verdict::Advance, Some(web)), decided(Verdict::Advance, Some(portal))],
        )
    };
    let decision = ended(StageEnding::Accepted, StageEnding::InsufficientData);
    assert_eq!(decision.ending, Some(StageEnding::InsufficientData));
    assert!(decision.reason.starts_with("portal: "), "{}", decision.reason);
    let endings = [("web", StageEnding::Accepted), ("portal", StageEnding::InsufficientData)];
    assert_eq!(decision.endings, endings.map(|(app, ending)| (app.to_owned(), ending)).into());
    assert_eq!(ended(StageEnding::Suspect, StageEnding::InsufficientData).ending, Some(StageEnding::Suspect));
    // While one of them is still watched, the stage has ended for none.
    let watched = vec![decided(Verdict::Advance, Some(StageEnding::Accepted)), decided(Verdict::Wait, None)];
    assert!(together(&plan.apps, watched).endings.is_empty());
}

proptest! {
    /// Nobody advances over an app that does not, and an app that must go back always does.
    #[test]
    fn no_app_is_left_behind_or_overruled(
        verdicts in proptest::collection::vec(proptest::sample::select(&ALL[..]), 1..4),
    ) {
        let decision = of(&verdicts);
        prop_assert!(verdicts.contains(&decision.verdict));
        let all = verdicts.iter().all(|verdict| *verdict == Verdict::Advance);
        prop_assert_eq!(decision.verdict == Verdict::Advance, all);
        prop_assert_eq!(decision.verdict == Verdict::RollBack, verdicts.contains(&Verdict::RollBack));
        prop_assert_eq!(decision.figures.len(), verdicts.len());
        let mut other = verdicts.clone();
        other.reverse();
        prop_assert_eq!(of(&other).verdict, decision.verdict);
    }
}
