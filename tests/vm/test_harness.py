# SPDX-License-Identifier: MIT
"""What the harness promises, held without QEMU and without a network.

The promise that matters most: whatever a guest does, every case that was due has exactly
one verdict, and only a case that ran and was right passes.
"""

import base64
import contextlib
import dataclasses
import gzip
import hashlib
import io
import json
import lzma
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

import cases
import frames
import initramfs
import kmodules
import packages
import qemu
import qmp
import run
import verdicts
from machines import MACHINES, Machine

HERE = Path(__file__).parent

# A stand-in for QEMU: finds the two serial ports in its arguments, then does as told.
FAKE = textwrap.dedent("""
    import base64, hashlib, sys, time
    ports = [a[len("file:"):] for a in sys.argv if a.startswith("file:")]
    console, results = (open(p, "ab", 0) for p in ports)
    def say(text): console.write(text.encode() + b"\\n")
    def frame(*words): results.write((" ".join(("@weir",) + words) + "\\n").encode())
    def data(case, stream, text, digest=None):
        raw = text.encode()
        frame("data", case, stream, digest or hashlib.md5(raw).hexdigest(),
              base64.b64encode(raw).decode())
    def ready(): data("boot", "kernel", ""); frame("ready", "6.12-test", "1.5")
    def streams(case, out="", kernel="", left=""):
        data(case, "out", out); data(case, "err", "")
        data(case, "left", left); data(case, "kernel", kernel)
    def case(name, status="0", flag="done", **more):
        frame("start", name); streams(name, **more)
        frame("end", name, status, "1.0", "1.5", flag)
    def done(): frame("done")
    def monitor():
        import json, socket
        fd = [a.rpartition("fd=")[2] for a in sys.argv if a.startswith("socket,")][0]
        lines = socket.socket(fileno=int(fd)).makefile("rw")
        def say(**words): lines.write(json.dumps(words) + "\\n"); lines.flush()
        def hear(): return json.loads(lines.readline())
        say(QMP={}); assert hear() == {"execute": "qmp_capabilities"}; say(**{"return": {}})
        return say, hear
""")


def due(_machine, outcome):
    """A check that wants exit status 0."""
    return f"exit status {outcome.status}" if outcome.status else ""


CASES = [cases.Case(name, "true", due, limit=1) for name in ("one", "two", "three")]


