"""What every machine of the cloud does: it is the first process there, starts services, and ends when one of them does."""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

# Where services listen: in the lab's own address for a controller.
CONTROLLER = "fd00:c::1"
LIMIT = 300


def say(text):
    print(f"nova_cloud: {text}", flush=True)


def configure():
    """Lays the configuration where Debian's packages look for it."""
    places = {
        "keystone.conf": "keystone",
        "placement.conf": "placement",
        "glance-api.conf": "glance",
        "nova.conf": "nova",
    }
    for name, place in places.items():
        shutil.copy(f"/opt/nova_cloud/etc/{name}", f"/etc/{place}/{name}")
    for place in ["keystone", "placement", "glance", "nova"]:
        os.makedirs(f"/var/log/{place}", exist_ok=True)
    os.makedirs("/var/lock/nova", exist_ok=True)


class Services:
    """Programs that are to run for as long as this process does."""

    def __init__(self):
        self.running = {}

    def start(self, name, *words, **environment):
        """Starts one, with its output in a file."""
        with open(f"/var/log/{name}.log", "ab") as log:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | environment
            )
        self.running[process.pid] = name
        return process

    def wait_port(self, name, address, port):
        """Waits until something listens there."""
        self.wait(name, lambda: socket.create_connection((address, port), timeout=5).close())

    def wait_answer(self, name, port):
        """Waits until an API answers, whatever it says."""
        self.wait(name, lambda: answers(f"http://[{CONTROLLER}]:{port}/"))

    def wait(self, name, attempt):
        begun = time.monotonic()
        while True:
            try:
                return attempt()
            except (OSError, http.client.HTTPException) as error:
                self.check()
                if time.monotonic() - begun > LIMIT:
                    raise SystemExit(f"{name} does not answer: {error}") from None
                time.sleep(0.2)

    def check(self):
        """Reaps who has ended; a service's end is the machine's."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.ended(pid, status)

    def ended(self, pid, status):
        name = self.running.pop(pid, None)
        if name is None:
            return
        with open(f"/var/log/{name}.log", errors="replace") as log:
            sys.stdout.writelines(log.readlines()[-40:])
        raise SystemExit(f"{name} has ended: {os.waitstatus_to_exitcode(status)}")

    def watch(self):
        """Until a service ends."""
        while True:
            self.ended(*os.wait())


def answers(url):
    try:
        urllib.request.urlopen(url, timeout=60).close()
    except urllib.error.HTTPError:
        pass


def run(*words, **environment):
    """Runs a program to its end."""
    done = subprocess.run(words, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout
