//! What is written, and what is read of rules that are gone.

use aws_sdk_elasticloadbalancingv2::types::{
    AuthenticateCognitoActionConfig, AuthenticateOidcActionConfig, JwtValidationActionAdditionalClaim,
    JwtValidationActionAdditionalClaimFormatEnum, JwtValidationActionConfig, TargetGroupStickinessConfig,
};

use super::*;
use crate::aws::command::revert_command;
use crate::aws::fake::world;

fn tuple(arn: &str, weight: Option<i32>) -> TargetGroupTuple {
    TargetGroupTuple::builder().target_group_arn(arn).set_weight(weight).build()
}

fn forward(tuples: Vec<TargetGroupTuple>) -> Action {
    let config = ForwardActionConfig::builder()
        .set_target_groups(Some(tuples))
        .target_group_stickiness_config(TargetGroupStickinessConfig::builder().enabled(false).build())
        .build();
    Action::builder().r#type(ActionTypeEnum::Forward).order(2).forward_config(config).build()
}

fn desired(live: u16) -> Vec<GroupWeight> {
    vec![GroupWeight::new("one", live), GroupWeight::new("two", 100 - live)]
}

#[test]
fn a_fixed_forward_becomes_a_weighted_one_that_says_its_zero() {
    let mut as_read_back = forward(vec![tuple("one", Some(1))]);
    as_read_back.target_group_arn = Some("one".into());
    let as_created = Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn("one").build();
    for fixed in [as_created, as_read_back] {
        let written = with_weights(&[fixed], &desired(100));
        assert_eq!(written[0].target_group_arn(), None, "allowed beside one group only");
        let tuples = written[0].forward_config().unwrap().target_groups();
        assert_eq!(tuples, [tuple("one", Some(100)), tuple("two", Some(0))]);
    }
}

#[test]
fn everything_but_the_weights_stays() {
    let oidc = AuthenticateOidcActionConfig::builder()
        .issuer("issuer")
        .authorization_endpoint("authorize")
        .token_endpoint("token")
        .user_info_endpoint("user")
        .client_id("client")
        .build();
    let sign_in = Action::builder()
        .r#type(ActionTypeEnum::AuthenticateOidc)
        .order(1)
        .authenticate_oidc_config(oidc)
        .build();
    let found =
        [sign_in, forward(vec![tuple("third", Some(0)), tuple("two", Some(40)), tuple("one", Some(60))])];
    let written = with_weights(&found, &desired(90));
    let oidc = written[0].authenticate_oidc_config().unwrap();
    assert_eq!(oidc.use_existing_client_secret(), Some(true));
    assert_eq!(oidc.client_secret(), None);
    assert_eq!((oidc.issuer(), oidc.client_id()), (Some("issuer"), Some("client")));
    assert_eq!((written[0].order(), written[1].order()), (Some(1), Some(2)));
    let config = written[1].forward_config().unwrap();
    assert_eq!(
        config.target_groups(),
        [tuple("third", Some(0)), tuple("two", Some(10)), tuple("one", Some(90))]
    );
    assert_eq!(
        config.target_group_stickiness_config(),
        found[1].forward_config().unwrap().target_group_stickiness_config()
    );
    assert_eq!(with_weights(&written, &desired(90)), written, "a second write writes the same");
    let one = with_group(&found, "two");
    assert_eq!(one[0], written[0]);
    assert_eq!(groups(&one), Some(vec![GroupWeight::new("two", 100)]));
}

/// Users may be known before a rule forwards them, by any of these: `ModifyRule` replaces the whole list of actions.
#[test]
fn whatever_comes_before_a_forward_is_written_as_it_was_found() {
    let cognito = AuthenticateCognitoActionConfig::builder()
        .user_pool_arn("arn:pool")
        .user_pool_client_id("client")
        .user_pool_domain("domain")
        .session_timeout(3600)
        .build();
    let claim = JwtValidationActionAdditionalClaim::builder()
        .format(JwtValidationActionAdditionalClaimFormatEnum::SpaceSeparatedValues)
        .name("scope")
        .values("shop")
        .build();
    let jwt = JwtValidationActionConfig::builder()
        .jwks_endpoint("https://issuer.example/keys")
        .issuer("https://issuer.example")
        .additional_claims(claim)
        .build();
    let kinds = [
        Action::builder().r#type(ActionTypeEnum::AuthenticateCognito).authenticate_cognito_config(cognito),
        Action::builder().r#type(ActionTypeEnum::JwtValidation).jwt_validation_config(jwt),
    ];
    for before in kinds.map(|kind| kind.order(1).build()) {
        let found = [before.clone(), forward(vec![tuple("one", Some(1)), tuple("two", Some(0))])];
        let written = with_weights(&found, &[GroupWeight::new("one", 90), GroupWeight::new("two", 10)]);
        assert_eq!(written[0], before);
        let command = revert_command(None, "arn:rule", &written);
        let json = command.split_once('\'').unwrap().1.trim_end_matches('\'');
        let told: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(told[0]["Order"], 1);
        let config =
            told[0].as_object().unwrap().iter().find(|(name, _)| name.ends_with("Config")).unwrap().1;
        assert!(config.as_object().is_some_and(|config| config.len() > 2), "{told}");
        assert_eq!(told[1]["ForwardConfig"]["TargetGroups"][1]["Weight"], 10);
    }
}