class Guest(unittest.TestCase):
    """One machine with a stand-in for QEMU."""

    def play(self, script, **machine):
        """Run it; name to verdict, after checking that nothing is lost or doubled."""
        with tempfile.TemporaryDirectory() as folder:
            build = Path(folder)
            fake = build / "fake.py"
            fake.write_text(FAKE + textwrap.dedent(script))
            machine = Machine(**{**dict(
                name="fake", kernel=None, program="", arguments=(), append="", modules=(),
                devices={}, settle=(), limit=20, boot_limit=2, grace=1), **machine})
            report = run.Report()
            printed = io.StringIO()
            start = time.monotonic()
            with contextlib.redirect_stdout(printed):
                run.run_machine(machine, CASES, run.Parts(build, None), report,
                                threading.Event(),
                                lambda *_: ([sys.executable, str(fake)], None))
            self.assertLess(time.monotonic() - start, 15)
        self.printed = printed.getvalue()
        self.assertEqual(sorted(v.test for v in report.verdicts),
                         ["boot", "one", "shutdown", "three", "two"])
        return {v.test: v for v in report.verdicts}

    def assert_results(self, got, **want):
        """Results by name; a failure must say why."""
        self.assertEqual({name: v.result for name, v in got.items()}, want)
        for verdict in got.values():
            self.assertEqual(bool(verdict.why), verdict.result == "fail", verdict)

    def test_good(self):
        got = self.play("ready(); case('one'); case('two'); case('three'); done()")
        self.assert_results(got, boot="pass", one="pass", two="pass", three="pass",
                            shutdown="pass")
        self.assertEqual(got["one"].seconds, 0.5)

    def test_one_case_fails(self):
        got = self.play("ready(); case('one'); case('two', '3', out='word'); case('three'); done()")
        self.assert_results(got, boot="pass", one="pass", two="fail", three="pass",
                            shutdown="pass")
        self.assertIn("stdout| word", self.printed)

    def test_panic_during_a_case(self):
        got = self.play("""
            ready(); case('one'); frame('start', 'two')
            say('a word before'); say('Kernel panic - not syncing: too bad')
        """)
        self.assert_results(got, boot="pass", one="pass", two="fail", three="fail",
                            shutdown="fail")
        self.assertIn("too bad", got["two"].why)
        self.assertIn("did not end", got["two"].why)
        self.assertIn("did not run", got["three"].why)
        self.assertIn("console| a word before", self.printed)

    def test_panic_while_starting(self):
        got = self.play("say('Kernel panic - not syncing: no init')")
        self.assert_results(got, boot="fail", one="fail", two="fail", three="fail",
                            shutdown="fail")
        self.assertIn("no init", got["boot"].why)

    def test_hang_during_a_case(self):
        got = self.play("ready(); case('one'); frame('start', 'two'); time.sleep(60)")
        self.assert_results(got, boot="pass", one="pass", two="fail", three="fail",
                            shutdown="fail")
        self.assertIn("no word from the guest for 2 s while at two", got["two"].why)

    def test_silence(self):
        got = self.play("say('last line'); time.sleep(60)")
        self.assert_results(got, boot="fail", one="fail", two="fail", three="fail",
                            shutdown="fail")
        self.assertIn("console| last line", self.printed)

    def test_exit(self):
        got = self.play("print('bad option'); sys.exit(3)")
        self.assert_results(got, boot="fail", one="fail", two="fail", three="fail",
                            shutdown="fail")
        self.assertIn("status 3", got["boot"].why)
        self.assertIn("bad option", self.printed)

    def test_exit_after_the_last_case(self):
        got = self.play("ready(); case('one'); case('two'); case('three'); done(); sys.exit(1)")
        self.assert_results(got, boot="pass", one="pass", two="pass", three="pass",
                            shutdown="fail")

    def test_never_off(self):
        got = self.play("ready(); case('one'); case('two'); case('three'); done(); time.sleep(60)")
        self.assert_results(got, boot="pass", one="pass", two="pass", three="pass",
                            shutdown="fail")

    def test_endless_noise(self):
        got = self.play("""
            ready(); frame('start', 'one')
            while True: results.write(b'noise\\n'); time.sleep(0.05)
        """, limit=3)
        self.assert_results(got, boot="pass", one="fail", two="fail", three="fail",
                            shutdown="fail")
        self.assertIn("used up", got["one"].why)

    def test_garbage_in_a_case(self):
        got = self.play("""
            ready(); frame('start', 'one'); results.write(b'\\xff\\x00 garbage\\n')
            streams('one'); frame('end', 'one', '0', '1', '2', 'done')
            case('two'); case('three'); done()
        """)
        self.assert_results(got, boot="pass", one="fail", two="pass", three="pass",
                            shutdown="pass")

    def test_damaged_stream(self):
        got = self.play("""
            ready(); frame('start', 'one'); data('one', 'out', 'x', '0' * 32)
            data('one', 'err', ''); data('one', 'left', ''); data('one', 'kernel', '')
            frame('end', 'one', '0', '1', '2', 'done'); case('two'); case('three'); done()
        """)
        self.assert_results(got, boot="pass", one="fail", two="pass", three="pass",
                            shutdown="pass")
        self.assertIn("checksum", got["one"].why)

    def test_damaged_end(self):
        got = self.play("""
            ready(); frame('start', 'one'); streams('one'); frame('end', 'one', 'zero')
            case('two'); case('three'); done()
        """)
        self.assert_results(got, boot="pass", one="fail", two="fail", three="fail",
                            shutdown="pass")
        self.assertIn("zero", got["one"].why)

    def test_missing_stream(self):
        got = self.play("""
            ready(); frame('start', 'one'); data('one', 'out', '')
            frame('end', 'one', '0', '1', '2', 'done'); case('two'); case('three'); done()
        """)
        self.assertIn("did not send", got["one"].why)

    def test_skipped_case(self):
        got = self.play("ready(); case('one'); case('three'); done()")
        self.assert_results(got, boot="pass", one="pass", two="fail", three="pass",
                            shutdown="pass")

    def test_doubled_and_unknown_cases(self):
        got = self.play("""
            ready(); case('one'); case('one'); case('other'); case('two'); case('three'); done()
        """)
        self.assert_results(got, boot="pass", one="pass", two="pass", three="pass",
                            shutdown="fail")

    def test_unfinished_last_line(self):
        got = self.play("""
            ready(); case('one'); case('two'); case('three'); done(); results.write(b'@weir e')
        """)
        self.assertEqual(got["shutdown"].result, "fail")

    def test_kernel_complaint(self):
        for line in ("[ 1.0] WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x1/0x2",
                     "[ 1.0] BUG: unable to handle page fault for address: 0",
                     "[ 1.0] Oops: 0000 [#1] SMP"):
            got = self.play(f"""
                ready(); case('one'); case('two', kernel={line!r}); case('three'); done()
            """)
            self.assert_results(got, boot="pass", one="pass", two="fail", three="pass",
                                shutdown="pass")

    def test_case_out_of_time(self):
        got = self.play("""
            ready(); case('one', '137', 'timeout'); case('two'); case('three'); done()
        """)
        self.assertIn("longer than its 1 s", got["one"].why)

    ASKED = """
        ready(); frame('start', 'one'); frame('host', 'pull')
        say, hear = monitor()
        assert hear() == {"execute": "device_del", "arguments": {"id": "x"}}
        say(event="SOMETHING"); %s
        streams('one'); frame('end', 'one', '0', '1', '2', 'done')
        case('two'); case('three'); done()
    """
    HOST = {"pull": {"execute": "device_del", "arguments": {"id": "x"}}}

    def test_host_does_as_asked(self):
        got = self.play(self.ASKED % "say(**{'return': {}})", host=self.HOST)
        self.assert_results(got, boot="pass", one="pass", two="pass", three="pass",
                            shutdown="pass")

    def test_host_refuses(self):
        for answer, why in (("say(error={'desc': 'no such device'})", "no such device"),
                            ("say(**{'return': 'Error: bad\\r\\n'})", "Error: bad"),
                            ("print('gone'); sys.exit()", "closed the connection")):
            got = self.play(self.ASKED % answer, host=self.HOST)
            self.assertEqual(got["one"].result, "fail")
            self.assertEqual(got["one"].outcome.refused[0].partition(":")[0], "pull")
            self.assertIn(why, got["one"].outcome.refused[0])

    def test_host_is_mute(self):
        with mock.patch.object(qmp, "TIMEOUT", 0.1):
            got = self.play(self.ASKED % "time.sleep(0.4)", host=self.HOST)
        self.assert_results(got, boot="pass", one="fail", two="pass", three="pass",
                            shutdown="pass")
        self.assertIn("no answer from QEMU", got["one"].why)

    def test_no_such_action(self):
        got = self.play("""
            ready(); frame('host', 'pull'); frame('start', 'one'); frame('host', 'push')
            streams('one'); frame('end', 'one', '0', '1', '2', 'done')
            case('two'); case('three'); done()
        """, host=self.HOST)
        self.assert_results(got, boot="pass", one="fail", two="pass", three="pass",
                            shutdown="fail")
        self.assertIn("push: the machine has no such action, only pull", got["one"].why)

    def test_machine_left_changed(self):
        got = self.play("""
            ready(); case('one', left='+0000:00:04.0 vfio-pci'); case('two'); case('three'); done()
        """)
        self.assertIn("left the machine otherwise", got["one"].why)

    def test_harness_breaks(self):
        report = run.Report()
        with tempfile.TemporaryDirectory() as folder, \
                contextlib.redirect_stdout(io.StringIO()), \
                contextlib.redirect_stderr(io.StringIO()):
            run.run_machine(MACHINES["vtd"], CASES, run.Parts(Path(folder), None), report,
                            threading.Event(), mock.Mock(side_effect=OSError("disk full")))
        self.assertEqual(sorted(v.test for v in report.verdicts),
                         ["boot", "one", "shutdown", "three", "two"])
        self.assertEqual({v.result for v in report.verdicts}, {"fail"})
        self.assertIn("disk full", report.verdicts[0].why)

    def test_stop(self):
        with tempfile.TemporaryDirectory() as folder:
            fake = Path(folder) / "fake.py"
            fake.write_text(FAKE + "time.sleep(60)")
            stop = threading.Event()
            stop.set()
            machine = MACHINES["vtd"]
            with self.assertRaises(qemu.Stopped):
                qemu.follow([sys.executable, str(fake)], machine, [], Path(folder), stop=stop)


