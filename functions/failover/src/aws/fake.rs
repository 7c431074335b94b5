//! A balancer that answers as AWS was seen to answer, as far as routes need it: one resource a call for
//! changes of tags, 20 for reads, and a whole call refused where one resource is unknown.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_sdk_elasticloadbalancingv2::config::http::{HttpRequest, HttpResponse};
use aws_sdk_elasticloadbalancingv2::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_elasticloadbalancingv2::{Client, Config};
use aws_sdk_sfn::Client as StepFunctions;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use serde_json::{Value, json};

use crate::model::Plan;
use crate::testing;

/// What the balancer holds, and what it was asked.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The weights of both groups, by the ARN of the rule.
    pub rules: BTreeMap<String, [u16; 2]>,
    /// Tags by resource.
    pub tags: BTreeMap<String, BTreeMap<String, String>>,
    /// Every call: its action and its resources.
    pub calls: Vec<(String, Vec<String>)>,
    /// An action that is refused, with a code.
    pub refused: Option<(&'static str, &'static str)>,
}

/// A handle on it.
#[derive(Clone, Debug, Default)]
pub(super) struct Fake(Arc<Mutex<State>>);

/// A plan with so many routes of one app, claimed by its own execution, and the balancer that holds them.
pub(super) fn world(routes: usize) -> (Plan, Fake) {
    let arn = |number: usize| format!("arn:rule-{number}");
    let before = json!({ "prod1": 100, "prod2": 0 });
    let route = |number| {
        json!({
            "arn": arn(number), "ruleArn": arn(number), "label": format!("rule {number} on port 443"),
            "revertCommand": "", "found": before, "before": before,
        })
    };
    let numbers = || 0..routes;
    let plan =
        testing::plan(json!({ "routes": numbers().map(route).collect::<Vec<_>>(), "mayWrite": [50, 100] }));
    let fake = Fake::default();
    for number in numbers() {
        fake.state().rules.insert(arn(number), [100, 0]);
    }
    for app in &plan.apps {
        let claim = ("failover:claim".to_owned(), plan.claim().tag());
        fake.state().tags.insert(app.lock().clone(), BTreeMap::from([claim]));
        for group in [&app.live_group, &app.standby_group] {
            fake.state().tags.entry(group.clone()).or_default();
        }
    }
    (plan, fake)
}

impl Fake {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Deletes a rule.
    pub fn delete(&self, number: usize) {
        self.state().rules.remove(&format!("arn:rule-{number}"));
    }

    /// Removes the tags of the first app, as infrastructure code does.
    pub fn strip(&self, plan: &Plan) {
        self.state().tags.get_mut(plan.apps[0].lock()).unwrap().clear();
    }

    /// Puts a claim on the first app.
    pub fn claim(&self, plan: &Plan, claim: &str) {
        let lock = plan.apps[0].lock();
        self.state().tags.get_mut(lock).unwrap().insert("failover:claim".into(), claim.into());
    }

    /// How often an action was called.
    pub fn count(&self, action: &str) -> usize {
        self.state().calls.iter().filter(|(called, _)| called == action).count()
    }

    pub fn client(&self) -> Client {
        let connector = SharedHttpConnector::new(self.clone());
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .http_client(http_client_fn(move |_, _| connector.clone()));
        Client::from_conf(config.build())
    }
}

impl HttpConnector for Fake {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let form = url::form_urlencoded::parse(request.body().bytes().unwrap_or_default());
        let form: Vec<(String, String)> = form.into_owned().collect();
        let (status, body) = match answer(&mut self.state(), &form) {
            Ok(body) => (200, body),
            Err((code, message)) => (
                400,
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                 <RequestId>1</RequestId></ErrorResponse>"
                ),
            ),
        };
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), body.into())))
    }
}

/// Step Functions, to which every execution stands like this.
pub(super) fn executions(status: &'static str) -> StepFunctions {
    histories(status, &[])
}

