"""Scapy as an oracle. `craft` prints frames that a guest sends, one a line in hexadecimal; `read` takes such lines
and prints the layers of each frame with their fields, and whether scapy makes the same octets of them, its own
lengths and checksums included."""

import sys

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import (
    DHCP6_Solicit,
    DHCP6OptClientId,
    DHCP6OptElapsedTime,
    DHCP6OptIA_NA,
    DHCP6OptOptReq,
    DUID_LL,
)
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_RS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import NoPayload, Packet

MAC = "fa:16:3e:00:00:02"
LINK_LOCAL = "fe80::f816:3eff:fe00:2"
COMPUTED = ("chksum", "cksum", "len", "optlen")
# What a route's option calls by the same name is a prefix length.
LENGTHS = {"IPv6": ("plen",), "IP": ("len",), "UDP": ("len",)}


def craft():
    solicitation = (
        Ether(src=MAC, dst="33:33:00:00:00:02")
        / IPv6(src=LINK_LOCAL, dst="ff02::2")
        / ICMPv6ND_RS()
        / ICMPv6NDOptSrcLLAddr(lladdr=MAC)
    )
    solicit = (
        Ether(src=MAC, dst="33:33:00:01:00:02")
        / IPv6(src=LINK_LOCAL, dst="ff02::1:2")
        / UDP(sport=546, dport=547)
        / DHCP6_Solicit(trid=0xABCDEF)
        / DHCP6OptClientId(duid=DUID_LL(lladdr=MAC))
        / DHCP6OptIA_NA(iaid=7)
        / DHCP6OptOptReq(reqopts=[23, 24])
        / DHCP6OptElapsedTime()
    )
    discover = (
        Ether(src=MAC, dst="ff:ff:ff:ff:ff:ff")
        / IP(src="0.0.0.0", dst="255.255.255.255")
        / UDP(sport=68, dport=67)
        / BOOTP(chaddr=bytes.fromhex(MAC.replace(":", "")), xid=0xABCDEF01)
        / DHCP(options=[("message-type", "discover"), ("param_req_list", [1, 3, 6, 15, 26, 51, 121]), "end"])
    )
    return [solicitation, solicit, discover]


def told(value):
    """A field's value in one line; packets within are their own fields."""
    if isinstance(value, Packet):
        return "(" + layer(value) + ")"
    if isinstance(value, list):
        return "[" + ", ".join(told(item) for item in value) + "]"
    if isinstance(value, tuple):
        return ":".join(told(item) for item in value)
    if isinstance(value, bytes):
        return value.rstrip(b"\0").decode("latin-1").encode("unicode_escape").decode()
    return str(value)


def layer(packet):
    computed = COMPUTED + LENGTHS.get(packet.name, ())
    fields = [f.name for f in packet.fields_desc if f.name not in computed and f.name in packet.fields]
    return " ".join([packet.name] + [f"{name}={told(packet.fields[name])}" for name in fields])


def layers(packet):
    while not isinstance(packet, NoPayload):
        yield packet
        packet = packet.payload


def read(octets):
    packet = Ether(octets)
    lines = [layer(part) for part in list(layers(packet))]
    for part in layers(packet):
        for name in ("chksum", "cksum", *LENGTHS.get(part.name, ())):
            part.fields.pop(name, None)
    packet.clear_cache()
    again = bytes(packet)
    return lines + ["made again the same" if again == octets else "made again otherwise: " + again.hex()]


if sys.argv[1] == "craft":
    for frame in craft():
        print(bytes(frame).hex())
else:
    for line in sys.stdin:
        print("\n".join(read(bytes.fromhex(line))))
        print()
