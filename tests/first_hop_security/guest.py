"""Sends what a guest may and may not send: one case after the other, each with its number.

The number is where whoever captures finds it: the flow label of IPv6, the identification of IPv4, the last octet of an ARP
request's target. Prints `NUMBER NAME` a case, and sends a frame that says END when all are under way.

Usage: guest.py OWN_MAC OWN_ADDRESS PEER_MAC PEER_ADDRESS ROUTER_MAC ROUTER_ADDRESS
"""

import sys

from scapy.all import (
    ARP, Dot1Q, Ether, ICMPv6EchoRequest, ICMPv6MLReport2, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA,
    ICMPv6ND_Redirect, ICMPv6ND_RS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr, IP, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting, PadN, Raw, UDP, raw, sendp,
)

ME, MINE, PEER, PEERS, ROUTER, ROUTERS = sys.argv[1:]
ALL, ALL_MAC = "ff02::1", "33:33:00:00:00:01"
NOBODY, NOBODYS, NOBODYS_V4 = "02:00:00:00:00:bd", "2001:db8:bad::bd", "203.0.113.250"
ICMPV6, UDP_NUMBER, FRAGMENT, OPTIONS = 58, 17, 44, 60


def ether(source=ME):
    return Ether(src=source, dst=ALL_MAC)


def ip(source=MINE, destination=ALL, hop_limit=255, **fields):
    return IPv6(src=source, dst=destination, hlim=hop_limit, **fields)


def ra(source=MINE, mac=ME):
    prefix = ICMPv6NDOptPrefixInfo(prefix="2001:db8:bad::", prefixlen=64, A=1, L=1)
    return ICMPv6ND_RA(routerlifetime=1800) / ICMPv6NDOptSrcLLAddr(lladdr=mac) / prefix


def options(length=4):
    return IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * (length - 2))])


def text(size=16):
    return UDP(sport=40000, dport=40000) / Raw(b"." * size)


def dhcpv6(source_port):
    return UDP(sport=source_port, dport=546) / Raw(b"\x02\x00\x00\x01")


def na(target, mac=ME, source=MINE):
    return ip(source) / ICMPv6ND_NA(tgt=target, R=0, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=mac)


def ns(mac=ME, source=MINE):
    return ip(source) / ICMPv6ND_NS(tgt="2001:db8:a::f") / ICMPv6NDOptSrcLLAddr(lladdr=mac)


