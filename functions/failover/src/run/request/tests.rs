//! What requests and approvals make of a poll.

use serde_json::json;

use super::*;
use crate::model::samples::{FleetSamples, Health, Sample};
use crate::run::progress;
use crate::testing;

const BEGAN: i64 = 1_799_999_940;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(BEGAN + seconds).unwrap()
}

/// A shift over 10, 50 and 100 % with bakes of five minutes, approved by somebody before 50.
fn plan(otherwise: &str) -> Plan {
    let stage =
        |percent: u8| json!({ "standbyPercent": percent, "bakeSeconds": 300, "gate": "healthyStandby" });
    testing::plan(json!({
        "stages": [stage(10), stage(50), stage(100)], "mayWrite": [10, 50, 100],
        "approval": { "before": [50], "withinSeconds": 600, "otherwise": otherwise },
    }))
}

/// In its first stage since the start.
fn baking(plan: &Plan) -> Progress {
    progress::set(plan, &Progress::default(), at(0)).unwrap()
}

/// Traffic as the weights want it until now, of which the standby fails this share in percent.
fn samples(now: i64, failing: u64) -> Samples {
    let fleet = |requests: u64, failing: u64| FleetSamples {
        samples: (-60..now / 60)
            .map(|i| {
                let target_5xx = requests * failing / 100;
                Sample { at: BEGAN + i * 60, requests, target_5xx, ..Sample::default() }
            })
            .collect(),
        health: Health { healthy: 2, registered: 2, unused: false },
    };
    Samples {
        now: at(now),
        live: fleet(900, 0),
        standby: fleet(100, failing),
        balancer_errors: Vec::new(),
        alarms: Vec::new(),
    }
}

fn asked(tags: &[&str]) -> Requests {
    tags.iter().copied().collect()
}

fn decided(plan: &Plan, progress: &Progress, samples: &Samples, tags: &[&str]) -> PollAnswer {
    decide(plan, progress, std::slice::from_ref(samples), &asked(tags), samples.now)
}

/// What a person asks comes before what was counted, and after a fleet that is dead or an alarm that rings.
#[test]
fn a_request_to_go_back_is_heard_in_its_turn() {
    let mut plan = plan("rollBack");
    plan.criteria.on_both_unhealthy = crate::verdict::OnBothUnhealthy::Halt;
    plan.criteria.both_unhealthy_for = Seconds(180);
    let mut both = samples(600, 50);
    both.live.samples.iter_mut().filter(|s| s.at >= BEGAN).for_each(|s| s.target_5xx = s.requests / 2);
    let baking = baking(&plan);
    let halted = decided(&plan, &baking, &both, &[]).decision;
    assert_eq!(halted.verdict, Verdict::Halt, "{}", halted.reason);
    let asked = decided(&plan, &baking, &both, &["rollback"]).decision;
    assert_eq!((asked.verdict, asked.voice), (Verdict::RollBack, Voice::Request), "{}", asked.reason);
    assert!(asked.reason.starts_with("somebody asked for it"), "{}", asked.reason);

    both.alarms = vec!["checkout".into()];
    let alarmed = decided(&plan, &baking, &both, &["rollback"]).decision;
    assert_eq!(alarmed.voice, Voice::Alarm, "{}", alarmed.reason);
    (both.live.health.healthy, both.standby.health.healthy) = (0, 0);
    let waits = decided(&plan, &baking, &both, &[]).decision;
    assert_eq!((waits.verdict, waits.voice), (Verdict::Wait, Voice::Dead), "{}", waits.reason);
    let asked = decided(&plan, &baking, &both, &["rollback"]).decision;
    assert_eq!(asked.voice, Voice::Request, "waiting ends nothing: {}", asked.reason);
    let long = Progress { both_dead_since: Some(at(0)), ..baking };
    let dead = decided(&plan, &long, &both, &["rollback"]).decision;
    assert_eq!((dead.verdict, dead.voice), (Verdict::Halt, Voice::Dead), "{}", dead.reason);
}

