//! What the team reads, on runs made up by hand.

use failover::report::notice::{Moment, Notice, notice};
use failover::wire::NoticeRequest;
use jiff::Timestamp;
use serde_json::{Value, json};

const WHAT: &str = "What happened, where the traffic is, what to do.";
const ARN: &str = "arn:aws:states:eu-central-1:123456789012:execution:failover:web-1";

fn plan(operation: &str, stages: &[(u8, &str)]) -> Value {
    let stages = stages
        .iter()
        .map(|(percent, gate)| json!({ "standbyPercent": percent, "bakeSeconds": 300, "gate": gate }));
    json!({
        "version": 1, "app": "web", "operation": operation, "release": "4f2a", "loadBalancerArn": "arn:balancer",
        "execution": { "arn": ARN, "startedAt": "2026-11-22T10:00:00Z" },
        "live": "prod1", "standby": "prod2",
        "apps": [{
            "name": "web", "liveGroup": "arn:one", "standbyGroup": "arn:two",
            "before": { "prod1": 100, "prod2": 0 }, "slowSeconds": 1.0, "hungSeconds": 4.0,
        }],
        "routes": [{
            "arn": "arn:rule", "ruleArn": "arn:rule", "label": "rule 10 on port 443", "revertCommand": "",
            "found": { "prod1": 100, "prod2": 0 }, "before": { "prod1": 100, "prod2": 0 },
        }],
        "stages": stages.collect::<Vec<_>>(), "mayWrite": [10, 100],
        "propagationSeconds": 15, "pollSeconds": 30, "periodSeconds": 60, "criteria": {},
        "checks": [],
    })
}

fn shift() -> Value {
    plan("shift", &[(10, "healthyStandby"), (100, "healthyStandby")])
}

fn told(plan: &Value, progress: &Value, ended: &Value) -> Option<Notice> {
    let input = json!({ "app": "web", "startedBy": "Kim" });
    let request = json!({
        "execution": ARN, "input": input, "plan": plan, "progress": progress, "ended": ended,
    });
    let request: NoticeRequest = serde_json::from_value(request).unwrap();
    let now: Timestamp = "2026-11-22T10:20:00Z".parse().unwrap();
    notice(&request, now)
}

fn ended(ending: &str) -> Value {
    let why = json!({ "Error": ending, "Cause": json!({ "errorMessage": WHAT }).to_string() });
    let back = json!({ "ending": "RolledBack", "cause": WHAT, "settled": true });
    json!({ "ending": ending, "why": why, "rolledBack": (ending == "RolledBack").then_some(back), "outcome": null })
}

#[test]
fn before_the_first_write_it_says_what_will_happen_when_and_by_whom() {
    let mut plan = shift();
    plan["routes"][0]["revertCommand"] = "aws elbv2 modify-rule --rule-arn arn:rule".into();
    let notice = told(&plan, &Value::Null, &Value::Null).unwrap();
    assert_eq!(notice.subject, "[BEGINS] web: shift, prod2 (release 4f2a)");
    let expected = [
        "web: a shift begins. prod2 (release 4f2a) takes over from prod1 in 2 stages.\n",
        "2026-11-22 10:20:00 UTC  prod1 90 %, prod2 10 %\n",
        // A bake of five minutes and two periods.
        "2026-11-22 10:27:00 UTC  prod1 0 %, prod2 100 %\n",
        "2026-11-22 10:34:00 UTC  done, at the earliest\n",
        "go back by themselves to prod1 100 %, prod2 0 %",
        "To have it put back what it found: failover rollback web\n",
        "these put the weights back to prod1 100 %, prod2 0 %:\naws elbv2 modify-rule --rule-arn arn:rule\n",
        "Routes: rule 10 on port 443\nStarted by: Kim\n",
        "https://eu-central-1.console.aws.amazon.com/states/home?region=eu-central-1#/v2/executions/details/arn:",
    ];
    for expected in expected {
        assert!(notice.text.contains(expected), "{expected:?} is not in {}", notice.text);
    }
    let event = notice.event;
    assert_eq!((event.moment, event.pages, event.ending), (Moment::Start, false, None));
    assert_eq!(event.stages[1].at.to_string(), "2026-11-22T10:27:00Z");
    assert_eq!(event.started_by.as_deref(), Some("Kim"));
}

