"""Runs commands of the unmodified `openstack` client, one after the other, in one process.

A start of the client takes a second or two of processor time, most of it for imports; here it is paid once. Each line
of the standard input is a command as it is typed; each is answered with a line of JSON: its exit status, and what it
printed. Arguments of this script are options given to every command.
"""

import contextlib
import io
import json
import shlex
import sys

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
    options = sys.argv[1:]
    for line in sys.stdin:
        command, *words = shlex.split(line)
        assert command == "openstack", line
        print(json.dumps(run(options + words)), flush=True)


main()
