# SPDX-License-Identifier: MIT
"""Kernels that no distribution packages: built here, from Debian's source, as any user.

A build takes minutes, so it goes on beside the machines that don't need it, and gives way to
them. What it made stays in the cache, under a name made of all that it depends on: the source,
the fragment and the compiler. The source and the objects, 3 GB, are gone when the last kernel
is done; until then they make the second kernel of an architecture a matter of a minute.
"""

import concurrent.futures
import contextlib
import dataclasses
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from packages import PackageSet, say

CONFIGS = Path(__file__).resolve().parent / "configs"
SOURCE = PackageSet("linux-source", ("linux-source",), suite="trixie-backports",
                    only=r"^linux-source-[0-9]")
UNUSED = 30 * 24 * 60 * 60      # seconds after which a kernel that nobody used is removed


class KernelError(Exception):
    """A kernel that could not be built; the text is a sentence for the user."""


@dataclasses.dataclass(frozen=True)
class Target:
    """What make is told of an architecture, where it leaves the kernel, and the compiler."""

    arch: str
    image: str
    prefix: str = ""


# By Debian's name of it; empty, it is the host's own.
TARGETS = {"": Target("x86_64", "arch/x86/boot/bzImage"),
           "arm64": Target("arm64", "arch/arm64/boot/Image", "aarch64-linux-gnu-")}


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One that is built here: its fragments, of which a later one overrides earlier ones.

    `selftests` are folders of the source's tools/testing/selftests: their programs are built
    along, and linked statically. `arch` is a key of TARGETS.
    """

    name: str
    fragments: tuple
    selftests: tuple = ()
    arch: str = dataclasses.field(default="", repr=False)   # the compiler's name tells it, too

    @property
    def image(self):
        """Its file's name."""
        return Path(TARGETS[self.arch].image).name


# In the order in which they are built. The second takes few objects that the first lacks.
LINUX = Kernel("linux", ("x86.config",), selftests=("iommu", "vfio"))
LINUX_CONTAINER = Kernel("linux-container", ("x86.config", "container.config"))
LINUX_ARM64 = Kernel("linux-arm64", ("arm64.config",), selftests=("iommu",), arch="arm64")
KERNELS = (LINUX, LINUX_CONTAINER, LINUX_ARM64)


def fragment(kernel, folder=CONFIGS):
    """What it asks of Kconfig: {symbol: value}."""
    wanted = {}
    for name in kernel.fragments:
        for line in (folder / name).read_text().splitlines():
            symbol, assigned, value = line.partition("=")
            if assigned and not line.startswith("#"):
                wanted[symbol] = value
    return wanted


def dishonoured(wanted, config):
    """The lines of a fragment that a .config doesn't hold: Kconfig drops them silently when
    they depend on something that is missing, or don't exist any more."""
    got = dict(line.split("=", 1) for line in config.splitlines() if line.startswith("CONFIG_"))
    return [f"{symbol}={value}" for symbol, value in wanted.items()
            if got.get(symbol, "n") != value]