class Frames(unittest.TestCase):
    """The lines on the result port."""

    @staticmethod
    def data(stream, text):
        raw = text.encode()
        return (f"@weir data one {stream} {hashlib.md5(raw).hexdigest()} "
                f"{base64.b64encode(raw).decode()}\n")

    def test_in_pieces(self):
        text = ("@weir ready 6.12 2.0\n@weir start one\n" + self.data("out", "héllo\n@weir done\n")
                + self.data("err", "") + "@weir end one 7 1.0 3.5 done\n@weir done\n").encode()
        for size in (1, 3, 1000):
            reader = frames.Reader(["one"])
            ended = []
            for at in range(0, len(text), size):
                ended += reader.feed(text[at:at + size])
            reader.close()
            self.assertEqual([o.name for o in ended], ["boot", "one"])
            self.assertEqual((ended[1].status, ended[1].seconds), (7, 2.5))
            self.assertEqual(ended[1].stdout, "héllo\n@weir done\n")
            self.assertTrue(reader.done)
            self.assertEqual(reader.stray + ended[0].garbage + ended[1].garbage, [])

    def test_not_due(self):
        for line in ("@weir", "@weir nothing", "@weir start other", "@weir end one 0 1 2 done",
                     "@weir data one out 0 0", "weir start one", "@weir ready 6.12",
                     "@weir _line x", "@weir close", "@weir feed x"):
            reader = frames.Reader(["one"])
            self.assertEqual(reader.feed(line.encode() + b"\n"), [])
            self.assertEqual(len(reader.current.garbage), 1, line)


class Archive(unittest.TestCase):
    """The root file system."""

    @staticmethod
    def read(packed):
        """An independent reader of newc: name to (mode, data)."""
        data = gzip.decompress(packed)
        entries = {}
        at = 0
        while True:
            assert data[at:at + 6] == b"070701" and at % 4 == 0
            field = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
            mode, size, name_size = field[1], field[6], field[11]
            name = data[at + 110:at + 110 + name_size - 1].decode()
            at += (110 + name_size + 3) & ~3
            if name == "TRAILER!!!":
                return entries
            assert name not in entries
            entries[name] = (mode, data[at:at + size])
            at = (at + size + 3) & ~3

    def test_entries(self):
        archive = initramfs.Cpio()
        archive.file("/a/b/c", b"12345", 0o755)
        archive.file("a/b/d", "text")
        archive.file("/a/b/c", b"second")
        archive.node("/dev/console", 5, 1)
        got = self.read(archive.finish())
        self.assertEqual(list(got), ["a", "a/b", "a/b/c", "a/b/d", "dev", "dev/console"])
        self.assertEqual(got["a/b/c"], (0o100755, b"12345"))
        self.assertEqual(got["a/b/d"], (0o100644, b"text"))
        self.assertEqual(got["a"][0], 0o040755)
        self.assertEqual(got["dev/console"][0], 0o020600)

    def test_build(self):
        with tempfile.TemporaryDirectory() as folder:
            busybox = Path(folder) / "busybox"
            busybox.write_bytes(b"busybox")
            userland = initramfs.Userland(busybox, ("ldd",))
            got = self.read(initramfs.build(MACHINES["vtd"], userland, CASES,
                                            [("b", b"B"), ("a", b"A")], [], HERE))
            for loader in (b"/lib64/ld-linux-x86-64.so.2", b"/lib64/ld64.so.2"):
                busybox.write_bytes(loader)
                with self.assertRaisesRegex(initramfs.BuildError, "install busybox-static"):
                    userland.shell()
        self.assertEqual(got["bin/busybox"], (0o100755, b"busybox"))
        self.assertEqual(got["etc/weir-test/modules"][1], b"b.ko\na.ko\n")
        self.assertEqual(got["etc/weir-test/cases/list"][1], b"0 1 one\n1 1 two\n2 1 three\n")
        self.assertEqual(got["init"][0], 0o100755)
        self.assertIn(b"export WEIR_TEST_EDU=0000:00:04.0\n", got["etc/weir-test/environment"][1])

    def test_libraries(self):
        listing = ("\tlinux-vdso.so.1 (0x00007ffc)\n\tlibweir.so.0 => /b/src/libweir.so.0 (0x1)\n"
                   "\tlibc.so.6 => /lib/libc.so.6 (0x2)\n\t/lib64/ld64.so.2 (0x3)\n")
        done = subprocess.CompletedProcess([], 0, listing, "")
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(initramfs.subprocess, "run", return_value=done) as ran:
            root = Path(folder)
            for name in ("lib/libc.so.6", "lib64/ld64.so.2", "usr/lib/libkmod.so.2"):
                (root / name).parent.mkdir(parents=True)
                (root / name).touch()
            program, alone = root / "program", root / "static"
            program.write_bytes(b"\x7fELF /lib64/ld64.so.2\0")
            alone.write_bytes(b"\x7fELF")
            userland = initramfs.Userland(Path("busybox"), ("emulator", "-L", folder), root)
            self.assertEqual(userland.libraries(alone), [])
            ran.assert_not_called()
            self.assertEqual(userland.libraries(program),
                             [("/usr/lib/libweir.so.0", Path("/b/src/libweir.so.0")),
                              ("/usr/lib/libc.so.6", root / "lib/libc.so.6"),
                              ("/lib64/ld64.so.2", root / "lib64/ld64.so.2")])
            self.assertEqual(ran.call_args[0][0], ["emulator", "-L", folder, program])
            self.assertEqual(ran.call_args[1]["env"]["LD_PRELOAD"], "")
            done.stdout = listing + "\tlibweir-host.so.0 => /b/src/libweir-host.so.0 (0x4)\n"
            with self.assertRaisesRegex(initramfs.BuildError, "libkmod.so.2.*make"):
                userland.libraries(program)
            self.assertEqual(ran.call_args[1]["env"]["LD_PRELOAD"], "libkmod.so.2")
            # Where it lies only its loader knows: not beside the C library, maybe.
            done.stdout += "\tlibkmod.so.2 => /usr/lib/libkmod.so.2 (0x5)\n"
            self.assertIn(("/usr/lib/libkmod.so.2", root / "usr/lib/libkmod.so.2"),
                          userland.libraries(program))
            done.stdout = "\tlibweir.so.0 => not found\n"
            with self.assertRaisesRegex(initramfs.BuildError, "libweir.so.0.*make"):
                userland.libraries(program)

    def test_guest_scripts_are_sound(self):
        for script in ("init", "helpers.sh"):
            subprocess.run(["sh", "-n", HERE / script], check=True)
        for machine in MACHINES.values():
            for case in cases.of_machine(machine):
                subprocess.run(["sh", "-n"], input=case.script, text=True, check=True)


