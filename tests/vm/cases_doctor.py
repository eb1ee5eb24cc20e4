# SPDX-License-Identifier: MIT
"""The cases of weir doctor: on each machine it finds what is true there, and nothing else.

expected/doctor.json has for each machine, and there for the machine itself ("machine") and devices
by their names ("TAKEN" is EDU in VFIO's hands), what must be found: {id: severity}, or
{id: "severity: words that are in the text"}; of all findings that aren't ok, and of those that are,
the ones that a machine is about. A finding that isn't listed fails the case, unless it is ok; one
that is listed must be there.
"""

import functools
import json

from case import Case, parsed
from expected import FOLDER

STATUS = {"yes": 0, "no": 1, "unknown": 2}
LOOK = "weir doctor --json"
SCRIPTS = {"machine": LOOK, "TAKEN": f"taken $WEIR_TEST_EDU -- {LOOK} $WEIR_TEST_EDU"}


def load(machine, folder=FOLDER):
    """What must be found there: {subject: {id: text}}; nothing where nobody looks."""
    return json.loads((folder / "doctor.json").read_text(encoding="utf-8")).get(machine, {})


def differences(findings, want):
    """What is found and not listed, or the other way round; empty when all is as it must be."""
    wrong = []
    for key, text in want.items():
        severity, _, words = text.partition(": ")
        if not any(found["id"] == key and found["severity"] == severity and words in found["text"]
                   for found in findings):
            said = "; ".join(f"{found['severity']}: {found['text']}" for found in findings
                             if found["id"] == key)
            wrong.append(f"{key} is '{said}', not '{text}'")
    wrong += [f"{found['id']} is {found['severity']} ({found['text']}), which isn't listed"
              for found in findings
              if found["severity"] != "ok" and found["id"] not in want]
    return "; ".join(wrong)


def check(subject, machine, outcome):
    """The machine's findings, or a device's, and the verdict that goes with them."""
    report, why = parsed(outcome, 0, 1, 2)
    if why:
        return why
    if STATUS[report["verdict"]] != outcome.status:
        return f"exit status {outcome.status}, but the verdict is '{report['verdict']}'"
    name = "EDU" if subject == "TAKEN" else subject
    address = None if subject == "machine" else machine.devices[f"WEIR_TEST_{name}"]
    if report["device"] != address:
        return f"it is of {report['device']}, not {address}"
    return differences([found for found in report["findings"] if found["device"] == address],
                       load(machine.name)[subject])


def doctor_cases(machine):
    """Of the machine, and of those of its devices that are listed."""
    return [Case(f"doctor-{subject.lower()}",
                 SCRIPTS.get(subject, f"{LOOK} $WEIR_TEST_{subject}"),
                 functools.partial(check, subject)) for subject in load(machine.name)]
