//! Where this process may send: hosts that the deployment names, and addresses that are public or named.
//!
//! A name proves nothing: whoever answers for it may point it at a machine inside (DNS rebinding). So the name is
//! checked when a target is given, and the address once more, right before the connection is made to that address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Serialize, Serializer};

/// A host or a network that may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// This host.
    Host(String),
    /// Every host below this domain, not the domain itself; kept with its leading dot.
    Below(String),
    /// Addresses with these leading bits, private ones included.
    Network {
        /// The first address.
        first: IpAddr,
        /// How many leading bits count.
        bits: u8,
    },
}

/// Why an address is not sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// Nobody named the host.
    #[error("the host is not among those that may be sent to: name it in `webhooks.allow`")]
    Host,
    /// The address belongs to this machine or a network inside.
    #[error(
        "the host leads to an address that is not public: name its network in `webhooks.allow`, if that is meant"
    )]
    Address,
}

impl Allowed {
    /// Reads `host.example`, `*.domain.example`, an address, or a network such as `10.1.0.0/16`.
    pub fn parse(text: &str) -> Option<Allowed> {
        let text = text.trim().to_ascii_lowercase();
        if let Some((address, bits)) = text.split_once('/') {
            let first: IpAddr = address.parse().ok()?;
            let bits: u8 = bits.parse().ok()?;
            return (bits <= width(first)).then_some(Allowed::Network { first, bits });
        }
        if let Ok(first) = text.parse::<IpAddr>() {
            let bits = width(first);
            return Some(Allowed::Network { first, bits });
        }
        match text.strip_prefix('*') {
            Some(domain) => domain
                .strip_prefix('.')
                .is_some_and(|name| is_host(name) && name.contains('.'))
                .then(|| Allowed::Below(domain.to_owned())),
            None => is_host(&text).then_some(Allowed::Host(text)),
        }
    }

    fn names(&self, host: &str) -> bool {
        match self {
            Allowed::Host(name) => name == host,
            Allowed::Below(domain) => host.len() > domain.len() && host.ends_with(domain.as_str()),
            Allowed::Network { .. } => host.parse().is_ok_and(|address| self.holds(address)),
        }
    }

    fn holds(&self, address: IpAddr) -> bool {
        let Allowed::Network { first, bits } = self else {
            return false;
        };
        let of = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        };
        let mask = u128::MAX
            .checked_shl(128 - u32::from(*bits))
            .unwrap_or_default();
        first.is_ipv4() == address.is_ipv4() && of(*first) & mask == of(address) & mask
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allowed::Host(name) => f.write_str(name),
            Allowed::Below(domain) => write!(f, "*{domain}"),
            Allowed::Network { first, bits } => write!(f, "{first}/{bits}"),
        }
    }
}

impl Serialize for Allowed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Whether a host (a name in lower case, or an address without brackets) may be sent to at all.
///
/// # Errors
/// When nobody named it.
pub fn check_host(allowed: &[Allowed], host: &str) -> Result<(), NotAllowed> {
    let named = allowed.iter().any(|allowed| allowed.names(host));
    named.then_some(()).ok_or(NotAllowed::Host)
}

/// Whether an address that a host led to may be connected to.
///
/// # Errors
/// When it is neither public nor named.
pub fn check_address(allowed: &[Allowed], address: IpAddr) -> Result<(), NotAllowed> {
    let address = address.to_canonical();
    let named = allowed.iter().any(|allowed| allowed.holds(address));
    (named || is_public(address))
        .then_some(())
        .ok_or(NotAllowed::Address)
}

/// Whether an address is one of the public internet (IANA special-purpose registries).
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127, ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            | (224..=255, ..)
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let inner = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match (a, b) {
        // An IPv4 address in another form: translated (64:ff9b::/96) and 6to4.
        (0x64, 0xff9b) => (c, d, e, f) == (0, 0, 0, 0) && is_public_v4(inner(g, h)),
        (0x2002, _) => is_public_v4(inner(b, c)),
        // Teredo and other protocol assignments, documentation.
        (0x2001, 0..=0x1ff | 0xdb8) => false,
        (0x3fff, 0..=0xfff) => false,
        // All other global unicast; private, link-local, multicast and reserved lie outside of it.
        (0x2000..=0x3fff, _) => true,
        _ => false,
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(fits)
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(texts: &[&str]) -> Vec<Allowed> {
        let parse = |text: &&str| Allowed::parse(text).unwrap_or_else(|| panic!("{text}"));
        texts.iter().map(parse).collect()
    }

    #[test]
    fn a_host_must_be_named_and_a_domain_names_what_is_below_it() {
        let rules = allowed(&["hooks.example.cn", "*.gov.cn", "10.1.0.0/16", "::1"]);
        for (host, expected) in [
            ("hooks.example.cn", true),
            ("x.hooks.example.cn", false),
            ("example.cn", false),
            ("a.gov.cn", true),
            ("a.b.gov.cn", true),
            ("gov.cn", false),
            ("evilgov.cn", false),
            ("a.gov.cn.evil.net", false),
            ("10.1.2.3", true),
            ("10.2.0.1", false),
            ("::1", true),
            ("::2", false),
        ] {
            assert_eq!(check_host(&rules, host).is_ok(), expected, "{host}");
        }
        assert_eq!(check_host(&[], "hooks.example.cn"), Err(NotAllowed::Host));
    }

    #[test]
    fn addresses_inside_are_refused_in_every_form_unless_their_network_is_named() {
        for text in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.8",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:192.168.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert!(!is_public(address), "{text}");
            assert_eq!(
                check_address(&[], address),
                Err(NotAllowed::Address),
                "{text}"
            );
        }
        for text in [
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "192.0.1.1",
            "223.5.5.5",
            "2400:3200::1",
            "64:ff9b::808:808",
            "2002:808:808::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
        let rules = allowed(&["127.0.0.1", "192.168.0.0/24", "fd00::/8"]);
        for (text, expected) in [
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("::ffff:127.0.0.1", true),
            ("192.168.0.77", true),
            ("192.168.1.77", false),
            ("fd12::1", true),
            ("fc12::1", false),
        ] {
            let address = text.parse().unwrap();
            assert_eq!(check_address(&rules, address).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_host_and_no_network_is_not_read() {
        for text in [
            "",
            "*",
            "*.",
            "*.cn",
            "a..b",
            "http://a.cn",
            "a.cn:80",
            "a.cn/8",
            "10.0.0.0/33",
            "a b",
        ] {
            assert_eq!(Allowed::parse(text), None, "{text}");
        }
        let shown: Vec<String> = allowed(&["A.example", "*.Gov.cn", "10.0.0.0/8", "::1"])
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(shown, ["a.example", "*.gov.cn", "10.0.0.0/8", "::1/128"]);
    }
}
