# SPDX-License-Identifier: MIT
"""What the guest reports over its second serial port, one frame per line.

    @weir ready RELEASE UPTIME                 the machine is up
    @weir start CASE
    @weir data CASE NAME MD5 BASE64            a stream: out, err, kernel, left
    @weir host ACTION                          the case wants this done, see Machine.host
    @weir end CASE STATUS STARTED ENDED FLAG   FLAG: done, or timeout
    @weir done                                 every case has run; power goes off

Streams are base64 so that nothing a program prints can look like a frame, and carry
a checksum because a serial line may drop bytes. What isn't a frame, or is a damaged
one, is kept as garbage and fails the case during which it came, or the machine when no
case was running: never skipped.
"""

import base64
import binascii
import dataclasses
import hashlib

STREAMS = ("out", "err", "kernel", "left")


@dataclasses.dataclass
class Outcome:
    """What happened to one case in the guest."""

    name: str
    status: int = -1
    seconds: float = 0.0
    timed_out: bool = False
    ended: bool = False
    streams: dict = dataclasses.field(default_factory=dict)
    garbage: list = dataclasses.field(default_factory=list)
    refused: list = dataclasses.field(default_factory=list)

    @property
    def stdout(self):
        return self.streams.get("out", "")

    @property
    def stderr(self):
        return self.streams.get("err", "")

    @property
    def kernel(self):
        """The kernel's log lines since the case before this one ended."""
        return self.streams.get("kernel", "").splitlines()

    @property
    def left(self):
        """How the case left the machine otherwise than it found it; empty when it didn't."""
        return self.streams.get("left", "").strip()


class Reader:
    """Frames, fed in pieces as the serial port delivers them, become outcomes.

    `boot` is a case like any other: it starts with the machine and ends with `ready`.
    `perform(action)` does what the guest asks of the host, and returns why it couldn't.
    """

    def __init__(self, names, perform=None):
        self.names = set(names)
        self.perform = perform
        self.current = Outcome("boot")
        self.outcomes = {"boot": self.current}
        self.release = ""
        self.done = False
        self.stray = []
        self._rest = b""

    def feed(self, data):
        """Take what came; return the cases that ended with it."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        ended = []
        for line in lines:
            outcome = self._line(line.rstrip(b"\r"))
            if outcome:
                ended.append(outcome)
        return ended

    def close(self):
        """Nothing more comes: an unfinished line is garbage too."""
        rest, self._rest = self._rest, b""
        self._line(rest)

    def _line(self, line):
        if not line:
            return None
        words = line.split(b" ")
        try:
            if words[0] != b"@weir":
                raise ValueError("not a frame")
            kind, *words = [word.decode("ascii") for word in words[1:]]
            if kind not in ("ready", "start", "data", "host", "end", "done"):
                raise ValueError("unknown frame")
            return getattr(self, f"_{kind}")(*words)
        except (ValueError, TypeError) as error:
            text = line[:120].decode("ascii", "backslashreplace")
            where = self.stray if self.current.ended else self.current.garbage
            where.append(f"{text} ({error})")
            return None

    def _ready(self, release, uptime):
        if self.release:
            raise ValueError("the machine was up already")
        self.current.seconds = float(uptime)
        self.release = release
        self.current.status = 0
        self.current.ended = True
        return self.current

    def _start(self, name):
        if name not in self.names or name in self.outcomes:
            raise ValueError("not a case that was due")
        if not self.current.ended:
            raise ValueError(f"{self.current.name} has not ended")
        self.current = self.outcomes[name] = Outcome(name)

    def _data(self, name, stream, digest, text=""):
        self._is_current(name)
        if stream not in STREAMS or stream in self.current.streams:
            raise ValueError("not a stream that was due")
        try:
            data = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise ValueError("damaged base64") from error
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != digest:
            raise ValueError("damaged: checksum differs")
        self.current.streams[stream] = data.decode("utf-8", "backslashreplace")

    def _host(self, action):
        if self.current.ended or not self.perform:
            raise ValueError("no case that may ask is running")
        why = self.perform(action)
        if why:
            self.current.refused.append(f"{action}: {why}")

    def _end(self, name, status, started, ended, flag):
        self._is_current(name)
        if flag not in ("done", "timeout"):
            raise ValueError("unknown flag")
        self.current.seconds = float(ended) - float(started)
        self.current.status = int(status)
        self.current.timed_out = flag == "timeout"
        self.current.ended = True
        return self.current

    def _done(self):
        self.done = True

    def _is_current(self, name):
        if name != self.current.name or self.current.ended:
            raise ValueError(f"{name} is not running")
