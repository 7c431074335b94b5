//! The rules by which a run takes an app, holds it by one tag of one of its target groups, and gives it back. They
//! are pure: `tests/model` explores them completely, together with everything that happens around them.

use crate::model::claim::Claim;

/// What the tag `failover:claim` of an app's lock says: which execution wrote it last, and what that one
/// has reached. One tag and so one call: nobody sees a claim without what it amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The execution.
    pub execution: String,
    /// What it has reached.
    pub reached: Reached,
}

/// What an execution has reached on an app that it has claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reached {
    /// Nothing yet: what it found is put back, should it be interrupted.
    Nothing,
    /// It is a restore, and this app has what is to be put back. That says nothing of its other apps.
    Restored,
    /// Its end: the weights are those that it leaves on purpose, on all of its apps.
    Done,
    /// It has ended and left the app to a person, who may start a `restore` of it.
    Left,
    /// It has ended, and the app is nobody's.
    Released,
}

impl Reached {
    const ALL: [Self; 5] = [Self::Nothing, Self::Restored, Self::Done, Self::Left, Self::Released];

    /// What stands behind the execution.
    const fn mark(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Restored => " restored",
            Self::Done => " done",
            Self::Left => " left",
            Self::Released => " released",
        }
    }

    /// Whether the run has given the app back.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Left | Self::Released)
    }
}

impl Held {
    /// A claim of an execution that has reached so much.
    pub fn new(execution: impl Into<String>, reached: Reached) -> Self {
        Self { execution: execution.into(), reached }
    }

    /// Reads the tag. What no run of ours wrote is taken for an execution of that name, of which nothing can
    /// be learnt.
    pub fn parse(tag: &str) -> Self {
        let marked = |reached: &Reached| {
            let execution = tag.strip_suffix(reached.mark()).filter(|_| !reached.mark().is_empty())?;
            Some(Self::new(execution, *reached))
        };
        Reached::ALL.iter().find_map(marked).unwrap_or_else(|| Self::new(tag, Reached::Nothing))
    }

    /// The value of the tag.
    pub fn tag(&self) -> String {
        format!("{}{}", self.execution, self.reached.mark())
    }
}

/// Why an app may not be taken, for whose claim its lock carries; nothing where it may. That of an interrupted run
/// is its `restore`'s, even where the weights stand as that run had found them: a restore may be about to move them.
/// A restore takes over what it is a restore of without asking here.
pub fn refusal(claim: &Claim) -> Option<String> {
    match claim {
        Claim::Free | Claim::Own | Claim::Ended(_) => None,
        Claim::Running(execution) => Some(format!(
            "is claimed by {execution}, which is still running; wait for it, or stop it, which puts back what it \
             found"
        )),
        Claim::Interrupted(execution) => Some(format!(
            "is claimed by {execution}, which was interrupted; its `restore` starts by itself and takes less than \
             a minute, or start one: {{\"app\": ..., \"operation\": \"restore\"}}; then start again"
        )),
        Claim::Unclear(execution, why) => Some(format!(
            "is claimed by {execution}, and whether that is running cannot be told ({why}); if it is not, remove \
             the tag failover:claim from the target group and start again"
        )),
    }
}

/// What a run that writes finds of its claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It is its own.
    Own,
    /// It is that of a run that it restores.
    Inherited,
    /// The tag is gone. No run removes it, not even its own in the end: somebody else has, such as
    /// infrastructure code.
    Stripped,
    /// Somebody else has taken the app, or the run that it restores has given it back.
    Lost,
}

impl Hold {
    /// Whether the app is the run's.
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Own | Self::Inherited)
    }
}

/// What the run `own` finds of its claim. `restores` says whether it restores another one, or what that one
/// was to restore.
pub fn hold(held: Option<&Held>, own: &str, restores: impl Fn(&str) -> bool) -> Hold {
    match held {
        None => Hold::Stripped,
        Some(held) if held.reached.is_over() => Hold::Lost,
        Some(held) if held.execution == own => Hold::Own,
        Some(held) if restores(&held.execution) => Hold::Inherited,
        Some(_) => Hold::Lost,
    }
}

/// Whether a run has reached its end, by what its claims say: it has on all of its apps where one of them
/// tells so, even where that is not recorded yet.
pub fn has_ended(reached: impl IntoIterator<Item = Reached>) -> bool {
    reached.into_iter().any(|reached| reached == Reached::Done)
}