#[test]
fn several_apps_are_told_of_together() {
    let mut plan = shift();
    let app = |name: &str, before: [u8; 2]| {
        json!({
            "name": name, "liveGroup": name, "standbyGroup": name,
            "before": { "prod1": before[0], "prod2": before[1] }, "slowSeconds": 1.0, "hungSeconds": 4.0,
        })
    };
    plan["app"] = json!(["web", "portal"]);
    plan["apps"] = json!([app("web", [100, 0]), app("portal", [100, 0])]);
    let notice = told(&plan, &Value::Null, &Value::Null).unwrap();
    assert_eq!(notice.subject, "[BEGINS] web and portal: shift, prod2 (release 4f2a)");
    assert!(notice.text.starts_with("web and portal: a shift begins."), "{}", notice.text);
    assert!(notice.text.contains("go back by themselves to prod1 100 %, prod2 0 %."), "{}", notice.text);
    let event = serde_json::to_value(&notice.event).unwrap();
    assert_eq!(event["app"], json!(["web", "portal"]));
    assert_eq!(event["weights"], json!({ "prod1": 100, "prod2": 0 }));

    plan["apps"] = json!([app("web", [100, 0]), app("portal", [60, 40])]);
    let notice = told(&plan, &Value::Null, &Value::Null).unwrap();
    let says = "to web: prod1 100 %, prod2 0 %; portal: prod1 60 %, prod2 40 %.";
    assert!(notice.text.contains(says), "{}", notice.text);
    assert_eq!(serde_json::to_value(&notice.event).unwrap().get("weights"), None);

    // However long their names are, it says what happened.
    let names: Vec<String> = (0..16).map(|i| format!("an-app-whose-name-is-rather-l-{i:02}")).collect();
    plan["app"] = json!(names);
    let notice = told(&plan, &Value::Null, &ended("Halted")).unwrap();
    assert_eq!(
        notice.subject,
        "[ACT NOW] an-app-whose-name-is-rather-l-00 and 15 more: shift ended in Halted"
    );
}

#[test]
fn what_is_probed_is_told_before() {
    let mut plan = shift();
    plan["probing"] = json!({
        "probes": [{ "path": "/health" }, { "path": "/login", "method": "HEAD" }],
        "addresses": { "web": { "prod1": "https://one.example", "prod2": "https://two.example" } },
    });
    let text = told(&plan, &Value::Null, &Value::Null).unwrap().text;
    let says = "Application probes: at every stage GET /health and HEAD /login must pass on prod1 and prod2.";
    assert!(text.contains(says), "{text}");
}

#[test]
fn every_operation_says_what_it_does() {
    let fixed = plan("shift", &[(0, "targetsHealthy"), (100, "healthyStandby")]);
    for (plan, expected) in [
        (
            plan("drain", &[(0, "drained")]),
            "All traffic goes to prod1 in one step, so that prod2 can be deployed to.",
        ),
        (plan("balance", &[(50, "healthyStandby")]), "prod2 (release 4f2a) joins prod1 in one step"),
        (plan("failback", &[(100, "healthyStandby")]), "prod2 takes over from prod1 again, in one step."),
        (fixed, "prod1 100 %, prod2 0 %; until its targets are healthy"),
    ] {
        let notice = told(&plan, &Value::Null, &Value::Null).unwrap();
        assert!(notice.text.contains(expected), "{expected:?} is not in {}", notice.text);
    }
}

