//! The rules that lead test traffic to the standby. A rule is one by its condition on the header of testers,
//! whose value is a secret: it is read where a probe needs it and goes nowhere else.

use std::fmt;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{HttpHeaderConditionConfig, Rule};

use super::claims;
use super::error::{code, named};
use super::{listener, pace};
use crate::model::error::{Error, ErrorKind};
use crate::model::probe::STANDBY_HEADER;
use crate::model::weights;
use crate::model::{Plan, PlannedApp, TestersRule};

/// What testers are known by. Shown as nothing but its name.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret of this value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// For the request that it belongs to, and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The text without it: applications show what they were sent.
    pub fn hidden_in(&self, text: &str) -> String {
        text.replace(&self.0, "(the secret of test traffic)")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Whether a rule is for testers and not for users.
pub fn is_for_testers(rule: &Rule) -> bool {
    condition(rule).is_some()
}

fn condition(rule: &Rule) -> Option<&HttpHeaderConditionConfig> {
    let named = |config: &&HttpHeaderConditionConfig| {
        config.http_header_name().is_some_and(|name| name.eq_ignore_ascii_case(STANDBY_HEADER))
    };
    rule.conditions().iter().filter_map(|condition| condition.http_header_config()).find(named)
}

/// Makes every test-traffic rule forward to the fleet alone that is the standby once the operation is
/// done. One that does already is not written to, so a second call changes nothing, and neither is one
/// that was removed meanwhile. Only a run that holds its routes writes, and looks at its claims right
/// before.
///
/// # Errors
/// As AWS answers; `ExternalChange` when the routes are somebody else's, `AwsRefused` when a rule is not for
/// testers any more, `AwsUnavailable` when it does not read back as written.
pub async fn lead_on(client: &Client, plan: &Plan) -> Result<(), Error> {
    for testers in &plan.testers {
        // An app of which a restore holds nothing is somebody else's.
        if plan.apps[testers.app].left_alone {
            continue;
        }
        let target_group_arn = plan.standby_group_then(&plan.apps[testers.app]);
        let Some(rule) = read(client, testers).await? else { continue };
        if leads_to(&rule, target_group_arn) {
            continue;
        }
        let TestersRule { rule_arn, label, .. } = testers;
        let actions = listener::with_group(rule.actions(), target_group_arn);
        let fence = claims::fence(client, plan).await?;
        let call = client.modify_rule().rule_arn(rule_arn).set_actions(Some(actions));
        let call = call.customize().config_override(fence.in_time()?);
        call.send().await.map_err(|error| {
            named(&format!("leading test traffic to another fleet by {label} ({rule_arn})"), &error)
        })?;
        let written = read(client, testers).await?;
        if written.is_some_and(|rule| !leads_to(&rule, target_group_arn)) {
            let message = format!("{label} ({rule_arn}) was written but does not read back");
            return Err(Error::new(ErrorKind::AwsUnavailable, message));
        }
    }
    Ok(())
}

/// What a request to a port of the balancer must carry to get to the standby of an app.
///
/// # Errors
/// As AWS answers; `AwsRefused` when no rule leads there any more.
pub async fn secret(client: &Client, plan: &Plan, app: &PlannedApp, port: u16) -> Result<Secret, Error> {
    // An address in front of the balancer may have a port of its own.
    let of_port = plan.testers_of(app).find(|rule| rule.port == port).or(plan.testers_of(app).next());
    let lost = |what: String| Error::new(ErrorKind::AwsRefused, what);
    let testers = of_port.ok_or_else(|| lost("This plan knows no test-traffic rule.".into()))?;
    let TestersRule { rule_arn, label, .. } = testers;
    let rule = read(client, testers).await?;
    let rule = rule.ok_or_else(|| lost(format!("{label} ({rule_arn}), for test traffic, is gone")))?;
    if !leads_to(&rule, &app.standby_group) {
        let standby = &plan.standby;
        return Err(lost(format!("{label} ({rule_arn}) does not lead test traffic to {standby} any more")));
    }
    let value = condition(&rule).and_then(|condition| condition.values().first());
    let unknown =
        || lost(format!("{label} ({rule_arn}) has no single value for {STANDBY_HEADER} that could be sent"));
    value.map(Secret::new).ok_or_else(unknown)
}

fn leads_to(rule: &Rule, target_group_arn: &str) -> bool {
    listener::groups(rule.actions()).is_some_and(|groups| weights::all_to(&groups, target_group_arn))
}

/// The rule as it is now; nothing where it was removed. Each is read on its own, since one that is gone
/// would fail the reading of all.
async fn read(client: &Client, testers: &TestersRule) -> Result<Option<Rule>, Error> {
    let TestersRule { rule_arn, label, .. } = testers;
    let answer = pace::read(async {
        match client.describe_rules().rule_arns(rule_arn).send().await {
            Ok(answer) => Ok(answer.rules.unwrap_or_default()),
            Err(error) if code(&error) == Some("RuleNotFound") => Ok(Vec::new()),
            Err(error) => Err(named(&format!("reading {label} ({rule_arn})"), &error)),
        }
    });
    let rule = answer.await?.into_iter().next();
    // Without its condition it is a rule for users, whose traffic is nobody's to move here.
    if rule.as_ref().is_some_and(|rule| !is_for_testers(rule)) {
        return Err(Error::new(
            ErrorKind::AwsRefused,
            format!("{label} ({rule_arn}) has lost its condition on {STANDBY_HEADER} and is left alone"),
        ));
    }
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::types::RuleCondition;

    use super::*;

    fn rule(name: &str) -> Rule {
        let header = HttpHeaderConditionConfig::builder().http_header_name(name).values("s3cret").build();
        let header = RuleCondition::builder().field("http-header").http_header_config(header).build();
        let host = RuleCondition::builder().field("host-header").values("shop.example").build();
        Rule::builder().conditions(host).conditions(header).build()
    }

    #[test]
    fn a_rule_is_for_testers_by_its_header() {
        assert!(is_for_testers(&rule("x-failover-standby")) && is_for_testers(&rule("X-Failover-Standby")));
        assert!(!is_for_testers(&rule("x-failover")) && !is_for_testers(&Rule::builder().build()));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new("s3cret");
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_eq!(
            secret.hidden_in("got s3cret, s3cret"),
            "got (the secret of test traffic), (the secret of test traffic)"
        );
    }
}
