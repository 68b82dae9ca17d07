#!/usr/bin/python3
"""Sends to a router's own addresses what it has no use for, and first of all what nobody is told of.

Usage: to_the_router.py OWN_MAC MAC_IPV6 MAC_IPV4 OWN_IPV6 OWN_IPV4 ROUTER_IPV6 ROUTER_IPV4
"""

import sys

from scapy.all import (
    Ether, HBHOptUnknown, ICMPv6EchoReply, ICMPv6EchoRequest, IP, IPv6, IPv6ExtHdrDestOpt,
    IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN, Raw, TCP, UDP, conf,
)

ME, MAC6, MAC4, MINE6, MINE4, ROUTER6, ROUTER4 = sys.argv[1:]
ESP, UNASSIGNED, NOTHING = 50, 200, 59


def ipv6(*layers, **fields):
    packet = Ether(src=ME, dst=MAC6) / IPv6(src=MINE6, dst=ROUTER6, **fields)
    for layer in layers:
        packet /= layer
    return packet


def ipv4(layer, **fields):
    return Ether(src=ME, dst=MAC4) / IP(src=MINE4, dst=ROUTER4, **fields) / layer


def unknown(kind=0x9e):
    return [HBHOptUnknown(otype=kind, optlen=4, optdata=b"\0" * 4)]


def padding():
    return [PadN(optdata=b"\0" * 4)]


def udp():
    return UDP(sport=40000, dport=33434) / Raw(b"." * 16)


tcp = TCP(sport=40000, dport=22, flags="S")
raw = Raw(b"\0" * 16)
FRAMES = [
    # Of these nobody is told anything.
    ipv6(IPv6ExtHdrDestOpt(options=unknown(0x5e)), udp()),
    ipv6(raw, nh=NOTHING),
    ipv6(ICMPv6EchoRequest()),
    ipv6(ICMPv6EchoReply()),
    # Of each of these, somebody is.
    ipv6(udp()),
    ipv6(tcp),
    ipv6(raw, nh=UNASSIGNED),
    ipv6(raw, nh=ESP),
    ipv6(IPv6ExtHdrHopByHop(options=unknown()), udp()),
    ipv6(IPv6ExtHdrDestOpt(options=unknown()), udp()),
    # The address is the destination's own, which the checksum is then right for before and after.
    ipv6(IPv6ExtHdrRouting(type=0, segleft=1, addresses=[ROUTER6]), udp()),
    ipv6(IPv6ExtHdrDestOpt(options=padding()), IPv6ExtHdrHopByHop(options=padding()), udp()),
    ipv4(tcp),
    ipv4(raw, proto=UNASSIGNED),
    ipv4(udp()),
]

socket = conf.L2socket(iface="eth0")
for frame in FRAMES:
    socket.send(frame)