#[test]
fn a_tag_is_one_of_four_requests_or_nothing() {
    let percent = |percent| Percent::new(percent).unwrap();
    for (tag, request) in [
        ("resume", None),
        ("", None),
        ("rollBack", Some(Request::RollBack)),
        (" pause ", Some(Request::Pause)),
        ("promote 25 ", Some(Request::Promote(percent(25)))),
        ("promote 25 %", Some(Request::Promote(percent(25)))),
        ("approve 100", Some(Request::Approve(percent(100)))),
        ("", None),
        ("-", None),
        ("Resume", None),
        ("rollback", Some(Request::RollBack)),
        ("roll back", Some(Request::RollBack)),
        ("ROLLBACK", Some(Request::RollBack)),
        ("RollBack", Some(Request::RollBack)),
        ("roll-back", Some(Request::RollBack)),
        ("Pause.", Some(Request::Pause)),
        ("PAUSE", Some(Request::Pause)),
        ("promote 25", Some(Request::Promote(percent(25)))),
        ("Promote:25", Some(Request::Promote(percent(25)))),
        ("approve-50", Some(Request::Approve(percent(50)))),
        ("approve50", Some(Request::Approve(percent(50)))),
        ("Approve 50 percent", Some(Request::Approve(percent(50)))),
        ("approve=50%", Some(Request::Approve(percent(50)))),
    ] {
        assert_eq!(Request::parse(tag), Ok(request), "{tag:?}");
    }
    for tag in [
        "go",
        "approve",
        "approve 101",
        "promote x",
        "hold 25",
        "rollBack 25",
        "do not roll back",
        "approve 0.5",
        "approve 5 0",
        "50",
        "approve 50 60",
        "?",
        "%",
        "approve 99999999999999999999",
        "nothing 5",
    ] {
        let what = Request::parse(tag).unwrap_err();
        assert!(what.contains(&format!("`{tag}`")) && what.contains("`approve-50`"), "{what}");
    }
}

#[test]
fn a_stage_waits_for_its_approval_and_is_watched_meanwhile() {
    let plan = plan("rollBack");
    let mut run = baking(&plan);
    // Before the bake is over there is nothing to ask.
    let early = decided(&plan, &run, &samples(200, 0), &[]);
    assert_eq!((early.decision.verdict, early.waits_since), (Verdict::Wait, None));

    let waits = decided(&plan, &run, &samples(400, 0), &[]);
    assert_eq!((waits.decision.verdict, waits.waits_since), (Verdict::Wait, Some(at(400))));
    assert!(
        waits.decision.reason.contains("waits for an approval of 50 %, for 10m more"),
        "{}",
        waits.decision.reason
    );
    let check = progress::polled(&plan, &run, waits, at(400)).unwrap();
    assert!(check.ask, "somebody has to be asked");
    run = check.progress;

    // Asked once; the time counts from then.
    let again = decided(&plan, &run, &samples(460, 0), &["approve 100"]);
    assert_eq!(again.waits_since, Some(at(400)));
    assert!(again.decision.reason.contains("for 9m more"), "{}", again.decision.reason);
    let check = progress::polled(&plan, &run, again, at(460)).unwrap();
    assert!(!check.ask);

    // A fault meanwhile is a rollback as ever.
    let sick = decided(&plan, &run, &samples(520, 30), &[]);
    assert_eq!(sick.decision.verdict, Verdict::RollBack);

    let approved = decided(&plan, &run, &samples(520, 0), &["approve 50"]);
    assert_eq!(approved.decision.verdict, Verdict::Advance);
    let check = progress::polled(&plan, &run, approved, at(520)).unwrap();
    assert_eq!((check.progress.stage, check.progress.waits_since, check.ask), (1, None, false));

    // The next stage needs none.
    let set = progress::set(&plan, &check.progress, at(540)).unwrap();
    let mut even = samples(960, 0);
    for sample in even.live.samples.iter_mut().chain(&mut even.standby.samples) {
        if sample.at >= BEGAN + 540 {
            sample.requests = 500;
        }
    }
    let next = decided(&plan, &set, &even, &[]);
    assert_eq!(next.decision.verdict, Verdict::Advance, "{}", next.decision.reason);
}

