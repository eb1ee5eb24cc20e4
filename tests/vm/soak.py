# SPDX-License-Identifier: MIT
"""The soak test in the machines: processes use devices at random, are killed, and another looks at
what they leave (guest/soak.c). It takes the time that it is given."""

import dataclasses

PROGRAM = "soak"
CASE = f"guest/{PROGRAM}"
SECONDS = 60
GRACE = 240     # for the last worker, and what comes after it


def is_in(machine):
    """Whether it runs there."""
    return PROGRAM in machine.programs


def selection(machines):
    """Nothing but the soak test, wherever there is one."""
    return [f"{machine.name}/{CASE}" for machine in machines if is_in(machine)]


def longer(machine, seconds):
    """The machine, with the time that the soak test takes beyond the usual."""
    if not is_in(machine):
        return machine
    return dataclasses.replace(machine, limit=machine.limit + max(0, seconds - SECONDS))


def timed(machine, cases, seconds, seed=""):
    """The machine's cases, the soak test with its time, its first seed and its interface."""
    settings = (f"export WEIR_IOMMU={machine.soak} WEIR_TEST_SECONDS={seconds} "
                f"WEIR_TEST_SEED={seed}\n")
    return [dataclasses.replace(case, script=settings + case.script, limit=seconds + GRACE)
            if case.name == CASE else case for case in cases]
