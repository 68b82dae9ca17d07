"""Runs commands of the unmodified `openstack` client, one after the other, in one process.

A start of the client takes a second or two of processor time, most of it for imports; here it is paid once. Each line
of the standard input is a command as it is typed; each is answered with a line of JSON: its exit status, and what it
printed. The arguments of this script are the address of the API and, for commands that name projects, the projects that
there are; the first is the client's own. Without arguments, each command says by itself where it goes and as whom.
"""

import contextlib
import io
import json
import multiprocessing
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


def apart(words):
    """Runs one in a process of its own: in one process, the client goes on as the first user who asked."""
    with multiprocessing.get_context("fork").Pool(1) as process:
        return process.apply(run, (words,))


def main():
    options, command = [], run
    match sys.argv[1:]:
        case []:
            command = apart
        case [endpoint]:
            options = ["--os-auth-type", "none", "--os-endpoint", endpoint]
        case [endpoint, *projects]:
            options = identity.serve(endpoint, projects)
    for line in sys.stdin:
        program, *words = shlex.split(line)
        assert program == "openstack", line
        print(json.dumps(command(options + words)), flush=True)


main()