#[test]
fn without_an_answer_it_ends_as_the_input_says() {
    for (otherwise, verdict) in [("rollBack", Verdict::RollBack), ("halt", Verdict::Halt)] {
        let plan = plan(otherwise);
        let run = Progress { waits_since: Some(at(400)), ..baking(&plan) };
        assert_eq!(decided(&plan, &run, &samples(999, 0), &[]).decision.verdict, Verdict::Wait);
        let late = decided(&plan, &run, &samples(1000, 0), &[]).decision;
        assert_eq!(late.verdict, verdict);
        assert!(late.reason.contains("nobody approved 50 % within 10m"), "{}", late.reason);
        // An answer at the last moment counts.
        assert_eq!(
            decided(&plan, &run, &samples(1000, 0), &["approve 50"]).decision.verdict,
            Verdict::Advance
        );
    }
}

#[test]
fn a_bake_is_cut_short_but_not_below_what_is_known() {
    let plan = Plan { approval: None, ..plan("halt") };
    let run = baking(&plan);
    for (now, tag, verdict) in [
        (150, "resume", Verdict::Wait),
        (150, "promote-10", Verdict::Advance),
        // Of another stage.
        (150, "promote-50", Verdict::Wait),
        // No whole period is known yet.
        (50, "promote-10", Verdict::Wait),
    ] {
        let decision = decided(&plan, &run, &samples(now, 0), &[tag]).decision;
        assert_eq!(decision.verdict, verdict, "{now} {tag}: {}", decision.reason);
    }
    // It does not make a sick standby well.
    assert_eq!(decided(&plan, &run, &samples(150, 50), &["promote-10"]).decision.verdict, Verdict::RollBack);
    // Nor does it make up for requests that never came.
    let mut silent = samples(150, 0);
    silent.standby.samples.clear();
    assert_ne!(decided(&plan, &run, &silent, &["promote-10"]).decision.verdict, Verdict::Advance);
}

/// The tag holds one request: what approves the next stage takes the place of what ended this one's bake.
#[test]
fn an_approval_after_a_bake_that_was_skipped_is_followed() {
    let plan = plan("rollBack");
    let baking = baking(&plan);
    let asks = decided(&plan, &baking, &samples(150, 0), &["promote-10"]);
    assert!(asks.waits_since.is_some(), "{}", asks.decision.reason);
    let waiting = Progress { waits_since: asks.waits_since, ..baking.clone() };
    let paused = decided(&plan, &waiting, &samples(180, 0), &["pause"]);
    assert_eq!((paused.decision.verdict, paused.waits_since), (Verdict::Wait, asks.waits_since));
    let approved = decided(&plan, &waiting, &samples(180, 0), &["approve 50"]).decision;
    assert_eq!(approved.verdict, Verdict::Advance, "{}", approved.reason);
    let failing = decided(&plan, &waiting, &samples(180, 50), &["approve 50"]).decision;
    assert_eq!(failing.verdict, Verdict::RollBack, "{}", failing.reason);
    let early = decided(&plan, &baking, &samples(180, 0), &["approve 50"]).decision;
    assert_eq!(early.verdict, Verdict::Wait, "an approval alone ends no bake: {}", early.reason);
}

#[test]
fn a_run_is_held_for_a_while() {
    let plan = Plan { approval: None, ..plan("halt") };
    let mut run = baking(&plan);
    let held = decided(&plan, &run, &samples(400, 0), &["pause"]);
    assert_eq!((held.decision.verdict, held.held), (Verdict::Wait, true));
    run = progress::polled(&plan, &run, held, at(400)).unwrap().progress;
    assert_eq!(run.held_polls, 1);
    assert_eq!(decided(&plan, &run, &samples(460, 40), &["pause"]).decision.verdict, Verdict::RollBack);
    assert_eq!(decided(&plan, &run, &samples(460, 0), &["resume"]).decision.verdict, Verdict::Advance);
    run.held_polls = HELD_POLLS;
    let over = decided(&plan, &run, &samples(460, 0), &["pause"]).decision;
    assert_eq!(over.verdict, Verdict::RollBack);
}

