"""Asks for an address without saying a link-layer address, and says what the answer says.

Usage: bare.py OWN_MAC TARGET
"""

import sys

from scapy.all import Ether, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, IPv6, in6_getnsma, in6_getnsmac, srp1
from scapy.utils6 import in6_ptop
import socket

ME, TARGET = sys.argv[1:]
group = in6_getnsma(socket.inet_pton(socket.AF_INET6, TARGET))
text = socket.inet_ntop(socket.AF_INET6, group)
question = Ether(src=ME, dst=in6_getnsmac(group)) / IPv6(dst=text, hlim=255) / ICMPv6ND_NS(tgt=in6_ptop(TARGET))
answer = srp1(question, iface="eth0", timeout=20, verbose=False, filter="icmp6 and ip6[40] == 136")
option = answer and answer.getlayer(ICMPv6NDOptDstLLAddr)
print("answered with", option and option.lladdr, "by", answer and answer[ICMPv6ND_NA].tgt)