def compiler(arch=""):
    """The compiler's name and version."""
    name = f"{TARGETS[arch].prefix}gcc"
    try:
        done = subprocess.run([name, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise KernelError(f"{name} is missing: run scripts/setup "
                          f"{'cross' if arch else 'test'}") from error
    return done.stdout.splitlines()[0]


class Builder:
    """Has kernels built that aren't in the cache, one after the other in one tree.

    `log` gets what make says. Leaving the context ends a build that goes on.
    """

    def __init__(self, cache, log):
        self.cache = cache
        self.log = log
        self.folder = cache.folder / "kernels"
        self._futures = {}
        self._sysroots = {}
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._at_end = contextlib.ExitStack()
        self._tree = None
        self._locked = False
        self._make = None
        self._stopped = threading.Event()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stopped.set()
        make = self._make
        if make:
            make.terminate()    # make ends its children
        self._pool.shutdown(cancel_futures=True)
        self._at_end.close()

    def start(self, kernels, sysroots):
        """Begin; what isn't in the cache is fetched before this returns, and built after.

        `sysroots` are what programs are linked with, by architecture.
        """
        kernels = [kernel for kernel in KERNELS if kernel in kernels]
        if not kernels:
            return
        self._sysroots = sysroots
        source = self.cache.tree(SOURCE)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(b"")
        for kernel in kernels:
            key = "\n".join((source.name, compiler(kernel.arch), repr(fragment(kernel)),
                             repr(kernel)))
            target = self.folder / f"{kernel.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
            self._futures[kernel] = self._pool.submit(self._provide, kernel, source, target)
        self._pool.submit(self._at_end.close)

    def future(self, kernel):
        """The future folder of a kernel: its image, its config, its selftests."""
        return self._futures[kernel]

    def _provide(self, kernel, source, target):
        if not target.is_dir():
            self._alone()
        if not target.is_dir():     # another run may have made it while we waited
            self._unpack(source)
            start = time.monotonic()
            say(f"{kernel.name}: building the kernel; {self.log} has what make says")
            self._build(kernel, target)
            say(f"{kernel.name}: built in {time.monotonic() - start:.0f} s")
        os.utime(target)
        return target

    def _alone(self):
        """One build at a time on this host; and nothing is left of those that were killed."""
        if self._locked:
            return
        lock = open(self.folder / "lock", "w", encoding="ascii")
        self._at_end.enter_context(lock)
        said = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not said:
                    say("waiting for another run that builds kernels")
                said = True
                if self._stopped.wait(0.5):
                    raise KernelError("interrupted") from None
        self._locked = True
        for left in self.folder.glob("tmp-*"):
            shutil.rmtree(left)
        for old in self.folder.iterdir():
            if old.is_dir() and time.time() - old.stat().st_mtime > UNUSED:
                shutil.rmtree(old)

    def _unpack(self, source):
        if self._tree:
            return
        archives = list(source.glob("usr/src/linux-source-*.tar.xz"))
        if len(archives) != 1:
            raise KernelError(f"{source} holds {len(archives)} sources, not one: run with "
                              "--refresh")
        scratch = tempfile.TemporaryDirectory(dir=self.folder, prefix="tmp-")
        tree = Path(self._at_end.enter_context(scratch))
        (tree / "source").mkdir()
        self._run("tar", "-xJf", archives[0], "-C", tree / "source", "--strip-components=1")
        self._tree = tree

    def _build(self, kernel, target):
        on = TARGETS[kernel.arch]
        objects = self._tree / f"objects-{on.arch}"
        objects.mkdir(exist_ok=True)
        wanted = fragment(kernel)
        merged = self._tree / "fragment"
        merged.write_text("".join(f"{symbol}={value}\n" for symbol, value in wanted.items()))
        make = ("make", "-s", "-C", self._tree / "source", f"O={objects}", f"ARCH={on.arch}",
                f"CROSS_COMPILE={on.prefix}", f"-j{os.cpu_count() or 1}")
        self._run(*make, f"KCONFIG_ALLCONFIG={merged}", "allnoconfig")
        config = (objects / ".config").read_text()
        wrong = dishonoured(wanted, config)
        if wrong:
            raise KernelError(f"{kernel.name}: this source's Kconfig made something else of "
                              f"{', '.join(wrong)}: see {' and '.join(kernel.fragments)} in "
                              f"{CONFIGS}")
        self._run(*make, kernel.image)
        product = self._tree / f"product-{kernel.name}"
        product.mkdir()
        shutil.copy(objects / on.image, product)
        (product / "config").write_text(config)
        if kernel.selftests:
            self._run(*make, "headers")
        for name in kernel.selftests:
            self._selftests(name, product / "selftests", objects, kernel.arch)
        product.rename(target)

    def _selftests(self, name, target, objects, arch):
        """By the source's own makefile, which puts programs and objects into one folder."""
        on = TARGETS[arch]
        folder = self._tree / "source/tools/testing/selftests" / name
        output = objects / "selftests" / name
        output.mkdir(parents=True)
        self._run("make", "-s", "-C", folder, f"ARCH={on.arch}", f"OUTPUT={output}",
                  f"CC={on.prefix}gcc --sysroot={self._sysroots[arch]}", "LDFLAGS=-static",
                  f"KHDR_INCLUDES=-isystem {objects / 'usr/include'}")
        target.mkdir(exist_ok=True)
        for program in output.iterdir():
            if program.is_file() and os.access(program, os.X_OK):
                shutil.copy(program, target)

    def _run(self, *argv):
        """Nicely, and without what a make above us, or a user's settings, put into the
        environment."""
        if self._stopped.is_set():
            raise KernelError("interrupted")
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "KBUILD_BUILD_USER": "weir",
                       "KBUILD_BUILD_HOST": "weir"}
        with open(self.log, "ab") as log:
            log.write(f"+ {' '.join(map(str, argv))}\n".encode())
            log.flush()
            with subprocess.Popen(["nice", "-n", "10", *argv], env=environment, stdout=log,
                                  stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL) as self._make:
                if self._stopped.is_set():
                    self._make.terminate()
                status = self._make.wait()
            self._make = None
        if self._stopped.is_set():
            raise KernelError("interrupted")
        if status:
            text = self.log.read_text(errors="replace").splitlines()
            raise KernelError(f"{argv[0]} failed while building a kernel (see {self.log}; "
                              f"scripts/setup test installs what a build needs): "
                              f"{' / '.join(text[-3:])}")
