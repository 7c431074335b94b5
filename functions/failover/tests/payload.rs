//! What travels from state to state must fit: Step Functions hands on 256 KiB and no more. The most apps
//! and routes that a run may have, with names as long as AWS allows.

#![cfg(feature = "aws")]

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, AuthenticateOidcActionConfig, ForwardActionConfig, TargetGroupTuple,
};
use failover::aws::command;
use failover::input::Input;
use failover::model::samples::{Figures, Health, Odds};
use failover::model::weights::GroupWeight;
use failover::model::{Execution, Plan, Progress};
use failover::plan::calendar::Permit;
use failover::plan::{Found, FoundApp, FoundFleet, FoundLock, FoundRoute, Past, plan};
use failover::report::outcome;
use failover::run::poll::AppDecision;
use failover::run::precedence::Voice;
use failover::run::request::PollAnswer;
use failover::run::{lockstep, progress};
use failover::verdict::{Criteria, Evidence, JudgedStage, PeriodKind, StageEnding, Verdict, judge};
use serde_json::{Value, json};

const LIMIT: usize = 256 * 1024;
const APPS: usize = 16;
const ROUTES: usize = 4;

const PLACE: &str = "arn:aws:elasticloadbalancing:ap-southeast-2:123456789012";
const EXECUTION: &str = "arn:aws:states:ap-southeast-2:123456789012:execution:failover-of-the-online-shop:\
                         0f6c2a9e-93e4-7f55-1f1c-8a6c0f8d6a11_7d3f9b34-5d6c-4a52-9f0e-2b1c4d5e6f70";

fn names() -> Vec<String> {
    // With the fleet's part and a hyphen these are target group names of 32 characters.
    (0..APPS).map(|app| format!("online-shop-checkout-api-eu{app:02}")).collect()
}

fn group(name: &str) -> String {
    format!("{PLACE}:targetgroup/{name}/0123456789abcdef")
}

fn actions(groups: [&str; 2], signs_in: bool) -> Vec<Action> {
    let tuple = |(group, weight): (&str, i32)| {
        TargetGroupTuple::builder().target_group_arn(group).weight(weight).build()
    };
    let config = ForwardActionConfig::builder()
        .set_target_groups(Some(groups.into_iter().zip([100, 0]).map(tuple).collect()))
        .build();
    let forward = Action::builder().r#type(ActionTypeEnum::Forward).order(2).forward_config(config).build();
    let issuer = "https://cognito-idp.ap-southeast-2.amazonaws.com/ap-southeast-2_a1B2c3D4e";
    let oidc = AuthenticateOidcActionConfig::builder()
        .issuer(issuer)
        .authorization_endpoint(format!("{issuer}/oauth2/authorize"))
        .token_endpoint(format!("{issuer}/oauth2/token"))
        .user_info_endpoint(format!("{issuer}/oauth2/userInfo"))
        .client_id("6pv1k8f9q3ljrmhb4n7tcsuo2d")
        .scope("openid email profile")
        .session_cookie_name("AWSELBAuthSessionCookie")
        .session_timeout(604_800)
        .use_existing_client_secret(true)
        .build();
    let before = Action::builder()
        .r#type(ActionTypeEnum::AuthenticateOidc)
        .order(1)
        .authenticate_oidc_config(oidc)
        .build();
    if signs_in { vec![before, forward] } else { vec![forward] }
}

fn found(signs_in: bool) -> Found {
    let balancer = format!("{PLACE}:loadbalancer/app/the-load-balancer-of-all-our-apps/50dc6c495c0c9188");
    let app = |name: &String| {
        let fleet = |number: usize| FoundFleet {
            name: format!("production-{number}"),
            target_group_arn: group(&format!("{name}-{number:02}")),
            load_balancer_arns: vec![balancer.clone()],
            health: Health { healthy: 12, registered: 12, unused: false },
            release: None,
            target_stickiness: false,
            foreign_protocol: None,
        };
        let fleets = [fleet(1), fleet(2)];
        let groups = fleets.each_ref().map(|fleet| fleet.target_group_arn.as_str());
        let route = |number: usize| {
            let rule = format!(
                "{PLACE}:listener-rule/app/the-load-balancer-of-all-our-apps/50dc6c495c0c9188/f2f7dc8efc522ab2/\
                 {name:.14}{number:02}"
            );
            FoundRoute {
                arn: rule.clone(),
                rule_arn: rule.clone(),
                default_of: None,
                label: format!("rule 5{number:04} on port 443"),
                hosts: Vec::new(),
                groups: vec![GroupWeight::new(groups[0], 100), GroupWeight::new(groups[1], 0)],
                group_stickiness: false,
                revert_command: command::revert_command(None, &rule, &actions(groups, signs_in)),
            }
        };
        let past = [Past::default(), Past::default()];
        FoundApp {
            name: name.clone(),
            lock: FoundLock::default(),
            routes: (0..ROUTES).map(route).collect(),
            fleets,
            past,
            testers: Vec::new(),
        }
    };
    Found {
        apps: names().iter().map(app).collect(),
        alarms: Vec::new(),
        propagation_seconds: 15,
        permit: Permit::default(),
        chain: Vec::new(),
    }
}

