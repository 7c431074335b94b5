//! Reads that come too early for a change.

use std::time::Duration;

use alb::{Fleet, Trouble};
use aws_sdk_elasticloadbalancingv2::types::Tag;

use crate::common::{Ground, fixed, forward};

/// Of so many reads some see a change and some do not, but for once in 2^39 runs.
const READS: usize = 40;

#[tokio::test]
async fn a_read_may_show_what_stood_before_a_change_and_go_back_to_it() {
    let ground = Ground::new().await;
    let fleet = Fleet::start("a", 1).unwrap();
    let (one, two) = (ground.group("one", &fleet).await, ground.group("two", &fleet).await);
    let rule = ground.rule(1, "/a", vec![forward(&[(&one, 1), (&two, 0)])]).await;
    let late = |late_reads| {
        ground.alb.set_trouble(&ground.balancer, Trouble { late_reads, ..Trouble::default() });
    };
    late(Duration::from_mins(1));
    let change = ground.elb.modify_rule().rule_arn(&rule).actions(forward(&[(&one, 0), (&two, 1)]));
    change.send().await.unwrap();
    let default = ground.elb.modify_listener().listener_arn(&ground.listener).default_actions(fixed("503"));
    default.send().await.unwrap();
    let tag = Tag::builder().key("owner").value("run").build();
    ground.elb.add_tags().resource_arns(&rule).tags(tag).send().await.unwrap();

    let seen = async || {
        let rules = ground.elb.describe_rules().rule_arns(&rule).send().await.unwrap();
        let config = rules.rules()[0].actions()[0].forward_config().unwrap().clone();
        let listeners = ground.elb.describe_listeners().listener_arns(&ground.listener).send().await.unwrap();
        let fixed = listeners.listeners()[0].default_actions()[0].fixed_response_config().unwrap().clone();
        let tags = ground.elb.describe_tags().resource_arns(&rule).send().await.unwrap();
        [
            config.target_groups()[1].weight() == Some(1),
            fixed.status_code() == Some("503"),
            !tags.tag_descriptions()[0].tags().is_empty(),
        ]
    };
    let mut reads = Vec::new();
    for _ in 0..READS {
        reads.push(seen().await);
    }
    for what in 0..3 {
        let new = reads.iter().filter(|read| read[what]).count();
        assert!(0 < new && new < READS, "{new} of {READS} reads show change {what}");
    }
    late(Duration::ZERO);
    for _ in 0..READS {
        assert_eq!(seen().await, [true; 3]);
    }
}
