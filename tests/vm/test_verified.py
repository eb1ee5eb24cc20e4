# SPDX-License-Identifier: MIT
"""docs/verified.md: what it is made of, when it is refused, and that it speaks of all machines."""

import base64
import contextlib
import dataclasses
import hashlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import expected
import frames
import results
import run
import verified
from machines import MACHINES

PLAIN = dataclasses.replace(MACHINES["soak-type1"], name="plain", programs={"p": ()}, soak="",
                            devices={})
RELEASE = "6.12-deb13"
GOOD = {"kernel": f"{RELEASE}\n5\n", "guest/p": "1..1\nok 1 - a\n# ok - p\n", "given-back": ""}


def log(outputs, status=0, end=b"@weir done\n"):
    """What a machine says that prints this."""
    def data(case, stream, text):
        raw = text.encode()
        return (f"@weir data {case} {stream} {hashlib.md5(raw).hexdigest()} "
                f"{base64.b64encode(raw).decode()}\n")
    lines = [data("boot", "kernel", ""), f"@weir ready {RELEASE} 1.5\n"]
    for case, text in outputs.items():
        lines += [f"@weir start {case}\n", data(case, "out", text),
                  *(data(case, stream, "") for stream in ("err", "left", "kernel")),
                  f"@weir end {case} {status} 1.0 1.5 done\n"]
    return "".join(lines).encode() + end


