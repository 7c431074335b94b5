//! API calls that fail on purpose.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use alb::{CallInfo, Intercept};

use crate::common::{Ground, code, fixed};

/// Lets one fault happen to the first `ModifyRule`, and to nothing else.
fn once(ground: &Ground, fault: Intercept) {
    let seen = AtomicUsize::new(0);
    ground.alb.intercept(Box::new(move |call: &CallInfo<'_>| {
        if call.action == "ModifyRule" && seen.fetch_add(1, Ordering::Relaxed) == 0 {
            fault.clone()
        } else {
            Intercept::Pass
        }
    }));
}

#[tokio::test]
async fn each_fault_does_what_it_says() {
    let ground = Ground::new().await;
    let rule = ground.rule(1, "/*", vec![fixed("404")]).await;
    let throttled =
        Intercept::Error { status: 400, code: "Throttling".to_owned(), message: "Rate exceeded".to_owned() };
    let reset = Err("ConnectionReset".to_owned());
    let cases = [
        (throttled, "410", "404", Err("Throttling".to_owned()), false),
        (Intercept::ResetBefore, "410", "404", reset.clone(), false),
        (Intercept::ResetAfter, "411", "411", reset, true),
        (Intercept::Delay(Duration::from_millis(100)), "412", "412", Ok(()), true),
    ];
    for (fault, written, effective, outcome, applied) in cases {
        once(&ground, fault.clone());
        let began = Instant::now();
        let result = ground.elb.modify_rule().rule_arn(&rule).actions(fixed(written)).send().await;
        match &fault {
            Intercept::Error { .. } => assert_eq!(code(result), "Throttling"),
            Intercept::Delay(delay) => {
                result.unwrap();
                assert!(began.elapsed() >= *delay);
            }
            _ => assert!(result.unwrap_err().as_service_error().is_none(), "{fault:?}"),
        }
        assert_eq!(ground.get("/").await.0.to_string(), effective, "{fault:?}");
        let call = ground.alb.calls().pop().unwrap();
        assert_eq!((call.action.as_str(), &call.outcome, call.applied), ("ModifyRule", &outcome, applied));
        // The fault happened once, and the next call passes.
        ground.write(&rule, vec![fixed(effective)]).await;
    }
}

#[tokio::test]
async fn cloudwatch_can_be_throttled_too() {
    let ground = Ground::new().await;
    ground.alb.intercept(Box::new(|call| match call.action {
        "DescribeAlarms" => Intercept::Error {
            status: 400,
            code: "ThrottlingException".to_owned(),
            message: "Rate exceeded".to_owned(),
        },
        _ => Intercept::Pass,
    }));
    assert_eq!(code(ground.cloudwatch.describe_alarms().send().await), "ThrottlingException");
}

#[tokio::test]
async fn nothing_is_left_after_the_end() {
    let ground = Ground::new().await;
    let (endpoint, url) = (ground.alb.endpoint(), ground.url("/"));
    assert_eq!(ground.get("/").await.0, 404);
    ground.alb.shutdown();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(ground.http.get(endpoint).send().await.is_err());
    assert!(ground.http.get(url).send().await.is_err());
}