class Modules(unittest.TestCase):
    """Dependencies of kernel modules."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def module(self, name, depends, packed=True):
        data = b"\x7fELF\0license=GPL\0depends=" + depends.encode() + b"\0retpoline=Y\0"
        path = self.root / "kernel" / (f"{name}.ko" + (".xz" if packed else ""))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(lzma.compress(data) if packed else data)
        return data

    def names(self, *wanted):
        return [name for name, _ in kmodules.closure(wanted, kmodules.index(self.root))]

    def test_indexed(self):
        path = self.root / "usr/lib/modules/6.1.2-x/kernel/fs/a.ko.xz"
        self.assertEqual(kmodules.release({"a": path}), "6.1.2-x")
        found = [path for path, _ in kmodules.indexed([], "6.1.2-x")]
        self.assertIn("/lib/modules/6.1.2-x/modules.dep.bin", found)
        with mock.patch.object(kmodules.subprocess, "run", side_effect=FileNotFoundError):
            with self.assertRaisesRegex(kmodules.ModuleError, "install kmod"):
                kmodules.indexed([], "6.1.2-x")
        failed = subprocess.CompletedProcess([], 1, "", "depmod: no")
        with mock.patch.object(kmodules.subprocess, "run", return_value=failed):
            with self.assertRaisesRegex(kmodules.ModuleError, "depmod: no"):
                kmodules.indexed([], "6.1.2-x")

    def test_order(self):
        self.module("vfio-pci", "vfio-pci-core,vfio")
        self.module("vfio-pci-core", "vfio")
        self.module("vfio_iommu_type1", "vfio", packed=False)
        vfio = self.module("vfio", "")
        self.assertEqual(self.names("vfio-pci", "vfio_iommu_type1"),
                         ["vfio", "vfio_pci_core", "vfio_pci", "vfio_iommu_type1"])
        self.assertEqual(kmodules.closure(["vfio"], kmodules.index(self.root))[0][1], vfio)

    def test_missing(self):
        self.module("a", "b")
        with self.assertRaisesRegex(kmodules.ModuleError, r"b \(for a\)"):
            self.names("a")

    def test_circle(self):
        self.module("a", "b")
        self.module("b", "a")
        with self.assertRaises(kmodules.ModuleError):
            self.names("a")


class Packages(unittest.TestCase):
    """The cache of unpacked packages."""

    WANT = packages.PackageSet("thing", ("thing",), suite="trixie")

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.fetched = 0
        test = self

        class FakeApt:
            """An apt that needs no network; `version` is what it offers."""

            version = "1"
            broken = False

            def __init__(self, root, *_):
                self.root = root

            def update(self):
                pass

            def resolve(self, want):
                return [f"{want.name}:all={FakeApt.version}"]

            def download(self, _name, chosen):
                test.fetched += 1
                time.sleep(0.2)
                (self.root / "x.deb").write_text(chosen[0])
                return [self.root / "x.deb"]

        def fake_unpack(deb, tree):
            (tree / "content").write_text(deb.read_text())
            if FakeApt.broken:
                raise packages.PackageError("no")

        self.apt = FakeApt
        for patch in (mock.patch.object(packages, "Apt", FakeApt),
                      mock.patch.object(packages, "unpack", fake_unpack),
                      mock.patch.object(packages, "say", lambda text: None)):
            patch.start()
            self.addCleanup(patch.stop)

    def content(self, **options):
        with packages.Cache(self.folder, **options) as cache:
            return (cache.tree(self.WANT) / "content").read_text()

    def test_fetched_once(self):
        self.assertEqual(self.content(), "thing:all=1")
        self.apt.version = "2"
        self.assertEqual(self.content(), "thing:all=1")
        self.assertEqual(self.fetched, 1)
        marker = json.loads((self.folder / "vm/thing/marker.json").read_text())
        self.assertEqual(marker["packages"], ["thing:all=1"])

    def test_refresh(self):
        self.content()
        self.apt.version = "2"
        self.assertEqual(self.content(refresh=True), "thing:all=2")
        self.assertEqual(self.content(), "thing:all=2")
        self.assertEqual(len([p for p in (self.folder / "vm/thing").iterdir() if p.is_dir()]), 1)
        self.content(refresh=True)
        self.assertEqual(self.fetched, 2)

    def test_another_request(self):
        self.content()
        other = packages.PackageSet("thing", ("thing", "more"), suite="trixie")
        with packages.Cache(self.folder) as cache:
            cache.tree(other)
        marker = json.loads((self.folder / "vm/thing/marker.json").read_text())
        self.assertEqual(marker["request"], other.request())

    def test_damaged_marker(self):
        self.content()
        (self.folder / "vm/thing/marker.json").write_text("{")
        self.assertEqual(self.content(), "thing:all=1")

    def test_version(self):
        self.apt.version = "1:2.0-1"
        for more in {}, {"only": "^th"}:
            with packages.Cache(self.folder) as cache:
                self.assertEqual(cache.package(dataclasses.replace(self.WANT, **more)),
                                 "thing 1:2.0-1")
        with packages.Cache(self.folder) as cache, self.assertRaises(packages.PackageError):
            cache.package(dataclasses.replace(self.WANT, packages=("other", "thing")))

    def test_race(self):
        got = []
        threads = [threading.Thread(target=lambda: got.append(self.content())) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(got, ["thing:all=1"] * 6)
        self.assertEqual(self.fetched, 1)

    def test_refresh_waits_for_users(self):
        with packages.Cache(self.folder) as cache:
            tree = cache.tree(self.WANT)
            self.apt.version = "2"
            got = []
            thread = threading.Thread(target=lambda: got.append(self.content(refresh=True)))
            thread.start()
            time.sleep(0.3)
            self.assertTrue((tree / "content").exists())
            self.assertEqual(got, [])
        thread.join()
        self.assertEqual(got, ["thing:all=2"])

    def test_failure_leaves_nothing(self):
        self.apt.broken = True
        with self.assertRaises(packages.PackageError):
            self.content()
        self.assertEqual([p.name for p in (self.folder / "vm/thing").iterdir()], ["lock"])
        self.apt.broken = False
        self.assertEqual(self.content(), "thing:all=1")


class Mirror(unittest.TestCase):
    """Where packages come from is the host's affair, also in an error."""

    def test_hidden(self):
        # Composed so that no address stands in the source.
        address = "http" + "://mirror.invalid/debian"
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(packages, "host_mirror", return_value=address):
            apt = packages.Apt(Path(folder))
            why = apt._why(f"E: Failed to fetch {address}/x Could not resolve 'mirror.invalid'")
        self.assertNotIn("mirror.invalid", why)
        self.assertIn("Could not resolve", why)

    def test_retries(self):
        results = [packages.PackageError("flaky"), packages.PackageError("flaky"), "fine"]
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(packages, "host_mirror", return_value="mirror.invalid"), \
                mock.patch.object(packages, "say"), mock.patch.object(packages.time, "sleep"), \
                mock.patch.object(packages.Apt, "_run", side_effect=results) as tried:
            packages.Apt(Path(folder)).update()
        self.assertEqual(tried.call_count, 3)


