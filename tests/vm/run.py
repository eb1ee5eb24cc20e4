#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run weir's tests on real kernels in QEMU, packaged ones and some that are built here.

Needs no right and no KVM. The first run downloads QEMU, kernels and a kernel's source (about
500 MB) into ${XDG_CACHE_HOME:-~/.cache}/weir, and builds kernels beside the machines that don't
need them; later runs use no network and build nothing. Machines of another architecture run what
is in build-arm64 or build-ppc64el: "python3 tests/check.py arm64" makes it, ninja makes it anew.
"""

import argparse
import concurrent.futures
import contextlib
import fcntl
import fnmatch
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "cross"))

import cases as case_list    # noqa: E402
import cross    # noqa: E402
import initramfs    # noqa: E402
import iort    # noqa: E402
import kernels    # noqa: E402
import kmodules    # noqa: E402
import qemu    # noqa: E402
import results    # noqa: E402
import soak    # noqa: E402
import verdicts    # noqa: E402
from machines import MACHINES, QEMU, UEFI    # noqa: E402
from packages import Cache, PackageError, say    # noqa: E402


class UsageError(Exception):
    """What was asked for doesn't exist; the text says what does."""


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=Path("build"), metavar="DIR",
                        help="meson's build folder (default: build); logs go to DIR/vm")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--list", action="store_true", help="list the cases and end")
    parser.add_argument("--shell", metavar="MACHINE",
                        help="start a machine with a shell on this terminal; Ctrl-A x ends it")
    parser.add_argument("--jobs", type=int, metavar="N",
                        default=max(2, len(os.sched_getaffinity(0)) // 2),
                        help="machines at a time (default: one per two processors, as many "
                             "as a machine has, but two at least: each also waits)")
    parser.add_argument("--soak", type=int, default=0, metavar="SECONDS",
                        help="the soak tests alone, side by side, for that time (otherwise: a "
                             "minute each, among the others)")
    parser.add_argument("--seed", default="", metavar="N",
                        help="of the soak tests' first worker, as a failed one printed it")
    parser.add_argument("--refresh", action="store_true",
                        help="look for newer packages before running")
    parser.add_argument("what", nargs="*", metavar="MACHINE[/CASE-GLOB]",
                        help="only these (default: everything)")
    return parser.parse_args()


def named(name):
    """The machine of that name."""
    if name not in MACHINES:
        raise UsageError(f"no machine '{name}': there are {', '.join(MACHINES)}")
    return MACHINES[name]


def selection(what, seconds=0, seed=""):
    """Machines with the cases that run in them; the order of both is that of the tables. With
    `seconds`, and nothing else asked for, that is the soak test alone, for that time."""
    if seconds and not what:
        what = soak.selection(MACHINES.values())
    seconds = seconds or soak.SECONDS
    every = {name: soak.timed(machine, case_list.of_machine(machine), seconds, seed)
             for name, machine in MACHINES.items()}
    chosen = {name: set() for name in MACHINES}
    for item in what or MACHINES:
        name, _, pattern = item.partition("/")
        named(name)
        found = {case.name for case in every[name]
                 if fnmatch.fnmatchcase(case.name, pattern or "*")}
        if not found:
            raise UsageError(f"no case matches '{item}': --list shows them all")
        chosen[name] |= found
    return [(soak.longer(MACHINES[name], seconds),
             [case for case in every[name] if case.name in names])
            for name, names in chosen.items() if names]


class Parts:
    """What machines are made of, found or fetched before the first one starts."""

    def __init__(self, build, cache, builder=None):
        self.build = build
        self.cache = cache
        self.builder = builder
        self._modules = {}

    def fetch(self, machines):
        """Have everything here before the first machine starts, but what is built here: that
        is begun."""
        self.cache.tree(QEMU)
        for machine in machines:
            if not isinstance(machine.kernel, kernels.Kernel):
                self.cache.tree(machine.kernel)
            if machine.nests:
                self.cache.tree(UEFI)
            self.userland(machine)
        self.builder.start([machine.kernel for machine in machines],
                           {machine.arch: self.userland(machine).root for machine in machines})

    def built(self, machine):
        """The future folder of a kernel that is built here; nothing for a packaged one."""
        if isinstance(machine.kernel, kernels.Kernel):
            return self.builder.future(machine.kernel)
        return None

    def start(self, machine, cases, extra=""):
        """QEMU's arguments and environment for these cases."""
        tree = self.cache.tree(QEMU)
        argv = qemu.command(tree, machine)
        initrd = self.initrd(machine, cases)
        if machine.nests:
            initrd.write_bytes(iort.override(argv, qemu.environment(tree)) + initrd.read_bytes())
            argv += ["-bios", str(self.cache.tree(UEFI) / "usr/share/qemu-efi-aarch64/QEMU_EFI.fd")]
        if cases:
            versions = folder_of(self.build, machine) / results.VERSIONS
            versions.write_text(json.dumps(self.versions(machine)) + "\n")
        return (argv + qemu.boot_arguments(self.kernel(machine), initrd, machine, extra),
                qemu.environment(tree))

    def versions(self, machine):
        """The packages that the machine is made of, for who reads its results."""
        source = kernels.SOURCE if self.built(machine) else machine.kernel
        return {"qemu": self.cache.package(QEMU), "kernel": self.cache.package(source)}

    def kernel(self, machine):
        """The kernel's image."""
        built = self.built(machine)
        if built:
            return built.result() / machine.kernel.image
        tree = self.cache.tree(machine.kernel)
        images = sorted(tree.glob("boot/vmlinu[xz]-*"))
        if len(images) != 1:
            raise PackageError(f"{tree} holds {len(images)} kernels, not one: run with --refresh")
        return images[0]

    def initrd(self, machine, cases):
        """The root file system for these cases, written to `DIR/vm/MACHINE`."""
        build = build_of(self.build, machine)
        programs = [("/bin/weir", build / "tools/weir/weir")]
        programs += [(f"/tests/{name}", build / "tests/vm/guest" / name)
                     for name in machine.programs]
        programs += [(f"/tests/{need}", build / need)
                     for need in sorted({need for case in cases for need in case.needs})
                     if need.startswith(("examples/", "tests/unit/"))]
        programs = [(name, path) for name, path in programs if path.exists()]
        if machine.selftests:
            folder = self.built(machine).result() / "selftests"
            programs += [(f"/tests/kernel/{name}", folder / name)
                         for name in (command.split()[0] for command in machine.selftests)]
        data = initramfs.build(machine, self.userland(machine), cases,
                               self._kernel_modules(machine, machine.modules), programs, HERE,
                               self._index(machine))
        path = folder_of(self.build, machine) / "initrd.gz"
        path.write_bytes(data)
        return path

    def userland(self, machine):
        """What its programs are taken from."""
        if not machine.arch:
            return initramfs.host_userland()
        target = cross.TARGETS[machine.arch]
        return initramfs.Userland(self.cache.tree(target.busybox()) / "bin/busybox",
                                  target.ldd(self.cache), self.cache.tree(target.sysroot()))

    def _kernel_modules(self, machine, wanted):
        if not wanted:
            return []
        tree = self.cache.tree(machine.kernel)
        key = (tree, wanted)
        if key not in self._modules:
            self._modules[key] = kmodules.closure(wanted, kmodules.index(tree))
        return self._modules[key]

    def _index(self, machine):
        if not machine.index:
            return []
        kernel = kmodules.release(kmodules.index(self.cache.tree(machine.kernel)))
        return kmodules.indexed(self._kernel_modules(machine, machine.index), kernel)


def folder_of(build, machine):
    """Where a machine's logs are."""
    folder = build / "vm" / machine.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def build_of(build, machine):
    """Where the programs of its architecture are built, beside those of the host's."""
    return build.with_name(f"{build.name}-{machine.arch}") if machine.arch else build


def need_built(build, machine, cases):
    """The tests test what was built; what is missing is the user's to make."""
    build = build_of(build, machine)
    cure = "run make first, or name the build with --build"
    if machine.arch:
        cure = f"run 'scripts/setup cross && python3 tests/check.py {machine.arch}' first"
    if not build.is_dir():
        raise UsageError(f"there is no {build}: {cure}")
    for path in (build / need for case in cases for need in case.needs):
        if not path.exists():
            raise UsageError(f"{path} is missing: {cure}")


class Report:
    """Verdicts as they come: a line each, and all there is to know about a failure."""

    def __init__(self):
        self.verdicts = []
        self._lock = threading.Lock()

    def add(self, verdict):
        """Print one and keep it."""
        with self._lock:
            self.verdicts.append(verdict)
            why = f"  {verdict.why}" if verdict.why else ""
            print(f"{verdict.result.upper():4}  {verdict.machine}/{verdict.test}  "
                  f"{verdict.seconds:.1f} s{why}")
            if verdict.result == "fail" and verdict.outcome:
                self._details(verdict.outcome)
            elif verdict.outcome:
                self._numbers(verdict.outcome)
            sys.stdout.flush()

    def tail(self, machine, folder, text):
        """What a guest that went wrong said last."""
        with self._lock:
            print(f"{machine.name}: the guest's last output (all of it in {folder}):")
            for line in text.splitlines():
                print(f"      console| {line}")
            sys.stdout.flush()

    @staticmethod
    def _numbers(outcome):
        for line in outcome.stdout.splitlines():
            if line.startswith("# soak: "):
                print(f"      {line[2:]}")

    @staticmethod
    def _details(outcome):
        for title, text in (("stdout", outcome.stdout), ("stderr", outcome.stderr),
                            ("kernel", "\n".join(outcome.kernel))):
            lines = text.rstrip().splitlines()
            if len(lines) > 60:
                lines = [f"({len(lines) - 60} lines left out)", *lines[-60:]]
            for line in lines:
                print(f"      {title}| {line}")

    def write(self, path):
        """The JSON of all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([v.record() for v in self.verdicts], indent=1) + "\n")


def run_machine(machine, cases, parts, report, stop, start=None):
    """One machine from start to end, and a verdict on everything that was due in it.

    `start(machine, cases)` gives QEMU's arguments and environment; another one serves
    the harness's own tests.
    """
    folder = folder_of(parts.build, machine)
    by_name = {case.name: case for case in cases}
    told = set()

    def tell(name, found):
        told.add(name)
        for verdict in found:
            report.add(verdict)

    def ended(outcome):
        if outcome.name == "boot":
            tell("boot", [verdicts.of_boot(machine, outcome)])
        else:
            tell(outcome.name, verdicts.of_case(machine, by_name[outcome.name], outcome))

    try:
        argv, environment = (start or parts.start)(machine, cases)
        run = qemu.follow(argv, machine, cases, folder, env=environment, stop=stop, ended=ended)
    except qemu.Stopped:
        raise
    except kernels.KernelError as error:
        run = qemu.failed(str(error))
    except Exception as error:  # whatever it was, the cases must not go missing
        traceback.print_exc()
        run = qemu.failed(f"the harness failed: {type(error).__name__}: {error}")
    if "boot" not in told:
        tell("boot", [verdicts.of_boot(machine, run.reader.outcomes["boot"], run.why)])
    tell("lost", verdicts.of_lost(machine, [case for case in cases if case.name not in told],
                                  run))
    tell("shutdown", [verdicts.of_end(machine, run)])
    if run.tail:
        report.tail(machine, folder, run.tail)


def run_all(chosen, parts, jobs):
    """All machines, `jobs` at a time, each as soon as its kernel is there; the report."""
    report = Report()
    stop = threading.Event()
    waiting = {}        # a kernel's future: the machines that wait for it
    with concurrent.futures.ThreadPoolExecutor(max(1, jobs)) as pool:
        def start(machine, cases):
            running.add(pool.submit(run_machine, machine, cases, parts, report, stop))

        running = set()
        for machine, cases in chosen:
            built = parts.built(machine)
            if built:
                waiting.setdefault(built, []).append((machine, cases))
            else:
                start(machine, cases)
        try:
            while running or waiting:
                done, _ = concurrent.futures.wait(
                    [*running, *waiting], return_when=concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    # A kernel's failure is that of each of its machines: they ask for it.
                    for machine, cases in waiting.pop(future, ()):
                        start(machine, cases)
                    if future in running:
                        running.remove(future)
                        future.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return report


def shell(machine, parts):
    """A machine for a person: its shell on this terminal."""
    argv, environment = parts.start(machine, [], "quiet weir_shell")
    say(f"{machine.name}: starting; Ctrl-A x ends it")
    return subprocess.run([*argv, "-serial", "mon:stdio"], env=environment,
                          check=False).returncode


def only_run(build, machines):
    """Two runs must not write the same machine's logs: the second waits. All take their locks in
    the order of the table."""
    locks = contextlib.ExitStack()
    for machine in machines:
        lock = locks.enter_context(open(folder_of(build, machine) / "lock", "w", encoding="ascii"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run of {machine.name} in {build}")
            fcntl.flock(lock, fcntl.LOCK_EX)
    return locks


def main():
    """0: all passed; 1: something failed; 2: it could not be tried."""
    options = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        chosen = ([(named(options.shell), [])] if options.shell else
                  selection(options.what, options.soak, options.seed))
        if options.soak:
            options.jobs = len(chosen)
        if options.list:
            for machine, cases in chosen:
                print("\n".join(f"{machine.name}/{case.name}" for case in cases))
            return 0
        for machine, cases in chosen:
            need_built(options.build, machine, cases)
        machines = [machine for machine, _ in chosen]
        with only_run(options.build, machines), Cache(refresh=options.refresh) as cache, \
                kernels.Builder(cache, options.build / "vm/kernels.log") as builder:
            parts = Parts(options.build, cache, builder)
            parts.fetch(machines)
            if options.shell:
                return shell(*machines, parts)
            start = time.monotonic()
            report = run_all(chosen, parts, options.jobs)
    except (UsageError, PackageError, kernels.KernelError, kmodules.ModuleError,
            initramfs.BuildError, iort.TableError, OSError) as error:
        print(f"tests/vm/run.py: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, qemu.Stopped):
        print("tests/vm/run.py: interrupted", file=sys.stderr)
        return 2
    if options.json:
        report.write(options.json)
    counts = {result: sum(v.result == result for v in report.verdicts)
              for result in ("pass", "fail", "skip")}
    print(f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped "
          f"in {time.monotonic() - start:.0f} s")
    return 1 if counts["fail"] else 0


if __name__ == "__main__":
    sys.exit(main())