#[test]
fn the_most_careful_of_several_requests_counts() {
    let plan = plan("halt");
    let run = baking(&plan);
    let back = decided(&plan, &run, &samples(100, 0), &["approve 50", "promote-10", "rollBack"]).decision;
    assert_eq!(back.verdict, Verdict::RollBack);
    assert!(back.reason.starts_with("somebody asked for it"), "{}", back.reason);
    assert_eq!(
        decided(&plan, &run, &samples(400, 0), &["approve 50", "pause"]).decision.verdict,
        Verdict::Wait
    );
}

#[test]
fn what_is_not_understood_is_said_and_holds() {
    let plan = Plan { approval: None, ..plan("halt") };
    let run = baking(&plan);
    let held = decided(&plan, &run, &samples(400, 0), &["abort!", "resume"]);
    assert_eq!((held.decision.verdict, held.held), (Verdict::Wait, true));
    let reason = held.decision.reason;
    assert!(reason.contains("held here, since what somebody asked cannot be read"), "{reason}");
    assert!(reason.contains("`abort!`"), "{reason}");
    // Nor does it stand in the way of a request that can be read, or of a fault.
    let back = decided(&plan, &run, &samples(400, 0), &["abort!", "rollback"]).decision;
    assert_eq!(back.verdict, Verdict::RollBack);
    assert_eq!(decided(&plan, &run, &samples(400, 50), &["abort!"]).decision.verdict, Verdict::RollBack);
}

/// A tag on every route of sixteen apps, each with something else that nobody understands.
#[test]
fn one_tag_that_is_not_understood_stands_for_all() {
    let plan = Plan { approval: None, ..plan("halt") };
    let tags: Vec<String> = (10..74).map(|number| format!("abort {number} {}", "!".repeat(248))).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let reason = decided(&plan, &baking(&plan), &samples(400, 0), &tags).decision.reason;
    assert!(reason.contains("`abort 10 !") && reason.ends_with("(and 63 more)"), "{reason}");
    assert!(reason.len() < 1000, "{} bytes", reason.len());
}

/// In lockstep one app's standby is everybody's.
#[test]
fn a_run_of_several_apps_waits_for_all_and_goes_back_with_any() {
    let stage =
        |percent: u8| json!({ "standbyPercent": percent, "bakeSeconds": 300, "gate": "healthyStandby" });
    let plan = testing::lockstep(&["web", "portal"], json!({ "stages": [stage(10), stage(50)] }));
    let run = baking(&plan);
    let of = |web: Samples, portal: Samples, tags: &[&str]| {
        let now = web.now;
        decide(&plan, &run, &[web, portal], &asked(tags), now).decision
    };
    assert_eq!(of(samples(400, 0), samples(400, 0), &[]).verdict, Verdict::Advance);
    let mut unseen = samples(400, 0);
    unseen.standby.samples.retain(|sample| sample.at < BEGAN);
    let waits = of(samples(400, 0), unseen, &[]);
    assert_ne!(waits.verdict, Verdict::Advance, "{}", waits.reason);
    let back = of(samples(400, 0), samples(400, 30), &[]);
    assert_eq!(back.verdict, Verdict::RollBack);
    assert!(back.reason.starts_with("portal: failures: prod2 30 %"), "{}", back.reason);
    assert!(back.reason.ends_with("; ready: web"), "{}", back.reason);
    // A hold on any route holds all of them.
    assert_eq!(of(samples(400, 0), samples(400, 0), &["pause"]).verdict, Verdict::Wait);
}
