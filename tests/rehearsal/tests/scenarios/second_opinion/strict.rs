//! That moto, behind its layer, refuses what AWS refuses: otherwise what the functions do against it shows nothing.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use aws_sdk_elasticloadbalancingv2::error::ProvideErrorMetadata;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ForwardActionConfig, Tag, TargetGroupAttribute, TargetGroupStickinessConfig, TargetGroupTuple,
};
use futures_util::future::join_all;
use rehearsal::tool;
use serde_json::{Value, json};
use tokio::process::Command;

use super::Moto;
use super::functions::App;

/// Asks for everything that the layer refuses. Nothing of the app is changed.
pub async fn check(moto: &Moto, app: &App<'_>) -> Result<()> {
    check_sign_in(moto, app).await?;
    let client = &moto.client;
    let mut said = Vec::new();
    let mut note = |error: Option<String>| said.push(error.unwrap_or_else(|| "was not refused".to_owned()));
    let message = |error: &dyn ProvideErrorMetadata| error.message().map(str::to_owned);

    let tag = Tag::builder().key("a").value("b").build();
    let both = Some(app.groups.to_vec());
    let add = client.add_tags().set_resource_arns(both.clone()).tags(tag).send().await;
    note(add.err().and_then(|error| message(&error)));
    let remove = client.remove_tags().set_resource_arns(both).tag_keys("a").send().await;
    note(remove.err().and_then(|error| message(&error)));
    let rules = Some(vec![app.path.clone(); 21]);
    let describe = client.describe_rules().set_rule_arns(rules).send().await;
    note(describe.err().and_then(|error| message(&error)));
    for action in [weighing(app, None, 60), weighing(app, Some(50), 0)] {
        let modify = client.modify_rule().rule_arn(&app.path).actions(action).send().await;
        note(modify.err().and_then(|error| message(&error)));
    }
    let sticky = TargetGroupAttribute::builder().key("stickiness.enabled").value("true").build();
    let bind = client.modify_target_group_attributes().target_group_arn(&app.groups[0]).attributes(sticky);
    note(bind.send().await.err().and_then(|error| message(&error)));

    let elsewhere = app.path.replace(":us-east-1:", ":eu-west-1:");
    let describe = client.describe_tags().resource_arns(&elsewhere).send().await;
    note(describe.err().and_then(|error| message(&error)));
    let unknown = format!("{}0", app.path);
    let describe = client.describe_rules().rule_arns(&app.path).rule_arns(unknown).send().await;
    let code = describe.err().and_then(|error| error.code().map(str::to_owned));
    note(code);

    // More than the bucket of reads holds, and than comes in while the client tries again.
    let burst = (0..160).map(|_| client.describe_rules().rule_arns(&app.path).send());
    let burst = join_all(burst).await;
    note(burst.into_iter().filter_map(Result::err).find_map(|error| message(&error)));

    let in_no_format = format!("'{elsewhere}' must be in ARN format");
    let expected = [
        "Only one resource can be tagged at a time",
        "Only one resource can be tagged at a time",
        "You cannot describe more than '20' listener rules at a time",
        "The weight for each target group must be between 0 and 999, inclusive",
        "Target group stickiness duration must be between 1 and 604800 seconds",
        "This target group appears behind a rule with group stickiness disabled",
        &in_no_format,
        // One that is not known fails the whole call.
        "RuleNotFound",
        "Rate exceeded",
    ];
    ensure!(said == expected, "moto said {said:#?}");
    Ok(())
}

/// A pool in which users sign in.
const POOL: &str = "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_shop";

