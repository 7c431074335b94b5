//! What follows from a round of probes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::run::progress;
use crate::testing;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// A run that is polled in its only stage, with this much on the standby.
fn plan(percent: u8, both_unhealthy: &str) -> Plan {
    testing::plan(json!({
        "stages": [{ "standbyPercent": percent, "bakeSeconds": 300, "gate": "healthyStandby" }],
        "mayWrite": [percent], "criteria": { "bothUnhealthyFor": "5m", "onBothUnhealthy": both_unhealthy },
    }))
}

#[test]
fn the_worst_of_several_apps_is_blamed_by_its_name() {
    use Verdict::{Advance, RollBack, Wait};
    let stage = json!({ "standbyPercent": 10, "bakeSeconds": 300, "gate": "healthyStandby" });
    let mut plan = testing::lockstep(&["web", "portal"], json!({ "stages": [stage] }));
    let addresses: BTreeMap<String, String> =
        ALL.iter().map(|place| ((*place).to_owned(), "https://x.example".to_owned())).collect();
    let addresses = ["web", "portal"].map(|app| (app.to_owned(), addresses.clone())).into();
    plan.probing = Some(Probing { probes: Vec::new(), addresses, loopback: false });
    let mut progress = progress::set(&plan, &Progress::default(), at(0)).unwrap();
    progress.timeline[0].verdict = Some(Advance);
    let of = |web: &[&str], portal: &[&str]| {
        let portal = failing(portal).into_iter().map(|failure| Failure { app: "portal".into(), ..failure });
        let failures: Vec<Failure> = failing(web).into_iter().chain(portal).collect();
        judge(&plan, &progress, &failures, at(300)).unwrap()
    };
    for (web, portal, verdict) in [
        (&[][..], &[][..], Advance),
        (&["prod1"], &[], Advance),
        (&["prod1"], &["prod2"], RollBack),
        (&["prod2"], &["prod1", "prod2"], RollBack),
        (&[], &["prod1", "prod2"], Wait),
        // What another app's fleet does is no explanation.
        (&["prod1"], &["public"], Wait),
    ] {
        assert_eq!(of(web, portal).verdict, verdict, "{web:?} {portal:?}");
    }
    let reason = of(&[], &["prod2"]).reason;
    assert_eq!(reason, "application probes: prod2 of portal fails GET /health: status 500 instead of 200");
}

#[test]
fn what_servers_say_is_cut_in_what_is_said_of_them() {
    let places = ["public", "prod1", "prod2"];
    let (plan, progress) = polled(50, Verdict::Wait, &places, "halt");
    let loud = |failure: Failure| Failure { found: "a redirect to x".repeat(10_000), ..failure };
    let failures: Vec<Failure> = failing(&places).into_iter().map(loud).collect();
    let probed = judge(&plan, &progress, &failures, at(60)).unwrap();
    assert!(probed.reason.len() < 5000, "{} bytes", probed.reason.len());
    assert!(
        probed
            .reason
            .starts_with("both fleets fail application probes: public fails GET /health: a redirect")
    );
}

fn failing(places: &[&str]) -> Vec<Failure> {
    let failure = |place: &&str| Failure {
        app: "web".into(),
        place: (*place).to_owned(),
        probe: "GET /health".into(),
        found: "status 500 instead of 200".into(),
    };
    places.iter().map(failure).collect()
}

/// A run whose poll has just said so, that probes these places.
fn polled(percent: u8, verdict: Verdict, places: &[&str], both_unhealthy: &str) -> (Plan, Progress) {
    let mut plan = plan(percent, both_unhealthy);
    let addresses = places.iter().map(|place| ((*place).to_owned(), "https://x.example".to_owned()));
    plan.probing = Some(Probing {
        probes: Vec::new(),
        addresses: [("web".to_owned(), addresses.collect())].into(),
        loopback: false,
    });
    let mut progress = progress::set(&plan, &Progress::default(), at(0)).unwrap();
    let record = progress.timeline.last_mut().unwrap();
    record.verdict = Some(verdict);
    record.reason = Some("no difference found".into());
    record.ended_at = (verdict == Verdict::Advance).then(|| at(300));
    // An advance has already moved on.
    progress.stage += usize::from(verdict == Verdict::Advance);
    (plan, progress)
}

const ALL: [&str; 3] = ["prod1", "prod2", "public"];

fn verdict(percent: u8, places: &[&str], fail: &[&str]) -> Verdict {
    let (plan, progress) = polled(percent, Verdict::Advance, places, "halt");
    judge(&plan, &progress, &failing(fail), at(300)).unwrap().verdict
}

