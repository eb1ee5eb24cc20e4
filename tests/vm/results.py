# SPDX-License-Identifier: MIT
"""What the machines said when they ran last, and documents that are made of it."""

import argparse
import json
import re
import sys
from pathlib import Path

import cases
import verdicts
from frames import Reader
from machines import MACHINES

TOP = Path(__file__).parents[2]
VERSIONS = "versions.json"


class Missing(Exception):
    """A result that isn't there, or isn't good; the text says which, and what to do."""


def read(build, name):
    """All that a machine has said; what the host was asked for was done then, or the case says."""
    reader = Reader({case.name for case in cases.of_machine(MACHINES[name])}, lambda _action: "")
    log = build / "vm" / name / "results.log"
    if log.exists():
        reader.feed(log.read_bytes())
        reader.close()
    return reader


def passed(build, name):
    """(all that a machine has said, the names of its tests); each that is due in it has passed."""
    machine, reader = MACHINES[name], read(build, name)
    again = f"run python3 tests/vm/run.py {name}"
    if not reader.release:
        raise Missing(f"{name} hasn't run: {again}")
    found = [verdicts.of_boot(machine, reader.outcomes["boot"])]
    for case in cases.of_machine(machine):
        outcome = reader.outcomes.get(case.name)
        if not outcome or not outcome.ended:
            raise Missing(f"{name} has no result of {case.name}: {again}")
        found += verdicts.of_case(machine, case, outcome)
    bad = [verdict for verdict in found if verdict.result != "pass"]
    if bad:
        raise Missing(f"{name}/{bad[0].test} didn't pass ({bad[0].why or bad[0].result}): {again}")
    if reader.stray or not reader.done:
        raise Missing(f"{name} didn't come to its end: {again}")
    return reader, [verdict.test for verdict in found]


def versions(build, name):
    """The packages that a machine was made of: {"qemu": "NAME VERSION", "kernel": …}."""
    try:
        return json.loads((build / "vm" / name / VERSIONS).read_text())
    except (FileNotFoundError, ValueError) as error:
        raise Missing(f"it isn't known which packages {name} was made of: "
                      f"run python3 tests/vm/run.py {name}") from error


def generate(about, path, place, make):
    """A generator's whole command: `make(build)` gives the text, which with --write takes the
    place in the document that the pattern `place` matches. 0: done; 2: it could not be."""
    parser = argparse.ArgumentParser(description=about,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=Path("build"), metavar="DIR",
                        help="meson's build folder (default: build)")
    parser.add_argument("--write", action="store_true",
                        help=f"put it into {path.relative_to(TOP)}, instead of printing it")
    options = parser.parse_args()
    try:
        text = make(options.build)
    except Missing as missing:
        print(f"{parser.prog}: {missing}", file=sys.stderr)
        return 2
    if not options.write:
        print(text, end="")
        return 0
    after, n = re.subn(place, lambda _: text, path.read_text())
    if n != 1:
        print(f"{parser.prog}: {path} has no place for it", file=sys.stderr)
        return 2
    path.write_text(after)
    return 0
