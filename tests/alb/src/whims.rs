//! What an embedder does to a balancer beside the API: what happens to rules, targets and rights.

use std::net::SocketAddr;

use crate::Alb;
use crate::condition::Condition;
use crate::lock::lock;
use crate::model::Rule;

impl Alb {
    /// Fills the buckets that limit how often the account may call.
    pub fn refill(&self) {
        lock(&self.core.throttle).refill();
    }

    /// Takes a rule away, as `DeleteRule` does. False if there is none, or if it is a default rule.
    pub fn remove_rule(&self, arn: &str) -> bool {
        let mut world = lock(&self.core.world);
        let gone = world.remove_rule(arn).is_some();
        world.publish(&lock(&self.core.troubles));
        gone
    }

    /// Makes a rule anew, as infrastructure code does that replaces one: the same conditions, actions and
    /// priority, without tags. Returns the new ARN; none if there is no such rule.
    pub fn remake_rule(&self, arn: &str) -> Option<String> {
        let mut world = lock(&self.core.world);
        let (old, listener) = world.remove_rule(arn)?;
        let (parent, _) = arn.rsplit_once('/')?;
        let new = format!("{parent}/{}", self.core.id());
        let listener = world.listener_mut(&listener)?;
        listener.rules.push(Rule { arn: new.clone(), ..old });
        listener.rules.sort_by_key(|rule| rule.priority);
        world.publish(&lock(&self.core.troubles));
        Some(new)
    }

    /// Takes a listener away with its rules, as `DeleteListener` does. False if there is none.
    pub fn remove_listener(&self, arn: &str) -> bool {
        let mut world = lock(&self.core.world);
        let Some(index) = world.listeners.iter().position(|listener| listener.arn == arn) else {
            return false;
        };
        world.remove_listener(index);
        world.publish(&lock(&self.core.troubles));
        true
    }

    /// Stops the instances of a group, or starts them again: stopped ones are `unused`, and get nothing.
    /// False if there is no such group.
    pub fn stop_instances(&self, group_arn: &str, stopped: bool) -> bool {
        self.change(group_arn, |condition| condition.stopped = stopped)
    }

    /// Puts the targets of a group into a zone that the balancer has not, or back: they are `unused`, and
    /// get nothing. False if there is no such group.
    pub fn zone_not_enabled(&self, group_arn: &str, outside: bool) -> bool {
        self.change(group_arn, |condition| condition.zone_not_enabled = outside)
    }

    /// Shows a zonal shift away from the targets of a group, or its end, to those who ask for it. Their
    /// state stays, and so does the traffic. False if there is no such group.
    pub fn shift_zone_away(&self, group_arn: &str, shifted: bool) -> bool {
        self.change(group_arn, |condition| condition.shifted_away = shifted)
    }

    /// Shows one target of a group, or none any more, as anomalous to those who ask for it. Its state
    /// stays. False if there is no such group.
    pub fn set_anomaly(&self, group_arn: &str, target: Option<SocketAddr>) -> bool {
        self.change(group_arn, |condition| condition.anomalous = target)
    }

    /// Takes the right to look at user pools away from every caller, or gives it back: without it nobody
    /// writes an `authenticate-cognito` action.
    pub fn deny_cognito(&self, denied: bool) {
        lock(&self.core.world).cognito_denied = denied;
    }

    /// Has CloudWatch say this, a code and a text, with every answer to `GetMetricData`, or nothing any
    /// more: such a message may mean that the answer is incomplete.
    pub fn set_message(&self, message: Option<(&str, &str)>) {
        *lock(&self.core.message) = message.map(|(code, text)| (code.to_owned(), text.to_owned()));
    }

    fn change(&self, group_arn: &str, change: impl FnOnce(&mut Condition)) -> bool {
        let world = lock(&self.core.world);
        let group = world.group(group_arn);
        if let Some(group) = group {
            change(&mut lock(&group.condition));
        }
        group.is_some()
    }
}
