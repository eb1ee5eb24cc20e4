# SPDX-License-Identifier: MIT
"""The guest's root file system: one cpio archive, written here and kept in memory."""

import dataclasses
import gzip
import io
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path


class BuildError(Exception):
    """Something the root file system needs is missing; the text says what to do."""


class Cpio:
    """A newc cpio archive (Documentation/driver-api/early-userspace/buffer-format.rst)."""

    def __init__(self):
        self._out = io.BytesIO()
        self._names = set()

    def folder(self, name):
        """A folder, and those it is in."""
        name = name.strip("/")
        if not name or name in self._names:
            return
        self.folder(name.rpartition("/")[0])
        self._entry(name, stat.S_IFDIR | 0o755, b"")

    def file(self, name, data, mode=0o644):
        """A regular file with its folders; a second one of the same name is dropped."""
        name = name.strip("/")
        if name in self._names:
            return
        self.folder(name.rpartition("/")[0])
        self._entry(name, stat.S_IFREG | mode, data.encode() if isinstance(data, str) else data)

    def node(self, name, major, minor):
        """A character device, such as the console that the first process starts with."""
        self.folder(name.strip("/").rpartition("/")[0])
        self._entry(name.strip("/"), stat.S_IFCHR | 0o600, b"", (major, minor))

    def plain(self):
        """The whole archive as it is."""
        self._entry("TRAILER!!!", 0, b"")
        return self._out.getvalue()

    def finish(self):
        """The same compressed a little: the host writes and TCG reads it fast."""
        return gzip.compress(self.plain(), compresslevel=1)

    def _entry(self, name, mode, data, device=(0, 0)):
        self._names.add(name)
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (len(self._names), mode, 0, 0, links, 0, len(data), 0, 0, *device,
                  len(name.encode()) + 1, 0)
        self._out.write(b"070701" + b"".join(b"%08x" % field for field in fields))
        self._out.write(name.encode() + b"\0")
        self._pad()
        self._out.write(data)
        self._pad()

    def _pad(self):
        self._out.write(b"\0" * (-self._out.tell() % 4))


def loaded(program):
    """Does it name a loader of shared libraries?"""
    with open(program, "rb") as file:
        start = file.read(4096)
    return b"/ld-linux" in start or b"/ld64.so" in start


# What libweir-host loads by itself, for every machine; libarchive only some have, by their tests.
LATE = ("libkmod.so.2",)


@dataclasses.dataclass(frozen=True)
class Userland:
    """What the guest's programs are taken from: the host's own, or another architecture's.

    `ldd` is a command that lists a program's libraries as its own loader finds them, below `root`
    or, those of the build, where it says. `busybox` must need no library.
    """

    busybox: Path
    ldd: tuple
    root: Path = Path("/")

    def shell(self):
        """busybox, as it will be the guest's."""
        if loaded(self.busybox):
            raise BuildError(f"{self.busybox} needs shared libraries: install busybox-static")
        return self.busybox.read_bytes()

    def libraries(self, program):
        """The shared libraries of a program of this build: (name in the guest, file). The loader
        is where the program expects it, the rest in /usr/lib."""
        if not loaded(program):     # to ask would run it
            return []
        found = self.linked(program)
        if any(Path(name).name.startswith("libweir-host.so") for name, _ in found):
            return self.linked(program, LATE)
        return found

    def linked(self, program, late=()):
        """Those that it names itself, and theirs; and as if it named these as well."""
        done = subprocess.run([*self.ldd, program], capture_output=True, text=True, check=False,
                              env={**os.environ, "LD_PRELOAD": " ".join(late)})
        if done.returncode:
            raise BuildError(f"ldd {program} failed: {done.stderr.strip() or done.stdout.strip()}")
        missing = re.findall(r"^\s*(\S+) => not found", done.stdout, re.M)
        missing += [name for name in late if f"{name} => " not in done.stdout]
        if missing:
            raise BuildError(f"{program} needs {', '.join(missing)}, not found: run make")
        found = []
        for arrow, path in re.findall(r"(=> |^\s*)(/\S+) \(", done.stdout, re.M):
            inside = self.root / path.lstrip("/")
            name = f"/usr/lib/{Path(path).name}" if arrow.strip() else path
            found.append((name, inside if inside.exists() else Path(path)))
        return found


def host_userland():
    """The host's own."""
    path = shutil.which("busybox")
    if not path:
        raise BuildError("busybox is missing: install busybox-static (scripts/setup does)")
    return Userland(Path(path), ("ldd",))


def add_program(archive, userland, program, name):
    """A program with its libraries."""
    archive.file(name, Path(program).read_bytes(), 0o755)
    for target, library in userland.libraries(program):
        archive.file(target, library.read_bytes(), 0o755)


def build(machine, userland, cases, modules, programs, folder, index=()):
    """The archive for one run.

    `modules` are (name, content) in loading order, `programs` (guest path, host path),
    `folder` holds init and helpers.sh, `index` is (path, content) of modules for later.
    """
    archive = Cpio()
    archive.node("/dev/console", 5, 1)
    archive.file("/bin/busybox", userland.shell(), 0o755)
    archive.file("/init", (folder / "init").read_bytes(), 0o755)
    archive.file("/lib/helpers.sh", (folder / "helpers.sh").read_bytes())
    archive.file("/etc/passwd", "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    archive.file("/etc/group", "root:x:0:\nnogroup:x:65534:\n")
    ids = Path("/usr/share/misc/pci.ids")
    if ids.exists():
        archive.file(str(ids), ids.read_bytes())

    for name, data in modules:
        archive.file(f"/lib/modules/{name}.ko", data)
    archive.file("/etc/weir-test/modules", "".join(f"{name}.ko\n" for name, _ in modules))
    for path, data in index:
        archive.file(path, data)
    for name, path in programs:
        add_program(archive, userland, path, name)

    environment = [f"export {name}={address}" for name, address in machine.devices.items()]
    environment += [f"export WEIR_TEST_RESULTS=/dev/{machine.results}"]
    environment += [f"SETTLE='{' '.join(machine.settle)}'", f"MACHINE_LIMIT={machine.limit}"]
    archive.file("/etc/weir-test/environment", "\n".join(environment) + "\n")
    listing = ""
    for number, case in enumerate(cases):
        listing += f"{number} {case.limit} {case.name}\n"
        archive.file(f"/etc/weir-test/cases/{number}", ". /lib/helpers.sh\n" + case.script + "\n")
    archive.file("/etc/weir-test/cases/list", listing)
    return archive.finish()
