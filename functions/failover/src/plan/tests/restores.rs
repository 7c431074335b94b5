//! What a restore finds and puts back, and who is kept out meanwhile.

use super::*;

/// What `PlanShift` of the run has answered that is to be restored: a shift of these apps, by the weights that it
/// had found on each.
fn record(apps: &[(&FoundApp, [u16; 2])], live: &str) -> Record {
    let standby = if live == "prod1" { "prod2" } else { "prod1" };
    let group = |app: &FoundApp, fleet: &str| {
        app.fleets.iter().find(|f| f.name == fleet).map(|f| f.target_group_arn.clone()).unwrap()
    };
    let groups = |(app, _): &(&FoundApp, [u16; 2])| json!({ "name": app.name, "liveGroup": group(app, live), "standbyGroup": group(app, standby) });
    let routes = apps.iter().enumerate().map(|(index, (app, [prod1, prod2]))| {
        let route = &app.routes[0];
        json!({
            "app": index, "arn": route.arn, "ruleArn": route.arn, "label": route.label,
            "before": { "prod1": prod1, "prod2": prod2 }, "thatIsNotKnownHere": [1, 2],
        })
    });
    let plan = json!({
        "version": record::VERSION, "operation": "shift", "live": live, "standby": standby,
        "apps": apps.iter().map(groups).collect::<Vec<_>>(), "routes": routes.collect::<Vec<_>>(),
        "stages": [{ "standbyPercent": 50, "bakeSeconds": 1 }, { "standbyPercent": 100, "bakeSeconds": 1 }],
        "mayWrite": [10, 50, 100], "thatIsNotKnownHere": {},
    });
    Record::parse(&json!({ "proceed": true, "plan": plan }).to_string()).unwrap().unwrap()
}

fn behind(record: Record, reached: Reached) -> FoundBehind {
    FoundBehind { execution: "arn:other".into(), interrupted: true, reached, record: Ok(record) }
}

#[test]
fn a_restore_of_several_puts_back_on_each_what_that_one_had() {
    let mut left = several(&[("web", [50, 50]), ("portal", [50, 50]), ("api", [100, 0])]);
    let of_both = record(&[(&left.apps[0], [100, 0]), (&left.apps[1], [60, 40])], "prod1");
    for app in &mut left.apps[..2] {
        app.lock.behind = Some(behind(of_both.clone(), Reached::Nothing));
    }
    let restore = |left: &Found| make(json!({ "operation": "restore", "execution": "arn:other" }), left);
    let plan = restore(&left).unwrap();
    assert_eq!(plan.routes.iter().map(|route| route.app).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(plan.before_in_words(), "web, api: prod1 100 %, prod2 0 %; portal: prod1 60 %, prod2 40 %");
    assert_eq!(plan.routes[1].before["prod2"], 40);
    assert_eq!(plan.held_apps().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["web", "portal"]);
    // What it says at its end is about each app alone: the next restore, should this one be stopped between two
    // of them, puts back the same.
    assert_eq!(plan.claim_at_end().tag(), "arn:execution restored");
    assert_eq!(plan.claim().tag(), "arn:execution");
    left.apps[1].lock.behind = Some(behind(of_both.clone(), Reached::Restored));
    assert_eq!(restore(&left).unwrap().before_in_words(), plan.before_in_words());
    // A run's end stands on all of its apps, and a restore of that says so again.
    left.apps[0].lock.behind = Some(behind(of_both, Reached::Done));
    let ended = restore(&left).unwrap();
    assert_eq!(ended.routes.iter().map(|route| route.before["prod2"]).collect::<Vec<_>>(), [100, 100]);
    assert_eq!((ended.live.as_str(), ended.claim().tag().as_str()), ("prod2", "arn:execution done"));
    assert_eq!(ended.claim_at_end().tag(), "arn:execution done");

    let apart =
        [record(&[(&left.apps[0], [100, 0])], "prod1"), record(&[(&left.apps[1], [0, 100])], "prod2")];
    for (app, record) in left.apps.iter_mut().zip(apart) {
        app.lock.behind = Some(behind(record, Reached::Nothing));
    }
    let refused = make(json!({ "operation": "restore" }), &left).unwrap_err();
    assert!(refused.contains("portal: ") && refused.contains("one by one"), "{refused}");
}

#[test]
fn an_app_that_another_run_holds_refuses_every_operation() {
    let claims =
        [Claim::Own, Claim::Ended("arn:other".into()), Claim::Running("arn:other".into()), interrupted()];
    for operation in ["drain", "shift", "balance", "failback"] {
        let plan = |claim: &Claim| {
            // As the interrupted run had found it: that says nothing, since its restore may be about to move it.
            let mut found = found([100, 0]);
            found.apps[0].lock.claim = claim.clone();
            make(json!({ "operation": operation, "standby": "prod2" }), &found)
        };
        let [own, ended, running, interrupted] = claims.each_ref().map(plan);
        assert!(own.is_ok() && ended.is_ok());
        let running = running.unwrap_err();
        assert!(running.contains("web: it is claimed by arn:other"), "{running}");
        let interrupted = interrupted.unwrap_err();
        assert!(interrupted.contains("restore"), "{interrupted}");
    }
}

fn interrupted() -> Claim {
    Claim::Interrupted("arn:other".into())
}

#[test]
fn a_restore_takes_up_what_an_interrupted_run_left() {
    let restore = |behind: Option<FoundBehind>| {
        let mut found = found([50, 50]);
        // A second route, which the run did not know.
        found.apps[0].routes.push(route("rule 2", &[(ONE, 100), (TWO, 0)]));
        found.apps[0].lock.behind = behind;
        // A restore goes on whatever the fleets' health is: the rollback looks at it.
        found.apps[0].fleets[0].health.healthy = 0;
        make(json!({ "operation": "restore", "execution": "arn:other" }), &found)
    };
    let app = &found([50, 50]).apps[0];
    let recorded = || record(&[(app, [100, 0])], "prod1");
    let plan = restore(Some(behind(recorded(), Reached::Nothing))).unwrap();
    assert_eq!((plan.live.as_str(), plan.routes.len()), ("prod1", 1));
    assert_eq!(plan.routes[0].before, [("prod1".into(), 100), ("prod2".into(), 0)].into());
    assert_eq!(plan.routes[0].found, [("prod1".into(), 50), ("prod2".into(), 50)].into());
    assert_eq!(plan.apps[0].before["prod1"], Percent::ALL);
    assert_eq!((plan.may_write, plan.predecessors), (recorded().may_write, vec!["arn:other".to_owned()]));

    let nothing = restore(None).unwrap();
    assert!(nothing.routes.is_empty() && nothing.held_apps().next().is_none());
    // Left to a person, it is nobody's to take over: the restore claims it as any other run does.
    let left = Some(FoundBehind { interrupted: false, ..behind(recorded(), Reached::Left) });
    assert!(!restore(left).unwrap().takes_over());

    // A rule that is gone is named, and its app is given back all the same.
    let mut deleted = recorded();
    deleted.routes[0].arn = "arn:rule-deleted".into();
    let plan = restore(Some(behind(deleted, Reached::Nothing))).unwrap();
    assert!(plan.routes.is_empty() && plan.held_apps().count() == 1);
    assert!(plan.gone[0].starts_with("rule 1 (arn:rule-deleted) is gone"), "{:?}", plan.gone);
}

#[test]
fn a_restore_puts_nothing_back_that_is_not_of_its_app() {
    let restore = |change: &dyn Fn(&mut Record), interrupted: bool| {
        let mut found = found([50, 50]);
        let mut record = record(&[(&found.apps[0], [100, 0])], "prod1");
        change(&mut record);
        found.apps[0].lock.live_tag = Some("prod2".into());
        found.apps[0].lock.behind = Some(FoundBehind { interrupted, ..behind(record, Reached::Nothing) });
        make(json!({ "operation": "restore", "execution": "arn:other" }), &found)
    };
    let weights = |prod1, prod2| [("prod1".to_owned(), prod1), ("prod2".to_owned(), prod2)].into();
    for (change, says) in [
        (&(|r: &mut Record| r.routes[0].before = weights(0, 0)) as &dyn Fn(&mut Record), "prod1 0/prod2 0"),
        (&|r: &mut Record| r.routes[0].before = weights(1000, 0), "prod1 1000/prod2 0"),
        (&|r: &mut Record| r.routes[0].before = [("prod1".to_owned(), 100)].into(), "prod1 100"),
        (&|r: &mut Record| r.apps[0].standby_group = "arn:third".into(), "prod2 arn:third"),
        (&|r: &mut Record| r.apps[0].name = "portal".into(), "was none of web"),
    ] {
        // What was left to a person keeps nobody out.
        let refused = restore(change, false).unwrap_err();
        assert!(refused.contains(says), "{refused}");
        // An app that its restore holds is given free, and a person told.
        let plan = restore(change, true).unwrap();
        assert!(plan.routes.is_empty() && plan.takes_over() && plan.held_apps().count() == 1);
        assert!(
            plan.lost[0].starts_with("web: what arn:other had found cannot be put back"),
            "{:?}",
            plan.lost
        );
        assert!(plan.lost[0].contains(says), "{:?}", plan.lost);
        assert_eq!((plan.live.as_str(), plan.claim_after("Halted").reached), ("prod2", Reached::Released));
    }
}

prop_compose! {
    fn any_found()(
        weights in proptest::collection::vec([0u16..=999, 0u16..=999], 1..4),
        tag in proptest::option::of(prop_oneof![Just("prod1"), Just("prod2"), Just("x")]),
        attached in proptest::collection::vec(0u8..4, 4),
        healthy in [0u32..3, 0u32..3],
        even in any::<bool>(),
    ) -> Found {
        let mut made = found([1, 1]);
        for (fleet, healthy) in made.apps[0].fleets.iter_mut().zip(healthy) {
            fleet.health.healthy = healthy;
        }
        made.apps[0].routes = weights.iter().enumerate().map(|(i, [one, two])| {
            let groups: Vec<(&str, u16)> = match attached[i] {
                0 => vec![(ONE, *one)],
                1 => vec![(TWO, *two)],
                _ if even => vec![(ONE, *one), (TWO, *one)],
                _ => vec![(ONE, *one), (TWO, *two)],
            };
            route(&format!("rule {i}"), &groups)
        }).collect();
        made.apps[0].lock.live_tag = tag.map(str::to_owned);
        made
    }
}

proptest! {
    /// Whatever is found: a refusal, or a plan whose stages rise, add up and end where asked.
    #[test]
    fn a_plan_is_sound_or_refused(
        found in any_found(),
        operation in prop_oneof![Just("drain"), Just("shift"), Just("balance"), Just("failback")],
        standby in proptest::option::of(prop_oneof![Just("prod1"), Just("prod2")]),
    ) {
        let mut input = json!({ "operation": operation });
        if let Some(standby) = standby {
            input["standby"] = standby.into();
        }
        let Ok(plan) = make(input, &found) else { return Ok(()) };
        prop_assert_ne!(&plan.live, &plan.standby);
        if let Some(standby) = standby {
            prop_assert_eq!(&plan.standby, standby);
        }
        let percents = percents(&plan);
        let down = operation == "drain";
        prop_assert!(percents.is_sorted_by(|a, b| if down { a > b } else { a < b }), "{:?}", percents);
        let given = plan.routes.iter().filter(|_| down).map(|r| [&plan.live, &plan.standby].map(|f| r.found[f]));
        for [live, standby] in given {
            let (all, has) = (u32::from(live) + u32::from(standby), u32::from(standby));
            // A share is rounded to whole percent.
            let more = |percent: &&u8| u32::from(**percent) * all > has * 100 + all;
            prop_assert_eq!(percents.iter().find(more), None, "a drain gives the standby nothing");
        }
        let end = match operation { "drain" => 0, "balance" => 50, _ => 100 };
        prop_assert!(percents.last().is_none_or(|last| *last == end), "{:?}", percents);
        for stage in &plan.stages {
            let weights: u32 = plan.weights(stage.standby_percent).values().map(|p| u32::from(p.get())).sum();
            prop_assert_eq!(weights, 100);
        }
    }

    /// A run that follows its plan is never taken for a foreign writer, wherever it stands, and a
    /// rollback from anywhere gives every route what it had.
    #[test]
    fn a_run_recognises_its_own_weights(found in any_found(), written in any::<u8>()) {
        let Ok(plan) = make(json!({}), &found) else { return Ok(()) };
        let now = execution().started_at;
        let mut progress = Progress::default();
        let mut held: Vec<Vec<GroupWeight>> = found.apps[0].routes.iter().map(|r| r.groups.clone()).collect();
        for (index, stage) in plan.stages.iter().enumerate() {
            progress.stage = index;
            let desired = plan.apps[0].groups(stage.standby_percent);
            // Some routes were written by an attempt that failed half-way.
            for (i, (route, groups)) in plan.routes.iter().zip(&mut held).enumerate() {
                if written >> i & 1 == 1 {
                    *groups = with_weights(groups, &desired);
                }
                let allowed = progress::may_hold_before_set(&plan, &progress, route);
                prop_assert!(allowed.iter().any(|a| gives(groups, a)));
                let allowed = roll_back::may_hold(&plan, route);
                prop_assert!(allowed.iter().any(|a| gives(groups, a)));
                *groups = with_weights(groups, &desired);
                prop_assert!(holds(groups, &desired));
                let back = with_weights(groups, &plan.before_groups(route));
                prop_assert!(gives(&back, &plan.before_groups(route)));
            }
            progress = progress::set(&plan, &progress, now).unwrap();
        }
    }
}