const REASON: &str = "failures: production-2 0.13 % (13 of 10,000) against production-1 0.089 % (89 of 90,000): no \
                      difference found; too few requests to prove it good (needs 22,400, has 10,000); with less than an hour of \
                      history, more bad luck is allowed for";

/// A verdict with all its figures.
fn decision(verdict: Verdict, reason: &str) -> AppDecision {
    let stage = JudgedStage { index: 0, standby_percent: 10, kind: PeriodKind::Shift, bake_periods: 5 };
    let (live, standby) = ("production-1", "production-2");
    let evidence = Evidence {
        live,
        standby,
        past_of: live,
        period_seconds: 60,
        history: &[],
        beside: &[],
        balancer_history: &[],
        periods: &[],
        mixed: &[],
        stage,
    };
    let metrics = judge(&Criteria::default(), &evidence).metrics.to_vec();
    let odds = Odds { total: 1.234_567_890_123_45, metrics, careful: true };
    let figures = Figures { odds: Some(odds), ..Figures::default() };
    AppDecision {
        verdict,
        reason: reason.into(),
        ending: Some(StageEnding::InsufficientData),
        figures,
        both_dead: true,
        unmet: true,
        voice: Voice::Verdict,
    }
}

/// A run that has been through all its stages, a recheck and an approval in between; its last figures and reason.
fn at_the_end(plan: &Plan, reason: &str) -> (Progress, Value, String) {
    let now = plan.execution.started_at;
    let mut run = Progress::default();
    loop {
        run = progress::set(plan, &run, now).unwrap();
        let decisions = plan.apps.iter().map(|_| decision(Verdict::Advance, reason)).collect();
        let decision = lockstep::together(&plan.apps, decisions);
        let check =
            progress::polled(plan, &run, PollAnswer { decision, waits_since: Some(now), held: false }, now);
        let check = check.unwrap();
        run = check.progress;
        if check.fully_shifted {
            return (run, json!(check.figures), check.reason);
        }
    }
}

/// The most that any state of a run hands on, in bytes.
fn most(signs_in: bool, reason: &str) -> usize {
    let given = json!({ "app": names(), "bake": "15m", "approveBefore": [50], "release": "2026-11-22T10-00-00Z-4f2a9e1c" });
    let execution = Execution { arn: EXECUTION.into(), started_at: "2026-11-22T10:00:00Z".parse().unwrap() };
    let plan = plan(&Input::parse(&given).unwrap(), &execution, &found(signs_in)).unwrap();
    assert_eq!((plan.apps.len(), plan.routes.len()), (APPS, APPS * ROUTES));
    let (run, figures, why) = at_the_end(&plan, reason);
    let done = outcome::done(&plan, &run.timeline, None, execution.started_at);
    let dry = outcome::untouched(&plan, true);
    let ended = json!({
        "ending": "Completed", "why": why, "rolledBack": null, "outcome": done, "figures": figures
    });
    let sizes = [
        (
            "planned",
            json!({ "proceed": false, "probeStandby": false, "callHook": false, "plan": null, "progress": {}, "outcome": dry }),
        ),
        ("plan", json!(plan)),
        ("progress", json!(run)),
        ("swap-roles", json!({ "plan": plan, "progress": run, "figures": figures })),
        (
            "send-notice",
            json!({ "execution": EXECUTION, "input": given, "plan": plan, "progress": run, "ended": ended }),
        ),
    ]
    .map(|(what, value)| (what, value.to_string().len()));
    // As much as Step Functions says of an error, and as much as a rollback says of itself.
    let why = json!({ "Error": "AwsRefused", "Cause": "x".repeat(32_768) });
    let back = json!({ "ending": "RolledBack", "cause": "x".repeat(32_768), "settled": false });
    let ended = json!({ "ending": "RollBackFailed", "why": why, "rolledBack": back, "outcome": done, "figures": figures });
    let worst = json!({ "input": given, "plan": plan, "progress": run, "claimed": true, "ended": ended });
    let worst = worst.to_string().len();
    assert!(worst < LIMIT, "{worst} bytes at the end of a rollback that failed");
    println!("signing in: {signs_in}, bytes: {sizes:?}");
    sizes.into_iter().map(|(_, size)| size).max().unwrap()
}

#[test]
fn sixteen_apps_with_sixty_four_routes_fit_into_a_state() {
    let plain = most(false, REASON);
    assert!(plain < LIMIT * 6 / 10, "{plain} bytes");
    let signed_in = most(true, REASON);
    assert!(signed_in < LIMIT, "{signed_in} bytes where every route asks users to sign in");
}

/// Whatever a server, a hook, AWS or a tag says becomes a part of a reason, in every stage. All of them together take
/// the same room however many stages there are.
#[test]
fn texts_from_outside_do_not_outgrow_a_state() {
    for said in ["\u{1}", "\"", "\u{1F4A9}", "plain"] {
        let size = most(false, &said.repeat(100_000));
        assert!(size < LIMIT, "{size} bytes of {said:?}");
    }
}
