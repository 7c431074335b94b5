//! Application probes: HTTP requests that show whether the application works, sent to the address
//! that users have and to each fleet on its own.
//!
//! What is asked and what must be answered is checked here, before anything is touched. Where a probe
//! may go is for [`address`] to say, whether an answer is good for [`answer`], and what follows from
//! all of them for [`judge`]. (The verdict `probe` is something else: it sets the standby back for a
//! while.)

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::{Plan, PlannedApp};
use crate::duration::Seconds;
use crate::error::Error;
use crate::input::{Input, Operation};

pub mod address;
pub mod answer;
pub mod judge;

/// The place that is no fleet: what users see.
pub const PUBLIC: &str = "public";

/// The place that is the standby by way of the balancer, as testers see it. Its name is no fleet's.
pub const STANDBY: &str = "standby";

/// The header by which the balancer knows testers. Its value is a secret.
pub const STANDBY_HEADER: &str = "x-failover-standby";

/// All of them are sent at once, to four places of each app at most.
const MOST_PROBES: usize = 10;

/// What the function can keep in the air at once, over all apps.
const MOST_REQUESTS: usize = 64;

/// Two attempts must fit into the time-out of the function.
const LONGEST: Seconds = Seconds(10);

/// More hops than this lead nowhere.
const MOST_REDIRECTS: u8 = 5;

/// Headers that a connection needs for itself.
const RESERVED: [&str; 6] = ["connection", "content-length", "expect", "te", "transfer-encoding", "upgrade"];

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
    pub within: Seconds,
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

    /// What is wrong with it, by the name of the field.
    fn check(&self) -> Result<(), String> {
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        if !self.path.starts_with('/')
            || self.path.len() > 512
            || !plain(&self.path)
            || self.path.contains('#')
        {
            return Err(
                "`path` must begin with / and hold up to 512 plain characters, such as /health".into()
            );
        }
        for (name, value) in &self.headers {
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if name.is_empty() || !name.bytes().all(token) {
                return Err(format!("`headers`: {name:?} is not the name of a header"));
            }
            if name.eq_ignore_ascii_case(STANDBY_HEADER) {
                return Err(format!(
                    "`headers`: {name} is sent to the address `standby` and to no other; leave it out, and give \
                     that address in `addresses`"
                ));
            }
            if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
                return Err(format!("`headers`: {name} belongs to the connection; leave it out"));
            }
            if value.len() > 1024 || !value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
                return Err(format!("`headers`: {name} must be one line of up to 1024 plain characters"));
            }
        }
        if !(100..600).contains(&self.status) {
            return Err(format!("`status`: {} is no status of HTTP", self.status));
        }
        if self.text.as_ref().is_some_and(|text| text.is_empty() || text.len() > 512) {
            return Err("`text` must hold 1 to 512 bytes".into());
        }
        if let Some(pointer) =
            self.json.keys().find(|pointer| !pointer.is_empty() && !pointer.starts_with('/'))
        {
            return Err(format!("`json`: {pointer:?} is not a JSON pointer such as /status"));
        }
        if self.method == Method::Head && (self.text.is_some() || !self.json.is_empty()) {
            return Err("`method`: HEAD has no body to find a text or JSON in; use GET".into());
        }
        if self.within.0 == 0 || self.within > LONGEST {
            return Err(format!("`within`: {} is not between 1s and {LONGEST}", self.within));
        }
        if self.redirects > MOST_REDIRECTS {
            return Err(format!("`redirects`: {} are more than {MOST_REDIRECTS}", self.redirects));
        }
        Ok(())
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
    fn places(&self) -> String {
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

/// What the deployment says, as the text of its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configured {
    /// JSON as in the input; empty for none.
    pub probes: String,
    /// Such as `public=https://shop.example,prod1=https://one.shop.example`; empty for none.
    pub addresses: String,
    /// `allowed` or `refused`.
    pub loopback: String,
}

/// Checks probes and names the field that is wrong.
pub(crate) fn check(probes: &[Probe]) -> Result<(), String> {
    if probes.len() > MOST_PROBES {
        return Err(format!("`probes`: {} are more than {MOST_PROBES}", probes.len()));
    }
    let named =
        |(index, probe): (usize, &Probe)| probe.check().map_err(|what| format!("`probes[{index}]`: {what}"));
    probes.iter().enumerate().try_for_each(named)
}

