# SPDX-License-Identifier: MIT
"""What a case is, and what the checks of several ask."""

import dataclasses
import json
import re
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing that runs in a machine.

    `split` makes further verdicts, (name, result, why), out of one outcome; `needs` are the
    executables of the build that it runs.
    """

    name: str
    script: str
    check: Callable
    limit: int = 60
    split: Callable = None
    needs: tuple = ("tools/weir/weir",)


# What several checks ask.

def ended_well(_machine, outcome):
    """The script's last word was 0."""
    if outcome.status:
        return f"exit status {outcome.status}"
    return ""


def parsed(outcome, *statuses):
    """(the JSON on stdout, why it isn't there); the exit status must be 0 or one of those."""
    if outcome.status not in (statuses or (0,)):
        return None, f"exit status {outcome.status}"
    try:
        return json.loads(outcome.stdout), ""
    except ValueError as error:
        return None, f"stdout is not JSON: {error}"


def strings(value):
    """Every string and number of a JSON value, numbers also as hex."""
    if isinstance(value, dict):
        return [text for item in value.items() for part in item for text in strings(part)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [str(value)] + ([f"{value:#06x}"] if isinstance(value, int) else [])


# Bad input: exit 2, one sentence that names the thing, the cause and the cure, nothing done.

def complaint(outcome, *parts):
    """Why stderr isn't that one sentence; `parts` are patterns that must be in it."""
    if outcome.status != 2:
        return f"exit status {outcome.status}, not 2"
    lines = outcome.stderr.strip("\n").split("\n")
    if len(lines) != 1 or not lines[0].startswith("weir: "):
        return "stderr is not one sentence that starts with 'weir: '"
    for part in parts:
        if not re.search(part, lines[0], re.I):
            return f"stderr doesn't say '{part}'"
    return ""


def unopened(outcome):
    """A program is told the same: the step 'open' failed, and no other was tried."""
    try:
        steps = json.loads(outcome.stdout)["steps"]
    except ValueError as error:
        return f"stdout is not JSON: {error}"
    if steps[0]["result"] != "fail" or f"weir: {steps[0]['why']}" != outcome.stderr.strip():
        return f"the step 'open' is {steps[0]}"
    if any(step["result"] != "impossible" for step in steps[1:]):
        return "a step after 'open' was tried"
    return ""


def bad_input(name, script, *parts):
    """A case whose complaint needs only text and the machine's addresses."""
    def check(machine, outcome):
        why = complaint(outcome, *(re.escape(machine.devices[part]) if part in machine.devices
                                   else part for part in parts))
        return why or (unopened(outcome) if "--json" in script else "")
    return Case(f"bad-{name}", script, check)
