"""Nova and Keystone, as far as Sextant's events need them. Says each event on its output, with when it came."""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6

TOKEN = "token-of-sextant"


class Server(ThreadingHTTPServer):
    address_family = AF_INET6
    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer in two small packets would wait for the first one's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/v3/auth/tokens":
            self.issue()
        elif self.headers["x-auth-token"] != TOKEN:
            self.answer(401, {})
        else:
            self.take(body["events"])

    def issue(self):
        url = f"http://{self.headers['host']}/v2.1"
        endpoint = {"interface": "internal", "region": "one", "url": url}
        ends = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 3600))
        token = {
            "expires_at": ends,
            "user": {"id": "sextant"},
            "catalog": [{"type": "compute", "endpoints": [endpoint]}],
        }
        self.answer(201, {"token": token}, [("X-Subject-Token", TOKEN)])

    def take(self, events):
        for event in events:
            print("event", event["name"], event["server_uuid"], event["tag"], time.time(), flush=True)
            event.update(code=200, status="completed")
        self.answer(200, {"events": events})

    def answer(self, status, body, headers=()):
        octets = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)
        self.wfile.flush()

    def log_message(self, *_):
        pass


server = Server(("::", int(sys.argv[1])), Handler)
print("ready", flush=True)
server.serve_forever()