/// The same, with a history that is shown one event a page.
pub(super) fn histories(status: &'static str, events: &[Value]) -> StepFunctions {
    let connector = SharedHttpConnector::new(Executions(status, Arc::from(events)));
    let config = aws_sdk_sfn::Config::builder()
        .behavior_version(aws_sdk_sfn::config::BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(http_client_fn(move |_, _| connector.clone()));
    StepFunctions::from_conf(config.build())
}

#[derive(Clone, Debug)]
struct Executions(&'static str, Arc<[Value]>);

impl HttpConnector for Executions {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let asked: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        let Self(status, events) = self;
        let page = asked["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let body = if request.headers().get("x-amz-target") == Some("AWSStepFunctions.GetExecutionHistory") {
            let more = (page + 1 < events.len()).then(|| (page + 1).to_string());
            json!({ "events": events.get(page).into_iter().collect::<Vec<_>>(), "nextToken": more })
        } else {
            json!({
                "executionArn": "arn:execution", "stateMachineArn": "arn:machine", "status": status,
                "startDate": 1_795_000_000, "input": "{}",
            })
        };
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), body.to_string().into())))
    }
}

fn answer(state: &mut State, form: &[(String, String)]) -> Result<String, (String, String)> {
    let all = |begins: &str, ends: &str| -> Vec<String> {
        let of = |(key, _): &&(String, String)| key.starts_with(begins) && key.ends_with(ends);
        form.iter().filter(of).map(|(_, value)| value.clone()).collect()
    };
    let fail = |code: &str, message: &str| Err((code.to_owned(), message.to_owned()));
    let action = all("Action", "")[0].clone();
    let resources =
        [all("ResourceArns.", ""), all("RuleArns.", ""), all("RuleArn", ""), all("TargetGroupArn", "")];
    let resources = resources.into_iter().find(|some| !some.is_empty()).unwrap_or_default();
    state.calls.push((action.clone(), resources.clone()));
    if let Some((_, code)) = state.refused.filter(|(refused, _)| *refused == action) {
        return fail(code, "told to");
    }
    let most = if action.starts_with("Describe") { 20 } else { 1 };
    if resources.len() > most {
        return match action.as_str() {
            "DescribeRules" => {
                fail("ValidationError", "You cannot describe more than '20' listener rules at a time")
            }
            _ => fail("ValidationError", "Only one resource can be tagged at a time"),
        };
    }
    let rules = action.ends_with("Rules") || action.ends_with("Rule");
    let known =
        |arn: &String| if rules { state.rules.contains_key(arn) } else { state.tags.contains_key(arn) };
    if let Some(gone) = resources.iter().find(|arn| !known(arn)) {
        let code = if rules { "RuleNotFound" } else { "TargetGroupNotFound" };
        return fail(code, &format!("One or more of them not found: {gone}"));
    }
    let result = match action.as_str() {
        "AddTags" => {
            let tags = all("Tags.", ".Key").into_iter().zip(all("Tags.", ".Value"));
            state.tags.entry(resources[0].clone()).or_default().extend(tags);
            String::new()
        }
        "DescribeTags" => {
            let tag = |(key, value): (&String, &String)| {
                format!("<member><Key>{key}</Key><Value>{value}</Value></member>")
            };
            let of = |arn: &String| {
                let tags: String = state.tags[arn].iter().map(tag).collect();
                format!("<member><ResourceArn>{arn}</ResourceArn><Tags>{tags}</Tags></member>")
            };
            format!("<TagDescriptions>{}</TagDescriptions>", resources.iter().map(of).collect::<String>())
        }
        "DescribeRules" => {
            let of = |arn: &String| {
                let groups = ["arn:one", "arn:two"].into_iter().zip(state.rules[arn]).map(|(group, weight)| {
                    format!("<member><TargetGroupArn>{group}</TargetGroupArn><Weight>{weight}</Weight></member>")
                });
                let groups: String = groups.collect();
                format!(
                    "<member><RuleArn>{arn}</RuleArn><Actions><member><Type>forward</Type><ForwardConfig>\
                     <TargetGroups>{groups}</TargetGroups></ForwardConfig></member></Actions></member>"
                )
            };
            format!("<Rules>{}</Rules>", resources.iter().map(of).collect::<String>())
        }
        "ModifyRule" => {
            let weights: Vec<u16> =
                all("Actions.", ".Weight").iter().map(|weight| weight.parse().unwrap()).collect();
            state.rules.insert(resources[0].clone(), weights.try_into().unwrap());
            "<Rules></Rules>".to_owned()
        }
        other => panic!("{other} is not answered here"),
    };
    Ok(format!(
        "<{action}Response><{action}Result>{result}</{action}Result><ResponseMetadata><RequestId>1</RequestId>\
         </ResponseMetadata></{action}Response>"
    ))
}
