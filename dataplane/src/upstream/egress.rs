//! Which addresses may be dialled: checked after name look-up, on the address that is then dialled, so that a name
//! that changes its mind gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use snapshot::{Egress, Reach};

/// Whether a provider of this reach may dial the address.
#[must_use]
pub fn may_dial(reach: Reach, egress: &Egress, address: IpAddr) -> bool {
    let address = address.to_canonical();
    match reach {
        Reach::Any => true,
        Reach::Public => is_public(address) || egress.allow.iter().any(|network| network.contains(&address)),
    }
}

/// Whether an address is of the public internet: none of the special-purpose registries of IANA (RFC 6890 and later).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127, _, _)            // this network, private, loopback
            | (100, 64..=127, _)        // shared by carriers
            | (169, 254, _)             // link-local, cloud metadata
            | (172, 16..=31, _)         // private
            | (192, 0, 0 | 2)           // protocol assignments, documentation
            | (192, 88, 99)             // 6to4 relays
            | (192, 168, _)             // private
            | (198, 18..=19, _)         // benchmarks
            | (198, 51, 100)            // documentation
            | (203, 0, 113)             // documentation
            | (224..=255, _, _) // multicast, reserved, broadcast
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Only 2000::/3 is global unicast; inside it some blocks embed other addresses or are for documentation.
    let global = a & 0xe000 == 0x2000;
    let special = match (a, b) {
        (0x2001, 0..=0x01ff) => true, // protocol assignments, Teredo
        (0x2001, 0x0db8) => true,     // documentation
        (0x3fff, 0..=0x0fff) => true, // documentation
        (0x2002, _) => true,          // 6to4: embeds an IPv4 address
        _ => false,
    };
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        may_dial(Reach::Public, &Egress::default(), text.parse().expect("an address"))
    }

    #[test]
    fn a_tenants_provider_dials_public_addresses_only() {
        for text in ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "104.18.7.192"] {
            assert!(public(text), "{text} is public");
        }
        for text in [
            "127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2001:db8::1",
            "ff02::1",
        ] {
            assert!(!public(text), "{text} is not public");
        }
    }

    #[test]
    fn the_gateways_egress_opens_a_network_for_tenants() {
        let egress = Egress { allow: vec!["10.20.0.0/16".parse().expect("a network")] };
        assert!(may_dial(Reach::Public, &egress, "10.20.3.4".parse().expect("an address")));
        assert!(may_dial(Reach::Public, &egress, "::ffff:10.20.3.4".parse().expect("an address")), "mapped addresses count as IPv4");
        assert!(!may_dial(Reach::Public, &egress, "10.21.3.4".parse().expect("an address")));
    }

    #[test]
    fn the_gateways_own_providers_dial_anything() {
        assert!(may_dial(Reach::Any, &Egress::default(), "127.0.0.1".parse().expect("an address")));
    }
}
