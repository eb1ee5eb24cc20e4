# SPDX-License-Identifier: MIT
"""From what happened in a guest to one verdict per case, with none of them lost."""

import dataclasses
import re

TROUBLE = re.compile(r"\bWARNING: |\bBUG: |\bOops\b|Kernel panic|general protection fault")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One line of the report."""

    machine: str
    test: str
    result: str
    seconds: float
    why: str = ""
    outcome: object = None

    def record(self):
        """As it stands in the JSON."""
        return {"layer": "vm", "machine": self.machine, "test": self.test,
                "result": self.result, "seconds": round(self.seconds, 2), "why": self.why}


def one_line(text):
    """Reasons are sentences."""
    return " ".join(text.split())


def general(outcome, limit):
    """What must hold for every case, whatever it is about."""
    if outcome.timed_out:
        return f"took longer than its {limit} s"
    trouble = [line for line in outcome.kernel if TROUBLE.search(line)]
    if trouble:
        return f"the kernel complained: {trouble[0].strip()}"
    if outcome.garbage:
        return (f"{len(outcome.garbage)} lines on the result port were not understood, the first: "
                f"{outcome.garbage[0]}")
    if outcome.refused:
        return f"the host was asked for what it didn't do: {'; '.join(outcome.refused)}"
    absent = [name for name in ("out", "err", "left", "kernel") if name not in outcome.streams]
    if absent:
        return f"the guest did not send {', '.join(absent)}"
    if outcome.status in (97, 98) and "helpers: " in outcome.stderr:
        return outcome.stderr[outcome.stderr.index("helpers: "):]
    if outcome.left:
        return f"left the machine otherwise than it found it: {outcome.left}"
    return ""


def of_case(machine, case, outcome):
    """The verdicts on one case that ended."""
    why = general(outcome, case.limit)
    if not why:
        try:
            why = case.check(machine, outcome)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            why = f"its check did not understand the result: {type(error).__name__}: {error}"
    result = "fail" if why else "pass"
    verdicts = [Verdict(machine.name, case.name, result, outcome.seconds, one_line(why), outcome)]
    told = result == "fail"     # with the outcome, which is printed
    for name, result, why in case.split(outcome) if case.split else ():
        failed = result == "fail"
        verdicts.append(Verdict(machine.name, f"{case.name}/{name}", result, 0.0, one_line(why),
                                outcome if failed and not told else None))
        told |= failed
    return verdicts


def of_boot(machine, outcome, why=""):
    """The machine came up, without complaint."""
    trouble = [line for line in outcome.kernel if TROUBLE.search(line)]
    if outcome.ended and trouble:
        why = f"the kernel complained: {trouble[0].strip()}"
    elif outcome.ended and outcome.garbage:
        why = f"not understood on the result port: {outcome.garbage[0]}"
    elif not outcome.ended:
        why = why or "the guest never said that it is up"
    return Verdict(machine.name, "boot", "fail" if why else "pass", outcome.seconds,
                   one_line(why), outcome)


def of_end(machine, run):
    """The machine ran all it was given, said nothing strange and went off by itself."""
    why = run.why
    if not why and run.reader.stray:
        why = f"not understood on the result port: {run.reader.stray[0]}"
    return Verdict(machine.name, "shutdown", "fail" if why else "pass", 0.0, one_line(why))


def of_lost(machine, cases, run):
    """A failure for each case that never ended, so that none goes missing."""
    verdicts = []
    for case in cases:
        outcome = run.reader.outcomes.get(case.name)
        if outcome and outcome.ended:
            continue
        reason = run.why or "the guest skipped it"
        begun = "did not end" if outcome else "did not run"
        garbage = f"; result port: {outcome.garbage[0]}" if outcome and outcome.garbage else ""
        verdicts.append(Verdict(machine.name, case.name, "fail", 0.0,
                                one_line(f"{begun}: {reason}{garbage}"), outcome))
    return verdicts
