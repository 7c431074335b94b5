//! What may be asked of a run that is going on, held against its plan before it is asked.

use failover::model::weights::Percent;

use crate::run::{News, Run};

/// What a person asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The next stage that waits for an approval may begin.
    Approve,
    /// Stay at the stage.
    Pause,
    /// Take back what was asked.
    Resume,
    /// The bake of the stage is over now.
    Promote,
    /// Put back what was found.
    Rollback,
}

/// A request as the run reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Let the stage of this percent begin.
    Approve(Percent),
    /// Stay.
    Pause,
    /// Go on.
    Resume,
    /// End the bake of this percent.
    Promote(Percent),
    /// Go back.
    Rollback,
}

impl Request {
    /// The value of the tag.
    pub fn tag(self) -> String {
        match self {
            Self::Approve(percent) => format!("approve-{}", percent.get()),
            Self::Pause => "pause".into(),
            Self::Resume => "resume".into(),
            Self::Promote(percent) => format!("promote-{}", percent.get()),
            Self::Rollback => "rollback".into(),
        }
    }

    /// What the run was seen to do about it, if this is it; nothing for what has no bearing on it.
    pub fn followed(self, news: &News) -> Option<String> {
        match (self, news) {
            (Self::Rollback, News::RollsBack { .. }) => Some("the run puts back what it found".into()),
            (_, News::RollsBack { .. }) => Some("the run is rolled back meanwhile".into()),
            (Self::Approve(_) | Self::Promote(_), News::Set { weights, stage, of, recheck: false, .. }) => {
                Some(format!("stage {stage} of {of} has begun: {}", failover::model::weights::split(weights)))
            }
            (Self::Promote(_), News::Asks { percent, .. }) => {
                Some(format!("the bake is over; the run waits for an approval of {percent} %"))
            }
            (Self::Pause, News::Polled(_)) => Some("the run has seen it and stays at this stage".into()),
            (Self::Resume, News::Polled(_) | News::Set { .. }) => {
                Some("the run has seen it and goes on by itself".into())
            }
            _ => None,
        }
    }
}

/// The request that carries out a wish.
///
/// # Errors
/// Why that cannot be asked of this run, and what can.
pub fn request(wish: Wish, run: &Run) -> Result<Request, String> {
    let Some(plan) = run.plan.as_ref() else {
        return Err("the run is still being planned; ask again in a moment, or stop it".into());
    };
    if run.is_ending() {
        return Err(match run.rolled_back {
            Some(_) => "the run is on its way back already; nothing can be asked of it any more".into(),
            None => "the run is ending already; nothing can be asked of it any more".into(),
        });
    }
    if plan.stages.is_empty() {
        return Err(format!("a {} has no stages; it cannot be asked for anything", plan.operation.word()));
    }
    match wish {
        Wish::Pause => Ok(Request::Pause),
        Wish::Resume => Ok(Request::Resume),
        Wish::Rollback => Ok(Request::Rollback),
        Wish::Promote => promote(run),
        Wish::Approve => {
            let ahead =
                plan.stages.iter().skip(run.progress.timeline.last().map_or(0, |last| last.stage + 1));
            let waits =
                |percent: &Percent| plan.approval.as_ref().is_some_and(|a| a.before.contains(percent));
            let percents: Vec<Percent> = ahead.map(|stage| stage.standby_percent).collect();
            percents.iter().copied().find(waits).map(Request::Approve).ok_or_else(|| {
                let ahead: Vec<String> = percents.iter().map(ToString::to_string).collect();
                match &ahead[..] {
                    [] => "no stage is left to approve: this is the last one".into(),
                    _ => format!(
                        "no stage of this run waits for an approval; {} will begin by itself. To end the bake now: promote",
                        ahead.join(", ")
                    ),
                }
            })
        }
    }
}

fn promote(run: &Run) -> Result<Request, String> {
    let stage = run.stage().filter(|_| !run.progress.timeline.is_empty());
    let Some(stage) = stage else { return Err("no stage has begun yet; ask again once one has".into()) };
    if run.progress.recheck {
        return Err(
            "the stage is interrupted to compare both fleets again; ask again once that is over".into()
        );
    }
    if !stage.is_compared() {
        return Err("this stage has no bake that could be cut short: it ends once its condition holds".into());
    }
    Ok(Request::Promote(stage.standby_percent))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::run::tests::{entered, plan, run};

    fn tag(wish: Wish, run: &Run) -> Result<String, String> {
        request(wish, run).map(Request::tag)
    }

    #[test]
    fn a_wish_becomes_a_request_about_the_stage_that_is_meant() {
        let mut run = run();
        run.plan = Some(plan(json!({
            "approval": { "before": [50, 100], "withinSeconds": 60, "otherwise": "rollBack" }
        })));
        for (wish, expected) in [
            (Wish::Approve, "approve-100"),
            (Wish::Pause, "pause"),
            (Wish::Resume, "resume"),
            (Wish::Promote, "promote-50"),
            (Wish::Rollback, "rollback"),
        ] {
            let tag = tag(wish, &run).unwrap();
            assert_eq!(tag, expected);
            // What the functions understand.
            failover::run::request::Request::parse(&tag).unwrap();
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_what_can() {
        let refused = tag(Wish::Approve, &run()).unwrap_err();
        assert!(refused.contains("100 % will begin by itself"), "{refused}");
        let mut ending = run();
        ending.see(&entered("RollBack")).unwrap();
        for wish in [Wish::Approve, Wish::Pause, Wish::Promote, Wish::Rollback] {
            assert!(tag(wish, &ending).unwrap_err().contains("any more"));
        }
        assert!(tag(Wish::Pause, &Run::default()).unwrap_err().contains("planned"));
        let begun = Run { plan: Some(plan(json!({}))), ..Run::default() };
        assert!(tag(Wish::Promote, &begun).unwrap_err().contains("no stage has begun"));
        let restore =
            Run { plan: Some(plan(json!({ "operation": "restore", "stages": [] }))), ..Run::default() };
        assert!(tag(Wish::Rollback, &restore).unwrap_err().contains("no stages"));
    }

    #[test]
    fn it_is_seen_when_a_run_has_followed() {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let rolls_back = News::RollsBack { at };
        assert!(Request::Rollback.followed(&rolls_back).is_some());
        assert!(Request::Pause.followed(&rolls_back).unwrap().contains("meanwhile"));
        assert_eq!(Request::Rollback.followed(&News::Asks { at, percent: 50 }), None);
        let asks = News::Asks { at, percent: 50 };
        assert!(Request::Promote(Percent::HALF).followed(&asks).unwrap().contains("approval of 50 %"));
        let poll = News::Polled(run().poll.unwrap());
        assert!(Request::Pause.followed(&poll).is_some());
        assert_eq!(Request::Promote(Percent::HALF).followed(&poll), None);
    }
}
