//! What DHCPv4 does not answer, and what of a message it does not read.

use super::*;

#[test]
fn what_is_no_clients_message_is_not_answered() {
    let discover = || Query::new(Discover);
    let changed = |change: fn(&mut Query)| {
        let mut query = discover();
        change(&mut query);
        silence(service(), &query)
    };
    assert_eq!(changed(|q| q.op = 2), "a message that servers send");
    assert_eq!(changed(|q| q.relay = SERVER), "from a relay agent");
    assert_eq!(
        changed(|q| q.hardware_len = 8),
        "hardware address is not Ethernet"
    );
    assert_eq!(
        changed(|q| q.mac = MacAddr([2, 0, 0, 0, 0, 1])),
        "hardware address is not the port's"
    );
    assert_eq!(changed(|q| q.port = 69), "not to the DHCPv4 server port");
    assert_eq!(
        silence(service(), &Query::bare()),
        "BOOTP without a message type"
    );
    for kind in [Offer, Ack, Nak] {
        assert_eq!(
            silence(service(), &Query::new(kind)),
            "a message that servers send"
        );
    }
    let nobody = Dhcpv4Service {
        leases: Vec::new(),
        ..service()
    };
    assert_eq!(silence(nobody, &discover()), "no address for this port");
}

#[test]
fn a_malformed_option_is_named() {
    let with = |code, value: &[u8]| malformed(&Query::new(Discover).with(code, value));
    assert_eq!(
        with(option::REQUESTED_ADDRESS, &[1, 2, 3]),
        "option of a wrong length"
    );
    assert_eq!(
        with(option::CLIENT_ID, &[1]),
        "client identifier shorter than 2 octets"
    );
    assert_eq!(with(option::OVERLOAD, &[4]), "overload not from 1 to 3");
    assert_eq!(
        with(option::MESSAGE_TYPE, &[3]),
        "option that may occur once occurs twice"
    );
    assert_eq!(
        with(option::CLIENT_ARCHITECTURES, &[7]),
        "list that ends within an item"
    );
    assert_eq!(
        with(option::CLASSLESS_ROUTES, &[33, 0, 0, 0, 0]),
        "route of more than 32 bits"
    );
    assert_eq!(
        with(option::CLIENT_FQDN, &[0, 0]),
        "client name shorter than 3 octets"
    );
    let unknown = Query::bare().with(option::MESSAGE_TYPE, &[9]);
    assert_eq!(malformed(&unknown), "unknown message type");
}

#[test]
fn options_unknown_to_the_server_are_as_if_not_there() {
    let plain = Query::new(Discover);
    let adorned = plain.clone().with(224, b"?").with(option::HOST_NAME, &[]);
    assert_eq!(answer(service(), &adorned), answer(service(), &plain));
}

#[test]
fn packets_that_are_not_whole_ipv4_are_refused() {
    let reason = |change: fn(&mut Vec<u8>)| {
        let mut frame = Query::new(Discover).frame();
        change(&mut frame);
        match respond(&dhcpv4(service()), &frame).outcome.verdict {
            PacketVerdict::Malformed(malformed) => malformed.reason,
            PacketVerdict::Ignored(reason) => reason,
            verdict => panic!("{verdict:?}"),
        }
    };
    assert_eq!(reason(|f| f[24] ^= 1), "wrong IPv4 header checksum");
    assert_eq!(reason(|f| f[14] = 0x65), "IP version is not 4");
    assert_eq!(
        reason(|f| f[14] = 0x44),
        "IPv4 header length below 20 octets"
    );
    assert_eq!(reason(|f| f[13] = 0xdd), "not an untagged IPv4 frame");
    assert_eq!(
        reason(|f| f.truncate(200)),
        "IPv4 total length is not the packet's"
    );
    assert_eq!(reason(|f| f[60] ^= 1), "wrong UDP checksum");
    let fragment = |f: &mut Vec<u8>| {
        // More fragments instead of "don't fragment": the checksum follows.
        f[20] = 0x20;
        f[24] += 0x20;
    };
    assert_eq!(reason(fragment), "fragment");
    let mut unchecked = Query::new(Discover).frame();
    unchecked[40..42].fill(0);
    assert_eq!(
        respond(&dhcpv4(service()), &unchecked).frames.len(),
        1,
        "no UDP checksum"
    );
}