class CommandLine(unittest.TestCase):
    """What can be asked for."""

    def test_selection(self):
        everything = run.selection([])
        self.assertEqual([machine.name for machine, _ in everything], list(MACHINES))
        names = [case.name for case in everything[0][1]]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(names[-1], "given-back")
        self.assertIn("guest/vfio", names)
        self.assertNotIn("guest/irq", names)
        self.assertEqual([machine.name for machine, chosen in everything for case in chosen
                          if case.name == "guest/irq"], ["vtd-hot", "hot-iommufd"])
        (machine, chosen), = run.selection(["vtd/selftest-edu-*", "vtd/list"])
        self.assertEqual(machine.name, "vtd")
        self.assertEqual([case.name for case in chosen],
                         ["selftest-edu-type1v2", "list", "selftest-edu-type1"])
        for bad in ("nothing", "vtd/nothing"):
            with self.assertRaises(run.UsageError):
                run.selection([bad])

    def test_missing_build(self):
        machine = MACHINES["vtd"]
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(run.UsageError, "run make"):
                run.need_built(Path(folder), machine, cases.LOOKING_CASES)
            (Path(folder) / "tools/weir").mkdir(parents=True)
            (Path(folder) / "tools/weir/weir").touch()
            with self.assertRaisesRegex(run.UsageError, "guest/p.*run make"):
                run.need_built(Path(folder), machine, [cases.program_case("p", ())])
            run.need_built(Path(folder), machine, cases.MACHINE_CASES)
            with self.assertRaisesRegex(run.UsageError, "run make"):
                run.need_built(Path(folder) / "none", machine, cases.MACHINE_CASES)
            with self.assertRaisesRegex(run.UsageError, "/build-arm64: run .*check.py arm64'"):
                run.need_built(Path(folder) / "build", MACHINES["arm64"], [])
            self.assertEqual([path.name for path in Path(folder).iterdir()], ["tools"])

    def test_every_program_runs_somewhere(self):
        placed = {name for machine in MACHINES.values() for name in machine.programs}
        written = {path.stem for path in (HERE / "guest").glob("*.c")}
        self.assertEqual(placed, written)
        for machine in MACHINES.values():
            for devices in machine.programs.values():
                self.assertLessEqual({f"WEIR_TEST_{name}" for name in devices},
                                     set(machine.devices))

    def test_record(self):
        record = verdicts.Verdict("m", "t", "pass", 1.234, "").record()
        self.assertEqual(record, {"layer": "vm", "machine": "m", "test": "t", "result": "pass",
                                  "seconds": 1.23, "why": ""})


if __name__ == "__main__":
    unittest.main()
