//! The control plane's resources, and how they reach the data plane.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::group::{Group, User};
use crate::model::{Action, ActionKind, Listener, LoadBalancer, Rule};
use crate::past::Past;
use crate::routing::{Choice, Gate, Step, Table};
use crate::trouble::Troubles;

/// Every resource, in order of creation.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) balancers: Vec<LoadBalancer>,
    pub(crate) groups: Vec<Arc<Group>>,
    pub(crate) listeners: Vec<Listener>,
    /// By ARN of the resource.
    pub(crate) tags: BTreeMap<String, BTreeMap<String, String>>,
    /// The actions of rules, by their ARNs, before they were changed.
    pub(crate) past_actions: Past<Vec<Action>>,
    /// The tags of resources before they were changed.
    pub(crate) past_tags: Past<BTreeMap<String, String>>,
    /// Whether callers lack the right to look at user pools.
    pub(crate) cognito_denied: bool,
}

impl World {
    pub(crate) fn balancer(&self, arn: &str) -> Option<&LoadBalancer> {
        self.balancers.iter().find(|balancer| balancer.arn == arn)
    }

    pub(crate) fn group(&self, arn: &str) -> Option<&Arc<Group>> {
        self.groups.iter().find(|group| *group.arn == *arn)
    }

    pub(crate) fn listener(&self, arn: &str) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.arn == arn)
    }

    pub(crate) fn listener_mut(&mut self, arn: &str) -> Option<&mut Listener> {
        self.listeners.iter_mut().find(|listener| listener.arn == arn)
    }

    /// A rule other than a default one.
    pub(crate) fn rule_mut(&mut self, arn: &str) -> Option<&mut Rule> {
        self.listeners.iter_mut().flat_map(|listener| &mut listener.rules).find(|rule| rule.arn == arn)
    }

    /// The listener that a rule, a default one included, belongs to.
    pub(crate) fn listener_of_rule(&self, arn: &str) -> Option<&Listener> {
        self.listeners.iter().find(|listener| {
            listener.default_rule == arn || listener.rules.iter().any(|rule| rule.arn == arn)
        })
    }

    /// The groups and weights of a rule's forward, or of a listener's default action; none without one.
    pub(crate) fn weights(&self, arn: &str) -> Vec<(String, u32)> {
        let actions = self.listeners.iter().find_map(|listener| {
            if listener.arn == arn || listener.default_rule == arn {
                return Some(&listener.default_actions);
            }
            listener.rules.iter().find(|rule| rule.arn == arn).map(|rule| &rule.actions)
        });
        let forward = actions.into_iter().flatten().find_map(|action| match &action.kind {
            ActionKind::Forward(forward) => Some(forward.groups.clone()),
            _ => None,
        });
        forward.unwrap_or_default()
    }

    /// How often the listeners of a balancer name each group.
    pub(crate) fn groups_behind(&self, balancer: &str) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for listener in self.listeners.iter().filter(|listener| listener.balancer == balancer) {
            let rules = listener.rules.iter().flat_map(|rule| &rule.actions);
            for arn in listener.default_actions.iter().chain(rules).flat_map(Action::groups) {
                *counts.entry(arn).or_default() += 1;
            }
        }
        counts
    }

    /// What the balancers call themselves in CloudWatch that a resource belongs to; nothing for a group that no
    /// rule names.
    pub(crate) fn label_of(&self, arn: &str) -> Option<String> {
        if let Some(group) = self.group(arn) {
            return group.user.borrow().as_ref().map(|user| user.label.to_string());
        }
        // `...:listener-rule/app/name/id/...` and the like.
        let parts: Vec<&str> = arn.split('/').skip(1).take(3).collect();
        (parts.len() == 3).then(|| parts.join("/"))
    }

    /// Brings the data plane up to what the control plane holds: groups at once, since health
    /// checks do not wait, and routing as late as each balancer is.
    pub(crate) fn publish(&self, troubles: &Troubles) {
        for group in &self.groups {
            let user = self.user(&group.arn);
            group.user.send_if_modified(|current| {
                let changed = *current != user;
                *current = user;
                changed
            });
        }
        for listener in &self.listeners {
            if let Some(table) = self.table(listener) {
                let spread = troubles.of(&table.balancer).spread;
                listener.door.publish(table, spread);
            }
        }
    }

    /// A rule, or a default one, that weighs this group against others and binds no client to a group.
    pub(crate) fn unsticky_rule(&self, group: &str) -> Option<&str> {
        let unsticky = |actions: &[Action]| {
            actions.iter().any(|action| match &action.kind {
                ActionKind::Forward(forward) => {
                    forward.weighs() && !forward.sticky && forward.groups.iter().any(|(arn, _)| arn == group)
                }
                _ => false,
            })
        };
        self.listeners.iter().find_map(|listener| {
            let rule = listener.rules.iter().find(|rule| unsticky(&rule.actions));
            let default = unsticky(&listener.default_actions).then_some(listener.default_rule.as_str());
            rule.map(|rule| rule.arn.as_str()).or(default)
        })
    }

    /// Takes away a rule other than a default one, and returns it with the ARN of its listener.
    pub(crate) fn remove_rule(&mut self, arn: &str) -> Option<(Rule, String)> {
        self.tags.remove(arn);
        self.listeners.iter_mut().find_map(|listener| {
            let index = listener.rules.iter().position(|rule| rule.arn == arn)?;
            Some((listener.rules.remove(index), listener.arn.clone()))
        })
    }

    /// Takes away the listener at this index, which stops to listen at once.
    pub(crate) fn remove_listener(&mut self, index: usize) {
        let listener = self.listeners.remove(index);
        listener.door.stop.cancel();
        for gone in listener.rules.iter().map(|rule| &rule.arn).chain([&listener.arn, &listener.default_rule])
        {
            self.tags.remove(gone);
        }
    }

    /// Takes away a balancer with its listeners and the groups that they lead to.
    pub(crate) fn remove_balancer(&mut self, arn: &str) {
        while let Some(index) = self.listeners.iter().position(|listener| listener.balancer == arn) {
            self.remove_listener(index);
        }
        let used = |group: &Arc<Group>| group.user.borrow().as_ref().is_some_and(|user| user.arn == arn);
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.groups).into_iter().partition(used);
        self.groups = kept;
        for group in &gone {
            group.targets().iter().for_each(|target| target.stop.cancel());
            self.tags.remove(&*group.arn);
        }
        self.balancers.retain(|balancer| balancer.arn != arn);
        self.tags.remove(arn);
    }

    fn user(&self, group: &str) -> Option<User> {
        let holds = |actions: &[Action]| {
            actions.iter().any(|action| match &action.kind {
                ActionKind::Forward(forward) => forward.groups.iter().any(|(arn, _)| arn == group),
                _ => false,
            })
        };
        let listener = self.listeners.iter().find(|listener| {
            holds(&listener.default_actions) || listener.rules.iter().any(|rule| holds(&rule.actions))
        })?;
        let balancer = self.balancer(&listener.balancer)?;
        Some(User { arn: balancer.arn.clone(), label: Arc::clone(&balancer.label) })
    }

    fn table(&self, listener: &Listener) -> Option<Table> {
        let balancer = self.balancer(&listener.balancer)?;
        Some(self.compile(
            balancer,
            listener.port,
            &listener.protocol,
            &listener.default_actions,
            &listener.rules,
        ))
    }

    /// A listener's rules for the data plane.
    pub(crate) fn compile(
        &self,
        balancer: &LoadBalancer,
        port: u16,
        protocol: &str,
        default: &[Action],
        rules: &[Rule],
    ) -> Table {
        let idle =
            balancer.attributes.get("idle_timeout.timeout_seconds").and_then(|value| value.parse().ok());
        Table {
            rules: rules.iter().map(|rule| (rule.conditions.clone(), self.steps(&rule.actions))).collect(),
            default: self.steps(default),
            balancer: Arc::clone(&balancer.label),
            port,
            scheme: if protocol == "HTTPS" { "https" } else { "http" },
            idle_timeout: Duration::from_secs(idle.unwrap_or(60)),
        }
    }

    fn steps(&self, actions: &[Action]) -> Arc<[Step]> {
        actions.iter().map(|action| self.step(action)).collect()
    }

    fn step(&self, action: &Action) -> Step {
        match &action.kind {
            ActionKind::Forward(forward) => Step::Forward(Choice {
                groups: forward
                    .groups
                    .iter()
                    .filter_map(|(arn, weight)| Some((Arc::clone(self.group(arn)?), *weight)))
                    .collect(),
                sticky_seconds: forward.sticky.then(|| forward.sticky_seconds.unwrap_or(3600)),
            }),
            ActionKind::Oidc(oidc) => Step::Authenticate(Gate {
                cookie: oidc.sign_in.cookie.clone(),
                endpoint: oidc.authorization.clone(),
                client: oidc.client.clone(),
                scope: oidc.sign_in.scope.clone(),
                unauthenticated: oidc.sign_in.unauthenticated,
            }),
            ActionKind::Cognito(cognito) => Step::Authenticate(Gate {
                cookie: cognito.sign_in.cookie.clone(),
                endpoint: format!("https://{}/oauth2/authorize", cognito.domain),
                client: cognito.client.clone(),
                scope: cognito.sign_in.scope.clone(),
                unauthenticated: cognito.sign_in.unauthenticated,
            }),
            ActionKind::Fixed(fixed) => Step::Fixed(fixed.clone()),
            ActionKind::Redirect(redirect) => Step::Redirect(redirect.clone()),
        }
    }
}
