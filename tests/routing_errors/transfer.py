#!/usr/bin/python3
"""One TCP connection and what gets through it.

    transfer.py take PORT               takes one connection, and prints how many octets it brought
    transfer.py give ADDRESS PORT       sends two mebibytes, and waits until the other end has them all
"""

import socket
import sys

OCTETS = 2 << 20


def take(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    print("listening", flush=True)
    connection, _ = listener.accept()
    total = 0
    while piece := connection.recv(65536):
        total += len(piece)
    print("took", total, flush=True)


def give(address, port):
    connection = socket.create_connection((address, port))
    connection.sendall(b"\0" * OCTETS)
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)


if sys.argv[1] == "take":
    take(int(sys.argv[2]))
else:
    give(sys.argv[2], int(sys.argv[3]))