/// Whoever writes an action that has users sign in with Cognito needs the right to look at the pool, and whoever
/// writes another action does not.
async fn check_sign_in(moto: &Moto, app: &App<'_>) -> Result<()> {
    let pools = json!({
        "Effect": "Allow",
        "Action": "cognito-idp:DescribeUserPoolClient",
        "Resource": "arn:aws:cognito-idp:us-east-1:123456789012:userpool/*",
    });
    let elsewhere = "arn:aws:cognito-idp:us-east-1:123456789012:userpool/another";
    let write = json!({ "Effect": "Allow", "Action": "elasticloadbalancing:ModifyRule", "Resource": "*" });
    let mut of_another = pools.clone();
    of_another["Resource"] = elsewhere.into();
    let mut never = pools.clone();
    never["Effect"] = "Deny".into();
    let sign_in = json!([
        { "Type": "authenticate-cognito", "Order": 1, "AuthenticateCognitoConfig": {
            "UserPoolArn": POOL, "UserPoolClientId": "shop", "UserPoolDomain": "shop" } },
        { "Type": "forward", "Order": 2, "TargetGroupArn": app.groups[0] },
    ]);
    let forward = json!([{ "Type": "forward", "TargetGroupArn": app.groups[0] }]);
    for (user, rights, actions, taken) in [
        ("writes", json!([write]), &sign_in, false),
        ("looks-at-another", json!([write, of_another]), &sign_in, false),
        ("never-looks", json!([write, pools, never]), &sign_in, false),
        ("forwards", json!([write]), &forward, true),
        ("looks", json!([write, pools]), &sign_in, true),
    ] {
        let outcome = write_as(moto, user, &rights, (&app.path, actions)).await?;
        let said = String::from_utf8_lossy(&outcome.stderr);
        let refused = said.contains("(InvalidLoadBalancerAction)")
            && said.contains("User is not authorized to perform 'describeUserPoolClient'");
        ensure!(outcome.status.success() == taken && refused != taken, "{user}: {said}");
    }
    // As it was.
    let back = write_as(moto, "puts-back", &json!([write]), (&app.path, &forward)).await?;
    ensure!(back.status.success(), "{}", String::from_utf8_lossy(&back.stderr));
    Ok(())
}

/// What comes of it when a new user with these rights writes the actions of a rule.
async fn write_as(
    moto: &Moto,
    user: &str,
    rights: &Value,
    (rule, actions): (&str, &Value),
) -> Result<Output> {
    let policy = json!({ "Version": "2012-10-17", "Statement": rights }).to_string();
    iam(moto, &["create-user", "--user-name", user]).await?;
    let put = ["put-user-policy", "--user-name", user, "--policy-name", user, "--policy-document", &policy];
    iam(moto, &put).await?;
    let made = iam(moto, &["create-access-key", "--user-name", user]).await?;
    let key = |field: &str| made["AccessKey"][field].as_str().context("no key was made");
    let mut aws = Command::new(tool("aws"));
    let aws = rehearsal::aim(&mut aws, moto.server.endpoint())
        .env("AWS_ACCESS_KEY_ID", key("AccessKeyId")?)
        .env("AWS_SECRET_ACCESS_KEY", key("SecretAccessKey")?)
        .args(["elbv2", "modify-rule", "--rule-arn", rule, "--actions", &actions.to_string()]);
    Ok(aws.output().await?)
}

/// Asks moto's IAM for something.
async fn iam(moto: &Moto, arguments: &[&str]) -> Result<Value> {
    rehearsal::cli(moto.server.endpoint(), &[&["iam"], arguments].concat()).await
}

/// A forward to both groups, the second of this weight, that binds nobody for so many seconds.
fn weighing(app: &App<'_>, weight: Option<i32>, seconds: i32) -> Action {
    let tuple =
        |arn: &str, weight| TargetGroupTuple::builder().target_group_arn(arn).set_weight(weight).build();
    let binding = TargetGroupStickinessConfig::builder().enabled(false).duration_seconds(seconds).build();
    let config = ForwardActionConfig::builder()
        .target_groups(tuple(&app.groups[0], Some(50)))
        .target_groups(tuple(&app.groups[1], weight))
        .target_group_stickiness_config(binding)
        .build();
    Action::builder().r#type("forward".into()).forward_config(config).build()
}