/// Of whom something is to be put back on an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Of nobody.
    Nothing,
    /// Of this execution, which was interrupted: nobody else may have the app meanwhile.
    Interrupted(String),
    /// Of this one, which has left the app to a person.
    LeftToPeople(String),
    /// Nobody can tell, since the claim was removed: of the newest execution of the chain that had planned to
    /// move the app.
    Unknown,
}

/// Of whom a restore finds something to put back on an app. `chain` are the execution that it is started for,
/// and those that this one was itself to restore; without any it is about the app, whoever had it.
pub fn behind(held: Option<&Held>, claim: &Claim, chain: &[String]) -> Behind {
    if !chain.is_empty() {
        let in_chain = |execution: &str| chain.iter().any(|earlier| earlier == execution);
        return match (hold(held, "", in_chain), held) {
            (Hold::Inherited, Some(held)) if matches!(claim, Claim::Interrupted(_)) => {
                Behind::Interrupted(held.execution.clone())
            }
            (Hold::Stripped, _) => Behind::Unknown,
            _ => Behind::Nothing,
        };
    }
    match (claim, held) {
        (Claim::Interrupted(execution), _) => Behind::Interrupted(execution.clone()),
        // One that has ended and did not get to say so.
        (Claim::Ended(execution), _) => Behind::LeftToPeople(execution.clone()),
        (_, Some(held)) if held.reached == Reached::Left => Behind::LeftToPeople(held.execution.clone()),
        _ => Behind::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::claim::fits_a_tag;

    #[test]
    fn a_claim_survives_its_tag() {
        // As long as AWS makes them.
        let name = "n".repeat(80);
        let execution = format!("arn:aws-us-gov:states:us-gov-west-1:123456789012:execution:{name}:{name}");
        for reached in Reached::ALL {
            let held = Held::new(&execution, reached);
            assert_eq!(Held::parse(&held.tag()), held);
            assert!(fits_a_tag(&held.tag()));
        }
        assert_eq!(Held::parse("what somebody typed"), Held::new("what somebody typed", Reached::Nothing));
    }

    #[test]
    fn a_claim_is_held_by_its_run_and_by_who_restores_that_run_until_it_is_given_back() {
        let restores = |execution: &str| execution == "earlier";
        let found = |execution, reached| hold(Some(&Held::new(execution, reached)), "own", restores);
        for reached in [Reached::Nothing, Reached::Restored, Reached::Done] {
            assert_eq!(found("own", reached), Hold::Own);
            assert_eq!(found("earlier", reached), Hold::Inherited);
            assert_eq!(found("other", reached), Hold::Lost);
        }
        for over in [Reached::Left, Reached::Released] {
            assert_eq!((found("own", over), found("earlier", over)), (Hold::Lost, Hold::Lost));
        }
        assert_eq!(hold(None, "own", restores), Hold::Stripped);
    }

    #[test]
    fn a_restore_is_about_its_own_execution_or_about_whatever_was_left() {
        let chain = ["restore".to_owned(), "run".to_owned()];
        let found = |execution, reached, claim: Claim, chain: &[String]| {
            behind(Some(&Held::new(execution, reached)), &claim, chain)
        };
        let interrupted = |execution: &str| Claim::Interrupted(execution.into());
        for execution in ["restore", "run"] {
            let behind = found(execution, Reached::Done, interrupted(execution), &chain);
            assert_eq!(behind, Behind::Interrupted(execution.into()));
            assert_eq!(found(execution, Reached::Left, Claim::Free, &chain), Behind::Nothing);
        }
        assert_eq!(found("run", Reached::Nothing, Claim::Running("run".into()), &chain), Behind::Nothing);
        // A later run has claimed: what an older one recorded is over.
        assert_eq!(found("later", Reached::Released, Claim::Free, &chain), Behind::Nothing);
        assert_eq!(found("later", Reached::Nothing, interrupted("later"), &chain), Behind::Nothing);
        assert_eq!(behind(None, &Claim::Free, &chain), Behind::Unknown);

        let by_hand = |reached, claim| found("run", reached, claim, &[]);
        assert_eq!(by_hand(Reached::Left, Claim::Free), Behind::LeftToPeople("run".into()));
        assert_eq!(by_hand(Reached::Nothing, Claim::Ended("run".into())), Behind::LeftToPeople("run".into()));
        assert_eq!(by_hand(Reached::Nothing, interrupted("run")), Behind::Interrupted("run".into()));
        assert_eq!(by_hand(Reached::Released, Claim::Free), Behind::Nothing);
        assert_eq!(by_hand(Reached::Nothing, Claim::Running("run".into())), Behind::Nothing);
        assert_eq!(behind(None, &Claim::Free, &[]), Behind::Nothing);
    }
}
