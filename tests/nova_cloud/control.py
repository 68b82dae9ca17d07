"""The machine with all of OpenStack but its hypervisors: database, broker, Keystone, Placement, Glance and Nova.

Without words it starts them, says `ready`, and goes on until one of them ends. With the word `prepare` it fills the empty
databases, and ends: the image keeps what is so before the first guest.
"""

import json
import os
import sys
import time
import urllib.request

from machine import CONTROLLER, Services, configure, run, say

KEYSTONE = f"http://[{CONTROLLER}]:5000/v3"
DATABASES = ["keystone", "placement", "glance", "nova_api", "nova", "nova_cell0"]
ENDPOINTS = {
    "placement": f"http://[{CONTROLLER}]:8778",
    "image": f"http://[{CONTROLLER}]:9292",
    "compute": f"http://[{CONTROLLER}]:8774/v2.1",
    "network": f"http://[{CONTROLLER}]:9696",
}
# User, project, role.
PEOPLE = [
    *((user, "service", role) for user in ["placement", "glance", "nova", "sextant"] for role in ["admin", "service"]),
    ("alice", "red", "member"),
]
# Name, memory in MiB.
FLAVORS = [("small", 192), ("large", 256)]
# What guests ping as soon as they have an address.
PINGED = ["192.0.2.9", "2001:db8:a::f816:3eff:fe00:9"]


def start_database(services):
    words = ["--user=root", "--bind-address=127.0.0.1", "--skip-grant-tables", "--skip-name-resolve"]
    words += ["--innodb-flush-log-at-trx-commit=0", "--socket=/run/mysqld/mysqld.sock", "--max-connections=1000"]
    os.makedirs("/run/mysqld", exist_ok=True)
    process = services.start("mariadb", "mariadbd", *words)
    services.wait_port("MariaDB", "127.0.0.1", 3306)
    return process


def start_broker(services):
    os.makedirs("/etc/rabbitmq", exist_ok=True)
    with open("/etc/rabbitmq/rabbitmq.conf", "w") as opened:
        opened.write(f"loopback_users = none\nlisteners.tcp.1 = {CONTROLLER}:5672\n")
    folder = next(name for name in os.listdir("/usr/lib/rabbitmq/lib"))
    program = f"/usr/lib/rabbitmq/lib/{folder}/sbin/rabbitmq-server"
    only_here = {"RABBITMQ_NODENAME": "rabbit@localhost", "ERL_EPMD_ADDRESS": "127.0.0.1"}
    services.start("rabbitmq", program, HOME="/var/lib/rabbitmq", RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 1:1", **only_here)


def start_wsgi(services, name, port, file):
    # It keeps no connection alive: whoever thinks so would be cut off.
    words = ["--http-socket", f"[::]:{port}", "--add-header", "Connection: close", "--buffer-size", "65535"]
    # Processes rather than threads: eventlet, which these bring along, does not go with threads.
    words += ["--wsgi-file", file, "--enable-threads", "--processes", "4", "--need-app"]
    services.start(name, "uwsgi_python311", "--master", "--die-on-term", *words)


def start_keystone(services):
    start_wsgi(services, "keystone-api", 5000, "/usr/bin/keystone-wsgi-public")
    services.wait_answer("Keystone", 5000)


def ask(method, url, token=None, body=None, **headers):
    """Asks one of the APIs; returns its answer's headers and body."""
    given = {"Content-Type": "application/json"} | ({"X-Auth-Token": token} if token else {}) | headers
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, given, method=method)
    with urllib.request.urlopen(request, timeout=300) as answer:
        text = answer.read()
        return answer.headers, json.loads(text) if text else None


def admin_token():
    domain = {"name": "Default"}
    user = {"name": "admin", "domain": domain, "password": "admin-hunter2"}
    identity = {"methods": ["password"], "password": {"user": user}}
    body = {"auth": {"identity": identity, "scope": {"project": {"name": "admin", "domain": domain}}}}
    headers, _ = ask("POST", f"{KEYSTONE}/auth/tokens", None, body)
    return headers["X-Subject-Token"]


def make(token, kind, **given):
    _, made = ask("POST", f"{KEYSTONE}/{kind}s", token, {kind: given})
    return made[kind]["id"]


def make_people(token):
    roles = {}
    for role in ["admin", "member", "service"]:
        _, found = ask("GET", f"{KEYSTONE}/roles?name={role}", token)
        roles[role] = found["roles"][0]["id"] if found["roles"] else make(token, "role", name=role)
    projects, users = {}, {}
    for user, project, role in PEOPLE:
        if project not in projects:
            projects[project] = make(token, "project", name=project)
        if user not in users:
            users[user] = make(token, "user", name=user, password=f"{user}-hunter2")
        ask("PUT", f"{KEYSTONE}/projects/{projects[project]}/users/{users[user]}/roles/{roles[role]}", token)


