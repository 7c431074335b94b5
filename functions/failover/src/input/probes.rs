//! Application probes as they are typed, in the input or the deployment's parameters, checked before
//! anything is touched. Where a probe may go is for [`super::address`] to say.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::duration::Seconds;
use crate::model::probe::{Method, Probe, STANDBY_HEADER};

/// All of them are sent at once, to four places of each app at most.
const MOST_PROBES: usize = 10;

/// Two attempts must fit into the time-out of the function.
const LONGEST: Seconds = Seconds(10);

/// More hops than this lead nowhere.
const MOST_REDIRECTS: u8 = 5;

/// Headers that a connection needs for itself.
const RESERVED: [&str; 6] = ["connection", "content-length", "expect", "te", "transfer-encoding", "upgrade"];

impl Probe {
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
        if self.timeout.0 == 0 || self.timeout > LONGEST {
            return Err(format!("`timeout`: {} is not between 1s and {LONGEST}", self.timeout));
        }
        if self.redirects > MOST_REDIRECTS {
            return Err(format!("`redirects`: {} are more than {MOST_REDIRECTS}", self.redirects));
        }
        Ok(())
    }
}

/// What the deployment says, as the text of its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfiguredProbes {
    /// JSON as in the input; empty for none.
    pub probes: String,
    /// Such as `public=https://shop.example,prod1=https://one.shop.example`; empty for none.
    pub addresses: String,
    /// `allowed` or `refused`.
    pub loopback: String,
}

/// Checks probes and names the field that is wrong.
pub(super) fn check(probes: &[Probe]) -> Result<(), String> {
    if probes.len() > MOST_PROBES {
        return Err(format!("`probes`: {} are more than {MOST_PROBES}", probes.len()));
    }
    let named =
        |(index, probe): (usize, &Probe)| probe.check().map_err(|what| format!("`probes[{index}]`: {what}"));
    probes.iter().enumerate().try_for_each(named)
}

pub(crate) fn configured_probes(text: &str) -> Result<Vec<Probe>, String> {
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

pub(crate) fn configured_addresses(text: &str) -> Result<BTreeMap<String, String>, String> {
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
