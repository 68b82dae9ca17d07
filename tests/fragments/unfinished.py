"""Sends the first fragments of 1,500 packets, and none of the rest.

Usage: unfinished.py OWN_MAC OWN_ADDRESS PEER_MAC PEER_ADDRESS
"""

import sys

from scapy.all import Ether, IPv6, IPv6ExtHdrFragment, Raw, UDP, sendp

ME, MINE, PEER, PEERS = sys.argv[1:]
content = bytes(UDP(sport=40000, dport=40000, len=4008, chksum=1) / Raw(b"." * 1272))
frames = [
    Ether(src=ME, dst=PEER) / IPv6(src=MINE, dst=PEERS) / IPv6ExtHdrFragment(nh=17, m=1, id=number) / Raw(content)
    for number in range(1500)
]
sendp(frames, iface="eth0", verbose=False)
