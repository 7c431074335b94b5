//! Application probes: HTTP requests that show whether the application works. (The verdict `probe` is
//! something else: it sets the standby back for a while.)

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::plan::Plan;
use crate::duration::Seconds;

/// The place that is no fleet: what users see.
pub const PUBLIC: &str = "public";

/// The place that is the standby by way of the balancer, as testers see it. Its name is no fleet's.
pub const STANDBY: &str = "standby";

/// The header by which the balancer knows testers. Its value is a secret.
pub const STANDBY_HEADER: &str = "x-failover-standby";

/// How a probe asks. None of them sends a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `GET`
    #[default]
    Get,
    /// `HEAD`
    Head,
    /// `OPTIONS`
    Options,
    /// `POST`
    Post,
}

impl Method {
    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Post => "POST",
        }
    }
}

/// One request and what must be answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Probe {
    /// Path and query, such as `/health?deep=1`.
    pub path: String,
    /// How it asks.
    #[serde(default)]
    pub method: Method,
    /// Headers on top; `host` asks a fleet for the page of a name that leads elsewhere.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The status that must come.
    #[serde(default = "ok")]
    pub status: u16,
    /// What must stand somewhere in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What must stand in the JSON of the body, by JSON pointers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub json: BTreeMap<String, Value>,
    /// How long all of it may take, redirects and body included.
    #[serde(default = "five_seconds")]
    pub timeout: Seconds,
    /// How many redirects are followed. One beyond is an answer like any other.
    #[serde(default)]
    pub redirects: u8,
}

const fn ok() -> u16 {
    200
}
const fn five_seconds() -> Seconds {
    Seconds(5)
}

impl Probe {
    /// Such as `GET /health`.
    pub fn name(&self) -> String {
        format!("{} {}", self.method.word(), self.path)
    }
}

/// What a run probes, and where: part of its plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Probing {
    /// The probes, each of which goes to every address.
    pub probes: Vec<Probe>,
    /// For each app `public`, `standby` and the names of fleets, with an address such as
    /// `https://shop.example` each.
    pub addresses: BTreeMap<String, BTreeMap<String, String>>,
    /// Whether addresses of the machine that probes are allowed, for rehearsals.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub loopback: bool,
}

impl Probing {
    /// What must pass where.
    pub fn in_words(&self) -> String {
        let probes = self.probes.iter().map(Probe::name);
        format!("at every stage {} must pass on {}", listed(probes), self.places())
    }

    /// Where they go, in words.
    pub fn places(&self) -> String {
        let mut of_apps = self.addresses.iter().map(|(app, addresses)| (app, listed(addresses.keys())));
        let Some((_, first)) = of_apps.next() else { return String::new() };
        if self.addresses.len() == 1 {
            return first;
        }
        if of_apps.all(|(_, places)| places == first) {
            return format!("{first} of every app");
        }
        let one = |(app, addresses): (&String, &BTreeMap<String, String>)| {
            format!("{} of {app}", listed(addresses.keys()))
        };
        self.addresses.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// Where probes go.
    pub fn everywhere(&self) -> impl Iterator<Item = Target<'_>> {
        self.addresses.iter().flat_map(|(app, addresses)| {
            addresses.iter().map(move |(place, address)| Target { app, place, address })
        })
    }

    /// The places that lead to a standby alone.
    pub fn of_standby<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = Target<'a>> {
        self.everywhere().filter(|target| [STANDBY, &plan.standby].contains(&target.place))
    }
}

/// Where a probe goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The app.
    pub app: &'a str,
    /// `public`, `standby`, or the name of a fleet.
    pub place: &'a str,
    /// The address.
    pub address: &'a str,
}

/// `a, b and c`.
pub(crate) fn listed(words: impl IntoIterator<Item = impl Into<String>>) -> String {
    let mut words: Vec<String> = words.into_iter().map(Into::into).collect();
    match words.pop() {
        Some(last) if !words.is_empty() => format!("{} and {last}", words.join(", ")),
        last => last.unwrap_or_default(),
    }
}
