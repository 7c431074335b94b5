//! A run that is watched: lines that stay, and a picture below them that changes.

use failover::duration::Seconds;
use failover::model::samples::Figures;
use failover::model::weights::split;
use failover::model::{Plan, PlannedApp};
use failover::verdict::Verdict;
use failover::verdict::words::odds;
use jiff::Timestamp;

use super::{figures, labelled, rows, timed};
use crate::run::{News, Run};

/// What is told of something new, if it is worth a line: a poll that says what the one before said is not.
pub fn line(news: &News, before: Option<&News>, width: Option<usize>) -> Option<String> {
    let (at, text) = match news {
        News::Planned { at, stages: 0 } => (at, "planned: nothing to do, or no stages".into()),
        News::Planned { at, stages } => (at, format!("planned: {stages} stages")),
        News::Set { at, stage, of, recheck, weights } => {
            let why = if *recheck { ", to compare both again" } else { "" };
            (at, format!("stage {stage} of {of}: {}{why}", split(weights)))
        }
        News::Asks { at, percent } => (at, format!("waits for an approval of {percent} %")),
        News::RollsBack { at } => (at, "puts back what it found".into()),
        News::Polled(poll) => {
            let same = matches!(before, Some(News::Polled(last)) if alike(&last.reason, &poll.reason) && last.verdict == poll.verdict);
            if same {
                return None;
            }
            (&poll.at, format!("{}: {}", word(poll.verdict), poll.reason))
        }
    };
    Some(timed(*at, &text, width))
}

/// Whether two reasons differ in nothing but their figures.
fn alike(one: &str, other: &str) -> bool {
    let words =
        |text: &str| text.chars().filter(|c| !c.is_ascii_digit() && !",.".contains(*c)).collect::<String>();
    words(one) == words(other)
}

/// A verdict in a word of the trade.
const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Advance => "advance",
        Verdict::Wait => "wait",
        Verdict::RollBack => "roll back",
        Verdict::Recheck => "recheck",
        Verdict::Halt => "halt",
    }
}

/// The picture of a run: its stages, the time, the traffic, both fleets and the last decision.
pub fn picture(run: &Run, execution: &str, now: Timestamp, width: Option<usize>) -> Vec<String> {
    let Some(plan) = &run.plan else {
        return vec![labelled("RUN", &format!("{execution}: is being planned"), width)];
    };
    let release = plan.release.as_ref().map(|release| format!(" {release}")).unwrap_or_default();
    let title = format!("{} of {}{release}  {execution}", plan.operation.word(), plan.app);
    let mut lines = vec![labelled("RUN", &title, width)];
    if !plan.stages.is_empty() {
        lines.push(labelled("STAGES", &stages(run, plan), width));
    }
    lines.push(labelled("TIME", &time(run, plan, now), width));
    let set = run.weights().map_or_else(|| plan.before_in_words(), split);
    for app in &plan.apps {
        let measured = run.poll.as_ref().and_then(|poll| poll.figures.get(&app.name));
        let named = plan.named(app);
        let seen = measured.and_then(|f| figures::measured([&plan.live, &plan.standby], f.live, f.standby));
        let seen = seen.map(|seen| format!("; measured {seen}")).unwrap_or_default();
        lines.push(labelled("TRAFFIC", &format!("{named}set {set}{seen}"), width));
        lines.extend(measured.into_iter().flat_map(|figures| measured_of(plan, app, figures, width)));
    }
    if let Some(poll) = &run.poll {
        let text = format!("{} at {}: {}", word(poll.verdict), poll.at.strftime("%H:%M:%S"), poll.reason);
        lines.push(labelled("DECIDED", &text, width));
    }
    lines
}

/// Such as `✓ 10 %  ▶ 50 %  · 100 %`.
fn stages(run: &Run, plan: &Plan) -> String {
    let current = run.progress.timeline.last().map(|last| last.stage);
    let stage = |(index, stage): (usize, &failover::model::Stage)| {
        let mark = match current {
            Some(current) if index < current => '✓',
            Some(current) if index == current => '▶',
            _ => '·',
        };
        format!("{mark} {}", stage.standby_percent)
    };
    format!(
        "{} on {}",
        plan.stages.iter().enumerate().map(stage).collect::<Vec<_>>().join("  "),
        plan.standby
    )
}

