#!/usr/bin/python3
"""Sends datagrams whose hop limit ends at the first router.

Usage: spent.py ADDRESS COUNT
"""

import socket
import sys

address, count = sys.argv[1], int(sys.argv[2])
if ":" in address:
    sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 1)
else:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
for _ in range(count):
    sender.sendto(b"spent", (address, 33434))
