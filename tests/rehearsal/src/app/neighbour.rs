//! Another app behind the same balancer, which has lost its targets.

use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ProtocolEnum, RuleCondition, TargetTypeEnum,
};

use super::{App, listener_of};
use crate::traffic::Traffic;
use scenario::Load;

/// Its host name.
const HOST: &str = "neighbour.example";

impl App<'_> {
    /// Lets users of the neighbour come, so many requests a second: the balancer answers them with 503.
    ///
    /// # Errors
    /// If the balancer refuses to make the neighbour.
    pub async fn neighbour(&self, rate: u32, lasts: Duration) -> Result<()> {
        let listener = listener_of(self.routes.first().context("an app without routes")?)?;
        let client = &self.ground.balancer;
        let group = client.create_target_group().name(format!("neighbour-{}", self.name));
        let group =
            group.protocol(ProtocolEnum::Http).port(80).vpc_id("vpc-1").target_type(TargetTypeEnum::Ip);
        let made = group.send().await.context("cannot make the neighbour's target group")?;
        let group = made.target_groups().first().and_then(|group| group.target_group_arn());
        let forward = Action::builder().r#type(ActionTypeEnum::Forward);
        let forward = forward.target_group_arn(group.context("a group without ARN")?).build();
        let host = RuleCondition::builder().field("host-header").values(HOST).build();
        let rule = client.create_rule().listener_arn(&listener).priority(1).conditions(host).actions(forward);
        rule.send().await.context("cannot make the neighbour's rule")?;
        let users = Traffic::start(&self.public(), HOST.to_owned(), Load::steady(rate), lasts);
        self.neighbours.lock().expect("nobody panics with it").push(users);
        Ok(())
    }
}
