#!/usr/bin/python3
"""Two ends of a TCP connection that say what becomes of it, a line an event.

    peer.py serve PORT              gives back what it is sent
    peer.py talk ADDRESS PORT       connects once, then sends a number and waits for it, again and again
"""

import itertools
import socket
import sys
import time

PATIENCE = 4  # seconds


def serve(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6)
    print("listening", flush=True)
    while True:
        connection, _ = listener.accept()
        while True:
            try:
                said = connection.recv(4096)
            except OSError:
                break
            if not said:
                break
            connection.sendall(said)


def talk(address, port):
    try:
        connection = socket.create_connection((address, port), timeout=PATIENCE)
    except OSError as error:
        print("refused", error, flush=True)
        return
    print("connected", flush=True)
    for number in itertools.count():
        said = b"%d\n" % number
        connection.sendall(said)
        heard = b""
        while not heard.endswith(b"\n"):
            try:
                heard += connection.recv(4096)
            except TimeoutError:
                print("silence", flush=True)
        print("heard", number, flush=True)
        time.sleep(0.05)


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    talk(sys.argv[2], int(sys.argv[3]))
