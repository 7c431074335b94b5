//! What is refused before anything is touched, and what follows from a round of probes.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::judge::{Failure, judge};
use super::*;
use crate::contract::Progress;
use crate::progress;
use crate::testing;
use crate::verdict::Verdict;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// A run that is polled in its only stage, with this much on the standby.
fn plan(percent: u8, both_sick: &str) -> Plan {
    testing::plan(json!({
        "stages": [{ "standbyPercent": percent, "bakeSeconds": 300, "mustShow": "healthyStandby" }],
        "mayWrite": [percent], "criteria": { "bothPeriods": 5, "bothSick": both_sick },
    }))
}

fn refusal(input: Value, configured: &Configured) -> Result<Option<Probing>, String> {
    let mut input = input;
    input["app"] = "web".into();
    let input = Input::parse(&input).map_err(|error| error.message)?;
    planned(plan(10, "halt"), &input, configured).map(|plan| plan.probing).map_err(|error| {
        assert_eq!(error.kind.name(), "PlanRejected");
        error.message
    })
}

#[test]
fn refusals_name_the_field() {
    let shop = json!({ "public": "https://shop.example" });
    for (probe, says) in [
        (json!({}), "path"),
        (json!({ "path": "health" }), "`path`"),
        (json!({ "path": "/a b" }), "`path`"),
        (json!({ "path": "/", "pth": "/" }), "pth"),
        (json!({ "path": "/", "method": "DELETE" }), "method"),
        (json!({ "path": "/", "headers": { "a b": "c" } }), "`headers`"),
        (json!({ "path": "/", "headers": { "a": "b\r\nc: d" } }), "`headers`"),
        (json!({ "path": "/", "headers": { "Content-Length": "5" } }), "`headers`"),
        (json!({ "path": "/", "headers": { "X-Failover-Standby": "guess" } }), "the address `standby`"),
        (json!({ "path": "/", "status": 20 }), "`status`"),
        (json!({ "path": "/", "text": "" }), "`text`"),
        (json!({ "path": "/", "json": { "status": "up" } }), "`json`"),
        (json!({ "path": "/", "method": "HEAD", "text": "up" }), "`method`"),
        (json!({ "path": "/", "within": "11s" }), "`within`"),
        (json!({ "path": "/", "redirects": 6 }), "`redirects`"),
    ] {
        let said =
            refusal(json!({ "probes": [probe], "addresses": shop }), &Configured::default()).unwrap_err();
        assert!(
            said.contains(says) && said.contains("probes[0]") && said.contains("othing was touched"),
            "{said}"
        );
    }
    let health = json!([{ "path": "/health" }]);
    for (addresses, says) in [
        (json!({}), "nowhere to go"),
        (json!({ "prod3": "https://shop.example" }), "\"prod3\" is none of public, standby, prod1 and prod2"),
        (json!({ "standby": "https://shop.example" }), "`make testers APP=web` adds one"),
        (json!({ "prod1": "shop.example" }), "prod1: \"shop.example\" is not an address"),
        (json!({ "prod1": "ftp://shop.example" }), "neither http:// nor https://"),
        (json!({ "prod1": "https://shop.example/here" }), "must end after host and port"),
        (json!({ "prod1": "https://me:secret@shop.example" }), "a user or a password"),
        (json!({ "prod1": "http://169.254.169.254" }), "link-local"),
        (json!({ "prod1": "http://2852039166" }), "link-local"),
        (json!({ "prod1": "http://[fd00:ec2::254]" }), "link-local"),
        (json!({ "prod1": "http://[::ffff:169.254.170.2]" }), "link-local"),
        (json!({ "prod1": "http://127.1" }), "loopback"),
        (json!({ "prod1": "http://[::1]:9001" }), "loopback"),
        (json!({ "prod1": "http://0.0.0.0" }), "which no server has"),
    ] {
        let said =
            refusal(json!({ "probes": health, "addresses": addresses }), &Configured::default()).unwrap_err();
        assert!(said.contains(says), "{said}");
    }
    for operation in ["drain", "restore"] {
        let said =
            refusal(json!({ "operation": operation, "probes": health }), &Configured::default()).unwrap_err();
        assert!(said.contains("`probes`"), "{said}");
    }
}

#[test]
fn the_deployment_names_what_the_input_does_not() {
    let configured = Configured {
        probes: r#"[{"path": "/health", "text": "ok"}]"#.into(),
        addresses: "public=https://shop.example,prod2=http://10.0.0.1:8080".into(),
        loopback: "refused".into(),
    };
    let probing = refusal(json!({}), &configured).unwrap().unwrap();
    assert_eq!(probing.probes[0].name(), "GET /health");
    assert_eq!(probing.addresses["web"]["prod2"], "http://10.0.0.1:8080");
    let input = json!({ "probes": [{ "path": "/" }], "addresses": { "prod1": "https://one.example" } });
    let probing = refusal(input, &configured).unwrap().unwrap();
    assert_eq!((&probing.probes[0].path[..], probing.addresses["web"].len()), ("/", 1));
    assert_eq!(refusal(json!({ "probes": [] }), &configured).unwrap(), None);
    assert_eq!(refusal(json!({ "operation": "drain" }), &configured).unwrap(), None);
    assert_eq!(refusal(json!({}), &Configured::default()).unwrap(), None);
    let wrong = Configured { probes: "[{\"pth\": 1}]".into(), ..configured.clone() };
    assert!(refusal(json!({}), &wrong).unwrap_err().contains("the deployment's Probes"));
    let wrong = Configured { addresses: "https://shop.example".into(), ..configured };
    assert!(refusal(json!({}), &wrong).unwrap_err().contains("the deployment's ProbeAddresses"));
}

