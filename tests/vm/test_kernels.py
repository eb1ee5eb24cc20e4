# SPDX-License-Identifier: MIT
"""What the harness promises of kernels that are built here, and of the kernel's own tests;
held without building one."""

import concurrent.futures
import contextlib
import io
import json
import os
import subprocess
import tempfile
import textwrap
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

import cases
import expected
import kernels
import run
import tap
from machines import MACHINES


class KernelTests(unittest.TestCase):
    """The kernel's own tests against the stored list."""

    TEXT = ("TAP version 13\n1..3\n# Starting 3 tests from 2 test cases.\nok 1 f.a\n"
            "#      SKIP      no such hardware\nok 2 f.b # SKIP no such hardware\n"
            "not ok 3 f.c\n# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:1 error:0\n")
    LIST = {"tests": 3, "skip": {r"f\.b": "why"}, "fail": {r"f\.c": "why"}}

    def judge(self, entry, text=TEXT, status=1):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "kernel-tests.json").write_text(json.dumps({"p": entry}))
            verdicts, why = expected.judge_tests("p", tap.parse_kernel(text), status,
                                                 Path(folder))
        return {name for name, result, _ in verdicts if result != "pass"}, why

    def test_lines(self):
        self.assertEqual(tap.parse_kernel(self.TEXT), (
            [("f.a", "pass", ""), ("f.b", "skip", "no such hardware"), ("f.c", "fail", "")], 3))

    def test_as_listed(self):
        self.assertEqual(self.judge(self.LIST), (set(), ""))

    def test_not_as_listed(self):
        self.assertEqual(self.judge({**self.LIST, "skip": {}}), ({"f.b"}, ""))
        self.assertEqual(self.judge({**self.LIST, "fail": {}}), ({"f.c"}, ""))
        listed = {**self.LIST, "skip": {"f.[ab]": "why"}}
        self.assertEqual(self.judge(listed), ({"f.a"}, ""))
        listed = {**self.LIST, "skip": {"f.b": "why", "f.d": "why"}}
        self.assertIn("no such test: f.d", self.judge(listed)[1])

    def test_what_goes_missing(self):
        self.assertIn("there were 4", self.judge({**self.LIST, "tests": 4})[1])
        self.assertIn("3 tests were planned, 2 reported",
                      self.judge(self.LIST, self.TEXT.replace("ok 1 f.a\n", ""))[1])
        self.assertIn("exit status 0", self.judge(self.LIST, status=0)[1])
        self.assertIn("0 tests ran", self.judge({"tests": 1}, "1..0 # SKIP\n", 4)[1])

    def test_list_is_checked(self):
        for bad in ({}, {"tests": 0}, {"tests": 1, "skip": {"a": ""}}, {"tests": 1, "pass": {}}):
            with self.assertRaises(ValueError):
                self.judge(bad)

    def test_every_program_is_listed(self):
        wanted = {case.name for machine in MACHINES.values() for case in cases.of_machine(machine)
                  if case.name.startswith("kernel-")}
        self.assertEqual(wanted, set(json.loads(
            (expected.FOLDER / "kernel-tests.json").read_text())))
        for program in wanted:
            expected.tests_of(program)