#[test]
fn where_it_waits_for_a_person_it_says_what_was_measured_and_what_to_type() {
    let mut plan = shift();
    plan["approval"] = json!({ "before": [100], "withinSeconds": 3600, "otherwise": "halt" });
    let progress = json!({ "stage": 0, "waitSeconds": 30, "waitsSince": "2026-11-22T10:15:00Z", "timeline": [
        { "stage": 0, "weights": { "prod1": 90, "prod2": 10 }, "startedAt": "2026-11-22T10:01:00Z",
          "verdict": "wait", "reason": "no difference found", "ending": "accepted" },
    ] });
    let notice = told(&plan, &progress, &Value::Null).unwrap();
    assert_eq!(notice.subject, "[APPROVE] web: shift to 100 % on prod2?");
    for expected in [
        "waits for an approval before prod1 0 %, prod2 100 %",
        "until 2026-11-22 11:15:00 UTC the run ends and leaves the weights as they are",
        "prod1 90 %, prod2 10 %; accepted; no difference found",
        "add-tags --resource-arns arn:one --tags 'Key=failover:request,Value=approve-100'",
        "Value=rollback'",
        "To go on, either of:\n  failover approve web\n",
        "To go back, either of:\n  failover rollback web\n",
    ] {
        assert!(notice.text.contains(expected), "{expected:?} is not in {}", notice.text);
    }
    assert_eq!((notice.event.moment, notice.event.pages), (Moment::Approval, false));
}

#[test]
fn at_the_end_it_says_how_it_went() {
    let progress = json!({ "stage": 1, "waitSeconds": 0, "timeline": [
        { "stage": 0, "weights": { "prod1": 90, "prod2": 10 }, "startedAt": "2026-11-22T10:01:00Z",
          "verdict": "rollBack", "reason": "prod2 fails", "ending": "suspect" },
    ] });
    let fleet = |requests: u64, failures: u64| json!({ "requests": requests, "failures": failures, "slow": 0, "healthyTargets": 2, "registeredTargets": 2 });
    let mut rolled_back = ended("RolledBack");
    rolled_back["figures"] = json!({ "web": {
        "live": fleet(90, 0), "standby": fleet(10, 4), "balancerErrors": 0,
        "runLive": fleet(9000, 1), "runStandby": fleet(1000, 41),
    } });
    let notice = told(&shift(), &progress, &rolled_back).unwrap();
    assert_eq!(notice.subject, "[ROLLED BACK] web: shift rolled back, prod1 carries the traffic");
    let four = "TRAFFIC   prod1 100 %, prod2 0 %, read back\n\
                USERS     not any more; failed during the run: 4.1 % (41 of 1,000) on prod2, 0.011 % (1 of 9,000) on prod1\n\
                WHY       What happened, where the traffic is, what to do.\n\
                DO        Look into 4f2a on prod2, repair it, then: failover shift web\n";
    assert!(notice.text.starts_with(four), "{}", notice.text);
    assert!(
        notice.text.contains("10:01:00 UTC  prod1 90 %, prod2 10 %; suspect; prod2 fails\n"),
        "{}",
        notice.text
    );
    assert!(notice.text.contains("Took 20m, over at 2026-11-22 10:20:00 UTC."), "{}", notice.text);
    let weights = serde_json::to_value(&notice.event.weights).unwrap();
    assert_eq!(weights, json!({ "prod1": 100, "prod2": 0 }));
    assert!(!notice.event.pages);

    let outcome = json!({
        "status": "shifted", "operation": "shift", "app": "web", "live": "prod2", "standby": "prod1",
        "standbyTargetGroup": "arn:one", "weights": { "prod1": 0, "prod2": 100 }, "routes": [], "stages": [],
        "summary": "web: prod2 now carries all traffic (2 stages, 20m)",
    });
    // The cause is that of an earlier state.
    let completed =
        json!({ "ending": "Completed", "why": "nothing", "rolledBack": null, "outcome": outcome });
    let notice = told(&shift(), &Value::Null, &completed).unwrap();
    assert_eq!(notice.subject, "[OK] web: shifted, prod2 carries all traffic");
    assert!(
        notice.text.starts_with(
            "TRAFFIC   prod1 0 %, prod2 100 %, read back\n\
             USERS     not harmed by it; nothing was measured\n\
             WHY       web: prod2 now carries all traffic (2 stages, 20m).\n\
             DO        Deploy the same release to prod1, then: failover balance web\n          \
             Should a fault show now: failover failback web\n"
        ),
        "{}",
        notice.text
    );
    assert_eq!(serde_json::to_value(notice.event.status).unwrap(), "shifted");
}

