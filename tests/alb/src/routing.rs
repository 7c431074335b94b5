//! From a request to the actions that handle it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::Request;
use hyper::header::HOST;
use rand::Rng;

use crate::group::Group;
use crate::model::{Condition, Fixed, Redirect, Unauthenticated};

/// A listener's rules as the data plane applies them.
pub(crate) struct Table {
    /// Sorted by priority.
    pub(crate) rules: Vec<(Vec<Condition>, Arc<[Step]>)>,
    pub(crate) default: Arc<[Step]>,
    /// `app/name/id` of the balancer.
    pub(crate) balancer: Arc<str>,
    pub(crate) port: u16,
    /// `http` or `https`: what the listener claims to be, whatever it speaks here.
    pub(crate) scheme: &'static str,
    pub(crate) idle_timeout: std::time::Duration,
}

/// An action, ready to be taken.
pub(crate) enum Step {
    Authenticate(Gate),
    Fixed(Fixed),
    Redirect(Redirect),
    Forward(Choice),
}

/// Asks for a session cookie.
pub(crate) struct Gate {
    pub(crate) cookie: String,
    pub(crate) endpoint: String,
    pub(crate) client: String,
    pub(crate) scope: String,
    pub(crate) unauthenticated: Unauthenticated,
}

/// Chooses a target group.
pub(crate) struct Choice {
    pub(crate) groups: Vec<(Arc<Group>, u32)>,
    /// How long a client stays with its group, in seconds; none without stickiness.
    pub(crate) sticky_seconds: Option<u32>,
}

impl Choice {
    /// A group by chance, as often as its weight says. None if all weights are zero.
    pub(crate) fn draw(&self, rng: &mut impl Rng) -> Option<&Arc<Group>> {
        let total: u32 = self.groups.iter().map(|(_, weight)| weight).sum();
        if total == 0 {
            return None;
        }
        let mut draw = rng.random_range(0..total);
        for (group, weight) in &self.groups {
            if draw < *weight {
                return Some(group);
            }
            draw -= weight;
        }
        None
    }

    /// The group that a stickiness cookie names, whatever its weight.
    pub(crate) fn remembered(&self, cookie: &str) -> Option<&Arc<Group>> {
        self.groups.iter().map(|(group, _)| group).find(|group| *group.label == *cookie)
    }
}

impl Table {
    /// The actions for a request.
    pub(crate) fn route<B>(&self, request: &Request<B>, client: SocketAddr) -> Arc<[Step]> {
        self.rules
            .iter()
            .find(|(conditions, _)| conditions.iter().all(|condition| holds(condition, request, client)))
            .map_or(&self.default, |(_, steps)| steps)
            .clone()
    }
}

/// The host a request is for, without its port.
pub(crate) fn host<B>(request: &Request<B>) -> &str {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or(request.uri().host()).unwrap_or_default();
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

fn holds<B>(condition: &Condition, request: &Request<B>, client: SocketAddr) -> bool {
    match condition {
        Condition::Host(patterns) => any(patterns, host(request), Case::Folded),
        Condition::Path(patterns) => any(patterns, request.uri().path(), Case::Exact),
        Condition::Header { name, values } => request
            .headers()
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| any(values, value, Case::Folded)),
        Condition::Query(pairs) => {
            let query = request.uri().query().unwrap_or_default();
            form_urlencoded::parse(query.as_bytes()).any(|(key, value)| {
                pairs.iter().any(|(wanted, pattern)| {
                    wanted.as_ref().is_none_or(|wanted| matches(wanted, &key, Case::Folded))
                        && matches(pattern, &value, Case::Folded)
                })
            })
        }
        Condition::Method(methods) => methods.iter().any(|method| method == request.method().as_str()),
        Condition::SourceIp(ranges) => match client.ip() {
            IpAddr::V4(address) => ranges.iter().any(|range| range.contains(address)),
            IpAddr::V6(_) => false,
        },
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Exact,
    Folded,
}

fn any(patterns: &[String], text: &str, case: Case) -> bool {
    patterns.iter().any(|pattern| matches(pattern, text, case))
}

/// Compares with `*` for any characters and `?` for exactly one.
fn matches(pattern: &str, text: &str, case: Case) -> bool {
    let same = |a: u8, b: u8| a == b || case == Case::Folded && a.eq_ignore_ascii_case(&b);
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last star, should what follows it not match.
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(&expected) if expected == b'?' || same(expected, text[t]) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star, from)) = retry else { return false };
                retry = Some((star, from + 1));
                p = star + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        let cases = [
            ("/img/*", "/img/a/b.png", true),
            ("/img/*", "/img", false),
            ("/a?c", "/abc", true),
            ("/a?c", "/ac", false),
            ("*.example.com", "shop.example.com", true),
            ("*.example.com", "example.com", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "ab-ba", false),
            ("", "", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text, Case::Exact), expected, "{pattern} {text}");
        }
        assert!(matches("SHOP.*", "shop.example", Case::Folded));
        assert!(!matches("/Img", "/img", Case::Exact));
    }
}
