#!/usr/bin/env python3
"""Writes Grafana's dashboards from their declarations in `declared/`, one file each.

grafana/dashboards.py            writes dashboards/*.json
grafana/dashboards.py --check    writes nothing, and fails where a file is not what would be written
"""

import sys

sys.dont_write_bytecode = True

from pathlib import Path  # noqa: E402

from declared import ALL  # noqa: E402
from declared.kit import as_json  # noqa: E402

FOLDER = Path(__file__).resolve().parent / "dashboards"


def main(words):
    wanted = {f"{board.uid}.json": as_json(board, ALL) for board in ALL}
    there = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    if words == ["--check"]:
        wrong = sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))
        return f"not as declared, run grafana/dashboards.py: {', '.join(wrong)}" if wrong else None
    if words:
        return __doc__
    for name in there.keys() - wanted.keys():
        (FOLDER / name).unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