#[test]
fn a_subject_after_a_rollback_says_the_split_that_stands() {
    let mut even = shift();
    even["apps"][0]["before"] = json!({ "prod1": 50, "prod2": 50 });
    even["routes"][0]["before"] = json!({ "prod1": 1, "prod2": 1 });
    let subject = told(&even, &Value::Null, &ended("RolledBack")).unwrap().subject;
    assert_eq!(subject, "[ROLLED BACK] web: shift rolled back to prod1 50 %, prod2 50 %");
}

#[test]
fn a_run_that_another_state_machine_started_says_so() {
    let started_by = |input: Value| {
        let request = json!({
            "execution": ARN, "input": input, "plan": shift(), "progress": null, "ended": null,
        });
        notice(&serde_json::from_value(request).unwrap(), Timestamp::UNIX_EPOCH).unwrap().event.started_by
    };
    let by = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID";
    assert_eq!(started_by(json!({ by: "arn:release:1" })).as_deref(), Some("arn:release:1"));
    assert_eq!(started_by(json!({ by: "arn:release:1", "startedBy": "Kim" })).as_deref(), Some("Kim"));
}

#[test]
fn an_ending_that_pages_says_so_first() {
    for ending in ["FailedOver", "ExternalChange", "Halted", "RollBackFailed"] {
        let notice = told(&shift(), &Value::Null, &ended(ending)).unwrap();
        assert_eq!(notice.subject, format!("[ACT NOW] web: shift ended in {ending}"));
        assert!(notice.text.starts_with("TRAFFIC   "), "{}", notice.text);
        assert!(notice.text.contains("What happened, where the traffic is, what to do."), "{}", notice.text);
        assert!(notice.event.pages);
        // What is left behind is not certain.
        assert_eq!(notice.event.weights, None);
    }
}

#[test]
fn where_the_balancer_was_asked_the_first_line_is_its_answer() {
    let mut ended = ended("ExternalChange");
    ended["traffic"] = "prod1 40 %, prod2 60 %".into();
    let notice = told(&shift(), &Value::Null, &ended).unwrap();
    assert!(
        notice.text.starts_with("TRAFFIC   prod1 40 %, prod2 60 %, as the balancer says\n"),
        "{}",
        notice.text
    );
}

#[test]
fn roles_that_are_not_recorded_wait_for_the_morning() {
    let notice = told(&shift(), &Value::Null, &ended("RolesNotRecorded")).unwrap();
    assert_eq!(notice.subject, "[TICKET] web: shift ended in RolesNotRecorded");
    assert!(notice.text.contains("The traffic is fine."), "{}", notice.text);
    assert!(!notice.event.pages);
}

#[test]
fn a_run_that_touched_nothing_tells_nobody_unless_it_was_to_restore() {
    assert_eq!(told(&shift(), &Value::Null, &ended("PlanRejected")), None);
    assert_eq!(told(&Value::Null, &Value::Null, &ended("PlanRejected")), None);
    assert_eq!(told(&plan("restore", &[]), &Value::Null, &ended("Unchanged")), None);

    let request: NoticeRequest = serde_json::from_value(json!({
        "execution": ARN, "input": { "operation": "restore", "execution": "arn:stopped" },
        "plan": null, "progress": null, "ended": ended("PlanRejected"),
    }))
    .unwrap();
    let notice = notice(&request, Timestamp::UNIX_EPOCH).unwrap();
    assert!(notice.event.pages);
    assert!(notice.text.contains("the restore of arn:stopped could not begin"), "{}", notice.text);
}

