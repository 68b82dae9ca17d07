"""The proxy in `docs/guides/identity.md`, word for word but for addresses and passwords, until the standard input ends.

The arguments are the guide, Keystone's URL, the password of its user `neutron`, and the host and port of Sextant. Once it
answers, it prints its URL.
"""

import re
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from socketserver import ThreadingMixIn


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def replaced(text, words):
    for old, new in words.items():
        assert old in text, f"the guide's proxy has no {old}"
        text = text.replace(old, new)
    return text


def main():
    guide, keystone, password, host, port = sys.argv[1:]
    del sys.argv[1:]
    with open(guide) as opened:
        (text,) = re.findall(r"```python\n(# proxy.py.*?)```", opened.read(), re.DOTALL)
    words = {"https://keystone.example:5000": keystone, "…": password, '"::1", 9696': f'"{host}", {port}'}
    names = {}
    exec(compile(replaced(text, words), guide, "exec"), names)
    server = make_server("127.0.0.1", 0, names["application"](), Server, Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


main()
