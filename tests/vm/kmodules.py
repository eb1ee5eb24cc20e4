# SPDX-License-Identifier: MIT
"""Kernel modules out of an unpacked package: which ones, and in which order.

A kernel package carries no modules.dep (depmod writes it when a kernel is installed),
so dependencies are read where depmod reads them: in each module's .modinfo section.
"""

import lzma
import re
import subprocess
import tempfile
from pathlib import Path


class ModuleError(Exception):
    """A module that isn't in the package; the text is a sentence for the user."""


def plain(name):
    """Module names count '-' and '_' as the same."""
    return name.replace("-", "_")


def index(root):
    """Every module below `root`: plain name to file."""
    found = {}
    for path in Path(root).rglob("*.ko*"):
        found[plain(path.name.partition(".ko")[0])] = path
    return found


def load(path):
    """A module as the kernel takes it, uncompressed."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".ko":
        return data
    raise ModuleError(f"{path.name} is compressed in a way that Python here cannot undo")


def depends(data):
    """Names of the modules that this one needs."""
    match = re.search(rb"\0depends=([^\0]*)\0", data)
    return [plain(name) for name in match[1].decode().split(",") if name] if match else []


def closure(wanted, files):
    """The wanted modules and all they need, as (name, content), in loading order."""
    ordered = {}
    pending = set()

    def add(name, needed_by):
        if name in ordered:
            return
        if name in pending:
            raise ModuleError(f"module {name} needs itself, by way of {needed_by}")
        if name not in files:
            raise ModuleError(f"module {name} (for {needed_by}) is not in the kernel package")
        pending.add(name)
        data = load(files[name])
        for other in depends(data):
            add(other, name)
        ordered[name] = data

    for name in wanted:
        add(plain(name), "the machine")
    return list(ordered.items())


def release(files):
    """The kernel's, as its modules' folder is named."""
    path = next(iter(files.values()))
    return path.parts[path.parts.index("modules") + 1]


def indexed(modules, kernel):
    """Modules with depmod's index, as (path, content), for a kernel that asks for them itself."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "lib/modules", kernel)
        folder.mkdir(parents=True)
        for name, data in modules:
            (folder / f"{name}.ko").write_bytes(data)
        try:
            done = subprocess.run(["/sbin/depmod", "-b", root, kernel], capture_output=True,
                                  text=True, check=False)
        except FileNotFoundError as error:
            raise ModuleError("depmod is missing: install kmod (scripts/setup does)") from error
        if done.returncode:
            raise ModuleError(f"depmod failed: {done.stderr.strip()}")
        return [(f"/lib/modules/{kernel}/{path.name}", path.read_bytes())
                for path in sorted(folder.iterdir())]
