# SPDX-License-Identifier: MIT
"""Packaged kernels, QEMU and sysroots, fetched and unpacked without touching the host.

apt does the work (resolving, downloading, checking signatures), but with lists,
status and archives of its own under weir's cache, so that nothing is installed and
the host's apt never notices. It runs as any user.

What was unpacked stays, next to a marker that names every package and version.
While the marker is there nothing goes to the network; `refresh` resolves again.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITES = ("trixie", "trixie-backports")
ATTEMPTS = 4

# Hooks of the host's apt configuration are cleared: some of them delete or refresh
# files of the host after every update. The rest (proxies, passwords) stays in force.
APT_CONF = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Post-Invoke;
Dir::State "{root}/state";
Dir::State::status "{root}/state/status";
Dir::State::lists "{root}/state/lists";
Dir::Cache "{root}/cache";
Dir::Cache::archives "{root}/cache/archives";
Dir::Etc::SourceList "{root}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Update::Error-Mode "any";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "5";
"""

# For another architecture than the host's: it alone, so that nothing of the host's is resolved.
APT_CONF_ARCH = """\
APT::Architecture "{arch}";
#clear APT::Architectures;
APT::Architectures {{ "{arch}"; }};
"""


class PackageError(Exception):
    """Packages that could not be had; the text is a sentence for the user."""


@dataclasses.dataclass(frozen=True)
class PackageSet:
    """Packages that are unpacked together into one tree.

    `only` keeps those of the resolved packages whose names match: a kernel needs
    nothing of what its package depends on, a QEMU needs all of it. `suites` are those
    that are looked into, `suite` the preferred one of them. `arch` is Debian's name of
    an architecture; empty, it is the host's own.
    """

    name: str
    packages: tuple
    suite: str
    only: str = ""
    suites: tuple = SUITES
    arch: str = ""

    def request(self):
        """What the tree was asked to be: a marker made for anything else is stale."""
        request = [list(self.suites), self.suite, list(self.packages), self.only]
        return request + [self.arch] if self.arch else request


def say(text):
    """Progress, beside the results and never among them."""
    print(text, file=sys.stderr, flush=True)


