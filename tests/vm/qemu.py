# SPDX-License-Identifier: MIT
"""One run of one machine: start QEMU, follow what the guest reports, end it.

Whatever happens (a panic, a hang, an exit, silence), the run returns, says why it
ended, and holds an outcome for each case that got that far.
"""

import contextlib
import dataclasses
import os
import subprocess
import time

from frames import Reader
from qmp import Monitor, MonitorError

POLL = 0.05
COMMON = ("-display", "none", "-monitor", "none", "-no-reboot", "-accel", "tcg,thread=multi")
APPEND = "loglevel=6 panic=-1 log_buf_len=4M printk.devkmsg=on"
LIBRARIES = "usr/lib/x86_64-linux-gnu"


class Stopped(Exception):
    """The user, or a signal, wants the run to end."""


@dataclasses.dataclass
class Run:
    """What one machine did. `why` is empty when it ran to its end and went off by itself."""

    reader: Reader
    why: str = ""
    seconds: float = 0.0
    tail: str = ""


def failed(why):
    """A run that never began."""
    return Run(Reader(()), why)


def command(tree, machine):
    """QEMU out of its unpacked tree, by the tree's own loader and libraries: the host's C
    library is too old for it, and nothing is installed."""
    libraries = tree / LIBRARIES
    return [str(libraries / "ld-linux-x86-64.so.2"), "--library-path",
            f"{libraries}:{libraries / 'qemu'}", str(tree / "usr/bin" / machine.program),
            "-L", str(tree / "usr/share/qemu"), "-L", str(tree / "usr/share/seabios"),
            "-L", str(tree / "usr/lib/ipxe/qemu"), *COMMON,
            *(["-nodefaults"] if machine.bare else []), *machine.arguments]


def environment(tree):
    """QEMU looks for its loadable parts where they would be installed, or here."""
    return dict(os.environ, QEMU_MODULE_DIR=str(tree / LIBRARIES / "qemu"))


def boot_arguments(kernel, initrd, machine, extra=""):
    """What makes QEMU boot our kernel with our root file system."""
    return ["-kernel", str(kernel), "-initrd", str(initrd),
            "-append", f"{machine.append} {APPEND} {extra}".strip()]


def follow(argv, machine, cases, folder, *, env=None, stop=None, ended=None):
    """Run `argv` (a QEMU to which two serial ports and a monitor are added) to its end.

    `ended(outcome)` is called for each case as it ends. `stop` is an event that ends the
    run early.
    """
    console = folder / "console.log"
    results = folder / "results.log"
    console.write_bytes(b"")
    results.write_bytes(b"")
    limits = {case.name: case.limit for case in cases}
    begin = time.monotonic()
    with contextlib.closing(Monitor()) as monitor, \
            open(folder / "qemu.log", "wb") as log, open(results, "rb") as stream:
        argv = [*argv, "-serial", f"file:{console}", *machine.second_port(results),
                *monitor.arguments()]
        run = Run(Reader(limits, _performer(monitor, machine.host)))
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                              stderr=subprocess.STDOUT, env=env,
                              pass_fds=monitor.passed()) as process:
            try:
                monitor.started()
                run.why = _watch(process, stream, run.reader, machine, limits, stop, ended)
            finally:
                process.kill()
    run.reader.close()
    run.seconds = time.monotonic() - begin
    if run.why:
        run.tail = last_lines(console) or last_lines(folder / "qemu.log")
        panic = panic_line(console)
        if panic:
            run.why = f"the guest's kernel panicked ({panic}); {run.why}"
    return run


def _performer(monitor, actions):
    """What the guest asks of the host, by the names that the machine has for it; returns why
    it wasn't done, or nothing."""
    def perform(name):
        if name not in actions:
            return f"the machine has no such action, only {', '.join(actions) or 'none'}"
        try:
            monitor.execute(actions[name])
        except MonitorError as error:
            return str(error)
        return ""
    return perform


def _watch(process, stream, reader, machine, limits, stop, ended):
    """Follow the results until the machine is off; why it ended badly, or nothing."""
    start = heard = time.monotonic()
    while True:
        gone = process.poll() is not None
        data = stream.read()
        if data:
            heard = time.monotonic()
            for outcome in reader.feed(data):
                if ended:
                    ended(outcome)
        if gone and not data:
            break
        where = "starting" if not reader.release else f"at {reader.current.name}"
        if stop and stop.is_set():
            raise Stopped()
        if reader.done:
            allowed, where = machine.grace, "going off"
        elif not reader.release:
            allowed = machine.boot_limit
        elif reader.current.ended:
            allowed = machine.grace
        else:
            allowed = limits[reader.current.name] + machine.grace
        if time.monotonic() - heard > allowed:
            return f"no word from the guest for {allowed:g} s while {where}"
        if time.monotonic() - start > machine.limit:
            return f"the machine used up its {machine.limit} s while {where}"
        if not data:
            time.sleep(POLL)
    if not reader.done:
        where = "starting" if not reader.release else f"at {reader.current.name}"
        return f"QEMU exited with status {process.returncode} while the guest was {where}"
    if process.returncode:
        return f"QEMU exited with status {process.returncode} after the last case"
    return ""


def last_lines(path, count=25):
    """The end of a log, for a person who wants to know what happened."""
    with open(path, "rb") as log:
        log.seek(max(0, path.stat().st_size - 16384))
        text = log.read().decode("utf-8", "backslashreplace").replace("\r", "")
    return "\n".join(text.splitlines()[-count:])


def panic_line(console):
    """The kernel's last word, if it had one."""
    for line in console.read_bytes().decode("utf-8", "backslashreplace").splitlines():
        if "Kernel panic" in line:
            return line.strip()
    return ""
