"""Runs commands of the unmodified `openstack` client, one after the other, in one process.

A start of the client takes a second or two of processor time, most of it for imports; here it is paid once. Each line
of the standard input is a command as it is typed; each is answered with a line of JSON: its exit status, and what it
printed. The arguments of this script are the address of the API and, for commands that name projects, the projects that
there are; the first is the client's own.
"""

import contextlib
import io
import json
import shlex
import sys

import identity
from openstackclient import shell


def run(words):
    printed, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complained):
        try:
            status = shell.main(words)
        except SystemExit as end:
            status = end.code
    return {"status": status or 0, "out": printed.getvalue(), "err": complained.getvalue()}


def main():
    endpoint, *projects = sys.argv[1:]
    if projects:
        options = identity.serve(endpoint, projects)
    else:
        options = ["--os-auth-type", "none", "--os-endpoint", endpoint]
    for line in sys.stdin:
        command, *words = shlex.split(line)
        assert command == "openstack", line
        print(json.dumps(run(options + words)), flush=True)


main()
