//! Balancers and groups that go again.

use alb::Fleet;

use crate::common::{Ground, forward, said};

#[tokio::test]
async fn a_group_goes_once_nothing_leads_to_it() {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", 1).unwrap();
    let group = ground.group("one", &fleet).await;
    let rule = ground.rule(1, "/a", vec![forward(&[(&group, 0)])]).await;
    let delete = || ground.elb.delete_target_group().target_group_arn(&group).send();
    assert_eq!(
        said(delete().await),
        format!("ResourceInUse: Target group '{group}' is currently in use by a listener or a rule")
    );
    ground.elb.delete_rule().rule_arn(&rule).send().await.unwrap();
    delete().await.unwrap();
    let known = ground.elb.describe_target_groups().send().await.unwrap();
    assert!(known.target_groups().is_empty(), "{known:?}");
    delete().await.unwrap();
}

#[tokio::test]
async fn a_balancer_goes_with_its_listeners_and_leaves_the_groups() {
    let ground = Ground::new().await;
    let fleet = Fleet::start("prod1", 1).unwrap();
    let group = ground.group("one", &fleet).await;
    let rule = ground.rule(1, "/a", vec![forward(&[(&group, 1)])]).await;
    let delete = || ground.elb.delete_load_balancer().load_balancer_arn(&ground.balancer).send();
    delete().await.unwrap();
    let found = said(ground.elb.describe_rules().rule_arns(&rule).send().await);
    assert!(found.starts_with("RuleNotFound: "), "{found}");
    let found = said(ground.elb.describe_listeners().listener_arns(&ground.listener).send().await);
    assert!(found.starts_with("ListenerNotFound: "), "{found}");
    assert!(ground.http.get(ground.url("/a")).send().await.is_err(), "it still listens");
    assert_eq!(ground.health(&group).await, ["unused Target.NotInUse"]);
    delete().await.unwrap();
}
