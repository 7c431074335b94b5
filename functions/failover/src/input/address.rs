//! Where probes may go. Whoever names an address must not reach with it what only the function itself
//! may: the credentials and metadata of AWS, and the runtime beside it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Reads an address such as `https://shop.example:8443`.
///
/// # Errors
/// A sentence, where it is none, holds more than scheme, host and port, or is literally one that
/// probes are not sent to.
pub fn origin(text: &str, loopback: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is not an address ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{text:?} is neither http:// nor https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address with a user or a password would show them in the history".into());
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{text:?} must end after host and port; paths are those of the probes"));
    }
    let literal = match url.host() {
        Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
        _ => None,
    };
    literal.map_or(Ok(()), |ip| check(text, ip, loopback))?;
    Ok(url)
}

/// Refuses an address of a host that probes are not sent to, whatever name led there.
///
/// # Errors
/// A sentence that says which and why.
pub fn check(host: &str, ip: IpAddr, loopback: bool) -> Result<(), String> {
    match refusal(ip, loopback) {
        None => Ok(()),
        Some(why) => Err(format!("{host} is at {ip}, {why}; no probe is sent there")),
    }
}

fn refusal(ip: IpAddr, loopback: bool) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => refusal_v4(ip, loopback),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => refused_loopback(loopback),
        IpAddr::V6(ip) => match embedded(ip) {
            Some(ip) => refusal_v4(ip, loopback),
            None if ip.is_unicast_link_local() || is_metadata(ip) => Some(LINK_LOCAL),
            None if ip.is_unspecified() || ip.is_multicast() => Some(NO_SERVER),
            None => None,
        },
    }
}

const LINK_LOCAL: &str = "a link-local address, where AWS keeps metadata and credentials";
const NO_SERVER: &str = "which no server has";

fn refused_loopback(loopback: bool) -> Option<&'static str> {
    (!loopback).then_some("a loopback address, where the function itself runs")
}

fn refusal_v4(ip: Ipv4Addr, loopback: bool) -> Option<&'static str> {
    match ip {
        _ if ip.is_link_local() => Some(LINK_LOCAL),
        _ if ip.is_loopback() => refused_loopback(loopback),
        _ if ip.octets()[0] == 0 || ip.is_multicast() || ip.is_broadcast() => Some(NO_SERVER),
        _ => None,
    }
}

/// `fd00:ec2::/32`, where the metadata of an instance answers over IPv6.
const fn is_metadata(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    first == 0xfd00 && second == 0x0ec2
}

/// The IPv4 address that a translator would make of it: `::ffff:a.b.c.d`, `::a.b.c.d`, `64:ff9b::a.b.c.d`
/// and `2002:ab:cd::`.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match ip.segments() {
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some(of(high, low)),
        _ => ip.to_ipv4(),
    }
}
