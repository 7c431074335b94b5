//! What every app does now.

use std::collections::BTreeMap;

use failover::input::Input;
use failover::model::Execution;
use failover::model::Operation;
use failover::model::claim::Claim;
use failover::model::weights::weight_of;
use failover::plan::{Found, FoundApp, FoundFleet, plan};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::{rows, wrapped};

/// An app now.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    /// Its name.
    pub app: String,
    /// Which fleet is live; nothing where that cannot be told.
    pub live: Option<String>,
    /// Both fleets.
    pub fleets: Vec<FleetStatus>,
    /// The run that is going on, if one is.
    pub run: Option<Running>,
    /// What stands in the way of the next run, if anything does.
    pub blocked: Option<String>,
    /// The operations that could begin now, as far as can be told from outside: windows, probes and hooks
    /// are looked at by a plan.
    pub possible: Vec<&'static str>,
}

/// A fleet now.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetStatus {
    /// Its name.
    pub fleet: String,
    /// Its part of the traffic of every route in percent, by the name of the route where they differ.
    pub percent: BTreeMap<String, u32>,
    /// What it runs, as far as runs were told.
    pub release: Option<String>,
    /// Its healthy targets.
    pub healthy_targets: u32,
    /// All of its targets.
    pub registered_targets: u32,
}

/// A run that is going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    /// The name of its execution.
    pub execution: String,
    /// The live fleet of its plan, once there is one.
    pub live: Option<String>,
    /// What it does, and where it is.
    pub what: String,
}

/// What an app does, from what is found on the balancer.
pub fn status(app: &FoundApp, run: Option<Running>, now: Timestamp) -> AppStatus {
    let found = |operation| {
        let found = Found {
            apps: vec![app.clone()],
            alarms: Vec::new(),
            propagation_seconds: 0,
            permit: failover::plan::calendar::Permit::default(),
            chain: Vec::new(),
        };
        let input = Input::parse(&json!({ "app": app.name, "operation": operation }))?;
        plan(&input, &Execution { arn: "status".into(), started_at: now }, &found)
    };
    let operations = [Operation::Drain, Operation::Shift, Operation::Balance, Operation::Failback];
    let plans = operations.map(|operation| (operation, found(operation)));
    let live = plans.iter().find_map(|(_, plan)| plan.as_ref().ok().map(|plan| plan.live.clone()));
    let possible = |(operation, plan): &(Operation, Result<failover::model::Plan, _>)| {
        plan.as_ref().is_ok_and(|plan| !plan.stages.is_empty()).then(|| operation.word())
    };
    let interrupted = matches!(app.lock.claim, Claim::Interrupted(_));
    // Whatever keeps a drain from its start keeps everything else; where one fleet has everything, a shift is next.
    let refused =
        plans.iter().take(2).find_map(|(_, plan)| plan.as_ref().err().map(|error| error.message.clone()));
    let one_has_all = app.routes.iter().all(|route| {
        app.fleets.iter().any(|fleet| weight_of(&route.groups, &fleet.target_group_arn).unwrap_or(0) == 0)
    });
    let blocked = refused.filter(|_| run.is_none() && (one_has_all || plans[0].1.is_err() || interrupted));
    AppStatus {
        app: app.name.clone(),
        // While a run moves the traffic, the weights do not say who is live: its plan does.
        live: live.or_else(|| run.as_ref().and_then(|run| run.live.clone())),
        fleets: app.fleets.iter().map(|fleet| fleet_status(app, fleet)).collect(),
        possible: if run.is_some() { Vec::new() } else { plans.iter().filter_map(possible).collect() },
        run,
        blocked: blocked.map(|why| why.trim_end_matches(" Nothing was touched.").to_owned()),
    }
}

fn fleet_status(app: &FoundApp, fleet: &FoundFleet) -> FleetStatus {
    let percent = |route: &failover::plan::FoundRoute| {
        let all: u32 = route.groups.iter().map(|group| u32::from(group.weight)).sum();
        let own = u32::from(weight_of(&route.groups, &fleet.target_group_arn).unwrap_or(0));
        (own * 100 + all / 2).checked_div(all).unwrap_or(0)
    };
    let mut by_route: BTreeMap<String, u32> =
        app.routes.iter().map(|r| (r.label.clone(), percent(r))).collect();
    let first = by_route.values().next().copied();
    if let Some(first) = first.filter(|first| by_route.values().all(|other| other == first)) {
        by_route = BTreeMap::from([(String::new(), first)]);
    }
    FleetStatus {
        fleet: fleet.name.clone(),
        percent: by_route,
        release: fleet.release.clone(),
        healthy_targets: fleet.health.healthy,
        registered_targets: fleet.health.registered,
    }
}

