//! Looking for rules that somebody makes while a run goes on.

use std::collections::BTreeSet;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{Listener, Rule};

use super::discover::{self, label, port_of};
use super::listener::{self, Current};
use super::testers;
use crate::model::Plan;
use crate::model::error::Error;
use crate::model::weights::weight_of;
use crate::run::newcomers::Newcomer;

/// What the plan's routes hold, and the rules that are new: all rules of the balancer are read for that, once.
///
/// # Errors
/// As AWS answers; where routes are gone, as [`listener::read`].
pub async fn beside_routes(client: &Client, plan: &Plan) -> Result<(Vec<Current>, Vec<Newcomer>), Error> {
    let listeners = discover::listeners(client, &plan.load_balancer_arn).await?;
    let newcomers = among(plan, &listeners);
    let rules: Vec<Rule> = listeners.into_iter().flat_map(|(_, rules)| rules).collect();
    Ok((listener::read_among(plan, &rules)?, newcomers))
}

/// Every rule of the plan's balancer that forwards to one of its apps, is not for testers and was not there
/// when the plan was made.
///
/// # Errors
/// As AWS answers.
pub async fn find(client: &Client, plan: &Plan) -> Result<Vec<Newcomer>, Error> {
    Ok(among(plan, &discover::listeners(client, &plan.load_balancer_arn).await?))
}

fn among(plan: &Plan, listeners: &[(Listener, Vec<Rule>)]) -> Vec<Newcomer> {
    let routes = plan.routes.iter().map(|route| &route.rule_arn);
    let known: BTreeSet<&str> = routes.chain(&plan.excepted).map(String::as_str).collect();
    let is_known = |rule: &Rule| rule.rule_arn().is_some_and(|arn| known.contains(arn));
    let mut found = Vec::new();
    for (of, rules) in listeners {
        let others = rules.iter().filter(|rule| !is_known(rule) && !testers::is_for_testers(rule));
        for rule in others {
            let Some(groups) = listener::groups(rule.actions()) else { continue };
            let leads_to = |group: &String| weight_of(&groups, group).is_some();
            let app = plan.apps.iter().position(|a| leads_to(&a.live_group) || leads_to(&a.standby_group));
            found.extend(app.map(|app| Newcomer { app, label: label(rule, port_of(of)), groups }));
        }
    }
    found
}