class Kernels(unittest.TestCase):
    """Kernels that are built here; make is a stand-in."""

    MAKE = textwrap.dedent("""\
        #!/bin/sh
        echo "make $*" >> MADE
        for word; do
            case $word in
            O=*) objects=${word#O=} ;;
            KCONFIG_ALLCONFIG=*) fragment=${word#*=} ;;
            OUTPUT=*) echo tested > ${word#*=}/test; chmod +x ${word#*=}/test ;;
            allnoconfig) cp $fragment $objects/.config ;;
            ARCH=*) folder=arch/${word#*=}/boot ;;
            bzImage|Image) BUILD
                folder=$(echo $folder | sed s/x86_64/x86/)
                mkdir -p $objects/$folder
                cp $objects/.config $objects/$folder/$word ;;
            esac
        done
    """)

    SYSROOTS = {"": "/", "arm64": "/its/sysroot"}

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.source = self.folder / "source"
        inner = self.folder / "linux-source-9"
        for path in ("iommu", "vfio"):
            (inner / "tools/testing/selftests" / path).mkdir(parents=True)
        (self.source / "usr/src").mkdir(parents=True)
        subprocess.run(["tar", "-cJf", self.source / "usr/src/linux-source-9.tar.xz", "-C",
                        self.folder, inner.name], check=True)
        self.make()
        self.cache = mock.Mock(folder=self.folder / "vm")
        self.cache.tree.return_value = self.source
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        for patch in (mock.patch.dict(os.environ, PATH=path),
                      mock.patch.object(kernels, "say", lambda text: None)):
            patch.start()
            self.addCleanup(patch.stop)

    def make(self, build=":"):
        made = self.folder / "made"
        program = self.folder / "bin/make"
        program.parent.mkdir(exist_ok=True)
        program.write_text(self.MAKE.replace("MADE", str(made)).replace("BUILD", build))
        program.chmod(0o755)
        compiler = program.with_name("aarch64-linux-gnu-gcc")
        compiler.write_text("#!/bin/sh\necho its version\n")
        compiler.chmod(0o755)

    def made(self, target):
        """How often make was asked for this."""
        path = self.folder / "made"
        return path.read_text().count(f" {target}\n") if path.exists() else 0

    def builder(self):
        return kernels.Builder(self.cache, self.folder / "log")

    def build(self, *wanted):
        with self.builder() as builder:
            builder.start(wanted, self.SYSROOTS)
            return [builder.future(kernel).result(timeout=20) for kernel in wanted]

    def left(self):
        return sorted(path.name.rpartition("-")[0]
                      for path in (self.folder / "vm/kernels").iterdir() if path.is_dir())

    def test_built_once(self):
        linux, container, arm64 = self.build(*kernels.KERNELS)
        self.assertIn("CONFIG_VFIO_CONTAINER=y\n", (linux / "bzImage").read_text())
        self.assertIn("CONFIG_VFIO_CONTAINER=n\n", (container / "config").read_text())
        self.assertTrue((linux / "selftests/test").exists())
        self.assertFalse((container / "selftests").exists())
        self.assertIn("CONFIG_ARM_SMMU_V3=y\n", (arm64 / "Image").read_text())
        self.assertEqual(self.left(), ["linux", "linux-arm64", "linux-container"])
        self.assertEqual(self.build(*kernels.KERNELS), [linux, container, arm64])
        self.assertEqual((self.made("bzImage"), self.made("Image")), (2, 1))
        self.assertTrue((arm64 / "selftests/test").exists())
        made = (self.folder / "made").read_text()
        self.assertIn("ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- ", made)
        self.assertIn(" CC=aarch64-linux-gnu-gcc --sysroot=/its/sysroot LDFLAGS=-static ", made)

    def test_compiler_that_is_missing(self):
        (self.folder / "bin/aarch64-linux-gnu-gcc").write_text("#!/bin/sh\nexit 1\n")
        with self.assertRaisesRegex(kernels.KernelError, "aarch64-linux-gnu-gcc.*setup cross"):
            self.build(kernels.LINUX_ARM64)

    def test_what_it_depends_on(self):
        first = self.build(kernels.LINUX)
        with mock.patch.object(kernels, "compiler", return_value="another"):
            self.assertNotEqual(self.build(kernels.LINUX), first)
        with mock.patch.object(kernels, "fragment", return_value={"CONFIG_A": "y"}):
            self.assertNotEqual(self.build(kernels.LINUX), first)
        other = self.folder / "other"
        self.source.rename(other)
        self.cache.tree.return_value = other
        self.assertNotEqual(self.build(kernels.LINUX), first)
        self.assertEqual(self.made("bzImage"), 4)

    def test_two_runs_at_once(self):
        self.make("sleep 0.3")
        got = []
        threads = [threading.Thread(target=lambda: got.append(self.build(kernels.LINUX)))
                   for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(got), 3)
        self.assertEqual(self.made("bzImage"), 1)

    def test_dishonoured(self):
        wanted = {"CONFIG_A": "y", "CONFIG_B": "n", "CONFIG_C": '"c"', "CONFIG_D": "y"}
        self.assertEqual(kernels.dishonoured(wanted, 'CONFIG_A=y\nCONFIG_C="c"\nCONFIG_D=y\n'), [])
        self.assertEqual(
            kernels.dishonoured(wanted, '# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_D=m\n'),
            ["CONFIG_A=y", "CONFIG_B=n", 'CONFIG_C="c"', "CONFIG_D=y"])
        self.make()
        with mock.patch.object(kernels, "dishonoured", return_value=["CONFIG_A=y"]):
            with self.assertRaisesRegex(kernels.KernelError, "CONFIG_A=y.*x86.config"):
                self.build(kernels.LINUX)
        self.assertEqual(self.made("bzImage"), 0)
        self.assertEqual(self.left(), [])

    def test_failure(self):
        self.make("echo no such header; exit 2")
        with self.assertRaisesRegex(kernels.KernelError, "no such header"):
            self.build(kernels.LINUX)
        self.assertEqual(self.left(), [])
        self.make()
        self.build(kernels.LINUX)

    def test_stopped(self):
        self.make("exec sleep 60")
        start = time.monotonic()
        with self.builder() as builder:
            builder.start([kernels.LINUX, kernels.LINUX_CONTAINER], self.SYSROOTS)
            while not self.made("bzImage"):
                time.sleep(0.05)
            future = builder.future(kernels.LINUX)
        self.assertLess(time.monotonic() - start, 20)
        with self.assertRaisesRegex(kernels.KernelError, "interrupted"):
            future.result()
        self.assertEqual(self.left(), [])

    def test_what_a_killed_run_left_and_what_is_old(self):
        folder = self.folder / "vm/kernels"
        for name in ("tmp-x", "linux-old"):
            (folder / name).mkdir(parents=True)
        os.utime(folder / "linux-old", (0, 0))
        (folder / "linux-recent").mkdir()
        self.build(kernels.LINUX)
        self.assertEqual(self.left(), ["linux", "linux"])
        self.assertTrue((folder / "linux-recent").exists())

    def test_machines_wait_for_their_kernel(self):
        order = []
        release = threading.Event()

        class Parts:
            """Parts whose only kernel that is built becomes ready when told."""

            build = None
            future = concurrent.futures.Future()

            def built(self, machine):
                return self.future if machine == "waits" else None

        def fake_run(machine, *_):
            order.append(machine)
            if machine == "second":
                release.set()

        def finish():
            release.wait(10)
            Parts.future.set_exception(kernels.KernelError("no"))

        thread = threading.Thread(target=finish)
        thread.start()
        with mock.patch.object(run, "run_machine", fake_run):
            run.run_all([("waits", []), ("first", []), ("second", [])], Parts(), 1)
        thread.join()
        self.assertEqual(order, ["first", "second", "waits"])

    def test_a_kernel_that_was_not_built(self):
        report = run.Report()
        why = kernels.KernelError("no such header")
        with tempfile.TemporaryDirectory() as folder, \
                contextlib.redirect_stdout(io.StringIO()):
            run.run_machine(MACHINES["amd"], cases.MACHINE_CASES, run.Parts(Path(folder), None),
                            report, threading.Event(), mock.Mock(side_effect=why))
        self.assertEqual({v.result for v in report.verdicts}, {"fail"})
        self.assertEqual(report.verdicts[0].why, "no such header")


if __name__ == "__main__":
    unittest.main()