#[test]
fn a_subject_fits_into_a_mail() {
    let mut long = shift();
    long["release"] = json!(format!("grün{}", "x".repeat(250)));
    let notice = told(&long, &Value::Null, &Value::Null).unwrap();
    assert!(notice.subject.len() == 99 && notice.subject.is_ascii(), "{}", notice.subject);
}

#[test]
fn a_rollback_that_does_not_get_through_pages_while_it_is_tried() {
    let mut plan = shift();
    let mut other = plan["routes"][0].clone();
    plan["routes"][0]["revertCommand"] = "aws elbv2 modify-rule --rule-arn arn:rule".into();
    other["revertCommand"] = "aws elbv2 modify-listener --listener-arn arn:listener".into();
    plan["routes"].as_array_mut().unwrap().push(other);
    let request = json!({
        "execution": ARN, "input": { "app": "web" }, "plan": plan, "progress": null, "ended": null,
        "stuck": { "Error": "States.Timeout", "Cause": "" },
    });
    let request: NoticeRequest = serde_json::from_value(request).unwrap();
    let notice = notice(&request, "2026-11-22T10:20:00Z".parse().unwrap()).unwrap();
    assert_eq!(notice.subject, "[ACT NOW] web: shift cannot be rolled back so far");
    assert!(notice.event.pages && notice.event.moment == Moment::Stuck && notice.event.ending.is_none());
    for says in [
        "(prod1 100 %, prod2 0 %) could not be put back so far",
        "failed: the function did not answer within its time-out (States.Timeout).",
        "USERS     perhaps harmed",
        "DO        Put the weights back by hand; the run ends as rolled back once it finds them:\n          aws elbv2 \
         modify-rule --rule-arn arn:rule\n          aws elbv2 modify-listener",
    ] {
        assert!(notice.text.contains(says), "{says:?} is not in {}", notice.text);
    }
}

/// Words of the IAM guide, "Troubleshoot access denied error messages", and of the balancer about Cognito.
#[test]
fn a_right_that_is_missing_is_named_with_what_to_do_at_once() {
    let user = "User: arn:aws:sts::123456789012:assumed-role/failover-roll-back/failover-roll-back is not authorized to";
    for (says, right) in [
        (
            format!(
                "{user} perform: elasticloadbalancing:ModifyRule on resource: arn:rule because no identity-based policy"
            ),
            "elasticloadbalancing:ModifyRule",
        ),
        ("User is not authorized to perform 'describeUserPoolClient'".to_owned(), "describeUserPoolClient"),
    ] {
        let error =
            json!({ "errorMessage": format!("AWS answered AccessDenied while changing rule 10: {says}") });
        let request = json!({
            "execution": ARN, "input": { "app": "web" }, "plan": shift(), "progress": null, "ended": null,
            "stuck": { "Error": "AwsRefused", "Cause": error.to_string() },
        });
        let request: NoticeRequest = serde_json::from_value(request).unwrap();
        let notice = notice(&request, "2026-11-22T10:20:00Z".parse().unwrap()).unwrap();
        assert!(notice.event.pages);
        let text = notice.text;
        let missing = format!(
            "could not be put back so far, since the right {right} is missing. The last attempt failed"
        );
        let (weights, given) =
            (text.find("Put the weights back by hand"), text.find(&format!("the right {right} again")));
        assert!(
            text.contains(&missing) && text.contains(&says) && weights < given && weights.is_some(),
            "{text}"
        );
    }
}

/// Whoever starts a failback does so because something is wrong where it goes back to.
#[test]
fn a_failback_that_is_rolled_back_pages() {
    let failback = plan("failback", &[(100, "healthyStandby")]);
    for (plan, subject, pages) in [
        (&failback, "[ACT NOW] web: failback rolled back, prod1 carries the traffic", true),
        (&shift(), "[ROLLED BACK] web: shift rolled back, prod1 carries the traffic", false),
    ] {
        let notice = told(plan, &Value::Null, &ended("RolledBack")).unwrap();
        assert_eq!((notice.subject.as_str(), notice.event.pages), (subject, pages));
    }
}
