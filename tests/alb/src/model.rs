//! What the control plane keeps about a balancer: its listeners, rules and actions.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::proxy::Door;

/// A load balancer, as created.
pub(crate) struct LoadBalancer {
    pub(crate) arn: String,
    pub(crate) name: String,
    /// `app/name/id`: the value of the CloudWatch dimension.
    pub(crate) label: Arc<str>,
    pub(crate) created: Timestamp,
    pub(crate) scheme: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// A listener and the data plane behind it.
pub(crate) struct Listener {
    pub(crate) arn: String,
    pub(crate) balancer: String,
    pub(crate) port: u16,
    pub(crate) protocol: String,
    pub(crate) certificates: Vec<String>,
    pub(crate) default_rule: String,
    pub(crate) default_actions: Vec<Action>,
    /// Sorted by priority.
    pub(crate) rules: Vec<Rule>,
    pub(crate) door: Arc<Door>,
}

/// A listener rule other than the default one.
#[derive(Clone)]
pub(crate) struct Rule {
    pub(crate) arn: String,
    pub(crate) priority: u32,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) actions: Vec<Action>,
}

/// One action of a rule; a rule's actions are kept sorted by order.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    pub(crate) order: Option<u32>,
    pub(crate) kind: ActionKind,
}

impl Action {
    /// The target groups that it names.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        let forward = match &self.kind {
            ActionKind::Forward(forward) => Some(forward),
            _ => None,
        };
        forward.into_iter().flat_map(|forward| forward.groups.iter().map(|(arn, _)| arn.as_str()))
    }
}

#[derive(Clone, Debug)]
pub(crate) enum ActionKind {
    Forward(Forward),
    Oidc(Oidc),
    Cognito(Cognito),
    Fixed(Fixed),
    Redirect(Redirect),
}

impl ActionKind {
    /// A routing action ends the rule; the others come before one.
    pub(crate) fn routes(&self) -> bool {
        matches!(self, Self::Forward(_) | Self::Fixed(_) | Self::Redirect(_))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Forward {
    /// Target group ARN and weight.
    pub(crate) groups: Vec<(String, u32)>,
    pub(crate) sticky: bool,
    pub(crate) sticky_seconds: Option<u32>,
}

impl Forward {
    /// Whether there are several groups to choose from.
    pub(crate) fn weighs(&self) -> bool {
        self.groups.len() > 1
    }
}

/// What the two ways to sign in have in common.
#[derive(Clone, Debug)]
pub(crate) struct SignIn {
    pub(crate) cookie: String,
    pub(crate) scope: String,
    pub(crate) timeout_seconds: u64,
    pub(crate) extra: BTreeMap<String, String>,
    pub(crate) unauthenticated: Unauthenticated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unauthenticated {
    Deny,
    Allow,
    Authenticate,
}

#[derive(Clone, Debug)]
pub(crate) struct Oidc {
    pub(crate) issuer: String,
    pub(crate) authorization: String,
    pub(crate) token: String,
    pub(crate) user_info: String,
    pub(crate) client: String,
    /// Never part of any answer.
    pub(crate) secret: String,
    pub(crate) sign_in: SignIn,
}

#[derive(Clone, Debug)]
pub(crate) struct Cognito {
    pub(crate) pool: String,
    pub(crate) client: String,
    pub(crate) domain: String,
    pub(crate) sign_in: SignIn,
}

#[derive(Clone, Debug)]
pub(crate) struct Fixed {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Redirect {
    pub(crate) status: u16,
    pub(crate) protocol: String,
    pub(crate) host: String,
    pub(crate) port: String,
    pub(crate) path: String,
    pub(crate) query: String,
}

/// One condition; a rule matches when all of its conditions do.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Host(Vec<String>),
    Path(Vec<String>),
    Header {
        name: String,
        values: Vec<String>,
    },
    /// Key (none: any key) and value.
    Query(Vec<(Option<String>, String)>),
    Method(Vec<String>),
    SourceIp(Vec<Cidr>),
}

/// A range of IPv4 addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cidr {
    base: Ipv4Addr,
    bits: u8,
}

impl Cidr {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (base, bits) = text.split_once('/')?;
        let bits = bits.parse().ok().filter(|bits| *bits <= 32)?;
        Some(Self { base: base.parse().ok()?, bits })
    }

    pub(crate) fn contains(self, address: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
        (self.base.to_bits() ^ address.to_bits()) & mask == 0
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}
