//! `host:port`: the session's own address and the endpoints of the store.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::value::Why;
use crate::error::{Error, ErrorKind, Result};

/// The host of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// An IP address.
    Ip(IpAddr),
    /// A name, as it was given.
    Name(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The parts of `host:port`; either may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPort {
    pub(super) host: Option<Host>,
    pub(super) port: Option<u16>,
}

impl HostPort {
    /// Reads `host`, `host:port` or `:port`.
    pub(super) fn parse(text: &str) -> std::result::Result<Self, Why> {
        if text.contains("://") {
            return Err("a URL scheme is not wanted here".into());
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (inside, after) = rest.split_once(']').ok_or("the bracket of the IPv6 address is not closed")?;
                let ip = inside.parse::<Ipv6Addr>().map_err(|_| "no IPv6 address between the brackets")?;
                let port = match after.strip_prefix(':') {
                    Some(port) => Some(port),
                    None if after.is_empty() => None,
                    None => return Err("only :port may follow the bracket".into()),
                };
                (Some(Host::Ip(ip.into())), port)
            }
            None => {
                let (host, port) = match text.split_once(':') {
                    Some((_, port)) if port.contains(':') => {
                        return Err("an IPv6 address must be in brackets, as in [::1]:2379".into());
                    }
                    Some((host, port)) => (host, Some(port)),
                    None => (text, None),
                };
                let host = match host {
                    "" => None,
                    host => Some(parse_host(host)?),
                };
                (host, port)
            }
        };
        let port = port.map(parse_port).transpose()?;
        Ok(Self { host, port })
    }
}

/// Reads a host name or an IP address without brackets.
pub(super) fn parse_host(text: &str) -> std::result::Result<Host, Why> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Host::Ip(ip));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.len() > 253 {
        return Err("the host name is longer than 253 characters".into());
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err("the host name has an empty part".into());
        }
        if label.len() > 63 {
            return Err("a part of the host name is longer than 63 characters".into());
        }
        if let Some(c) = label.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')) {
            return Err(format!("'{}' cannot stand in a host name", c.escape_debug()));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err("a part of the host name begins or ends with '-'".into());
        }
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return Err("it looks like an IPv4 address, but is none".into());
    }
    Ok(Host::Name(text.to_owned()))
}

fn parse_port(text: &str) -> std::result::Result<u16, Why> {
    if text.is_empty() {
        return Err("the port is missing after ':'".into());
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) || (text.len() > 1 && text.starts_with('0')) {
        return Err("the port is not a plain number".into());
    }
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err("the port is not between 1 and 65535".into()),
    }
}

/// The session's own address. An empty host is left empty: it is looked up only when a session starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    host: Option<Host>,
    port: u16,
}

impl Address {
    pub(super) fn parse(text: &str) -> std::result::Result<Self, Why> {
        let HostPort { host, port } = HostPort::parse(text)?;
        let port = port.ok_or("the port is missing")?;
        if let Some(Host::Ip(ip)) = &host
            && (ip.is_unspecified() || ip.is_multicast())
        {
            return Err("clients cannot reach this IP address".into());
        }
        Ok(Self { host, port })
    }

    /// The address with its host filled in, for the session's record.
    pub(super) fn announced(&self) -> Result<String> {
        let host = match &self.host {
            Some(host) => host.clone(),
            None => Host::Ip(local_ip()?),
        };
        Ok(format!("{host}:{}", self.port))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) => write!(f, "{host}:{}", self.port),
            None => write!(f, ":{}", self.port),
        }
    }
}

fn local_ip() -> Result<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().map_err(|error| {
        Error::new(ErrorKind::Resources, format!("the IP addresses of this host cannot be listed: {error}"))
    })?;
    let ips: Vec<IpAddr> = interfaces.iter().map(if_addrs::Interface::ip).collect();
    Ok(first_unicast(&ips).unwrap_or_else(|| {
        tracing::warn!("this host has no unicast IP address: clients are told 127.0.0.1");
        Ipv4Addr::LOCALHOST.into()
    }))
}

/// The address that Milvus would choose: the first IPv4, else the first IPv6, that is neither of the loopback nor of
/// the link alone.
fn first_unicast(ips: &[IpAddr]) -> Option<IpAddr> {
    let wanted = |ip: &&IpAddr| {
        let link_or_broadcast = match ip {
            IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        !link_or_broadcast && !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast()
    };
    let v4 = ips.iter().filter(|ip| ip.is_ipv4()).find(wanted);
    v4.or_else(|| ips.iter().filter(|ip| ip.is_ipv6()).find(wanted)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(ips: &[&str]) -> Option<String> {
        let ips: Vec<IpAddr> = ips.iter().map(|ip| ip.parse().unwrap()).collect();
        first_unicast(&ips).map(|ip| ip.to_string())
    }

    #[test]
    fn first_unicast_ip_is_chosen_as_milvus_does() {
        let table: &[(&[&str], Option<&str>)] = &[
            (&["127.0.0.1", "10.0.0.5", "192.168.1.2"], Some("10.0.0.5")),
            (&["fd00::5", "172.17.0.2"], Some("172.17.0.2")),
            (&["::1", "fe80::1", "2001:db8::7"], Some("2001:db8::7")),
            (&["127.0.0.1", "169.254.3.4", "0.0.0.0", "224.0.0.1", "255.255.255.255"], None),
            (&["::", "ff02::1"], None),
            (&[], None),
        ];
        for (ips, expected) in table {
            assert_eq!(chosen(ips).as_deref(), *expected, "{ips:?}");
        }
    }

    #[test]
    fn an_empty_host_is_announced_with_an_ip_of_this_host() {
        let address = Address::parse(":53100").unwrap();
        assert_eq!(address.to_string(), ":53100");
        let announced = address.announced().unwrap();
        let parsed = Address::parse(&announced).unwrap();
        assert!(matches!(parsed.host, Some(Host::Ip(_))), "{announced}");
        assert_eq!(parsed.port, 53100);
    }
}