def default_cache():
    """weir's cache folder of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "weir"


class Cache:
    """The unpacked trees of one cache folder.

    Used in a `with`: trees in use are protected by shared locks that are held to its end,
    so that a refresh in another process waits instead of pulling a tree away.
    """

    def __init__(self, folder=None, refresh=False):
        self.folder = (folder or default_cache()) / "vm"
        self.refresh = refresh
        self._held = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _, lock in self._held.values():
            os.close(lock)
        self._held.clear()

    def tree(self, want):
        """The folder with `want` unpacked in it; fetched when it isn't there yet."""
        if want not in self._held:
            self._held[want] = self._obtain(want)
        return self._held[want][0]

    def package(self, want):
        """The name and the version of the package that a tree is there for."""
        tree = self.tree(want)
        marker = json.loads((tree.parent / "marker.json").read_text())
        for name, _, version in re.findall(r"(?m)^(.*):(.*)=(.*)$", "\n".join(marker["packages"])):
            if want.only or name == want.packages[0]:
                return f"{name} {version}"
        raise PackageError(f"{want.name}: {want.packages[0]} isn't among its packages: run with "
                           "--refresh")

    def _obtain(self, want):
        """(the tree, the lock that keeps it there)."""
        (self.folder / want.name).mkdir(parents=True, exist_ok=True)
        refresh = self.refresh
        while True:
            if not refresh:
                lock = self._lock(want, fcntl.LOCK_SH)
                tree = self._valid(want)
                if tree:
                    return tree, lock
                os.close(lock)
            with contextlib.ExitStack() as stack:
                lock = self._lock(want, fcntl.LOCK_EX)
                stack.callback(os.close, lock)
                if refresh or not self._valid(want):
                    self._fetch(want)
                refresh = False

    def _lock(self, want, kind):
        fd = os.open(self.folder / want.name / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{want.name}: waiting for another run that uses or fetches it")
            fcntl.flock(fd, kind)
        return fd

    def _valid(self, want):
        """The tree that the marker names, if it was made for just this request."""
        try:
            marker = json.loads((self.folder / want.name / "marker.json").read_text())
            tree = self.folder / want.name / marker["tree"]
            return tree if marker["request"] == want.request() and tree.is_dir() else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _fetch(self, want):
        """Resolve, download and unpack; the marker comes last, over an older one."""
        folder = self.folder / want.name
        for left in folder.glob("tmp-*"):
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(dir=folder, prefix="tmp-") as scratch:
            apt = Apt(Path(scratch), want.suites, want.arch)
            say(f"{want.name}: reading the package lists of {' and '.join(want.suites)}")
            apt.update()
            chosen = apt.resolve(want)
            tree = folder / hashlib.sha256("\n".join(chosen).encode()).hexdigest()[:16]
            if not tree.is_dir():
                unpacked = Path(scratch) / "tree"
                unpacked.mkdir(mode=0o755)
                debs = apt.download(want.name, chosen)
                say(f"{want.name}: unpacking {len(debs)}")
                for deb in debs:
                    unpack(deb, unpacked)
                    deb.unlink()
                keep_links_inside(unpacked)
                unpacked.rename(tree)
            marker = Path(scratch) / "marker.json"
            marker.write_text(json.dumps({"request": want.request(), "tree": tree.name,
                                          "packages": chosen}, indent=1) + "\n")
            marker.rename(folder / "marker.json")
        for old in folder.iterdir():
            if old.is_dir() and old != tree:
                shutil.rmtree(old)
        say(f"{want.name}: ready, {len(chosen)} packages")


class Apt:
    """apt with its own lists, status and archives in `root`.

    The status file is empty, so a package's whole dependency closure is resolved, the
    C library included: the host's own libraries are too old to run these programs.
    """

    def __init__(self, root, suites=SUITES, arch=""):
        self.root = root
        for folder in ("state/lists/partial", "cache/archives/partial", "debs"):
            (root / folder).mkdir(parents=True)
        (root / "state/status").touch()
        mirror = host_mirror()
        self._secret = urllib.parse.urlsplit(mirror).hostname or mirror
        (root / "sources.list").write_text("".join(
            f"deb [signed-by={KEYRING}] {mirror} {suite} main\n" for suite in suites))
        (root / "apt.conf").write_text(APT_CONF.format(root=root) +
                                       (APT_CONF_ARCH.format(arch=arch) if arch else ""))

    def update(self):
        self._patiently("read the package lists", "update")

    def resolve(self, want):
        """What apt would install: a sorted list of name:architecture=version."""
        text = self._run("resolve " + " ".join(want.packages), "--simulate", "-t", want.suite,
                         "install", *want.packages)
        chosen = []
        for name, version, arch in re.findall(
                r"^Inst (\S+) (?:\[\S+\] )?\((\S+) .*?\[(\S+)\]\)", text, re.M):
            if re.search(want.only, name):
                chosen.append(f"{name}:{arch}={version}")
        if not chosen:
            raise PackageError(f"{want.name}: none of the packages behind "
                               f"{' '.join(want.packages)} matches '{want.only}'")
        return sorted(chosen)

    def download(self, name, chosen):
        """Fetch the packages; the .deb files, checked by apt."""
        folder = self.root / "debs"
        done = threading.Event()

        def watch():
            start = time.monotonic()
            while not done.wait(5):
                size = sum(f.stat().st_size for f in folder.glob("*.deb"))
                say(f"{name}: {len(list(folder.glob('*.deb')))} of {len(chosen)} packages, "
                    f"{size >> 20} MiB, {time.monotonic() - start:.0f} s")

        say(f"{name}: downloading {len(chosen)} packages")
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            self._patiently("download packages", "download", *chosen, cwd=folder)
        finally:
            done.set()
            watcher.join()
        debs = sorted(folder.glob("*.deb"))
        if len(debs) != len(chosen):
            raise PackageError(f"{name}: apt downloaded {len(debs)} of {len(chosen)} packages")
        return debs

    def _patiently(self, what, *args, cwd=None):
        """Networks fail now and then: try again, a little later each time."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._run(what, *args, cwd=cwd)
            except PackageError as error:
                if attempt == ATTEMPTS:
                    raise
                say(f"{error}\ntrying again ({attempt + 1} of {ATTEMPTS})")
                time.sleep(3 * attempt)
        return None

    def _run(self, what, *args, cwd=None):
        done = subprocess.run(
            ["apt-get", "-q", "-c", self.root / "apt.conf", *args], cwd=cwd or self.root,
            env=dict(os.environ, LC_ALL="C"), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False)
        if done.returncode:
            raise PackageError(f"apt could not {what}: {self._why(done.stdout + done.stderr)}")
        return done.stdout

    def _why(self, text):
        """apt's complaint, without the mirror's address: that is the host's own affair."""
        lines = [line for line in text.splitlines() if line[:2] in ("E:", "W:")]
        text = " ".join(lines[:4]) or text.strip()[-300:] or "it gave no reason"
        text = re.sub(r"\b[a-z0-9+]+://\S+", "(mirror)", text)
        text = re.sub(r"\[IP: [^\]]*\]", "", text)
        return text.replace(self._secret, "(mirror)")


def host_suite():
    """The suite that the host was installed from."""
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    return ""


def host_mirror():
    """Where the host's own apt gets its packages, the place to ask for other suites."""
    if not KEYRING.exists():
        raise PackageError(f"{KEYRING} is missing: apt needs it to check what it downloads; "
                           "install debian-archive-keyring")
    codename = host_suite()
    try:
        text = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)",
             "Created-By: Packages"],
            capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise PackageError("apt-get indextargets failed: the machines need a Debian host with "
                           "its apt") from error
    for line in text.splitlines():
        address, _, name = line.partition(" ")
        if name == codename:
            return address
    raise PackageError(f"the host's apt lists no mirror for '{codename}': check "
                       "/etc/apt/sources.list and run apt-get update")


def unpack(deb, tree):
    """Unpack one package, nothing of it run."""
    done = subprocess.run(["dpkg", "-x", deb, tree], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackageError(f"{deb.name} could not be unpacked: {done.stderr.strip()}")


def keep_links_inside(tree):
    """Make absolute links relative: in a tree that isn't the root they lead out of it."""
    for folder, folders, files in os.walk(tree):
        for path in (Path(folder, name) for name in folders + files):
            if path.is_symlink() and os.path.isabs(os.readlink(path)):
                target = os.path.relpath(f"{tree}{os.readlink(path)}", folder)
                path.unlink()
                path.symlink_to(target)
