# SPDX-License-Identifier: MIT
"""Unit tests of how the soak tests are run."""

import contextlib
import io
import unittest

import frames
import run
import verdicts
from machines import MACHINES

SOAKED = [machine for machine in MACHINES.values() if machine.soak]
PASSED = """# soak: WEIR_TEST_SEED=7
1..1
ok 1 - nothing_is_lost
# ok - tests
"""
FAILED = PASSED.replace("ok 1 -", "not ok 1 -")


def outcome(text, status):
    """What the guest said of it."""
    return frames.Outcome("guest/soak", status=status, ended=True, streams={
        "out": text, "err": "the sentence\n", "left": "", "kernel": ""})


class Soak(unittest.TestCase):
    """Its time, its seed, what is chosen, and what is shown of it."""

    def chosen(self, *arguments):
        """The machine and the case, when the first soak test is asked for."""
        (machine, (case,)), = run.selection([f"{SOAKED[0].name}/guest/soak"], *arguments)
        return machine, case

    def test_time_and_seed_reach_the_program(self):
        for machine in SOAKED:
            (_, (case,)), = run.selection([f"{machine.name}/guest/soak"], 3600, "42")
            self.assertTrue(case.script.startswith(
                f"export WEIR_IOMMU={machine.soak} WEIR_TEST_SECONDS=3600 WEIR_TEST_SEED=42\n"))
            self.assertIn("/tests/soak", case.script)
            self.assertGreater(case.limit, 3600)

    def test_a_minute_unless_said_otherwise(self):
        machine, case = self.chosen()
        self.assertIn("WEIR_TEST_SECONDS=60 WEIR_TEST_SEED=\n", case.script)
        self.assertEqual(machine.limit, SOAKED[0].limit)

    def test_the_machine_has_the_time(self):
        machine, case = self.chosen(3600)
        self.assertGreater(machine.limit, case.limit)
        machine, _ = run.selection(["vtd/list"], 3600)[0]
        self.assertEqual(machine.limit, MACHINES["vtd"].limit)

    def test_alone(self):
        chosen = [(machine.name, [case.name for case in found])
                  for machine, found in run.selection([], 600)]
        self.assertEqual(chosen, [(machine.name, ["guest/soak"]) for machine in SOAKED])
        (machine, found), = run.selection(["vtd/list"], 600)
        self.assertEqual((machine.name, [case.name for case in found]), ("vtd", ["list"]))

    def show(self, text, status):
        """What is printed of it."""
        _, case = self.chosen()
        printed = io.StringIO()
        report = run.Report()
        with contextlib.redirect_stdout(printed):
            for verdict in verdicts.of_case(SOAKED[0], case, outcome(text, status)):
                report.add(verdict)
        return printed.getvalue()

    def test_numbers_are_shown(self):
        self.assertIn("soak: WEIR_TEST_SEED=7\n", self.show(PASSED, 0))
        self.assertNotIn("the sentence", self.show(PASSED, 0))

    def test_what_a_failing_one_printed_is_shown_once(self):
        shown = self.show(FAILED, 1)
        self.assertIn("FAIL  ", shown)
        self.assertEqual(shown.count("stderr| the sentence"), 1)


if __name__ == "__main__":
    unittest.main()