def pieces(whole, first, cuts, identification):
    """Fragments of what follows the IPv6 header of `whole`, which begins with a header of type `first`."""
    content, marks = raw(whole)[40:], [0, *cuts]
    frames = []
    for start, end in zip(marks, [*cuts, len(content)]):
        header = IPv6ExtHdrFragment(
            nh=first, offset=start // 8, m=int(end < len(content)), id=identification)
        frames.append(ether() / ip(whole.src, nh=FRAGMENT) / header / Raw(content[start:end]))
    return frames


def nested():
    """The header chain's end is in the second fragment of a first fragment."""
    inner = IPv6ExtHdrFragment(nh=ICMPV6, offset=0, m=0, id=71) / Raw(raw(ip() / ra())[40:])
    return pieces(ip(nh=FRAGMENT) / Raw(raw(inner)), FRAGMENT, [8], 72)


def shim(number):
    """An extension header that leads on to a Router Advertisement, of a type that few know."""
    return ether() / ip(nh=number) / Raw(bytes([ICMPV6, 0, 0x80, 0, 0, 0, 0, 0]) + raw(ip() / ra())[40:])


def v4(source, sport, dport):
    return Ether(src=ME, dst="ff:ff:ff:ff:ff:ff") / IP(src=source, dst="255.255.255.255") / UDP(
        sport=sport, dport=dport) / Raw(b"\x02")


CASES = {
    "ra": ether() / ip() / ra(),
    "ra as the router": ether() / ip(ROUTERS) / ra(ROUTERS, ROUTER),
    "ra as the router, wholly": ether(ROUTER) / ip(ROUTERS) / ra(ROUTERS, ROUTER),
    "ra behind hop-by-hop options": ether() / ip() / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0\0")]) / ra(),
    "ra behind destination options": ether() / ip() / options() / ra(),
    "ra behind many headers": ether() / ip() / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0\0")]) / options(20)
    / IPv6ExtHdrRouting(segleft=0) / options() / ra(),
    "ra in an atomic fragment": ether() / ip() / IPv6ExtHdrFragment(id=60) / ra(),
    "ra in two fragments": pieces(ip() / ra(), ICMPV6, [16], 61),
    "ra in the second fragment": pieces(ip() / options() / ra(), OPTIONS, [8], 62),
    "ra behind cut options": pieces(ip() / options(20) / ra(), OPTIONS, [8], 63),
    "ra behind two fragment headers": pieces(
        ip() / IPv6ExtHdrFragment(id=64) / ra(), FRAGMENT, [24], 65),
    "ra in the second of two layers of fragments": nested(),
    "ra behind a shim6 header": shim(140),
    "ra behind an experimental header": shim(253),
    "ra in a vlan": ether() / Dot1Q(vlan=5) / ip() / ra(),
    "ra with a priority tag": ether() / Dot1Q(vlan=0) / ip() / ra(),
    "redirect": ether() / ip() / ICMPv6ND_Redirect(tgt=MINE, dst=PEERS),
    "na for the peer": ether() / na(PEERS),
    "na for the peer, wholly": ether(PEER) / na(PEERS, PEER, PEERS),
    "na for the router": ether() / na(ROUTERS),
    "na with the peer's mac": ether() / na(MINE, PEER),
    "na with two macs": ether() / na(MINE, PEER) / ICMPv6NDOptDstLLAddr(lladdr=ME),
    "na in two fragments": pieces(na(MINE), ICMPV6, [24], 66),
    "ns with the peer's mac": ether() / ns(PEER),
    "ns with two macs": ether() / ns(PEER) / ICMPv6NDOptSrcLLAddr(lladdr=ME),
    "ns of the peer": ether() / ns(source=PEERS),
    "ns in two fragments": pieces(ns(), ICMPV6, [24], 67),
    "mac of nobody": ether(NOBODY) / ip() / text(),
    "mac of the peer": ether(PEER) / ip() / text(),
    "address of nobody": ether() / ip(NOBODYS) / text(),
    "address of the peer": ether() / ip(PEERS) / text(),
    "address of the router": ether() / ip(ROUTERS) / text(),
    "no address": ether() / ip("::") / text(),
    "dhcpv6 reply": ether() / ip() / dhcpv6(547),
    "dhcpv6 reply from another port": ether() / ip() / dhcpv6(5547),
    "dhcpv6 reply in the second fragment": pieces(ip() / options() / dhcpv6(547), OPTIONS, [8], 68),
    "dhcpv4 offer": v4("0.0.0.0", 67, 68),
    "ipv4 of nobody": v4(NOBODYS_V4, 40000, 40000),
    "arp of nobody": Ether(src=ME, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=ME, psrc=NOBODYS_V4, pdst="198.51.100.0"),
    "own address": ether() / ip() / text(),
    "own address behind headers": ether() / ip() / options() / text(),
    # Open vSwitch's connection tracker takes IPv6 fragments of less than 1280 octets, but for the last, for invalid.
    "own address in fragments": pieces(ip() / text(1600), UDP_NUMBER, [1280], 69),
    "own address in fragments behind headers": pieces(ip() / options() / text(1600), OPTIONS, [1288], 70),
    "ping": ether() / ip(hop_limit=64) / ICMPv6EchoRequest(),
    "own na": ether() / na(MINE),
    "own na without a mac": ether() / ip() / ICMPv6ND_NA(tgt=MINE, R=0, S=0, O=1),
    "own ns": ether() / ns(),
    "probe for a free address": ether() / ip("::") / ICMPv6ND_NS(tgt="2001:db8:a::f"),
    "mld report": ether() / ip("::", hop_limit=1) / ICMPv6MLReport2(),
    "dhcpv4 discover": v4("0.0.0.0", 68, 67),
}


def numbered(frame, number):
    """The same bytes, but for the number: checksums of the upper layer do not cover where it is."""
    if IPv6 in frame:
        frame[IPv6].fl = number
    elif IP in frame:
        frame[IP].id = number
    else:
        frame[ARP].pdst = f"198.51.100.{number}"
    return frame


everything = []
for number, (name, frames) in enumerate(CASES.items(), 1):
    frames = frames if isinstance(frames, list) else [frames]
    everything += [numbered(frame, number) for frame in frames]
    print(number, name)
everything.append(ether() / ip() / UDP(sport=40001, dport=40001) / Raw(sys.argv[0].encode() + b" END"))
sendp(everything, iface="eth0", verbose=False)
