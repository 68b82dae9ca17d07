"""A Keystone of its own on loopback, until the standard input ends: SQLite, Fernet tokens, a user `admin`.

The arguments are a folder for all that it writes, the password of `admin`, and for how many seconds its tokens hold. Once
it answers, it prints the URL of its API.
"""

import os
import sys
import threading
import warnings

warnings.filterwarnings("ignore")

from keystone.cmd import cli
from werkzeug.serving import WSGIRequestHandler, make_server

CONFIGURATION = """
[DEFAULT]
log_file = {folder}/keystone.log
[database]
connection = sqlite:///{folder}/keystone.db
[fernet_tokens]
key_repository = {folder}/fernet
[fernet_receipts]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
[identity]
password_hash_rounds = 4
[token]
expiration = {seconds}
"""


class Quiet(WSGIRequestHandler):
    def log_request(self, *_):
        pass


def manage(file, *words):
    """Runs a command of keystone-manage, in a process of its own: each reads the configuration once."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = cli.main(argv=["keystone-manage", "--config-file", file, *words]) or 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status == 0, words


def main():
    folder, password, seconds = sys.argv[1:]
    file = os.path.join(folder, "keystone.conf")
    with open(file, "w") as opened:
        opened.write(CONFIGURATION.format(folder=folder, seconds=seconds))
    server = make_server("127.0.0.1", 0, None, threaded=True, request_handler=Quiet)
    url = f"http://127.0.0.1:{server.server_port}/v3"
    manage(file, "db_sync")
    user = [f"--keystone-user={os.getuid()}", f"--keystone-group={os.getgid()}"]
    manage(file, "fernet_setup", *user)
    manage(file, "credential_setup", *user)
    region = ["--bootstrap-public-url", url, "--bootstrap-internal-url", url, "--bootstrap-region-id", "one"]
    manage(file, "bootstrap", "--bootstrap-password", password, *region)
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = file
    # Keystone would take them for its own.
    del sys.argv[1:]
    from keystone.wsgi import api

    server.app = api.application
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(url, flush=True)
    sys.stdin.read()


main()
