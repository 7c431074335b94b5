//! What is said of an ending is what the balancer holds then: from every start, for every operation.

use std::collections::BTreeMap;

use failover::model::Plan;
use failover::model::samples::Health;
use failover::report::notice::{Notice, notice};
use failover::report::outcome;
use failover::run::roll_back::Seen;
use failover::run::{progress, roll_back};
use failover::wire::{NoticeRequest, Outcome, RollBackEnding};
use jiff::Timestamp;
use serde_json::{Value, json};

/// What each route of each app holds for prod1 and prod2.
type Balancer = Vec<Vec<[u16; 2]>>;

/// A fixed forward, converted ones, other weights than a hundred, several apps, and routes that disagree.
fn starts() -> Vec<Balancer> {
    let one = [[100, 0], [1, 0], [50, 50], [70, 30], [999, 0], [33, 20], [0, 100]];
    let several: [Balancer; 4] = [
        vec![vec![[100, 0]], vec![[100, 0]]],
        vec![vec![[50, 50]], vec![[50, 50]]],
        vec![vec![[100, 0]], vec![[60, 40]]],
        vec![vec![[100, 0], [60, 40]], vec![[100, 0]]],
    ];
    let disagree = vec![vec![[100, 0], [60, 40]]];
    one.map(|weights| vec![vec![weights]]).into_iter().chain(several).chain([disagree]).collect()
}

fn plan(operation: &str, start: &Balancer) -> Plan {
    let names: Vec<String> = (0..start.len()).map(|app| format!("app{app}")).collect();
    let percent = |[live, standby]: [u16; 2]| {
        let share = (u32::from(standby) * 100 + u32::from(live + standby) / 2) / u32::from(live + standby);
        json!({ "prod1": 100 - share, "prod2": share })
    };
    let apps = start.iter().zip(&names).map(|(routes, name)| {
        json!({
            "name": name, "liveGroup": format!("{name}-1"), "standbyGroup": format!("{name}-2"),
            "before": percent(routes[0]), "slowSeconds": 1.0, "hungSeconds": 4.0,
        })
    });
    let routes = start.iter().enumerate().flat_map(|(app, routes)| {
        routes.iter().enumerate().map(move |(number, [live, standby])| {
            let weights = json!({ "prod1": live, "prod2": standby });
            json!({
                "app": app, "arn": format!("arn:{app}-{number}"), "ruleArn": format!("arn:{app}-{number}"),
                "label": format!("rule {app}{number}"), "found": weights, "before": weights, "revertCommand": "aws",
            })
        })
    });
    let (end, gate) = match operation {
        "drain" => (0, "drained"),
        "balance" => (50, "healthyStandby"),
        _ => (100, "healthyStandby"),
    };
    let stage = json!({ "standbyPercent": end, "bakeSeconds": 300, "gate": gate });
    let stages = if operation == "restore" { vec![] } else { vec![stage] };
    serde_json::from_value(json!({
        "version": 1, "app": if names.len() == 1 { json!(names[0]) } else { json!(names) }, "operation": operation,
        "apps": apps.collect::<Vec<_>>(), "routes": routes.collect::<Vec<_>>(), "stages": stages,
        "loadBalancerArn": "arn:balancer", "live": "prod1", "standby": "prod2", "mayWrite": [end],
        "execution": { "arn": "arn:execution", "startedAt": "2026-11-22T10:00:00Z" },
        "propagationSeconds": 15, "pollSeconds": 30, "periodSeconds": 60, "criteria": {}, "checks": [],
    }))
    .unwrap()
}

fn told(plan: &Plan, ending: &str, cause: Option<&str>, outcome: Option<&Outcome>) -> Notice {
    let back = cause.filter(|_| outcome.is_none());
    let back = back.map(|cause| json!({ "ending": ending, "cause": cause, "settled": true }));
    let ended = json!({ "ending": ending, "why": cause, "rolledBack": back, "outcome": outcome });
    let request = json!({
        "execution": "arn:execution", "input": {}, "plan": plan, "progress": null, "ended": ended,
    });
    let request: NoticeRequest = serde_json::from_value(request).unwrap();
    notice(&request, "2026-11-22T10:20:00Z".parse().unwrap()).unwrap()
}

/// Percent of prod1 and prod2 on every route, rounded.
fn shares(balancer: &Balancer) -> Vec<[u32; 2]> {
    let share = |[one, two]: &[u16; 2]| {
        let two = (u32::from(*two) * 100 + u32::from(one + two) / 2) / u32::from(one + two);
        [100 - two, two]
    };
    balancer.iter().flatten().map(share).collect()
}

/// No text names a fleet that carries everything, nor a split, unless all routes hold it.
fn agrees(what: &str, text: &str, balancer: &Balancer) {
    let shares = shares(balancer);
    for (index, fleet) in ["prod1", "prod2"].into_iter().enumerate() {
        let claims = [
            format!("{fleet} carries the traffic"),
            format!("{fleet} carries all traffic"),
            format!("{fleet} now carries all traffic"),
            format!("all traffic on {fleet}"),
        ];
        if claims.iter().any(|claim| text.contains(claim.as_str())) {
            assert!(shares.iter().all(|share| share[index] == 100), "{what}: {text}: {shares:?}");
        }
    }
    for words in
        ["rolled back to ", "are back and read back: ", "restored to ", "restored, read back: ", "TRAFFIC   "]
    {
        // Behind these the split of all routes is the first thing that is said.
        let said = text.find(words).map(|at| &text[at + words.len()..]);
        if let Some(said) = said.filter(|said| said.starts_with("prod1 ")) {
            let first = shares[0];
            let split = format!("prod1 {} %, prod2 {} %", first[0], first[1]);
            assert!(said.starts_with(&split) && shares.iter().all(|share| *share == first), "{what}: {text}");
        }
    }
    if text.contains("both fleets carry half") {
        assert!(shares.iter().all(|share| *share == [50, 50]), "{what}: {text}");
    }
}