def make_catalogue(token):
    for kind, url in ENDPOINTS.items():
        service = make(token, "service", name=kind, type=kind)
        for interface in ["public", "internal", "admin"]:
            make(token, "endpoint", service_id=service, region_id="one", interface=interface, url=url)


def make_image(token, name, kind, container, data, **properties):
    formats = {"name": name, "visibility": "public", "disk_format": kind, "container_format": container}
    _, made = ask("POST", f"{ENDPOINTS['image']}/v2/images", token, formats | properties)
    url = f"{ENDPOINTS['image']}/v2/images/{made['id']}/file"
    ask("PUT", url, token, data, **{"Content-Type": "application/octet-stream"})
    return made["id"]


def make_images(token):
    parts = []
    for name, kind in [("vmlinuz", "aki"), ("initrd", "ari")]:
        with open(f"/mnt/{name}", "rb") as opened:
            parts.append(make_image(token, name, kind, kind, opened.read()))
    words = f"console=ttyS0 quiet panic=-1 ping={','.join(PINGED)}"
    properties = {"kernel_id": parts[0], "ramdisk_id": parts[1], "os_command_line": words}
    make_image(token, "guest", "raw", "bare", bytes(1 << 20), **properties)


def make_flavors(token):
    for name, memory in FLAVORS:
        given = {"name": name, "ram": memory, "vcpus": 1, "disk": 1}
        ask("POST", f"{ENDPOINTS['compute']}/flavors", token, {"flavor": given})


def prepare_keystone():
    run("keystone-manage", "db_sync")
    user = ["--keystone-user=root", "--keystone-group=root"]
    run("keystone-manage", "fernet_setup", *user)
    run("keystone-manage", "credential_setup", *user)
    place = ["--bootstrap-public-url", KEYSTONE, "--bootstrap-internal-url", KEYSTONE, "--bootstrap-admin-url", KEYSTONE]
    run("keystone-manage", "bootstrap", "--bootstrap-password", "admin-hunter2", "--bootstrap-region-id", "one", *place)


def make_key():
    """With which hypervisors reach each other by SSH: a cold migration makes folders there."""
    os.makedirs("/root/.ssh", exist_ok=True)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/.ssh/id_ed25519")
    os.rename("/root/.ssh/id_ed25519.pub", "/root/.ssh/authorized_keys")
    with open("/root/.ssh/config", "w") as opened:
        opened.write("StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n")


def prepare(services):
    make_key()
    database = start_database(services)
    for name in DATABASES:
        run("mariadb", "--socket=/run/mysqld/mysqld.sock", "-e", f"CREATE DATABASE {name}")
    prepare_keystone()
    run("placement-manage", "db", "sync")
    run("glance-manage", "db_sync")
    run("nova-manage", "api_db", "sync")
    run("nova-manage", "cell_v2", "map_cell0")
    run("nova-manage", "cell_v2", "create_cell", "--name=cell1")
    run("nova-manage", "db", "sync")
    say("databases are there")
    start_keystone(services)
    token = admin_token()
    make_people(token)
    make_catalogue(token)
    start_broker(services)
    services.wait_port("RabbitMQ", CONTROLLER, 5672)
    start_apis(services)
    make_images(token)
    make_flavors(token)
    database.terminate()
    database.wait()


def start_apis(services):
    start_wsgi(services, "placement-api", 8778, "/usr/bin/placement-api")
    services.start("glance", "glance-api", "--config-file", "/etc/glance/glance-api.conf")
    services.start("nova-api", "nova-api", "--config-file", "/etc/nova/nova.conf")
    for name, port in [("Placement", 8778), ("Glance", 9292), ("Nova", 8774), ("Nova's metadata", 8775)]:
        services.wait_answer(name, port)


def serve(services):
    begun = time.monotonic()
    start_database(services)
    start_broker(services)
    start_keystone(services)
    services.wait_port("RabbitMQ", CONTROLLER, 5672)
    start_apis(services)
    for name in ["nova-conductor", "nova-scheduler"]:
        services.start(name, name, "--config-file", "/etc/nova/nova.conf")
    say(f"ready after {time.monotonic() - begun:.0f} s")
    services.watch()


def main():
    services = Services()
    configure()
    match sys.argv[1:]:
        case ["prepare"]:
            prepare(services)
        case []:
            serve(services)


main()