/// The plan with what it probes, if the input or the deployment names probes. Neither a drain, which
/// may leave a dead standby, nor a restore does.
///
/// # Errors
/// `PlanRejected`, naming the field or the parameter of the deployment.
pub fn planned(plan: Plan, input: &Input, configured: &Configured) -> Result<Plan, Error> {
    if matches!(input.operation, Operation::Drain | Operation::Restore) {
        return Ok(plan);
    }
    let refused = |what| Error::rejected(format!("{}: {what}. Nothing was touched.", plan.app));
    let Some(probing) = probing(&plan, input, configured).map_err(refused)? else { return Ok(plan) };
    let mut plan = plan;
    plan.checks.push(probing.in_words());
    plan.probing = Some(probing);
    if before_the_run(&plan) {
        plan.checks.push(format!("they must pass on {} before any user is moved", plan.standby));
    }
    Ok(plan)
}

/// Whether the standby is probed before the run begins: where users are moved to a release, or to a
/// fleet that was deployed to. A failback is in a hurry and goes to a fleet that users know.
pub fn before_the_run(plan: &Plan) -> bool {
    matches!(plan.operation, Operation::Shift | Operation::Balance)
        && plan.probing.as_ref().is_some_and(|probing| probing.of_standby(plan).next().is_some())
}

fn probing(plan: &Plan, input: &Input, configured: &Configured) -> Result<Option<Probing>, String> {
    let probes = match &input.probes {
        Some(probes) => probes.clone(),
        None => configured_probes(&configured.probes)?,
    };
    if probes.is_empty() {
        return Ok(None);
    }
    let mut addresses = BTreeMap::new();
    for app in &plan.apps {
        let of_app = addresses_of(plan, input, configured, app)?;
        addresses.extend(of_app.map(|of_app| (app.name.clone(), of_app)));
    }
    if addresses.is_empty() {
        return Ok(None);
    }
    let requests = probes.len() * addresses.values().map(BTreeMap::len).sum::<usize>();
    if requests > MOST_REQUESTS {
        return Err(format!(
            "`probes`: {requests} requests in a round are more than {MOST_REQUESTS}; give fewer probes or `addresses`"
        ));
    }
    Ok(Some(Probing { probes, addresses, loopback: configured.loopback == "allowed" }))
}

/// Where the probes of an app go; nothing where that could only be by a rule for testers that leads astray.
fn addresses_of(
    plan: &Plan,
    input: &Input,
    configured: &Configured,
    app: &PlannedApp,
) -> Result<Option<BTreeMap<String, String>>, String> {
    let (whose, mut addresses) = match input.addresses_of(&app.name)? {
        Some(addresses) => ("`addresses`", addresses),
        None if plan.is_lockstep() => {
            return Err(
                "`probes` of several apps need `addresses` for each, by their names; or give \"probes\": []"
                    .into(),
            );
        }
        None => ("the deployment's ProbeAddresses", configured_addresses(&configured.addresses)?),
    };
    if let Some(astray) = plan.testers_astray(app).filter(|_| addresses.contains_key(STANDBY)) {
        // What is wrong for testers never holds up the way back.
        if input.operation != Operation::Failback {
            return Err(format!("{whose}: {STANDBY}: {astray}"));
        }
        addresses.remove(STANDBY);
        if addresses.is_empty() {
            return Ok(None);
        }
    }
    let known = [PUBLIC, STANDBY, &plan.live, &plan.standby];
    if addresses.is_empty() {
        return Err(format!(
            "`probes` have nowhere to go; give `addresses` for one or more of {}, such as \
             {{\"public\": \"https://shop.example\"}}",
            listed(known)
        ));
    }
    for (place, text) in &addresses {
        if !known.contains(&place.as_str()) {
            return Err(format!("{whose}: {place:?} is none of {}", listed(known)));
        }
        address::origin(text, configured.loopback == "allowed")
            .map_err(|what| format!("{whose}: {place}: {what}"))?;
    }
    Ok(Some(addresses))
}

fn configured_probes(text: &str) -> Result<Vec<Probe>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let read: Result<Vec<Probe>, _> = serde_path_to_error::deserialize(&mut json);
    let probes =
        read.map_err(|error| format!("the deployment's Probes: {}: {}", error.path(), error.inner()))?;
    check(&probes).map_err(|what| format!("the deployment's Probes: {what}"))?;
    Ok(probes)
}

fn configured_addresses(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (place, address) = pair.split_once('=')?;
        Some((place.to_owned(), address.to_owned()))
    };
    let pairs: Option<_> = pairs.map(pair).collect();
    pairs.ok_or_else(|| {
        format!("the deployment's ProbeAddresses: {text:?} is not such as public=https://shop.example")
    })
}

/// `a, b and c`.
fn listed(words: impl IntoIterator<Item = impl Into<String>>) -> String {
    let mut words: Vec<String> = words.into_iter().map(Into::into).collect();
    match words.pop() {
        Some(last) if !words.is_empty() => format!("{} and {last}", words.join(", ")),
        last => last.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
