# SPDX-License-Identifier: MIT
"""What the harness makes of what happened in a guest: checks, lists, and what runs where."""

import fnmatch
import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import bench
import case
import cases
import cases_bench
import cases_hwpt
import cases_bind
import expected
import frames
import results
import tap
import verdicts
from machines import MACHINES


def selftest(changes=None, why="DMA to 0x123456 was stopped"):
    """A selftest's report; all pass but `changes`."""
    changes = changes or {}
    return {"device": "0000:00:04.0", "backend": "type1v2", "steps": [
        {"name": step, "result": changes.get(step, "pass"),
         "why": why if step.endswith("is blocked") else ""}
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
        for name, machine in MACHINES.items():
            if machine.command:
                self.assertLessEqual(set(expected.load(name)),
                                     {case.name for case in cases.selftest_cases(machine)})

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

    def test_without_an_iommu_it_must_be_said(self):
        listed = {"DMA outside the mapping is blocked": "impossible",
                  "DMA after unmap is blocked": "impossible"}
        def check(**more):
            report = selftest(listed, **more)
            report["backend"] = "noiommu"
            with mock.patch.object(expected, "load", return_value={"t": listed}):
                return cases.check_selftest("t", "WEIR_TEST_EDU", "noiommu", MACHINES["none"],
                                            self.outcome(report))
        self.assertIn("doesn't say", check(why="not possible"))
        self.assertEqual(check(why="NOT BLOCKED, there is no IOMMU"), "")

    def test_what_an_iommu_tells(self):
        report = selftest()
        amd = MACHINES["amd"].faults
        smmu = MACHINES["arm64"].faults
        virtio = MACHINES["virtio"].faults
        endpoint = "[ 3.6] virtio_iommu virtio0: page fault from EP 32 at 0x123004 [R]"
        def record(stream, address):
            return ["[ 1.5] arm-smmu-v3 9050000.smmuv3: event 0x10 received:"] + [
                f"[ 1.5] arm-smmu-v3 9050000.smmuv3: \t0x{value:016x}"
                for value in (stream << 32 | 0x10, 1 << 41, address, 0)]
        event = "[ 1.5] pci 0000:00:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0000 addr"
        for pattern, kernel, good in (
                (MACHINES["vtd"].faults, [FAULT.replace("NO_PASID", "PASID 0x0")], True),
                (amd, [event], True), (amd, [FAULT], False), (amd, [], False),
                (smmu, record(0x20, 0x123004), True), (smmu, record(0x28, 0x123004), False),
                (smmu, record(0x20, 0x124000), False), (smmu, [], False),
                (virtio, [endpoint], True), (virtio, [endpoint.replace("EP 32", "EP 40")], False),
                (virtio, [], False), (MACHINES["pseries"].faults, [], True),
                (MACHINES["pseries"].faults, ["EEH: Frozen PHB#0-PE#0 detected"], False)):
            why = cases.fault_missing(report, "0000:00:04.0", kernel, pattern)
            self.assertEqual(not why, good, why)


class Reserved(unittest.TestCase):
    """What is kept for interrupts."""

    def test_ranges(self):
        kept = "0x0000000008000000 0x00000000080fffff msi\n"
        below, above = {"first": "0x0", "last": "0x7ffffff"}, {"first": "0x8100000",
                                                              "last": "0xffffffffffff"}
        def check(kept, *ranges):
            report = json.dumps({"weir": {"iova_ranges": ranges}}, indent=1)
            return cases.check_reserved(MACHINES["arm64"],
                                        frames.Outcome("reserved", status=0, streams={
                                            "out": kept + report}))
        self.assertEqual(check(kept, below, above), "")
        relaxable = "0x0000000000000000 0x0000000000ffffff direct-relaxable\n"
        self.assertEqual(check(kept + relaxable, below, above), "")
        self.assertIn("keeps", check("", below, above))
        self.assertIn("keeps", check(kept.replace("80fffff", "800ffff"), below, above))
        self.assertIn("is in weir's", check(kept, below, {**above, "first": "0x80ff000"}))
        self.assertIn("nothing ends", check(kept, {**below, "last": "0x6ffffff"}, above))


class Iommu(unittest.TestCase):
    """What 'weir info' says of the IOMMU."""

    @staticmethod
    def check(machine, make, *tables, last=0xffffffffffff, words=("a word",)):
        ranges = [{"first": "0x0", "last": f"{last:#x}"}]
        there = {name: ranges if name in tables else None
                 for name in ("plain", "nest_parent", "dirty", "pasid", "faults")}
        return cases.check_iommu(MACHINES[machine], {"make": make, "page_tables": there,
                                                     "words": list(words)})

    def test_makes(self):
        self.assertEqual(self.check("vtd-second", "vtd", "plain", "pasid", "faults"), "")
        self.assertEqual(self.check("virtio", None, "plain", words=(), last=(1 << 39) - 1), "")
        self.assertIn("of make amd", self.check("vtd-second", "amd", "plain"))
        self.assertIn("of make vtd", self.check("vtd-second", "vtd", "plain", words=()))
        self.assertIn("not ['faults', 'pasid'", self.check("vtd-second", "vtd", "plain", "dirty"))
        self.assertIn("end at 0xff",
                      self.check("vtd-second", "vtd", "plain", "pasid", "faults", last=0xff))

    def test_untold(self):
        self.assertEqual(cases.check_iommu(MACHINES["vtd"], None), "")
        self.assertIn("not null", cases.check_iommu(MACHINES["vtd"], {"make": "vtd"}))


class Examples(unittest.TestCase):
    """The examples of page tables by hand."""

    @staticmethod
    def check(name, machine, status, out="", err=""):
        outcome = frames.Outcome(name, status=status, streams={"out": out, "err": err})
        return cases_hwpt.check_example(name, MACHINES[machine], outcome)

    def test_said(self):
        passed = "".join(f"0000:00:{slot} passed on: Hello, devices\n"
                         for slot in ("04.0", "06.0", "06.1"))
        plain = "no nest parent here: a plain page table\n"
        self.assertEqual(self.check("share_stage2", "amd", 0, plain + passed), "")
        self.assertIn("stdout", self.check("share_stage2", "amd", 0, passed))
        self.assertIn("stdout", self.check("share_stage2", "amd", 0, plain + passed[:-5]))
        self.assertIn("exit status 1", self.check("share_stage2", "amd", 1, plain + passed))
        asks = "0000:00:04.0 asks for no pages: it has no PRI\n"
        self.assertEqual(self.check("fault", "vtd-second", 0, asks), "")
        self.assertIn("exit status 0", self.check("fault", "virtio", 0, asks))
        none = "0000:00:04.0: its IOMMU, or this kernel, makes no page table with "
        self.assertEqual(self.check("fault", "virtio", 1, err=f"fault: {none}page faults\n"), "")
        self.assertEqual(self.check("dirty", "amd", 1, err=f"dirty: {none}dirty tracking\n"), "")
        self.assertIn("stderr", self.check("dirty", "amd", 1, err="dirty: other\n"))


class Choice(unittest.TestCase):
    """Which interface it was, and why not another."""

    @staticmethod
    def check(interface, forced, machine, *lines, status=0):
        outcome = frames.Outcome("x", status=status, streams={"err": "\n".join(lines)})
        return cases.check_choice(interface, forced, MACHINES[machine], outcome)

    def test_by_itself(self):
        passed, attached = "weir: a: iommufd doesn't work: no", "weir: a: attached by type1v2"
        self.assertEqual(self.check("type1v2", False, "vtd", passed, attached), "")
        self.assertIn("exit status 3",
                      self.check("type1v2", False, "vtd", passed, attached, status=3))
        self.assertIn("iommufd doesn't", self.check("type1v2", False, "vtd", attached))
        self.assertIn("by type1v2", self.check("type1v2", False, "vtd", passed))
        self.assertEqual(self.check("iommufd", False, "amd", "weir: a: attached by iommufd"), "")

    def test_forced(self):
        lines = [f"weir: a: {name} not tried: type1 is asked for" for name in
                 ("iommufd", "type1v2")] + ["weir: a: attached by type1"]
        self.assertEqual(self.check("type1", True, "vtd", *lines), "")
        for line in lines:
            self.assertTrue(self.check("type1", True, "vtd", *(set(lines) - {line})))

    def test_whose_container(self):
        lines = ["weir: a: iommufd not tried: type1v2 is asked for", "weir: a: attached by type1v2"]
        self.assertIn("IOMMUFD's", self.check("type1v2", True, "vtd-container", *lines))
        self.assertEqual(self.check("type1v2", True, "vtd-container", *lines,
                                    "weir: /dev/vfio/vfio is IOMMUFD's, which"), "")


class Contended(unittest.TestCase):
    """Many that bind and release at once, and one that uses what they bind."""

    WAITED = "weir: another process binds or releases (it holds /var/lib/weir/lock): waiting|"
    BUSY = ("weir: 0000:00:04.0 is in use: process 9 (weir) has it open (/dev/vfio/2); end that "
            "first|")
    UNBOUND = "0000:00:04.0: no driver is bound to it|"

    def check(self, *lines, calls=60, status=0, waited=WAITED):
        lines = [*lines, *[f"call 0: {waited}"] * (calls - sum("call" in line for line in lines))]
        outcome = frames.Outcome("x", status=status, streams={"out": "\n".join(lines)})
        return cases_bind.check_contended(MACHINES["vtd-bind"], outcome)

    def test_clear_ends(self):
        self.assertEqual(self.check(
            "call 0: ", f"call 1: {self.BUSY}", f"call 1: {self.WAITED}{self.BUSY}", "test 0: ",
            f"test 2: weir: {self.UNBOUND}", f"test 1: release    fail  {self.UNBOUND}"), "")
        for line in ("call 1: ", f"call 1: {self.WAITED}", f"call 2: {self.BUSY}",
                     f"call 0: {self.BUSY}", f"call 1: {self.BUSY}{self.BUSY}", "test 1: ",
                     "test 139: ", f"test 2: weir: {self.UNBOUND}weir: {self.UNBOUND}",
                     f"test 1: verify  fail  {self.UNBOUND}"):
            self.assertIn("ended with", self.check(line), line)

    def test_all_of_it(self):
        self.assertIn("59 calls", self.check(calls=59))
        self.assertIn("no call met", self.check(waited=""))
        self.assertIn("exit status 1", self.check(status=1))


class Bench(unittest.TestCase):
    """What a mapping may take, and the table that is made of it."""

    @staticmethod
    def rows(interface, **changes):
        """What weir prints when all is well; of the first case, with these changes."""
        rows = []
        for name, mapped, file in cases_bench.rows_of(interface):
            ioctls = 2 * cases_bench.PIECES[mapped]
            rows.append({"bench": "map", "case": name, "value": ioctls, "unit": "ioctls",
                         "bare": ioctls, "note": "other system calls: 6" if file else None})
            rows.append({"bench": "map", "case": name, "value": 3000, "unit": "instructions",
                         "bare": 100, "note": None})
        for key, value in changes.items():
            unit, _, member = key.partition("_")
            rows[unit == "instructions"][member] = value
        return rows

    def check(self, rows, interface="iommufd", status=0):
        outcome = frames.Outcome("x", status=status, streams={"out": json.dumps(rows)})
        return cases_bench.check_counts(interface, MACHINES["vtd-legacy"], outcome)

    def test_counts(self):
        self.assertEqual(self.check(self.rows("iommufd")), "")
        self.assertEqual(self.check(self.rows("type1v2"), "type1v2"), "")
        self.assertIn("exit status 2", self.check(self.rows("iommufd"), status=2))
        for changes, part in (({"ioctls_value": 3}, "3 ioctls"), ({"ioctls_bare": 1}, "by hand 1"),
                              ({"ioctls_value": None}, "None ioctls"),
                              ({"ioctls_note": "other system calls: 1"}, "other system calls"),
                              ({"instructions_value": 6001}, "6001 instructions"),
                              ({"instructions_value": 100}, "100 instructions"),
                              ({"ioctls_case": "iommufd, 4 KiB pages", "ioctls_unit": None,
                                "ioctls_note": "none is free"}, "none is free")):
            self.assertIn(part, self.check(self.rows("iommufd", **changes)))
        self.assertIn("no count", self.check(self.rows("iommufd")[:-2]))
        self.assertIn("there is also",
                      self.check(self.rows("iommufd") + self.rows("type1v2"), "type1v2"))

    def test_little(self):
        def check(lost="", **changes):
            row = {"value": 2.0, "bare": 1.0, "unit": "us", "note":
                   "by 4 MiB: mapping: the limit of locked memory is 4096 KiB", **changes}
            rows = [{"case": "type1v2, 4 KiB pages, 4 KiB", **row, "unit": "ns"},
                    {"case": "type1v2, 4 KiB pages, 1 GiB", **row},
                    {"case": "iommufd", "note": "/dev/iommu: mode 600"},
                    {"case": "compat", "note": "/dev/iommu: mode 600"}]
            return cases_bench.check_little(None, frames.Outcome("x", status=0, streams={
                "out": json.dumps([row for row in rows if row["case"] != lost])}))
        self.assertEqual(check(), "")
        for changes in ({"value": None}, {"bare": None}, {"unit": "ns"}, {"note": "by 4 MiB: "},
                        {"note": "by 8 MiB: locked memory is 4096 KiB"}, {"lost": "compat"},
                        {"lost": "type1v2, 4 KiB pages, 4 KiB"}):
            self.assertTrue(check(**changes))

    def test_table(self):
        both = self.rows("iommufd") + self.rows("type1v2")
        lines = bench.table(both).splitlines()
        self.assertEqual(len(lines), 2 + len(cases_bench.rows_of("type1v2")))
        self.assertEqual(lines[2].split(), ["4", "KiB", "pages,", "4", "KiB"]
                         + ["2", "3000", "100"] * 2 + ["2+6", "3000", "100"])
        other = self.rows("type1v2", instructions_value=3100)
        self.assertIn(" 3000-3100 ", bench.table(both + other).splitlines()[2])

    def test_machine_that_did_not_run(self):
        with tempfile.TemporaryDirectory() as folder, self.assertRaises(results.Missing):
            bench.counted(Path(folder), "vtd")

    def test_place(self):
        self.assertEqual(len(bench.TABLE.findall(bench.PERFORMANCE.read_text())), 1)


class Tables(unittest.TestCase):
    """What runs where."""

    @staticmethod
    def names(machine):
        return [case.name for case in cases.of_machine(MACHINES[machine])]

    def test_cases_follow_the_machine(self):
        self.assertIn("selftest-edu-iommufd", self.names("vtd-first"))
        self.assertIn("choice-iommufd", self.names("vtd-first"))
        self.assertNotIn("selftest-edu-iommufd", self.names("vtd"))
        self.assertIn("bad-absent-iommufd", self.names("vtd"))
        self.assertIn("bad-unsafe-interrupts", self.names("virtio"))
        self.assertNotIn("bad-unsafe-interrupts", self.names("amd"))
        self.assertIn("bad-absent-type1v2", self.names("pseries"))
        self.assertIn("bad-absent-spaprv2", self.names("arm64"))
        self.assertNotIn("take-edu", self.names("powernv9"))
        for name, case in (("pseries", "bad-eeh"), ("powernv9", "eeh-reset"),
                           ("arm64", "bind-late-group")):
            self.assertEqual([found for found in ("bad-eeh", "eeh-reset", "bind-late-group")
                              if found in self.names(name)], [case])
        self.assertLess(self.names("arm64").index("bind-late-group"),
                        self.names("arm64").index("take-edu"))
        for name in ("none", "none-container"):
            self.assertFalse({"groups", "bad-not-viable"} & set(self.names(name)))
            self.assertLessEqual({"choice-noiommu", "bad-absent-type1v2", "bad-consent",
                                  "bad-consent-noiommu", "selftest-edu-iommufd-noiommu"},
                                 set(self.names(name)))

    def test_every_machine(self):
        for name, machine in MACHINES.items():
            found = self.names(name)
            self.assertEqual(len(found), len(set(found)), name)
            self.assertEqual(found[-1], "given-back")
            self.assertLessEqual(set(machine.interfaces),
                                 set(cases.INTERFACES if machine.iommu else
                                     cases.BARE_INTERFACES))
            self.assertLessEqual(set(machine.settle), set(machine.devices.values()))
            for interface in machine.interfaces if machine.command else ():
                self.assertLessEqual({f"selftest-{kind}-{interface}" for kind in
                                      ("edu", "nvme", "behind")[:1 if machine.only else 3]},
                                     set(found))
                self.assertEqual(f"nvme-verify-{interface}" in found,
                                 "WEIR_TEST_NVME" in machine.devices)
                if machine.thorough and interface in cases_bench.INTERFACES:
                    self.assertIn(f"bench-map-{interface}", found)
            for pattern in machine.only:
                self.assertTrue(pattern.startswith("guest/") or fnmatch.filter(found, pattern),
                                f"{name}: {pattern}")
            if machine.command and machine.interfaces and not machine.only:
                self.assertLessEqual({f"nvme-{way}-{machine.interfaces[0]}" for way in
                                      ("to-kernel", "from-kernel")}, set(found))

    def test_spread(self):
        self.assertEqual(cases.spread(["a", "b"], [1, 2, 3, 4, 5]), ["a", 1, 2, "b", 3, 4, 5])
        self.assertEqual(cases.spread(["a", "b"], []), ["a", "b"])
        self.assertEqual(cases.spread([], [1]), [1])


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