#[test]
fn several_apps_have_addresses_of_their_own() {
    let planned = |addresses: Value, probes: usize| {
        let probes = vec![json!({ "path": "/health" }); probes];
        let input = json!({ "app": ["web", "portal"], "probes": probes, "addresses": addresses });
        let input = Input::parse(&input).map_err(|error| error.message)?;
        let plan = testing::lockstep(&["web", "portal"], json!({}));
        planned(plan, &input, &Configured::default()).map_err(|error| error.message)
    };
    let places = json!({ "prod1": "https://one.example", "prod2": "https://two.example" });
    let plan = planned(json!({ "web": places, "portal": places }), 1).unwrap();
    assert_eq!(plan.checks[0], "at every stage GET /health must pass on prod1 and prod2 of every app");
    let public = json!({ "public": "https://portal.example" });
    let plan = planned(json!({ "web": places, "portal": public }), 1).unwrap();
    let says = "at every stage GET /health must pass on public of portal, prod1 and prod2 of web";
    assert_eq!(plan.checks[0], says);

    // What the deployment says is about one app.
    let said = planned(Value::Null, 1).unwrap_err();
    assert!(said.contains("`addresses` for each") && said.contains("\"probes\": []"), "{said}");
    let input = Input::parse(&json!({ "app": "web" })).unwrap();
    assert!(input.addresses_of("web").unwrap().is_none());
}

#[test]
fn the_worst_of_several_apps_is_blamed_by_its_name() {
    use Verdict::{Advance, RollBack, Wait};
    let stage = json!({ "standbyPercent": 10, "bakeSeconds": 300, "mustShow": "healthyStandby" });
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
fn polled(percent: u8, verdict: Verdict, places: &[&str], both_sick: &str) -> (Plan, Progress) {
    let mut plan = plan(percent, both_sick);
    let addresses = places.iter().map(|place| ((*place).to_owned(), "https://x.example".to_owned()));
    plan.probing = Some(Probing {
        probes: Vec::new(),
        addresses: [("web".to_owned(), addresses.collect())].into(),
        loopback: false,
    });
    let mut progress = progress::set(&plan, &Progress::default(), at(0)).unwrap();
    let record = progress.timeline.last_mut().unwrap();
    record.verdict = Some(verdict);
    record.reason = Some("nothing against prod2".into());
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
fn a_stage_that_waits_goes_on_and_ends_as_both_sick_says() {
    for (both_sick, ends) in [("halt", Verdict::Halt), ("rollBack", Verdict::RollBack)] {
        let (plan, progress) = polled(10, Verdict::Advance, &ALL, both_sick);
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

/// A run of this operation that probes these places, whose testers are led like this.
fn planned_with(operation: &str, places: &[&str], testers: &Value) -> Result<Plan, String> {
    let plan = testing::plan(json!({ "operation": operation, "testers": testers }));
    let addresses: BTreeMap<_, _> = places.iter().map(|place| (*place, "https://shop.example")).collect();
    let input =
        json!({ "app": "web", "operation": operation, "probes": [{ "path": "/" }], "addresses": addresses });
    planned(plan, &Input::parse(&input).unwrap(), &Configured::default()).map_err(|error| error.message)
}

#[test]
fn the_standby_is_probed_before_users_are_moved_to_it() {
    let rule = json!({ "ruleArn": "arn:testers", "label": "rule 9 on port 443", "port": 443 });
    let before = |operation, places: &[&str]| {
        before_the_run(&planned_with(operation, places, &json!([rule])).unwrap())
    };
    for operation in ["shift", "balance"] {
        assert!(before(operation, &["standby"]) && before(operation, &["public", "prod2"]));
        assert!(!before(operation, &["public", "prod1"]));
    }
    assert!(!before("failback", &["standby", "prod2"]));

    let plan = planned_with("shift", &["prod1", "prod2", "public", "standby"], &json!([rule])).unwrap();
    let asked: Vec<_> = plan.probing.as_ref().unwrap().of_standby(&plan).map(|target| target.place).collect();
    assert_eq!(asked, ["prod2", "standby"]);
    let passed = judge::before_the_run(&plan, &Progress::default(), &[]).unwrap();
    assert_eq!((passed.verdict, passed.progress), (Verdict::Advance, Progress::default()));
    assert!(passed.reason.contains("on prod2 and standby; no user"), "{}", passed.reason);
    let failed = judge::before_the_run(&plan, &Progress::default(), &failing(&["standby"])).unwrap_err();
    assert_eq!(failed.kind.name(), "PlanRejected");
    assert!(failed.message.contains("standby fails GET /health: status 500"), "{}", failed.message);
    assert!(failed.message.contains("Nothing was touched"), "{}", failed.message);
}

#[test]
fn testers_who_are_astray_hold_up_everything_but_the_way_back() {
    let astray = json!([{ "ruleArn": "arn:testers", "label": "rule 9 on port 443", "port": 443, "astray": "leads to prod1" }]);
    for testers in [json!([]), astray] {
        for operation in ["shift", "balance"] {
            let refused = planned_with(operation, &["public", "standby"], &testers).unwrap_err();
            assert!(refused.starts_with("web: `addresses`: standby: "), "{refused}");
        }
        let back = planned_with("failback", &["public", "standby"], &testers).unwrap();
        assert_eq!(back.probing.unwrap().addresses["web"].keys().collect::<Vec<_>>(), ["public"]);
        assert_eq!(planned_with("failback", &["standby"], &testers).unwrap().probing, None);
    }
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