fn time(run: &Run, plan: &Plan, now: Timestamp) -> String {
    let since =
        |at: Timestamp| Seconds(u32::try_from(now.as_second().saturating_sub(at.as_second())).unwrap_or(0));
    let all = format!("running for {}", since(plan.execution.started_at));
    let doing = match run.state.as_str() {
        "RollBack" | "RollBackOn" | "SendStuckNotice" => "puts back what it found".into(),
        "Settle" | "IsSettled" => "waits until no write can arrive any more".into(),
        "ClaimRoutes" => "claims its routes".into(),
        _ if run.over || run.rolled_back.is_some() => "comes to its end".into(),
        "SwapRoles" | "ReleaseRoutes" | "SendEndNotice" => "comes to its end".into(),
        _ if run.progress.waits_since.is_some() => {
            let since = run.progress.waits_since.map(since);
            let within = plan.approval.as_ref().map_or(0, |approval| approval.within_seconds);
            let left = within.saturating_sub(since.map_or(0, |since| since.0));
            format!("waits for an approval, for {} more", Seconds(left))
        }
        _ => match run.left(now) {
            None => "no weights are set yet".into(),
            Some(0) => "the stage can end at any poll".into(),
            Some(left) => format!("this stage takes {} more, at least", Seconds(left)),
        },
    };
    format!("{all}; {doing}")
}

fn measured_of(plan: &Plan, app: &PlannedApp, figures: &Figures, width: Option<usize>) -> Vec<String> {
    let names = [plan.live.as_str(), plan.standby.as_str()];
    let of_app = plan.named(app);
    let head = vec![of_app.trim_end().to_owned(), plan.live.clone(), plan.standby.clone()];
    let cells = figures::rows(figures.live, figures.standby).into_iter().map(|row| row.to_vec());
    let table = rows(std::iter::once(head).chain(cells).collect());
    let mut lines: Vec<String> = table.into_iter().map(|line| labelled("", &line, None)).collect();
    let difference = figures::difference_in_words(names, figures.live, figures.standby);
    lines.push(labelled("FAILURES", &difference, width));
    if let Some(against) = &figures.odds {
        let needed = odds(1.0 / plan.criteria.alpha);
        let text = format!("{} against {} (a rollback needs {needed})", odds(against.total), plan.standby);
        lines.push(labelled("ODDS", &text, width));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::run::tests::{START, check, entered, run};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(START + second).unwrap()
    }

    #[test]
    fn the_picture_shows_what_is_decided_by_what() {
        let shown = picture(&run(), "web-shift-v42-20261130-1031", at(60), Some(80)).join("\n");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        for part in [
            "shift of web v42",
            "✓ 10 %  ▶ 50 %  · 100 % on prod2",
            "this stage takes 6m more",
            "set prod1 50 %, prod2 50 %; measured prod1 75.3 %, prod2 24.7 %",
            "0.076 % (1 of 1,308)",
            "0.93 % (4 of 430)",
            "2 of 2 healthy",
            "prod2 +0.85 points against prod1 (95 %: +0.18 to +2.29)",
            "0.4 to 1 against prod2 (a rollback needs 20 to 1)",
            "wait at 10:31:00: no difference found",
        ] {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
    }

    #[test]
    fn only_what_is_new_has_a_line() {
        let poll = |reason: &str| {
            let mut run = run();
            let mut check = check(1, 50, "wait");
            check["reason"] = json!(reason);
            run.see(&entered("CheckMetrics")).unwrap();
            run.see(&crate::run::tests::answered(&check)).unwrap().unwrap()
        };
        let (one, more, other) = (poll("waits for 3 periods"), poll("waits for 2 periods"), poll("fails"));
        assert!(line(&one, None, None).unwrap().contains("wait: waits for 3 periods"));
        assert_eq!(line(&more, Some(&one), None), None);
        assert!(line(&other, Some(&more), None).is_some());
    }

    #[test]
    fn before_there_is_a_plan_the_picture_says_so() {
        let shown = picture(&Run::default(), "web-shift-1", at(0), Some(80));
        assert_eq!(shown, ["RUN       web-shift-1: is being planned"]);
    }
}
