//! Which addresses of the internet are public: what a webhook may reach. Anything else is somebody's own network, ours included.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is not public of IPv4, as address and length of the prefix.
/// <https://www.iana.org/assignments/iana-ipv4-special-registry/>
const NOT_PUBLIC: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),       // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // shared by a carrier's customers
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // this machine; on Lambda also its Runtime API
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // this link; in clouds also who hands out credentials
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocols
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 31, 196, 0), 24), // AS112
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // relays to IPv6
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // groups
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved, and everybody
];

/// What is not public of the IPv6 addresses given out so far, all of which begin with the bits 001.
/// <https://www.iana.org/assignments/iana-ipv6-special-registry/>
const NOT_PUBLIC_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocols, among them tunnels that carry an IPv4 address
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // carries an IPv4 address
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Whether an address is a public one. What carries an IPv4 address inside IPv6 is not, whichever it is.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            !NOT_PUBLIC.iter().any(|(network, length)| (bits ^ network.to_bits()).leading_zeros() >= *length)
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            let given_out = bits >> 125 == 0b001;
            let within =
                |(network, length): &(Ipv6Addr, u32)| (bits ^ network.to_bits()).leading_zeros() >= *length;
            given_out && !NOT_PUBLIC_V6.iter().any(within)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::this_network("0.0.0.0")]
    #[case::this_machine("127.0.0.1")]
    #[case::this_machine_too("127.255.255.254")]
    #[case::private("10.0.0.1")]
    #[case::private_172("172.16.0.1")]
    #[case::private_172_end("172.31.255.255")]
    #[case::private_192("192.168.1.1")]
    #[case::carrier("100.64.0.1")]
    #[case::carrier_end("100.127.255.255")]
    #[case::link("169.254.0.1")]
    #[case::credentials("169.254.169.254")]
    #[case::container_credentials("169.254.170.2")]
    #[case::protocols("192.0.0.8")]
    #[case::documentation_1("192.0.2.1")]
    #[case::documentation_2("198.51.100.7")]
    #[case::documentation_3("203.0.113.9")]
    #[case::benchmarks("198.19.255.255")]
    #[case::groups("224.0.0.1")]
    #[case::reserved("240.0.0.1")]
    #[case::everybody("255.255.255.255")]
    #[case::v6_none("::")]
    #[case::v6_this_machine("::1")]
    #[case::v6_mapped_private("::ffff:10.0.0.1")]
    #[case::v6_mapped_public("::ffff:93.184.215.14")]
    #[case::v6_compatible("::93.184.215.14")]
    #[case::v6_translated("64:ff9b::a00:1")]
    #[case::v6_translated_locally("64:ff9b:1::a00:1")]
    #[case::v6_discard("100::1")]
    #[case::v6_link("fe80::1")]
    #[case::v6_unique_local("fc00::1")]
    #[case::v6_unique_local_fd("fd00:ec2::254")]
    #[case::v6_groups("ff02::1")]
    #[case::v6_documentation("2001:db8::1")]
    #[case::v6_documentation_2("3fff:fff::1")]
    #[case::v6_teredo("2001:0:a00:1::")]
    #[case::v6_6to4("2002:a00:1::")]
    #[case::v6_site_local("fec0::1")]
    #[case::v6_not_given_out("4000::1")]
    fn this_is_nobodys_to_reach(#[case] address: &str) {
        assert!(!is_public(address.parse().unwrap()));
    }

    #[rstest]
    #[case("1.1.1.1")]
    #[case("93.184.215.14")]
    #[case("100.63.255.255")]
    #[case("100.128.0.0")]
    #[case("172.15.255.255")]
    #[case("172.32.0.0")]
    #[case("169.253.255.255")]
    #[case("198.17.255.255")]
    #[case("198.20.0.0")]
    #[case("223.255.255.255")]
    #[case("2606:4700:4700::1111")]
    #[case("2a00:1450:4001:831::200e")]
    #[case("2001:4860:4860::8888")]
    fn this_is_public(#[case] address: &str) {
        assert!(is_public(address.parse().unwrap()));
    }
}
