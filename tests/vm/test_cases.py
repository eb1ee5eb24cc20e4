# SPDX-License-Identifier: MIT
"""What the harness makes of what happened in a guest: checks, lists, and what runs where."""

import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import case
import cases
import expected
import frames
import tap
import verdicts
from machines import MACHINES


def selftest(changes=None, why="DMA to 0x123456 was stopped"):
    """A selftest's report; all pass but `changes`."""
    changes = changes or {}
    return {"device": "0000:00:04.0", "backend": "type1v2", "steps": [
        {"name": step, "result": changes.get(step, "pass"),
         "why": why if step == "DMA outside the mapping is blocked" else ""}
        for step in expected.STEPS]}


FAULT = ("[    7.5] DMAR: [DMA Read NO_PASID] Request device [00:04.0] fault addr 0x123000 "
         "[fault reason 0x06] PTE Read access is not set")


class Expected(unittest.TestCase):
    """The lists of what is impossible, and the verdict on a selftest."""

    def test_judge(self):
        listed = {"reset": "impossible"}
        self.assertEqual(expected.judge(selftest(listed), "type1v2", listed), "")
        self.assertIn("listed as impossible", expected.judge(selftest(), "type1v2", listed))
        self.assertIn("'map': impossible",
                      expected.judge(selftest({"map": "impossible", **listed}), "type1v2", listed))
        self.assertIn("'reset' is listed",
                      expected.judge(selftest({"reset": "fail"}), "type1v2", listed))
        self.assertIn("backend", expected.judge(selftest(), "type1", {}))
        self.assertIn("lacks", expected.judge({}, "type1", {}))
        short = selftest()
        del short["steps"][3]
        self.assertIn("steps are", expected.judge(short, "type1v2", {}))

    def test_every_machine_has_a_sound_list(self):
        tests = {case.name for case in cases.SELFTEST_CASES}
        for name, machine in MACHINES.items():
            if machine.command:
                self.assertLessEqual(set(expected.load(name)), tests)

    def test_list_is_checked(self):
        with tempfile.TemporaryDirectory() as folder:
            for content in ({"t": {"no such step": "impossible"}}, {"t": {"map": "pass"}}):
                (Path(folder) / "m.json").write_text(json.dumps(content))
                with self.assertRaises(ValueError):
                    expected.load("m", Path(folder))

    def outcome(self, report, kernel=FAULT, status=0):
        return frames.Outcome("x", status=status,
                              streams={"out": json.dumps(report), "kernel": kernel})

    def check(self, *args, **more):
        with mock.patch.object(expected, "load", return_value={"t": {"reset": "impossible"}}):
            return cases.check_selftest("t", "WEIR_TEST_EDU", "type1v2", MACHINES["vtd"],
                                        self.outcome(*args, **more))

    def test_kernel_must_have_seen_it(self):
        good = selftest({"reset": "impossible"})
        self.assertEqual(self.check(good), "")
        self.assertIn("no DMA fault", self.check(good, ""))
        self.assertIn("no DMA fault", self.check(good, FAULT.replace("123000", "124000")))
        self.assertIn("no DMA fault", self.check(good, FAULT.replace("04.0", "05.0")))
        self.assertIn("names no address",
                      self.check(selftest({"reset": "impossible"}, why="stopped")))
        self.assertIn("exit status 1", self.check(good, status=1))
        self.assertIn("exit status 2", self.check(good, status=2))


class Complaints(unittest.TestCase):
    """Errors for people: one sentence."""

    def test_sentence(self):
        def outcome(text, status=2):
            return frames.Outcome("x", status=status, streams={"err": text})
        self.assertEqual(case.complaint(outcome("weir: a: b; try c\n"), "a", "c"), "")
        for bad in (outcome("weir: a\n", 1), outcome("weir: a\nb\n"), outcome("a\n"), outcome(""),
                    outcome("weir: b\n")):
            self.assertTrue(case.complaint(bad, "a"))


class Tap(unittest.TestCase):
    """What cmocka prints."""

    TEXT = ("1..4\nok 1 - a\nnot ok 2 - b\n# 0x1 != 0x2\n# c.c:5: error: Failure!\n"
            "not ok 3 # SKIP c\nnot ok 4 - a Could not run test: Test setup failed\n"
            "# not ok - first\n")

    def test_lines(self):
        results, planned = tap.parse(self.TEXT)
        self.assertEqual(results, [
            ("a", "pass", ""), ("b", "fail", "0x1 != 0x2 c.c:5: error: Failure!"),
            ("c", "skip", "the program says SKIP"),
            ("a#2", "fail", "Could not run test: Test setup failed")])
        self.assertEqual(tap.missing(results, planned), "")

    def test_a_program_that_dies_fails(self):
        def check(text, status):
            return cases.check_program(None, frames.Outcome("p", status=status,
                                                            streams={"out": text}))
        self.assertEqual(check(self.TEXT, 2), "")
        self.assertTrue(check(self.TEXT, 0))
        self.assertTrue(check("1..2\nok 1 - a\n", 139))
        self.assertTrue(check("1..2\nok 1 - a\n", 0))
        self.assertTrue(check("", 0))

    def test_each_test_is_a_case(self):
        case = cases.program_case("p", ("EDU",))
        outcome = frames.Outcome("guest/p", status=2, ended=True, streams={
            "out": self.TEXT, "err": "", "left": "", "kernel": ""})
        got = [(v.test, v.result) for v in verdicts.of_case(MACHINES["vtd"], case, outcome)]
        self.assertEqual(got, [("guest/p", "pass"), ("guest/p/a", "pass"), ("guest/p/b", "fail"),
                               ("guest/p/c", "skip"), ("guest/p/a#2", "fail")])


if __name__ == "__main__":
    unittest.main()
