# SPDX-License-Identifier: MIT
"""A connection to QEMU's machine protocol, for what only the host can do to a machine:
plug and unplug devices, inject errors."""

import json
import socket

TIMEOUT = 20


class MonitorError(Exception):
    """QEMU refused, or doesn't answer; the text says which command and why."""


class Monitor:
    """The host's end of a socket pair whose other end a QEMU gets when it starts.

    A pair needs no path, whose length is limited, and no waiting for QEMU to listen.
    """

    def __init__(self):
        self._socket, self._qemus = socket.socketpair()
        self._socket.settimeout(TIMEOUT)
        self._lines = self._socket.makefile("rb")
        self._greeted = False

    def arguments(self):
        """What QEMU is told to take its end."""
        return ["-chardev", f"socket,id=qmp,fd={self._qemus.fileno()}",
                "-qmp", "chardev:qmp"]

    def passed(self):
        """The file descriptors that QEMU inherits."""
        return (self._qemus.fileno(),)

    def started(self):
        """QEMU has its end: when it ends, reading here ends too."""
        self._qemus.close()

    def close(self):
        """Both ends, whoever has them."""
        self._qemus.close()
        self._lines.close()
        self._socket.close()

    def execute(self, command):
        """One command, {"execute": …, "arguments": …}; returns when QEMU has done it."""
        try:
            if not self._greeted:
                self._read()
                self._greeted = True
                self._ask({"execute": "qmp_capabilities"})
            self._ask(command)
        except (OSError, ValueError) as error:
            raise MonitorError(f"{command['execute']}: no answer from QEMU: {error}") from error

    def _ask(self, command):
        self._socket.sendall(json.dumps(command).encode() + b"\n")
        answer = self._read()
        while "event" in answer:
            answer = self._read()
        # The human monitor's commands say what is wrong in what they print.
        said = answer.get("return")
        if "error" in answer or (said and isinstance(said, str) and "rror" in said):
            raise MonitorError(f"{command['execute']}: {answer.get('error') or said.strip()}")

    def _read(self):
        line = self._lines.readline()
        if not line:
            raise ValueError("it closed the connection")
        return json.loads(line)
