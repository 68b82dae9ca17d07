"""Sends pieces of one long packet that another guest's address is in.

Usage: piece.py OWN_MAC SOURCE PEER_MAC PEER_ADDRESS FIRST LAST

FIRST and LAST count the packet's pieces, of which there are 54; all have the same identification. Each is of 1,232 octets, but
for the last: together they are 65,535, the most that there may be behind an IPv6 header.
"""

import sys

from scapy.all import Ether, IPv6, IPv6ExtHdrFragment, Raw, sendp

ME, SOURCE, PEER, PEERS = sys.argv[1:5]
FIRST, LAST = int(sys.argv[5]), int(sys.argv[6])
SIZE, ALL, COUNT, UDP = 1232, 65535, 54, 17
frames = [
    Ether(src=ME, dst=PEER)
    / IPv6(src=SOURCE, dst=PEERS)
    / IPv6ExtHdrFragment(nh=UDP, offset=number * SIZE // 8, m=int(number < COUNT - 1), id=7)
    / Raw(b"." * min(SIZE, ALL - number * SIZE))
    for number in range(FIRST, LAST)
]
sendp(frames, iface="eth0", verbose=False)