/// All apps: a line to a fleet, and below what is going on, what stands in the way and what is possible.
pub fn lines(apps: &[AppStatus], width: Option<usize>) -> Vec<String> {
    let head = ["APP", "FLEET", "ROLE", "TRAFFIC", "RELEASE", "TARGETS"].map(str::to_owned).to_vec();
    let row = |app: &AppStatus, fleet: &FleetStatus| {
        let role = match &app.live {
            None => "not known",
            Some(live) if *live == fleet.fleet => "live",
            Some(_) => "standby",
        };
        let traffic = |(route, percent): (&String, &u32)| match route.as_str() {
            "" => format!("{percent} %"),
            route => format!("{percent} % of {route}"),
        };
        let traffic: Vec<String> = fleet.percent.iter().map(traffic).collect();
        vec![
            app.app.clone(),
            fleet.fleet.clone(),
            role.into(),
            traffic.join(", "),
            fleet.release.clone().unwrap_or_else(|| "-".into()),
            format!("{} of {} healthy", fleet.healthy_targets, fleet.registered_targets),
        ]
    };
    let fleets = apps.iter().flat_map(|app| app.fleets.iter().map(|fleet| row(app, fleet)));
    let mut table = rows(std::iter::once(head).chain(fleets).collect()).into_iter();
    let mut lines: Vec<String> = table.by_ref().take(1).collect();
    for app in apps {
        lines.extend(table.by_ref().take(app.fleets.len()).map(|line| wrapped(&line, 8, width)));
        let mut note = |what: &str, text: &str| lines.push(wrapped(&format!("    {what}: {text}"), 8, width));
        match &app.run {
            Some(run) => note("going on", &format!("{} ({})", run.what, run.execution)),
            None if app.possible.is_empty() => {}
            None => note("possible", &app.possible.join(", ")),
        }
        if let Some(blocked) = &app.blocked {
            note("in the way", blocked);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use failover::model::samples::Health;
    use failover::model::weights::GroupWeight;
    use failover::plan::{FoundLock, FoundRoute, Past};

    use super::*;

    fn app(weights: [u16; 2], healthy: u32, claim: Claim) -> FoundApp {
        let fleet = |name: &str, healthy| FoundFleet {
            name: name.into(),
            target_group_arn: format!("arn:{name}"),
            load_balancer_arns: vec![
                "arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/shop/1".into(),
            ],
            health: Health { healthy, registered: 2, unused: false },
            release: (name == "prod1").then(|| "v41".into()),
            target_stickiness: false,
            foreign_protocol: None,
        };
        FoundApp {
            name: "web".into(),
            lock: FoundLock { claim, ..FoundLock::default() },
            fleets: [fleet("prod1", 2), fleet("prod2", healthy)],
            past: [Past::default(), Past::default()],
            routes: vec![FoundRoute {
                arn: "arn:rule".into(),
                rule_arn: "arn:rule".into(),
                default_of: None,
                label: "rule 10 on port 443".into(),
                hosts: Vec::new(),
                groups: vec![
                    GroupWeight::new("arn:prod1", weights[0]),
                    GroupWeight::new("arn:prod2", weights[1]),
                ],
                group_stickiness: false,
                revert_command: String::new(),
            }],
            testers: Vec::new(),
        }
    }

    #[test]
    fn an_app_says_what_it_does_and_what_is_possible() {
        let found = status(&app([100, 0], 2, Claim::Free), None, Timestamp::UNIX_EPOCH);
        assert_eq!((found.live.as_deref(), &found.blocked), (Some("prod1"), &None));
        assert!(
            found.possible.contains(&"shift") && found.possible.contains(&"failback"),
            "{:?}",
            found.possible
        );
        let shown = lines(&[found], Some(80)).join("\n");
        assert!(shown.contains("web  prod1  live     100 %    v41      2 of 2 healthy"), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    }

    #[test]
    fn what_stands_in_the_way_is_told() {
        let sick = status(&app([100, 0], 0, Claim::Free), None, Timestamp::UNIX_EPOCH);
        assert!(sick.blocked.as_ref().is_some_and(|why| why.contains("prod2")), "{sick:?}");
        let claim = Claim::Interrupted("arn:stopped".into());
        let left = status(&app([75, 25], 2, claim), None, Timestamp::UNIX_EPOCH);
        assert!(left.blocked.as_ref().is_some_and(|why| why.contains("interrupted")), "{left:?}");
    }

    #[test]
    fn a_run_that_is_going_on_is_told_instead_of_what_is_possible() {
        let run = Running {
            execution: "web-shift-1".into(),
            live: Some("prod1".into()),
            what: "shift v42, stage 2 of 3".into(),
        };
        let claim = Claim::Running("arn:web-shift-1".into());
        let found = status(&app([50, 50], 2, claim), Some(run), Timestamp::UNIX_EPOCH);
        assert!(found.possible.is_empty() && found.blocked.is_none(), "{found:?}");
        assert_eq!(found.live.as_deref(), Some("prod1"));
        let shown = lines(&[found], None).join("\n");
        assert!(shown.contains("going on: shift v42, stage 2 of 3 (web-shift-1)"), "{shown}");
    }
}