/// Nor do weights in an event or an output.
fn weighs(what: &str, weights: &Value, balancer: &Balancer) {
    if let (Some(one), Some(two)) = (weights["prod1"].as_u64(), weights["prod2"].as_u64()) {
        let alike = shares(balancer).iter().all(|share| share.map(u64::from) == [one, two]);
        assert!(alike, "{what}: {weights}: {balancer:?}");
    }
}

const HEALTHY: Health = Health { healthy: 2, registered: 2, unused: false };
const DEAD: Health = Health { healthy: 0, registered: 2, unused: false };

#[test]
fn where_a_run_goes_back_to_is_said_as_it_is() {
    for operation in ["drain", "shift", "balance", "failback", "restore"] {
        for (start, targets) in starts().iter().flat_map(|start| {
            [[HEALTHY, HEALTHY], [DEAD, HEALTHY], [HEALTHY, DEAD]].map(|targets| (start, targets))
        }) {
            let plan = plan(operation, start);
            let seen = Seen { targets: vec![Some(targets); start.len()], ..Seen::default() };
            let ways = roll_back::ways(&plan, &seen, None);
            let answer = roll_back::answer(&plan, &ways, &seen, &json!("prod2 fails"), None);
            // Written as `RollBack` does.
            let mut balancer = start.clone();
            let mut numbers = vec![0; start.len()];
            for route in &plan.routes {
                let weights = ways[route.app].groups(&plan, route);
                let number = &mut numbers[route.app];
                balancer[route.app][*number] = [weights[0].weight, weights[1].weight];
                *number += 1;
            }
            let ending = match answer.ending {
                RollBackEnding::RolledBack => "RolledBack",
                RollBackEnding::FailedOver => "FailedOver",
                RollBackEnding::Restored => "Completed",
                other => panic!("{other:?}"),
            };
            let what = format!("{operation} from {start:?}, {ending}");
            agrees(&what, &answer.cause, &balancer);
            let outcome = (ending == "Completed")
                .then(|| outcome::done(&plan, &[], None, "2026-11-22T10:20:00Z".parse().unwrap()));
            if let Some(outcome) = &outcome {
                agrees(&what, &outcome.summary, &balancer);
                weighs(&what, &serde_json::to_value(&outcome.weights).unwrap(), &balancer);
            }
            let notice = told(&plan, ending, Some(&answer.cause), outcome.as_ref());
            agrees(&what, &notice.subject, &balancer);
            agrees(&what, &notice.text, &balancer);
            weighs(&what, &serde_json::to_value(&notice.event.weights).unwrap(), &balancer);
            let certain = ending != "FailedOver" && shares(&balancer).windows(2).all(|two| two[0] == two[1]);
            assert_eq!(notice.event.weights.is_some(), certain, "{what}");
        }
    }
}

#[test]
fn where_a_run_has_arrived_is_said_as_it_is() {
    let now: Timestamp = "2026-11-22T10:20:00Z".parse().unwrap();
    for operation in ["drain", "shift", "balance", "failback"] {
        for start in starts() {
            let plan = plan(operation, &start);
            let arrived = progress::set(&plan, &failover::model::Progress::default(), now).unwrap();
            let share = plan.stages[0].standby_percent.get();
            let end = [u16::from(100 - share), u16::from(share)];
            let balancer: Balancer = start.iter().map(|routes| vec![end; routes.len()]).collect();
            let outcome = outcome::done(&plan, &arrived.timeline, Some(&BTreeMap::new()), now);
            let what = format!("{operation} from {start:?}");
            agrees(&what, &outcome.summary, &balancer);
            let weights = serde_json::to_value(&outcome.weights).unwrap();
            weighs(&what, &weights, &balancer);
            assert!(weights.is_object(), "{what}: every route holds the same");
            // Who carries everything is live, and after a balance who was.
            let live = if share == 100 { "prod2" } else { "prod1" };
            assert_eq!(outcome.live, live, "{what}");
            let notice = told(&plan, "Completed", None, Some(&outcome));
            agrees(&what, &notice.subject, &balancer);
            agrees(&what, &notice.text, &balancer);
            weighs(&what, &serde_json::to_value(&notice.event.weights).unwrap(), &balancer);
        }
    }
}

#[test]
fn a_run_with_nothing_to_do_says_what_stands() {
    for start in starts() {
        let plan = Plan { stages: Vec::new(), ..plan("balance", &start) };
        let outcome = outcome::untouched(&plan, false);
        let what = format!("{start:?}: {}", outcome.summary);
        weighs(&what, &serde_json::to_value(&outcome.weights).unwrap(), &start);
        let alike = shares(&start).windows(2).all(|two| two[0] == two[1]);
        assert_eq!(outcome.weights.is_some(), alike, "{what}");
        for [one, two] in shares(&start) {
            assert!(outcome.summary.contains(&format!("prod1 {one} %, prod2 {two} %")), "{what}");
        }
    }
}