#[test]
fn the_one_that_fails_alone_is_blamed() {
    use Verdict::{Advance, RollBack, Wait};
    for percent in [0, 10, 100] {
        assert_eq!(verdict(percent, &ALL, &[]), Advance);
        assert_eq!(verdict(percent, &ALL, &["prod2"]), RollBack);
        assert_eq!(verdict(percent, &ALL, &["prod2", "public"]), RollBack);
        assert_eq!(verdict(percent, &ALL, &["prod1", "prod2"]), Wait);
        assert_eq!(verdict(percent, &ALL, &["prod1"]), Advance);
        assert_eq!(verdict(percent, &ALL, &["public"]), Wait);
    }
    // With a live fleet that fails, users see failures until it has no traffic any more.
    assert_eq!(verdict(10, &ALL, &["prod1", "public"]), Advance);
    assert_eq!(verdict(100, &ALL, &["prod1", "public"]), Wait);
    // The public address alone tells of a fleet only once that has everything.
    assert_eq!(verdict(10, &["public"], &["public"]), Wait);
    assert_eq!(verdict(100, &["public"], &["public"]), RollBack);
    // As testers see it, the standby is the standby.
    let testers = ["prod1", "public", "standby"];
    assert_eq!(verdict(10, &testers, &["standby"]), RollBack);
    assert_eq!(verdict(10, &testers, &["standby", "prod1"]), Wait);
    assert_eq!(verdict(10, &testers, &["prod1", "public"]), Advance);
    assert_eq!(verdict(10, &["prod2", "standby"], &["prod2"]), RollBack);
    // Nothing is known of a standby without an address.
    assert_eq!(verdict(10, &["prod1"], &["prod1"]), Wait);
}

#[test]
fn a_stage_that_waits_goes_on_and_ends_as_the_criteria_say() {
    for (both_unhealthy, ends) in [("halt", Verdict::Halt), ("rollBack", Verdict::RollBack)] {
        let (plan, progress) = polled(10, Verdict::Advance, &ALL, both_unhealthy);
        let both = failing(&["prod1", "prod2"]);
        let first = judge(&plan, &progress, &both, at(300)).unwrap();
        assert_eq!(first.verdict, Verdict::Wait);
        assert!(first.reason.starts_with("both fleets fail application probes: prod1 fails GET /health"));
        let record = &first.progress.timeline[0];
        assert_eq!((first.progress.stage, record.ended_at), (0, None));
        let last = judge(&plan, &first.progress, &both, at(600)).unwrap();
        assert_eq!(last.verdict, ends);
        // One that passes in between begins anew.
        let well = judge(&plan, &first.progress, &[], at(400)).unwrap();
        assert_eq!((well.verdict, well.progress.probes_fail_since), (Verdict::Wait, None));
    }
}

#[test]
fn probes_before_the_run_refuse_it_where_one_fails() {
    let (plan, _) = polled(10, Verdict::Wait, &["prod1", "prod2", "public", "standby"], "halt");
    let passed = before_the_run(&plan, &Progress::default(), &[]).unwrap();
    assert_eq!((passed.verdict, passed.progress), (Verdict::Advance, Progress::default()));
    assert!(passed.reason.contains("on prod2 and standby; no user"), "{}", passed.reason);
    let failed = before_the_run(&plan, &Progress::default(), &failing(&["standby"])).unwrap_err();
    assert_eq!(failed.kind.name(), "PlanRejected");
    assert!(failed.message.contains("standby fails GET /health: status 500"), "{}", failed.message);
    assert!(failed.message.contains("Nothing was touched"), "{}", failed.message);
}

proptest! {
    /// Probes never let a run go on that its poll held back, and never one whose standby fails.
    #[test]
    fn probes_only_hold_back(percent in 0u8..=100, asked in 1usize..8, fail in 0usize..8, waits: bool) {
        let some = |bits: usize| -> Vec<&str> { (0..3).filter(|i| bits >> i & 1 == 1).map(|i| ALL[i]).collect() };
        let places = some(asked);
        let fails: Vec<&str> = some(fail).into_iter().filter(|place| places.contains(place)).collect();
        let (plan, progress) =
            polled(percent, if waits { Verdict::Wait } else { Verdict::Advance }, &places, "halt");
        let answer = judge(&plan, &progress, &failing(&fails), at(300)).unwrap();
        if answer.verdict == Verdict::Advance {
            prop_assert!(!waits && !fails.contains(&"prod2"));
        }
        if fails.is_empty() {
            prop_assert_eq!(answer.verdict == Verdict::Wait, waits);
        }
    }
}
