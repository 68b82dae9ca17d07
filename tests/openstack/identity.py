"""As much of an identity service (Keystone v3) as commands need that name projects: a token for anybody, a catalog with
one network service, and the projects by id and name.
"""

import json
import threading
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DOMAIN = {"id": "default", "name": "Default"}


def serve(network, names):
    """Serves projects of these names. Returns the options of a client that works for the first."""
    projects = [{"id": uuid.uuid5(uuid.NAMESPACE_DNS, name).hex, "name": name} for name in names]

    class Identity(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            url = urllib.parse.urlsplit(self.path)
            name = urllib.parse.parse_qs(url.query).get("name")
            found = [project for project in projects if url.path == f"/v3/projects/{project['id']}"]
            if url.path.rstrip("/") == "/v3":
                self.answer(200, {"version": {"id": "v3.14", "status": "stable", "links": [link("self")]}})
            elif url.path == "/v3/projects":
                self.answer(200, {"projects": [project for project in projects if name in (None, [project["name"]])]})
            elif found:
                self.answer(200, {"project": found[0]})
            else:
                self.answer(404, {"error": {"code": 404, "title": "Not Found", "message": f"no {url.path}"}})

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(201, {"token": token()}, {"X-Subject-Token": "anybody"})

        def answer(self, status, body, headers=()):
            text = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**dict(headers), "Content-Type": "application/json", "Content-Length": len(text)}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    def link(rel):
        return {"rel": rel, "href": address}

    def token():
        def service(kind, url):
            endpoint = {"id": kind, "interface": "public", "region": "one", "region_id": "one", "url": url}
            return {"id": kind, "type": kind, "name": kind, "endpoints": [endpoint]}

        return {
            "methods": ["password"],
            "user": {"id": "admin", "name": "admin", "domain": DOMAIN},
            "project": {**projects[0], "domain": DOMAIN},
            "roles": [{"id": "admin", "name": "admin"}],
            "catalog": [service("identity", address), service("network", network)],
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2126-01-01T00:00:00.000000Z",
        }

    server = ThreadingHTTPServer(("127.0.0.1", 0), Identity)
    address = f"http://127.0.0.1:{server.server_port}/v3"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    given = {"auth-url": address, "username": "admin", "password": "any", "project-name": names[0]}
    domains = {"user-domain-name": "Default", "project-domain-name": "Default", "identity-api-version": "3"}
    return [word for name, value in {**given, **domains}.items() for word in (f"--os-{name}", value)]
