# SPDX-License-Identifier: MIT
"""The machines that hold topologies, and what is made of a guest's answer about them."""

import json
import tempfile
import unittest
from pathlib import Path

import cases
import cases_topologies
import topologies
from frames import Outcome
from machines import MACHINES
from topologies import Board

BOARDS = {name: machine for name, machine in MACHINES.items() if machine.board}


class Machines(unittest.TestCase):
    """What is on them, and with which kernels and IOMMUs."""

    def test_there_are_enough(self):
        names = {root.topology.name for machine in BOARDS.values()
                 for root in machine.board.roots}
        self.assertGreaterEqual(len(names), 24)
        self.assertEqual({topology.name for topology in topologies.NAMED} - names, set())
        self.assertGreaterEqual(len([name for name in names if name.startswith("mix-")]), 8)
        self.assertEqual(len({topology.name for topology in topologies.NAMED}),
                         len(topologies.NAMED))

    def test_arguments(self):
        for name, machine in BOARDS.items():
            values = [value for option, value in
                      zip(machine.arguments, machine.arguments[1:]) if option == "-device"]
            ids = [part for value in values for part in value.split(",") if part.startswith("id=")]
            self.assertEqual(len(ids), len(set(ids)), name)
            slots = [(value.split("chassis=")[1].split(",")[0],
                      value.split("slot=")[1].split(",")[0]) for value in values
                     if "chassis=" in value]
            self.assertEqual(len(slots), len(set(slots)), name)
            chassis = [value.split("chassis_nr=")[1].split(",")[0] for value in values
                       if "chassis_nr=" in value]
            self.assertEqual(len(chassis), len(set(chassis)), name)
            self.assertLess(max(root.last for root in machine.board.roots), 256, name)
            buses = [bus for root in machine.board.roots for bus in (root.bus, root.last)]
            self.assertEqual(buses, sorted(buses), name)

    def test_the_kernel_is_told_of_one_port(self):
        off = MACHINES["groups-acs-off"]
        self.assertIn(f"@{off.board.roots[-1].placed[0].address}", off.append)
        self.assertNotIn("config_acs", MACHINES["groups-acs-on"].append)

    def test_iommus_and_kernels(self):
        machines = BOARDS.values()
        self.assertGreaterEqual(len({machine.release for machine in machines}), 2)
        self.assertGreaterEqual(len({machine.arguments[machine.arguments.index("-device") + 1]
                                     for machine in machines
                                     if machine.program == "qemu-system-x86_64"}), 3)
        self.assertIn("arm64", {machine.arch for machine in machines})


def answer(kernel, computed, unsure=()):
    """A guest's, from {address: group} of each."""
    links = "".join(f"/sys/kernel/iommu_groups/{group}/devices/{address}\n"
                    for address, group in kernel.items())
    report = {"groups": [], "computed": [
        {"address": address, "group": kernel.get(address), "computed": group,
         "unsure": address in unsure} for address, group in computed.items()]}
    return links + json.dumps(report, indent=1) + "\n"


class Judged(unittest.TestCase):
    """What comes of a guest's answer."""

    KERNEL = {"0000:00:00.0": 0, "0000:01:00.0": 1, "0000:02:00.0": 1, "0000:01:01.0": 2,
              "0000:03:00.0": 7}
    SAME = {"0000:00:00.0": 9, "0000:01:00.0": 4, "0000:02:00.0": 4, "0000:01:01.0": 0,
            "0000:03:00.0": 1, "0000:00:1f.0": 8}

    def setUp(self):
        topology = topologies.Topology("two", topologies.slots(
            topologies.plain(topologies.EDU), topologies.acs(topologies.EDU)), 3)
        self.board = Board(None, topology)
        self.assertEqual(self.board.roots[0].addresses(), set(self.KERNEL) - {"0000:00:00.0"})
        self.machine = type("Fake", (), {"board": self.board, "acs": ""})()

    def judge(self, computed=None, kernel=None, status=0, unsure=()):
        outcome = Outcome("topologies", status=status, streams={
            "out": answer(kernel or self.KERNEL, computed or self.SAME, unsure)})
        return (cases_topologies.check_topologies(self.machine, outcome),
                cases_topologies.split_topologies(self.machine, outcome))

    def test_equal(self):
        self.assertEqual(self.judge(), (
            "", [("two", "pass", "functions: 4, groups: 3, all equal")]))

    def assert_both_fail(self, why, **more):
        whole, [(_, result, part)] = self.judge(**more)
        self.assertEqual(result, "fail")
        self.assertRegex(whole, why)
        self.assertRegex(part, why)

    def test_different(self):
        self.assert_both_fail(
            r"\{0000:01:00.0 0000:02:00.0\}, but computed is \{0000:01:00.0\}, \{0000:02:00.0\}",
            computed={**self.SAME, "0000:02:00.0": 5})
        # A stranger in the group is a difference of this topology, too.
        self.assert_both_fail("0000:00:00.0 0000:03:00.0",
                              computed={**self.SAME, "0000:00:00.0": 1})

    def test_not_sure_is_not_equal(self):
        self.assert_both_fail("0000:03:00.0", unsure=["0000:03:00.0"])
        self.assert_both_fail("0000:03:00.0", computed={**self.SAME, "0000:03:00.0": None})

    def test_absent(self):
        kernel = {address: group for address, group in self.KERNEL.items()
                  if address != "0000:03:00.0"}
        _, [(_, result, why)] = self.judge(kernel=kernel)
        self.assertEqual((result, why), ("fail", "not in any group: 0000:03:00.0"))

    def test_not_what_it_is_meant_to_be(self):
        together = {address: 1 for address in self.KERNEL if address != "0000:00:00.0"}
        kernel = {"0000:00:00.0": 0, **together}
        _, [(_, result, why)] = self.judge(kernel=kernel, computed=kernel)
        self.assertEqual(result, "fail")
        self.assertIn("1 groups, not 3", why)

    def test_weir_says_otherwise(self):
        self.assertIn("exit status is 1", self.judge(status=1)[0])

    def test_nothing_said(self):
        outcome = Outcome("topologies", status=0, streams={"out": ""})
        self.assertEqual([result for _, result, _ in
                          cases_topologies.split_topologies(self.machine, outcome)], ["fail"])