class Results(unittest.TestCase):
    """What a machine must have said."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.build = Path(folder.name)
        self.folder = run.folder_of(self.build, PLAIN)
        patch = mock.patch.dict(MACHINES, {"plain": PLAIN}, clear=True)
        patch.start()
        self.addCleanup(patch.stop)

    def passed(self, content):
        (self.folder / "results.log").write_bytes(content)
        return results.passed(self.build, "plain")

    def test_good(self):
        said, tests = self.passed(log(GOOD))
        self.assertEqual(said.release, RELEASE)
        self.assertEqual(tests, ["boot", "kernel", "guest/p", "guest/p/a", "given-back"])

    def test_refused(self):
        lost = {name: text for name, text in GOOD.items() if name != "guest/p"}
        for content, part in (
                (b"", "plain hasn't run"),
                (log(lost), "no result of guest/p"),
                (log(GOOD, status=1), "plain/kernel didn't pass"),
                (log({**GOOD, "guest/p": "1..1\nnot ok 1 - a\n"}), "plain/guest/p"),
                (log({**GOOD, "guest/p": "1..1\nnot ok 1 # SKIP a\n"}), "plain/guest/p/a"),
                (log(GOOD, end=b""), "didn't come to its end"),
                (log(GOOD, end=b"noise\n@weir done\n"), "didn't come to its end")):
            with self.assertRaisesRegex(results.Missing, part):
                self.passed(content)

    def test_each_machine_that_lacks_is_named(self):
        MACHINES["other"] = dataclasses.replace(PLAIN, name="other")
        (self.folder / "results.log").write_bytes(log(GOOD))
        printed = io.StringIO()
        with mock.patch.object(sys, "argv", ["verified.py", "--build", str(self.build)]), \
                contextlib.redirect_stderr(printed):
            status = results.generate("", verified.VERIFIED, "", verified.text)
        self.assertEqual(status, 2)
        self.assertIn("which packages plain was made of", printed.getvalue())
        self.assertIn("other hasn't run", printed.getvalue())

    def test_one_qemu(self):
        MACHINES["other"] = dataclasses.replace(PLAIN, name="other")
        for name, qemu in ("plain", "q 1"), ("other", "q 2"):
            folder = run.folder_of(self.build, MACHINES[name])
            (folder / "results.log").write_bytes(log(GOOD))
            (folder / results.VERSIONS).write_text(json.dumps({"qemu": qemu, "kernel": "k 1"}))
        with self.assertRaisesRegex(results.Missing, "several QEMUs, q 1, q 2"):
            verified.everything(self.build)


def stored(name, interface, impossible):
    """What a machine with one interface says: the steps that are impossible, and why."""
    outcomes = {}
    for kind, listed in impossible.items():
        report = {"backend": interface, "steps": [
            {"name": step, "result": "impossible" if step in listed else "pass",
             "why": listed.get(step, "")} for step in expected.STEPS]}
        outcomes[f"selftest-{kind}-{interface}"] = json.dumps(report)
    outcomes[f"nvme-verify-{interface}"] = '{"verified": {"blocks": 7, "wrong": 0}}'
    outcomes[f"nvme-to-kernel-{interface}"] = ""
    outcomes["bad-absent-type1"] = ""
    outcomes = {name: frames.Outcome(name, streams={"out": text})
                for name, text in outcomes.items()}
    outcomes["choice"] = frames.Outcome("choice", streams={
        "err": "weir: a: iommufd doesn't work: no node\nweir: a: attached by x\n"})
    machine = dataclasses.replace(MACHINES[name], interfaces=(interface,))
    return machine, SimpleNamespace(release=RELEASE, outcomes=outcomes)


class Page(unittest.TestCase):
    """What is made of stored results."""

    RESET = {"reset": "0000:00:04.0: it has none"}
    LOUD = {step: "NOT BLOCKED, so: memory, at physical address 0x1234; all"
            for step in verified.OUTSIDE}

    def text(self):
        page = {}
        for name, interface, edu in (("vtd", "type1v2", self.RESET), ("vtd39", "type1v2",
                                                                      self.RESET),
                                     ("amd", "type1v2", {}), ("none", "noiommu", self.LOUD)):
            page[name] = stored(name, interface, {
                "edu": edu, "behind": {k: v for k, v in edu.items() if k != "reset"},
                "nvme": {"DMA out": "no driver", "DMA in": "no driver"}})
        page["powernv9-64k"] = stored("powernv9-64k", "spaprv2", {"edu": {}})
        kernel = dataclasses.replace(PLAIN, kernel=MACHINES["amd"].kernel)
        page["selftests"] = kernel, SimpleNamespace(release="7-weir", outcomes={
            "kernel-p-edu": frames.Outcome("", streams={
                "out": "1..2\nok 1 f.a\nok 2 f.b # SKIP x\n"})})
        tests = {"vtd": ["guest/p/a"], "amd": ["guest/p/b"], "vtd39": []}
        made = {name: {"qemu": "q 1", "kernel": "k 1"} for name in page}
        entry = {"tests": 2, "skip": {"f.b": "it has no b"}, "fail": {}}
        with mock.patch.dict(MACHINES, {name: machine for name, (machine, _) in page.items()},
                             clear=True), \
                mock.patch.object(verified, "everything", return_value=(
                    {name: said for name, (_, said) in page.items()}, tests, made)), \
                mock.patch.object(verified, "PROVED", self.proved), \
                mock.patch.object(expected, "tests_of", return_value=entry):
            return verified.text(None)

    proved = {"Part": (("A, once", "guest/p/a"), ("The rest", "guest/p/*"))}

    def test_tables(self):
        text = self.text()
        for line in (
                "| `vtd` | `6.12-deb13` | VT-d, 48 bits |",
                "All in Debian's q 1, on these kernels:",
                "- `6.12-deb13`: Debian's package k 1",
                "- `7-weir`: built from Debian's k 1, with `tests/vm/configs/x86.config`",
                "| `vtd`, `vtd39`, `amd` | `type1v2` (1) | `type1v2` | `type1` |",
                "| `vtd`, `vtd39` | `type1v2` | 13 of 14 (2) | 14 of 14 | 12 of 14 (3) | blocked; "
                "the fault is logged with its address |",
                "| `amd` | `type1v2` | 14 of 14 | 14 of 14 | 12 of 14 (3) | blocked; a fault is "
                "logged, without its address |",
                "| `none` | `noiommu` | 12 of 14 (4) | 12 of 14 (4) | 12 of 14 (3) | **not "
                "blocked** |",
                "| `powernv9-64k` | `spaprv2` | 14 of 14 | not tried | not tried | blocked; no "
                "fault is logged |",
                "1. *iommufd*: no node", "2. *reset*: it has none",
                "3. *DMA out, DMA in*: no driver",
                "4. *DMA outside the mapping is blocked, DMA after unmap is blocked*: NOT BLOCKED, "
                "so: memory; all",
                "| `none` | `noiommu` | 7 blocks, 0 wrong | the same bytes | not tried |",
                "| A, once | `vtd` |", "| The rest | `amd` |",
                "| `selftests` | `p` | edu | 1 | 1 (1) | 0 |", "1. it has no b"):
            self.assertIn(line, text.splitlines())
        self.assertEqual(text, self.text())

    def test_sentence_without_a_test(self):
        self.proved = {"Part": (("It does that", "guest/p/a", "guest/q/*"),)}
        with self.assertRaisesRegex(results.Missing, "no machine has run guest/q/"):
            self.text()


class Document(unittest.TestCase):
    """That docs/verified.md is of these machines, and of what is said here of them."""

    def test_it_is_not_stale(self):
        text = verified.VERIFIED.read_text()
        words = " ".join(text.split())
        due = [f"`{name}`" for name in MACHINES]
        due += [f"| {sentence} |" for part in verified.PROVED.values() for sentence, *_ in part]
        due += verified.NOT_WITNESSED + tuple(verified.INTRODUCTION.split("\n\n"))
        self.assertEqual([part for part in due if " ".join(part.split()) not in words], [],
                         "run python3 tests/vm/run.py, and python3 tests/vm/verified.py --write")

    def test_every_machine_and_program_is_spoken_of(self):
        self.assertEqual(set(verified.IOMMUS), set(MACHINES))
        programs = {f"guest/{name}" for machine in MACHINES.values() for name in machine.programs}
        spoken = {pattern.rpartition("/")[0] for part in verified.PROVED.values()
                  for _, *patterns in part for pattern in patterns}
        self.assertLessEqual(programs, spoken)


if __name__ == "__main__":
    unittest.main()