#[test]
fn a_weight_that_is_left_out_counts_as_one() {
    let read = groups(&[forward(vec![tuple("one", None), tuple("two", Some(0))])]).unwrap();
    assert_eq!(read, [GroupWeight::new("one", 1), GroupWeight::new("two", 0)]);
    assert_eq!(groups(&[Action::builder().r#type(ActionTypeEnum::Redirect).build()]), None);
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future);
}

#[test]
fn rules_are_read_twenty_a_call_and_one_that_is_gone_hides_no_other() {
    run(async {
        let (plan, fake) = world(41);
        let client = fake.client();
        assert_eq!(read(&client, &plan, &plan.routes).await.unwrap().len(), 41);
        assert_eq!(fake.count("DescribeRules"), 3);

        fake.delete(40);
        let found = look(&client, &plan.routes).await.unwrap();
        assert!(found[40].is_none() && found[..40].iter().all(Option::is_some));
        assert_eq!(fake.count("DescribeRules"), 3 + 3 + 1);
        let error = read(&client, &plan, &plan.routes).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::AwsRefused, "the others are still this run's to put back");
        assert!(error.message.contains("rule 40 on port 443 (arn:rule-40) is gone"), "{error}");
        // Reading some of them is no reason to think that these are all.
        let error = read(&client, &plan, &plan.routes[40..]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::AwsRefused);
    });
}

#[test]
fn where_the_traffic_is_is_said_of_each_route_only_where_they_differ() {
    run(async {
        let (plan, fake) = world(3);
        let says = async || standing(&fake.client(), &plan).await.unwrap();
        assert_eq!(says().await, "prod1 100 %, prod2 0 %");
        for number in 0..3 {
            fake.state().rules.insert(format!("arn:rule-{number}"), [1, 3]);
        }
        assert_eq!(says().await, "prod1 25 %, prod2 75 %");
        fake.state().rules.insert("arn:rule-1".into(), [0, 0]);
        fake.delete(2);
        let expected = "rule 0 on port 443 prod1 25 %, prod2 75 %; rule 1 on port 443 prod1 0/prod2 0; \
                        rule 2 on port 443 is gone";
        assert_eq!(says().await, expected);
    });
}

#[test]
fn where_every_rule_is_gone_there_is_an_external_change() {
    run(async {
        let (plan, fake) = world(2);
        fake.delete(0);
        fake.delete(1);
        let error = read(&fake.client(), &plan, &plan.routes).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::ExternalChange);
        assert!(error.message.contains("rule 0") && error.message.contains("rule 1"), "{error}");
    });
}

#[test]
fn what_is_left_goes_back_without_what_is_gone() {
    run(async {
        let (plan, fake) = world(2);
        fake.delete(1);
        let (left, current, gone) = still_there(&fake.client(), plan.clone()).await.unwrap();
        assert_eq!((left.routes.len(), current.len()), (1, 1));
        assert!(
            gone[0].starts_with("rule 1 on port 443 (arn:rule-1) is gone: somebody deleted it"),
            "{gone:?}"
        );
        fake.delete(0);
        let error = still_there(&fake.client(), plan).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::ExternalChange);
    });
}

#[test]
fn what_is_written_after_the_first_lot_is_looked_at_again() {
    run(async {
        let (mut plan, fake) = world(12);
        // A lot of ten, and then one after the other.
        plan.propagation_seconds = 1;
        let client = fake.client();
        let half = crate::model::weights::Percent::HALF;
        let desired = |route: &Route| plan.stage_groups(route, half);
        let current = read(&client, &plan, &plan.routes).await.unwrap();
        let fence = Fence::now(15);
        let allowed = |route: &Route| vec![plan.found_groups(route)];
        write(&client, &plan, &current, fence, allowed, weights::holds, desired).await.unwrap();
        assert!(fake.state().rules.values().all(|weights| *weights == [50, 50]));
        assert_eq!(fake.count("ModifyRule"), 12);
        assert_eq!(fake.count("DescribeTags"), 2, "a fence for each of the last two");

        // Somebody else takes a route of a later lot meanwhile.
        fake.state().tags.get_mut("arn:one").unwrap().insert("failover:claim".into(), "arn:other".into());
        let current = read(&client, &plan, &plan.routes).await.unwrap();
        let desired = |route: &Route| plan.stage_groups(route, crate::model::weights::Percent::ALL);
        let allowed = |route: &Route| vec![plan.stage_groups(route, half)];
        let fence = Fence::now(15);
        let written = write(&client, &plan, &current, fence, allowed, weights::holds, desired).await;
        assert_eq!(written.map_err(|error| error.kind), Err(ErrorKind::ExternalChange));
        let last = plan.routes.last().unwrap().arn.clone();
        assert_eq!(fake.state().rules[&last], [50, 50], "{last}");
    });
}