class WhatIf(unittest.TestCase):
    """Against the stored groups of the other machine."""

    def play(self, change=None, status=0):
        machine = MACHINES["groups-acs-off"]
        parts = []
        for root in machine.board.roots:
            groups = cases_topologies.stored_groups("on", root.topology.name)
            found = {address: number for number, group in enumerate(groups) for address in group}
            parts.append(f"topology {root.topology.name}\n" +
                         answer({}, change(root.topology.name, found) if change else found))
        outcome = Outcome("what-if", status=status, streams={"out": "".join(parts)})
        return (cases_topologies.check_what_if(machine, outcome),
                {name: (result, why) for name, result, why in
                 cases_topologies.split_what_if(machine, outcome)})

    def test_equal(self):
        why, found = self.play()
        self.assertEqual(why, "")
        self.assertEqual({result for result, _ in found.values()}, {"pass"})
        self.assertEqual(len(found), 7)

    def test_different(self):
        why, found = self.play(lambda name, groups: dict.fromkeys(groups, 0)
                               if name == "port-of-several" else groups)
        self.assertEqual(why, "")
        self.assertEqual([name for name, (result, _) in found.items() if result == "fail"],
                         ["port-of-several"])
        self.assertIn("other machine's groups are", found["port-of-several"][1])

    def test_no_answer(self):
        outcome = Outcome("what-if", status=0, streams={"out": ""})
        machine = MACHINES["groups-acs-on"]
        self.assertIn("no answer", cases_topologies.check_what_if(machine, outcome))
        self.assertEqual({result for _, result, _ in
                          cases_topologies.split_what_if(machine, outcome)}, {"fail"})
        self.assertIn("exit status 2", self.play(status=2)[0])

    def test_stored(self):
        """Of both machines, all their functions, and never the same."""
        for machine in (MACHINES["groups-acs-on"], MACHINES["groups-acs-off"]):
            for root in machine.board.roots:
                stored = {which: cases_topologies.stored_groups(which, root.topology.name)
                          for which in ("on", "off")}
                self.assertNotEqual(stored["on"], stored["off"])
                for groups in stored.values():
                    self.assertEqual(sorted(address for group in groups for address in group),
                                     sorted(root.addresses()))

    def test_the_stored_must_be_the_kernels(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "acs.json"
            path.write_text('{"on": {"x": [["0000:00:00.0"]]}}')
            self.assertEqual(cases_topologies.stored_groups("on", "x", path), [["0000:00:00.0"]])
        machine = MACHINES["groups-acs-on"]
        everything = {address: 0 for root in machine.board.roots for address in root.addresses()}
        outcome = Outcome("topologies", status=0, streams={"out": answer(everything, everything)})
        self.assertIn("expected/acs.json has",
                      cases_topologies.check_topologies(machine, outcome))

    def test_cases(self):
        names = {name: [case.name for case in cases.of_machine(machine)]
                 for name, machine in BOARDS.items()}
        for name, machine in BOARDS.items():
            self.assertEqual(names[name], ["kernel", "topologies"] +
                             (["what-if"] if machine.acs else []) +
                             (["captured"] if machine.captured else []) + ["given-back"])
        script = cases.of_machine(MACHINES["groups-acs-off"])[-2].script
        self.assertEqual(script.count("--what-if acs=0000:"), 7)
        self.assertIn("sriov_numvfs", script)

    def test_captured(self):
        def check(status, out="captured.tar.gz: 314 files, serial numbers masked\n", err=""):
            outcome = Outcome("captured", status=status, streams={"out": out, "err": err})
            return cases_topologies.check_captured(BOARDS["groups-vfs"], outcome)

        self.assertEqual(check(0), "")
        self.assertIn("stdout is", check(0, out="captured.tar.gz: 314 files\n"))
        self.assertIn("says otherwise", check(98, out="here there differ: byte 12"))
        self.assertIn("libarchive", check(97, err="weir: archives need libarchive"))
        self.assertEqual(sum(machine.captured for machine in BOARDS.values()), 1)


if __name__ == "__main__":
    unittest.main()
